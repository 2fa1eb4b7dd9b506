package routing_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/plugins/routing"
)

// provider is a simulated one: how long its next answer takes, from the time since the start and what runs there, or 0 if it
// answers 429 at once.
type provider func(at time.Duration, running int64, r *rand.Rand) time.Duration

// steady takes a time, a tenth more or less.
func steady(d time.Duration) provider {
	return func(_ time.Duration, _ int64, r *rand.Rand) time.Duration {
		return time.Duration(float64(d) * (0.9 + 0.2*r.Float64()))
	}
}

// then is one provider before a moment, and another from then on.
func (p provider) then(at time.Duration, q provider) provider {
	return func(now time.Duration, running int64, r *rand.Rand) time.Duration {
		if now < at {
			return p(now, running, r)
		}
		return q(now, running, r)
	}
}

// busy takes longer in proportion when more runs there than it can do at once.
func (p provider) busy(most int64) provider {
	return func(at time.Duration, running int64, r *rand.Rand) time.Duration {
		return p(at, running, r) * time.Duration(max(running+1, most)) / time.Duration(most)
	}
}

// market is what a strategy made of some providers.
type market struct {
	times  []time.Duration // of all answers, sorted
	shares []float64       // of the first attempts
}

func (m market) percentile(p int) time.Duration { return m.times[len(m.times)*p/100] }

func (m market) String() string {
	return fmt.Sprintf("p50 %v, p99 %v, shares %.3f", m.percentile(50).Round(time.Millisecond), m.percentile(99).Round(time.Millisecond), m.shares)
}

// play sends requests at a rate for some time. A request goes to the first target of its plan that may be asked, and on to
// the next if that answers 429.
func play(t *testing.T, strategy gateway.Strategy, rate float64, length time.Duration, providers ...provider) market {
	t.Helper()
	return stage(t, strategy, body("m"), 0, poisson(rate), length, providers...)
}

// pace is the time until the next request.
type pace func(*rand.Rand) time.Duration

// poisson is how requests come of many who know nothing of each other.
func poisson(rate float64) pace {
	return func(r *rand.Rand) time.Duration {
		return time.Duration(float64(time.Second) / rate * r.ExpFloat64())
	}
}

// evenly is how they come of a machine.
func evenly(rate float64) pace {
	return func(*rand.Rand) time.Duration { return time.Duration(float64(time.Second) / rate) }
}

// stage is play of streams, each of which lasts for 50 times as long as its first event takes, or of whole replies. Before each
// request there are a few, as many as others says, to another model that works and has this one for a fallback.
func stage(t *testing.T, strategy gateway.Strategy, body string, others int, next pace, length time.Duration, providers ...provider) (m market) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		registry := health.New(health.Options{})
		model := &gateway.Model{Name: "m", Strategy: strategy}
		for i := range providers {
			name := strconv.Itoa(i)
			model.Steps = append(model.Steps, []*gateway.Target{{
				Provider: name, Model: "m", Weight: 1, Health: registry.Target(health.ID{Provider: name, Model: "m"}, health.Settings{}),
			}})
		}
		other := &gateway.Model{Name: "other", Strategy: gateway.Weighted, Steps: [][]*gateway.Target{{{Provider: "other", Model: "m", Weight: 1}}}, Fallback: []*gateway.Model{model}}
		d := gateway.NewDirectory(gateway.Entries{Models: []*gateway.Model{model, other}})
		p, _ := gatewaytest.Build(t, routing.Spec(), nil)
		plan := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return nil }))
		m.shares = make([]float64, len(providers))
		start, tenant, sent := time.Now(), &gateway.Tenant{}, 0
		planned := func(body string) *gateway.Exchange {
			x := gatewaytest.New(t, gatewaytest.Request{Directory: d, Caller: gateway.Caller{Tenant: tenant}, Body: body})
			if err := plan.Serve(x); err != nil {
				t.Fatal(err)
			}
			return x
		}
		for ; time.Since(start) < length; sent++ {
			gap := next(r)
			for range others {
				planned(strings.Replace(body, `"m"`, `"other"`, 1))
				<-time.After(gap / time.Duration(others+1))
			}
			x := planned(body)
			for n, to := range x.Plan.Targets {
				i, _ := strconv.Atoi(to.Provider)
				began := gateway.Now()
				if !to.Health.Begin(began, 100) {
					continue
				}
				if n == 0 {
					m.shares[i]++
				}
				running, _ := to.Health.Outstanding()
				took := providers[i](time.Since(start), running-1, r)
				if took == 0 {
					to.Health.Report(began, health.Outcome{Verdict: health.Limited, Began: began, Reason: "http 429"})
					to.Health.End(100)
					continue
				}
				m.times = append(m.times, took)
				whole, total := !x.Request.Stream(), took
				if !whole {
					total *= 50
				}
				time.AfterFunc(took, func() {
					to.Health.Report(gateway.Now(), health.Outcome{Verdict: health.OK, Began: began, First: took, Whole: whole})
				})
				time.AfterFunc(total, func() { to.Health.End(100) })
				break
			}
			<-time.After(gap / time.Duration(others+1))
		}
		<-time.After(time.Hour)
		for i := range m.shares {
			m.shares[i] /= float64(sent)
		}
		slices.Sort(m.times)
	})
	return m
}

