package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache"
)

func TestConformance(t *testing.T) {
	gatewaytest.Conformance(t, gatewaytest.Subject{Spec: cache.Spec(cache.Lent{}), Request: gatewaytest.Request{Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: "acme"}}}})
	c := cache.Defaults()
	c.Exact.TTL, c.Coalesce = time.Hour, false
	for _, endpoint := range []string{"chat.completions", "embeddings"} {
		// What the suite sends is no answer of a model, so nothing of it is kept, and each request is passed on.
		gatewaytest.Conformance(t, gatewaytest.Subject{Spec: cache.Spec(cache.Lent{}), Config: &c, Request: gatewaytest.Request{
			Endpoint: gatewaytest.Endpoint(endpoint, ""), Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: "acme"}},
			Directory: gateway.NewDirectory(gateway.Entries{Models: []*gateway.Model{{Name: "demo"}}}),
		}})
	}
}

// What was asked before is answered again, in the same words, in any dialect, whole or as a stream.
func TestExact(t *testing.T) {
	r := newRig(t, nil)
	r.expect(ask{body: chatBody("What is love?")}, "miss: answer 1")
	r.expect(ask{body: chatBody("What is love?")}, "exact: answer 1")
	r.expect(ask{body: chatBody("What is love?", `"stream":true`)}, "exact: answer 1")
	r.expect(ask{body: chatBody("What is love?", `"stream":true`, `"stream_options":{"include_usage":true}`)}, "exact: answer 1")
	r.expect(ask{body: ` {"messages": [{"content": "What is love?", "role": "user"}], "model": "fast"}`}, "exact: answer 1")
	r.expect(ask{endpoint: "responses.create", body: `{"model":"m","input":"What is love?"}`}, "exact: answer 1")
	r.expect(ask{endpoint: "responses.create", body: `{"model":"m","stream":true,"input":"What is love?"}`}, "exact: answer 1")
	r.expect(ask{endpoint: "messages", body: `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"What is love?"}]}`}, "miss: answer 2")
	r.expect(ask{endpoint: "messages", body: `{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"What is love?"}]}`}, "exact: answer 2")
	r.expect(ask{body: chatBody("What is love?", `"max_tokens":9`)}, "exact: answer 2")
	for _, more := range []string{`"temperature":0`, `"seed":1`, `"stop":"x"`, `"response_format":{"type":"json_object"}`, `"logit_bias":{"1":2}`, `"tools":[{"type":"function","function":{"name":"f"}}]`, `"unheard":1`} {
		if got := r.serve(ask{body: chatBody("What is love?", more)}); !strings.HasPrefix(got, "miss") {
			t.Errorf("%s: %s", more, got)
		}
	}
	if got := r.serve(ask{body: strings.Replace(chatBody("What is love?"), `"m"`, `"n"`, 1)}); !strings.HasPrefix(got, "miss") {
		t.Errorf("another model: %s", got)
	}
	if got := r.value(`sluice_cache_requests_total{result="exact"}`); got != 8 {
		t.Errorf("%v hits", got)
	}
}

// A stream is kept like a whole answer, and both are given as either.
func TestStreamed(t *testing.T) {
	r := newRig(t, nil)
	r.expect(ask{body: chatBody("Hi?", `"stream":true`)}, "miss: answer 1")
	r.expect(ask{body: chatBody("Hi?", `"stream":true`)}, "exact: answer 1")
	r.expect(ask{body: chatBody("Hi?")}, "exact: answer 1")
	x := r.exchange(ask{body: chatBody("Hi?")})
	a := gatewaytest.Serve(x, r.handler)
	if !strings.Contains(a.Body(), `"total_tokens":15`) {
		t.Errorf("what was used is not in %s", a.Body())
	}
}

