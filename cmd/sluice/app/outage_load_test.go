package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/sim"
)

// One of two providers fails under load, in every way: no unary caller notices, what fails over costs little, and the
// provider is left alone, and used again once it is well. What it costs is only logged, beside a bound for what hangs:
// benchmarks/ makes the same with 500 requests a second, and limits.
func TestOutageUnderLoad(t *testing.T) {
	f := func(fault string, most time.Duration) {
		t.Run(fault, func(t *testing.T) {
			ill, well := spoil(t, "ok", fast()), spoil(t, "ok", fast())
			s := start(t, outageFile("weighted", group{"m", []string{ill.address(), well.address()}, nil}))
			defer s.stop()
			c := client(t)
			var mu sync.Mutex
			var usual, failedOver []time.Duration
			stop := make(chan struct{})
			asked := make(chan int, 1)
			go func() {
				asked <- s.timed(c, "m", 150, stop, func(a answer, took time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					switch {
					case !a.good(false):
						t.Errorf("failed after %v: %d %v %.300s", took, a.status, a.err, a.body)
					case a.header.Get("X-Sluice-Attempts") != "":
						failedOver = append(failedOver, took)
					default:
						usual = append(usual, took)
					}
				})
			}()
			<-time.After(500 * time.Millisecond)
			began := time.Now()
			ill.set(fault)
			var alone health.Event
			until(t, "the provider is left alone", func() (left bool) {
				alone, left = s.leftAlone(c, "m-0")
				return left
			})
			detected := alone.At.Sub(began)
			<-time.After(700 * time.Millisecond)
			ended := time.Now()
			ill.set("ok")
			until(t, "the provider is used again", func() bool {
				seen := ill.Requests()
				return slices.ContainsFunc(seen, func(a sim.Arrival) bool { return a.At.After(ended) && a.Status == http.StatusOK })
			})
			recovered := time.Since(ended)
			close(stop)
			n := <-asked
			cost := quantile(failedOver, 0.9) - quantile(usual, 0.5) // the slowest may be the machine's own
			t.Logf("%d asked, %d failed over at a cost of %v; detected after %v, used again %v after its end", n, len(failedOver), cost, detected, recovered)
			if cost > most {
				t.Errorf("failing over costs %v, want at most %v", cost, most)
			}
			if len(failedOver) == 0 {
				t.Error("nothing failed over: the test proves nothing")
			}
		})
	}
	// What a busy machine may add. So only a hang is found here; benchmarks/ has the limits of a quiet one.
	const busy = 5 * time.Second
	f("refuse", busy)
	f("reset", busy)
	f("500", busy)
	f("429 retry 1s", busy)
	f("blackhole", 3*time.Second+busy)
	f("drip 50", 2*time.Second+busy)
}

// timed asks for whole answers at a rate until stop is closed, and gives every answer and its time to check.
func (s *site) timed(c *http.Client, model string, perSecond int, stop <-chan struct{}, check func(a answer, took time.Duration)) (asked int) {
	var work sync.WaitGroup
	defer work.Wait()
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return asked
		case <-tick.C:
			asked++
			work.Go(func() {
				begin := time.Now()
				a := s.ask(c, unary(model))
				check(a, time.Since(begin))
			})
		}
	}
}

// leftAlone is the first event by which a provider is not asked for a while: because it is ill, or wants it so.
func (s *site) leftAlone(c *http.Client, provider string) (e health.Event, ok bool) {
	var list admin.Events
	a := get(s.t, c, "http://"+s.AdminAddress().String()+"/admin/v1/events", "")
	if err := json.Unmarshal([]byte(a.body), &list); err != nil {
		s.t.Fatalf("%v: %+v", err, a)
	}
	for _, e := range list.Events {
		if e.Provider == provider && (e.To == health.Open || !e.Until.IsZero()) {
			return e, true
		}
	}
	return e, false
}

// quantile is the time that a share of many does not exceed; 0 for none.
func quantile(times []time.Duration, share float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[int(share*float64(len(times)-1))]
}
