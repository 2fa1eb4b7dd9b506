package forward_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/forward"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// serve serves an exchange to its end, and gives the error as a caller sees it; nil after an answer.
func serve(h gateway.Handler, x *gateway.Exchange) *gateway.Error {
	err := h.Serve(x)
	if err == nil {
		for err == nil {
			_, err = x.Reply.Stream.Next()
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		_ = x.Reply.Stream.Close()
	}
	x.End(err)
	if err != nil {
		return gateway.AsError(err)
	}
	return nil
}

// trailOf is which targets were asked, in order.
func trailOf(x *gateway.Exchange) string { return result{x: x}.trail() }

// scripts are targets with one answer each.
func scripts(t *testing.T, answers ...answer) (list []*script, via []gateway.Sender) {
	for _, a := range answers {
		s := &script{t: t, answers: []answer{a}}
		list, via = append(list, s), append(via, s)
	}
	return list, via
}

// cool lets a target cool down.
func cool(t *gateway.Target, d time.Duration) {
	t.Health.Report(gateway.Now(), health.Outcome{Verdict: health.Limited, After: d, Reason: "http 429"})
}

// TestWhoIsAsked plans three targets, changes what is known of some, and looks at who is asked and when.
func TestWhoIsAsked(t *testing.T) {
	check := func(name, trail string, waited time.Duration, prepare func(f *fleet, x *gateway.Exchange)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, via := scripts(t, ok("a"), ok("b"), ok("c"))
				f := newFleet(via...)
				x := f.exchange()
				prepare(f, x)
				start := time.Now()
				if e := serve(forward.New(options()), x); e != nil {
					t.Fatal(e)
				}
				if trailOf(x) != trail || time.Since(start) != waited || x.Attempts()[0].Waited != waited {
					t.Errorf("asked %s after %v (%v); want %s, %v", trailOf(x), time.Since(start), x.Attempts()[0].Waited, trail, waited)
				}
			})
		})
	}
	now := gateway.Now
	check("the first", "0", 0, func(*fleet, *gateway.Exchange) {})
	check("the first that does not cool down", "1", 0, func(f *fleet, _ *gateway.Exchange) { cool(f.targets[0], time.Minute) })
	check("the first that no operator has switched off", "2", 0, func(f *fleet, _ *gateway.Exchange) {
		f.targets[0].Health.Disable(now(), "")
		f.targets[1].Health.Drain(now(), "")
	})
	check("the first that is well", "1", 0, func(f *fleet, _ *gateway.Exchange) { ruin(f.targets[0]) })
	check("the first whose key is taken", "1", 0, func(f *fleet, _ *gateway.Exchange) {
		f.targets[0].Health.Report(now(), health.Outcome{Verdict: health.Refused})
	})
	check("the first that has room", "1", 0, func(f *fleet, _ *gateway.Exchange) {
		f.targets[0].Limiter = admission.New(admission.Settings{Max: 1})
		f.targets[0].Limiter.TryEnter()
	})
	check("all cool down: the earliest", "1", 700*time.Millisecond, func(f *fleet, _ *gateway.Exchange) {
		cool(f.targets[0], 10*time.Second)
		cool(f.targets[1], 700*time.Millisecond)
		cool(f.targets[2], 900*time.Millisecond)
	})
	check("within the deadline", "0", 700*time.Millisecond, func(f *fleet, x *gateway.Exchange) {
		for _, t := range f.targets {
			cool(t, 700*time.Millisecond)
		}
		x.SetDeadline(now().Add(time.Second))
	})
	check("until the deadline, if there is one", "1", 50*time.Second, func(f *fleet, x *gateway.Exchange) {
		for i, t := range f.targets {
			cool(t, time.Duration(60-10*(i%2))*time.Second)
		}
		x.SetDeadline(now().Add(time.Minute))
	})
	check("several queues: the first that has room", "1", 10*time.Millisecond, func(f *fleet, _ *gateway.Exchange) {
		for i, d := range []time.Duration{9 * time.Second, 10 * time.Millisecond, 5 * time.Second} {
			l := admission.New(admission.Settings{Max: 1})
			f.targets[i].Limiter = l
			l.TryEnter()
			time.AfterFunc(d, func() { l.Leave(admission.Signal{}) })
		}
	})
	check("full or ill: the queue", "1", time.Second, func(f *fleet, _ *gateway.Exchange) {
		cool(f.targets[0], 500*time.Millisecond)
		l := admission.New(admission.Settings{Max: 1})
		f.targets[1].Limiter, f.targets[2].Limiter = l, l
		l.TryEnter()
		time.AfterFunc(time.Second, func() { l.Leave(admission.Signal{}) })
	})
	check("nobody queues there: the other queue", "2", time.Second, func(f *fleet, _ *gateway.Exchange) {
		for i, queue := range []int{-1, -1, 1} {
			f.targets[i].Limiter = admission.New(admission.Settings{Max: 1, Queue: queue})
			f.targets[i].Limiter.TryEnter()
		}
		time.AfterFunc(time.Second, func() { f.targets[2].Limiter.Leave(admission.Signal{}) })
	})
	check("it cools down while one queues: the next", "1", time.Second, func(f *fleet, _ *gateway.Exchange) {
		for _, t := range f.targets[:2] {
			t.Limiter = admission.New(admission.Settings{Max: 1})
			t.Limiter.TryEnter()
		}
		cool(f.targets[2], time.Minute)
		time.AfterFunc(time.Second, func() {
			cool(f.targets[0], time.Minute)
			f.targets[1].Limiter.Leave(admission.Signal{})
			f.targets[0].Limiter.Leave(admission.Signal{})
		})
	})
	check("the tenant's own account is well", "0", 0, func(f *fleet, x *gateway.Exchange) {
		cool(f.targets[0], time.Minute)
		own := f.known.Target(health.ID{Provider: "p0", Key: "tenant acme", Model: "*"}, health.Settings{})
		x.Caller.Tenant = &gateway.Tenant{ID: "acme", Own: map[string]*gateway.Own{"p0": {Via: f.targets[0].Via, Health: own}}}
	})
	check("a wildcard's other names are well", "0", 0, func(f *fleet, x *gateway.Exchange) {
		t := *f.targets[0]
		t.Model, t.Health = "x-*", f.known.Target(health.ID{Provider: "p0", Model: "x-*"}, health.Settings{})
		ruin(&gateway.Target{Health: t.Health.Of("x-1")})
		x.Plan.Targets[0], x.Plan.Matched = &t, "2"
	})
}

