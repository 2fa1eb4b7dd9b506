package forward_test

import (
	"bytes"
	"errors"
	"io"
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
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const ms = time.Millisecond

// after is an answer that takes its time.
func after(d time.Duration, a answer) answer {
	a.after = d
	return a
}

// told is the attempts of an exchange: each target, with h if it was a second attempt, and l if it lost.
func told(x *gateway.Exchange) string {
	var b strings.Builder
	for i, a := range x.Attempts() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.Provider[1:])
		if a.Hedged {
			b.WriteByte('h')
		}
		if a.Lost {
			b.WriteByte('l')
		}
	}
	return b.String()
}

// TestHedge makes exchanges whose first event is late after 100 ms.
func TestHedge(t *testing.T) {
	check := func(name, want string, code int, took time.Duration, prepare func(f *fleet, x *gateway.Exchange), answers ...answer) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list, via := scripts(t, answers...)
				f := newFleet(via...)
				x := f.exchange()
				x.Plan.Hedge = &gateway.Hedge{After: 100 * ms, Budget: 1}
				if prepare != nil {
					prepare(f, x)
				}
				o := options()
				o.Max = 0
				start := time.Now()
				err := forward.New(o).Serve(x)
				elapsed := time.Since(start)
				for i, s := range list {
					if s.busy != 0 {
						t.Errorf("p%d still runs", i)
					}
				}
				got := 0
				if err != nil {
					got = gateway.AsError(err).Status
				} else {
					got = x.Reply.Status
					_ = x.Reply.Stream.Close()
				}
				x.End(err)
				if told(x) != want || got != code || elapsed != took {
					t.Errorf("%q, %d after %v; want %q, %d after %v", told(x), got, elapsed, want, code, took)
				}
				for i, target := range f.targets {
					if n, _ := target.Health.Outstanding(); n != 0 || list[i].open != 0 {
						t.Errorf("p%d: %d attempts, %d replies", i, n, list[i].open)
					}
				}
			})
		})
	}
	slow, quick := after(time.Second, ok("slow")), after(50*ms, ok("quick"))
	check("in time", "0", 200, 50*ms, nil, quick, quick)
	check("off", "0", 200, time.Second, func(_ *fleet, x *gateway.Exchange) { x.Plan.Hedge = nil }, slow, quick)
	check("the second wins", "0l 1h", 200, 150*ms, nil, slow, quick)
	check("the first wins", "1hl 0", 200, 150*ms, nil, after(150*ms, ok("a")), slow)
	check("only two run", "0l 1h", 200, 600*ms, nil, slow, after(500*ms, ok("b")), quick)
	check("the first fails, the second answers", "0 1h", 200, 280*ms, nil, after(200*ms, status(500)), after(180*ms, ok("b")), quick)
	check("the second fails, the first answers", "1h 0", 200, time.Second, nil, slow, quick2(status(500)))
	check("the second fails: the third", "0l 1h 2h", 200, 200*ms, nil, slow, quick2(status(500)), quick)
	check("the first fails, the second is late: the third", "0 1hl 2h", 200, 350*ms, nil, after(200*ms, status(500)), slow, quick)
	check("the first fails at once, the second is late: the third", "0 1l 2h", 200, 150*ms, nil, status(500), slow, quick)
	check("both fail, the third answers", "0 1h 2", 200, 330*ms, nil, after(200*ms, status(500)), after(180*ms, failed(gateway.CodeCut)), quick)
	check("both fail", "0 1h", 503, 400*ms, nil, after(200*ms, status(500)), after(300*ms, status(503)))
	check("both fail, the first last", "1h 0", 500, 300*ms, nil, after(300*ms, status(500)), after(100*ms, status(503)))
	check("it fails before it is late", "0 1", 200, 100*ms, nil, after(50*ms, status(500)), quick)
	check("the caller's mistake", "1hl 0", 400, 200*ms, nil, after(200*ms, status(400)), slow)
	check("the client leaves", "0 1h", 499, 300*ms, func(_ *fleet, x *gateway.Exchange) {
		time.AfterFunc(300*ms, func() { x.Cancel(gateway.ErrGone) })
	}, slow, slow)
	check("the drain ends before the second", "0", 503, 50*ms, func(_ *fleet, x *gateway.Exchange) {
		time.AfterFunc(50*ms, func() { x.Cancel(gateway.ErrDrain) })
	}, slow, slow)
	check("nobody else", "0", 200, time.Second, nil, slow)
	check("the second cools down: the third", "0l 2h", 200, 150*ms, func(f *fleet, _ *gateway.Exchange) { cool(f.targets[1], time.Minute) }, slow, slow, quick)
	check("the second has failed: the third", "0l 2h", 200, 150*ms, func(f *fleet, _ *gateway.Exchange) {
		f.targets[1].Health.Report(gateway.Now(), health.Outcome{Verdict: health.Failed})
	}, slow, slow, quick)
	check("the others are full", "0", 200, time.Second, func(f *fleet, _ *gateway.Exchange) {
		f.targets[1].Limiter = admission.New(admission.Settings{Max: 1})
		f.targets[1].Limiter.TryEnter()
	}, slow, quick)
	price := func(usd string) *catalog.Model {
		c, err := catalog.New([]catalog.Entry{{Provider: "p", Name: "m", Prices: []catalog.Price{{Input: usd, Output: usd}}}})
		if err != nil {
			t.Fatal(err)
		}
		return c.Lookup("p", "m")
	}
	capped := func(known ...*catalog.Model) func(f *fleet, x *gateway.Exchange) {
		return func(f *fleet, x *gateway.Exchange) {
			x.Plan.Hedge.MaxCost = 1e9 // a tenth of a cent, which about 500 tokens cost at 2 dollars for a million
			for i, m := range known {
				f.targets[i].Known = m
			}
		}
	}
	check("cheap enough", "0l 1h", 200, 150*ms, capped(price("1"), price("1")), slow, quick)
	check("too dear: the third", "0l 2h", 200, 150*ms, capped(price("1"), price("3"), price("1")), slow, quick, quick)
	check("nobody knows the price", "0", 200, time.Second, capped(price("1")), slow, quick)
}