// Who asks gets the head, and the ledger its row.
func TestReplay(t *testing.T) {
	r := newRig(t, nil)
	r.serve(ask{body: chatBody("Hi?")})
	r.host.SetNow(r.host.Now().Add(90 * time.Second))
	x := r.exchange(ask{body: chatBody("Hi?")})
	a := gatewaytest.Serve(x, r.handler)
	p := x.Replay
	if p == nil || p.How != ledger.Exact || p.Of != paid || p.Provider != "p" || p.Name != "m-1" || p.Usage != used {
		t.Errorf("%+v", p)
	}
	if x.Plan.Model != "m" || len(x.Attempts()) != 0 || x.Usage.Total() != 0 {
		t.Errorf("%+v, %d attempts", x.Plan, len(x.Attempts()))
	}
	head := fmt.Sprint(a.Reply.Header)
	if !strings.Contains(head, "{age 90}") || !strings.Contains(head, "{x-sluice-cache-id ans_") || a.Reply.ContentType != "application/json" {
		t.Errorf("%s, %s", head, a.Reply.ContentType)
	}
}

func TestExpiry(t *testing.T) {
	r := newRig(t, nil)
	start := r.host.Now()
	r.expect(ask{body: chatBody("Hi?")}, "miss: answer 1")
	r.host.SetNow(start.Add(time.Hour - time.Second))
	r.expect(ask{body: chatBody("Hi?")}, "exact: answer 1")
	r.host.SetNow(start.Add(time.Hour))
	r.expect(ask{body: chatBody("Hi?")}, "miss: answer 2")
	r.expect(ask{body: chatBody("Hi?")}, "exact: answer 2")
}

// Nobody is given what another tenant was, and a key that may not use a model is given nothing of it.
func TestIsolation(t *testing.T) {
	r := newRig(t, nil)
	r.expect(ask{body: chatBody("Hi?")}, "miss: answer 1")
	r.expect(ask{body: chatBody("Hi?"), tenant: &gateway.Tenant{ID: "umbrella"}}, "miss: answer 2")
	r.expect(ask{body: chatBody("Hi?"), tenant: &gateway.Tenant{ID: "acme"}}, "exact: answer 1")
	r.expect(ask{body: chatBody("Hi?"), allow: []gateway.Pattern{"n"}}, "none: answer 3")

	each := &gateway.Tenant{ID: "each", Cache: gateway.CacheRules{Scope: gateway.CacheUser}}
	r.expect(ask{body: chatBody("Hi?"), tenant: each, user: "ann"}, "miss: answer 4")
	r.expect(ask{body: chatBody("Hi?"), tenant: each, user: "ann"}, "exact: answer 4")
	r.expect(ask{body: chatBody("Hi?"), tenant: each, user: "bob"}, "miss: answer 5")
	r.expect(ask{body: chatBody("Hi?"), tenant: each}, "bypass: answer 6")
	r.expect(ask{body: chatBody("Hi?", `"user":"ann"`), tenant: each}, "miss: answer 7")
	r.expect(ask{body: chatBody("Hi?", `"user":"ann"`), tenant: each}, "exact: answer 7")
	r.expect(ask{body: chatBody("Hi?", `"user":"bob"`), tenant: each}, "miss: answer 8")

	off := &gateway.Tenant{ID: "off", Cache: gateway.CacheRules{Scope: gateway.CacheOff}}
	r.expect(ask{body: chatBody("Hi?"), tenant: off}, "none: answer 9")
	r.expect(ask{body: chatBody("Hi?"), tenant: off}, "none: answer 10")
}

// A changed target is another answer, though the name is the same.
func TestTargets(t *testing.T) {
	r := newRig(t, nil)
	r.expect(ask{body: chatBody("Hi?")}, "miss: answer 1")
	r.handler = r.plugin.Wrap(r.provider) // as after a change of something else
	r.expect(ask{body: chatBody("Hi?")}, "exact: answer 1")
	r.directory = gateway.NewDirectory(gateway.Entries{Models: []*gateway.Model{{Name: "m", Steps: [][]*gateway.Target{{{Provider: "q", Model: "m-1"}}}}}})
	r.expect(ask{body: chatBody("Hi?")}, "miss: answer 2")
}

