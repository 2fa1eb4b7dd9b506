package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// small are options with segments of the least size.
func small() ledger.Options {
	o := ledger.Defaults()
	o.Segment, o.MaxSize = 1<<20, 8<<20
	o.Sync = ledger.Sync(time.Millisecond)
	o.Node = "n1"
	o.Every = time.Millisecond
	return o
}

// forms are the ways to write a segment.
func forms(t *testing.T, f func(t *testing.T, o ledger.Options)) {
	t.Run("mapped", func(t *testing.T) { f(t, small()) })
	t.Run("written", func(t *testing.T) {
		o := small()
		o.Map = false
		f(t, o)
	})
}

func open(t testing.TB, dir string, o ledger.Options) (*ledger.Journal, ledger.Recovery) {
	t.Helper()
	j, r, err := ledger.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, j) })
	return j, r
}

func shut(t testing.TB, j *ledger.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// memory is a sink in memory. It panics where a row comes again as another one.
type memory struct {
	mu     sync.Mutex
	rows   map[ledger.ID]ledger.Row
	prices []ledger.Price
	calls  int
	fail   func(call int) (before, after error) // nil: never
}

func (m *memory) Insert(ctx context.Context, rows []ledger.Row) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	var before, after error
	if m.fail != nil {
		before, after = m.fail(m.calls)
	}
	if before != nil {
		return 0, before
	}
	if m.rows == nil {
		m.rows = map[ledger.ID]ledger.Row{}
	}
	for _, r := range rows {
		old, has := m.rows[r.ID]
		switch {
		case !has:
			m.rows[r.ID] = r
			n++
		case old != r:
			panic(fmt.Sprintf("a row comes as %+v, and as %+v", old, r))
		}
	}
	return n, errors.Join(after, ctx.Err())
}

func (m *memory) InsertPrices(_ context.Context, prices []ledger.Price) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prices = append(m.prices, prices...)
	return nil
}

// count is how many rows it has.
func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows)
}

// each is what each token of the tests' answers adds.
var each = ledger.Each{Cost: 20, Charge: 30}

// row is an attempt as it is intended: with what holds if nothing more is heard of it.
func row() ledger.Row {
	at := time.Now().UTC().Truncate(0)
	return ledger.Row{
		ID: ledger.NewID(at), At: at, Tenant: "acme", Key: "ci", User: "u-17", Request: "req_01J9ZQ4YB7Q2V6K3", Endpoint: "chat.completions",
		Dialect: "openai", Asked: "gpt-4.1", Model: "gpt-4.1", Provider: "openai", Account: "main", Target: "gpt-4.1-2025-04-14",
		Attempt: 1, Flags: ledger.Stream, Price: 7, Reserved: 5_000, Charge: 1_000,
		Usage: chat.Usage{Input: 50, Provenance: chat.Aborted}, Cost: catalog.Cost{Picodollars: 900, Known: true},
	}
}

// done is how it ended.
func done(r ledger.Row) ledger.Row {
	r.Outcome, r.Status, r.Flags = ledger.Complete, 200, ledger.Stream|ledger.Delivered
	r.Waited, r.First, r.Total = 3*time.Microsecond, 400*time.Millisecond, 3*time.Second
	r.Usage = chat.Usage{Input: 1200, CacheRead: 800, Output: 350, Provenance: chat.Reported}
	r.Cost, r.Charge, r.Upstream = catalog.Cost{Picodollars: 4_000, Known: true}, 4_000, "req_abcdef0123456789"
	return r
}

// pass makes an attempt that goes well.
func pass(t testing.TB, j *ledger.Journal) ledger.Row {
	t.Helper()
	r := row()
	if err := j.Intend(&r, each); err != nil {
		t.Fatal(err)
	}
	r = done(r)
	j.Seal(&r)
	return r
}

func flush(t testing.TB, j *ledger.Journal, s ledger.Sink) {
	t.Helper()
	if err := j.Flush(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// expect compares what a sink has with what it should have.
func expect(t testing.TB, m *memory, want ...ledger.Row) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.rows) != len(want) {
		t.Errorf("%d rows, want %d", len(m.rows), len(want))
	}
	for _, w := range want {
		if got, has := m.rows[w.ID]; !has || got != w {
			t.Errorf("%s: %t\n got %+v\nwant %+v", w.ID, has, got, w)
		}
	}
}

