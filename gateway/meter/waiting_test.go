package meter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// However long a process did not run: an answer that comes soon after is in time. Who waits all the time waits no longer than meant.
func TestWaiting(t *testing.T) {
	f := func(stalled, answered, want time.Duration, over bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			w := newWaiting(t.Context(), 25*time.Millisecond)
			defer w.end()
			done := make(chan struct{})
			<-time.After(stalled)
			time.AfterFunc(answered, func() { close(done) })
			w.until(done)
			if took := time.Since(began); took != want || w.over() != over {
				t.Errorf("stalled for %s, answered after %s more: over is %t after %s", stalled, answered, w.over(), took)
			}
			<-done
		})
	}
	const ms = time.Millisecond
	f(0, 24*ms, 24*ms, false)
	f(0, 26*ms, 25*ms, true)
	f(24*ms, 2*ms, 26*ms, false)
	f(time.Second, 19*ms, 1019*ms, false)
	f(time.Second, 21*ms, 1020*ms, true)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := newWaiting(ctx, time.Hour)
	defer w.end()
	if w.until(nil); !w.over() {
		t.Error("who has gone waits")
	}
}
