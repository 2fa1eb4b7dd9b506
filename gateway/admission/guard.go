package admission

import (
	"math"
	"runtime/metrics"
)

// Guard refuses requests while the process is short of memory. A nil Guard allows everything.
type Guard struct{ read func() (used, limit uint64) }

// NewGuard makes a Guard that asks read for the bytes in use and the bytes there are (0: no limit). nil reads the
// process's own.
func NewGuard(read func() (used, limit uint64)) *Guard {
	if read == nil {
		read = process
	}
	return &Guard{read: read}
}

func process() (used, limit uint64) {
	s := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/gc/gomemlimit:bytes"},
	}
	metrics.Read(s)
	if limit = s[2].Value.Uint64(); limit == math.MaxInt64 {
		limit = 0
	}
	return s[0].Value.Uint64() - s[1].Value.Uint64(), limit
}

// Allow says whether a request of this priority may begin. It neither blocks nor allocates.
func (g *Guard) Allow(p Priority) bool {
	if g == nil || p >= Critical {
		return true
	}
	used, limit := g.read()
	return limit == 0 || float64(used) < float64(limit)*[...]float64{0.85, 0.92, 0.96}[p.class()]
}

// GuardSnapshot is the state of a Guard for metrics and the admin API.
type GuardSnapshot struct {
	Used, Limit uint64          // bytes; Limit 0: none known, nothing is ever refused
	Refused     [classes]uint64 // since the start, by priority, Low first
}

// Snapshot tells the state; the zero GuardSnapshot for nil.
func (g *Guard) Snapshot() GuardSnapshot {
	if g == nil {
		return GuardSnapshot{}
	}
	used, limit := g.read()
	return GuardSnapshot{Used: used, Limit: limit}
}