// segments counts the files of a journal.
func segments(t testing.TB, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// Rows go through the journal to the sink, once, and nothing remains of them.
func TestJournal(t *testing.T) {
	forms(t, func(t *testing.T, o ledger.Options) {
		dir, m := t.TempDir(), &memory{}
		j, recovery := open(t, dir, o)
		if recovery != (ledger.Recovery{}) {
			t.Errorf("%+v", recovery)
		}
		one, two, refused, cached := pass(t, j), row(), row(), row()
		for _, r := range []*ledger.Row{&two, &refused} {
			if err := j.Intend(r, each); err != nil {
				t.Fatal(err)
			}
		}
		if cached.Kind = ledger.Exact; j.Put(&cached) != nil {
			t.Error("an answer from the cache is not written")
		}
		if s := j.Standing(); s.Open != 2 || s.Waiting != 2 || s.Full || s.Room == 0 || s.Disk != nil || s.Store != nil {
			t.Errorf("%+v", s)
		}
		flush(t, j, m)
		expect(t, m, one, cached)
		j.Void(refused.ID)
		two = done(two)
		j.Seal(&two)
		j.Seal(&two)
		j.Seal(&refused)
		flush(t, j, m)
		expect(t, m, one, two, cached)
		if s := j.Standing(); s.Open != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		if err := errors.Join(j.Intend(&ledger.Row{}, each), j.Put(&ledger.Row{})); !errors.Is(err, ledger.ErrNobody) {
			t.Error(err)
		}
		shut(t, j)
		if n := segments(t, dir); n != 0 {
			t.Errorf("%d segments remain", n)
		}
		if err := j.Intend(&two, each); !errors.Is(err, ledger.ErrClosed) {
			t.Error(err)
		}
		j.Seal(&two)
		if err := j.Put(&two); !errors.Is(err, ledger.ErrClosed) {
			t.Error(err)
		}
	})
}

// What is left when the journal is closed comes with the next process: rows, and attempts whose end nobody saw.
func TestRecovery(t *testing.T) {
	forms(t, func(t *testing.T, o ledger.Options) {
		dir, m := t.TempDir(), &memory{}
		j, _ := open(t, dir, o)
		one, unknown, began, unpriced := pass(t, j), row(), row(), row()
		unpriced.Cost = catalog.Cost{Why: catalog.NoPrice}
		for _, r := range []*ledger.Row{&unknown, &began, &unpriced} {
			if err := j.Intend(r, each); err != nil {
				t.Fatal(err)
			}
		}
		j.Said(began.ID, 9)
		j.Said(began.ID, 21)
		j.Said(unpriced.ID, 2)
		j.Said(one.ID, 20_000)
		shut(t, j)
		j.Seal(&unknown)

		for range 2 { // the second finds what the first has written
			var r ledger.Recovery
			j, r = open(t, dir, o)
			if r.Rows != 4 || j.Standing().Open != 0 || j.Standing().Waiting != 4 {
				t.Errorf("%+v, %+v", r, j.Standing())
			}
			shut(t, j)
		}
		j, _ = open(t, dir, o)
		pass := pass(t, j)
		flush(t, j, m)
		began.Usage.Output, began.Cost.Picodollars, began.Charge = 21, 900+21*20, 1_000+21*30
		unpriced.Usage.Output, unpriced.Charge = 2, 1_060
		expect(t, m, one, unknown, began, unpriced, pass)
	})
}

// The node keeps its name, and one process has the journal at a time.
func TestDirectory(t *testing.T) {
	dir, o := filepath.Join(t.TempDir(), "data", "wal"), small()
	o.Node = ""
	j, _ := open(t, dir, o)
	node := j.Node()
	if other, _, err := ledger.Open(dir, o); !errors.Is(err, ledger.ErrLocked) {
		t.Errorf("%v, %v", other, err)
	}
	m := &memory{}
	if r := pass(t, j); r.Node != node || len(node) < 8 {
		t.Errorf("%q and %q", r.Node, node)
	}
	flush(t, j, m)
	shut(t, j)
	if j, _ = open(t, dir, o); j.Node() != node {
		t.Errorf("%s is called %s now", node, j.Node())
	}
	o.Segment = 1000
	if _, _, err := ledger.Open(t.TempDir(), o); err == nil {
		t.Error("a segment of 1000 bytes")
	}
	if _, _, err := ledger.Open(filepath.Join(dir, "lock", "x"), small()); err == nil {
		t.Error("a directory in a file")
	}
}

// Many attempts at a time, some of which are long, go through many segments, which are deleted as they are shipped.
func TestSegments(t *testing.T) {
	forms(t, func(t *testing.T, o ledger.Options) {
		dir, m := t.TempDir(), &memory{}
		j, _ := open(t, dir, o)
		ctx, stop := context.WithCancel(t.Context())
		var ships, all sync.WaitGroup
		ships.Go(func() { j.Ship(ctx, m) })
		long := make([]ledger.Row, 50)
		for i := range long {
			long[i] = row()
			if err := j.Intend(&long[i], each); err != nil {
				t.Fatal(err)
			}
		}
		j.Said(long[7].ID, 1<<20)
		const passes = 3000
		var full atomic.Int64
		for range 4 {
			all.Go(func() {
				for range passes {
					r := row()
					for err := j.Intend(&r, each); err != nil; err = j.Intend(&r, each) {
						if full.Add(1); !errors.Is(err, ledger.ErrFull) {
							t.Error(err)
							return
						}
						if err := j.Flush(t.Context(), m); err != nil {
							t.Error(err)
						}
					}
					r = done(r)
					j.Seal(&r)
				}
			})
		}
		all.Wait()
		flush(t, j, m)
		if n := m.count(); n != 4*passes || segments(t, dir) > 4 || full.Load() > passes {
			t.Errorf("%d rows, %d segments, %d times full", n, segments(t, dir), full.Load())
		}
		for i := range long[8:] {
			long[i+8] = done(long[i+8])
			j.Seal(&long[i+8])
		}
		stop()
		ships.Wait()
		shut(t, j)

		j, r := open(t, dir, o)
		if r.Unknown != 8 {
			t.Errorf("%d attempts are unknown", r.Unknown)
		}
		flush(t, j, m)
		if n := m.count(); n != 4*passes+50 || m.rows[long[7].ID].Charge != 1_000+30<<20 || m.rows[long[6].ID].Charge != 1_000 {
			t.Errorf("%d rows, %+v", n, m.rows[long[7].ID])
		}
	})
}

// With no store, the journal grows to its bound, refuses what is new, seals what is under way, and goes on when the store is back.
func TestFull(t *testing.T) {
	forms(t, func(t *testing.T, o ledger.Options) {
		o.MaxSize = 4 << 20
		dir, m := t.TempDir(), &memory{}
		j, _ := open(t, dir, o)
		var begun, all []ledger.Row
		err := error(nil)
		for n := 0; err == nil; n++ {
			r := row()
			if err = j.Intend(&r, each); err != nil {
				break
			}
			if n%10 == 0 {
				begun = append(begun, r)
				continue
			}
			r = done(r)
			j.Seal(&r)
			all = append(all, r)
		}
		if !errors.Is(err, ledger.ErrFull) || !j.Standing().Full || len(all) < 1500 || len(begun) < 150 || segments(t, dir) != 4 {
			t.Errorf("%v after %d rows and %d open in %d segments: %+v", err, len(all), len(begun), segments(t, dir), j.Standing())
		}
		for _, r := range begun {
			j.Said(r.ID, 77)
			r = done(r)
			r.Request = strings.Repeat("x", 64) // longer than they were
			j.Seal(&r)
			all = append(all, r)
		}
		if s := j.Standing(); s.Open != 0 || s.Waiting != int64(len(all)) || s.Disk != nil {
			t.Errorf("%+v", s)
		}
		flush(t, j, m)
		all = append(all, pass(t, j))
		flush(t, j, m)
		expect(t, m, all...)
		if j.Standing().Full {
			t.Error("full for ever")
		}
	})
}

// Segments that a long attempt began in do not stay, even where a store was away for long.
func TestCarryWhenFull(t *testing.T) {
	o := small()
	o.MaxSize = 3 << 20
	dir, m := t.TempDir(), &memory{}
	j, _ := open(t, dir, o)
	long := make([]ledger.Row, 300)
	for i := range long {
		long[i] = row()
		if err := j.Intend(&long[i], each); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		for {
			r := row()
			if err := j.Intend(&r, each); err != nil {
				break
			}
			r = done(r)
			j.Seal(&r)
		}
		flush(t, j, m)
		if n := segments(t, dir); n > 2 {
			t.Errorf("%d segments remain", n)
		}
	}
	shut(t, j)
	j, r := open(t, dir, o)
	if r.Unknown != len(long) {
		t.Errorf("%d attempts are unknown", r.Unknown)
	}
	flush(t, j, m)
	for _, r := range long {
		if m.rows[r.ID].Charge != r.Charge {
			t.Errorf("%+v", m.rows[r.ID])
		}
	}
}

// A sink that fails, also after it has done its work, gets its rows again until it takes them.
func TestSinkFails(t *testing.T) {
	errSink := errors.New("the store is away")
	f := func(name string, fail func(call int) (before, after error), calls int) {
		t.Helper()
		m := &memory{fail: fail}
		j, _ := open(t, t.TempDir(), small())
		var all []ledger.Row
		for range 2500 {
			all = append(all, pass(t, j))
		}
		for n := 0; ; n++ {
			err := j.Flush(t.Context(), m)
			if err == nil {
				break
			}
			if s := j.Standing(); !errors.Is(err, errSink) || !errors.Is(s.Store, errSink) || s.Waiting == 0 || s.Oldest.IsZero() || n > 10 {
				t.Errorf("%s: %v, %+v", name, err, s)
			}
		}
		expect(t, m, all...)
		if s := j.Standing(); m.calls != calls || s.Store != nil || s.Waiting != 0 || !s.Oldest.IsZero() {
			t.Errorf("%s: %d calls, %+v", name, m.calls, s)
		}
	}
	f("well", nil, 3)
	f("before", func(call int) (error, error) {
		if call <= 3 {
			return errSink, nil
		}
		return nil, nil
	}, 6)
	f("after", func(call int) (error, error) {
		if call%2 == 1 {
			return nil, errSink
		}
		return nil, nil
	}, 6)
}

// hanging is a sink that hangs until its context ends, unless it may go on.
type hanging struct {
	memory
	asked chan struct{}
	went  chan struct{}
	ready atomic.Bool
}

func (h *hanging) Insert(ctx context.Context, rows []ledger.Row) (int, error) {
	if h.ready.Load() {
		defer close(h.went)
		return h.memory.Insert(ctx, rows)
	}
	h.asked <- struct{}{}
	<-ctx.Done()
	return 0, ctx.Err()
}

// A sink that hangs is asked again after a while, and hinders no attempts.
func TestSinkHangs(t *testing.T) {
	o := small()
	o.Timeout = 10 * time.Millisecond
	j, _ := open(t, t.TempDir(), o)
	h := &hanging{asked: make(chan struct{}), went: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	var ships sync.WaitGroup
	ships.Go(func() { j.Ship(ctx, h) })
	first := pass(t, j)
	<-h.asked
	second := pass(t, j)
	<-h.asked
	if s := j.Standing(); s.Waiting != 2 || !errors.Is(s.Store, context.DeadlineExceeded) {
		t.Errorf("%+v", s)
	}
	h.ready.Store(true)
	<-h.went
	stop()
	ships.Wait()
	expect(t, &h.memory, first, second)
}

// A sink that was away for long has its rows within two seconds, and is not asked all the time meanwhile.
func TestSinkReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, away := time.Now(), time.Minute
		o := small()
		o.Every = time.Second
		m := &memory{fail: func(int) (error, error) {
			if time.Since(began) < away {
				return errors.New("the store is away"), nil
			}
			return nil, nil
		}}
		j, _ := open(t, t.TempDir(), o)
		ctx, stop := context.WithCancel(t.Context())
		var ships sync.WaitGroup
		ships.Go(func() { j.Ship(ctx, m) })
		r := pass(t, j)
		<-time.After(away + 2*time.Second)
		synctest.Wait()
		expect(t, m, r)
		if m.calls < 60 || m.calls > 240 {
			t.Errorf("it was asked %d times in a minute", m.calls)
		}
		stop()
		ships.Wait()
		shut(t, j)
	})
}