// What a request asks of the cache is done.
func TestControl(t *testing.T) {
	r := newRig(t, nil)
	q := chatBody("Hi?")
	f := func(want string, header ...string) {
		t.Helper()
		r.expect(ask{body: q, header: header}, want)
	}
	f("not_cached", "Cache-Control", "only-if-cached")
	f("bypass: answer 1", "Cache-Control", "no-store")
	f("miss: answer 2")
	f("exact: answer 2")
	f("exact: answer 2", "Cache-Control", "only-if-cached")
	f("bypass: answer 3", "Cache-Control", "max-age=10, No-Store")
	f("bypass: answer 4", "X-Sluice-Cache", "off")
	f("exact: answer 2", "Cache-Control", "something-new, x=y, =, ,")
	f("miss: answer 5", "Cache-Control", "no-cache")
	f("exact: answer 5")
	f("miss: answer 6", "X-Sluice-Cache", "refresh")
	f("miss: answer 7", "Cache-Control", "max-age=0")
	r.host.SetNow(r.host.Now().Add(30 * time.Second))
	f("exact: answer 7", "Cache-Control", "max-age=30")
	f("exact: answer 7", "Cache-Control", "max-age=99999999999999999999")
	f("miss: answer 8", "Cache-Control", "max-age=29")
	f("exact: answer 8", "Cache-Control", "max-age=29")
}

// What must never be given twice is not.
func TestNeverKept(t *testing.T) {
	f := func(want string, a ask) {
		t.Helper()
		r := newRig(t, nil)
		first, second := r.serve(a), r.serve(a)
		if first != want+": answer 1" || second != want+": answer 2" {
			t.Errorf("%s: %s; %s", a.body, first, second)
		}
	}
	f("bypass", ask{body: chatBody("Hi?", `"n":2`)})
	f("bypass", ask{body: chatBody("Hi?", `"temperature":1.1`)})
	f("bypass", ask{body: chatBody("Hi?", `"modalities":["text","audio"]`)})
	f("bypass", ask{body: chatBody("Hi?", `"web_search_options":{}`)})
	f("bypass", ask{body: chatBody("Hi?", `"store":true`)})
	f("bypass", ask{body: chatBody("Please write to ann@example.com about it")})
	f("bypass", ask{body: `{"model":"m","messages":[{"role":"user","content":"Hi?"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"c","content":"1"}]}`})
	f("bypass", ask{endpoint: "responses.create", body: `{"model":"m","input":"Hi?","previous_response_id":"resp_1"}`})
	f("bypass", ask{endpoint: "responses.create", body: `{"model":"m","input":"Hi?","background":true}`})
	f("bypass", ask{endpoint: "responses.create", body: `{"model":"m","input":"Hi?","tools":[{"type":"web_search"}]}`})
}

