package telemetry_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

func directory() *gateway.Directory {
	return gateway.NewDirectory(gateway.Entries{
		Models:  []*gateway.Model{{Name: "gpt-4.1"}, {Name: "claude-*"}},
		Aliases: map[string]string{"fast": "gpt-4.1"},
	})
}

func acme() gateway.Caller {
	return gateway.Caller{Tenant: &gateway.Tenant{ID: "acme"}, Key: "ci", User: "u-1"}
}

// opening is what plugins behind telemetry do: they read the body, so that the model is known.
func opening(next gateway.Handler) gateway.Handler {
	return gateway.HandlerFunc(func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		return next.Serve(x)
	})
}

func body(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v}`, model, stream)
}

func events(n int) []gateway.Event {
	return slices.Repeat([]gateway.Event{{Data: []byte("x")}}, n)
}

// ok is an attempt that got an answer. An hour is more than the test takes: what is left for the gateway is nothing.
func ok(provider string) gateway.Attempt {
	return gateway.Attempt{
		Provider: provider, Key: "main", Model: "m-1", Status: 200, First: 20 * time.Millisecond, Total: time.Hour, RequestID: "req_up",
		Cost: cents(15_000_000),
	}
}

// cents is a known cost in hundredths of a microdollar.
func cents(n int64) catalog.Cost { return catalog.Cost{Picodollars: n * 10, Known: true} }

var usage = chat.Usage{Input: 10, CacheRead: 20, Output: 40, Reasoning: 50, Provenance: chat.Reported}

func TestConformance(t *testing.T) {
	gatewaytest.Conformance(t, gatewaytest.Subject{Spec: telemetry.Spec(telemetry.Lent{}), Request: gatewaytest.Request{Directory: directory()}})
}

// values are the metrics that are not zero, without sums of times.
func values(t *testing.T, h *gatewaytest.Host) string {
	t.Helper()
	all, err := h.Values()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != 0 && !strings.Contains(name, "_seconds_sum") {
			list = append(list, fmt.Sprintf("%s %v", strings.TrimPrefix(name, "sluice_"), all[name]))
		}
	}
	return strings.Join(list, "\n")
}

// line is the only line of the log, without the times, which it checks.
func line(t *testing.T, h *gatewaytest.Host) string {
	t.Helper()
	all := h.Logs.TakeAll()
	if len(all) != 1 || all[0].Message != "exchange" {
		t.Fatalf("the log is %v", all)
	}
	fields := all[0].ContextMap()
	if total, is := fields["total_ms"].(float64); !is || total < 0 || total > 60_000 || fields["id"] != "req_test" {
		t.Errorf("total_ms is %v, id is %v", fields["total_ms"], fields["id"])
	}
	if first, is := fields["first_ms"]; is && (first.(float64) < 20 || first.(float64) > 60_000) {
		t.Errorf("first_ms is %v", first)
	}
	list := []string{all[0].Level.String()}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "id" && name != "total_ms" && name != "first_ms" {
			list = append(list, fmt.Sprintf("%s=%v", name, fields[name]))
		}
	}
	return moments.ReplaceAllString(strings.Join(list, " "), "")
}

// moments are when attempts began, which no two runs have in common.
var moments = regexp.MustCompile(`at_ms:[0-9.e+-]+ `)

// TestEndings drives one exchange to each of its ends and looks at the whole of metrics and log.
func TestEndings(t *testing.T) {
	f := func(name string, r gatewaytest.Request, s *gatewaytest.Script, leave int, wantLine, wantValues string) {
		t.Helper()
		p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
		r.Directory = directory()
		gatewaytest.ServeSome(gatewaytest.New(t, r), p.Wrap(opening(s)), leave)
		if got := line(t, h); got != wantLine {
			t.Errorf("%s:\n got %s\nwant %s", name, got, wantLine)
		}
		wantValues = strings.ReplaceAll(strings.Trim(wantValues, "\n"), "\t", "")
		if got := values(t, h); got != wantValues {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, wantValues)
		}
	}
	ask := func(model string, stream bool) gatewaytest.Request {
		return gatewaytest.Request{Caller: acme(), Body: body(model, stream)}
	}
	const who = " endpoint=chat.completions"
	const by = " key=ci"
	const rest = " provider=openai status=200"

	f("a whole reply", ask("fast", false),
		&gatewaytest.Script{Attempts: []gateway.Attempt{ok("openai")}, Events: events(1), Usage: usage}, -1,
		"info attempts=1 cache_read_tokens=20 cost_usd=0.00015"+who+" input_tokens=10"+by+
			" model=fast output_tokens=40 provider=openai reasoning_tokens=50 status=200 target_model=m-1 tenant=acme upstream_request_id=req_up usage=reported user=u-1", `
