package cache_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

const pause = 100 * time.Millisecond

// pausing is a provider that takes its time before a reply and before each event, unless its exchange is over.
func pausing(p *provider) {
	nap := func(x *gateway.Exchange) error {
		select {
		case <-time.After(pause):
			return nil
		case <-x.Context().Done():
			return x.Cause()
		}
	}
	p.waits = func(x *gateway.Exchange, _ int) error { return nap(x) }
	p.at = func(x *gateway.Exchange, _, n int) error {
		if x.Idle != nil {
			if err := x.Idle(); err != nil {
				return err
			}
		}
		return nap(x)
	}
}

// one is a request that is under way, and what came of it.
type one struct {
	x    *gateway.Exchange
	got  gatewaytest.Answer
	at   time.Duration // when it was over
	told string
}

// crowd sends requests, each some time after the one before, and waits for all.
func (r *rig) crowd(after time.Duration, list ...ask) []*one {
	r.t.Helper()
	start := time.Now()
	ones := make([]*one, len(list))
	var all sync.WaitGroup
	for i, a := range list {
		ones[i] = &one{x: r.exchange(a)}
		all.Go(func() {
			o := ones[i]
			o.got = gatewaytest.Serve(o.x, r.handler)
			o.told, o.at = outcome(o.x, &o.got), time.Since(start)
		})
		if after > 0 {
			<-time.After(after)
		}
	}
	all.Wait()
	return ones
}

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		pausing(r.provider)
		f(r)
	})
}

// Identical requests at once are one call, whatever form each wants.
func TestOneCall(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		for _, more := range []string{`"stream":false`, `"stream":true`} {
			inBubble(t, func(r *rig) {
				list := make([]ask, 1000)
				for i := range list {
					list[i] = ask{body: chatBody("Hi?", more)}
					switch {
					case !mixed:
					case i%4 == 1:
						list[i] = ask{body: chatBody("Hi?", `"stream":true`)}
					case i%4 == 2:
						list[i] = ask{body: chatBody("Hi?")}
					case i%4 == 3:
						list[i] = ask{endpoint: "responses.create", body: `{"model":"m","stream":true,"input":"Hi?"}`}
					}
				}
				count := map[string]int{}
				for _, o := range r.crowd(0, list...) {
					count[o.told]++
					if o.x.Replay != nil && (o.x.Replay.Of != paid || o.x.Replay.How == ledger.Coalesced && o.x.Replay.Usage != used) {
						r.t.Errorf("%+v", o.x.Replay)
					}
				}
				if r.provider.called() != 1 || count["miss: answer 1"] != 1 || count["coalesced: answer 1"] != 999 {
					r.t.Errorf("%s, mixed %t: %d calls, %v", more, mixed, r.provider.called(), count)
				}
				r.expect(list[0], "exact: answer 1")
			})
		}
	}
}

// Who comes late gets what has passed, and then follows: it has the answer when the first has it.
func TestLateJoiners(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.provider.says = func(int, *chat.Request) *chat.Reply { return text(strings.Repeat("more ", 8)) }
		a := ask{body: chatBody("Hi?", `"stream":true`)}
		ones := r.crowd(4*pause+pause/2, a, a, a)
		first := len(ones[0].got.Events)
		for i, o := range ones {
			if want := strings.Repeat("more ", 8); !strings.HasSuffix(o.told, want) || o.at != ones[0].at {
				r.t.Errorf("%d: %s after %s, not %s", i, o.told, o.at, ones[0].at)
			}
			if n := len(o.got.Events); i > 0 && (n > first-i || n < 4) {
				r.t.Errorf("%d got %d events, the first %d", i, n, first)
			}
		}
		if r.provider.called() != 1 {
			r.t.Errorf("%d calls", r.provider.called())
		}
	})
}

// Followers hear the leader's heartbeats.
func TestBeats(t *testing.T) {
	inBubble(t, func(r *rig) {
		a := ask{body: chatBody("Hi?", `"stream":true`)}
		beats := 0
		lead, follow := r.exchange(a), r.exchange(a)
		lead.Idle = func() error { return nil }
		follow.Idle = func() error { beats++; return nil }
		var all sync.WaitGroup
		all.Go(func() { gatewaytest.Serve(lead, r.handler) })
		synctest.Wait()
		all.Go(func() { gatewaytest.Serve(follow, r.handler) })
		all.Wait()
		if beats < 3 {
			r.t.Errorf("%d beats", beats)
		}
	})
}

