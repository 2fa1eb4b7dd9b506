package quota

import (
	"io"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// metered is a stream that is paid for piece by piece. If the budget refuses a piece, what was delivered stays, and the caller gets
// the end of an answer that has reached its limit; where the dialect does not allow that, an error.
type metered struct {
	gateway.Stream
	r        *record
	follower chat.Follower
	cut      *gateway.Error // why there is no more
	tail     chat.Batch     // the end that was made
	ended    bool           // it was
	closed   bool
}

func newMetered(r *record) *metered {
	q := &r.x.Request
	m := &metered{Stream: r.x.Reply.Stream, r: r}
	if d := wire.ByName(q.Endpoint.Dialect); d.NewFollower != nil {
		m.follower = d.NewFollower(q.Fields().IncludeUsage)
	}
	return m
}

// Next implements gateway.Stream: before the piece that is paid for is used up it pays for the next one.
func (m *metered) Next() (gateway.Event, error) {
	if m.cut != nil && !m.ended && !m.end() {
		return gateway.Event{}, m.cut
	}
	if m.ended {
		if name, data, ok := m.tail.Next(); ok {
			return gateway.Event{Name: name, Data: data}, nil
		}
		return gateway.Event{}, io.EOF
	}
	ev, err := m.Stream.Next()
	if err != nil {
		return ev, err
	}
	if m.follower != nil {
		m.follower.Follow(ev.Name, ev.Data)
	}
	m.cut = m.r.renew()
	return ev, nil
}

// end gives the rest of the answer up, and makes an end of what the caller has; false if that is not possible.
func (m *metered) end() bool {
	if m.closed {
		return false
	}
	m.closed = true
	_ = m.Stream.Close()
	list := m.r.x.Attempts()
	a := list[len(list)-1]
	if a.Err == nil {
		a.Err = m.cut
	}
	u := a.Usage
	if u.Provenance != chat.Reported {
		if u.Prompt() == 0 {
			u.Input = a.Prompt
		}
		u.Output, u.Provenance = max(u.Output, a.Said), chat.Estimated
	}
	m.ended = m.follower != nil && m.follower.End(&m.tail, &u)
	return m.ended
}

// Ready implements gateway.Stream.
func (m *metered) Ready() bool { return m.cut != nil || m.Stream.Ready() }

// Close implements gateway.Stream.
func (m *metered) Close() error {
	if m.closed {
		return nil
	}
	m.closed = true
	return m.Stream.Close()
}

// margin is how many tokens before its end a piece is renewed: events have several.
const margin = 64

// current is what is paid for of the stream that is delivered; nil if nothing is known of its price.
func (r *record) current() *lease {
	list := r.x.Attempts()
	for i := range r.leases {
		if l := &r.leases[i]; l.of != nil && l.of == list[len(list)-1] {
			return l
		}
	}
	return nil
}

// renew pays for another piece if the last one is nearly used up, or for a smaller one if there is no more. The error says that all
// that is paid for is used up.
func (r *record) renew() *gateway.Error {
	l := r.current()
	for l != nil && l.of.Said > l.paid-margin {
		no, ok := r.piece(l, r.p.c.Lease)
		if ok {
			continue
		}
		if left := r.purse.Affordable(r.x.Context()) / max(l.price/r.p.c.Lease, 1); no.What == meter.Money && left >= leastAnswer {
			if _, ok = r.piece(l, min(left, r.p.c.Lease)); ok {
				continue
			}
		}
		if l.of.Said < l.paid {
			return nil
		}
		return r.p.refuse(&no)
	}
	return nil
}

// piece pays for so many tokens.
func (r *record) piece(l *lease, tokens int64) (meter.Refusal, bool) {
	pd := l.price / r.p.c.Lease * tokens
	if !r.purse.TryReserve(pd) {
		if no, ok := r.purse.Reserve(r.x.Context(), pd); !ok {
			return no, false
		}
	}
	l.of.Reserved += pd
	l.paid += tokens
	return meter.Refusal{}, true
}
