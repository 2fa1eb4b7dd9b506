package meter

import (
	"context"
	"time"
)

// waiting is the time for which something is waited for. It passes in parts, and while the process does not run, however long that
// is, only one does: what has come meanwhile is seen before the time is over.
type waiting struct {
	ctx   context.Context //nolint:containedctx // of who waits, and no longer
	part  *time.Timer
	lasts time.Duration // each part
	left  int           // parts
}

// parts is in how many parts time passes.
const parts = 5

// newWaiting begins to wait for d, or until the context ends.
func newWaiting(ctx context.Context, d time.Duration) *waiting {
	return &waiting{ctx: ctx, part: time.NewTimer(d / parts), lasts: d / parts, left: parts}
}

// over says that nothing is waited for any more.
func (w *waiting) over() bool { return w.left == 0 || w.ctx.Err() != nil }

// until waits until something is done, or the time is over.
func (w *waiting) until(done <-chan struct{}) {
	for !w.over() {
		select {
		case <-done:
			return
		case <-w.ctx.Done():
		case <-w.part.C:
			w.left--
			w.part.Reset(w.lasts)
		}
	}
}

// end frees the timer.
func (w *waiting) end() { w.part.Stop() }
