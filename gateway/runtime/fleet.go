package runtime

import (
	"context"
	"encoding/json"
	"errors"
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
	// Read is what was left; "" if there is nothing.
	Read(ctx context.Context, name string) (string, error)
}

// finding is what a probe has found out, and what nodes tell each other of it.
type finding struct {
	At      time.Time // when it began, by the clock of the node that asked
	Outcome health.Outcome
	All     bool // it is the same for all targets of the key, whatever their models
}

// look is the time between two looks for what another node has found out.
const look = 50 * time.Millisecond

// find probes, unless another node of the fleet has just done so or is about to: then it waits for what that one finds out, and
// false says that nothing came of it. If the fleet cannot be asked, each node probes for itself.
func (b *prober) find(ctx context.Context, due bool) (finding, bool) {
	fleet := b.probing.r.o.Fleet
	if fleet == nil || fleet.Nodes() < 2 {
		return b.askNow(ctx), true
	}
	// The next node that is due comes after nine tenths of Every at the earliest; a trial is wanted sooner.
	job, hold := b.shared, b.Every*4/5
	if !due {
		job, hold = b.shared+":trial", min(b.Timeout, b.Every)
	}
	if f, ok := b.heard(ctx, hold); ok {
		return f, true
	}
	mine, err := fleet.Lease(ctx, job, hold)
	if mine || err != nil {
		f := b.askNow(ctx)
		if !stopped(ctx) {
			b.tell(ctx, f)
		}
		return f, true
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return finding{}, false
		case <-tick.C:
			if f, ok := b.heard(ctx, hold); ok {
				return f, true
			}
		}
	}
}

// stopped says that the prober was stopped, so that what came of its question says nothing.
func stopped(ctx context.Context) bool { return errors.Is(context.Cause(ctx), context.Canceled) }

// heard is what another node has found out no longer than some time ago, if this one does not know it yet.
func (b *prober) heard(ctx context.Context, lately time.Duration) (f finding, ok bool) {
	text, err := b.probing.r.o.Fleet.Read(ctx, b.shared)
	if err != nil || text == "" || json.Unmarshal([]byte(text), &f) != nil {
		return f, false
	}
	now := time.Now()
	if !f.At.After(b.told) || now.Sub(f.At) > lately+b.Timeout {
		return f, false
	}
	b.told = f.At
	f.Outcome.Began = min(clock.At(f.At), clock.Now())
	return f, true
}

// tell leaves a note of what was found out. That it cannot be left costs the others a probe each.
func (b *prober) tell(ctx context.Context, f finding) {
	f.At = f.Outcome.Began.Time()
	b.told = f.At
	text, err := json.Marshal(f)
	if err != nil {
		return
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.Timeout)
	defer cancel()
	_ = b.probing.r.o.Fleet.Note(short, b.shared, string(text), b.Every+b.Timeout)
}
