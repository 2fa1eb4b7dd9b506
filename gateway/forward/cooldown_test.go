package forward_test

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/forward"
	"github.com/sluice-ai/sluice/gateway/health"
)

// cool lets a target cool down.
func cool(t *gateway.Target, d time.Duration) {
	t.Health.Report(gateway.Now(), health.Outcome{Verdict: health.Limited, After: d, Reason: "http 429"})
}

// No request meets a target inside of its Retry-After, whichever exchange was told of it.
func TestLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type upstream struct {
			mu          sync.Mutex
			said, until time.Time
			n           int
		}
		var via []gateway.Sender
		var log []*upstream
		rng := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		chance := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
		for range 3 {
			u := &upstream{}
			log = append(log, u)
			via = append(via, sender(func(_ *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
				u.mu.Lock()
				defer u.mu.Unlock()
				if now := time.Now(); now.Before(u.until) && now != u.said { // at that very moment nobody could know
					t.Errorf("asked %v too early", u.until.Sub(now))
				}
				u.n++
				a.Status = 200
				r := &gateway.Reply{Status: 200, Stream: gateway.Once([]byte("{}"))}
				if chance(4) == 0 {
					ms := 1 + chance(3000)
					u.said = time.Now()
					u.until = u.said.Add(time.Duration(ms) * time.Millisecond)
					a.Status, r.Status, r.Stream = 429, 429, gateway.Once([]byte(openaiError("slow down")))
					r.Header = []gateway.Field{{Name: "retry-after-ms", Value: strconv.Itoa(ms)}}
				}
				return r, nil
			}))
		}
		f := newFleet(via...)
		h := forward.New(options())
		var work sync.WaitGroup
		for range 500 {
			work.Go(func() {
				pauseFor(time.Duration(chance(60_000)) * time.Millisecond)
				_ = serve(h, f.exchange())
			})
		}
		work.Wait()
		for i, u := range log {
			if u.n < 20 {
				t.Errorf("p%d was asked %d times", i, u.n)
			}
		}
	})
}

// A target that is refused for its rate limit is left alone, also if the head of the refusal tells when a single request will be
// possible again; and the provider's other requests are not held up for that.
func TestRefusedWithRateLimitHeaders(t *testing.T) {
	f := func(told bool, held bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			full := sender(func(_ *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
				asked++
				if now := gateway.Now(); told {
					a.Limits(now, health.Limits{Requests: health.Limit{Max: 10000, Reset: now.Add(6 * time.Millisecond), Refills: true}})
				}
				a.Status = 429
				return &gateway.Reply{Status: 429, Stream: gateway.Once([]byte(openaiError("slow down")))}, nil
			})
			f := newFleet(full, &script{t: t, answers: []answer{ok("b")}})
			l := admission.New(admission.Settings{})
			f.targets[0].Limiter = l
			for range 20 {
				l.TryEnter() // by other keys
			}
			h := forward.New(options())
			for range 5000 {
				if e := serve(h, f.exchange()); e != nil {
					t.Fatal(e)
				}
				pauseFor(2 * time.Millisecond)
			}
			if asked > 5 {
				t.Errorf("asked %d times in ten seconds", asked)
			}
			if s := l.Snapshot(); (s.Limit < s.InUse) != held {
				t.Errorf("told %v: %+v", told, s)
			}
		})
	}
	f(true, false)
	f(false, true)
}

// Those who have waited for the end of a cool-down do not all come at once, to be refused by one target after the other.
func TestTheEndOfACoolDown(t *testing.T) {
	f := func(name string, code int, after string, told bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			var mu sync.Mutex
			full := sender(func(_ *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
				mu.Lock()
				asked++
				mu.Unlock()
				pauseFor(2 * time.Millisecond)
				if now := gateway.Now(); told {
					a.Limits(now, health.Limits{Requests: health.Limit{Max: 10000, Reset: now.Add(6 * time.Millisecond), Refills: true}})
				}
				a.Status = code
				r := &gateway.Reply{Status: code, Stream: gateway.Once([]byte(openaiError("slow down")))}
				if after != "" {
					r.Header = []gateway.Field{{Name: "Retry-After", Value: after}}
				}
				return r, nil
			})
			f := newFleet(full, full)
			for _, target := range f.targets {
				target.Limiter = admission.New(admission.Settings{Deaf: true})
			}
			h := forward.New(options())
			const n = 200
			var work sync.WaitGroup
			for range n {
				work.Go(func() { _ = serve(h, f.exchange()) })
				pauseFor(5 * time.Millisecond)
			}
			work.Wait()
			if asked > n*12/10 {
				t.Errorf("%s: %d attempts for %d exchanges", name, asked, n)
			}
		})
	}
	f("overloaded", 529, "", false)
	f("limited", 429, "", false)
	f("limited for a second", 429, "1", false)
	f("limited, with its limits", 429, "", true)
	f("limited for a second, with its limits", 429, "1", true)
}

// A target that is ill again and again is tried by one exchange at a time; the others wait, and all get their answers.
func TestOneTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, answers: []answer{{status: 200, body: "a", after: 100 * time.Millisecond}}}
		f := newFleet(s)
		ruin(f.targets[0])
		h := forward.New(options())
		var work sync.WaitGroup
		for range 20 {
			work.Go(func() {
				if e := serve(h, f.exchange()); e != nil {
					t.Error(e)
				}
			})
		}
		work.Wait()
		if s.at[1]-s.at[0] < 100*time.Millisecond || s.asked() != 20 {
			t.Errorf("asked at %v", s.at)
		}
	})
}