// ruin lets a target fail until it is left alone.
func ruin(t *gateway.Target) {
	for range 5 {
		t.Health.Report(gateway.Now(), health.Outcome{Verdict: health.Failed, Reason: "http 500"})
	}
}

// TestNobodyToAsk looks at what a caller is told, and when.
func TestNobodyToAsk(t *testing.T) {
	check := func(name, want string, waited time.Duration, prepare func(f *fleet, x *gateway.Exchange)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list, via := scripts(t, ok("a"), ok("b"))
				f := newFleet(via...)
				x := f.exchange()
				prepare(f, x)
				start := time.Now()
				e := serve(forward.New(options()), x)
				if e == nil || list[0].asked()+list[1].asked() > 0 {
					t.Fatalf("asked %s, %v", trailOf(x), e)
				}
				after := e.RetryAfter.String()
				if strings.Contains(want, " later ") && e.RetryAfter > 0 {
					after = "later"
				}
				got := strconv.Itoa(e.Status) + " " + e.Code + " " + after + " " + strconv.FormatBool(e.NoRetry) + ": " + e.Message
				if got != want || time.Since(start) != waited {
					t.Errorf("after %v\n%s\nwant after %v\n%s", time.Since(start), got, waited, want)
				}
			})
		})
	}
	const no = "No provider of this model can be asked at the moment: "
	now := gateway.Now
	check("all cool down for long", "503 upstream_unavailable 1m0s false: "+no+`"p0" asked to be left alone for another 1m0s; "p1" asked to be left alone for another 2m0s.`, 0,
		func(f *fleet, _ *gateway.Exchange) {
			cool(f.targets[0], time.Minute)
			cool(f.targets[1], 2*time.Minute)
		})
	check("for longer than one waits without a deadline", "503 upstream_unavailable 3s false: "+no+`"p0" asked to be left alone for another 3s; "p1" asked to be left alone for another 4s.`, 0,
		func(f *fleet, _ *gateway.Exchange) {
			cool(f.targets[0], 3*time.Second)
			cool(f.targets[1], 4*time.Second)
		})
	check("until it is too late to answer", "503 upstream_unavailable 999ms false: "+no+`"p0" asked to be left alone for another 1s; "p1" asked to be left alone for another 1s.`, 0,
		func(f *fleet, x *gateway.Exchange) {
			cool(f.targets[0], 999*time.Millisecond)
			cool(f.targets[1], 999*time.Millisecond)
			x.SetDeadline(now().Add(time.Second))
		})
	check("somebody else tries it, to the deadline", "503 upstream_unavailable 50ms false: "+no+`"p0" fails, and is left alone for another 1s.`, time.Second,
		func(f *fleet, x *gateway.Exchange) {
			x.Plan.Targets = x.Plan.Targets[:1]
			ruin(f.targets[0])
			pauseFor(2 * time.Second)
			f.targets[0].Health.Begin(now(), 1) // somebody's trial
			x.SetDeadline(now().Add(time.Second))
		})
	check("for longer than the deadline", "503 upstream_unavailable 1s false: "+no+`"p0" asked to be left alone for another 1s; "p1" asked to be left alone for another 1s.`, 0,
		func(f *fleet, x *gateway.Exchange) {
			cool(f.targets[0], time.Second)
			cool(f.targets[1], time.Second)
			x.SetDeadline(now().Add(time.Second))
		})
	check("switched off", "503 upstream_unavailable 0s true: "+no+`"p0" is switched off; "p1" is switched off.`, 0,
		func(f *fleet, _ *gateway.Exchange) {
			f.targets[0].Health.Disable(now(), "secret plans")
			f.targets[1].Health.Drain(now(), "secret plans")
		})
	check("refused", "503 upstream_unavailable 5m0s false: "+no+`"p0" refuses the gateway's key; "p1" is switched off.`, 0,
		func(f *fleet, _ *gateway.Exchange) {
			f.targets[0].Health.Report(now(), health.Outcome{Verdict: health.Refused, Reason: "http 401"})
			f.targets[1].Health.Drain(now(), "")
		})
	check("all refuse the key", "502 upstream_credentials 0s true: "+no+`"p0" refuses the gateway's key; "p1" refuses the gateway's key. Its operator must look at it.`, 0,
		func(f *fleet, _ *gateway.Exchange) {
			for _, t := range f.targets {
				t.Health.Report(now(), health.Outcome{Verdict: health.Refused, Reason: "http 401"})
			}
		})
	check("nobody has the model", `404 model_not_found 0s true: No provider has this model: "p0" does not have the model, or not for the gateway's key; `+
		`"p1" does not have the model, or not for the gateway's key.`, 0,
		func(f *fleet, _ *gateway.Exchange) {
			for _, t := range f.targets {
				t.Health.Report(now(), health.Outcome{Verdict: health.Denied, Reason: "http 404"})
			}
		})
	check("full", `503 upstream_overloaded later false: The provider "p1" has as many requests as it bears, and too many wait for it.`, 0,
		func(f *fleet, _ *gateway.Exchange) {
			for _, t := range f.targets {
				t.Limiter = admission.New(admission.Settings{Max: 1, Queue: -1})
				t.Limiter.TryEnter()
			}
		})
	check("full for longer than one may wait", `503 upstream_overloaded later false: The provider "p0" has as many requests as it bears, and too many wait for it.`, 3*time.Second,
		func(f *fleet, x *gateway.Exchange) {
			x.Plan.Targets = x.Plan.Targets[:1]
			f.targets[0].Limiter = admission.New(admission.Settings{Max: 1, Wait: 3 * time.Second})
			f.targets[0].Limiter.TryEnter()
		})
	check("the client leaves while it waits", "499 client_closed_request 0s false: The client left before the reply was complete.", 300*time.Millisecond,
		func(f *fleet, x *gateway.Exchange) {
			cool(f.targets[0], time.Second)
			cool(f.targets[1], time.Second)
			time.AfterFunc(300*time.Millisecond, func() { x.Cancel(gateway.ErrGone) })
		})
	check("and while it queues", "499 client_closed_request 0s false: The client left before the reply was complete.", 300*time.Millisecond,
		func(f *fleet, x *gateway.Exchange) {
			for _, t := range f.targets {
				t.Limiter = admission.New(admission.Settings{Max: 1})
				t.Limiter.TryEnter()
			}
			time.AfterFunc(300*time.Millisecond, func() { x.Cancel(gateway.ErrGone) })
		})
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

