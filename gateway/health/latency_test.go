package health_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
)

func (p *patient) took(d time.Duration) {
	p.Report(p.now, health.Outcome{Verdict: health.OK, Began: p.now.Add(-d), First: d})
}

// first is the estimate of streams in milliseconds.
func (p *patient) first() float64 { return p.First(p.now, false).Seconds() * 1000 }

func (p *patient) near(want float64) {
	p.Helper()
	if got := p.first(); math.Abs(got-want) > want/50 {
		p.Errorf("the estimate is %.1f ms, want %.1f ms", got, want)
	}
}

func TestFirstRisesAtOnceAndFallsSlowly(t *testing.T) {
	p := start(t, health.Settings{})
	if p.first() != 0 {
		t.Error("something is known already")
	}
	p.took(100 * time.Millisecond)
	p.near(100)
	p.took(2 * time.Second)
	p.near(2000)
	p.took(100 * time.Millisecond)
	p.near(2000)
	for range 100 {
		p.pass(100 * time.Millisecond)
		p.took(100 * time.Millisecond)
	}
	p.near(100 + 1900/math.E)
	for range 1000 {
		p.pass(100 * time.Millisecond)
		p.took(100 * time.Millisecond)
	}
	p.near(100)
	p.pass(10 * time.Second) // nothing is sent: it deserves another chance
	p.near(100 / math.E)
	p.took(300 * time.Millisecond)
	p.near(300)
	p.pass(1000 * time.Hour)
	if p.first() != 0 {
		t.Errorf("after weeks the estimate is still %v ms", p.first())
	}
}

func TestFailingFastAttractsNothing(t *testing.T) {
	for _, v := range []health.Verdict{health.Failed, health.Limited} {
		p := start(t, health.Settings{Consecutive: -1})
		p.took(10 * time.Millisecond)
		p.try(1, v)
		p.near(1000)
		p.due()
		before := p.first()
		p.try(1, v)
		if got := p.first(); got < 1.9*before {
			t.Errorf("verdict %v: %v ms after another, from %v ms", v, got, before)
		}
		for range 10 {
			p.due()
			p.try(1, v)
		}
		if got := p.first(); got > 30_000 {
			t.Errorf("verdict %v: there is no end to it: %v ms", v, got)
		}
	}

	p := start(t, health.Settings{Consecutive: -1})
	for range 100 {
		p.took(2 * time.Second)
	}
	for range 10 {
		p.try(1, health.Failed)
	}
	p.near(4000) // what successes take is known: twice that, and no more

	p = start(t, health.Settings{})
	p.try(5, health.Failed)
	p.due()
	p.try(1, health.OK)
	p.near(100) // a new life
	if got := p.First(p.now, true); got != 0 {
		t.Errorf("whole replies: %v", got)
	}
}

func TestStreamsAndWholeRepliesAreKeptApart(t *testing.T) {
	p := start(t, health.Settings{})
	for range 20 {
		p.took(200 * time.Millisecond)
		p.Report(p.now, health.Outcome{Verdict: health.OK, First: 20 * time.Second, Whole: true})
	}
	p.near(200)
	if got := p.First(p.now, true); got < 19*time.Second || got > 21*time.Second {
		t.Errorf("whole replies: %v", got)
	}
	stream, _ := p.P95(false)
	whole, _ := p.P95(true)
	if stream > 210*time.Millisecond || whole < 19*time.Second {
		t.Errorf("p95 of streams %v, of whole replies %v", stream, whole)
	}
	p.Report(p.now, health.Outcome{Verdict: health.OK})
	p.near(200) // a time that is not known is not 0
	if got := p.Snapshot(p.now); got.FirstMS < 190 || got.P95MS < 190 || got.WholeMS < 19_000 || got.WholeP95MS < 19_000 {
		t.Errorf("%+v", got)
	}
}

