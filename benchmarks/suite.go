package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// test is one scenario: what load is made, and which figures it yields.
type test struct {
	name    string
	model   string   // what the mock does; empty: no load
	speaks  string   // type of the gateway's provider, if it is not openai-compatible: then the gateway translates
	load    []string // flags of the load generator
	billed  bool     // the caller has limits and a budget, and what it spends is written down
	fleet   bool     // billed, with a Redis and a PostgreSQL beside the gateway
	cached  bool     // the gateway has answered before what it is asked
	streams int64    // that must be alive at the end; 0: does not matter
	clients int      // that leave, in each case of test leave
	tries   int      // as often is a case made until it is within its limit; the best counts
	only    string   // case of a test that has several; empty: all
	figures []figure
	run     func(context.Context, *bench, test, subject) (row, error) // nil: the load, against floor and gateway
}

// figure is one number that a test yields.
type figure struct {
	name  string
	unit  string
	of    func(row) float64
	limit limit
}

// limit is an alarm: the most a figure may be. The zero limit is none.
type limit struct {
	most  float64
	ratio bool // of the gateway's minimum to the floor's; otherwise the gateway's median counts, in the figure's unit
	added bool // the figure is a difference, and may be less than nothing
}

// suite is every test there is, in the order in which they run.
func suite() []test {
	return []test{
		{
			name: "max", model: "mock", load: flags(64, 2*time.Second, 5*time.Second),
			figures: []figure{
				{"max", "CPU µs/request", cpuPerRequest, limit{most: 1.5, ratio: true}},
				{"max.rate", "requests/s", func(r row) float64 { return r.Load.PerSecond }, limit{}},
			},
		},
		{
			name: "billed", model: "mock", billed: true, load: flags(64, 2*time.Second, 5*time.Second),
			figures: []figure{{"billed", "CPU µs/request", cpuPerRequest, limit{most: 1.6, ratio: true}}},
		},
		fleetTest(),
		{
			name: "hit", model: "mock", cached: true, load: flags(64, 2*time.Second, 5*time.Second),
			figures: []figure{{"hit", "CPU µs/request", cpuPerRequest, limit{most: 0.8, ratio: true}}},
		},
		ordinary(test{name: "r500"}),
		ordinary(test{name: "fleet500", billed: true, fleet: true}),
		{
			name: "stream", model: "mock-n64-i40-d20",
			load: append(flags(200, 3*time.Second, 6*time.Second), "-stream", "-ramp", "2500ms"),
			figures: []figure{
				{"stream", "CPU µs/chunk", func(r row) float64 { return r.Load.Streams.CPUPerChunk }, limit{most: 1.1, ratio: true}},
				{"stream.p50", "chunk delay µs", func(r row) float64 { return r.Load.Streams.ChunkDelay.P50 }, limit{}},
				{"stream.p99", "chunk delay µs", func(r row) float64 { return r.Load.Streams.ChunkDelay.P99 }, limit{}},
			},
		},
		{
			name: "translate", model: "mock", speaks: "anthropic", load: flags(64, 2*time.Second, 5*time.Second),
			figures: []figure{{"translate", "CPU µs/request", cpuPerRequest, limit{most: 2.5, ratio: true}}},
		},
		{
			name: "translate-stream", model: "mock-n64-i40-d20", speaks: "anthropic",
			load: append(flags(200, 3*time.Second, 6*time.Second), "-stream", "-ramp", "2500ms"),
			figures: []figure{
				{"translate-stream", "CPU µs/chunk", func(r row) float64 { return r.Load.Streams.CPUPerChunk }, limit{most: 1.6, ratio: true}},
			},
		},
		{
			name: "mem1000", model: "mock-n3600-i1000", streams: 1000,
			load:    append(flags(1000, 3*time.Second, 4*time.Second), "-stream", "-ramp", "2s"),
			figures: []figure{{"mem1000", "KiB/stream", memoryPerStream, limit{}}},
		},
		{
			name: "mem5000", model: "mock-n3600-i1000", streams: 5000,
			load:    append(flags(5000, 7*time.Second, 5*time.Second), "-stream", "-ramp", "5s"),
			figures: []figure{{"mem5000", "KiB/stream", memoryPerStream, limit{most: 24}}},
		},
		{name: "idle", figures: []figure{{"idle", "MiB RSS", func(r row) float64 { return float64(r.Idle) / (1 << 20) }, limit{most: 25}}}},
		{name: "start", figures: []figure{{"start", "ms", func(r row) float64 { return r.Start }, limit{most: 100}}}},
		{name: "leave", clients: 200, run: leave, figures: leaveFigures()},
		{
			name: "reset", model: "mock", load: append(flags(128, 500*time.Millisecond, 2*time.Second), "-rate", "500"),
			run: reset, figures: resetFigures(),
		},
		{
			name: "outage", model: "mock-d5", load: append(flags(512, time.Second, 5*time.Second), "-rate", "500"),
			tries: 3, run: outage, figures: outageFigures(),
		},
		{
			name: "hedge", model: "mock-d20-n4", load: append(flags(256, 5*time.Second, 20*time.Second), "-stream", "-rate", "100"),
			tries: 3, run: hedge, figures: hedgeFigures(),
		},
		{
			name: "balance", model: "mock", load: append(flags(256, time.Second, 6*time.Second), "-rate", "200"),
			tries: 3, run: balance, figures: balanceFigures(),
		},
		socketTest(),
		{
			name: "collapse", model: "mock", load: append(flags(4096, 5*time.Second, time.Minute), "-refusals"),
			run: collapse, figures: collapseFigures(),
		},
	}
}

// ordinary is a test at a load that is far from what the machine can do.
func ordinary(t test) test {
	t.model, t.load = "mock-d20", append(flags(512, 1500*time.Millisecond, 5*time.Second), "-rate", "500")
	t.figures = []figure{
		{t.name, "CPU µs/request", cpuPerRequest, limit{}},
		{t.name + ".p50", "added µs", func(r row) float64 { return r.Load.LatencyLess.P50 }, limit{}},
		{t.name + ".p99", "added µs", func(r row) float64 { return r.Load.LatencyLess.P99 }, limit{}},
	}
	return t
}

func flags(conns int, warm, window time.Duration) []string {
	return []string{"-c", strconv.Itoa(conns), "-warm", warm.String(), "-d", window.String()}
}

func cpuPerRequest(r row) float64 { return r.Load.CPUPerRequest }

// memoryPerStream is how much the process has grown since it was idle, for each stream that is alive.
func memoryPerStream(r row) float64 {
	return float64(r.Load.RSS-r.Idle) / 1024 / float64(max(r.Load.Streams.Alive, 1))
}

// choose picks tests by their names, in the order of the suite.
func choose(all []test, names string) ([]test, error) {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(names, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	var chosen []test
	var known []string
	for _, t := range all {
		known = append(known, t.name)
		if wanted[t.name] {
			chosen = append(chosen, t)
			delete(wanted, t.name)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("no test %q; there are %s", name, strings.Join(known, ", "))
	}
	return chosen, nil
}