// sometimes is one provider, and now and then another.
func (p provider) sometimes(share float64, q provider) provider {
	return func(at time.Duration, running int64, r *rand.Rand) time.Duration {
		if r.Float64() < share {
			return q(at, running, r)
		}
		return p(at, running, r)
	}
}

const stream = `{"model":"m","stream":true}`

func refuse(time.Duration, int64, *rand.Rand) time.Duration { return 0 }

// TestLeastLatency plays scenarios. The median and the 99th percentile must stand beside the best of the other strategies,
// though that is another one each time. Weighted stands for round robin, which there is not.
func TestLeastLatency(t *testing.T) {
	f := func(name string, rate float64, providers ...provider) (shares []float64) {
		t.Helper()
		const length = 20 * time.Second
		got := play(t, gateway.LeastLatency, rate, length, providers...)
		ordered, weighted := play(t, gateway.Ordered, rate, length, providers...), play(t, gateway.Weighted, rate, length, providers...)
		t.Logf("%s, %v/s: %v; ordered: %v; weighted: %v", name, rate, got, ordered, weighted)
		for _, p := range []int{50, 99} {
			best := min(ordered.percentile(p), weighted.percentile(p))
			if got.percentile(p) > best*11/10 {
				t.Errorf("%s: p%d is %v, that of another strategy %v", name, p, got.percentile(p), best)
			}
		}
		return got.shares
	}
	const ms = time.Millisecond
	fast, slow, mean := steady(100*ms), steady(2*time.Second), steady(200*ms)
	same, small, alike := mean, fast.busy(25), fast.busy(25)
	for _, rate := range []float64{20, 200} {
		f("the first is fast", rate, fast, slow)
		f("the second is fast", rate, slow, fast)
		if s := f("equal", rate, mean, same); s[0] < 0.3 || s[0] > 0.7 {
			t.Errorf("one of two equals gets %.2f", s[0])
		}
		f("changed places", rate, fast.then(10*time.Second, slow), slow.then(10*time.Second, fast))
		f("becomes slow", rate, fast.then(5*time.Second, slow), mean)
		f("becomes a black hole", rate, fast.then(5*time.Second, steady(time.Minute)), mean)
		if s := f("refuses", rate, refuse, mean); s[0] > 0.02 {
			t.Errorf("a target that refuses at once gets %.3f", s[0])
		}
		if s := f("refuses from then on", rate, fast.then(5*time.Second, refuse), mean); s[0] > 0.3 {
			t.Errorf("a target that refused at once from a quarter of the time on got %.3f", s[0])
		}
	}
	f("a little faster", 200, fast, mean)
	f("three", 200, mean, fast, slow)
	f("not for all of them", 400, fast.busy(20), mean.busy(100))
	f("none for all of them", 400, small, alike)
	if m := stage(t, gateway.LeastLatency, stream, 0, poisson(100), 30*time.Second, mean, fast); m.percentile(99) > 120*ms {
		t.Errorf("streams, the second is fast: %v", m)
	}
	if m := stage(t, gateway.LeastLatency, stream, 0, poisson(100), 30*time.Second, fast.then(10*time.Second, slow), mean); m.percentile(50) > 220*ms || m.shares[0] > 0.4 {
		t.Errorf("streams, the first becomes slow: %v", m)
	}
	for _, rate := range []float64{1, 10, 100} {
		length := time.Duration(2000/rate) * time.Second
		if m := stage(t, gateway.LeastLatency, stream, 0, poisson(rate), length, fast.then(length/2, steady(time.Minute)), mean); m.shares[0] > 0.52 {
			t.Errorf("streams, %v/s, the first becomes a black hole at half of the time: %v", rate, m)
		}
	}
	// As many end there as begin, so that as many run whenever one looks: that is not silence.
	exactly := func(d time.Duration) provider {
		return func(time.Duration, int64, *rand.Rand) time.Duration { return d }
	}
	if m := stage(t, gateway.LeastLatency, body("m"), 0, evenly(200), 20*time.Second, exactly(20500*time.Microsecond), exactly(80*ms)); m.shares[0] < 0.99 {
		t.Errorf("a clockwork: %v", m)
	}
	if m := play(t, gateway.LeastLatency, 400, 20*time.Second, fast.sometimes(0.05, slow), mean); m.percentile(99) > 250*ms {
		t.Errorf("a target that is slow now and then: %v", m)
	}
}