// Answers that are no answers are not given twice.
func TestNeverGiven(t *testing.T) {
	f := func(name string, p *provider) {
		t.Helper()
		for _, more := range []string{`"stream":false`, `"stream":true`} {
			r := newRig(t, nil)
			r.provider.says, r.provider.fails, r.provider.at, r.provider.turns = p.says, p.fails, p.at, p.turns
			a := ask{body: chatBody("Hi?", more)}
			r.serve(a)
			if got := r.serve(a); strings.HasPrefix(got, "exact") || r.provider.called() != 2 {
				t.Errorf("%s, %s: %s, asked %d times", name, more, got, r.provider.called())
			}
		}
	}
	reply := func(change func(c *chat.Choice)) *provider {
		return &provider{says: func(int, *chat.Request) *chat.Reply {
			r := text("No.")
			change(&r.Choices[0])
			return r
		}}
	}
	f("length", reply(func(c *chat.Choice) { c.Finish = chat.FinishLength }))
	f("filter", reply(func(c *chat.Choice) { c.Finish = chat.FinishFilter }))
	f("refusal", reply(func(c *chat.Choice) { c.Message.Parts[0].Kind = chat.PartRefusal }))
	f("empty", reply(func(c *chat.Choice) { c.Message.Parts = nil }))
	f("large", reply(func(c *chat.Choice) { c.Message.Parts[0].Text = strings.Repeat("a", 1<<20+1) }))
	f("calls", reply(func(c *chat.Choice) {
		c.Message.Parts = []chat.Part{{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "c", Name: "f", Arguments: "{}"}}}
		c.Finish = chat.FinishCalls
	}))
	f("error", &provider{fails: func(int) error { return &gateway.Error{Status: 500, Code: "broken"} }})
	f("status", &provider{turns: func(_ *gateway.Exchange, r *gateway.Reply) { r.Status = 400 }})
	f("not decodable", &provider{turns: func(_ *gateway.Exchange, r *gateway.Reply) { r.Stream = gateway.Once([]byte(`{"a":1}`)) }})
	f("partial", &provider{at: func(_ *gateway.Exchange, _, n int) error {
		if n == 3 {
			return fmt.Errorf("it broke off")
		}
		return nil
	}, says: func(call int, q *chat.Request) *chat.Reply {
		r := text("No.")
		if !q.Stream {
			r.Choices[0].Finish = chat.FinishLength
		}
		return r
	}})
}

// A caller who leaves before the end has nothing kept.
func TestLeaves(t *testing.T) {
	r := newRig(t, nil)
	a := ask{body: chatBody("Hi?", `"stream":true`)}
	gatewaytest.ServeSome(r.exchange(a), r.handler, 2)
	r.expect(a, "miss: answer 2")
}

// What tools say may be kept, if that is wanted.
func TestTools(t *testing.T) {
	r := newRig(t, func(c *cache.Config) { c.Tools = true })
	a := ask{body: `{"model":"m","messages":[{"role":"user","content":"Hi?"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"c","content":"1"}]}`}
	r.expect(a, "miss: answer 1")
	r.expect(a, "exact: answer 1")
	a.body = strings.Replace(a.body, `"1"`, `"2"`, 1)
	r.expect(a, "miss: answer 2")
}

// Answers that are out of date soon are kept for a short time.
func TestFresh(t *testing.T) {
	r := newRig(t, nil)
	a := ask{body: chatBody("What is the weather in Berlin today?")}
	r.expect(a, "miss: answer 1")
	r.expect(a, "exact: answer 1")
	r.host.SetNow(r.host.Now().Add(time.Minute))
	r.expect(a, "miss: answer 2")
	r = newRig(t, func(c *cache.Config) { c.FreshTTL = 0 })
	r.expect(a, "bypass: answer 1")
}

// What is about somebody is theirs alone, also where a tenant shares all else.
func TestPersonal(t *testing.T) {
	r := newRig(t, nil)
	a := ask{body: chatBody("When does my order arrive?"), user: "ann"}
	r.expect(a, "miss: answer 1")
	r.expect(a, "exact: answer 1")
	a.user = "bob"
	r.expect(a, "miss: answer 2")
	r.expect(a, "exact: answer 2")
	a.user = ""
	r.expect(a, "bypass: answer 3")
}

// A paced stream takes its time, and a caller can leave it.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *cache.Config) { c.Pace = 20 * time.Millisecond })
		r.provider.says = func(int, *chat.Request) *chat.Reply { return text(strings.Repeat("word ", 20)) }
		a := ask{body: chatBody("Hi?", `"stream":true`)}
		r.serve(a)
		start := time.Now()
		x := r.exchange(a)
		got := gatewaytest.Serve(x, r.handler)
		if n := len(got.Events); n < 6 || time.Since(start) != time.Duration(n-1)*20*time.Millisecond {
			t.Errorf("%d events in %s", n, time.Since(start))
		}
		if s := outcome(x, &got); s != "exact: "+strings.Repeat("word ", 20) {
			t.Error(s)
		}
		gone := r.exchange(a)
		time.AfterFunc(30*time.Millisecond, func() { gone.Cancel(gateway.ErrGone) })
		if got := gatewaytest.Serve(gone, r.handler); got.Error() == nil || got.Error().Status != gateway.StatusClientGone || len(got.Events) != 2 {
			t.Errorf("%v after %d events", got.Err, len(got.Events))
		}
	})
}

