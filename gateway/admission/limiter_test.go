package admission_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line has requests wait one after the other and remembers in which order they were let in, and why they were not.
type line struct {
	t *testing.T
	l *admission.Limiter

	mu      sync.Mutex
	entered []string
	errs    map[string]error
}

// newLine makes a line before a Limiter whose slots are all taken.
func newLine(t *testing.T, s admission.Settings) *line {
	t.Helper()
	l := admission.New(s)
	for range s.Max {
		if !l.TryEnter() {
			t.Fatal("no slot in an empty Limiter")
		}
	}
	return &line{t: t, l: l, errs: map[string]error{}}
}

// join lets a request wait; when it is let in it stays.
func (l *line) join(name string, ticket admission.Ticket) {
	go func() {
		err := l.l.Enter(l.t.Context(), ticket)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil {
			l.entered = append(l.entered, name)
		} else {
			l.errs[name] = err
		}
	}()
	synctest.Wait()
}

// leave gives n slots back, one at a time.
func (l *line) leave(n int) {
	for range n {
		l.l.Leave(admission.Signal{})
		synctest.Wait()
	}
}

func (l *line) wantEntered(want ...string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.entered, want) {
		l.t.Errorf("let in: %q, want %q", l.entered, want)
	}
}

func (l *line) wantRefused(name string, reason error) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var refusal *admission.Refusal
	err := l.errs[name]
	if !errors.Is(err, reason) || !errors.As(err, &refusal) || refusal.After < time.Second || refusal.After > time.Minute {
		l.t.Errorf("%s: %#v, want %v", name, err, reason)
	}
}

func (l *line) wantWaiting(low, normal, high, critical int) {
	l.t.Helper()
	if got := l.l.Snapshot().Waiting; got != [...]int{low, normal, high, critical} {
		l.t.Errorf("waiting: %v, want %v", got, [...]int{low, normal, high, critical})
	}
}

func TestNoLimit(t *testing.T) {
	l := admission.New(admission.Settings{})
	for range 100_000 {
		if !l.TryEnter() {
			t.Fatal("refused without a limit")
		}
	}
	if s := l.Snapshot(); s.InUse != 100_000 || s.Limit != 0 || s.Reason != "" {
		t.Errorf("%+v", s)
	}
}

func TestNil(t *testing.T) {
	var l *admission.Limiter
	if !l.TryEnter() || l.Enter(t.Context(), admission.Ticket{}) != nil {
		t.Error("a nil Limiter refuses")
	}
	l.Await(clock.Now())
	l.Observe(admission.Signal{Overloaded: true})
	l.Leave(admission.Signal{})
	l.Configure(admission.Settings{Max: 1})
	if s := l.Snapshot(); s != (admission.Snapshot{}) {
		t.Errorf("%+v", s)
	}
	var g *admission.Guard
	if !g.Allow(admission.Low) || g.Snapshot() != (admission.GuardSnapshot{}) {
		t.Error("a nil Guard refuses")
	}
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, admission.Settings{Max: 9})
		for _, name := range []string{"a1", "a2", "a3", "b1", "c1", "c2"} {
			l.join(name, admission.Ticket{Tenant: name[:1]})
		}
		l.join("low", admission.Ticket{Tenant: "a", Priority: admission.Low})
		l.join("high", admission.Ticket{Tenant: "a", Priority: admission.High})
		l.join("critical", admission.Ticket{Tenant: "z", Priority: admission.Critical})
		l.wantWaiting(1, 6, 1, 1)
		l.wantEntered()
		if l.l.TryEnter() {
			t.Error("overtaken by who does not wait")
		}
		l.leave(9)
		l.wantEntered("critical", "high", "a1", "b1", "c1", "a2", "c2", "a3", "low")
		l.wantWaiting(0, 0, 0, 0)
		l.leave(9)
		if s := l.l.Snapshot(); s.InUse != 0 || s.Limit != 9 || s.Reason != "max" {
			t.Errorf("%+v", s)
		}
	})
}

