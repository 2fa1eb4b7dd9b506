package gateway_test

import (
	"errors"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// priced is a directory whose provider p has a model m, at 1 picodollar for a token of the prompt and 2 for one of the answer.
func priced(t *testing.T) *gateway.Directory {
	t.Helper()
	c, err := catalog.New([]catalog.Entry{
		{Provider: "p", Name: "m", Prices: []catalog.Price{{Input: "0.000001", Output: "0.000002"}, {Tier: "flex", Input: "0.000003", Until: "2001-01-01"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return gateway.NewDirectory(gateway.Entries{Known: c.Lookup})
}

var counted = chat.Usage{Input: 10, Output: 5, Provenance: chat.Reported}

func TestCostOfAttempts(t *testing.T) {
	directory := priced(t)
	f := func(name string, want catalog.Cost, attempts ...gateway.Attempt) {
		t.Helper()
		x := exchange(nil)
		x.Directory = directory
		for _, from := range attempts {
			a := x.Attempting(&gateway.Target{Provider: "p", Model: from.Model})
			a.Status, a.Err, a.Usage, a.Sent = from.Status, from.Err, from.Usage, from.Sent
		}
		var seen catalog.Cost
		x.OnEnd(func(error) { // sees the cost of each
			seen.Known = true
			for _, a := range x.Attempts() {
				seen = seen.Plus(a.Cost)
			}
		})
		x.End(nil)
		if got := x.Cost(); got != want || seen != want {
			t.Errorf("%s: %+v, OnEnd has seen %+v, want %+v", name, got, seen, want)
		}
	}
	cost := func(n int64) catalog.Cost { return catalog.Cost{Picodollars: n, Known: true} }
	unknown := func(why catalog.Why) catalog.Cost { return catalog.Cost{Why: why} }
	answer := gateway.Attempt{Model: "m", Status: 200, Usage: counted}
	failed := func(status int, err error) gateway.Attempt {
		return gateway.Attempt{Model: "m", Status: status, Err: err}
	}
	flex := counted
	flex.Tier = "flex"
	cut := counted
	cut.Provenance = chat.Aborted

	f("nobody was asked", cost(0))
	f("an answer", cost(20), answer)
	f("an unknown model", unknown(catalog.NoModel), gateway.Attempt{Model: "other", Status: 200, Usage: counted})
	f("an answer without usage", unknown(catalog.NoUsage), failed(200, nil))
	f("the tier's price has expired", unknown(catalog.Expired), gateway.Attempt{Model: "m", Status: 200, Usage: flex})
	f("an answer that broke off", unknown(catalog.CutShort), gateway.Attempt{Model: "m", Status: 200, Usage: cut, Err: errors.New("cut")})
	f("no connection, then an answer", cost(20), failed(0, &gateway.Error{Code: gateway.CodeUnreachable, Origin: gateway.OriginUpstream}), answer)
	f("what the provider cannot do", cost(0), failed(0, &gateway.Error{Code: gateway.CodeUnsupported, Origin: gateway.OriginClient}))
	f("a rate limit, then an answer", cost(20), failed(429, nil), answer)
	f("a rate limit of an unknown model", cost(0), gateway.Attempt{Model: "other", Status: 429})
	f("a timeout, then an answer", unknown(catalog.NoUsage), failed(0, &gateway.Error{Code: gateway.CodeTimeout, Sent: true}), answer)
	f("a 500, then an answer", unknown(catalog.NoUsage), failed(500, nil), answer)
	f("an error in a 200", unknown(catalog.NoUsage), failed(200, &gateway.Error{Code: gateway.CodeInBand, Sent: true}))
	f("the caller left before anything was sent", cost(0), failed(0, gateway.ErrGone))
	f("the caller left before the answer", unknown(catalog.NoUsage), gateway.Attempt{Model: "m", Err: gateway.ErrGone, Sent: true})
	f("two answers", cost(40), answer, answer)
}

func TestFreeEndpoint(t *testing.T) {
	x := &gateway.Exchange{}
	x.Init("req_1", &gateway.Endpoint{Name: "files.list", Free: true}, noHeader{}, nil)
	x.Attempting(&gateway.Target{Provider: "p"}).Status = 200
	if c := x.Cost(); c != (catalog.Cost{Known: true}) {
		t.Errorf("a list of files costs %+v", c)
	}
}

// A cost is known as soon as the usage is, and stays.
func TestCostBeforeTheEnd(t *testing.T) {
	x := exchange(nil)
	x.Directory = priced(t)
	a := x.Attempting(&gateway.Target{Provider: "p", Model: "m"})
	if c := x.Cost(); c.Known || c.Why != catalog.NoUsage {
		t.Errorf("under way: %+v", c)
	}
	a.Status, a.Usage = 200, counted
	if c := x.Cost(); c.USD() != "0.00000000002" {
		t.Errorf("answered: %s", c.USD())
	}
	a.Usage = chat.Usage{}
	if c := x.Cost(); c.USD() != "0.00000000002" {
		t.Errorf("a known cost became %s", c.USD())
	}
}

// What a target knows of its model is not looked up; other names are.
func TestKnown(t *testing.T) {
	d := priced(t)
	m := d.Known("p", "m")
	if m == nil || d.Known("p", "n") != nil || (*gateway.Directory)(nil).Known("p", "m") != nil || gateway.NewDirectory(gateway.Entries{}).Known("p", "m") != nil {
		t.Fatalf("known: %v", m)
	}
	x := exchange(nil)
	x.Directory, x.Plan.Matched = d, "m"
	if a := x.Attempting(&gateway.Target{Provider: "p", Model: "*"}); a.Known != m {
		t.Errorf("a wildcard: %v", a.Known)
	}
	own := &catalog.Model{}
	if a := x.Attempting(&gateway.Target{Provider: "p", Model: "m", Known: own}); a.Known != own {
		t.Errorf("a name: %v", a.Known)
	}
}

func TestCostAllocatesNothing(t *testing.T) {
	d := priced(t)
	target, e := &gateway.Target{Provider: "p", Model: "m"}, &gateway.Endpoint{Name: "chat.completions"}
	if n := testing.AllocsPerRun(100, func() {
		x := gateway.Exchange{Directory: d}
		x.Init("req_1", e, noHeader{}, nil)
		a := x.Attempting(target)
		a.Status, a.Usage = 200, counted
		if x.Cost().Picodollars != 20 {
			t.Fatal("not priced")
		}
	}); n > 1 { // the exchange
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCost(b *testing.B) {
	c, err := catalog.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	f := func(name string, target *gateway.Target) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			x := exchange(nil)
			x.Directory = gateway.NewDirectory(gateway.Entries{Known: c.Lookup})
			for b.Loop() {
				a := x.Attempts()
				if len(a) == 0 {
					x.Attempting(target)
					continue
				}
				a[0].Status, a[0].Usage, a[0].Cost, a[0].Known = 200, counted, catalog.Cost{}, target.Known
				if a[0].Known == nil {
					a[0].Known = x.Directory.Known("openai", "gpt-5.5-2026-04-23")
				}
				if !x.Cost().Known {
					b.Fatal("not priced")
				}
			}
		})
	}
	f("known", &gateway.Target{Provider: "openai", Model: "gpt-5.5", Known: c.Lookup("openai", "gpt-5.5")})
	f("looked up", &gateway.Target{Provider: "openai", Model: "gpt-5.5"})
}

// What is charged by pictures or characters has a cost although nobody reports a usage, if it has a price by them and the
// answer is complete; otherwise the cost is not known, and never nothing.
func TestCostWithoutUsage(t *testing.T) {
	c, err := catalog.New([]catalog.Entry{
		{Provider: "p", Name: "speaker", Prices: []catalog.Price{{Characters: "15"}}},
		{Provider: "p", Name: "painter", Prices: []catalog.Price{{Image: "0.04"}}},
		{Provider: "p", Name: "by-token", Prices: []catalog.Price{{Input: "1", Output: "2"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	directory := gateway.NewDirectory(gateway.Entries{Known: c.Lookup})
	speech := gateway.Endpoint{Name: "audio.speech", Counts: catalog.Characters}
	images := gateway.Endpoint{Name: "images.generations", Counts: catalog.Images}
	f := func(want string, e gateway.Endpoint, model, ask string, kind gateway.Kind, usage chat.Usage, end error) {
		t.Helper()
		x := &gateway.Exchange{Directory: directory}
		x.Init("req_1", &e, noHeader{}, &body{text: ask})
		if err := x.Request.Open(); err != nil {
			t.Fatal(err)
		}
		x.Attempting(&gateway.Target{Provider: "p", Model: "by-token"}).Status = 429
		a := x.Attempting(&gateway.Target{Provider: "p", Model: model})
		a.Status = 200
		x.Reply = &gateway.Reply{Status: 200, Kind: kind, Stream: gateway.Once(nil)}
		x.Commit()
		a.Usage = usage
		if got := x.Cost().USD(); kind == gateway.Whole && got != want || kind != gateway.Whole && usage.Provenance == chat.Unknown && got != "unknown" {
			t.Errorf("%s of %s: %s when the reply begins", e.Name, model, got)
		}
		x.End(end)
		if got := x.Cost().USD(); got != want {
			t.Errorf("%s of %s with %s: %s, want %s", e.Name, model, ask, got, want)
		}
	}
	var none chat.Usage
	const text = `{"model":"m","input":"h\u00e9llo w\u00f6rld"}` // 11 characters
	f("0.000165", speech, "speaker", text, gateway.Bytes, none, nil)
	f("0.000165", speech, "speaker", text, gateway.Whole, none, nil)
	f("0.000165", speech, "speaker", text, gateway.Whole, none, gateway.ErrGone) // the provider has said all
	f("unknown", speech, "speaker", text, gateway.Bytes, none, gateway.ErrGone)
	f("unknown", speech, "speaker", text, gateway.Bytes, chat.Usage{Provenance: chat.Aborted}, nil)
	f("unknown", speech, "speaker", text, gateway.Bytes, counted, nil) // tokens have no price
	f("unknown", speech, "by-token", text, gateway.Bytes, none, nil)
	f("0.00002", speech, "by-token", text, gateway.Events, counted, nil)
	f("unknown", speech, "another", text, gateway.Bytes, none, nil)
	f("unknown", speech, "speaker", `{"model":"m"}`, gateway.Bytes, none, nil)
	f("unknown", speech, "painter", text, gateway.Bytes, none, nil)
	f("0.04", images, "painter", `{"model":"m","prompt":"a cat"}`, gateway.Whole, none, nil)
	f("0.12", images, "painter", `{"model":"m","prompt":"a cat","n":3}`, gateway.Whole, none, nil)
	f("unknown", images, "by-token", `{"model":"m","prompt":"a cat"}`, gateway.Whole, none, nil)
	f("unknown", gateway.Endpoint{Name: "images.variations"}, "painter", `{"model":"m"}`, gateway.Whole, none, nil)
}
