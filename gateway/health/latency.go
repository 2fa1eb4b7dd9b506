package health

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

const (
	// decay is the time constant with which an estimate falls: to a third in ten seconds. So a target that was slow is
	// tried again soon, and one that fails is tried a few times a minute.
	decay = 10 * time.Second
	// tickShift makes ticks of 16.8 ms: what an estimate learns between two ticks are only rises.
	tickShift = 24
	tick      = 1 << tickShift

	minPenalty = time.Second
	maxPenalty = 30 * time.Second
)

// estimate is a time that rises at once and falls slowly. One word: the value in seconds as a float32, and the tick at
// which it was that.
type estimate struct{ word atomic.Uint64 }

func pack(seconds float64, t uint32) uint64 {
	return uint64(math.Float32bits(float32(seconds)))<<32 | uint64(t)
}

// fade is what is left at tick t of the value in word, and by what factor it fell.
func fade(word uint64, t uint32) (value, factor float64) {
	value, factor = float64(math.Float32frombits(uint32(word>>32))), 1
	if age := int32(t - uint32(word)); age > 0 { //nolint:gosec // ticks wrap
		factor = math.Exp(-float64(age) * float64(tick) / float64(decay))
	}
	return value * factor, factor
}

func ticks(now clock.Instant) uint32 { return uint32(uint64(now) >> tickShift) } //nolint:gosec // ticks wrap

func (e *estimate) at(now clock.Instant) time.Duration {
	v, _ := fade(e.word.Load(), ticks(now))
	return time.Duration(v * float64(time.Second))
}

func (e *estimate) observe(now clock.Instant, d time.Duration) {
	t, s := ticks(now), d.Seconds()
	for {
		word := e.word.Load()
		old, k := fade(word, t)
		if k == 1 && old >= s {
			return
		}
		if e.word.CompareAndSwap(word, pack(max(s, old+s*(1-k)), t)) {
			return
		}
	}
}

func (e *estimate) set(now clock.Instant, d time.Duration) {
	e.word.Store(pack(d.Seconds(), ticks(now)))
}

// last is the value as it was when it was changed last, and when that was, to a tick; 0 if never.
func (e *estimate) last(now clock.Instant) (time.Duration, clock.Instant) {
	word := e.word.Load()
	if word == 0 {
		return 0, 0
	}
	age := int32(ticks(now) - uint32(word)) //nolint:gosec // ticks wrap
	v := math.Float32frombits(uint32(word >> 32))
	return time.Duration(float64(v) * float64(time.Second)), (now>>tickShift - clock.Instant(age)) << tickShift
}

// Measured is what First was when an outcome changed it last, and when that was, to 17 ms: who asks seldom does not want to
// know what time alone has made of it.
func (t *Target) Measured(now clock.Instant, whole bool) (time.Duration, clock.Instant) {
	if t == nil {
		return 0, 0
	}
	return t.latency[kind(whole)].first.last(now)
}

// latency is how long one kind of reply takes.
type latency struct {
	first estimate
	all   atomic.Pointer[histogram] // nil until there is a sample
}

// kind is the index of a kind of reply.
func kind(whole bool) int {
	if whole {
		return 1
	}
	return 0
}

func (l *latency) observe(now clock.Instant, d time.Duration) {
	l.first.observe(now, d)
	h := l.all.Load()
	if h == nil {
		h = &histogram{}
		h.halved.Store(int64(now))
		if !l.all.CompareAndSwap(nil, h) {
			h = l.all.Load()
		}
	}
	h.observe(now, d)
}

func (l *latency) p95() (time.Duration, bool) {
	h := l.all.Load()
	if h == nil {
		return 0, false
	}
	return h.p95()
}

// The histogram has 16 bins to an octave, so that the middle of one is at most 3.2 % off, from 65 µs to 17 minutes.
const (
	binShift  = 12 // durations in units of 4 µs
	binBits   = 4
	perOctave = 1 << binBits
	bins      = 25 * perOctave

	minSamples = 20
	halfLife   = time.Minute
	// minHalved is how many samples a histogram must hold to be halved: enough for half of them to be worth something.
	minHalved = 64
)

// histogram counts durations, recent ones more: every halfLife it is halved.
type histogram struct {
	halved atomic.Int64
	bins   [bins]atomic.Uint32
}

func bin(d time.Duration) int {
	v := uint64(max(d, 0)) >> binShift
	if v < perOctave {
		return int(v)
	}
	e := bits.Len64(v) - binBits - 1
	return min((e+1)<<binBits|int(v>>e&(perOctave-1)), bins-1)
}

// middle is the duration that a bin stands for.
func middle(i int) time.Duration {
	if i < perOctave {
		return time.Duration(i)<<binShift + 1<<(binShift-1)
	}
	e := i>>binBits - 1
	return time.Duration(2*(perOctave+i&(perOctave-1))+1) << (e + binShift - 1)
}

func (h *histogram) observe(now clock.Instant, d time.Duration) {
	h.bins[bin(d)].Add(1)
	if at := h.halved.Load(); now-clock.Instant(at) >= clock.Instant(halfLife) {
		h.halve(now, at)
	}
}

// halve takes half of each bin away. Of odd counts every other one is rounded up, so that single samples are thinned out
// evenly rather than lost.
func (h *histogram) halve(now clock.Instant, at int64) {
	if h.count() < minHalved || !h.halved.CompareAndSwap(at, int64(now)) {
		return
	}
	var carry uint32
	for i := range h.bins {
		n := h.bins[i].Load()
		if n == 0 {
			continue
		}
		h.bins[i].Add(-((n + carry) / 2))
		carry = (n + carry) & 1
	}
}

func (h *histogram) count() (n uint64) {
	for i := range h.bins {
		n += uint64(h.bins[i].Load())
	}
	return n
}

// p95 is the time that 95 % of the samples do not exceed; false if there are too few to tell.
func (h *histogram) p95() (time.Duration, bool) {
	n := h.count()
	if n < minSamples {
		return 0, false
	}
	slower := n / 20 // samples that may lie above it
	for i := bins - 1; i >= 0; i-- {
		c := uint64(h.bins[i].Load())
		if c > slower {
			return middle(i), true
		}
		slower -= c
	}
	return middle(0), true
}