// TestLeastLatencyOfTheQuiet plays models that are seldom asked, as most are: what is known must not fade before others are
// asked. The slow ones are looked at again in the end.
func TestLeastLatencyOfTheQuiet(t *testing.T) {
	const ms = time.Millisecond
	const requests = 2000
	fast, slow, mean := steady(100*ms), steady(2*time.Second), steady(200*ms)
	for _, every := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 20 * time.Second, time.Minute, time.Hour} {
		rate := 1 / every.Seconds()
		f := func(name string, providers ...provider) market {
			t.Helper()
			got := play(t, gateway.LeastLatency, rate, requests*every, providers...)
			ordered := play(t, gateway.Ordered, rate, requests*every, providers...)
			t.Logf("%s, one each %v: %v; ordered: %v", name, every, got, ordered)
			for _, p := range []int{50, 99} {
				if best := ordered.percentile(p); got.percentile(p) > best*11/10 {
					t.Errorf("%s, one each %v: p%d is %v, that of the strategy ordered %v", name, every, p, got.percentile(p), best)
				}
			}
			return got
		}
		f("the first is fast", fast, slow)
		f("the second is fast", slow, fast)
		f("twice as long", mean, steady(400*ms))
		f("three", fast, mean, steady(300*ms))
		if m := f("refuses", refuse, mean); m.shares[0] > 0.02 {
			t.Errorf("one each %v: a target that refuses gets %.3f", every, m.shares[0])
		}
		half := requests / 2 * every
		if m := f("becomes fast", mean, slow.then(half, fast)); m.shares[1] < 0.25 {
			t.Errorf("one each %v: what has become fast gets %.3f", every, m.shares[1])
		}
		if m := f("becomes a black hole", fast.then(half*3/2, steady(time.Hour)), mean); m.shares[0] > 0.78 {
			t.Errorf("one each %v: a black hole from three quarters of the time on got %.3f", every, m.shares[0])
		}
	}
}

// TestFallbacksAreNotChosen makes sure that requests to another model, which has this one for a fallback and does not need it,
// are not taken for requests to this one.
func TestFallbacksAreNotChosen(t *testing.T) {
	const ms = time.Millisecond
	for _, others := range []int{10, 100} {
		m := stage(t, gateway.LeastLatency, stream, others, poisson(10), 200*time.Second, steady(100*ms), steady(400*ms))
		if m.percentile(99) > 121*ms || m.shares[1] > 0.02 {
			t.Errorf("%d requests to another model for each: %v", others, m)
		}
	}
}

