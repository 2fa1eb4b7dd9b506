package clock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// A clock that is set is followed, and Instants are what they were.
func TestWall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shift := time.Duration(0)
		w := clock.NewWall(func() time.Time { return time.Now().Add(shift) })
		began := clock.Now()
		f := func(by time.Duration, set bool) {
			t.Helper()
			<-time.After(time.Hour)
			thought, now := w.Time(clock.Now()), clock.Now()
			shift += by
			if got := w.Follow(); got != set {
				t.Errorf("set by %s: %t", by, got)
			}
			if got := w.Follow(); got {
				t.Errorf("set by %s: twice", by)
			}
			want := thought
			if set {
				want = time.Now().Add(shift)
			}
			if got := w.Time(now); !got.Equal(want) {
				t.Errorf("set by %s: it is %s, want %s", by, got, want)
			}
			for _, i := range []clock.Instant{began, now, now.Add(time.Minute)} {
				if got := w.At(w.Time(i)); got != i {
					t.Errorf("set by %s: %d became %d", by, i, got)
				}
			}
			if w.Time(now).Sub(w.Time(began)) != now.Sub(began) {
				t.Errorf("set by %s: it takes another time from one to the other", by)
			}
		}
		f(0, false)
		f(8*time.Hour, true)
		f(time.Second, false)
		f(time.Millisecond, true) // with the second before
		f(-26*time.Hour, true)
		f(-time.Second, false)
		if w.At(time.Time{}) != 0 || !w.Time(0).IsZero() {
			t.Error("never is some time")
		}
	})
}

// What is waited for until a time takes as long as until its Instant, whatever the clock was when the process began.
func TestMonotonic(t *testing.T) {
	read := 0
	w := clock.NewWall(func() time.Time {
		if read++; read == 1 {
			return time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		return time.Now()
	})
	for !w.Follow() { // which a busy machine may interrupt
		if read == 1000 {
			t.Fatal("it was not followed")
		}
	}
	for range 1000 {
		now := clock.Now()
		left := time.Until(w.Time(now.Add(time.Hour)))
		if took := clock.Since(now); left > time.Hour+time.Millisecond || left < time.Hour-took { // both are read within a millisecond
			t.Fatalf("%s left after %s", left, took)
		}
	}
	if now := time.Now(); w.At(now) > clock.Now() || w.Time(w.At(now)).Sub(now).Abs() > time.Microsecond {
		t.Error("a time does not come back")
	}
}

// The computer's own clock is followed, too.
func TestSystem(t *testing.T) {
	now := time.Now()
	i := clock.At(now)
	if got := i.Time().Sub(now).Abs(); got > time.Microsecond || clock.System().Time(i) != i.Time() || clock.System().At(now) != i {
		t.Errorf("it is off by %s", got)
	}
	if clock.System().Follow() {
		t.Error("it was set by a second while nobody looked")
	}
}

func BenchmarkTime(b *testing.B) {
	for b.Loop() {
		if clock.Now().Time().IsZero() {
			b.Fatal("never")
		}
	}
}
