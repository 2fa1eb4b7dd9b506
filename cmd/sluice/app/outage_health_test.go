package app

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// inside is how many requests came to an upstream within the time for which it had asked to be left alone. Those that may have
// been on their way for so long when it did do not count.
func (u *upstream) inside(onTheirWay time.Duration) (n int) {
	var until []time.Time // of those that were told so far
	var told []time.Time
	for _, a := range u.Requests() {
		for i := range told {
			if a.At.Sub(told[i]) > onTheirWay && a.At.Before(until[i]) {
				n++
				break
			}
		}
		if _, after, ok := strings.Cut(a.Fault, " retry "); ok && !a.First.IsZero() {
			retry, err := time.ParseDuration(after)
			if err != nil {
				u.t.Fatal(err)
			}
			told, until = append(told, a.First), append(until, a.First.Add(retry))
		}
	}
	return n
}

// askFor asks at a rate for a time.
func (s *site) askFor(c *http.Client, d time.Duration, model string, perSecond int, check func(stream bool, a answer)) (asked int) {
	stop := make(chan struct{})
	time.AfterFunc(d, func() { close(stop) })
	return s.load(c, model, perSecond, stop, check)
}

// busy is for how long a request may be on its way where several are, on a machine that does something else.
const busy = 500 * time.Millisecond

// In an outage of all targets the gateway does not multiply the load on what is left: at most 1.2 requests reach the
// upstreams for each that a caller makes, retries included, and callers are told when to come again.
func TestAmplification(t *testing.T) {
	f := func(fault string, d time.Duration) {
		t.Run(fault, func(t *testing.T) {
			ups := []*upstream{spoil(t, fault, fast()), spoil(t, fault, fast())}
			s := start(t, outageFile("ordered", group{"m", []string{ups[0].address(), ups[1].address()}, nil}))
			defer s.stop()
			var told, silent atomic.Int64
			asked := s.askFor(client(t), d, "m", 100, func(_ bool, a answer) {
				switch {
				case a.err != nil || a.status < 400:
					t.Errorf("%+v", a)
				case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
					told.Add(1)
				default:
					silent.Add(1)
				}
			})
			sent := len(ups[0].Requests()) + len(ups[1].Requests())
			ratio := float64(sent) / float64(asked)
			t.Logf("%d requests of callers, %d at the upstreams: %.2f for each; %d were told when to come again", asked, sent, ratio, told.Load())
			if ratio > 1.2 {
				t.Errorf("%.2f requests for each, want at most 1.2", ratio)
			}
			if told.Load() == 0 {
				t.Error("nobody was told when to come again")
			}
			for i, u := range ups {
				if n := u.inside(busy); n > 0 {
					t.Errorf("upstream %d got %d requests inside its Retry-After", i, n)
				}
			}
		})
	}
	f("reset", time.Second)
	f("silent", 6*time.Second) // who is waited for, one second at each target, is not known to be ill
	f("500", time.Second)
	f("529", time.Second)
	f("429 retry 1s", 2500*time.Millisecond)
	f("429 retry 30s", time.Second)
	f("503 retry 1s", 2500*time.Millisecond)
}

// A target that asks to be left alone is left alone, exactly until then. Where one asks after the other nothing is on its way.
func TestRetryAfter(t *testing.T) {
	limited, well := spoil(t, "429 retry 1s", fast()), spoil(t, "ok", fast())
	s := start(t, outageFile("ordered", group{"m", []string{limited.address()}, []string{well.address()}}))
	defer s.stop()
	c := client(t)
	if a := s.ask(c, unary("m")); !a.good(false) { // from now on it is known
		t.Fatalf("%+v", a)
	}
	for began := time.Now(); time.Since(began) < 2500*time.Millisecond; {
		if a := s.ask(c, unary("m")); !a.good(false) {
			t.Fatalf("%+v", a)
		}
	}
	if n := limited.inside(0); n > 0 {
		t.Errorf("%d requests came inside its Retry-After, one after the other", n)
	}
	asked := s.askFor(c, 2500*time.Millisecond, "m", 150, func(stream bool, a answer) {
		if !a.good(stream) {
			t.Errorf("%+v", a)
		}
	})
	seen := limited.Requests()
	t.Logf("%d requests, %d of them to the target that is limited", asked, len(seen))
	if n := limited.inside(busy); n > 0 {
		t.Errorf("%d requests came inside its Retry-After", n)
	}
	if len(seen) < 3 {
		t.Errorf("it was asked %d times in 2.5 s: it is not tried again", len(seen))
	}
	limited.set("ok")
	until(t, "it is used again", func() bool { return s.ask(c, unary("m")).header.Get("X-Sluice-Provider") == "m-0" })
}
