package cache

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/cache/partition"
	"github.com/sluice-ai/sluice/plugins/cache/tape"
)

// feed tells another node what this node's leader is told. It is one more follower of the flight.
type feed struct {
	f     *flight
	to    fleet.Lease // the node that is told, and the token of the leader's lease
	again chan tape.Place
	left  chan struct{} // closed when that node's followers have left

	from   tape.Place // where it begins
	tape   *tape.Tape
	reader *tape.Reader
	began  bool // the other node knows that it has begun
	ended  bool // it was told the end
}

// feeds are those of a node.
type feeds struct {
	mu sync.Mutex
	of map[fleet.Lease]*feed
}

// Told implements fleet.Node.
func (m member) Told(from fleet.Name, text []byte) {
	var l letter
	if json.Unmarshal(text, &l) != nil || len(l.Key) != len(partition.Key{}) {
		return // of another version
	}
	switch l.Kind {
	case letterFollow:
		m.followed(from, &l)
	case letterLeave:
		m.feeds.mu.Lock()
		defer m.feeds.mu.Unlock()
		to := fleet.Lease{Node: from, Token: l.Token}
		if d := m.feeds.of[to]; d != nil {
			delete(m.feeds.of, to)
			close(d.left)
		}
	default:
		if f := m.flights.find(partition.Key(l.Key)); f != nil {
			m.hears(f, from, &l)
		}
	}
}

// followed begins to tell another node, or tells it again what got lost.
func (p *Plugin) followed(from fleet.Name, m *letter) {
	to := fleet.Lease{Node: from, Token: m.Token}
	p.feeds.mu.Lock()
	defer p.feeds.mu.Unlock()
	if d := p.feeds.of[to]; d != nil {
		select {
		case d.again <- m.At:
		default: // it is told already
		}
		return
	}
	f := p.flights.find(partition.Key(m.Key))
	if f == nil || !f.feeds(m.Token) {
		late := p.late(m)
		p.host.Go(func(ctx context.Context) { _, _ = p.write(ctx, from, late) }) // else it will ask again
		return
	}
	d := &feed{f: f, to: to, from: m.At, again: make(chan tape.Place, 1), left: make(chan struct{})}
	if p.feeds.of == nil {
		p.feeds.of = map[fleet.Lease]*feed{}
	}
	p.feeds.of[to] = d
	p.host.Go(func(ctx context.Context) { p.feed(ctx, d) })
}

// late is the answer to who comes when all is over.
func (p *Plugin) late(m *letter) *letter {
	r := &letter{Kind: letterGone, Key: m.Key, Token: m.Token}
	if m.At == (tape.Place{}) {
		if i := p.store.find(partition.Key(m.Key)); i != nil && i.data != nil {
			r.Kind, r.Answer, r.Kept = letterEnd, i.data, true
		}
	}
	return r
}

// feeds says whether another node may follow this one's leader under a token; then it does.
func (f *flight) feeds(token uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.leader == nil || f.token != token {
		return false
	}
	f.followers++
	return true
}

// feed tells all that there is until the other node says that it has it.
func (p *Plugin) feed(ctx context.Context, d *feed) {
	defer d.f.leave()
	defer p.unfeed(d)
	p.metrics.followed.Inc()
	defer p.metrics.followed.Dec()
	tick := time.NewTicker(beating)
	defer tick.Stop()
	var ends time.Time
	for {
		m, wait := d.next()
		if m != nil {
			if !p.post(ctx, d, m) || m.Kind == letterGone {
				return
			}
			if m.Kind == letterEnd {
				ends = time.Now().Add(noWord)
			}
			continue
		}
		select {
		case <-wait:
		case at := <-d.again:
			d.restart(at)
		case <-d.left:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			if d.ended && time.Now().After(ends) {
				return
			}
			if !d.ended {
				_, _ = p.write(ctx, d.to.Node, d.letter(letterBeat)) // the next one will do
			}
		}
	}
}

func (p *Plugin) unfeed(d *feed) {
	p.feeds.mu.Lock()
	defer p.feeds.mu.Unlock()
	if p.feeds.of[d.to] == d {
		delete(p.feeds.of, d.to)
	}
}

func (d *feed) letter(kind string) *letter {
	return &letter{Kind: kind, Key: d.f.key[:], Token: d.to.Token}
}

// restart goes back to where the other node's copy ends.
func (d *feed) restart(at tape.Place) {
	d.from, d.reader, d.began, d.ended = at, nil, false, false
}

// mostPieces is how many are told in one letter.
const mostPieces = 256

// next is what there is to tell; or nil, and what to wait for.
func (d *feed) next() (*letter, <-chan struct{}) {
	f := d.f
	f.mu.Lock()
	of, reply, changed := f.kept, f.reply, f.change()
	failed := reply == nil && (f.token != d.to.Token || f.leader == nil)
	if d.tape == nil && !failed {
		d.tape = f.tape
	}
	f.mu.Unlock()
	switch {
	case d.ended:
		return nil, nil
	case d.tape != nil && !d.began && of != nil && !failed:
		d.began = true
		m := d.letter(letterBegin)
		m.Answer = of.Append(nil)
		return m, nil
	case d.tape != nil:
		return d.piecesOr(reply != nil)
	case failed:
		return d.letter(letterGone), nil
	case reply != nil:
		return d.end(), nil
	}
	return nil, changed
}

// piecesOr is what is new on the tape; or else its end, or what to wait for.
func (d *feed) piecesOr(complete bool) (*letter, <-chan struct{}) {
	if d.reader == nil {
		d.reader = d.tape.ReaderAt(d.from)
	}
	m := d.letter(letterPieces)
	for p := d.reader.Read(); p != nil; p = d.reader.Read() {
		m.Pieces = append(m.Pieces, placed{At: d.reader.Place(), Piece: *p})
		if len(m.Pieces) == mostPieces {
			break
		}
	}
	if len(m.Pieces) > 0 {
		return m, nil
	}
	if over, err := d.reader.Over(); over {
		if err == nil && (complete || d.f.answered()) {
			return d.end(), nil
		}
		return d.letter(letterGone), nil
	}
	if d.reader.Beaten() {
		return d.letter(letterAlive), nil
	}
	if c := d.reader.Waits(); c != nil {
		return nil, c
	}
	return d.piecesOr(complete)
}

// answered says whether the answer is complete.
func (f *flight) answered() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reply != nil
}

// end is the last letter: all of the answer, or what is not on the tape.
func (d *feed) end() *letter {
	d.ended = true
	d.f.mu.Lock()
	of, reply := d.f.kept, *d.f.reply
	d.f.mu.Unlock()
	m := d.letter(letterEnd)
	if d.tape != nil {
		reply.Choices, m.At = nil, d.tape.Next()
	}
	a := of.Answer
	a.Reply = reply
	m.Answer, m.Kept = a.Append(nil), of.stored
	return m
}

// retrying is how long is waited before a letter is sent again.
const retrying = 50 * time.Millisecond

// post writes a letter until the other node reads it; false if it is given up. What got lost meanwhile is told again.
func (p *Plugin) post(ctx context.Context, d *feed, m *letter) bool {
	for until := time.Now().Add(noWord); ; {
		if read, err := p.write(ctx, d.to.Node, m); err == nil && read {
			return true
		}
		t := time.NewTimer(retrying)
		select {
		case <-t.C:
			if time.Now().After(until) {
				return false
			}
		case at := <-d.again:
			t.Stop()
			d.restart(at)
			return true
		case <-d.left:
			t.Stop()
			return false
		case <-ctx.Done():
			t.Stop()
			return false
		}
	}
}
