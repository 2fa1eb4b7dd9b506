package admission

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// interval is how often memory is looked at.
const interval = 100 * time.Millisecond

// From these shares of the memory on Low, Normal and High are refused; Critical never is. What is refused is let in again
// when it is relief less, so that one request more or less does not open and close the door.
var thresholds = [...]float64{0.85, 0.92, 0.96}

const relief = 0.03

// Guard refuses requests while the process is short of memory: better some are told to come later than that all are lost
// with the process. All methods may be called at any time by anybody; a nil Guard allows everything.
type Guard struct {
	next    atomic.Int64 // the Instant of the next look
	level   atomic.Int32 // how many priorities are refused, lowest first
	refused [Priorities]atomic.Uint64

	mu          sync.Mutex
	read        func() (used, limit uint64)
	used, limit uint64
}

// NewGuard makes a Guard that asks read for the bytes in use and the bytes there are (0: no limit); it is called at most
// every 100 ms, by one caller at a time. nil is the process's own memory:
//
//   - under a soft limit of the runtime (GOMEMLIMIT, debug.SetMemoryLimit) what no garbage collection can free, since one
//     comes before the limit is passed,
//   - else, in a control group with a limit (a container), everything that the runtime has and has not returned, since it
//     may double its heap before it collects: set GOMEMLIMIT to about 90 % of the container's memory to use it better,
//   - else there is no limit, and nothing is ever refused.
func NewGuard(read func() (used, limit uint64)) *Guard {
	if read == nil {
		read = processMemory(ContainerMemory(os.DirFS("/")))
	}
	g := &Guard{read: read}
	g.next.Store(int64(past))
	return g
}

// Allow says whether a request of this priority may begin. It hardly ever blocks and does not allocate.
func (g *Guard) Allow(p Priority) bool {
	if g == nil {
		return true
	}
	if now := clock.Now(); int64(now) >= g.next.Load() && g.mu.TryLock() {
		g.look(now)
		g.mu.Unlock()
	}
	if p.class() >= int(g.level.Load()) {
		return true
	}
	g.refused[p.class()].Add(1)
	return false
}

// look measures the memory if it is time to.
func (g *Guard) look(now clock.Instant) {
	if int64(now) < g.next.Load() {
		return
	}
	g.next.Store(int64(now.Add(interval)))
	g.used, g.limit = g.read()
	share := 0.0
	if g.limit > 0 {
		share = float64(g.used) / float64(g.limit)
	}
	level := 0
	for i, from := range thresholds {
		if int(g.level.Load()) > i {
			from -= relief
		}
		if share >= from {
			level = i + 1
		}
	}
	g.level.Store(int32(level)) // #nosec G115 -- at most three
}

// GuardSnapshot is the state of a Guard for metrics and the admin API.
type GuardSnapshot struct {
	Used, Limit uint64             // bytes; Limit 0: none is known
	Refusing    [Priorities]bool   // by priority, Low first
	Refused     [Priorities]uint64 // since the start
}

// Snapshot tells the state; the zero GuardSnapshot for nil.
func (g *Guard) Snapshot() GuardSnapshot {
	var s GuardSnapshot
	if g == nil {
		return s
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.look(clock.Now())
	s.Used, s.Limit = g.used, g.limit
	for i := range s.Refused {
		s.Refusing[i] = i < int(g.level.Load())
		s.Refused[i] = g.refused[i].Load()
	}
	return s
}
