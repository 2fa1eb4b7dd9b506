package upstream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/health"
)

// TestRateLimits sends a reply with such headers and looks at what the target knows afterwards, with times from now on.
func TestRateLimits(t *testing.T) {
	type known struct {
		left, of int64
		reset    time.Duration
	}
	nothing := known{}
	check := func(name, fields string, requests, tokens known) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			target := health.New(health.Options{}).Target(health.ID{Provider: "fake"}, health.Settings{})
			f := newFake(t, nil, say(whole("200 OK", answer, strings.Fields(strings.ReplaceAll(fields, ": ", ":"))...)))
			x := exchange(t, askWhole, nil)
			at := &gateway.Target{Provider: "fake", Model: "m", Via: provider(t, f.url()).WithKey("k")}
			a := x.Attempting(at)
			if !target.Begin(a.Start, 0) {
				t.Fatal("not usable")
			}
			a.Hold(target, (*admission.Limiter)(nil), 0, false)
			r, err := at.Via.Send(x, at, a)
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Stream.Close()
			x.End(nil)
			now := gateway.Now()
			told := func(l health.Limit) known {
				k := known{left: l.Remaining, of: l.Max}
				if l.Reset != 0 {
					k.reset = l.Reset.Sub(now).Round(10 * time.Second)
				}
				return k
			}
			if got := target.Limits(); told(got.Requests) != requests || told(got.Tokens) != tokens {
				t.Errorf("requests %+v, tokens %+v; want %+v, %+v", told(got.Requests), told(got.Tokens), requests, tokens)
			}
		})
	}
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	check("none", "", nothing, nothing)
	check("OpenAI's", "x-ratelimit-limit-requests: 500 x-ratelimit-remaining-requests: 499 x-ratelimit-reset-requests: 2m0s "+
		"X-RateLimit-Limit-Tokens: 30000 x-ratelimit-remaining-tokens: 29990 x-ratelimit-reset-tokens: 1h0m19.6s",
		known{499, 500, 2 * time.Minute}, known{29990, 30000, time.Hour + 20*time.Second})
	check("Anthropic's", "anthropic-ratelimit-requests-limit: 50 anthropic-ratelimit-requests-remaining: 49 anthropic-ratelimit-requests-reset: "+in(time.Minute)+
		" anthropic-ratelimit-input-tokens-remaining: 7 anthropic-ratelimit-tokens-limit: 80000 anthropic-ratelimit-tokens-remaining: 79000",
		known{49, 50, time.Minute}, known{79000, 80000, 0})
	check("Anthropic's without a sum", "anthropic-ratelimit-input-tokens-limit: 9 anthropic-ratelimit-input-tokens-remaining: 7", nothing, known{7, 9, 0})
	check("Azure's", "x-ratelimit-remaining-requests: 0 x-ratelimit-remaining-tokens: 12", known{0, 0, 0}, known{12, 0, 0})
	check("seconds", "x-ratelimit-remaining-requests: 1 x-ratelimit-reset-requests: 60", known{1, 0, time.Minute}, nothing)
	check("a point in time", "x-ratelimit-remaining-requests: 1 x-ratelimit-reset-requests: "+itoa(int(time.Now().Add(time.Minute).Unix())), known{1, 0, time.Minute}, nothing)
	check("in milliseconds", "x-ratelimit-remaining-requests: 1 x-ratelimit-reset-requests: "+itoa(int(time.Now().Add(time.Minute).UnixMilli())), known{1, 0, time.Minute}, nothing)
	check("long ago", "x-ratelimit-remaining-requests: 1 x-ratelimit-reset-requests: "+in(-time.Hour), known{1, 0, 0}, nothing)
	check("too long", "x-ratelimit-remaining-requests: 1 x-ratelimit-reset-requests: 99999h", known{1, 0, 24 * time.Hour}, nothing)
	check("nonsense", "x-ratelimit-remaining-requests: -7 x-ratelimit-limit-requests: x x-ratelimit-reset-requests: soon", known{-1, 0, 0}, nothing)
	check("something else", "x-ratelimit-remaining-dollars: 7 x-ratelimit-foo: 1", nothing, nothing)
}

// A target that says nothing is left cools down until something is, although it has answered.
func TestNoRequestsLeft(t *testing.T) {
	target := health.New(health.Options{}).Target(health.ID{Provider: "fake"}, health.Settings{})
	f := newFake(t, nil, say(whole("200 OK", answer, "x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 30s")))
	x := exchange(t, askWhole, nil)
	at := &gateway.Target{Provider: "fake", Model: "m", Via: provider(t, f.url()).WithKey("k")}
	a := x.Attempting(at)
	a.Hold(target, nil, 0, false)
	r, err := at.Via.Send(x, at, a)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Stream.Close()
	if d := target.Wait(gateway.Now()); d < 25*time.Second || d > 30*time.Second {
		t.Errorf("left alone for %v", d)
	}
}
