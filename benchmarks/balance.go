package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
)

const (
	balanceMost   = 1.25 // of the best other strategy's latency
	refusingMost  = 2.0  // percent of the requests that a target gets which refuses at once
	balanceChange = 1500 * time.Millisecond
)

// scenario is what the upstreams of test balance are like: as schedules say it, and what they change to again and again.
type scenario struct {
	name        string
	first, then []string // then nil: nothing changes
	refuses     bool     // the first upstream: it should get next to nothing
	mixed       bool     // no choice is best for both p50 and p99: only p99 has a limit
}

var balances = [...]scenario{
	{name: "unequal", first: []string{"latency 20ms", "latency 80ms"}},
	{name: "changing", first: []string{"latency 20ms", "latency 120ms"}, then: []string{"latency 120ms", "latency 20ms"}},
	{name: "slow-at-times", first: []string{"latency 20ms, latency 180ms 10%", "latency 30ms"}, mixed: true},
	{name: "429", first: []string{"429", "latency 40ms", "latency 40ms"}, refuses: true},
	{name: "500", first: []string{"500", "latency 40ms", "latency 40ms"}, refuses: true},
}

// strategies are the ways to choose; the last one is compared with the others.
var strategies = [...]string{"ordered", "weighted", "least_latency"}

func balanceFigures() []figure {
	var figures []figure
	for _, c := range balances {
		most := limit{most: balanceMost}
		if c.mixed {
			most = limit{}
		}
		figures = append(figures,
			figure{"balance." + c.name + ".p50", "of the best other", value(c.name + ".p50"), most},
			figure{"balance." + c.name + ".p99", "of the best other", value(c.name + ".p99"), limit{most: balanceMost}},
		)
		if c.refuses {
			figures = append(figures, figure{"balance." + c.name + ".share", "% requests", value(c.name + ".share"), limit{most: refusingMost, added: true}})
		}
	}
	return figures
}

// speed is what a strategy's requests took in one scenario, in ms, and how many went to the first upstream, in percent.
type speed struct{ p50, p99, share float64 }

// balance compares ways to choose among upstreams that differ in speed, or change it.
func balance(ctx context.Context, b *bench, t test, s subject) (r row, err error) {
	r.Values, r.Loads = map[string]float64{}, map[string]*report.Load{}
	for _, c := range balances {
		if t.only != "" && t.only != c.name {
			continue
		}
		best := map[string]speed{}
		for range t.tries {
			got, err := b.balanceTry(ctx, t, s, c, &r)
			if err != nil {
				return r, err
			}
			keepBest(best, got)
			ours, ordered, weighted := best[strategies[2]], best[strategies[0]], best[strategies[1]]
			p50, p99 := ours.p50/min(ordered.p50, weighted.p50), ours.p99/min(ordered.p99, weighted.p99)
			r.Values[c.name+".p50"], r.Values[c.name+".p99"], r.Values[c.name+".share"] = p50, p99, ours.share
			if (c.mixed || p50 <= balanceMost) && p99 <= balanceMost {
				break
			}
		}
	}
	return r, nil
}

// keepBest keeps what is less.
func keepBest(best, got map[string]speed) {
	for strategy, g := range got {
		if was, known := best[strategy]; known {
			g = speed{min(was.p50, g.p50), min(was.p99, g.p99), min(was.share, g.share)}
		}
		best[strategy] = g
	}
}

// balanceTry makes the load with each strategy.
func (b *bench) balanceTry(ctx context.Context, t test, s subject, c scenario, r *row) (map[string]speed, error) {
	speeds := map[string]speed{}
	for _, strategy := range strategies {
		name := c.name + ", " + strategy
		got, load, err := b.balanceOnce(ctx, t, s, c, strategy)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if load.Errors > 0 {
			r.Failed = append(r.Failed, fmt.Sprintf("%s: %d errors: %v", name, load.Errors, load.ErrorKinds))
		}
		speeds[strategy], r.Loads[name] = got, load
	}
	return speeds, nil
}

// balanceOnce makes the load with one strategy in a scenario.
func (b *bench) balanceOnce(ctx context.Context, t test, s subject, c scenario, strategy string) (got speed, load *report.Load, err error) {
	a, err := b.arena(ctx, s, site{strategy: strategy}, c.first...)
	if err != nil {
		return got, nil, err
	}
	defer a.close()
	began := time.Now()
	load, err = a.load(ctx, t, func(ctx context.Context) error { return a.alternate(ctx, c.first, c.then) })
	if err != nil {
		return got, nil, err
	}
	asked := a.asked(began, time.Now())
	total := 0
	for _, n := range asked {
		total += n
	}
	got = speed{load.LatencyLess.P50 / 1000, load.LatencyLess.P99 / 1000, 100 * float64(asked[0]) / float64(max(total, 1))}
	fmt.Fprintf(b.progress, "balance  %-13s %-13s p50 %.1f  p99 %.1f ms  requests %v: the first has %.1f %%\n", c.name, strategy, got.p50, got.p99, asked, got.share)
	return got, load, nil
}

// alternate lets the upstreams change between two sets of schedules until the load ends.
func (a *arena) alternate(ctx context.Context, first, then []string) error {
	if then == nil {
		return nil
	}
	for turn := 1; sleep(ctx, balanceChange) == nil; turn++ {
		now := first
		if turn%2 == 1 {
			now = then
		}
		for i, schedule := range now {
			if err := a.fronts[i].set(schedule); err != nil {
				return err
			}
		}
	}
	return nil
}
