package runtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Fleet is how nodes share the work of probing: one of them asks a provider, and leaves a note for the others.
type Fleet interface {
	// Nodes is how many there are, as far as known.
	Nodes() int
	// Lease says whether this node may do the named job, and keeps all others from it for d.
	Lease(ctx context.Context, name string, d time.Duration) (bool, error)
	// Note leaves something for the others to read.
	Note(ctx context.Context, name, text string, keep time.Duration) error
	// Read is what was left, and for how long it stays; "" if there is nothing.
	Read(ctx context.Context, name string) (text string, left time.Duration, err error)
}

// finding is what a probe has found out, and what nodes tell each other of it.
type finding struct {
	ID      string        // of the probe
	Took    time.Duration // from its beginning until it was told
	Outcome health.Outcome
	All     bool // it is the same for all targets of the key, whatever their models
}

// look is the time between two looks for what another node has found out.
const look = 50 * time.Millisecond

// find probes, unless another node of the fleet has just done so or is about to: then it waits for what that one finds out, and
// false says that nothing came of it. If the fleet cannot be asked, each node probes for itself, and so it does if another could
// not reach the provider: it may be alone in that. due says that it is time for one of the probes that are made all the time, and
// not for a trial.
func (b *prober) find(ctx context.Context, due bool) (finding, bool) {
	if fleet := b.probing.r.o.Fleet; fleet == nil || fleet.Nodes() < 2 {
		return b.askNow(ctx)
	}
	f, mine, ok := b.share(ctx, due)
	switch {
	case mine:
		if f, ok = b.askNow(ctx); ok {
			b.tell(ctx, f)
		}
	case ok && f.Outcome.Unreachable:
		return b.askNow(ctx)
	}
	return f, ok
}

// share is what another node has found out or is about to. It may be this one's turn.
func (b *prober) share(ctx context.Context, due bool) (f finding, mine, ok bool) {
	job, hold, fresh := b.shared, b.hold(), b.hold()+b.Timeout
	if !due { // it is wanted sooner, and of what was so before the target opened nobody wants to know
		hold = min(b.Timeout, b.Every)
		job, fresh = b.shared+":trial", min(hold, b.open()/2)
	}
	f, ok, err := b.heard(ctx, fresh)
	if ok {
		return f, false, true
	}
	if err == nil {
		mine, err = b.probing.r.o.Fleet.Lease(ctx, job, hold)
	}
	if mine || err != nil {
		return f, true, false
	}
	limited, stop := context.WithTimeout(ctx, b.Timeout)
	defer stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-limited.Done():
			return f, false, false
		case <-tick.C:
			if f, ok, _ = b.heard(limited, fresh); ok {
				return f, false, true
			}
		}
	}
}

// hold is for how long the next probe is another's: the next node comes after nine tenths of Every at the earliest.
func (b *prober) hold() time.Duration { return b.Every * 4 / 5 }

// open is for how long the target that opened last has been open; at least, if none is, a probe's time.
func (b *prober) open() time.Duration {
	now, least := clock.Now(), b.Timeout
	for _, t := range b.targets(now) {
		if s := t.Snapshot(now); s.State == health.Open {
			least = min(least, now.Sub(clock.At(s.Since)))
		}
	}
	return least
}

// heard is what another node has found out, with a probe that is no older than fresh, if this one does not know it yet. How old
// it is follows from when Redis will forget it, because the clocks of nodes differ.
func (b *prober) heard(ctx context.Context, fresh time.Duration) (f finding, ok bool, err error) {
	text, left, err := b.probing.r.o.Fleet.Read(ctx, b.shared)
	if err != nil || text == "" || json.Unmarshal([]byte(text), &f) != nil || f.ID == b.known {
		return f, false, err
	}
	ago := max(b.hold()-left, 0)
	if ago+f.Took > fresh {
		return f, false, nil
	}
	b.known = f.ID
	o := &f.Outcome
	o.Began = clock.Now().Add(-ago - f.Took)
	if o.After > 0 { // since then
		o.After = max(o.After-ago, 1)
	}
	return f, true, nil
}

// tell leaves a note of what was found out. If it cannot be left, the others go without this time.
func (b *prober) tell(ctx context.Context, f finding) {
	f.ID, f.Took = rand.Text(), clock.Since(f.Outcome.Began)
	b.known = f.ID
	text, err := json.Marshal(f)
	if err != nil {
		return
	}
	_ = b.probing.r.o.Fleet.Note(ctx, b.shared, string(text), b.hold())
}