// sender is a target as a function.
type sender func(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error)

func (s sender) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	return s(x, a)
}

// pauseFor waits in the time of the test's bubble.
func pauseFor(d time.Duration) { <-time.After(d) }

// In an outage of all targets the load is not multiplied, whatever goes wrong.
func TestOutage(t *testing.T) {
	silent := answer{err: upstreamError(504, gateway.CodeTimeout), after: 2 * time.Second}
	limited := status(429)
	limited.header = []gateway.Field{{Name: "retry-after", Value: "1"}}
	for name, a := range map[string]answer{
		"refused": failed(gateway.CodeUnreachable), "silent": silent, "cut": failed(gateway.CodeCut),
		"500": status(500), "slow 500": {status: 500, body: openaiError("x"), after: 500 * time.Millisecond},
		"529": status(529), "429": status(429), "429 for a second": limited,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list, via := scripts(t, a, a, a)
				f := newFleet(via...)
				for _, target := range f.targets {
					target.Limiter = admission.New(admission.Settings{})
				}
				h := forward.New(options())
				const n = 4000
				var work sync.WaitGroup
				for range n {
					work.Go(func() {
						if e := serve(h, f.exchange()); e != nil && e.Status < 500 {
							t.Error(e)
						}
					})
					pauseFor(5 * time.Millisecond)
				}
				work.Wait()
				asked := list[0].asked() + list[1].asked() + list[2].asked()
				t.Logf("%d attempts for %d exchanges", asked, n)
				if asked > n*12/10 {
					t.Errorf("%d attempts for %d exchanges", asked, n)
				}
			})
		})
	}
}

