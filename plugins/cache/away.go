package cache

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/cache/tape"
)

// away is the leader of a flight at another node. What that node is told is written to this one, see feed, and a copy of its tape is
// made here, which this node's exchanges follow as if it were their own's.
type away struct {
	of   fleet.Lease
	gap  chan struct{} // something got lost
	over chan struct{} // closed when the flight does not follow it any more

	heard time.Time // when it wrote last; under the flight's lock
}

// What a leader far away is waited for.
const (
	firstWord = 3 * time.Second        // before anything is known of its answer
	nextWord  = 3 * time.Second        // between two letters
	noWord    = 15 * time.Second       // the same while Redis is away
	looking   = 250 * time.Millisecond // between two looks whether it has written
	asking    = time.Second            // after which it is asked what has become of it
	beating   = 500 * time.Millisecond // between two letters of one who has nothing to say
)

// letter is what nodes write to each other about a flight.
type letter struct {
	Kind   string
	Key    []byte
	Token  uint64     // of the leader's lease
	At     tape.Place // follow: where the copy ends; end: where the tape does
	Pieces []placed   `json:",omitempty"`
	Answer []byte     `json:",omitempty"` // begin: what is known of it; end: all of it, or without what is on the tape
	Kept   bool       `json:",omitempty"` // end: it is one to keep
}

// placed is a piece of a tape.
type placed struct {
	At    tape.Place
	Piece chat.Piece
}

// Kinds of letters.
const (
	letterFollow = "follow" // to the leader's node: tell me all from here
	letterLeave  = "leave"  // nobody here follows any more
	letterBegin  = "begin"  // from the leader's node: the answer has begun as a stream
	letterPieces = "pieces" // more of it
	letterBeat   = "beat"   // there is nothing new
	letterAlive  = "alive"  // the leader's client was sent a heartbeat
	letterEnd    = "end"    // that was all
	letterGone   = "gone"   // there is no such leader any more
)

// claim asks the fleet who leads: it gives the answer if there is one, and true if another node's leader is followed now.
func (l *lookup) claim(f *flight) (of *kept, r *chat.Reply, follows bool) {
	fl := l.h.fleet
	if fl == nil {
		return nil, nil, false
	}
	for range 2 {
		token := rand.Uint64() //nolint:gosec // unique, not secret
		dead := f.mayClaim(token)
		c := fl.Claim(l.x.Context(), l.exact, token, dead, f.crowded)
		switch {
		case c.Mine:
			f.claimed(fl)
			return nil, nil, false
		case c.Value != nil:
			if of, r = l.take(c.Value); of != nil && of.key == l.exact {
				return of, r, false
			}
			return nil, nil, false
		case c.Of.Node == fl.Name(): // of an earlier exchange, which has not given it back yet
			f.bury(c.Of)
		default:
			l.x.Shield(nil)
			a, h := f.follows(c.Of), l.h
			h.host.Go(func(ctx context.Context) { h.watch(ctx, f, a) })
			return nil, nil, true
		}
	}
	return nil, nil, false
}

// crowded says whether somebody waits for the leader.
func (f *flight) crowded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.followers > 0
}

// mayClaim sets the token under which others may follow, and gives the lease that does not count.
func (f *flight) mayClaim(token uint64) (dead fleet.Lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token = token
	return f.dead
}

func (f *flight) claimed(fl *fleet.Fleet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fleet = fl
}

func (f *flight) bury(of fleet.Lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = of
}

// release gives the lease back, if there is one. The caller holds the lock.
func (f *flight) release() {
	if f.fleet != nil {
		f.fleet.Release(f.key, f.token)
		f.fleet = nil
	}
}

// follows says that the leader is elsewhere; who led follows like the others.
func (f *flight) follows(of fleet.Lease) *away {
	a := &away{of: of, gap: make(chan struct{}, 1), over: make(chan struct{}), heard: time.Now()}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leader, f.away, f.token = nil, a, 0
	f.followers++
	f.wake()
	return a
}