// The leader's client leaves, before the answer or in the middle of it: the others have all of it.
func TestLeaderLeaves(t *testing.T) {
	for _, more := range []string{`"stream":false`, `"stream":true`} {
		for _, after := range []time.Duration{pause / 2, pause + pause/2, 3*pause + pause/2} {
			inBubble(t, func(r *rig) {
				a := ask{body: chatBody("Hi?", more)}
				lead := r.exchange(a)
				lead.Idle = func() error { return lead.Cause() }
				var all sync.WaitGroup
				var got gatewaytest.Answer
				all.Go(func() { got = leaving(lead, r.handler, after) })
				synctest.Wait()
				ones := r.crowd(0, a, a, a)
				all.Wait()
				for _, o := range ones {
					if o.told != "coalesced: answer 1" {
						r.t.Errorf("%s, after %s: %s", more, after, o.told)
					}
				}
				if r.provider.called() != 1 || got.Err == nil && after < pause {
					r.t.Errorf("%s, after %s: %d calls, and the leader had %v", more, after, r.provider.called(), got.Err)
				}
				r.expect(a, "exact: answer 1")
			})
		}
	}
}

// leaving is a caller who leaves after a time: the transport learns that at once, and from the next thing that it writes.
func leaving(x *gateway.Exchange, h gateway.Handler, after time.Duration) (got gatewaytest.Answer) {
	var left atomic.Bool
	time.AfterFunc(after, func() { left.Store(true); x.Cancel(gateway.ErrGone) })
	idle := x.Idle
	x.Idle = func() error {
		if left.Load() {
			return gateway.ErrGone
		}
		return idle()
	}
	got.Err = h.Serve(x)
	if got.Err == nil {
		for !left.Load() && got.Err == nil {
			_, got.Err = x.Reply.Stream.Next()
		}
		if e := x.Reply.Stream.Close(); left.Load() {
			got.Err = errors.Join(gateway.ErrGone, e)
		}
	}
	x.End(got.Err)
	return got
}

// If all have left, nobody is asked any more.
func TestAllLeave(t *testing.T) {
	for _, more := range []string{`"stream":false`, `"stream":true`} {
		inBubble(t, func(r *rig) {
			a := ask{body: chatBody("Hi?", more)}
			ended := make(chan error, 1)
			was := r.provider.waits
			r.provider.waits = func(x *gateway.Exchange, call int) error {
				<-time.After(pause / 4)
				err := was(x, call)
				ended <- err
				return err
			}
			lead, follow := r.exchange(a), r.exchange(a)
			var all sync.WaitGroup
			all.Go(func() { gatewaytest.Serve(lead, r.handler) })
			synctest.Wait()
			all.Go(func() { gatewaytest.Serve(follow, r.handler) })
			synctest.Wait()
			lead.Cancel(gateway.ErrGone)
			if lead.Err() != nil {
				r.t.Error("the leader ended with its client, though somebody waits")
			}
			follow.Cancel(gateway.ErrGone)
			all.Wait()
			if err := <-ended; !errors.Is(err, gateway.ErrGone) || !errors.Is(lead.Cause(), gateway.ErrGone) {
				r.t.Errorf("%v, %v", err, lead.Cause())
			}
			r.expect(a, "miss: answer 2")
		})
	}
}

// A leader that fails is followed by one of those who wait; if several fail, each asks for itself.
func TestLeaderFails(t *testing.T) {
	for _, c := range []struct{ failures, calls int }{{1, 2}, {2, 3}, {3, 20}} {
		for _, more := range []string{`"stream":false`, `"stream":true`} {
			inBubble(t, func(r *rig) {
				r.provider.fails = func(call int) error {
					if call <= c.failures {
						return &gateway.Error{Status: 503, Code: "overloaded"}
					}
					return nil
				}
				a := ask{body: chatBody("Hi?", more)}
				list := make([]ask, 20)
				for i := range list {
					list[i] = a
				}
				count := map[string]int{}
				for _, o := range r.crowd(0, list...) {
					what, _, _ := strings.Cut(o.told, ":")
					count[what]++
				}
				if r.provider.called() != c.calls || count["overloaded"] != c.failures || count["miss"]+count["coalesced"]+count["exact"] != 20-c.failures {
					r.t.Errorf("%s, %d failures: %d calls, %v", more, c.failures, r.provider.called(), count)
				}
			})
		}
	}
}

