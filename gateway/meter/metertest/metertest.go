// Package metertest says what a meter.Pool has to do.
package metertest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Fleet is one memory that nodes share, and is empty at first.
type Fleet struct {
	Node  func(name string) meter.Pool // a node's way to it; the same each time
	Flush func()                       // loses the memory, as if it had been restarted
}

// Case is one thing that a pool has to do. It may be run in a testing/synctest bubble.
type Case func(t *testing.T, f Fleet)

// Run runs all cases, each with a fleet of its own and beside each other.
func Run(t *testing.T, open func(t *testing.T) Fleet) {
	t.Helper()
	all := Cases()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all[name](t, open(t))
		})
	}
}

// Cases are all of them by name.
func Cases() map[string]Case {
	return map[string]Case{
		"all or nothing":               allOrNothing,
		"as much as there is":          asMuchAsThereIs,
		"giving back":                  givingBack,
		"repeated, lost and late":      repeated,
		"a request without lines":      empty,
		"spent above the limit":        above,
		"what a node has is believed":  believed,
		"spent by all":                 spentByAll,
		"seeds":                        seeds,
		"windows and periods apart":    apart,
		"tenants apart":                tenantsApart,
		"nobody":                       nobody,
		"the largest amounts":          largest,
		"a bucket fills":               fills,
		"a bucket and hands":           bucketAndHands,
		"what is needed is used":       neededIsUsed,
		"debts":                        debts,
		"rounding loses nothing":       rounding,
		"a new process":                newProcess,
		"a node that is gone":          goneNode,
		"epochs":                       epochs,
		"a memory that is lost":        lost,
		"leases":                       leases,
		"nodes":                        nodes,
		"an answer that is not waited": canceled,
		"as Local does":                asLocal,
	}
}

// node is one that calls a pool and remembers what has to be remembered.
type node struct {
	t     *testing.T
	pool  meter.Pool
	of    tenant.ID
	name  string
	boot  int64
	seq   int64
	epoch int64
}

func (f Fleet) node(t *testing.T, name string) *node {
	t.Helper()
	return &node{t: t, pool: f.Node(name), of: "acme", name: name, boot: 1_000_000}
}

// draw makes one request and adopts the epoch. A pool that has just begun may have itself be waited for.
func (n *node) draw(lines ...meter.Line) *meter.Reply {
	n.t.Helper()
	for range 20 {
		reply, err := n.try(lines...)
		if err == nil {
			if len(reply.Answers) != len(lines) {
				n.t.Fatalf("%d answers to %d lines", len(reply.Answers), len(lines))
			}
			return reply
		}
		if !errors.Is(err, meter.ErrBusy) && !errors.Is(err, meter.ErrEpoch) {
			n.t.Fatal(err)
		}
		pass(meter.Settling / 10)
	}
	n.t.Fatal("the pool does not come to an end of gathering")
	return nil
}

func (n *node) try(lines ...meter.Line) (*meter.Reply, error) {
	n.t.Helper()
	n.seq++
	return n.send(n.seq, lines...)
}

func (n *node) send(seq int64, lines ...meter.Line) (*meter.Reply, error) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 5*time.Second)
	defer cancel()
	reply, err := n.pool.Draw(ctx, &meter.Request{Tenant: n.of, Node: n.name, Boot: n.boot, Seq: seq, Epoch: n.epoch, Lines: lines})
	if errors.Is(err, meter.ErrBusy) || errors.Is(err, meter.ErrEpoch) || err == nil {
		if reply == nil || reply.Epoch == 0 {
			n.t.Fatalf("no epoch in %+v with %v", reply, err)
		}
		n.epoch = reply.Epoch
	}
	return reply, err
}

// pass lets time pass.
func pass(d time.Duration) { <-time.After(d) }

// month is of a budget, of November 2026.
func month() meter.Account {
	return meter.Account{Kind: meter.Money, Per: tenant.Month, Window: 1_793_491_200}
}

// money is a line of a budget of 100 with what was used, all of it spent.
func money(used, has, need, want int64) meter.Line {
	return meter.Line{Account: month(), Limit: 100, Used: used, Spent: used, Has: has, Need: need, Want: want, Until: time.Unix(1_796_083_200, 0)}
}

func of(kind meter.Kind, limit, used, has, need, want int64) meter.Line { //nolint:revive // as a line has them
	return meter.Line{Account: meter.Account{Kind: kind}, Limit: limit, Used: used, Spent: used, Has: has, Need: need, Want: want}
}

// granted checks totals, what remains after them and who refused.
func granted(t *testing.T, r *meter.Reply, refused int, totalsAndRemaining ...int64) {
	t.Helper()
	var got []int64
	for _, a := range r.Answers {
		got = append(got, a.Total, a.Remaining)
	}
	if !slices.Equal(got, totalsAndRemaining) || r.Refused != refused {
		t.Errorf("totals and what remains %v, refused by %d; want %v, %d", got, r.Refused, totalsAndRemaining, refused)
	}
}