func quick2(a answer) answer { return after(50*ms, a) }

// What adds to a conversation, or goes on when nobody listens, is not done twice.
func TestHedgeNotTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for more, want := range map[string]string{
			``: "0l 1h", `"background":false,"conversation":null,`: "0l 1h", `"background":true,`: "0", `"conversation":"conv_1",`: "0", `"conversation":{"id":"conv_1"},`: "0",
		} {
			_, via := scripts(t, after(time.Second, ok("a")), ok("b"))
			x := newFleet(via...).askAt(&gateway.Endpoint{Name: "responses.create", Method: "POST", Dialect: "responses"}, `{"model":"m",`+more+`"input":"x"}`)
			x.Plan.Hedge = &gateway.Hedge{After: 100 * ms, Budget: 1}
			if e := serve(forward.New(options()), x); e != nil || told(x) != want {
				t.Errorf("%s: %s, %v", more, told(x), e)
			}
		}
	})
}

// Without a time of its own, a second attempt comes when the first takes longer than 95 of 100 did.
func TestHedgeAfterP95(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &script{t: t, answers: []answer{after(200*ms, ok("a"))}}, &script{t: t, answers: []answer{ok("b")}}
		f := newFleet(first, second)
		h := forward.New(options())
		ask := func() *gateway.Exchange {
			x := f.exchange()
			x.Plan.Hedge = &gateway.Hedge{Budget: 1}
			if e := serve(h, x); e != nil {
				t.Fatal(e)
			}
			return x
		}
		for range 20 {
			if x := ask(); told(x) != "0" {
				t.Fatalf("%s before anything was known", told(x))
			}
		}
		first.answers = []answer{after(time.Second, ok("late"))}
		start := time.Now()
		if x := ask(); told(x) != "0l 1h" || time.Since(start) < 180*ms || time.Since(start) > 220*ms {
			t.Errorf("%s after %v", told(x), time.Since(start))
		}
	})
}

// Second attempts are bounded to a share of the exchanges, by model: one to begin with, and what is saved is little.
func TestHedgeBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, via := scripts(t, after(time.Second, ok("slow")), after(50*ms, ok("quick")))
		f := newFleet(via...)
		h := forward.New(options())
		ask := func(n int, model string, slow bool) int {
			before := list[1].asked()
			list[0].answers[0].after = 50 * ms
			if slow {
				list[0].answers[0].after = time.Second
			}
			for range n {
				x := f.exchange()
				x.Plan.Model, x.Plan.Hedge = model, &gateway.Hedge{After: 100 * ms, Budget: 0.06}
				if e := serve(h, x); e != nil {
					t.Fatal(e)
				}
			}
			return list[1].asked() - before
		}
		if n := ask(1000, "m", true); n < 60 || n > 61 {
			t.Errorf("%d second attempts for 1000 exchanges", n)
		}
		ask(1000, "m", false)
		if n := ask(100, "m", true); n < 15 || n > 16 {
			t.Errorf("%d second attempts for 100 exchanges after 1000 in time", n)
		}
		if n := ask(10, "n", true); n != 1 {
			t.Errorf("%d second attempts for 10 exchanges of another model", n)
		}
	})
}