// A stream that breaks off breaks off for those who have some of it; those who have nothing yet get another.
func TestBreaksOff(t *testing.T) {
	inBubble(t, func(r *rig) {
		was := r.provider.at
		r.provider.at = func(x *gateway.Exchange, call, n int) error {
			if call == 1 && n == 3 {
				return &gateway.Error{Status: 502, Code: "upstream_cut"}
			}
			return was(x, call, n)
		}
		stream := ask{body: chatBody("Hi?", `"stream":true`)}
		ones := r.crowd(pause/4, stream, stream, ask{body: chatBody("Hi?")})
		if a, b := ones[0].told, ones[1].told; !strings.HasSuffix(a, "(upstream_cut)") || !strings.HasSuffix(b, "(upstream_cut)") {
			r.t.Errorf("%s; %s", a, b)
		}
		if got := ones[2].told; got != "miss: answer 2" {
			r.t.Error(got)
		}
		if failure := ones[1].got.Reply.Failure(nil, chat.Error{Message: "it broke"}); !strings.Contains(string(failure), "it broke") {
			r.t.Errorf("%s", failure)
		}
	})
}

// Requests that forbid it, and those of others, share nothing.
func TestApart(t *testing.T) {
	f := func(calls int, list ...ask) {
		t.Helper()
		inBubble(t, func(r *rig) {
			r.crowd(0, list...)
			if got := r.provider.called(); got != calls {
				t.Errorf("%d calls, not %d", got, calls)
			}
		})
	}
	q := chatBody("Hi?")
	f(1, ask{body: q}, ask{body: q})
	f(2, ask{body: q, header: []string{"Cache-Control", "no-cache"}}, ask{body: q})
	f(2, ask{body: q, header: []string{"Cache-Control", "no-store"}}, ask{body: q, header: []string{"Cache-Control", "no-store"}})
	f(2, ask{body: q}, ask{body: q, tenant: &gateway.Tenant{ID: "umbrella"}})
	f(2, ask{body: q}, ask{body: chatBody("Ho?")})
	f(2, ask{body: chatBody("Hi?", `"n":2`)}, ask{body: chatBody("Hi?", `"n":2`)})
	metered := &gateway.Tenant{ID: "acme", Budgets: []tenant.Budget{{Mode: tenant.Metered}}}
	f(2, ask{body: q, tenant: metered}, ask{body: q, tenant: metered})

	r := newRig(t, func(c *cache.Config) { c.Coalesce = false })
	var arrived sync.WaitGroup
	arrived.Add(2)
	r.provider.waits = func(*gateway.Exchange, int) error { arrived.Done(); arrived.Wait(); return nil }
	r.crowd(0, ask{body: q}, ask{body: q})
	if got := r.provider.called(); got != 2 {
		t.Errorf("%d calls", got)
	}
}

// What is not kept is shared all the same by those who waited for it, and by nobody else.
func TestSharedNotKept(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.provider.says = func(call int, _ *chat.Request) *chat.Reply {
			s := text(fmt.Sprint("cut ", call))
			s.Choices[0].Finish = chat.FinishLength
			return s
		}
		a := ask{body: chatBody("Hi?")}
		ones := r.crowd(0, a, a, ask{body: chatBody("Hi?", `"stream":true`)})
		count := map[string]int{}
		for _, o := range ones {
			count[o.told]++
		}
		if count["miss: cut 1"] != 1 || count["coalesced: cut 1"] != 2 {
			r.t.Error(count)
		}
		r.expect(a, "miss: cut 2")
	})
}

// The same with the clock and the goroutines of the real world: for the race detector.
func TestCrowd(t *testing.T) {
	r := newRig(t, nil)
	r.provider.says = func(call int, q *chat.Request) *chat.Reply {
		question, _, _ := strings.Cut(q.Messages[0].Parts[0].Text, "?")
		return text(question + strings.Repeat(" and so on", 50))
	}
	var all sync.WaitGroup
	for i := range 400 {
		all.Go(func() {
			question := fmt.Sprint("Q", i%5)
			a := ask{body: chatBody(question+"?", fmt.Sprintf(`"stream":%t`, i%2 == 0))}
			if i%7 == 0 {
				gatewaytest.ServeSome(r.exchange(a), r.handler, i%3)
				return
			}
			if got := r.serve(a); !strings.HasSuffix(got, ": "+question+strings.Repeat(" and so on", 50)) {
				t.Error(got)
			}
		})
	}
	all.Wait()
}