// TestStreamsApart makes sure that what is known of streams says nothing of whole replies.
func TestStreamsApart(t *testing.T) {
	d := two(gateway.LeastLatency)
	m, _, _ := d.Model("m")
	one, other := m.Steps[0][0].Health, m.Steps[1][0].Health
	now := gateway.Now()
	know := func(h *health.Target, whole bool, d time.Duration) {
		h.Report(now, health.Outcome{Verdict: health.OK, First: d, Whole: whole})
	}
	know(one, true, time.Second)
	know(one, false, time.Millisecond)
	know(other, true, 100*time.Millisecond)
	know(other, false, 100*time.Millisecond)
	f := func(body, want string) {
		t.Helper()
		x := planned(t, gatewaytest.Request{Directory: d, Body: body})
		if got := x.Plan.Targets[0].Provider; got != want {
			t.Errorf("%s goes to %s", body, got)
		}
	}
	f(`{"model":"m"}`, "two")
	f(`{"model":"m","stream":true}`, "one")
}

// TestSuspectsOfAllStrategies makes sure that only who chooses by what he expects avoids a target that fails at times: an order,
// weights and prices are what somebody has configured, and who finds the target failing goes on to the next.
func TestSuspectsOfAllStrategies(t *testing.T) {
	f := func(s gateway.Strategy, want float64) {
		t.Helper()
		d, at := stall(s, "a/m", "b/m")
		for i := range 100 {
			now, a := gateway.Now(), health.OK
			if i%5 < 2 {
				a = health.Failed
			}
			at["a/m"].Health.Report(now, health.Outcome{Verdict: a, Began: now, First: 100 * time.Millisecond, Whole: true})
			at["b/m"].Health.Report(now, health.Outcome{Verdict: health.OK, Began: now, First: 100 * time.Millisecond, Whole: true})
		}
		if state := at["a/m"].Health.State(gateway.Now()); state != health.Suspect {
			t.Fatal(state)
		}
		if got := firsts(t, d, gatewaytest.Request{})[at["a/m"]]; !near(got, want) {
			t.Errorf("%s: what is suspect comes first in %.2f of the plans, want %.2f", s, got, want)
		}
	}
	f(gateway.Ordered, 1)
	f(gateway.Weighted, 0.5)
	f(gateway.LeastCost, 0.5)
	f(gateway.LeastLatency, 0)
}

// TestSuspects makes sure that what fails of late comes behind what does not, however fast it is, and that what may be tried
// again gets its trial.
func TestSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := two(gateway.LeastLatency)
		m, _, _ := d.Model("m")
		one, other := m.Steps[0][0].Health, m.Steps[1][0].Health
		f := func(want string) {
			t.Helper()
			for range 20 {
				if x := planned(t, gatewaytest.Request{Directory: d, Body: `{"model":"m"}`}); names(x) != want {
					t.Errorf("planned %s, want %s", names(x), want)
				}
			}
		}
		report := func(h *health.Target, v health.Verdict, d time.Duration) {
			h.Report(gateway.Now(), health.Outcome{Verdict: v, First: d, Whole: true, Reason: "test"})
		}
		report(one, health.OK, time.Millisecond)
		report(other, health.OK, 10*time.Second)
		f("one/m two/m")
		for range 3 {
			report(one, health.Failed, 0)
		}
		if s := one.State(gateway.Now()); s != health.Suspect {
			t.Fatal(s)
		}
		f("two/m one/m")
		for range 3 {
			report(one, health.Failed, 0)
		}
		if s := one.State(gateway.Now()); s != health.Open {
			t.Fatal(s)
		}
		f("two/m one/m")
		<-time.After(one.Wait(gateway.Now()))
		f("one/m two/m") // somebody must try
		if !one.Begin(gateway.Now(), 0) {
			t.Fatal("there is no trial")
		}
		f("two/m one/m") // one is enough
		report(one, health.OK, time.Millisecond)
		one.End(0)
		f("one/m two/m")
	})
}