func TestPurge(t *testing.T) {
	r := newRig(t, nil)
	a, b := ask{body: chatBody("A?")}, ask{body: strings.Replace(chatBody("B?"), `"m"`, `"n"`, 1)}
	other := ask{body: chatBody("A?"), tenant: &gateway.Tenant{ID: "umbrella"}}
	for _, q := range []ask{a, b, other, a, b, other} {
		r.serve(q)
	}
	f := func(w gateway.CachePurge, taken int) {
		t.Helper()
		if got := r.plugin.Purge(w); got != taken {
			t.Errorf("%+v: %d taken", w, got)
		}
	}
	f(gateway.CachePurge{}, 0)
	f(gateway.CachePurge{Tenant: "acme", Model: "x"}, 0)
	f(gateway.CachePurge{Tenant: "acme", Model: "n"}, 1)
	r.expect(a, "exact: answer 1")
	r.expect(b, "miss: answer 4")
	x := r.exchange(b)
	id := ""
	for _, h := range gatewaytest.Serve(x, r.handler).Reply.Header {
		if h.Name == "x-sluice-cache-id" {
			id = h.Value
		}
	}
	f(gateway.CachePurge{Tenant: "umbrella", ID: id}, 0)
	f(gateway.CachePurge{Tenant: "acme", ID: id}, 1)
	r.expect(b, "miss: answer 5")
	f(gateway.CachePurge{Tenant: tenant.ID("acme")}, 2)
	r.expect(a, "miss: answer 6")
	r.expect(other, "exact: answer 3")
}

// Answers with a tag are purged together.
func TestTags(t *testing.T) {
	r := newRig(t, nil)
	a := ask{body: chatBody("A?"), header: []string{"X-Sluice-Cache-Tags", " docs, v2 ,," + strings.Repeat("x", 65) + strings.Repeat(",t", 20)}}
	b := ask{body: chatBody("B?"), header: []string{"X-Sluice-Cache-Tags", "docs"}}
	for _, q := range []ask{a, b, {body: chatBody("C?")}} {
		r.serve(q)
	}
	f := func(tag string, taken int) {
		t.Helper()
		if got := r.plugin.Purge(gateway.CachePurge{Tenant: "acme", Tag: tag}); got != taken {
			t.Errorf("%q: %d taken", tag, got)
		}
	}
	f("doc", 0)
	f(strings.Repeat("x", 65), 0)
	f("v2", 1)
	f("docs", 1)
	r.expect(ask{body: chatBody("C?")}, "exact: answer 3")
}

// What is in memory is bounded.
func TestBounded(t *testing.T) {
	r := newRig(t, func(c *cache.Config) { c.Exact.MaxSize, c.MaxAnswer = 1<<20, 1<<16 })
	r.provider.says = func(int, *chat.Request) *chat.Reply { return text(strings.Repeat("a", 8<<10)) }
	for i := range 1000 {
		r.serve(ask{body: chatBody(fmt.Sprint("Question ", i))})
	}
	deadline := time.Now().Add(10 * time.Second)
	for r.value("sluice_cache_bytes") > 1.05*(1<<20) && time.Now().Before(deadline) {
		r.serve(ask{body: chatBody("Once more?")})
	}
	if got := r.value("sluice_cache_bytes"); got > 1.05*(1<<20) || got < 1<<18 {
		t.Errorf("%v bytes", got)
	}
}

func TestValidate(t *testing.T) {
	c := cache.Defaults()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Exact.TTL, c.Pace, c.MaxAnswer = -1, -1, c.Exact.MaxSize+1
	err := c.Validate()
	for _, want := range []string{"exact.ttl", "pace", "max_answer"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v has nothing of %s", err, want)
		}
	}
}
