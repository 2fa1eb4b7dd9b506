package forward_test

import (
	"errors"
	"io"
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

// sender is a target as a function.
type sender func(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error)

func (s sender) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	return s(x, a)
}

// pauseFor waits in the time of the test's bubble.
func pauseFor(d time.Duration) { <-time.After(d) }

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
