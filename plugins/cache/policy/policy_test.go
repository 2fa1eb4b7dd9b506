package policy_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ai/sluice/plugins/cache/policy"
)

// world draws would-be hits of which the signals tell the truth more or less.
type world struct {
	r     *rand.Rand
	noise float64
	bold  float64 // added to the verifier's log odds
}

func (w *world) draw() (s policy.Signals, answer uint64, right bool) {
	truth := w.r.NormFloat64() * 3
	right = w.r.Float64() < 1/(1+math.Exp(-2*truth))
	told := func() float64 { return 1 / (1 + math.Exp(-(truth+w.noise*w.r.NormFloat64())/2)) }
	s = policy.Signals{
		Verified: 1 / (1 + math.Exp(-(truth + w.noise*w.r.NormFloat64() + w.bold))),
		Cosine:   told(), Margin: told(), Support: told(), Lead: truth / 2, Backers: 1 + w.r.IntN(5),
		Strange: 1 - told(), Oddest: 1 - told(), Unsaid: 1 - told(), Unheard: 1 - told(), Missing: 1 - told(),
	}
	return s, uint64(w.r.IntN(50)) + 1, right
}

func newPolicy(t testing.TB, b policy.Bound, seed uint64) *policy.Policy {
	t.Helper()
	p, err := policy.New(policy.Config{Bound: b, Rand: rand.New(rand.NewPCG(seed, 1)).Float64})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is served is wrong no more often than allowed, whether the offline calibration is right, useless or too bold.
func TestBoundHolds(t *testing.T) {
	f := func(maxWrong, offline, bold, least float64) {
		t.Helper()
		var served, wrong, queries int
		for seed := range uint64(5) {
			w := &world{r: rand.New(rand.NewPCG(seed, 2)), noise: 1, bold: bold}
			p := newPolicy(t, policy.Bound{MaxWrong: maxWrong, Offline: offline, Judged: true}, seed)
			for range 8000 {
				s, answer, right := w.draw()
				v := p.Decide("c", answer, s)
				queries++
				if v.Action == policy.Serve {
					served++
					if !right {
						wrong++
					}
				}
				if v.Ask {
					v.Sample.Same = right
					p.Observe(v.Sample)
				}
			}
		}
		hits, rate := float64(served)/float64(queries), float64(wrong)/float64(max(served, 1))
		if rate > maxWrong || hits < least {
			t.Errorf("max_wrong %g, offline %g, bold %g: served %.3f, of these wrong %.4f", maxWrong, offline, bold, hits, rate)
		}
	}
	f(0.01, 2, 0, 0.15)
	f(0.02, 2, 0, 0.2)
	f(0.05, 2, 0, 0.25)
	f(0.01, 0.999, 0, 0.15)
	f(0.05, 0.9, 4, 0.2) // the verifier is sure of nearly everything
}

// Without a judge the verifier decides, and nothing is explored or asked.
func TestUnjudged(t *testing.T) {
	p := newPolicy(t, policy.Bound{MaxWrong: 0.01, Offline: 0.9}, 1)
	f := func(verified float64, want policy.Action) {
		t.Helper()
		for range 100 {
			v := p.Decide("c", 1, policy.Signals{Verified: verified, Cosine: 0.9})
			if v.Action != want || v.Ask || v.Offline != (want == policy.Serve) {
				t.Fatalf("verified %g: %+v", verified, v)
			}
		}
	}
	f(0.95, policy.Serve)
	f(0.9, policy.Serve)
	f(0.89, policy.Miss)
}

// A judged sample stands for as many as its weight says.
func TestWeights(t *testing.T) {
	p := newPolicy(t, policy.Bound{MaxWrong: 0.05, Offline: 0.9, Judged: true, Explore: 0.1, Audit: 0.2}, 1)
	s := policy.Signals{Verified: 0.99, Cosine: 0.95, Margin: 0.3, Support: 1, Lead: 2, Backers: 3}
	const n = 20_000
	var explored, asked int
	var stood float64
	for range n {
		v := p.Decide("c", 1, s)
		if v.Action == policy.Explore {
			explored++
			if !v.Ask {
				t.Fatal("explored for nothing")
			}
		}
		if v.Ask {
			asked++
			stood += v.Sample.Weight
			v.Sample.Same = true
			p.Observe(v.Sample)
		}
	}
	if e := float64(explored) / n; e < 0.08 || e > 0.12 {
		t.Errorf("explored %g", e)
	}
	if math.Abs(stood/n-1) > 0.1 || asked > n/2 {
		t.Errorf("%d judgements stand for %g of %d", asked, stood, n)
	}
}

// A complaint counts against the answer, not against others.
func TestReject(t *testing.T) {
	p := newPolicy(t, policy.Bound{MaxWrong: 0.05, Offline: 2, Judged: true}, 1)
	w := &world{r: rand.New(rand.NewPCG(3, 3)), noise: 1}
	for i := range 2000 {
		s, _, right := w.draw()
		answer := uint64(i%20 + 1) // half of the answers are right and half are wrong, mostly
		right = right && answer > 10 || w.r.Float64() < 0.1
		p.Observe(policy.Sample{Class: "c", Answer: answer, Signals: s, Weight: 1, Same: right})
	}
	s := policy.Signals{Verified: 0.8, Cosine: 0.8, Support: 0.6, Backers: 2}
	good, other := p.Score("c", 11, s), p.Score("c", 12, s)
	for range 20 {
		p.Reject(11)
	}
	if after := p.Score("c", 11, s); after >= good {
		t.Errorf("score %g, was %g", after, good)
	}
	if after := p.Score("c", 12, s); after != other {
		t.Errorf("another's score %g, was %g", after, other)
	}
	p.Forget(11)
	if got, unknown := p.Score("c", 11, s), p.Score("c", 99, s); got != unknown {
		t.Errorf("score %g after it was forgotten, of an unknown answer %g", got, unknown)
	}
}

func TestPins(t *testing.T) {
	p := newPolicy(t, policy.Bound{MaxWrong: 0.05}, 1)
	p.Pin(1, 2)
	if !p.Pinned(1, 2) || p.Pinned(2, 1) || p.Pinned(1, 3) {
		t.Error("another pair is pinned than was said")
	}
	const many = 100_000
	for i := range uint64(many) {
		p.Pin(i+10, 7)
	}
	if p.Pinned(1, 2) || !p.Pinned(many, 7) {
		t.Error("the oldest should have gone, the newest stayed")
	}
}

// A policy that was exported and imported decides as the one that it came from.
func TestExport(t *testing.T) {
	w := &world{r: rand.New(rand.NewPCG(4, 4)), noise: 1}
	b := policy.Bound{MaxWrong: 0.03, Offline: 2, Judged: true}
	a, draw := newPolicy(t, b, 1), func() (policy.Signals, uint64) { s, answer, _ := w.draw(); return s, answer }
	for range 6000 {
		s, answer, right := w.draw()
		if v := a.Decide("c", answer, s); v.Ask {
			v.Sample.Same = right
			a.Observe(v.Sample)
		}
	}
	a.Pin(1, 2)
	data, err := a.Export()
	if err != nil {
		t.Fatal(err)
	}
	c, d := newPolicy(t, b, 2), newPolicy(t, b, 2)
	for _, p := range []*policy.Policy{c, d} {
		if err := p.Import(data); err != nil {
			t.Fatal(err)
		}
	}
	if !c.Pinned(1, 2) {
		t.Error("the pin is lost")
	}
	served := 0
	for range 1000 {
		s, answer := draw()
		if got, want := c.Score("c", answer, s), a.Score("c", answer, s); got != want {
			t.Fatalf("score %g, not %g", got, want)
		}
		x, y := c.Decide("c", answer, s), d.Decide("c", answer, s)
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("%+v and %+v", x, y)
		}
		if x.Action == policy.Serve {
			served++
		}
	}
	if served == 0 {
		t.Error("the evidence is lost: nothing is served")
	}
	for _, bad := range []string{"", "{}", `{"version":99}`, `{"version":1,"classes":{"c":{"samples":[{"weight":0}]}}}`, string(data[:len(data)/2])} {
		if err := c.Import([]byte(bad)); !errors.Is(err, policy.ErrState) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	if !c.Pinned(1, 2) {
		t.Error("an import that failed has changed something")
	}
}

func TestNewRefuses(t *testing.T) {
	f := func(b policy.Bound) {
		t.Helper()
		if _, err := policy.New(policy.Config{Bound: b}); !errors.Is(err, policy.ErrBound) {
			t.Errorf("%+v: %v", b, err)
		}
	}
	f(policy.Bound{})
	f(policy.Bound{MaxWrong: 1})
	f(policy.Bound{MaxWrong: -0.1})
	f(policy.Bound{MaxWrong: math.NaN()})
	f(policy.Bound{MaxWrong: 0.1, Explore: 2})
	f(policy.Bound{MaxWrong: 0.1, Audit: -1})
}

// A stricter bound never needs less.
func TestOffline(t *testing.T) {
	last := 0.
	for _, m := range []float64{0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 0.0001} {
		got := policy.Offline(m)
		if got < last || got <= 0 {
			t.Errorf("max_wrong %g: %g, after %g", m, got, last)
		}
		last = got
	}
	if last <= 1 {
		t.Errorf("a bound that was never measured serves from %g", last)
	}
}

func TestConcurrent(t *testing.T) {
	p := newPolicy(t, policy.Bound{MaxWrong: 0.05, Offline: 0.9, Judged: true}, 1)
	var all sync.WaitGroup
	for seed := range uint64(4) {
		all.Go(func() {
			w := &world{r: rand.New(rand.NewPCG(seed, 5)), noise: 1}
			for range 500 {
				s, answer, right := w.draw()
				v := p.Decide("c", answer, s)
				v.Sample.Same = right
				p.Observe(v.Sample)
				p.Pin(answer, answer)
			}
			if _, err := p.Export(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func FuzzImport(f *testing.F) {
	p := newPolicy(f, policy.Bound{MaxWrong: 0.05, Judged: true}, 1)
	p.Observe(policy.Sample{Class: "c", Answer: 1, Weight: 1, Same: true})
	p.Pin(1, 2)
	data, err := p.Export()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPolicy(t, policy.Bound{MaxWrong: 0.05, Judged: true}, 1)
		if p.Import(data) != nil {
			return
		}
		p.Decide("c", 1, policy.Signals{Verified: 0.9})
		p.Observe(policy.Sample{Class: "c", Answer: 1, Weight: 1})
	})
}

// What is exported is bounded, however many classes there are.
func TestExportIsBounded(t *testing.T) {
	size := func(classes, each int) int {
		p := newPolicy(t, policy.Bound{MaxWrong: 0.01, Judged: true}, 1)
		for c := range classes {
			for i := range each {
				p.Observe(policy.Sample{Class: fmt.Sprint(c), Answer: uint64(c*each + i), Weight: 1, Same: true})
			}
		}
		data, err := p.Export()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(data), `"weight"`)
	}
	if n := size(2, 100); n != 200 {
		t.Errorf("%d of 200 judgements", n)
	}
	if n := size(1000, 80); n > 1000*66 || n < 1000*60 {
		t.Errorf("%d judgements of 1,000 classes", n)
	}
}
