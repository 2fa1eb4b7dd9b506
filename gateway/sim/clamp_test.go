package sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/sim"
)

// clamp is a provider that is told how long its answer may be.
type clamp struct {
	gateway.Sender
	most int64
}

func (c clamp) Send(x *gateway.Exchange, t *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	a.MaxTokens = c.most
	return c.Sender.Send(x, t, a)
}

// TestProviderClamps limits answers in every dialect, whatever the request says, as package upstream does with a Server.
func TestProviderClamps(t *testing.T) {
	const limit = 20
	base := serve(t, &sim.Server{})
	f := func(kind, name, member string, choices int64) {
		t.Helper()
		for _, more := range []string{"", `,"stream":true`, `,"` + member + `":5000`, `,"` + member + `":null,"stream":true`, `,"` + member + `":3`} {
			if kind == "anthropic" && !strings.Contains(more, member+`":5`) && !strings.Contains(more, member+`":3`) {
				more += `,"max_tokens":400` // which must be there
				more = strings.Replace(more, `,"max_tokens":null`, "", 1)
			}
			const body = `{"model":"gpt-4.1","n":2,"prompt":"Say a lot.","input":"Write a long poem.",` +
				`"messages":[{"role":"user","content":"Write a long poem about the sea."}]`
			ask := strings.Replace(body, `"n":2,`, map[bool]string{true: `"n":2,`}[choices == 2], 1) + more + "}"
			here := send(exchangeAt(t, endpoint(t, name), ask), clamp{sim.New("p", sim.Options{}), limit}, -1)
			there := send(exchangeAt(t, endpoint(t, name), ask), clamp{gateAt(t, kind, endpoint(t, name), base, 10*time.Second).WithKey(""), limit}, -1)
			most := choices * limit
			if strings.Contains(more, `":3`) {
				most = choices * 3
			}
			for _, r := range []result{here, there} {
				if n := r.usage.Completion(); n > most || n == 0 || r.attempt.Status != 200 {
					t.Errorf("%s %s: %d tokens, %+v", name, ask, n, r.attempt)
				}
				if said := r.attempt.Said; said < r.usage.Completion()*4/5 || said > r.usage.Completion()*3/2+1 {
					t.Errorf("%s %s: %d tokens said, and %d counted", name, ask, said, r.usage.Completion())
				}
			}
			if a, b := here.attempt, there.attempt; a.Usage != b.Usage || a.Said != b.Said {
				t.Errorf("%s %s: here %+v, there %+v", name, ask, a, b)
			}
		}
	}
	f("openai", "chat.completions", "max_completion_tokens", 2)
	f("openai", "completions", "max_tokens", 2)
	f("openai", "responses.create", "max_output_tokens", 1)
	f("anthropic", "messages", "max_tokens", 1)
}
