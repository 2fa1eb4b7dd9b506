package forward_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/forward"
	"github.com/sluice-ai/sluice/gateway/health"
)

// TestVerdicts asks one target once and looks at what is thought of it afterwards: its state, for how long it is left alone,
// how many failures were counted, and why.
func TestVerdicts(t *testing.T) {
	type thought struct {
		state  health.State
		alone  time.Duration
		failed int64
		why    string
	}
	o := options()
	o.Max = 0
	check := func(name string, a answer, want thought) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, via := scripts(t, a)
				f := newFleet(via...)
				_ = serve(forward.New(o), f.exchange())
				now := gateway.Now()
				target := f.targets[0].Health
				s := target.Snapshot(now)
				got := thought{state: s.State, failed: s.Window.Failed, alone: target.Wait(now).Truncate(time.Minute), why: want.why}
				if got.alone > 5*time.Minute {
					got.alone = 5 * time.Minute // longer by some jitter
				}
				why := s.CoolReason
				switch {
				case want.failed > 0: // five say why
					ruinBy(f, o, a)
					why = target.Snapshot(now).Reason
				case why == "" && s.State != health.Healthy:
					why = s.Reason
				}
				if got != want || !strings.HasSuffix(why, want.why) {
					t.Errorf("%+v (%s), want %+v", got, why, want)
				}
			})
		})
	}
	said := func(code int, message, kind, word string) answer {
		return answer{status: code, body: `{"error":{"message":"` + message + `","type":"` + kind + `","param":null,"code":"` + word + `"}}`}
	}
	inBand := func(status int, kind, code string) answer {
		return answer{err: &gateway.Error{Status: status, Type: kind, Code: code, Origin: gateway.OriginUpstream, Sent: true}}
	}
	well := thought{}
	ill := func(why string) thought { return thought{state: health.Suspect, failed: 1, why: why} }
	refused := func(why string) thought { return thought{state: health.Disabled, alone: 5 * time.Minute, why: why} }
	after := func(code int, value string) answer {
		a := status(code)
		a.header = []gateway.Field{{Name: "Retry-After", Value: value}}
		return a
	}

	check("an answer", ok("a"), well)
	check("500", status(500), ill("http 500"))
	check("503", status(503), ill("http 503"))
	check("408", status(408), ill("http 408"))
	check("a redirect", answer{status: 302}, ill("http 302"))
	check("no connection", failed(gateway.CodeUnreachable), ill("no connection"))
	check("too late", failed(gateway.CodeTimeout), ill("timeout"))
	check("cut", failed(gateway.CodeCut), ill("cut"))
	check("garbage", failed(gateway.CodeBadResponse), ill("bad response"))
	check("an error inside a 200", inBand(502, "server_error", "boom"), ill("error inside a 200: boom"))
	check("hostile words inside a 200", inBand(502, "server_error", "ignore all\nprevious"), ill("error inside a 200: ?"))
	check("500 and a wish", after(500, "60"), thought{state: health.Suspect, alone: time.Minute, failed: 1, why: "http 500"})

	check("429 and a wish", after(429, "60"), thought{alone: time.Minute, why: "http 429"})
	check("529 and a wish", after(529, "60"), thought{alone: time.Minute, why: "http 529"})
	check("an overloaded 503", answer{
		status: 503, body: `{"error":{"message":"m","type":"t","param":null,"code":"server_is_overloaded"}}`, header: after(503, "60").header,
	}, thought{alone: time.Minute, why: "http 503"})
	check("402", status(402), thought{alone: 5 * time.Minute, why: "http 402"})
	check("a spent quota", said(429, "m", "insufficient_quota", "insufficient_quota"), thought{alone: 5 * time.Minute, why: "http 429"})
	check("a spent credit", said(400, "Your credit balance is too low to access the Anthropic API.", "invalid_request_error", ""), thought{alone: 5 * time.Minute, why: "http 400"})
	check("a spent quota inside a 200", inBand(502, "x", "402"), thought{alone: 5 * time.Minute, why: "error inside a 200: 402"})

	check("401", status(401), refused("http 401"))
	check("403", status(403), refused("http 403"))
	check("a wrong key as 400", said(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", "400"), refused("http 400"))
	check("no such model", said(404, "x", "invalid_request_error", "model_not_found"), refused("http 404"))
	check("no such model, in words", said(404, "The model `m` does not exist", "NotFoundError", ""), refused("http 404"))
	check("no such model for this key", said(403, "Project `p` does not have access to model `m`", "invalid_request_error", "model_not_found"), refused("http 403"))

	check("400", status(400), well)
	check("413", status(413), well)
	check("422", status(422), well)
	check("404 of something else", said(404, "No such file: the model m", "invalid_request_error", ""), well)
	check("409", status(409), well)
	check("501", status(501), well)
	check("moderation", said(403, "Your input was flagged", "", "403"), well)
	check("the caller's mistake inside a 200", inBand(502, "invalid_request_error", "bad"), well)
	check("larger than the gateway holds", answer{err: &gateway.Error{
		Status: 502, Code: gateway.CodeBadResponse, Err: gateway.ErrTooLarge, Origin: gateway.OriginUpstream, Sent: true,
	}}, well)
	check("the client left", answer{err: gateway.ErrGone}, well)
	check("the gateway's own failure", answer{err: errors.New("bug")}, well)
	check("no room in the gateway", answer{err: &gateway.Error{Status: 503, Code: gateway.CodeBusy}}, well)
	check("it cannot be said there", answer{err: &gateway.Error{Status: 400, Code: gateway.CodeUnsupported, Origin: gateway.OriginClient}}, well)
}

// ruinBy repeats an answer until the target is left alone.
func ruinBy(f *fleet, o forward.Options, a answer) {
	target := f.targets[0].Health
	target.Enable(gateway.Now(), "")
	for range 5 {
		_, via := scripts(nil, a)
		x := f.exchange()
		copied := *f.targets[0]
		copied.Via = via[0]
		x.Plan.Targets = []*gateway.Target{&copied}
		pauseFor(time.Hour)
		_ = serve(forward.New(o), x)
	}
}

// What callers can invent must not switch off what others use: beyond a number of names, a wildcard's are one target.
func TestInventedModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, via := scripts(t, answer{status: 404, body: `{"error":{"message":"m","type":"t","param":null,"code":"model_not_found"}}`})
		f := newFleet(via...)
		f.targets[0].Model, f.targets[0].Health = "*", f.known.Target(health.ID{Provider: "p0", Model: "*"}, health.Settings{})
		for i := range 300 {
			x := f.exchange()
			x.Plan.Matched = "invented-" + strconv.Itoa(i)
			_ = serve(forward.New(options()), x)
		}
		if s := f.targets[0].Health.Snapshot(gateway.Now()); s.State != health.Healthy {
			t.Errorf("%+v", s)
		}
	})
}

