package meter

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Local is a pool in this process. It forgets everything when it ends: what was spent comes from the ledger then, as Seeds
// and as what nodes have used.
type Local struct {
	mu      sync.Mutex
	tenants map[tenant.ID]*localTenant
	nodes   map[string]clock.Instant // last request
	leases  map[string]clock.Instant // until
	lost    clock.Instant            // when a node came that remembers more than this pool
}

var _ Pool = (*Local)(nil)

// NewLocal returns an empty pool.
func NewLocal() *Local {
	return &Local{
		tenants: make(map[tenant.ID]*localTenant),
		nodes:   make(map[string]clock.Instant),
		leases:  make(map[string]clock.Instant),
	}
}

// Nodes is how many nodes were heard of lately.
func (l *Local) Nodes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.nodes) > 1 {
		now := clock.Now()
		maps.DeleteFunc(l.nodes, func(_ string, seen clock.Instant) bool { return now.Sub(seen) > NodeTimeout })
	}
	return max(len(l.nodes), 1)
}

// Lease gives a job to whoever comes first.
func (l *Local) Lease(ctx context.Context, name string, d time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := clock.Now()
	if until, is := l.leases[name]; is && now < until {
		return false, nil
	}
	looked := 0
	for other, until := range l.leases { // so that there are never many in vain
		if now >= until {
			delete(l.leases, other)
		}
		if looked++; looked == 2 {
			break
		}
	}
	l.leases[name] = now.Add(d)
	return true, nil
}

var errNobody = errors.New("meter: a request of no tenant")

// Close does nothing.
func (l *Local) Close() error { return nil }

// Draw does at once what is asked for.
func (l *Local) Draw(ctx context.Context, r *Request) (*Reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.Tenant == "" {
		return nil, errNobody
	}
	now := clock.Now()
	t, known := l.tenant(r, now)
	t.mu.Lock()
	defer t.mu.Unlock()
	if known && r.Epoch != 0 && r.Epoch != t.epoch {
		return &Reply{Epoch: t.epoch}, ErrEpoch
	}
	node, err := t.enter(r)
	if err != nil {
		return nil, err
	}
	if t.settled != 0 && now < t.settled {
		for i := range r.Lines {
			t.account(&r.Lines[i], now).declare(node, &r.Lines[i], now)
		}
		return &Reply{Epoch: t.epoch}, ErrBusy
	}
	return t.grant(node, r, now), nil
}

// tenant finds or begins what is known of one, and notes the node.
func (l *Local) tenant(r *Request, now clock.Instant) (t *localTenant, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes[r.Node] = now
	if t, known = l.tenants[r.Tenant]; known {
		return t, true
	}
	if r.Epoch != 0 && (l.lost == 0 || now.Sub(l.lost) > Settling) {
		l.lost = now
	}
	// Zero is no epoch; 52 bits are what a script can count, too.
	t = &localTenant{epoch: 1 + rand.Int64N(1<<52), accounts: make(map[Account]*localAccount)} //nolint:gosec // no secret
	if l.lost != 0 && now.Sub(l.lost) <= Settling {
		t.settled = now.Add(Settling)
	}
	l.tenants[r.Tenant] = t
	return t, false
}

type localTenant struct {
	mu       sync.Mutex
	epoch    int64
	settled  clock.Instant // before it nothing is granted; 0: no memory was lost
	nodes    []localNode
	accounts map[Account]*localAccount
}

// localNode is a node that has asked for something of a tenant. Its index in nodes stands for it.
type localNode struct {
	name      string
	boot, seq int64
}

// enter notes a request and says which node it is of.
func (t *localTenant) enter(r *Request) (node int, err error) {
	node = t.node(r.Node)
	n := &t.nodes[node]
	if r.Boot < n.boot || r.Boot == n.boot && r.Seq < n.seq {
		return node, ErrStale
	}
	if r.Boot > n.boot {
		for id, a := range t.accounts {
			if id.Kind != Money {
				a.shares = slices.DeleteFunc(a.shares, func(s share) bool { return s.node == node })
			}
		}
	}
	n.boot, n.seq = r.Boot, r.Seq
	return node, nil
}

func (t *localTenant) node(name string) int {
	if i := slices.IndexFunc(t.nodes, func(n localNode) bool { return n.name == name }); i >= 0 {
		return i
	}
	t.nodes = append(t.nodes, localNode{name: name})
	return len(t.nodes) - 1
}