func TestAging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, admission.Settings{Max: 1, Wait: time.Hour})
		l.join("low", admission.Ticket{Priority: admission.Low})
		for i := range 40 {
			l.join(fmt.Sprint(i), admission.Ticket{Priority: admission.High})
		}
		l.leave(20)
		if i := slices.Index(l.entered, "low"); i != 15 {
			t.Errorf("low was let in after %d of high", i)
		}
		l.leave(21)
	})
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, admission.Settings{Max: 4, Queue: 4})
		for _, name := range []string{"a1", "a2", "a3", "b1"} {
			l.join(name, admission.Ticket{Tenant: name[:1]})
		}
		l.join("a4", admission.Ticket{Tenant: "a"}) // who has most waiting
		l.wantRefused("a4", admission.ErrFull)
		l.join("low", admission.Ticket{Tenant: "c", Priority: admission.Low})
		l.wantRefused("low", admission.ErrFull)
		l.join("c1", admission.Ticket{Tenant: "c"}) // fewer than a
		l.wantRefused("a3", admission.ErrFull)
		l.join("b2", admission.Ticket{Tenant: "b"}) // as many as a then
		l.wantRefused("b2", admission.ErrFull)
		l.join("high", admission.Ticket{Tenant: "a", Priority: admission.High})
		l.wantRefused("a2", admission.ErrFull)
		l.wantWaiting(0, 3, 1, 0)
		l.leave(4)
		l.wantEntered("high", "a1", "b1", "c1")
		if s := l.l.Snapshot(); s.Full != 5 || s.Late != 0 || s.Left != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNoQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, admission.Settings{Max: 1, Queue: -1})
		l.join("a", admission.Ticket{Priority: admission.Critical})
		l.wantRefused("a", admission.ErrFull)
		l.leave(1)
		l.join("b", admission.Ticket{})
		l.wantEntered("b")
	})
}

func TestTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, admission.Settings{Max: 2, Wait: 3 * time.Second})
		start := clock.Now()
		l.join("too late", admission.Ticket{Deadline: start})
		l.wantRefused("too late", admission.ErrLate)
		l.join("a", admission.Ticket{Deadline: start.Add(2 * time.Second)})
		l.join("b", admission.Ticket{Deadline: start.Add(time.Hour)})
		<-time.After(2*time.Second - 1)
		l.wantWaiting(0, 2, 0, 0)
		<-time.After(2)
		synctest.Wait()
		l.wantRefused("a", admission.ErrLate)
		l.wantWaiting(0, 1, 0, 0)
		<-time.After(time.Second)
		synctest.Wait()
		l.wantRefused("b", admission.ErrLate)
		l.leave(2)
		l.join("c", admission.Ticket{})
		l.join("d", admission.Ticket{})
		l.wantEntered("c", "d")
		if s := l.l.Snapshot(); s.Late != 3 || s.InUse != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestForeseen: what would wait too long at the rate at which slots come free is refused at once, and told when to come.
func TestForeseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, admission.Settings{Max: 1, Wait: 10 * time.Second})
		for i := range 8 { // a slot a second
			l.join(fmt.Sprint("first ", i), admission.Ticket{Tenant: fmt.Sprint(i)})
		}
		for range 4 {
			<-time.After(time.Second)
			l.leave(1)
		}
		l.wantWaiting(0, 4, 0, 0)
		deadline := clock.Now().Add(3 * time.Second)
		l.join("late", admission.Ticket{Tenant: "new", Deadline: deadline})
		l.wantRefused("late", admission.ErrLate)
		var refusal *admission.Refusal
		if errors.As(l.errs["late"], &refusal); refusal.After < 4*time.Second || refusal.After > 6*time.Second {
			t.Errorf("come again after %v", refusal.After)
		}
		l.join("high", admission.Ticket{Tenant: "new", Priority: admission.High, Deadline: deadline})
		l.join("soon enough", admission.Ticket{Tenant: "new", Deadline: deadline.Add(5 * time.Second)})
		l.wantWaiting(0, 5, 1, 0)
		for range 6 {
			<-time.After(time.Second)
			l.leave(1)
		}
		l.wantEntered("first 0", "first 1", "first 2", "first 3", "high", "first 4", "first 5", "first 6", "first 7", "soon enough")
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admission.New(admission.Settings{Max: 1})
		if err := l.Enter(t.Context(), admission.Ticket{}); err != nil {
			t.Fatal(err)
		}
		why := errors.New("hung up")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() { done <- l.Enter(ctx, admission.Ticket{}) }()
		synctest.Wait()
		cancel(why)
		if err := <-done; err != why {
			t.Errorf("%v", err)
		}
		if err := l.Enter(ctx, admission.Ticket{}); err != why {
			t.Errorf("%v", err)
		}
		if s := l.Snapshot(); s.Waiting != [4]int{} || s.Left != 1 || s.InUse != 1 {
			t.Errorf("%+v", s)
		}
		l.Leave(admission.Signal{})
		if !l.TryEnter() {
			t.Error("the slot is lost")
		}
	})
}

func TestConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, admission.Settings{Max: 2})
		for _, name := range []string{"a", "b", "c"} {
			l.join(name, admission.Ticket{})
		}
		l.l.Configure(admission.Settings{Max: 4})
		synctest.Wait()
		slices.Sort(l.entered)
		l.wantEntered("a", "b")
		l.l.Configure(admission.Settings{Max: 1})
		l.leave(3)
		l.wantEntered("a", "b")
		l.leave(1)
		l.wantEntered("a", "b", "c")
		l.l.Configure(admission.Settings{})
		if !l.l.TryEnter() || l.l.Snapshot().Limit != 0 {
			t.Error("still a limit")
		}
	})
}

func TestFixed(t *testing.T) {
	l := admission.New(admission.Settings{Min: 10, Max: 10})
	for range 10 {
		l.TryEnter()
	}
	for range 5 {
		l.Leave(admission.Signal{Overloaded: true})
	}
	if s := l.Snapshot(); s.Limit != 10 || s.InUse != 5 {
		t.Errorf("%+v", s)
	}
}

// TestConserved: whatever happens, no more than Max are in, nobody who waits is forgotten, and in the end no slot is lost.
func TestConserved(t *testing.T) {
	const most = 7
	l := admission.New(admission.Settings{Max: most, Queue: 30, Wait: 20 * time.Millisecond})
	var in, entered, over atomic.Int64
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 400 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(10_000))*time.Microsecond)
				ticket := admission.Ticket{
					Tenant:   fmt.Sprint(random.IntN(5)),
					Priority: admission.Low + admission.Priority(random.IntN(admission.Priorities)),
				}
				if random.IntN(2) == 0 {
					ticket.Deadline = clock.Now().Add(time.Duration(random.IntN(5_000)) * time.Microsecond)
				}
				if l.TryEnter() || l.Enter(ctx, ticket) == nil {
					if in.Add(1) > most {
						over.Add(1)
					}
					entered.Add(1)
					if random.IntN(3) == 0 {
						now := clock.Now()
						l.Await(now)
						l.Observe(admission.Signal{First: time.Duration(random.IntN(1e6)), Overloaded: random.IntN(3) == 0})
					}
					<-time.After(time.Duration(random.IntN(300)) * time.Microsecond)
					in.Add(-1)
					l.Leave(admission.Signal{Overloaded: random.IntN(20) == 0})
				}
				cancel()
			}
		})
	}
	all.Wait()
	s := l.Snapshot()
	if over.Load() > 0 || s.InUse != 0 || s.Waiting != [4]int{} {
		t.Errorf("%d times more than %d, in the end %+v", over.Load(), most, s)
	}
	if entered.Load() < 100 || s.Late+s.Left+s.Full == 0 {
		t.Errorf("nothing was tried: %d entered, %+v", entered.Load(), s)
	}
}

func TestParsePriority(t *testing.T) {
	f := func(name string, want admission.Priority) {
		t.Helper()
		got, err := admission.ParsePriority(name)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", name, got, err)
		}
		if name != "" && got.String() != name {
			t.Errorf("%q is written %q", name, got.String())
		}
	}
	f("", admission.Normal)
	f("low", admission.Low)
	f("normal", admission.Normal)
	f("high", admission.High)
	f("critical", admission.Critical)
	if _, err := admission.ParsePriority("urgent"); err == nil {
		t.Error("urgent is no priority")
	}
	if !(admission.Low < admission.Normal && admission.Normal < admission.High && admission.High < admission.Critical) {
		t.Error("not in order")
	}
}