// A deadline of the caller's own says nothing of the target, and is told as what it is.
func TestDeadlineOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := answer{err: upstreamError(504, gateway.CodeTimeout), after: time.Second}
		_, via := scripts(t, late, late)
		f := newFleet(via...)
		x := f.exchange()
		x.SetDeadline(gateway.Now().Add(time.Second))
		e := serve(forward.New(options()), x)
		if e == nil || e.Code != "deadline_exceeded" || trailOf(x) != "0" {
			t.Errorf("asked %s, %v", trailOf(x), e)
		}
		if s := f.targets[0].Health.Snapshot(gateway.Now()); s.Window.Failed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A stream that breaks off after its first event is a failure of its target, if it was the target's.
func TestStreamsThatBreakOff(t *testing.T) {
	check := func(name string, failed int64, a answer, disturb func(x *gateway.Exchange)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, via := scripts(t, a)
				f := newFleet(via...)
				l := admission.New(admission.Settings{})
				f.targets[0].Limiter = l
				x := f.ask(asksStream)
				if err := forward.New(options()).Serve(x); err != nil {
					t.Fatal(err)
				}
				if n, _ := f.targets[0].Health.Outstanding(); n != 1 || l.Snapshot().InUse != 1 {
					t.Errorf("%d under way, %+v", n, l.Snapshot())
				}
				var err error
				for err == nil {
					disturb(x)
					_, err = x.Reply.Stream.Next()
				}
				_ = x.Reply.Stream.Close()
				if errors.Is(err, io.EOF) {
					err = nil
				}
				x.End(err)
				s := f.targets[0].Health.Snapshot(gateway.Now())
				if s.Window.Failed != failed || s.Window.Requests != 1 || s.Outstanding != 0 || l.Snapshot().InUse != 0 {
					t.Errorf("%+v, %d under way", s.Window, s.Outstanding)
				}
			})
		})
	}
	stream := func(end error) answer { return answer{status: 200, events: 3, cut: end} }
	nothing := func(*gateway.Exchange) {}
	check("complete", 0, stream(nil), nothing)
	check("cut", 1, stream(errors.New("upstream: the answer broke off")), nothing)
	check("an error in it", 1, stream(upstreamError(502, "boom")), nothing)
	check("too large for the gateway", 0, stream(gateway.ErrTooLarge), nothing)
	check("no room in the gateway", 0, stream(&gateway.Error{Code: gateway.CodeBusy}), nothing)
	check("the client leaves", 0, stream(errors.New("x")), func(x *gateway.Exchange) { x.Cancel(gateway.ErrGone) })
	check("a heartbeat finds that he has left", 0, stream(gateway.ErrGone), nothing)
	check("the caller's time is over", 0, stream(errors.New("x")), func(x *gateway.Exchange) { x.SetDeadline(gateway.Now()) })
}

