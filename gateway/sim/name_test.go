package sim_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

func TestStatuses(t *testing.T) {
	f := func(model string, status int, kind, code, retryAfter string) {
		t.Helper()
		for _, more := range []string{"", streaming} {
			r := simulate(t, sim.Options{}, ask(model, "hi", more))
			if r.reply == nil {
				t.Fatalf("%s: %v", model, r.err)
			}
			after := ""
			for _, h := range r.reply.Header {
				if h.Name == "retry-after" {
					after = h.Value
				}
			}
			e, ok := openai.DecodeError([]byte(r.events[0]))
			if r.reply.Status != status || !ok || e.Type != kind || e.Code != code || after != retryAfter || e.Message == "" {
				t.Errorf("%s: %d %q, Retry-After %q", model, r.reply.Status, r.events[0], after)
			}
			if r.reply.ContentType != "application/json" || !strings.HasPrefix(r.attempt.RequestID, "req_") {
				t.Errorf("%s: %+v %+v", model, r.reply, r.attempt)
			}
		}
	}
	const invalid = "invalid_request_error"
	f("sim-400", 400, invalid, "", "")
	f("sim-401", 401, invalid, "invalid_api_key", "")
	f("sim-403", 403, invalid, "permission_denied", "")
	f("sim-404", 404, invalid, "model_not_found", "")
	f("sim-408", 408, "server_error", "timeout", "")
	f("sim-413", 413, invalid, "request_too_large", "")
	f("sim-429", 429, "rate_limit_error", "rate_limit_exceeded", "1")
	f("sim-429-after5", 429, "rate_limit_error", "rate_limit_exceeded", "5")
	f("sim-after5-429", 429, "rate_limit_error", "rate_limit_exceeded", "5")
	f("sim-429-after0", 429, "rate_limit_error", "rate_limit_exceeded", "")
	f("sim-400-after7", 400, invalid, "", "7")
	f("sim-quota", 429, "insufficient_quota", "insufficient_quota", "")
	f("sim-500", 500, "server_error", "", "")
	f("sim-503", 503, "service_unavailable_error", "server_is_overloaded", "1")
	f("sim-529", 529, "overloaded_error", "", "1")
	f("sim-599", 599, "server_error", "", "")
}

func TestHTML(t *testing.T) {
	f := func(model string, status int) {
		t.Helper()
		r := simulate(t, sim.Options{}, ask(model, "hi", streaming))
		if r.reply.Status != status || r.reply.ContentType != "text/html" || !strings.HasPrefix(r.events[0], "<html>") {
			t.Errorf("%s: %+v %q", model, r.reply, r.events)
		}
	}
	f("sim-html", 502)
	f("sim-html-504", 504)
}

func TestUnknownNames(t *testing.T) {
	f := func(model string, suggestions ...string) {
		t.Helper()
		r := simulate(t, sim.Options{}, ask(model, "hi", ""))
		e, ok := openai.DecodeError([]byte(r.events[0]))
		if r.reply.Status != 404 || !ok || e.Code != "model_not_found" || e.Param != "model" {
			t.Errorf("%s: %d %q", model, r.reply.Status, r.events[0])
		}
		for _, s := range suggestions {
			if !strings.Contains(e.Message, s) {
				t.Errorf("%s: %q is not suggested in %q", model, s, e.Message)
			}
		}
	}
	f("sim-caht", "sim-chat")
	f("sim-stal-5", "sim-stall-5")
	f("sim-fast-ctu-3", "sim-fast-cut-3")
	f("sim-600", "sim-500")
	f("sim-399")
	f("sim-")
	f("sim-chat-")
	f("sim-chat-5")
	f("sim-fast-fast")
	f("sim-500-503")
	f("sim-429-after")
	f("sim-429-after1-after2")
	f("sim-cut--1")
	f("sim-cut-1000001")
	f("sim-long-99999999999999999999")
	f("sim-" + strings.Repeat("x", 10_000))
}

// Whoever points an application at the simulator need not change the names of its models.
func TestForeignNames(t *testing.T) {
	for _, model := range []string{"gpt-4.1", "sim", "simulator", "claude-sonnet-5", "429"} {
		if d := unary(t, ask(model, "what is 2+3", "")); d.Text != "2+3 = 5" {
			t.Errorf("%s: %q", model, d.Text)
		}
	}
}

func TestListedNames(t *testing.T) {
	for _, m := range sim.Models() {
		if strings.Contains(m.ID, "stall") || strings.Contains(m.ID, "slow") {
			continue
		}
		r := simulate(t, sim.Options{}, ask(m.ID, "hi", ""))
		if m.ID != "sim-404" && r.reply != nil && r.reply.Status == 404 {
			t.Errorf("%s is listed but not known", m.ID)
		}
	}
}
