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
	// Read is what was left; "" if there is nothing.
	Read(ctx context.Context, name string) (string, error)
}

// finding is what a probe has found out, and what nodes tell each other of it.
type finding struct {
	ID      string    // of the probe
	At      time.Time // when it began, by the clock of the node that asked
	Outcome health.Outcome
	All     bool // it is the same for all targets of the key, whatever their models
}

// look is the time between two looks for what another node has found out.
const look = 50 * time.Millisecond

// find probes, unless another node of the fleet has just done so or is about to: then it waits for what that one finds out, and
// false says that nothing came of it. If the fleet cannot be asked, each node probes for itself. due says that it is time for one
// of the probes that are made all the time, and not for a trial.
func (b *prober) find(ctx context.Context, due bool) (finding, bool) {
	fleet := b.probing.r.o.Fleet
	if fleet == nil || fleet.Nodes() < 2 {
		return b.askNow(ctx)
	}
	if f, ok := b.heard(ctx); ok {
		return f, true
	}
	job, hold := b.shared, b.hold()
	if !due { // it is wanted sooner
		job, hold = b.shared+":trial", min(b.Timeout, b.Every)
	}
	if mine, err := fleet.Lease(ctx, job, hold); mine || err != nil {
		f, ok := b.askNow(ctx)
		if ok {
			b.tell(ctx, f)
		}
		return f, ok
	}
	limited, stop := context.WithTimeout(ctx, b.Timeout)
	defer stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-limited.Done():
			return finding{}, false
		case <-tick.C:
			if f, ok := b.heard(limited); ok {
				return f, true
			}
		}
	}
}

// hold is for how long the next probe is another's: the next node comes after nine tenths of Every at the earliest.
func (b *prober) hold() time.Duration { return b.Every * 4 / 5 }

// heard is what another node has found out lately, if this one does not know it yet. What is new is told by its ID, and what is
// late by Redis, which forgets it, because the clocks of nodes differ.
func (b *prober) heard(ctx context.Context) (f finding, ok bool) {
	text, err := b.probing.r.o.Fleet.Read(ctx, b.shared)
	if err != nil || text == "" || json.Unmarshal([]byte(text), &f) != nil || f.ID == b.known {
		return f, false
	}
	b.known = f.ID
	now := clock.Now()
	f.Outcome.Began = max(min(clock.At(f.At), now), now.Add(-b.hold()-b.Timeout))
	return f, true
}

// tell leaves a note of what was found out. That it cannot be left costs the others a probe each.
func (b *prober) tell(ctx context.Context, f finding) {
	f.ID, f.At = rand.Text(), f.Outcome.Began.Time()
	b.known = f.ID
	text, err := json.Marshal(f)
	if err != nil {
		return
	}
	_ = b.probing.r.o.Fleet.Note(ctx, b.shared, string(text), b.hold())
}
