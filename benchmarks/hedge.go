package main

import (
	"context"
	"fmt"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
)

const (
	hedgeRatio = 1.3 // that the p99 of the first token may be of its p95
	hedgeExtra = 6.0 // requests more than callers make, in percent
	// The mock takes 20 ms; of 100 requests 5 take 20 times as long.
	bimodal = "latency 380ms 5%"
)

func hedgeFigures() []figure {
	return []figure{
		{"hedge.off.p50", "first token, ms", value("off.p50"), limit{}},
		{"hedge.off.p95", "ms", value("off.p95"), limit{}},
		{"hedge.off.p99", "ms", value("off.p99"), limit{}},
		{"hedge.p50", "first token, ms", value("on.p50"), limit{}},
		{"hedge.p95", "ms", value("on.p95"), limit{}},
		{"hedge.p99", "ms", value("on.p99"), limit{}},
		{"hedge.ratio", "p99 / p95", value("ratio"), limit{most: hedgeRatio}},
		{"hedge.extra", "% requests", value("extra"), limit{most: hedgeExtra, added: true}},
	}
}

// hedge asks two upstreams of which each is slow now and then, without second attempts and with.
func hedge(ctx context.Context, b *bench, t test, s subject) (r row, err error) {
	r.Values, r.Loads = map[string]float64{}, map[string]*report.Load{}
	for _, how := range []struct{ name, model string }{{"off", ""}, {"on", "hedge: {after: p95, budget: 6%}"}} {
		a, err := b.arena(ctx, s, site{strategy: "weighted", model: how.model}, bimodal, bimodal)
		if err != nil {
			return r, err
		}
		load, err := a.load(ctx, t, nothing)
		upstream := len(a.fronts[0].Requests()) + len(a.fronts[1].Requests()) - 1 // without the first reply
		a.close()
		if err != nil {
			return r, err
		}
		if load.Errors > 0 {
			r.Failed = append(r.Failed, fmt.Sprintf("%s: %d errors: %v", how.name, load.Errors, load.ErrorKinds))
		}
		first := load.Streams.FirstEvent
		r.Loads[how.name] = load
		r.Values[how.name+".p50"], r.Values[how.name+".p95"], r.Values[how.name+".p99"] = first.P50/1000, first.P95/1000, first.P99/1000
		r.Values["ratio"] = first.P99 / first.P95
		r.Values["extra"] = 100 * (float64(upstream)/float64(load.Asked) - 1)
		fmt.Fprintf(b.progress, "hedge    %-4s first token p50 %.1f  p90 %.1f  p95 %.1f  p99 %.1f  max %.1f ms  %.2f %% more requests\n",
			how.name, first.P50/1000, first.P90/1000, first.P95/1000, first.P99/1000, first.Max/1000, r.Values["extra"])
	}
	return r, nil
}
