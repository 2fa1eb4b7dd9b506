package redis_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// asked is a request of one line, as a history has it.
type asked struct {
	node                  int
	seq                   int64
	used, has, need, want int64
}

// answered is what came of it. What is unknown may have been done, may still be, or never.
type answered struct {
	unknown          bool
	total, remaining int64
	refused          bool
}

// known is what a pool knows of each node.
type known [3]struct{ seq, total int64 }

const historyLimit = 100

// poolModel is what a pool is: whatever nodes do at once, it is as if they had come one after the other.
func poolModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return known{} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(known), input.(asked), output.(answered)
			if in.seq < s[in.node].seq {
				return out.unknown, s // late: not done
			}
			s[in.node].seq = in.seq
			had := max(s[in.node].total, in.has)
			free := historyLimit - had
			for i := range s {
				if i != in.node {
					free -= s[i].total
				}
			}
			refused, most := in.need > had+max(free, 0), had
			if !refused {
				most += max(free, 0)
			}
			total := max(in.used, min(in.want, most))
			s[in.node].total = total
			want := answered{total: total, remaining: free + had - total, refused: refused}
			return out.unknown || out == want, s
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v %+v", in, out) },
	}
}

// Three nodes draw at the same time on a bad network, which now and then keeps requests and answers back. What they hear fits
// one order of what they asked.
func TestHistories(t *testing.T) {
	r := longUp(t)
	unknown := 0
	for round := range 8 {
		history := record(t, r, tenant.ID(fmt.Sprintf("round-%d", round)), round)
		for _, op := range history {
			if op.Output.(answered).unknown {
				unknown++
			}
		}
		if got := porcupine.CheckOperationsTimeout(poolModel(), history, servers.Patience); got != porcupine.Ok {
			for _, op := range history {
				t.Logf("%d %d-%d %+v %+v", op.ClientId, op.Call, op.Return, op.Input, op.Output)
			}
			t.Fatalf("round %d: %s", round, got)
		}
	}
	if unknown == 0 {
		t.Error("nothing was ever unknown")
	}
	t.Logf("%d outcomes were unknown", unknown)
}

// record has three nodes draw, and writes down what they ask and hear.
func record(t *testing.T, r *servers.Redis, id tenant.ID, seed int) []porcupine.Operation {
	var (
		mu      sync.Mutex
		history []porcupine.Operation
		nodes   sync.WaitGroup
		began   = time.Now()
	)
	for i := range 3 {
		name := string(rune('a' + i))
		proxy := servers.StartProxy(t, r.Addr())
		k := newTalk(t, open(t, "redis://"+proxy.Addr(), name), id, name)
		nodes.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), uint64(seed)))
			in := asked{node: i}
			has := int64(0)
			for range 40 {
				if in.seq == 0 || random.IntN(6) > 0 { // else the same again
					in = asked{node: i, seq: in.seq + 1, used: random.Int64N(has + 1), want: random.Int64N(80)}
					if random.IntN(2) == 0 {
						in.need = in.used + random.Int64N(20)
						in.want = max(in.want, in.need)
					}
					has = min(has, max(in.want, in.used)) // given back
					in.has = has
				}
				if random.IntN(8) == 0 {
					proxy.Part()
				}
				call := time.Since(began)
				out := k.ask(in)
				end := time.Since(began)
				proxy.Heal()
				if out.unknown {
					end = math.MaxInt64
				} else {
					has = out.total
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: i, Input: in, Output: out, Call: int64(call), Return: int64(end)})
				mu.Unlock()
			}
		})
	}
	nodes.Wait()
	return history
}

// ask asks for one line, and does not wait long.
func (k *talk) ask(in asked) answered {
	k.Seq = in.seq
	k.Lines = []meter.Line{{Account: month, Limit: historyLimit, Used: in.used, Spent: in.used, Has: in.has, Need: in.need, Want: in.want}}
	ctx, cancel := context.WithTimeout(k.t.Context(), 25*time.Millisecond)
	defer cancel()
	r, err := k.pool.Draw(ctx, &k.Request)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return answered{unknown: true}
	case err != nil:
		k.t.Errorf("%+v: %v", in, err)
		return answered{unknown: true}
	}
	return answered{total: r.Answers[0].Total, remaining: r.Answers[0].Remaining, refused: r.Refused >= 0}
}
