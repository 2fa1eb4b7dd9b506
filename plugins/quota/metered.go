package quota

import (
	"github.com/sluice-ai/sluice/gateway"
)

// metered is a stream that is paid for piece by piece.
type metered struct {
	gateway.Stream
	r   *record
	cut *gateway.Error // why there is no more
}

// Next implements gateway.Stream: before the piece that is paid for is used up it pays for the next one. What was delivered
// before the budget refused stays.
func (m *metered) Next() (gateway.Event, error) {
	if m.cut != nil {
		return gateway.Event{}, m.cut
	}
	ev, err := m.Stream.Next()
	if err == nil {
		m.cut = m.r.renew()
	}
	return ev, err
}

// Ready implements gateway.Stream.
func (m *metered) Ready() bool { return m.cut != nil || m.Stream.Ready() }

// margin is how many tokens before its end a piece is renewed: events have several.
const margin = 64

// renew pays for another piece if the last one is nearly used up.
func (r *record) renew() *gateway.Error {
	list := r.x.Attempts()
	a := list[len(list)-1]
	if a != r.of { // it has won against the one that was begun later
		r.of, r.leases = a, 1
	}
	for a.Said > r.leases*r.p.c.Lease-margin {
		if !r.purse.TryReserve(r.lease) {
			if no, ok := r.purse.Reserve(r.x.Context(), r.lease); !ok {
				return r.p.refuse(&no)
			}
		}
		a.Reserved += r.lease
		r.leases++
	}
	return nil
}