// watch stays in touch with a leader far away, as long as anybody follows it.
func (p *Plugin) watch(ctx context.Context, f *flight, a *away) {
	write := func(ctx context.Context, kind string) (read bool, err error) {
		m := letter{Kind: kind, Key: f.key[:], Token: a.of.Token}
		f.mu.Lock()
		if f.tape != nil {
			m.At = f.tape.Next()
		}
		f.mu.Unlock()
		return p.write(ctx, a.of.Node, &m)
	}
	read, err := write(ctx, letterFollow)
	if err == nil && !read { // that node is gone
		f.lost(a)
		return
	}
	tick := time.NewTicker(looking)
	defer tick.Stop()
	asked, up, down := time.Now(), time.Now(), p.fleet.Down()
	if err != nil {
		asked = time.Time{} // nothing was
	}
	for {
		lost, again := false, false
		select {
		case <-a.over:
			_, _ = write(context.WithoutCancel(ctx), letterLeave) // else it will find out
			return
		case <-ctx.Done():
			lost = true
		case <-down:
			began, _ := f.silent(a)
			down, lost = nil, !began // each for itself
		case <-a.gap:
			again = true
		case <-tick.C:
			if p.fleet.Up() {
				down = p.fleet.Down()
			} else {
				up = time.Now()
			}
			began, silent := f.silent(a)
			lost = gaveUp(began, silent, time.Since(up))
			again = min(silent, time.Since(asked)) >= asking || asked.IsZero()
		}
		if lost {
			f.lost(a)
			return
		}
		if again && p.fleet.Up() {
			asked = time.Now()
			_, _ = write(ctx, letterFollow) // it is asked again
		}
	}
}

// gaveUp says whether a leader that has been silent for so long, for some of which it could have written, is waited for no longer.
func gaveUp(began bool, silent, connected time.Duration) bool {
	if !began {
		return silent > firstWord
	}
	return min(silent, connected) > nextWord || silent > noWord
}

// write writes to a node. It is false if that node does not read it.
func (p *Plugin) write(ctx context.Context, to fleet.Name, m *letter) (bool, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return false, err
	}
	return p.fleet.Send(ctx, to, text)
}

// silent says for how long nothing was heard of a leader, and whether its answer has begun.
func (f *flight) silent(a *away) (began bool, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tape != nil, time.Since(a.heard)
}

// errAway ends a stream whose leader is at a node that does not write any more.
var errAway = &gateway.Error{
	Status: 502, Type: gateway.TypeServer, Code: "stream_interrupted", Origin: gateway.OriginUpstream,
	Message: "The answer broke off. Try again.",
}

// lost gives up a leader far away. Who has sent nothing to its client leads, or follows another.
func (f *flight) lost(a *away) {
	f.mu.Lock()
	if f.away != a || f.over {
		f.mu.Unlock()
		return
	}
	t := f.tape
	f.dead, f.away = a.of, nil
	over := f.failed()
	f.mu.Unlock()
	if t != nil {
		t.End(errAway)
	}
	if over {
		f.remove()
	}
}

// hears takes a letter of a leader far away.
func (p *Plugin) hears(f *flight, from fleet.Name, m *letter) {
	f.mu.Lock()
	a, t := f.away, f.tape
	if a == nil || a.of != (fleet.Lease{Node: from, Token: m.Token}) {
		f.mu.Unlock()
		return
	}
	a.heard = time.Now()
	f.mu.Unlock()
	whole := true
	switch m.Kind {
	case letterGone:
		f.lost(a)
	case letterBegin:
		if of, err := answer.Decode(m.Answer); err == nil && t == nil {
			f.beginAway(a, tape.New(mostShared), newKept(f.key, of))
		}
	case letterPieces:
		for i := range m.Pieces {
			whole = whole && t != nil && t.AddAt(&m.Pieces[i].Piece, m.Pieces[i].At)
		}
	case letterAlive:
		if t != nil {
			t.Beat()
		}
	case letterEnd:
		whole = p.ends(f, a, t, m)
	}
	if !whole {
		select {
		case a.gap <- struct{}{}:
		default:
		}
	}
}

// ends completes a flight with what its leader was told elsewhere; false if something before is missing.
func (p *Plugin) ends(f *flight, a *away, t *tape.Tape, m *letter) bool {
	of, err := answer.Decode(m.Answer)
	if err != nil {
		f.lost(a)
		return true
	}
	if t != nil {
		if t.Next() != m.At {
			return false
		}
		of.Reply.Choices = t.Reply().Choices
	}
	k := newKept(f.key, of)
	if m.Kept {
		k = p.store.put(f.key, of, of.Append(nil))
		if p.meaning != nil {
			p.store.link(k)
		}
	}
	f.completeAway(a, k, &of.Reply)
	if t != nil {
		t.End(nil)
	}
	return true
}

func (f *flight) beginAway(a *away, t *tape.Tape, of *kept) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away == a {
		f.tape, f.kept = t, of
		f.wake()
	}
}

func (f *flight) completeAway(a *away, of *kept, r *chat.Reply) {
	f.mu.Lock()
	if f.away == a {
		f.kept, f.reply, f.over, f.away = of, r, true, nil
		close(a.over)
		f.wake()
	}
	f.mu.Unlock()
	f.remove()
}