// The stream of an attempt that has won is the exchange's: its usage, its heartbeats, its end. What the other one cost is
// estimated by it.
func TestHedgedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := catalog.New([]catalog.Entry{{Provider: "p", Name: "m", Prices: []catalog.Price{{Input: "1", Output: "2"}}}})
		if err != nil {
			t.Fatal(err)
		}
		begin := func() (*fleet, *gateway.Exchange) {
			_, via := scripts(t, after(time.Second, answer{status: 200, events: 3}), answer{status: 200, events: 3})
			f := newFleet(via...)
			f.targets[0].Known, f.targets[1].Known = c.Lookup("p", "m"), c.Lookup("p", "m")
			x := f.ask(asksStream)
			x.Plan.Hedge = &gateway.Hedge{After: 100 * ms, Budget: 1}
			if err := forward.New(options()).Serve(x); err != nil {
				t.Fatal(err)
			}
			return f, x
		}
		f, x := begin()
		beats := 0
		x.Idle = func() error { beats++; return nil }
		for {
			if _, err = x.Reply.Stream.Next(); err != nil {
				break
			}
		}
		if err != io.EOF || beats != 3 {
			t.Errorf("%v after %d heartbeats", err, beats)
		}
		_ = x.Reply.Stream.Close()
		x.End(nil)
		if want := (chat.Usage{Input: 10, Output: 7, Provenance: chat.Reported}); x.Usage != want {
			t.Errorf("%+v", x.Usage)
		}
		lost := x.Attempts()[0]
		if !lost.Lost || !errors.Is(lost.Err, gateway.ErrLost) || lost.Usage.Provenance != chat.Estimated || lost.Cost.Picodollars != 24e6 || x.Cost().Picodollars != 48e6 {
			t.Errorf("%+v, all cost %+v", lost, x.Cost())
		}
		if s := f.targets[0].Health.Snapshot(gateway.Now()); s.Window.Failed != 0 || s.State != health.Healthy {
			t.Errorf("the one that lost: %+v", s)
		}

		f, x = begin()
		x.Cancel(gateway.ErrGone)
		if _, err := x.Reply.Stream.Next(); !errors.Is(err, gateway.ErrGone) {
			t.Errorf("the client left: %v", err)
		}
		_ = x.Reply.Stream.Close()
		x.End(gateway.ErrGone)
		if s := f.targets[1].Health.Snapshot(gateway.Now()); s.Window.Failed != 0 || s.Outstanding != 0 {
			t.Errorf("the one that won: %+v", s)
		}
	})
}

// The request's bytes are not given back while an attempt that lost is still writing them.
func TestHedgeHoldsTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		writing := true
		slow := sender(func(x *gateway.Exchange, _ *gateway.Attempt) (*gateway.Reply, error) {
			b := x.Request.Body()
			<-x.Context().Done()
			pauseFor(10 * ms) // it takes a while to stop
			if !bytes.HasPrefix(b, []byte(`{"model"`)) {
				t.Errorf("the bytes have become %q", b)
			}
			mu.Lock()
			defer mu.Unlock()
			writing = false
			return nil, x.Cause()
		})
		f := newFleet(slow, &script{t: t, answers: []answer{ok("b")}})
		x := f.exchange()
		x.Plan.Hedge = &gateway.Hedge{After: 100 * ms, Budget: 1}
		if err := forward.New(options()).Serve(x); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if writing || x.Request.Body() != nil {
			t.Error("committed while it was written")
		}
		_ = x.Reply.Stream.Close()
		x.End(nil)
	})
}

// A panic in an attempt of two is one of the exchange's goroutine, where the transport catches it.
func TestHedgePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve := func(answers ...answer) (x *gateway.Exchange, thrown any) {
			_, via := scripts(t, answers...)
			x = newFleet(via...).exchange()
			x.Plan.Hedge = &gateway.Hedge{After: 100 * ms, Budget: 1}
			defer func() {
				thrown = recover()
				x.End(nil)
			}()
			return x, forward.New(options()).Serve(x)
		}
		for _, x := range [][]answer{{{thrown: "boom"}, ok("b")}, {after(time.Second, ok("a")), {thrown: "boom"}}} {
			if x, v := serve(x...); v == nil || !strings.HasPrefix(v.(string), "boom\n") {
				t.Errorf("%s: %v", told(x), v)
			}
		}
	})
}

// Once one of two has answered, the request's bytes may be given back: neither has them any more.
func TestHedgeLetsGoOfTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var forked *gateway.Exchange
		script := &script{t: t, answers: []answer{{status: 200, events: 3}}}
		f := newFleet(sender(func(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
			forked = x
			return script.Send(x, nil, a)
		}), script)
		x := f.ask(asksStream)
		x.Plan.Hedge = &gateway.Hedge{After: time.Second, Budget: 1}
		if err := forward.New(options()).Serve(x); err != nil {
			t.Fatal(err)
		}
		if b := forked.Request.Body(); forked == x || b != nil {
			t.Errorf("it has %q", b)
		}
		_ = x.Reply.Stream.Close()
		x.End(nil)
	})
}
