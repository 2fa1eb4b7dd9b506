package health_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// world is three targets, two of them with one key, and what must hold of them whatever happens.
type world struct {
	*testing.T
	r       *health.Registry
	now     clock.Instant
	targets [3]*known
	keys    map[string]*promise
	log     []string // what happened
}

type known struct {
	*health.Target
	promise
	key    *promise
	stops  bool // an operator said so
	told   health.State
	unsure bool // the key was refused: meanwhile nothing is told of the target
	runs   []run
	tokens int64
}

// promise is until when a target, or those of a key, must not be asked.
type promise struct {
	cool, bar clock.Instant
	refused   bool // by what events told
}

type run struct {
	began  clock.Instant
	tokens int64
}

func newWorld(t *testing.T, s health.Settings) *world {
	w := &world{T: t, now: clock.Instant(-time.Hour), keys: map[string]*promise{"a": {}, "b": {}}}
	w.r = health.New(health.Options{OnEvent: w.event})
	for i, id := range []health.ID{{Provider: "p", Key: "a", Model: "m"}, {Provider: "p", Key: "a", Model: "n"}, {Provider: "p", Key: "b", Model: "m"}} {
		w.targets[i] = &known{Target: w.r.Target(id, s), key: w.keys[id.Key]}
	}
	return w
}

// table is what may become of a state. Where nothing changes a cool-down began, or a trial failed.
var table = map[health.State][]health.State{
	health.Healthy:  {health.Healthy, health.Suspect, health.Open, health.Disabled},
	health.Suspect:  {health.Suspect, health.Healthy, health.Open, health.Disabled},
	health.Open:     {health.Open, health.HalfOpen, health.Healthy, health.Disabled},
	health.HalfOpen: {health.HalfOpen, health.Open, health.Healthy, health.Disabled},
	health.Disabled: {health.Disabled, health.Healthy, health.Suspect, health.Open, health.HalfOpen},
}

func (w *world) event(e health.Event) {
	w.log = append(w.log, fmt.Sprintf("    event of %+v: %v -> %v, %s", e.ID, e.From, e.To, e.Reason))
	allowed := false
	for _, to := range table[e.From] {
		allowed = allowed || to == e.To
	}
	if !allowed {
		w.fail("an event that the table does not have")
	}
	for _, t := range w.targets {
		switch {
		case e.Model == "" && e.Key == t.ID().Key:
			t.key.refused, t.unsure = e.To == health.Disabled, true
		case e.ID == t.ID():
			if e.From != t.told && !t.unsure {
				w.fail("the event before left another state")
			}
			t.told, t.unsure = e.To, false
		}
	}
}

func (w *world) fail(why string, about ...any) {
	w.Helper()
	for _, line := range w.log {
		w.Log(line)
	}
	w.Fatal(append([]any{why}, about...)...)
}

// step does one of the things that can happen.
func (w *world) step(op, target, arg byte) {
	t := w.targets[int(target)%len(w.targets)]
	verdicts := []health.Verdict{health.OK, health.Failed, health.Failed, health.Limited, health.Neutral, health.Broken, health.Spent, health.Refused, health.Denied}
	verdict := verdicts[int(arg)%len(verdicts)]
	after := time.Duration(arg>>4) * time.Second
	switch op % 10 {
	case 0:
		w.pass(time.Duration(arg) * time.Millisecond)
	case 1:
		w.pass(time.Duration(arg) * time.Duration(arg) * 100 * time.Millisecond)
	case 2, 3:
		w.begin(t, int64(arg)*1000)
	case 4, 5:
		if len(t.runs) > 0 {
			w.report(t, t.runs[int(arg)%len(t.runs)], verdict, after)
		}
	case 6:
		if i := int(arg); len(t.runs) > 0 {
			i %= len(t.runs)
			t.End(t.runs[i].tokens)
			t.tokens -= t.runs[i].tokens
			t.runs = append(t.runs[:i], t.runs[i+1:]...)
		}
	case 7:
		o := health.Outcome{Verdict: verdict, Began: w.now, After: after, First: time.Duration(arg&1) * time.Second}
		w.note("probe of %v: %+v", t.ID(), o)
		w.promise(t, o)
		t.Probed(w.now, o)
	case 8:
		w.order(t, arg)
	case 9:
		w.note("%v has nothing left for %v", t.ID(), after)
		t.cool = later(t.cool, w.now.Add(after))
		t.Limited(w.now, health.Limits{Tokens: health.Limit{Max: 1, Reset: w.now.Add(after)}})
	}
	for _, t := range w.targets {
		w.check(t)
	}
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *world) pass(d time.Duration) {
	w.note("%v passes", d)
	w.now = w.now.Add(d)
}

func (w *world) begin(t *known, tokens int64) {
	wait := t.Wait(w.now)
	may := t.Begin(w.now, tokens)
	w.note("begin %v: %v", t.ID(), may)
	if may != (wait == 0) {
		w.fail("Begin and Wait do not agree:", may, wait)
	}
	if !may {
		return
	}
	t.runs = append(t.runs, run{w.now, tokens})
	t.tokens += tokens
	if t.stops || w.ahead(t.cool) || w.ahead(t.key.cool) || w.ahead(t.bar) || w.ahead(t.key.bar) {
		w.fail("it was asked inside a cool-down, a refusal, or against an operator's word")
	}
}

