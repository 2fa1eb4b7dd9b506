package app

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/sim"
)

// A second attempt overtakes one that is late, in every dialect and translation, and the one that lost is given up at once:
// its provider sees the gateway go. All of it is in the log, and the winner's answer is the caller's.
func TestHedging(t *testing.T) {
	slow, late := simulate(t, sim.Options{FirstToken: time.Minute, TokensPerSecond: 1e6, Seed: 1})
	_, quick := simulate(t, fast())
	file := "version: 1\nserver: {listen: \"127.0.0.1:0\", admin_listen: \"127.0.0.1:0\", drain_timeout: 20s}\nproviders:\n"
	for _, p := range [][3]string{
		{"late", "openai-compatible", late + "/v1"},
		{"quick", "openai-compatible", quick + "/v1"},
		{"late-claude", "anthropic", late},
		{"quick-claude", "anthropic", quick},
	} {
		file += fmt.Sprintf("  - {name: %s, type: %s, base_url: \"http://%s\", keys: [{name: main, key: provider-secret}]}\n", p[0], p[1], p[2])
	}
	file += "models:\n"
	models := map[string][2]string{"same": {"late", "quick"}, "one": {"late", "quick-claude"}, "both": {"late-claude", "quick-claude"}}
	for name, targets := range models {
		file += fmt.Sprintf("  - {name: %s, strategy: ordered, hedge: {after: 30ms, budget: 100%%}, targets: [{provider: %s, model: sim-chat}, {provider: %s, model: sim-chat}]}\n",
			name, targets[0], targets[1])
	}
	s := start(t, file)
	defer s.stop()
	c := client(t)
	var work sync.WaitGroup
	const each = 5
	for model := range models {
		for range each {
			for _, stream := range []bool{false, true} {
				work.Go(func() {
					body := unary(model)
					if stream {
						body = streamed(model)
					}
					a := s.ask(c, body)
					if !a.good(stream) || !strings.HasPrefix(a.header.Get("X-Sluice-Provider"), "quick") || a.header.Get("X-Sluice-Attempts") != "2" {
						t.Errorf("%s, stream %v: %+v", model, stream, a)
					}
				})
			}
		}
	}
	work.Wait()
	until(t, "the slow provider is given up", func() bool { return slow.Stats().GoneBefore == 6*each })
	until(t, "all is logged", func() bool { return strings.Count(s.logs.String(), `"outcome":"lost"`) == 6*each })
	if n := strings.Count(s.logs.String(), `"hedged":true`); n != 6*each {
		t.Errorf("%d second attempts are logged", n)
	}
}
