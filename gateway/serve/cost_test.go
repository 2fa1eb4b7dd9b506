package serve_test

import (
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// The head of a whole reply says what it cost, if that is known; that of a stream cannot.
func TestCostHeader(t *testing.T) {
	all, err := catalog.New([]catalog.Entry{{Provider: "p", Name: "m", Prices: []catalog.Price{{Input: "0.40", Output: "1.60"}}}})
	if err != nil {
		t.Fatal(err)
	}
	known, usage := all.Lookup("p", "m"), chat.Usage{Input: 19, Output: 7, Provenance: chat.Reported}
	f := func(name, want string, kind gateway.Kind, attempts ...gateway.Attempt) {
		t.Helper()
		s := start(t, func(x *gateway.Exchange) error {
			for _, from := range attempts {
				a := x.Attempting(&gateway.Target{Provider: "p", Model: "m", Known: from.Known})
				a.Status, a.Usage = from.Status, from.Usage
			}
			x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Kind: kind, Stream: gateway.Once([]byte("{}"))}
			return nil
		})
		c := s.dial()
		c.send(request("POST", "/v1/chat/completions", minimal, "Content-Type: application/json"))
		r, _ := c.response()
		if got := r.Header.Get("X-Sluice-Cost-Usd"); got != want || len(r.Header.Values("X-Sluice-Cost-Usd")) > 0 != (want != "") {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	answer := gateway.Attempt{Known: known, Status: 200, Usage: usage}
	f("an answer", "0.0000188", gateway.Whole, answer)
	f("the second after a refusal", "0.0000188", gateway.Whole, gateway.Attempt{Status: 429}, answer)
	f("the second after a failure", "", gateway.Whole, gateway.Attempt{Known: known, Status: 500}, answer)
	f("an unknown model", "", gateway.Whole, gateway.Attempt{Status: 200, Usage: usage})
	f("no usage", "", gateway.Whole, gateway.Attempt{Known: known, Status: 200})
	f("nobody was asked", "", gateway.Whole)
	f("a stream", "", gateway.Events, answer)
}

// Every reply to which a provider was asked says which, and as what model, if there is one.
func TestTargetHeaders(t *testing.T) {
	check := func(model string, want ...string) {
		t.Helper()
		s := start(t, func(x *gateway.Exchange) error {
			x.Attempting(&gateway.Target{Provider: "p", Model: model})
			x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Stream: gateway.Once([]byte("{}"))}
			return nil
		})
		c := s.dial()
		c.send(request("POST", "/v1/chat/completions", minimal, "Content-Type: application/json"))
		r, _ := c.response()
		if r.Header.Get("X-Sluice-Provider") != "p" || !slices.Equal(r.Header.Values("X-Sluice-Model"), want) {
			t.Errorf("%q: %v", model, r.Header)
		}
	}
	check("m", "m")
	check("") // of a file
}
