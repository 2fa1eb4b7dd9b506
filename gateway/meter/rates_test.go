package meter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// gcra is the algorithm as ITU-T I.371 has it, by the theoretical arrival time. Times are in ns/limit, so that it is exact.
type gcra struct{ limit, tat int64 }

const emission = int64(time.Minute)

func (g *gcra) take(now time.Duration, n int64) bool {
	fits := g.short(now, n) <= 0
	if fits {
		g.force(now, n)
	}
	return fits
}

// force takes what may not be there.
func (g *gcra) force(now time.Duration, n int64) { g.tat = max(g.tat, int64(now)*g.limit) + n*emission }

// short is how much is missing for n.
func (g *gcra) short(now time.Duration, n int64) int64 {
	at := int64(now) * g.limit
	return max(g.tat, at) + n*emission - at - g.limit*emission
}

// give changes what was taken: back, or more of it, which may be a debt.
func (g *gcra) give(now time.Duration, n int64) { g.tat = max(g.tat, int64(now)*g.limit) - n*emission }

// after is when n can be taken.
func (g *gcra) after(now time.Duration, n int64) time.Duration {
	return time.Duration((g.short(now, n) + g.limit - 1) / g.limit)
}

func (g *gcra) remaining(now time.Duration) int64 {
	at := int64(now) * g.limit
	return max((g.limit*emission-max(g.tat-at, 0))/emission, 0)
}

// Limits so small that a node holds no slice of them are decided exactly as the algorithm does, with debts. Once something was
// given back there may be a part of a unit more, which the algorithm would have lost: never a whole one.
func TestSmallRatesAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) { // without a Deadline, which a bubble has not
			m := meter.New(meter.Options{Pool: meter.NewLocal(), Node: "a"})
			defer m.Close(t.Context())
			s := &smallRates{T: t, acme: m.Tenant("acme"), began: time.Now(), exact: true}
			s.limits = tenant.Limits{Requests: rapid.Int64Range(1, 7).Draw(t, "requests"), Tokens: rapid.Int64Range(1, 7).Draw(t, "tokens")}
			s.requests.limit, s.tokens.limit = s.limits.Requests, s.limits.Tokens
			for range rapid.IntRange(1, 40).Draw(t, "steps") {
				switch rapid.IntRange(0, 3).Draw(t, "what") {
				case 0:
					pause(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")))
				case 1:
					s.leave()
				default:
					s.admit(rapid.Int64Range(1, s.limits.Tokens).Draw(t, "estimate"))
				}
			}
		})
	})
}

// What an exchange gives back that lasted for longer than the pool remembers a silent node comes back all the same.
func TestGivesBackAfterSilence(t *testing.T) {
	bubble(t, meter.Options{}, func(t *testing.T, m *meter.Meters) {
		acme, all := m.Tenant("acme"), []meter.Ask{{Limits: tenant.Limits{Requests: 1, Tokens: 3}}}
		first := new(meter.Hold)
		if r, ok := acme.Admit(t.Context(), first, 3, all); !ok {
			t.Fatalf("%+v", r)
		}
		pause(meter.NodeTimeout + 5*time.Second)
		first.Undo()
		pause(time.Second)
		if r, ok := acme.Admit(t.Context(), new(meter.Hold), 3, all); !ok {
			t.Errorf("%+v", r)
		}
	})
}

type smallRates struct {
	*rapid.T
	acme             *meter.Tenant
	limits           tenant.Limits
	requests, tokens gcra
	began            time.Time
	exact            bool
	open             []heldTokens
}

type heldTokens struct {
	*meter.Hold
	n int64
}

func (s *smallRates) leave() {
	if len(s.open) == 0 {
		return
	}
	h, now := s.open[0], time.Since(s.began)
	s.open = s.open[1:]
	if rapid.Bool().Draw(s.T, "undo") {
		h.Undo()
		s.requests.give(now, 1)
		s.tokens.give(now, h.n)
		s.exact = false
		return
	}
	used := rapid.Int64Range(0, 12).Draw(s.T, "used")
	h.Settle(used)
	s.tokens.give(now, h.n-used)
	s.exact = s.exact && used >= h.n
}

func (s *smallRates) admit(n int64) {
	now, h := time.Since(s.began), new(meter.Hold)
	slack := int64(0) // in which the algorithm may be stricter
	if !s.exact {
		slack = emission - 1
	}
	r, ok := s.acme.Admit(s.Context(), h, n, []meter.Ask{{Limits: s.limits}})
	shortRequests, shortTokens := s.requests.short(now, 1), s.tokens.short(now, n)
	switch {
	case ok && (shortRequests > slack || shortTokens > slack):
		s.Fatalf("after %s: let in, though %d and %d are missing", now, shortRequests, shortTokens)
	case ok:
		s.requests.force(now, 1)
		s.tokens.force(now, n)
		s.open = append(s.open, heldTokens{h, n})
	case shortRequests <= 0 && shortTokens <= 0:
		s.Fatalf("after %s: refused, though there is enough: %+v", now, r)
	default:
		after := s.requests.after(now, 1)
		if r.What == meter.Tokens {
			after = s.tokens.after(now, n)
		}
		if r.After > after+1 || s.exact && r.After < after { // rounded up twice
			s.Fatalf("%s: after %s, want %s", r.What, r.After, after)
		}
	}
	requests, tokens := h.Rates()
	s.check(requests, s.requests, now)
	s.check(tokens, s.tokens, now)
}

func (s *smallRates) check(got meter.Rate, g gcra, now time.Duration) {
	want := g.remaining(now)
	if got.Limit != g.limit || got.Remaining < want || got.Remaining > want+1 || s.exact && got.Remaining != want {
		s.Fatalf("%+v, want %d of %d", got, want, g.limit)
	}
}

// pause lets the time of a bubble pass.
func pause(d time.Duration) { <-time.After(d) }

// Larger limits are drawn in slices. Several nodes together never let through what one algorithm would not, and one alone lets
// through all but what a slice makes it lose.
func TestLargeRatesAreNeverExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			pool := meter.NewLocal()
			limits := tenant.Limits{Requests: rapid.Int64Range(8, 2000).Draw(t, "limit"), Tokens: 1_000_000}
			nodes := rapid.IntRange(1, 3).Draw(t, "nodes")
			var tenants []*meter.Tenant
			for i := range nodes {
				m := meter.New(meter.Options{Pool: pool, Node: string(rune('a' + i))})
				defer m.Close(t.Context()) //nolint:gocritic // of three at most
				tenants = append(tenants, m.Tenant("acme"))
			}
			g := gcra{limit: limits.Requests}
			began := time.Now()
			for range rapid.IntRange(1, 20).Draw(t, "bursts") {
				pause(time.Duration(rapid.Int64Range(0, int64(40*time.Second)).Draw(t, "pause")))
				on := tenants[rapid.IntRange(0, nodes-1).Draw(t, "node")]
				now := time.Since(began)
				let, refused := int64(0), false
				for range rapid.Int64Range(0, limits.Requests+10).Draw(t, "burst") {
					if _, ok := on.Admit(t.Context(), new(meter.Hold), 1, []meter.Ask{{Limits: limits}}); !ok {
						refused = true
						break
					}
					let++
					if !g.take(now, 1) {
						t.Fatalf("after %s: %d more than %d a minute allow, on %d nodes", now, let, limits.Requests, nodes)
					}
				}
				if left := g.remaining(now); nodes == 1 && refused && left > limits.Requests/8+1 {
					t.Fatalf("refused with %d of %d left", left, limits.Requests)
				}
			}
		})
	})
}
