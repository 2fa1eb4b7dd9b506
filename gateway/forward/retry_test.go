package forward_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/forward"
)

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

// Who does not know the response from which a conversation goes on is not asked again, but another may keep it.
func TestForgottenResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unknown := status(400)
		unknown.body = `{"error":{"message":"Previous response with id 'resp_1' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}`
		x := newFleet(&script{t: t, answers: []answer{unknown}}, &script{t: t, answers: []answer{ok("b")}}).exchange()
		if e := serve(forward.New(options()), x); e != nil || trailOf(x) != "01" {
			t.Errorf("asked %s, %v", trailOf(x), e)
		}
		x = newFleet(&script{t: t, answers: []answer{unknown}}).exchange()
		if e := serve(forward.New(options()), x); trailOf(x) != "0" || x.Reply == nil || x.Reply.Status != 400 {
			t.Errorf("asked %s, %v, %+v", trailOf(x), e, x.Reply)
		}
	})
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
