package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
	"github.com/sluice-ai/sluice/gateway/health"
)

const (
	outageTimeout  = 500 * time.Millisecond // of the gateway, for whatever an upstream does not do
	outageMost     = 15.0                   // ms that failing over may cost where the fault shows at once
	outageSlack    = 20.0                   // ms that it may cost above the timeout where it does not
	outageLead     = 1500 * time.Millisecond
	outageLasts    = 2 * time.Second
	outageSettings = "timeouts: {connect: 500ms, headers: 500ms, first_event: 500ms, idle: 500ms, answer: 500ms}"
)

// disaster is what happens to one of two upstreams.
type disaster struct {
	name, fault string  // as schedules say it
	most        float64 // ms that failing over may cost
}

// late is the cost where a fault shows only after a timeout.
const late = float64(outageTimeout/time.Millisecond) + outageSlack

var outages = [...]disaster{
	{"kill", "refuse", outageMost},
	{"reset", "reset", outageMost},
	{"500", "500", outageMost},
	{"429", "429 retry 1s", outageMost},
	{"blackhole", "blackhole", late},
	{"drip", "drip 50", late},
}

// outageFigures are what it costs to fail over, how soon the gateway leaves the upstream alone, and how soon it comes back.
func outageFigures() []figure {
	var figures []figure
	for _, o := range outages {
		name := "outage." + o.name
		figures = append(figures,
			figure{name + ".p99", "cost, ms", value(name + ".p99"), limit{most: o.most, added: true}},
			figure{name + ".detected", "ms", value(name + ".detected"), limit{}},
			figure{name + ".recovered", "ms", value(name + ".recovered"), limit{}},
		)
	}
	return figures
}

// outage lets one of two upstreams fail under load, in every way. Every request must be answered.
func outage(ctx context.Context, b *bench, t test, s subject) (r row, err error) {
	r.Values, r.Loads = map[string]float64{}, map[string]*report.Load{}
	for _, o := range outages {
		if t.only != "" && t.only != o.name {
			continue
		}
		for try := range t.tries {
			cost, err := b.outageTry(ctx, t, s, o, &r)
			if err != nil {
				return r, fmt.Errorf("%s: %w", o.name, err)
			}
			if try > 0 && cost <= o.most { // the first alone may have been lucky
				break
			}
		}
	}
	return r, nil
}

// outageTry makes one outage and enters it in the row, if it is the best so far. It gives the p99 of the cost, in ms.
func (b *bench) outageTry(ctx context.Context, t test, s subject, o disaster, r *row) (cost float64, err error) {
	load, detected, recovered, err := b.outageOnce(ctx, t, s, o.fault)
	if err != nil {
		return 0, err
	}
	usual, again := load.LatencyLess.P50, load.Again
	cost = (again.P99 - usual) / 1000
	fmt.Fprintf(b.progress, "outage   %-9s %d asked, %d failed over: p50 %.2f p99 %.2f ms  left alone after %.0f ms  used again after %.0f ms  errors %v\n",
		o.name, load.Asked, again.Count, (again.P50-usual)/1000, cost, ms(detected), ms(recovered), load.ErrorKinds)
	if load.Errors > 0 {
		r.Failed = append(r.Failed, fmt.Sprintf("%s: %d of %d requests failed: %v", o.name, load.Errors, load.Asked, load.ErrorKinds))
	}
	for what, missing := range map[string]bool{
		"nothing failed over": again.Count == 0, "the upstream was never left alone": detected < 0, "the upstream was never used again": recovered < 0,
	} {
		if missing {
			r.Failed = append(r.Failed, o.name+": "+what)
		}
	}
	name := "outage." + o.name
	if best, known := r.Values[name+".p99"]; !known || cost < best {
		r.Values[name+".p99"], r.Values[name+".detected"], r.Values[name+".recovered"] = cost, ms(detected), ms(recovered)
		r.Loads[o.name] = load
	}
	return cost, nil
}

// outageOnce is one outage: how long it takes until the target is left alone, and after its end until it is used again; less
// than 0 if that did not come.
func (b *bench) outageOnce(ctx context.Context, t test, s subject, fault string) (load *report.Load, detected, recovered time.Duration, err error) {
	a, err := b.arena(ctx, s, site{strategy: "weighted", provider: outageSettings}, "ok", "ok")
	if err != nil {
		return nil, 0, 0, err
	}
	defer a.close()
	var began, ended time.Time
	load, err = a.load(ctx, t, func(ctx context.Context) error {
		if err := sleep(ctx, outageLead); err != nil {
			return err
		}
		began = time.Now()
		if err := a.fronts[0].set(fault); err != nil {
			return err
		}
		if err := sleep(ctx, outageLasts); err != nil {
			return err
		}
		ended = time.Now()
		return a.fronts[0].set("ok")
	})
	if err != nil {
		return nil, 0, 0, err
	}
	events, err := a.events(ctx)
	if err != nil {
		return nil, 0, 0, err
	}
	detected, recovered = -1, -1
	for _, e := range events {
		if e.Provider == "mock0" && e.At.After(began) && (e.To == health.Open || !e.Until.IsZero()) {
			detected = e.At.Sub(began)
			break
		}
	}
	for _, seen := range a.fronts[0].Requests() {
		if seen.At.After(ended) && seen.Status == 200 {
			recovered = seen.At.Sub(ended)
			break
		}
	}
	return load, detected, recovered, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