func (w *world) report(t *known, r run, v health.Verdict, after time.Duration) {
	o := health.Outcome{Verdict: v, Began: r.began, After: after, First: w.now.Sub(r.began)}
	w.note("report of %v: %+v", t.ID(), o)
	w.promise(t, o)
	t.Report(w.now, o)
}

// promise takes down what an outcome forbids.
func (w *world) promise(t *known, o health.Outcome) {
	until := w.now.Add(o.After)
	switch o.Verdict {
	case health.Limited:
		if o.After == 0 {
			until = w.now.Add(time.Second)
		}
		if o.After > 0 || !w.ahead(t.cool) {
			t.cool = later(t.cool, until)
		}
	case health.Failed:
		t.cool = later(t.cool, until)
	case health.Spent:
		if o.After == 0 {
			until = w.now.Add(5 * time.Minute)
		}
		if o.After > 0 || !w.ahead(t.key.cool) {
			t.key.cool = later(t.key.cool, until)
		}
	case health.Refused:
		if o.Began == w.now {
			t.key.bar = later(t.key.bar, w.now.Add(4*time.Minute))
		}
	case health.Denied:
		if o.Began == w.now {
			t.bar = later(t.bar, w.now.Add(4*time.Minute))
		}
	case health.OK:
		t.bar, t.key.bar = 0, 0
	}
}

func (w *world) order(t *known, arg byte) {
	w.note("operator's %d for %v", arg%4, t.ID())
	switch arg % 4 {
	case 0:
		t.Drain(w.now, "")
		t.stops = true
	case 1:
		t.Disable(w.now, "")
		t.stops = true
	default:
		t.stops, t.promise, t.key.cool, t.key.bar = false, promise{}, 0, 0
		t.Enable(w.now, "")
	}
}

// ahead says whether an instant is yet to come.
func (w *world) ahead(i clock.Instant) bool { return i != 0 && i > w.now }

func later(a, b clock.Instant) clock.Instant {
	if a == 0 || b > a {
		return b
	}
	return a
}

func (w *world) check(t *known) {
	state, wait, share := t.State(w.now), t.Wait(w.now), t.Share(w.now)
	told := t.told
	if t.key.refused {
		told = health.Disabled
	}
	if state != told && (!t.unsure || t.key.refused) {
		w.fail("events told another state:", t.ID(), state, told)
	}
	if requests, tokens := t.Outstanding(); requests != int64(len(t.runs)) || tokens != t.tokens {
		w.fail("outstanding:", requests, tokens)
	}
	for _, until := range []clock.Instant{t.cool, t.key.cool} {
		if w.ahead(until) && wait < until.Sub(w.now) {
			w.fail("it waits only for", wait)
		}
		if w.ahead(until) && t.Probing(w.now) {
			w.fail("it is probed inside a cool-down")
		}
	}
	s := t.Snapshot(w.now)
	switch {
	case t.stops != (wait == health.Never), t.stops && state != health.Disabled:
		w.fail("an operator's word:", t.stops, state, wait)
	case state <= health.Suspect && s.CoolUntil.IsZero() && wait != 0:
		w.fail("it waits without a reason", wait)
	case share < 0.1 || share > 1, t.First(w.now, false) < 0, s.State != state, s.Window.Failed > s.Window.Requests:
		w.fail("a figure that cannot be:", fmt.Sprintf("%+v", s))
	}
}

// end sees to it that nothing is stuck: whatever happened, time heals it.
func (w *world) end() {
	for _, t := range w.targets {
		w.order(t, 2)
	}
	for range 3 {
		for _, t := range w.targets {
			for _, v := range []health.Verdict{health.Spent, health.Refused, health.Denied, health.Limited, health.Failed} {
				for range 5 {
					w.report(t, run{began: w.now}, v, 0)
				}
			}
		}
		w.pass(24 * time.Hour)
		for _, t := range w.targets {
			if t.Wait(w.now) != 0 {
				w.fail("it is not asked any more", t.Wait(w.now))
			}
			w.begin(t, 1)       // and nothing is heard of it
			w.pass(time.Minute) // until the key may be tried with another
		}
	}
	for _, t := range w.targets {
		for _, r := range t.runs {
			t.End(r.tokens)
		}
		if requests, tokens := t.Outstanding(); requests != 0 || tokens != 0 {
			w.fail("outstanding at the end:", requests, tokens)
		}
	}
}

func live(t *testing.T, happens []byte) {
	s := health.Settings{MinRequests: 4}
	if len(happens)%2 == 0 {
		s = health.Settings{Trials: 3, SlowStart: -1, Consecutive: 3}
	}
	w := newWorld(t, s)
	for ; len(happens) >= 3; happens = happens[3:] {
		w.step(happens[0], happens[1], happens[2])
	}
	w.end()
}

func TestWhateverHappens(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		happens := make([]byte, 3*1000+seed%2)
		for i := range happens {
			happens[i] = byte(r.Uint32())
		}
		live(t, happens)
	}
}

func FuzzWhateverHappens(f *testing.F) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		happens := make([]byte, 300+seed%2)
		for i := range happens {
			happens[i] = byte(r.Uint32())
		}
		f.Add(happens)
	}
	f.Fuzz(live)
}