attempts_total{outcome="ok",provider="openai"} 1
cost_usd_total{model="gpt-4.1",provider="openai",tenant="acme"} 0.00015
overhead_seconds_count 1
request_duration_seconds_count{model="gpt-4.1",provider="openai"} 1
requests_total{code="200",model="gpt-4.1",provider="openai",tenant="acme"} 1
tokens_total{model="gpt-4.1",provider="openai",tenant="acme",type="cache_read"} 20
tokens_total{model="gpt-4.1",provider="openai",tenant="acme",type="input"} 10
tokens_total{model="gpt-4.1",provider="openai",tenant="acme",type="output"} 40
tokens_total{model="gpt-4.1",provider="openai",tenant="acme",type="reasoning"} 50`)

	f("a stream", ask("claude-x", true),
		&gatewaytest.Script{Attempts: []gateway.Attempt{ok("openai")}, Kind: gateway.Events, Events: events(3)}, -1,
		"info attempts=1 cost_usd=0.00015"+who+by+" model=claude-x"+rest+" stream=true target_model=m-1 tenant=acme upstream_request_id=req_up user=u-1", `
attempts_total{outcome="ok",provider="openai"} 1
cost_usd_total{model="claude-*",provider="openai",tenant="acme"} 0.00015
overhead_seconds_count 1
request_duration_seconds_count{model="claude-*",provider="openai"} 1
requests_total{code="200",model="claude-*",provider="openai",tenant="acme"} 1
time_to_first_token_seconds_count{model="claude-*",provider="openai"} 1`)

	f("a caller who leaves", ask("gpt-4.1", true),
		&gatewaytest.Script{
			Attempts: []gateway.Attempt{ok("openai")}, Kind: gateway.Events, Events: events(3),
			Usage: chat.Usage{Provenance: chat.Aborted},
		}, 1,
		"info attempts=1 cost_usd=0.00015"+who+" error=the client left error_code=client_closed_request error_origin=client input_tokens=0"+by+
			" model=gpt-4.1 output_tokens=0 provider=openai status=499 stream=true target_model=m-1 tenant=acme upstream_request_id=req_up usage=aborted user=u-1", `
attempts_total{outcome="canceled",provider="openai"} 1
cost_usd_total{model="gpt-4.1",provider="openai",tenant="acme"} 0.00015
overhead_seconds_count 1
request_duration_seconds_count{model="gpt-4.1",provider="openai"} 1
requests_total{code="499",model="gpt-4.1",provider="openai",tenant="acme"} 1
time_to_first_token_seconds_count{model="gpt-4.1",provider="openai"} 1`)

	cut := ok("openai")
	cut.Err = errors.New("upstream: the answer broke off")
	f("a stream that breaks off", ask("gpt-4.1", true),
		&gatewaytest.Script{Attempts: []gateway.Attempt{cut}, Kind: gateway.Events, Events: events(2), End: cut.Err}, -1,
		"warn aborted=true attempts=1 cost_usd=0.00015"+who+" error=upstream: the answer broke off error_code=upstream_stream_error error_origin=upstream"+by+
			" model=gpt-4.1"+rest+" stream=true target_model=m-1 tenant=acme upstream_request_id=req_up user=u-1", `
