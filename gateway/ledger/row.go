package ledger

import (
	"context"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Row is what one attempt cost and whom, or one answer from the cache. There is nothing of a prompt or an answer in it. A text
// that is longer than the bound behind it, in bytes, is cut when the row is written, and ends with a digest of what it was.
type Row struct {
	ID       ID
	Kind     Kind
	At       time.Time // when the attempt began, or the answer was given; in UTC
	Node     string    // that served it; set by the journal; 64
	Tenant   tenant.ID // 64
	Key      string    // name of the caller's key; 64
	User     string    // end user, as the credential names them; 64
	Request  string    // id of the exchange, which several rows may have: x-request-id; 64
	Endpoint string    // chat.completions; 48
	Dialect  string    // in which it was asked: openai; 24

	Asked    string // model, as the caller wrote it; 96
	Model    string // canonical name of the one that was asked for; 96
	Provider string // its configured name; 64
	Account  string // name of the provider's key; 64
	Target   string // model, as the provider calls it; 96
	Upstream string // the provider's own request id; 64
	Of       ID     // of an answer from the cache: the attempt that was paid for; zero if that is not known

	Attempt uint8 // which of the exchange's attempts, from 1; 0 for an answer from the cache
	Flags   Flags
	Outcome Outcome
	Status  int // HTTP status that the provider answered; 0 if none came

	Waited time.Duration // before At, until the target could be asked
	First  time.Duration // from At to the first event; 0 if none came
	Total  time.Duration // from At to the end; 0 if that is not known

	Usage    chat.Usage   // its Tier: 24
	Price    uint64       // version of the prices that Cost is worked out with, see [Price]; 0: none
	Cost     catalog.Cost // what the provider takes from the operator
	Reserved int64        // picodollars that were reserved for it, of one that is Unknown at its beginning; 0: nothing
	Charge   int64        // picodollars that the tenant pays; never negative
	Saved    int64        // picodollars that an answer from the cache would have cost; 0 if that is not known
}

// Kind says what a row is about.
type Kind uint8

// Kinds of row.
const (
	Attempt   Kind = iota // sent to a provider
	Exact                 // answered from the cache, which had the same request
	Semantic              // answered from the cache, which had one that means the same
	Coalesced             // answered with what an exchange got that asked the same at the same time
	Stale                 // answered from the cache with what is past its time, and is asked for again meanwhile
)

var kindNames = [...]string{"attempt", "exact", "semantic", "coalesced", "stale"}

// String is the kind's name in the store.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Outcome is how an attempt ended.
type Outcome uint8

// Outcomes. The numbers are in journals and stores: they do not change.
const (
	Unknown  Outcome = iota // the gateway died before it knew: what is in the row is an estimate
	Complete                // all of the answer came
	Refused                 // the provider answered with a status below 500 that is an error
	Failed                  // it answered with 500 or above, with an error inside a 200, or with what is no answer
	Unsent                  // the request did not reach it
	Timeout                 // it took too long
	Cut                     // it broke the answer off
	Gone                    // the caller left
	Late                    // the caller's, or the gateway's, time for the exchange was over
	Drained                 // the gateway went down
	Lost                    // another attempt was quicker
	Spent                   // the budget did not last
)

var outcomeNames = [...]string{
	"unknown", "complete", "refused", "failed", "unsent", "timeout", "cut", "gone", "late", "drained", "lost", "spent",
}

// String is the outcome's name in the store.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return outcomeNames[Unknown]
}

// Flags say more of an attempt.
type Flags uint16

// Flags. Like the numbers of outcomes they do not change.
const (
	Stream     Flags = 1 << iota // answered event by event
	Hedged                       // made because the first event of the attempt before it was late
	Resent                       // sent twice, because the connection that it was sent on first was closed
	Joined                       // a part of another exchange's request
	Resumed                      // went on with what another attempt had delivered
	Own                          // to the tenant's own account at the provider: Cost is not the operator's
	Delivered                    // something of the answer went to the caller
	Downgraded                   // another model was asked than the caller wrote
	Limited                      // the answer's length was limited to what can be paid
	Capped                       // no more is charged than was reserved
	Inside                       // asked by the gateway itself, for the tenant
)

var flagNames = [...]string{"stream", "hedged", "resent", "joined", "resumed", "own", "delivered", "downgraded", "limited", "capped", "inside"}

// Names are the names of the flags that are set, in a fixed order.
func (f Flags) Names() []string {
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Price is what a model costs, by a version that is a digest of it: the same prices have the same version on all nodes and
// for ever.
type Price struct {
	Version  uint64
	Provider string // kind of provider, as in the catalogue
	Model    string
	Rates    []byte // [catalog.Model.Tariffs] as JSON, [MostRates] bytes at most
}

// Sink takes rows out of the journal, for good: a store.
type Sink interface {
	// Insert writes rows down and returns how many of them it did not have yet, by their ids: what they add to sums counts
	// for those alone. After an error it may or may not have done so; the same rows come again. It must end when ctx does, and
	// keeps nothing of the list.
	Insert(ctx context.Context, rows []Row) (inserted int, err error)
}

// PriceSink is implemented by a Sink that keeps prices as well. Those of rows come before or with the rows; the same may come
// again.
type PriceSink interface {
	InsertPrices(ctx context.Context, prices []Price) error
}