// Who may wait for whom: by the tenant's priority, but flex is never before others.
func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		s := sender(func(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
			pauseFor(time.Second)
			mu.Lock()
			defer mu.Unlock()
			order = append(order, x.ID)
			a.Status = 200
			return &gateway.Reply{Status: 200, Stream: gateway.Once([]byte("{}"))}, nil
		})
		f := newFleet(s)
		f.targets[0].Limiter = admission.New(admission.Settings{Max: 1, Wait: time.Minute})
		h := forward.New(options())
		var work sync.WaitGroup
		ask := func(name string, p admission.Priority, tier string) {
			x := f.ask(`{"model":"m","messages":[],"service_tier":"` + tier + `"}`)
			x.ID, x.Caller.Tenant = name, &gateway.Tenant{ID: tenant.ID(name), Priority: p}
			work.Go(func() {
				if e := serve(h, x); e != nil {
					t.Error(name, e)
				}
			})
			pauseFor(time.Millisecond)
		}
		ask("first", admission.Low, "")
		ask("low", admission.Low, "")
		ask("flex", admission.High, "flex")
		ask("normal", admission.Normal, "")
		ask("high", admission.High, "priority")
		work.Wait()
		if got := strings.Join(order, " "); got != "first high normal low flex" {
			t.Error(got)
		}
	})
}

