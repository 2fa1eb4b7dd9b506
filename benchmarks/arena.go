package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/sim"
)

// arena is a gateway whose upstreams fail as a script says. They are fault proxies in the runner, in front of one mock, so
// that one clock measures what happens, and their logs say who was asked when.
type arena struct {
	b      *bench
	site   site
	fronts []*front
	tested *process
	mock   *process
}

// front is a fault proxy.
type front struct {
	*sim.FaultListener
	stop func()
}

// set lets a schedule begin.
func (f *front) set(schedule string) error {
	s, err := sim.ParseSchedule(schedule)
	if err != nil {
		return fmt.Errorf("%q: %w", schedule, err)
	}
	f.Set(s)
	return nil
}

// arena starts a gateway with an upstream for each schedule. What the site says of upstreams is filled in.
func (b *bench) arena(ctx context.Context, s subject, g site, schedules ...string) (a *arena, err error) {
	a = &arena{b: b}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	var address string
	if a.mock, address, err = b.startMock(ctx); err != nil {
		return a, err
	}
	for i := range schedules {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return a, err
		}
		f := &front{FaultListener: sim.NewFaultListener(l, sim.Schedule{}, int64(i))}
		f.Record = true
		f.stop = sim.Relay(f, address)
		a.fronts = append(a.fronts, f)
		g.upstreams = append(g.upstreams, l.Addr().String())
	}
	if a.tested, a.site, _, err = b.startSubject(ctx, s, g); err != nil {
		return a, err
	}
	for i, schedule := range schedules {
		if err := a.fronts[i].set(schedule); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (a *arena) close() {
	if a.tested != nil {
		a.tested.stop()
	}
	for _, f := range a.fronts {
		f.stop()
	}
	if a.mock != nil {
		a.mock.stop()
	}
}

// load makes the load of a test while act does something to the upstreams: until it is done, or the load has ended.
func (a *arena) load(ctx context.Context, t test, act func(ctx context.Context) error) (*report.Load, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	acting := make(chan struct{})
	go func() {
		defer close(acting)
		if err := act(ctx); err != nil {
			stop(err)
		}
	}()
	load, err := a.b.load(ctx, t, a.site.listen, a.tested.pid())
	if cause := context.Cause(ctx); cause != nil {
		err = cause // why the generator was ended
	}
	stop(nil)
	<-acting
	return load, err
}

// nothing is done to the upstreams.
func nothing(context.Context) error { return nil }

// asked is how many requests each upstream got between two moments.
func (a *arena) asked(from, to time.Time) []int {
	n := make([]int, len(a.fronts))
	for i, f := range a.fronts {
		for _, r := range f.Requests() {
			if r.At.After(from) && r.At.Before(to) {
				n[i]++
			}
		}
	}
	return n
}

// events are what the gateway tells its operators of its targets.
func (a *arena) events(ctx context.Context) ([]health.Event, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.site.admin+"/admin/v1/events", nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var list admin.Events
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("/admin/v1/events: %w", err)
	}
	return list.Events, nil
}

// sleep lets time pass unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// value is a figure that a test has put into its row.
func value(name string) func(row) float64 {
	return func(r row) float64 {
		if v, ok := r.Values[name]; ok {
			return v
		}
		return math.NaN()
	}
}