// A limiter that is told not to listen to latency lets everybody in, however late first events come.
func TestDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admission.New(admission.Settings{Deaf: true})
		for n := range 5000 {
			if !l.TryEnter() {
				t.Fatalf("no room for number %d: %+v", n, l.Snapshot())
			}
			now := clock.Now()
			l.Await(now)
			if n%50 == 0 {
				<-time.After(100 * time.Millisecond)
			}
			l.Observe(admission.Signal{First: time.Duration(n) * 10 * time.Millisecond})
		}
		l.Observe(admission.Signal{Overloaded: true})
		if l.TryEnter() && l.Snapshot().Limit == 0 {
			t.Error("it does not listen to refusals either")
		}
	})
}

// Who no longer listens to latency has no limit for it.
func TestDeafInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admission.New(admission.Settings{})
		streams := func(n int, first time.Duration) {
			var work sync.WaitGroup
			for range n {
				<-time.After(5 * time.Millisecond)
				if !l.TryEnter() {
					continue
				}
				work.Go(func() {
					l.Await(clock.Now())
					<-time.After(first)
					l.Observe(admission.Signal{First: first})
					l.Leave(admission.Signal{})
				})
			}
			work.Wait()
		}
		streams(1000, 50*time.Millisecond)
		streams(2000, 5*time.Second)
		if s := l.Snapshot(); s.Reason != "latency" {
			t.Fatalf("%+v", s)
		}
		l.Configure(admission.Settings{Deaf: true})
		if s := l.Snapshot(); s.Limit != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Who waits at several limiters is let in by the first that has room, and leaves the queues of the others.
func TestEnterAny(t *testing.T) {
	f := func(name string, want int, after time.Duration, reason error, settings [2]admission.Settings, frees [2]time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var both [2]*admission.Limiter
			for i := range both {
				l := admission.New(settings[i])
				both[i] = l
				l.TryEnter()
				if frees[i] > 0 {
					time.AfterFunc(frees[i], func() { l.Leave(admission.Signal{}) })
				}
			}
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			defer stop()
			start := time.Now()
			at, err := admission.EnterAny(ctx, admission.Ticket{}, both[0], both[1])
			if at != want || !errors.Is(err, reason) || time.Since(start) != after {
				t.Errorf("%s: at %d after %v, %v; want %d after %v, %v", name, at, time.Since(start), err, want, after, reason)
			}
			for i, l := range both {
				in := 1
				if frees[i] > 0 && frees[i] <= after && i != want {
					in = 0
				}
				if s := l.Snapshot(); s.InUse != in || s.Waiting != [admission.Priorities]int{} {
					t.Errorf("%s: limiter %d: %+v", name, i, s)
				}
			}
			<-time.After(time.Minute)
		})
	}
	one := admission.Settings{Max: 1, Wait: 10 * time.Second}
	none := admission.Settings{Max: 1, Queue: -1}
	soon := admission.Settings{Max: 1, Wait: time.Second}
	long := admission.Settings{Max: 1, Wait: time.Minute}
	f("the second", 1, 10*time.Millisecond, nil, [2]admission.Settings{one, one}, [2]time.Duration{9 * time.Second, 10 * time.Millisecond})
	f("the first", 0, 2*time.Second, nil, [2]admission.Settings{one, one}, [2]time.Duration{2 * time.Second, 3 * time.Second})
	f("one has no queue", 1, time.Second, nil, [2]admission.Settings{none, one}, [2]time.Duration{500 * time.Millisecond, time.Second})
	f("none has", 1, 0, admission.ErrFull, [2]admission.Settings{none, none}, [2]time.Duration{time.Second, time.Second})
	f("one lasts longer", 1, 5*time.Second, nil, [2]admission.Settings{soon, one}, [2]time.Duration{2 * time.Second, 5 * time.Second})
	f("too long", 0, 10*time.Second, admission.ErrLate, [2]admission.Settings{one, soon}, [2]time.Duration{})
	f("the caller leaves", -1, 20*time.Second, context.DeadlineExceeded, [2]admission.Settings{long, long}, [2]time.Duration{})
}