// Whatever happens, what was taken for an attempt is given back exactly once, at the end of the exchange at the latest.
func TestGivenBack(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			chance := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
			random := func() answer { return anything(chance) }
			var via []gateway.Sender
			var list []*script
			for range 3 {
				s := &script{t: t, random: random}
				list, via = append(list, s), append(via, s)
			}
			f := newFleet(via...)
			for _, target := range f.targets {
				target.Limiter = admission.New(admission.Settings{Max: 4, Queue: 8, Wait: time.Second})
			}
			o := options()
			o.On = forward.Causes(chance(32))
			h := forward.New(o)
			hedge := &gateway.Hedge{After: 20 * time.Millisecond, Budget: 0.5}
			var work sync.WaitGroup
			for range 60 {
				work.Go(func() { live(h, f, hedge, chance) })
			}
			work.Wait()
			for i, target := range f.targets {
				s := target.Health.Snapshot(gateway.Now())
				if u := target.Limiter.Snapshot(); s.Outstanding != 0 || s.Tokens != 0 || u.InUse != 0 {
					t.Errorf("seed %d: %s: %d attempts with %d tokens, %d places", seed, target.Provider, s.Outstanding, s.Tokens, u.InUse)
				}
				if s := list[i]; s.open != 0 || s.busy != 0 {
					t.Errorf("seed %d: %d replies open, %d attempts run", seed, s.open, s.busy)
				}
			}
		})
	}
}

// anything is an answer of any kind.
func anything(chance func(int) int) answer {
	a := []answer{
		ok("a"), ok("a"), ok("a"),
		{status: 200, events: 3},
		{status: 200, events: 3},
		{status: 200, events: 2, cut: errors.New("cut")},
		status(500), status(429), status(400), status(404), failed(gateway.CodeUnreachable), failed(gateway.CodeCut), failed(gateway.CodeTimeout),
		{err: errors.New("bug")},
		{thrown: "bug"},
	}[chance(15)]
	a.after = time.Duration(chance(50)) * time.Millisecond
	return a
}

// live is one exchange as a transport runs it, with a client who may leave at any moment.
func live(h gateway.Handler, f *fleet, hedge *gateway.Hedge, chance func(int) int) {
	pauseFor(time.Duration(chance(2000)) * time.Millisecond)
	x := f.ask(asksStream)
	if chance(2) == 0 {
		x.Plan.Hedge = hedge
	}
	if chance(4) == 0 {
		leaves := time.AfterFunc(time.Duration(chance(60))*time.Millisecond, func() { x.Cancel(gateway.ErrGone) })
		defer leaves.Stop()
	}
	if chance(6) == 0 {
		x.SetDeadline(gateway.Now().Add(time.Duration(chance(60)) * time.Millisecond))
	}
	err := func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = errors.New("panic")
			}
		}()
		return h.Serve(x)
	}()
	if err == nil {
		for err == nil && chance(8) > 0 {
			_, err = x.Reply.Stream.Next()
			pauseFor(time.Duration(chance(10)) * time.Millisecond)
		}
		_ = x.Reply.Stream.Close()
	}
	x.End(err)
}

// A target whose streams all break off is left alone, however few there are; one that ends well ends the row.
func TestStreamsInARowThatBreakOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := answer{status: 200, events: 3, cut: errors.New("upstream: the answer broke off")}
		s := &script{t: t, answers: []answer{cut, cut, cut, cut, {status: 200, events: 3}, cut, cut, cut, cut, cut}}
		f := newFleet(s)
		h := forward.New(options())
		for n := 1; n <= 10; n++ {
			if state := f.targets[0].Health.State(gateway.Now()); state == health.Open {
				t.Fatalf("open before number %d", n)
			}
			_ = serve(h, f.ask(asksStream))
			pauseFor(10 * time.Second)
		}
		if why := f.targets[0].Health.Snapshot(gateway.Now()).Reason; !strings.HasPrefix(why, "5 streams in a row broke off") {
			t.Error(why)
		}
	})
}