// account finds or opens a line's account, and brings it up to date.
func (t *localTenant) account(l *Line, now clock.Instant) *localAccount {
	a := t.accounts[l.Account]
	if a == nil {
		a = &localAccount{kind: l.Account.Kind}
		if a.at = now; t.settled == 0 {
			a.level = l.Limit
		}
		t.forget(now)
		t.accounts[l.Account] = a
	}
	a.limit, a.until = l.Limit, clock.At(l.Until)
	if a.kind != Money {
		a.shares = slices.DeleteFunc(a.shares, func(s share) bool { return now.Sub(s.seen) > NodeTimeout })
	}
	if a.kind.Rate() {
		a.fill(now, a.limit, a.top())
	}
	a.at = now
	for _, s := range l.Seeds {
		other := a.share(t.node(s.Node))
		other.total, other.used = max(other.total, s.Spent), max(other.used, s.Spent)
	}
	return a
}

// forget drops accounts that need no memory. It looks at two for each new one, so that there are never many in vain.
func (t *localTenant) forget(now clock.Instant) {
	looked := 0
	for id, a := range t.accounts {
		idle := now.Sub(a.at)
		switch {
		case id.Kind != Money && (idle > time.Minute && a.level >= 0 || idle > 24*time.Hour),
			id.Kind == Money && a.until != 0 && now > a.until,
			id.Kind == Money && id.Scope.Kind == tenant.OfUser && idle > 2*idleScope: // its nodes have forgotten it, too
			delete(t.accounts, id)
		}
		if looked++; looked == 2 {
			return
		}
	}
}

// grant gives each line what it needs, or no line more than it has.
func (t *localTenant) grant(node int, r *Request, now clock.Instant) *Reply {
	reply := &Reply{Epoch: t.epoch, Answers: make([]Answer, len(r.Lines)), Refused: -1}
	accounts := make([]*localAccount, len(r.Lines)) // one whose window is over may be forgotten when the next is opened
	for i := range r.Lines {
		l := &r.Lines[i]
		a := t.account(l, now)
		accounts[i] = a
		if had := a.declare(node, l, now).total; reply.Refused < 0 && l.Need > plus(had, max(a.free(), 0)) {
			reply.Refused = i
		}
	}
	for i, a := range accounts {
		reply.Answers[i] = a.grant(node, &r.Lines[i], reply.Refused < 0)
	}
	return reply
}

// localAccount is what a pool knows of an account.
type localAccount struct {
	bucket // of a rate; of others, when they were asked for last
	kind   Kind
	limit  int64
	until  clock.Instant
	shares []share
}

// share is what a node was granted, and what it has made of it: what it spent of money, what it used of rates.
type share struct {
	node        int
	total, used int64
	seen        clock.Instant
}

func (a *localAccount) share(node int) *share {
	i := slices.IndexFunc(a.shares, func(s share) bool { return s.node == node })
	if i < 0 {
		i = len(a.shares)
		a.shares = append(a.shares, share{node: node})
	}
	return &a.shares[i]
}

// declare notes what a node says that it has.
func (a *localAccount) declare(node int, l *Line, now clock.Instant) *share {
	s := a.share(node)
	s.total, s.used, s.seen = max(s.total, l.Has), l.Spent, now
	return s
}

// grant is the arithmetic of Line.
func (a *localAccount) grant(node int, l *Line, more bool) Answer {
	s := a.share(node)
	most := s.total
	if more {
		most = plus(most, max(a.free(), 0))
	}
	had := s.total
	s.total = max(l.Used, min(l.Want, most))
	answer := Answer{Total: s.total}
	if a.kind.Rate() {
		if more {
			s.used = max(s.used, l.Need)
		}
		a.level = min(plus(a.level, had-s.total), a.top())
		answer.Next = a.next(a.limit)
	} else {
		answer.Spent = a.spent()
	}
	answer.Remaining = a.free()
	return answer
}

// free is what can be granted.
func (a *localAccount) free() int64 {
	if a.kind.Rate() {
		return a.level
	}
	free := a.limit
	for _, s := range a.shares {
		free = plus(free, -s.total)
	}
	return free
}

// top is how much a rate's bucket may hold: what nodes have and have not used is not in it.
func (a *localAccount) top() int64 {
	top := a.limit
	for _, s := range a.shares {
		top -= max(s.total-s.used, 0)
	}
	return top
}

func (a *localAccount) spent() (sum int64) {
	for _, s := range a.shares {
		sum = plus(sum, s.used)
	}
	return sum
}