// A request decides how often it is retried, but never more often than configured.
func TestRetriesOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n, want := range map[int]string{0: "0", 1: "00", 2: "000", 9: "000"} {
			_, via := scripts(t, status(500))
			x := newFleet(via...).exchange()
			x.Plan.Retries = &n
			_ = serve(forward.New(options()), x)
			if trailOf(x) != want {
				t.Errorf("%d: %s", n, trailOf(x))
			}
		}
	})
}

// A prompt that is too long is a matter of the model: the next is one with a larger window, and nobody is ill.
func TestTooLong(t *testing.T) {
	long := func(code, message string) answer {
		return answer{status: 400, body: `{"error":{"message":"` + message + `","type":"invalid_request_error","param":null,"code":` + code + `}}`}
	}
	inBand := answer{err: &gateway.Error{
		Status: 502, Type: gateway.TypeInvalidRequest, Code: "context_length_exceeded", Message: "x", Origin: gateway.OriginUpstream, Sent: true,
	}}
	check := func(name, trail string, code int, windows []int64, answers ...answer) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, via := scripts(t, answers...)
				f := newFleet(via...)
				for i, n := range windows {
					if n >= 0 {
						f.targets[i].Known = &catalog.Model{Context: n}
					}
				}
				x := f.exchange()
				var got int
				if e := serve(forward.New(options()), x); e != nil {
					got = e.Status
				} else {
					got = x.Reply.Status
				}
				if trailOf(x) != trail || got != code {
					t.Errorf("asked %s, %d; want %s, %d", trailOf(x), got, trail, code)
				}
				for _, target := range f.targets {
					if s := target.Health.Snapshot(gateway.Now()); s.Window.Failed != 0 || s.State != health.Healthy {
						t.Errorf("%s: %+v", target.Provider, s)
					}
				}
			})
		})
	}
	const exact = `"context_length_exceeded"`
	check("to the larger", "02", 200, []int64{8000, 8000, 16000}, long(exact, "x"), ok("b"), ok("c"))
	check("to one that is not known", "01", 200, []int64{8000, -1, 16000}, long(exact, "x"), ok("b"), ok("c"))
	check("from one that is not known", "01", 200, []int64{-1, 4000}, long(exact, "x"), ok("b"))
	check("ever larger", "013", 200, []int64{8000, 16000, 16000, 32000}, long(exact, "x"), long(exact, "y"), ok("c"), ok("d"))
	check("nobody is larger", "0", 400, []int64{8000, 8000, 4000}, long(exact, "x"), ok("b"), ok("c"))
	check("none is large enough", "01", 400, []int64{8000, 16000}, long(exact, "x"), long(exact, "y"))
	check("inside a 200", "02", 200, []int64{8000, 8000, 0}, inBand, ok("b"), ok("c"))
	for _, words := range []string{
		"This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
		"prompt is too long: 213462 tokens > 200000 maximum",
		"input length and `max_tokens` exceed context limit: 188059 + 20000 > 200000, decrease input length",
		"The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
		"This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
		"Your input exceeds the context window of this model. Please adjust your input and try again.",
	} {
		check(words, "01", 200, []int64{8000, 16000}, long("null", words), ok("b"))
	}
	check("another mistake", "0", 400, []int64{8000, 16000}, long("null", "Invalid value for temperature."), ok("b"))
}