attempts_total{outcome="cut",provider="openai"} 1
cost_usd_total{model="gpt-4.1",provider="openai",tenant="acme"} 0.00015
overhead_seconds_count 1
request_duration_seconds_count{model="gpt-4.1",provider="openai"} 1
requests_total{code="aborted",model="gpt-4.1",provider="openai",tenant="acme"} 1
time_to_first_token_seconds_count{model="gpt-4.1",provider="openai"} 1`)

	said := ok("openai")
	said.Err = &gateway.Error{
		Status: 502, Code: "content_policy", Origin: gateway.OriginUpstream, Sent: true,
		Message: "your prompt SECRET is bad", Err: errors.New("your prompt SECRET is bad"),
	}
	f("a provider's error inside a stream", ask("gpt-4.1", true),
		&gatewaytest.Script{Attempts: []gateway.Attempt{said}, Kind: gateway.Events, Events: events(1), End: said.Err}, -1,
		"warn aborted=true attempts=1 cost_usd=0.00015"+who+" error_code=content_policy error_origin=upstream"+by+
			" model=gpt-4.1"+rest+" stream=true target_model=m-1 tenant=acme upstream_request_id=req_up user=u-1", `
attempts_total{outcome="error",provider="openai"} 1
cost_usd_total{model="gpt-4.1",provider="openai",tenant="acme"} 0.00015
overhead_seconds_count 1
request_duration_seconds_count{model="gpt-4.1",provider="openai"} 1
requests_total{code="aborted",model="gpt-4.1",provider="openai",tenant="acme"} 1
time_to_first_token_seconds_count{model="gpt-4.1",provider="openai"} 1`)

	f("refused before auth", gatewaytest.Request{Body: `{"model":`},
		&gatewaytest.Script{}, -1,
		"info"+who+" error=invalid JSON: it ends in the middle (at offset 9) error_code=invalid_json error_origin=client status=400", `
request_duration_seconds_count{model="none",provider="none"} 1
requests_total{code="400",model="none",provider="none",tenant="none"} 1`)

	f("an unknown model", ask("whatever", false),
		&gatewaytest.Script{Err: &gateway.Error{Status: 404, Code: "model_not_found", Origin: gateway.OriginClient}}, -1,
		"info"+who+" error_code=model_not_found error_origin=client"+by+" model=whatever status=404 tenant=acme user=u-1", `
request_duration_seconds_count{model="unknown",provider="none"} 1
requests_total{code="404",model="unknown",provider="none",tenant="acme"} 1`)

	f("a panic", ask("gpt-4.1", false), &gatewaytest.Script{Panic: "oh"}, -1,
		"warn"+who+" error=panic error_code=internal_error error_origin=gateway"+by+" model=gpt-4.1 status=500 tenant=acme user=u-1", `
request_duration_seconds_count{model="gpt-4.1",provider="none"} 1
requests_total{code="500",model="gpt-4.1",provider="none",tenant="acme"} 1`)

	f("a whole reply that fails before it is written", ask("gpt-4.1", false),
		&gatewaytest.Script{Attempts: []gateway.Attempt{ok("openai")}, End: &gateway.Error{Status: 502, Code: gateway.CodeCut, Origin: gateway.OriginUpstream}}, -1,
		"warn attempts=1 cost_usd=0.00015"+who+" error_code=upstream_cut error_origin=upstream"+by+
			" model=gpt-4.1 provider=openai status=502 target_model=m-1 tenant=acme upstream_request_id=req_up user=u-1", `
attempts_total{outcome="ok",provider="openai"} 1
cost_usd_total{model="gpt-4.1",provider="openai",tenant="acme"} 0.00015
overhead_seconds_count 1
request_duration_seconds_count{model="gpt-4.1",provider="openai"} 1
requests_total{code="502",model="gpt-4.1",provider="openai",tenant="acme"} 1`)

	f("an endpoint without a body", gatewaytest.Request{Endpoint: gatewaytest.ModelsList(), Caller: acme()},
		&gatewaytest.Script{Events: events(1)}, -1,
		"info endpoint=models.list key=ci status=200 tenant=acme user=u-1", `
request_duration_seconds_count{model="none",provider="none"} 1
requests_total{code="200",model="none",provider="none",tenant="acme"} 1`)
}

// TestAttempts has an exchange with every kind of failed attempt.
func TestAttempts(t *testing.T) {
	p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
	failed := func(provider, code, inner string, status int) gateway.Attempt {
		e := &gateway.Error{Status: 502, Code: code, Origin: gateway.OriginUpstream, Sent: code != gateway.CodeUnreachable}
		if inner != "" {
			e.Err = errors.New(inner)
		}
		return gateway.Attempt{Provider: provider, Model: "m", Status: status, Err: e, Total: 1500 * time.Microsecond}
	}
	answered := func(provider string, status int) gateway.Attempt {
		return gateway.Attempt{Provider: provider, Model: "m", Status: status, Total: time.Millisecond}
	}
	other := ok("b")
	other.Key, other.Resent = "spare", true
	s := &gatewaytest.Script{Attempts: []gateway.Attempt{
		failed("a", gateway.CodeUnreachable, "connection refused", 0),
		failed("a", gateway.CodeTimeout, "the head took too long", 0), // again: no failover
		failed("b", gateway.CodeCut, "", 0),
		failed("a", gateway.CodeBadResponse, "", 200),
		failed("b", gateway.CodeCredentials, "", 401),
		failed("a", "their_code", "SECRET words", 200),
		answered("b", 429), answered("b", 503), answered("b", 404), other,
	}}
	gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Caller: acme()}), p.Wrap(s))
	const want = `attempts_total{outcome="429",provider="b"} 1
attempts_total{outcome="4xx",provider="b"} 1
attempts_total{outcome="5xx",provider="b"} 1
attempts_total{outcome="bad_response",provider="a"} 1
attempts_total{outcome="credentials",provider="b"} 1
attempts_total{outcome="cut",provider="b"} 1
attempts_total{outcome="error",provider="a"} 1
attempts_total{outcome="ok",provider="b"} 1
attempts_total{outcome="timeout",provider="a"} 1
attempts_total{outcome="unreachable",provider="a"} 1
cost_unknown_total{model="none",provider="a",reason="model_unknown"} 3
cost_unknown_total{model="none",provider="b",reason="model_unknown"} 1
cost_usd_total{model="none",provider="b",tenant="acme"} 0.00015
failovers_total 6
overhead_seconds_count 1`
	if got, _, _ := strings.Cut(values(t, h), "\nrequest_duration"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	const tries = "tries=[" +
		"map[cost_usd:0 error:connection refused outcome:unreachable provider:a target_model:m total_ms:1.5] " +
		"map[cost:unknown cost_reason:model unknown error:the head took too long outcome:timeout provider:a target_model:m total_ms:1.5] " +
		"map[cost:unknown cost_reason:model unknown outcome:cut provider:b target_model:m total_ms:1.5] " +
		"map[cost:unknown cost_reason:model unknown outcome:bad_response provider:a status:200 target_model:m total_ms:1.5] " +
		"map[cost_usd:0 outcome:credentials provider:b status:401 target_model:m total_ms:1.5] " +
		"map[cost:unknown cost_reason:model unknown outcome:error provider:a status:200 target_model:m total_ms:1.5] " +
		"map[cost_usd:0 outcome:429 provider:b status:429 target_model:m total_ms:1] " +
		"map[cost_usd:0 outcome:5xx provider:b status:503 target_model:m total_ms:1] " +
		"map[cost_usd:0 outcome:4xx provider:b status:404 target_model:m total_ms:1] " +
		"map[cost_usd:0.00015 first_ms:20 key:spare outcome:ok provider:b resent:true status:200 target_model:m-1 total_ms:3.6e+06]]"
	if got := line(t, h); !strings.Contains(got, "attempts=10 ") || !strings.Contains(got, " resent=true ") || !strings.Contains(got, tries) {
		t.Errorf("got\n%s\nwant\n%s", got, tries)
	}
}

// TestHedges has second attempts beside others, and attempts that had to wait.
func TestHedges(t *testing.T) {
	check := func(wantLine, wantValues string, attempts ...gateway.Attempt) {
		t.Helper()
		p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
		gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Caller: acme()}), p.Wrap(&gatewaytest.Script{Attempts: attempts}))
		if got := line(t, h); !strings.Contains(got, wantLine) {
			t.Errorf("got\n%s\nwant\n%s", got, wantLine)
		}
		var got []string
		for v := range strings.Lines(values(t, h)) {
			if strings.HasPrefix(v, "attempts_") || strings.HasPrefix(v, "failovers_") || strings.HasPrefix(v, "hedges_") {
				got = append(got, strings.TrimSpace(v))
			}
		}
		if got := strings.Join(got, "\n"); got != wantValues {
			t.Errorf("got\n%s\nwant\n%s", got, wantValues)
		}
	}
	answered := func(provider string) gateway.Attempt {
		return gateway.Attempt{Provider: provider, Model: "m", Status: 200, Total: time.Millisecond}
	}
	lost := gateway.Attempt{Provider: "a", Model: "m", Lost: true, Sent: true, Err: gateway.ErrLost, Total: 2 * time.Millisecond, Waited: time.Second}
	won := answered("b")
	won.Hedged = true
	check("tries=[map[cost:unknown cost_reason:model unknown error:another attempt was quicker outcome:lost provider:a target_model:m total_ms:2 waited_ms:1000] "+
		"map[cost:unknown cost_reason:model unknown hedged:true outcome:ok provider:b status:200 target_model:m total_ms:1]]",
		`attempts_total{outcome="lost",provider="a"} 1
attempts_total{outcome="ok",provider="b"} 1
hedges_total{outcome="won",provider="b"} 1`, lost, won)
	lost.Hedged = true
	check("hedged:true outcome:lost provider:a", `attempts_total{outcome="lost",provider="a"} 1
attempts_total{outcome="ok",provider="b"} 1
hedges_total{outcome="lost",provider="a"} 1`, lost, answered("b"))
	failed := gateway.Attempt{Provider: "a", Model: "m", Hedged: true, Status: 500, Total: time.Millisecond}
	waited := answered("b")
	waited.Waited = 1500 * time.Microsecond
	check(" waited_ms=1.5", `attempts_total{outcome="5xx",provider="a"} 1
attempts_total{outcome="ok",provider="b"} 1
hedges_total{outcome="failed",provider="a"} 1`, failed, waited)
}

// TestNotTheProvider has attempts that ended by what the gateway decided, before a reply or in the middle of one.
func TestNotTheProvider(t *testing.T) {
	f := func(want string, e gateway.Error) {
		t.Helper()
		for _, kind := range []gateway.Kind{gateway.Whole, gateway.Events} {
			p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
			a := ok("openai")
			a.Err = &e
			s := &gatewaytest.Script{Attempts: []gateway.Attempt{a}, Kind: kind, Events: events(1), Err: &e}
			if kind == gateway.Events {
				s.Err = nil
			}
			x := gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Caller: acme()})
			if err := p.Wrap(s).Serve(x); err == nil {
				_ = x.Reply.Stream.Close()
			}
			x.End(&e)
			if got := values(t, h); !strings.Contains(got, `attempts_total{outcome="`+want+`",provider="openai"} 1`) {
				t.Errorf("%v: no %s in\n%s", &e, want, got)
			}
		}
	}
	f("busy", gateway.Error{Status: 503, Code: gateway.CodeBusy})
	f("busy", gateway.Error{Status: 503, Code: gateway.CodeBusy, Sent: true})
	f("refused", gateway.Error{Status: 400, Code: gateway.CodeUnsupported, Origin: gateway.OriginClient})
	f("refused", gateway.Error{Status: 404, Code: "not_found", Origin: gateway.OriginClient})
	f("failed", gateway.Error{Status: 500, Code: "internal_error"})
}

// TestLeaving ends streams by the ways in which a transport learns that the caller is gone, and by those in which it is
// not the caller who ends it.
func TestLeaving(t *testing.T) {
	write := &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
	f := func(kind gateway.Kind, attempt error, cancel, end error, want string) {
		t.Helper()
		p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
		a := ok("openai")
		a.Err = attempt
		x := gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Caller: acme(), Body: body("gpt-4.1", true)})
		s := &gatewaytest.Script{Attempts: []gateway.Attempt{a}, Kind: kind, Events: events(1)}
		if err := p.Wrap(opening(s)).Serve(x); err != nil {
			t.Fatal(err)
		}
		if cancel != nil {
			x.Cancel(cancel)
		}
		if err := x.Reply.Stream.Close(); err != nil {
			t.Fatal(err)
		}
		x.End(end)
		code, outcome, _ := strings.Cut(want, " ")
		got := values(t, h)
		if !strings.Contains(got, `requests_total{code="`+code+`",model="gpt-4.1",provider="openai",tenant="acme"} 1`) ||
			!strings.Contains(got, `attempts_total{outcome="`+outcome+`",provider="openai"} 1`) {
			t.Errorf("cancelled by %v, ended by %v: want %s, got\n%s", cancel, end, want, got)
		}
		if entry := h.Logs.TakeAll()[0]; (entry.Level.String() == "warn") != (code != "200" && code != "499") {
			t.Errorf("%s is logged as %s", code, entry.Level)
		}
	}
	f(gateway.Events, nil, nil, nil, "200 ok")
	f(gateway.Events, nil, nil, gateway.ErrGone, "499 ok")
	f(gateway.Events, nil, gateway.ErrGone, write, "499 canceled")
	f(gateway.Events, nil, nil, write, "499 ok")
	f(gateway.Whole, nil, nil, write, "499 ok")
	f(gateway.Events, nil, nil, fmt.Errorf("flush: %w", write), "499 ok")
	f(gateway.Events, write, nil, write, "aborted cut") // a network error that the attempt has too is the provider's
	f(gateway.Events, nil, gateway.ErrDrain, gateway.ErrDrain, "aborted canceled")
	f(gateway.Events, nil, gateway.ErrDeadline, gateway.ErrDeadline, "aborted canceled")
	f(gateway.Bytes, nil, nil, errors.New("a plugin's own"), "aborted ok")
	f(gateway.Whole, nil, gateway.ErrDrain, gateway.ErrDrain, "503 canceled")
	f(gateway.Whole, nil, gateway.ErrDeadline, gateway.ErrDeadline, "504 canceled")
}

// TestOwnError records what the chain returned, not what went wrong while that was being written.
func TestOwnError(t *testing.T) {
	p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
	x := gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Caller: acme()})
	err := &gateway.Error{Status: 429, Code: "rate_limit_exceeded", Origin: gateway.OriginClient}
	if got := p.Wrap(&gatewaytest.Script{Err: err}).Serve(x); !errors.Is(got, err) {
		t.Fatal(got)
	}
	x.End(gateway.ErrGone)
	if got := line(t, h); !strings.Contains(got, "error_code=rate_limit_exceeded") || !strings.Contains(got, "status=429") {
		t.Error(got)
	}
	x = gatewaytest.New(t, gatewaytest.Request{Directory: directory()})
	_ = p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil })).Serve(x)
	x.End(nil)
	if got := line(t, h); !strings.Contains(got, "status=500") || !strings.Contains(got, "without a reply and without an error") {
		t.Error(got)
	}
}

// TestActive looks at the gauges while exchanges are under way.
func TestActive(t *testing.T) {
	p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
	f := func(exchanges, streams float64) {
		t.Helper()
		all, err := h.Values()
		if err != nil || all["sluice_exchanges_active"] != exchanges || all["sluice_streams_active"] != streams {
			t.Errorf("%v exchanges, %v streams, %v", all["sluice_exchanges_active"], all["sluice_streams_active"], err)
		}
	}
	start := func(s *gatewaytest.Script) *gateway.Exchange {
		x := gatewaytest.New(t, gatewaytest.Request{Directory: directory()})
		_ = p.Wrap(s).Serve(x)
		return x
	}
	f(0, 0)
	stream := start(&gatewaytest.Script{Kind: gateway.Events})
	f(1, 1)
	whole := start(&gatewaytest.Script{})
	f(2, 1)
	failed := start(&gatewaytest.Script{Err: errors.New("x")})
	f(3, 1)
	stream.End(nil)
	stream.End(nil)
	f(2, 0)
	whole.End(nil)
	failed.End(nil)
	f(0, 0)
}

// TestTimes compares the sums of the histograms with what the attempts say.
func TestTimes(t *testing.T) {
	p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
	const labels = `{model="gpt-4.1",provider="openai"}`
	f := func(a gateway.Attempt, check func(total, overhead, first float64) bool) {
		t.Helper()
		sum := func() [3]float64 {
			all, err := h.Values()
			if err != nil {
				t.Fatal(err)
			}
			return [3]float64{
				all["sluice_request_duration_seconds_sum"+labels], all["sluice_overhead_seconds_sum"],
				all["sluice_time_to_first_token_seconds_sum"+labels],
			}
		}
		before := sum()
		s := &gatewaytest.Script{Kind: gateway.Events, Attempts: []gateway.Attempt{a}}
		gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Body: body("gpt-4.1", true)}), p.Wrap(opening(s)))
		after := sum()
		if total, overhead, first := after[0]-before[0], after[1]-before[1], after[2]-before[2]; !check(total, overhead, first) {
			t.Errorf("total %v, overhead %v, first %v", total, overhead, first)
		}
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	f(gateway.Attempt{Provider: "openai", First: time.Minute, Total: time.Hour}, func(total, overhead, first float64) bool {
		return total > 0 && total < 60 && overhead == 0 && first > 60 && first < 60+total
	})
	f(gateway.Attempt{Provider: "openai", Total: time.Nanosecond}, func(total, overhead, first float64) bool {
		return near(overhead, total-1e-9) && first == 0
	})
	f(gateway.Attempt{Provider: "openai"}, func(total, overhead, _ float64) bool { // it still runs
		return overhead > 0 && overhead < total
	})
}

// TestBounds makes sure that neither callers nor the number of tenants multiply the time series.
func TestBounds(t *testing.T) {
	p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), &telemetry.Config{MaxTenants: 2})
	handler := p.Wrap(opening(&gatewaytest.Script{}))
	for i := range 50 {
		caller := gateway.Caller{Tenant: &gateway.Tenant{ID: tenant.ID(fmt.Sprintf("t%d", i%5))}}
		for _, model := range []string{fmt.Sprintf("made-up-%d", i), fmt.Sprintf("claude-%d", i)} {
			gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Caller: caller, Body: body(model, false)}), handler)
		}
	}
	_, got, _ := strings.Cut(values(t, h), "requests_total")
	const want = `{code="200",model="claude-*",provider="none",tenant="other"} 30
requests_total{code="200",model="claude-*",provider="none",tenant="t0"} 10
requests_total{code="200",model="claude-*",provider="none",tenant="t1"} 10
requests_total{code="200",model="unknown",provider="none",tenant="other"} 30
requests_total{code="200",model="unknown",provider="none",tenant="t0"} 10
requests_total{code="200",model="unknown",provider="none",tenant="t1"} 10`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBuild(t *testing.T) {
	_, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
	if p, err := telemetry.Spec(telemetry.Lent{}).Build(h, telemetry.Spec(telemetry.Lent{}).Defaults()); err == nil || p != nil {
		t.Error("the same metrics were registered twice")
	}
	f := func(n int, want string) {
		t.Helper()
		err := (&telemetry.Config{MaxTenants: n}).Validate()
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%d: %v", n, err)
		}
	}
	f(1, "")
	f(0, "max_tenants: max_tenants must be at least 1")
}
