package admission_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/admission"
)

// TestRefusals: a limit for refusals is near what the upstream bore, adapts between Min and Max, and is lifted when it is
// no longer needed.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admission.New(admission.Settings{Min: 5})
		// round has so many refused of as many as there is room for, or as more.
		round := func(refused, more int) {
			<-time.After(time.Second)
			for range more {
				l.TryEnter()
			}
			<-time.After(50 * time.Millisecond)
			for range refused {
				l.Leave(admission.Signal{Overloaded: true, First: 50 * time.Millisecond})
			}
		}
		want := func(limit int) {
			t.Helper()
			if s := l.Snapshot(); s.Limit != limit || s.Reason != "refusals" {
				t.Errorf("want %d: %+v", limit, s)
			}
		}
		round(10, 100)
		want(90)
		round(45, 10) // half
		want(45)
		round(1, 10) // a tenth at least
		want(40)
		round(40, 10) // nearly all of 44: half at most
		want(22)
		round(20, 20)
		want(11)
		round(10, 10)
		want(5)
		round(5, 10)
		want(5)
		l.Configure(admission.Settings{Min: 8, Max: 20})
		if s := l.Snapshot(); s.Limit != 8 {
			t.Errorf("with another Min: %+v", s)
		}
		<-time.After(31 * time.Second)
		if s := l.Snapshot(); s.Limit != 20 || s.Reason != "max" {
			t.Errorf("after half a minute: %+v", s)
		}
	})
}

// What is refused among few requests is mostly about something else than their number: one key's requests a minute.
func TestARefusalAmongFew(t *testing.T) {
	f := func(limit, times, underWay int, every time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			l := admission.New(admission.Settings{})
			for range times {
				for range underWay {
					l.TryEnter()
				}
				<-time.After(50 * time.Millisecond)
				l.Leave(admission.Signal{Overloaded: true, First: 50 * time.Millisecond})
				for range underWay - 1 {
					l.Leave(admission.Signal{})
				}
				<-time.After(every)
			}
			if s := l.Snapshot(); s.Limit != limit {
				t.Errorf("%d times one of %d, every %v: limit %d, want %d", times, underWay, every, s.Limit, limit)
			}
		})
	}
	const few = 8
	f(few, 1, 1, time.Second)
	f(0, 1, 1, 6*time.Second)
	f(few, 20, 1, time.Second) // alone: with fewer it would not have been answered either
	f(few, 1, 7, time.Second)
	f(0, 5, 7, 31*time.Second)
	f(6, 2, 7, time.Second)
	f(1, 2, 2, time.Second)
	f(9, 1, 10, time.Second)
}

// The limit of long ago holds up nobody: who comes first after that time lifts it, whether or not streams have been looked at.
func TestALimitOfLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admission.New(admission.Settings{Queue: -1})
		for range 10 {
			l.TryEnter()
		}
		l.Leave(admission.Signal{Overloaded: true})
		for range 9 {
			l.Leave(admission.Signal{})
		}
		<-time.After(time.Hour)
		for n := range 100 {
			if err := l.Enter(t.Context(), admission.Ticket{}); err != nil {
				t.Fatalf("number %d: %v", n, err)
			}
		}
	})
}

// A refusal for a rate limit keeps back those who have waited for its end, not those that are under way, and not for long.
func TestRated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admission.New(admission.Settings{Queue: -1})
		for range 20 {
			l.TryEnter()
		}
		l.Leave(admission.Signal{Overloaded: true, Rated: true})
		if !l.TryEnter() || l.TryEnter() {
			t.Errorf("%+v", l.Snapshot())
		}
		<-time.After(5 * time.Second)
		if s := l.Snapshot(); s.Limit != 0 {
			t.Errorf("%+v", s)
		}
	})
}
