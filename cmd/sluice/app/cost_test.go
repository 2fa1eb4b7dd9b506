package app

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// TestCosts follows the cost of an exchange to each place where it is told, and a price that changes under a provider that
// stays as it is.
func TestCosts(t *testing.T) {
	_, up := simulate(t, fast())
	file := gatewayFile("ordered", up)
	s := start(t, file+"catalog:\n  - {provider: p0, model: sim-chat, prices: [{input: 1, output: 2}]}\n")
	defer s.stop()
	c := client(t)
	var reply struct {
		Usage struct {
			Prompt     int64 `json:"prompt_tokens"`
			Completion int64 `json:"completion_tokens"`
		}
	}
	metrics := func() string { return get(t, c, "http://"+s.AdminAddress().String()+"/metrics", "").body }
	cost := func(in, out int64) string { // at prices in dollars a million tokens
		return string(catalog.AppendUSD(nil, (reply.Usage.Prompt*in+reply.Usage.Completion*out)*1_000_000))
	}
	told := func(in, out int64, times int) {
		t.Helper()
		a := s.ask(c, unary("sim-chat"))
		if err := json.Unmarshal([]byte(a.body), &reply); err != nil || reply.Usage.Prompt == 0 {
			t.Fatal(err, a.body)
		}
		want := cost(in, out)
		if got := a.header.Get("X-Sluice-Cost-Usd"); got != want {
			t.Errorf("the head says %q, want %q", got, want)
		}
		until(t, "the log says the cost", func() bool { return strings.Count(s.logs.String(), `"cost_usd":`+want+`,`) == times })
	}
	told(1, 2, 1)
	if all := metrics(); !strings.Contains(all, `sluice_cost_usd_total{model="sim-*",provider="p0",tenant="acme"} `) || strings.Contains(all, "sluice_cost_unknown_total{") {
		t.Errorf("metrics\n%s", all)
	}
	s.write("sluice.yaml", file+"catalog:\n  - {provider: p0, model: sim-chat, prices: [{input: 10, output: 20}]}\n")
	s.reload()
	told(10, 20, 1)

	if a := s.ask(c, streamed("sim-chat")); !a.good(true) || a.header.Get("X-Sluice-Cost-Usd") != "" {
		t.Errorf("a stream: %+v", a)
	}
	until(t, "the log says the cost of the stream", func() bool { return strings.Count(s.logs.String(), `"cost_usd":`+cost(10, 20)+`,`) == 2 })
	if a := s.ask(c, unary("sim-fast")); !a.good(false) || a.header.Get("X-Sluice-Cost-Usd") != "" {
		t.Errorf("an unknown model: %+v", a)
	}
	until(t, "an unknown cost is counted", func() bool {
		return strings.Contains(metrics(), `sluice_cost_unknown_total{model="sim-*",provider="p0",reason="model_unknown"} 1`)
	})
	if !strings.Contains(s.logs.String(), `"cost":"unknown","cost_reason":"model unknown"`) {
		t.Errorf("the log is\n%s", s.logs.String())
	}

	s.write("sluice.yaml", file+"catalog:\n  - {provider: p0, model: sim-chat, like: openai/gpt-none}\n")
	s.reload() // changes nothing
	told(10, 20, 3)
}

// Speech is charged by the characters that were asked for, because sound has no place for a usage.
func TestCostOfSpeech(t *testing.T) {
	_, up := simulate(t, fast())
	s := start(t, gatewayFile("ordered", up)+"catalog:\n  - {provider: p0, model: sim-chat, prices: [{characters: 15}]}\n")
	defer s.stop()
	q, err := http.NewRequest(http.MethodPost, "http://"+s.Address().String()+"/v1/audio/speech", strings.NewReader(`{"model":"sim-chat","voice":"alloy","input":"h\u00e9llo world"}`))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+testKey)
	r, err := client(t).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if sound, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK || len(sound) == 0 {
		t.Fatalf("%d %v %.200q", r.StatusCode, err, sound)
	}
	until(t, "the log says the cost", func() bool { return strings.Contains(s.logs.String(), `"cost_usd":0.000165,`) })
}