// Prices are written once, and come with the rows.
func TestPrices(t *testing.T) {
	forms(t, func(t *testing.T, o ledger.Options) {
		j, _ := open(t, t.TempDir(), o)
		m := &memory{}
		p := ledger.Price{Version: 1 << 63, Provider: "openai", Model: "gpt-4.1", Rates: []byte(strings.Repeat("[]", ledger.MostRates/2))}
		q := ledger.Price{Version: 7}
		for _, p := range []ledger.Price{p, q, p} {
			if err := j.Price(p); err != nil {
				t.Error(err)
			}
		}
		if err := j.Price(ledger.Price{Version: 8, Rates: make([]byte, ledger.MostRates+1)}); !errors.Is(err, ledger.ErrFormat) {
			t.Error(err)
		}
		flush(t, j, m)
		if len(m.prices) != 2 || fmt.Sprint(m.prices[0]) != fmt.Sprint(p) || m.prices[1].Version != 7 || m.calls != 0 {
			t.Errorf("%+v", m.prices)
		}
	})
}

// Each way to sync writes what is to be written.
func TestSync(t *testing.T) {
	f := func(s ledger.Sync, mapped bool) {
		t.Helper()
		o, m := small(), &memory{}
		o.Sync, o.Map = s, o.Map && mapped
		dir := t.TempDir()
		j, _ := open(t, dir, o)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 20 {
					pass(t, j)
				}
			})
		}
		all.Wait()
		if err := j.Sync(t.Context()); err != nil {
			t.Error(err)
		}
		shut(t, j)
		j, r := open(t, dir, o)
		if r != (ledger.Recovery{Rows: 80}) {
			t.Errorf("%+v", r)
		}
		flush(t, j, m)
		if m.count() != 80 {
			t.Errorf("%d rows", m.count())
		}
	}
	for _, mapped := range []bool{true, false} {
		f(ledger.SyncAlways, mapped)
		f(ledger.SyncOff, mapped)
		f(ledger.Sync(time.Hour), mapped)
	}
	j, _ := open(t, t.TempDir(), small())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pass(t, j)
	if err := j.Sync(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
