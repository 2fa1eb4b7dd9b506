package meter

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Options are what Meters work with. All but Pool have a default.
type Options struct {
	Pool Pool
	// Node is this node's name in the pool and in the ledger. A name is of one process at a time; one that is kept over
	// restarts gets back what the process before held and did not spend.
	Node string
	// Spent is what the ledger knows of accounts of money: for each, in picodollars, what each node has spent since its window
	// began. Of this node that is all that ended before it was asked, written down or shipped, and nothing that ended since,
	// however long the answer takes. Of others it is what they have shipped: what waits in the journal of a node that does not
	// count an account itself is missed until then. It is asked once for each account, beside the exchanges and for seconds
	// at most, and again if the pool has lost its memory, or may have forgotten the account. nil: there is no ledger, and nothing
	// was spent. While it fails, budgets that were not asked for before are Unavailable.
	Spent func(ctx context.Context, id tenant.ID, of []Account, asked time.Time) ([]map[string]int64, error)
	// Wait is how long an exchange waits for the pool and the ledger; 0: 25 ms. A call of the pool may take ten times as long.
	// What comes late is for those who come later.
	Wait time.Duration
	// Fault hears what an operator has to look at: that the ledger cannot be read, once in a row, ErrStale, or ErrCrowded. It is
	// called under a tenant's lock and must not call back.
	Fault func(id tenant.ID, err error)
	// Wall is what windows of budgets go by; nil: the computer's clock. The heart follows it.
	Wall *clock.Wall
}

// Meters are all meters of the process. They outlive what is configured.
type Meters struct {
	o      Options
	boot   int64
	seed   maphash.Seed
	shards [16]shard
	link   link
	lost   atomic.Bool // the pool has lost its memory: all have to tell what they have
	closed atomic.Bool

	due     chan *Tenant
	alerts  chan Alert
	life    context.Context //nolint:containedctx // of what runs beside the exchanges
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	live   map[*Tenant]struct{}
	last   *Tenant // one to try the pool with if none is live
	untold []Alert
}

type shard struct {
	mu      sync.RWMutex
	tenants map[tenant.ID]*Tenant
}

// workers is how many tenants are refreshed at a time. They wait for the pool most of the time.
const workers = 16

// New starts the Meters' heart.
func New(o Options) *Meters {
	if o.Wait == 0 {
		o.Wait = 25 * time.Millisecond
	}
	if o.Fault == nil {
		o.Fault = func(tenant.ID, error) {}
	}
	if o.Wall == nil {
		o.Wall = clock.System()
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &Meters{
		o: o, boot: time.Now().UnixMicro(), seed: maphash.MakeSeed(), life: ctx, stop: stop,
		due: make(chan *Tenant, 4096), alerts: make(chan Alert, 256), live: make(map[*Tenant]struct{}),
	}
	for i := range m.shards {
		m.shards[i].tenants = make(map[tenant.ID]*Tenant)
	}
	m.running.Go(func() { m.beat(ctx) })
	for range workers {
		m.running.Go(func() { m.work(ctx) })
	}
	return m
}

// Close gives back what is in hand, as far as the pool can be asked before ctx ends, and stops the heart. Reservations and places
// of exchanges that have not ended stay reserved. From now on nothing is drawn any more. The Pool is not closed.
func (m *Meters) Close(ctx context.Context) {
	m.mu.Lock()
	m.closed.Store(true)
	m.mu.Unlock()
	m.stop()
	m.running.Wait()
	m.mu.Lock()
	live := m.liveOnes()
	m.mu.Unlock()
	for _, t := range live {
		if ctx.Err() != nil || !m.link.up() {
			return
		}
		t.refresh(ctx)
	}
}

// start runs f beside the exchanges; not any more once the Meters are closed.
func (m *Meters) start(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Load() {
		return false
	}
	m.running.Go(f)
	return true
}

// Tenant is the one of that id, never nil. For the empty id, which is nobody's, the pool is never asked.
func (m *Meters) Tenant(id tenant.ID) *Tenant {
	s := &m.shards[maphash.String(m.seed, string(id))%uint64(len(m.shards))]
	s.mu.RLock()
	t := s.tenants[id]
	s.mu.RUnlock()
	if t != nil {
		return t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t = s.tenants[id]; t == nil {
		t = &Tenant{meters: m, id: id, scopes: make(map[tenant.Scope]*scope)}
		s.tenants[id] = t
		m.mu.Lock()
		m.last = t
		m.mu.Unlock()
	}
	return t
}

// Up says whether the pool answers.
func (m *Meters) Up() bool { return m.link.up() }

// everyone calls f with each tenant.
func (m *Meters) everyone(f func(*Tenant)) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		all := make([]*Tenant, 0, len(s.tenants))
		for _, t := range s.tenants {
			all = append(all, t)
		}
		s.mu.RUnlock()
		for _, t := range all {
			f(t)
		}
	}
}

// kick has a tenant refreshed soon. Its lock is held.
func (m *Meters) kick(t *Tenant) {
	if t.queued {
		return
	}
	select {
	case m.due <- t:
		t.queued = true
	default: // with the next beat
	}
}

// enliven has the heart beat for a tenant, whose lock is held.
func (m *Meters) enliven(t *Tenant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live[t], m.last = struct{}{}, t
}

// lull ends that.
func (m *Meters) lull(t *Tenant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.live, t)
}

func (m *Meters) liveOnes() []*Tenant {
	all := make([]*Tenant, 0, len(m.live)+1)
	for t := range m.live {
		all = append(all, t)
	}
	return all
}