func TestP95(t *testing.T) {
	f := func(name string, draw func(*rand.Rand) float64) { // milliseconds
		t.Helper()
		p := start(t, health.Settings{})
		r := rand.New(rand.NewPCG(1, 2))
		var all []time.Duration
		for i := range 3000 {
			d := time.Duration(draw(r) * float64(time.Millisecond))
			all = append(all, d)
			p.took(d)
			if got, ok := p.P95(false); ok != (i >= 19) {
				t.Fatalf("%s: after %d samples %v, %v", name, i+1, got, ok)
			}
			if i != 19 && i != 299 && i != 2999 {
				continue
			}
			slices.Sort(all)
			want := all[int(math.Ceil(0.95*float64(len(all))))-1]
			if got, _ := p.P95(false); math.Abs(float64(got-want)) > 0.05*float64(want) {
				t.Errorf("%s: p95 of %d samples is %v, want %v", name, i+1, got, want)
			}
		}
	}
	f("constant", func(*rand.Rand) float64 { return 123 })
	f("uniform", func(r *rand.Rand) float64 { return 1 + 1000*r.Float64() })
	f("lognormal", func(r *rand.Rand) float64 { return 400 * math.Exp(0.8*r.NormFloat64()) })
	f("exponential", func(r *rand.Rand) float64 { return 1 + 3000*r.ExpFloat64() })
	f("minutes", func(r *rand.Rand) float64 { return 60_000 * (1 + r.Float64()) })
	f("bimodal", func(r *rand.Rand) float64 {
		if r.Float64() < 0.1 {
			return 2000 + 10*r.Float64()
		}
		return 100 + 10*r.Float64()
	})

	p := start(t, health.Settings{})
	for _, d := range []time.Duration{-1, 1, time.Nanosecond, 1000 * time.Hour} {
		for range 20 {
			p.took(d)
		}
	}
	if got, ok := p.P95(false); !ok || got < 15*time.Minute {
		t.Errorf("p95 %v, %v, want the longest that is told apart", got, ok)
	}
}

func TestP95Follows(t *testing.T) {
	p := start(t, health.Settings{})
	second := func(n int, d time.Duration) {
		for range n {
			p.took(d)
		}
		p.pass(time.Second)
	}
	is := func(want time.Duration) {
		t.Helper()
		if got, ok := p.P95(false); !ok || got < want*95/100 || got > want*105/100 {
			t.Errorf("p95 is %v, %v; want %v", got, ok, want)
		}
	}
	for range 600 {
		second(100, time.Second)
	}
	for range 30 {
		second(100, 3*time.Second) // a target that has become slower is known within half a minute
	}
	is(3 * time.Second)
	for range 400 {
		second(100, 500*time.Millisecond) // and one that is faster again in some minutes
	}
	is(500 * time.Millisecond)

	// Few samples are kept until there are others, and their figure stays what it was.
	p = start(t, health.Settings{})
	for i := range 1000 {
		p.took(time.Duration(100+i%100*10) * time.Millisecond)
		p.pass(time.Minute)
		if got, ok := p.P95(false); i > 100 && (!ok || got < 850*time.Millisecond || got > 1150*time.Millisecond) {
			t.Fatalf("one request a minute: p95 %v, %v", got, ok)
		}
	}
	for i := range 1000 {
		p.took(time.Duration(10+i%100) * time.Millisecond)
		p.pass(time.Minute)
	}
	is(105 * time.Millisecond) // though each old sample was alone in its bin
}

// An attempt that was given up because another was quicker has taken at least so long.
func TestGivenUpAttemptsAreSlow(t *testing.T) {
	p := start(t, health.Settings{})
	for range 90 {
		p.took(100 * time.Millisecond)
	}
	for range 10 {
		p.Report(p.now, health.Outcome{Verdict: health.Neutral, Began: p.now, First: 400 * time.Millisecond})
	}
	if d, ok := p.P95(false); !ok || d < 380*time.Millisecond {
		t.Errorf("95 %% took %v", d)
	}
	if s := p.Snapshot(p.now); s.Window.Requests != 90 || s.Window.Failed != 0 {
		t.Errorf("%+v", s.Window)
	}
}

func TestMeasuredIsFirstWithoutTheTimeSince(t *testing.T) {
	p := start(t, health.Settings{})
	if d, at := p.Measured(p.now, false); d != 0 || at != 0 {
		t.Errorf("%v at %v, though nothing was measured", d, at)
	}
	p.took(2 * time.Second)
	is := func(want time.Duration, ago time.Duration) {
		t.Helper()
		d, at := p.Measured(p.now, false)
		if d != want || p.now.Sub(at) < ago || p.now.Sub(at) > ago+17*time.Millisecond {
			t.Errorf("%v %v ago, want %v %v ago", d, p.now.Sub(at), want, ago)
		}
	}
	is(2*time.Second, 0)
	_, at := p.Measured(p.now, false)
	p.pass(time.Hour)
	is(2*time.Second, time.Hour)
	if _, again := p.Measured(p.now, false); again != at {
		t.Errorf("the moment moved by %v", again.Sub(at))
	}
	p.took(250 * time.Millisecond)
	is(250*time.Millisecond, 0)
	if d, _ := p.Measured(p.now, true); d != 0 {
		t.Errorf("whole replies take %v", d)
	}
	var none *health.Target
	if d, at := none.Measured(p.now, false); d != 0 || at != 0 {
		t.Error("something is known of nothing")
	}
}
