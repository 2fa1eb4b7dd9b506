package quota_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire"
)

// metered is a tenant with a metered budget.
func meteredBudget(amount tenant.USD) *gateway.Tenant {
	return &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Day, Mode: tenant.Metered, Amount: amount}}}
}

// What of a prompt is not in its request is paid for as if it were of a usual length.
func TestUnseenPrompts(t *testing.T) {
	f := func(e *gateway.Endpoint, body string, least, most int64) {
		t.Helper()
		for _, body := range []string{body, strings.Replace(body, `"model"`, `"stream":true,"model"`, 1)} {
			s := newSite(t, meteredBudget(1000*tenant.Dollar), nil, map[string]gateway.Sender{"m": &model{says: 5}})
			x := s.askAt(e, body)
			if got := s.outcome(x); got != "ok" {
				t.Fatalf("%s: %s", body, got)
			}
			if got := x.Attempts()[0].Reserved; got < price(least, 256) || got > price(most, 4096) {
				t.Errorf("%s: %d are reserved", body, got)
			}
		}
	}
	chat, responses := gatewaytest.Chat(), gatewaytest.Endpoint("responses.create", "responses")
	chat.Decode = wire.OpenAI.DecodeRequest
	responses.Policy, responses.Decode = gateway.Callers, wire.Responses.DecodeRequest
	picture := `{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}`
	f(chat, `{"model":"m","messages":[{"role":"user","content":"an \"image_url\" and a \"file_id\""}]}`, 0, 200)
	f(chat, `{"model":"m","messages":[{"role":"user","content":[`+picture+`]}]}`, 5_000, 5_200)
	f(chat, `{"model":"m","messages":[{"role":"user","content":[`+picture+`,`+picture+`]}]}`, 10_000, 10_200)
	f(chat, `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}`, 32_000, 32_200)
	f(chat, `{"model":"m","messages":[{"role":"user","content":[`+strings.Repeat(picture+",", 30)+picture+`]}]}`, 100_000, 100_000) // no more than the window
	f(responses, `{"model":"m","input":"hi","previous_response_id":"resp_1"}`, 32_000, 32_200)
	f(responses, `{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"https://example.com/a.png"}]}]}`, 5_000, 5_200)
	f(responses, `{"model":"m","input":"hi","tools":[{"type":"web_search"}]}`, 32_000, 32_200)
	f(responses, `{"model":"m","input":"hi","tools":[{"type":"function","name":"f","parameters":{}}]}`, 0, 1_300)
}

// form is one that asks a model.
func form(model string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n" + model + "\r\n--b--\r\n"
}

// What is charged by the piece is paid for by the piece.
func TestPieces(t *testing.T) {
	f := func(name, body string, reserved int64) {
		t.Helper()
		e := gatewaytest.Endpoint(name, "openai")
		e.Policy = gateway.Callers
		s := newSite(t, meteredBudget(1000*tenant.Dollar), nil, map[string]gateway.Sender{
			"painter": &model{}, "drawer": &model{}, "reader": &model{}, "voice": &model{}, "ear": &model{}, "ears": &model{},
		})
		r := gatewaytest.Request{Endpoint: e, Body: body, Directory: s.dir, Caller: gateway.Caller{Tenant: s.tenant, Key: "a"}}
		if strings.HasPrefix(body, "--") {
			r.Header = gatewaytest.Fields("Content-Type", "multipart/form-data; boundary=b")
		} else {
			e.Body = gateway.JSON
		}
		x := gatewaytest.New(t, r)
		if got := s.outcome(x); got != "ok" {
			t.Errorf("%s: %s", body, got)
			return
		}
		a := x.Attempts()[0]
		if got := a.Reserved; got != reserved {
			t.Errorf("%s: %d are reserved, of %d tokens", body, got, a.Prompt)
		}
	}
	f("images.generations", `{"model":"painter","prompt":"a cat","n":3}`, 3*40e9)
	f("images.generations", `{"model":"drawer","prompt":"a cat"}`, 8*5e6+6240*32e6)
	f("images.edits", `{"model":"drawer","prompt":"a cat"}`, 8*5e6+5000*8e6+6240*32e6)
	f("images.edits", form("drawer"), 5000*8e6+6240*32e6)
	f("audio.speech", `{"model":"reader","input":"hällo"}`, 5*15e6)
	f("audio.speech", `{"model":"voice","input":"hällo"}`, 8*0.6e6+10*12e6)
	f("audio.transcriptions", form("ear"), 0.36e12)
	f("audio.transcriptions", form("ears"), 16_000*3e6+12_000*5e6)
}

// An answer in one piece that has no limit of its own gets what is left as one.
func TestUnlimitedAnswer(t *testing.T) {
	m := &model{says: 50_000, prompt: 5}
	s := newSite(t, meteredBudget(tenant.USD(price(0, 60_000))), nil, map[string]gateway.Sender{"m": m})
	unlimited := strings.Replace(whole, `,"max_tokens":100`, "", 1)
	f := func(least, most int64) {
		t.Helper()
		x := s.ask(unlimited, "a", "")
		if got := s.outcome(x); got != "ok" {
			t.Fatal(got)
		}
		if n := m.mostAt.Load(); n < least || n > most {
			t.Errorf("%d tokens are allowed", n)
		}
	}
	f(0, 0) // as long as the model's can be
	f(9_900, 10_000)
	if got := s.outcome(s.ask(unlimited, "a", "")); got != "insufficient_quota" {
		t.Error(got)
	}
}