// Who may be asked again soon is, although another target comes to be asked later; but not for all retries.
func TestTheSoonest(t *testing.T) {
	f := func(trail string, from, to time.Duration, alone time.Duration, answers ...answer) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(&script{t: t, answers: answers}, &script{t: t, answers: []answer{ok("b")}})
			cool(f.targets[1], alone)
			x := f.exchange()
			start := time.Now()
			if e := serve(forward.New(options()), x); e != nil || trailOf(x) != trail {
				t.Errorf("asked %s, %v; want %s", trailOf(x), e, trail)
			}
			if took := time.Since(start); took < from || took > to {
				t.Errorf("took %v, want %v to %v", took, from, to)
			}
		})
	}
	broken := failed(gateway.CodeUnreachable)
	f("00", 50*ms, 100*ms, 1900*ms, broken, ok("a"))
	f("01", 60*ms, 60*ms, 60*ms, after(20*ms, broken), ok("a"))
	f("001", 1500*ms, 1500*ms, 1500*ms, broken, broken, ok("a"))
}

// Who asks to be left alone with this request is, whatever that says of his health.
func TestLeftAloneWithARequest(t *testing.T) {
	f := func(code int, seconds string, trail string, asked int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			no := status(code)
			no.header = []gateway.Field{{Name: "Retry-After", Value: seconds}}
			s := &script{t: t, answers: []answer{no}}
			f := newFleet(s)
			x := f.exchange()
			start := time.Now()
			_ = serve(forward.New(options()), x)
			if s.asked() != asked || asked > 1 && time.Since(start) < time.Second {
				t.Errorf("%d: asked at %v, want %d times", code, s.at, asked)
			}
			if w := f.targets[0].Health.Wait(gateway.Now()); w != 0 {
				t.Errorf("%d: others are kept away for %v", code, w)
			}
		})
	}
	f(409, "30", "0", 1)
	f(425, "30", "0", 1)
	f(409, "1", "000", 3)
	f(501, "1", "0", 1)
}

// A conflict with what a batch is now is one later, too, and for its client.
func TestConflictStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, answers: []answer{status(409)}}
		f := newFleet(s, &script{t: t, answers: []answer{ok("b")}})
		cancel := &gateway.Endpoint{Name: "batches.cancel", Method: "POST", Dialect: "openai", Model: gateway.NoModel}
		x := f.askAt(cancel, `{}`)
		if err := serve(forward.New(options()), x); err != nil || trailOf(x) != "0" || x.Reply.Status != 409 {
			t.Fatalf("%v, tried %s, %+v", err, trailOf(x), x.Reply)
		}
		if h := x.Reply.Header; !slices.Contains(h, gateway.Field{Name: "x-should-retry", Value: "false"}) {
			t.Errorf("the client may ask again: %v", h)
		}
		if w := f.targets[0].Health.Wait(gateway.Now()); w != 0 {
			t.Errorf("others are kept away for %v", w)
		}
	})
}

// The budget pays for retries that are made, and for no others.
func TestWhatTheBudgetPaysFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later := status(429)
		later.header = []gateway.Field{{Name: "Retry-After", Value: "3"}}
		h := forward.New(options())
		for range 200 {
			_ = serve(h, newFleet(&script{t: t, answers: []answer{later}}).exchange())
		}
		x := newFleet(&script{t: t, answers: []answer{failed(gateway.CodeUnreachable), ok("a")}}).exchange()
		if e := serve(h, x); e != nil || trailOf(x) != "00" {
			t.Errorf("asked %s, %v", trailOf(x), e)
		}
	})
}

// Without a share of the exchanges there are ten retries a second, however often somebody asks for one.
func TestTheFloorOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, answers: []answer{failed(gateway.CodeUnreachable)}}
		o := options()
		o.Budget, o.BackoffMin, o.BackoffMax = 0, 0, 0
		h := forward.New(o)
		const n = 50_000
		for range n {
			_ = h.Serve(exchange(s))
			pauseFor(199 * time.Microsecond) // 10 s together
		}
		if retries := s.asked() - n; retries < 100 || retries > 115 {
			t.Errorf("%d retries in ten seconds", retries)
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
