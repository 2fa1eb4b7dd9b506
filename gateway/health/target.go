package health

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// word is what an operator said of a target.
type word = uint32

const (
	use word = iota
	drain
	disable
)

const (
	// Outstanding requests and tokens share a word, so that Begin and End are one addition each.
	tokenBits = 44
	maxTokens = 1 << 24 // of one request: more is nonsense, and would run over

	minShare = 0.1
	// usedStep is how precisely it is known when a target was last used.
	usedStep = time.Second
)

// Target is what is known of one target. It is shared by all exchanges and outlasts generations; its methods may be
// called by many goroutines. A nil Target can always be used, and nothing is known of it.
type Target struct {
	id       ID
	registry *Registry
	parent   *Target // whose "*" stands for this one's model; nil if it was configured by its name
	key      *gate   // of all targets of the key
	gate     gate    // its own

	settings  atomic.Pointer[Settings]
	children  atomic.Pointer[map[string]*Target]
	full      atomic.Int64  // until when no further child is made
	operator  atomic.Uint32 // a word
	state     atomic.Uint32 // a State, never Disabled: that is for gates and operators
	until     atomic.Int64  // Open: when it may be tried. HalfOpen: when it may be tried again
	recovered atomic.Int64  // when it was Open last; 0 if never
	streak    atomic.Int32  // failures in a row
	cuts      atomic.Int32  // streams in a row that broke off: their first events are no end of that
	used      atomic.Int64  // when an attempt began, last; to the usedStep
	_         [64]byte      // what follows is written by each exchange, what stands above is only read

	outstanding atomic.Int64 // requests<<tokenBits + tokens
	window      window
	latency     [2]latency // of streams, and of whole replies
	limits      limits

	mu      sync.Mutex // for transitions
	machine machine
}

// ID is the name of the target.
func (t *Target) ID() ID {
	if t == nil {
		return ID{}
	}
	return t.id
}

// Wait is how long the target must not be asked: 0 if it may be now, Never if only an operator can change that. While
// another request tries it, that is unknown, and Wait says when to look again.
func (t *Target) Wait(now clock.Instant) time.Duration {
	if t == nil {
		return 0
	}
	if t.operator.Load() != use {
		return Never
	}
	return max(t.key.wait(now), t.gate.wait(now), t.machineWait(now))
}

func (t *Target) machineWait(now clock.Instant) time.Duration {
	switch t.current() {
	case Open:
		return left(&t.until, now)
	case HalfOpen:
		return min(left(&t.until, now), lookAgain)
	default:
		return 0
	}
}

// Begin counts an attempt that is about to be made, tokens being what its prompt may cost. It is false, and nothing was
// counted, if the target must not be asked: somebody else is trying it, or something happened since Wait. After a true
// one, End must be called exactly once, and Report with a verdict before it.
func (t *Target) Begin(now clock.Instant, tokens int64) bool {
	if t == nil {
		return true
	}
	if t.Wait(now) > 0 {
		return false
	}
	if t.onTrial() && !t.try(now) {
		return false
	}
	t.outstanding.Add(load(tokens))
	if now.Sub(clock.Instant(t.used.Load())) >= usedStep || t.used.Load() == 0 {
		t.used.Store(instant(now))
	}
	return true
}

// onTrial says whether each attempt must be allowed for itself.
func (t *Target) onTrial() bool {
	return t.current() >= HalfOpen || t.gate.bar.Load() != 0 || t.key.bar.Load() != 0
}

func load(tokens int64) int64 { return 1<<tokenBits + min(max(tokens, 0), maxTokens) }

// End says that an attempt is over, to its last byte. It takes what Begin was given.
func (t *Target) End(tokens int64) {
	if t != nil {
		t.outstanding.Add(-load(tokens))
	}
}

// Outstanding is how many attempts run, and how many tokens their prompts have.
func (t *Target) Outstanding() (requests, tokens int64) {
	if t == nil {
		return 0, 0
	}
	n := t.outstanding.Load()
	return n >> tokenBits, n & (1<<tokenBits - 1)
}

// Report says what became of an attempt: once, when the reply has begun or the attempt has failed. Of a stream that has begun
// there is a second word: Ended, or another Report with Broken; none if it was the caller who left.
func (t *Target) Report(now clock.Instant, o Outcome) {
	if t == nil {
		return
	}
	if o.Verdict == Neutral && o.First > 0 {
		t.latency[kind(o.Whole)].observe(now, o.First)
	}
	if o.Verdict != OK {
		if !t.settings.Load().Trusted {
			t.judge(now, o)
		}
		return
	}
	t.window.add(now, oneOutcome)
	if o.First > 0 {
		t.latency[kind(o.Whole)].observe(now, o.First)
	}
	if t.streak.Load() != 0 {
		t.streak.Store(0)
	}
	if o.Whole {
		t.Ended()
	}
	if t.current() != Healthy || t.gate.shut() || t.key.shut() {
		t.judge(now, o)
	}
}

// Ended says that a stream that was reported as OK has come to its good end. Whole replies have when they are reported.
func (t *Target) Ended() {
	if t != nil && t.cuts.Load() != 0 {
		t.cuts.Store(0)
	}
}

// State is what is thought of the target.
func (t *Target) State(now clock.Instant) State {
	if t == nil {
		return Healthy
	}
	if t.current() == Suspect {
		t.settle(now)
	}
	return t.standing()
}

func (t *Target) standing() State {
	if t.operator.Load() != use || t.gate.bar.Load() != 0 || t.key.bar.Load() != 0 {
		return Disabled
	}
	return t.current()
}

// Share is the part of its weight that the target should get: 1, or less while it starts slowly after an illness.
func (t *Target) Share(now clock.Instant) float64 {
	if t == nil {
		return 1
	}
	switch t.current() {
	case Healthy, Suspect:
		return t.slowly(now)
	default:
		return minShare
	}
}

// First is how long a request will probably wait for its first event, or for the end of a whole reply. It rises at once
// and falls with a time constant of ten seconds, also while nothing is sent, so that a target that was slow gets another
// chance; failures and limits raise it, so that failing fast attracts nothing. 0 means that nothing is known.
func (t *Target) First(now clock.Instant, whole bool) time.Duration {
	if t == nil {
		return 0
	}
	return t.latency[kind(whole)].first.at(now)
}

// P95 is the time to the first event (or to the end of a whole reply) that 95 % of the successes of the last minutes did
// not exceed; false if there were fewer than twenty. It is at most 4 % off, between 1 ms and a quarter of an hour.
func (t *Target) P95(whole bool) (time.Duration, bool) {
	if t == nil {
		return 0, false
	}
	return t.latency[kind(whole)].p95()
}

// penalise raises the estimate because an attempt failed: above what a success takes, and further with each failure if
// that is not known.
func (t *Target) penalise(now clock.Instant) {
	for k := range t.latency {
		l := &t.latency[k]
		d, ok := l.p95()
		if !ok {
			d = l.first.at(now)
		}
		l.first.observe(now, max(min(2*d, maxPenalty), d, minPenalty))
	}
}
