package meter

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Kind says what an account counts, and what was missing in a Refusal.
type Kind uint8

// Kinds of account. Requests and tokens flow back at Limit a minute and pile up to Limit; places come back when they are left,
// or when their node has not been heard of for NodeTimeout; money does not come back before its window ends.
const (
	Requests   Kind = iota // a minute
	Tokens                 // a minute
	Concurrent             // exchanges at once
	Money                  // in a window of a budget
	// Unavailable is in refusals only: what the node holds does not do, and the pool cannot be asked for more.
	Unavailable
)

var kinds = [...]string{"requests", "tokens", "concurrent", "money", "unavailable"}

// String is the kind's name in metrics and errors.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "unknown"
}

// Rate says whether what is taken flows back by itself.
func (k Kind) Rate() bool { return k <= Tokens }

// Account is one counter of a tenant.
type Account struct {
	Kind   Kind
	Per    tenant.Period // Money
	Scope  tenant.Scope
	Window int64 // Money: where the window begins, in Unix seconds; 0 for tenant.Total
}

// Nano is a nanodollar, in which pools count money: whole ones, so that all that can be configured (tenant.MostUSD) fits in
// 53 bits, which is what scripts can count exactly. What is spent is rounded up to it, what may be spent is rounded down.
const Nano = 1000 * tenant.USD(1)

// NodeTimeout is how long a node counts as one of the fleet after its last request, and keeps its places and what it holds of
// rates.
const NodeTimeout = 15 * time.Second

// Remembered is for how long a pool keeps an account of money at least that nobody has drawn from. It may forget it then: nodes ask
// the ledger before they draw from what they have not heard of for half as long. It is long, because what a node has spent is in
// the ledger only when the node has shipped it. A pool in one process need not wait for that, and forgets users in hours.
const Remembered = 48 * time.Hour

// Settling is how long a pool that lost its memory only listens. Nodes come every half a second, so that each has
// declared by then what it holds.
const Settling = 1500 * time.Millisecond

// Pool is where the nodes of a fleet draw from what they share. It keeps, for each account and node, how much the node was
// granted altogether: a running total, so that a request that is repeated or whose answer got lost does no harm.
// A node makes one call for a tenant at a time.
type Pool interface {
	// Draw brings what a node holds of a tenant's accounts up to date and grants it more: what each line needs, or nothing
	// to any of them. With ErrEpoch and ErrBusy comes a Reply that has an Epoch. After any other error nobody knows
	// whether it was done; the next request sets it right.
	Draw(ctx context.Context, r *Request) (*Reply, error)
	// Nodes is how many nodes have been heard of in the last NodeTimeout, this one among them: at least 1, and what it was
	// last if the pool cannot be asked. It does not wait.
	Nodes() int
	// Lease says whether this node may do the named job, and keeps all others from it for d, itself included. An error
	// says that the pool cannot be asked. A job of a tenant has its id in the name.
	Lease(ctx context.Context, name string, d time.Duration) (bool, error)
	// Close ends it. It does not give back what nodes hold.
	Close() error
}

// Errors of Draw that tell a node what to do.
var (
	// ErrEpoch: the request is of another epoch than the pool, and nothing was done. The node adopts the Reply's epoch
	// and declares all that it has of this tenant, with seeds.
	ErrEpoch = errors.New("meter: the pool's memory is a new one")
	// ErrBusy: the pool has lost its memory less than Settling ago. It has noted what the node has and grants nothing yet.
	ErrBusy = errors.New("meter: the pool is gathering what nodes hold")
	// ErrStale: a later request of this node, or one of a later process that calls itself the same, was there before.
	// Nothing was done.
	ErrStale = errors.New("meter: another process has this node's name")
)

// Request is what a node tells a pool of a tenant, and asks of it.
type Request struct {
	Tenant tenant.ID
	Node   string
	// Boot tells the processes of one node apart: Unix microseconds of its start. The first request of a new one makes the
	// pool forget what the one before held of rates and places. Money stays.
	Boot int64
	// Seq orders the requests of a process for a tenant. One that is not newer than the last is refused with ErrStale,
	// unless it is the last again, which is answered anew.
	Seq int64
	// Epoch is one life of the pool's memory of a tenant, 0 if the node knows of none yet: then it may enter any. If the
	// pool has no memory of the tenant, the request begins a new epoch: its rates begin full, but empty if Epoch was not 0,
	// because then a memory was lost. See ErrEpoch and ErrBusy.
	Epoch int64
	Lines []Line // no account twice
}

// Line is what a node has and wants of one account. Used, Has, Need and Want are totals, since the process began for rates, at
// this moment for places, and since the window began for money (in nanodollars; earlier processes of the node included).
//
// The grant is worked out from what is free: Limit less the totals of all nodes, or what a rate's bucket holds.
//
//	had   = max(what the pool knows of this node, Has)   a higher Has is believed, and takes nothing out of a bucket
//	fits  = Need ≤ max(had, had + free)
//	total = max(Used, min(Want, had + max(free, 0)))      min(Want, had) if a line of the request does not fit
//
// A bucket gives total − had, which may be negative: it takes back what a node lost or gives back, and goes below zero for what
// was used beyond what was granted. Before the lines are looked at, it is filled up to Limit less Σ (total − Used) of all nodes,
// as last known, and it never holds more than that afterwards: what lies at nodes and in the bucket is Limit at most. What a
// line needs is used at once: if it is granted, Used is Need from then on, if that is more.
type Line struct {
	Account Account
	Limit   int64
	Used    int64     // used up, or set aside for exchanges on their way. Noted even if it is more than Limit
	Spent   int64     // Money: the part of Used that is charged for good. For others it is Used
	Has     int64     // what it may use, as far as it knows: it may do so without asking
	Need    int64     // what it must have to go on; up to Has: nothing
	Want    int64     // what it would like to have; less than Has: the rest is given back, and not used since the request left
	Until   time.Time // Money: the window's end, after which the pool may forget the account; zero: see Remembered
	// Seeds are what other nodes are known to have spent, from the ledger: for a pool that may know less. The higher counts.
	Seeds []Seed
}

// Seed is what another node has spent of an account, in nanodollars.
type Seed struct {
	Node  string
	Spent int64
}

// Reply is what a pool answers. Answers are in the order of the request's lines.
type Reply struct {
	Epoch   int64
	Answers []Answer // nil with ErrEpoch and ErrBusy
	Refused int      // the first line that does not fit, whereupon nobody was granted more; -1: none
}

// Answer is what came of a line.
type Answer struct {
	Total     int64         // what the node may use from now on, in all
	Remaining int64         // what is free afterwards, in whole units; negative for debts
	Spent     int64         // Money: Σ Line.Spent of all nodes
	Next      time.Duration // rates: until Remaining grows by one
}
