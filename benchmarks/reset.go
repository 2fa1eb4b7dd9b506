package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
)

const (
	resetMost  = 15.0 // ms that resets may add to the p99
	resetTries = 4    // as often is the load made until they do not add more, and at least twice; the best of each counts
)

// What the first of two upstreams does, in the order in which it is tested.
const (
	noReset        = "none"    // there is no such upstream
	resetOnAccept  = "accept"  // it resets each connection at once
	resetOnRequest = "request" // it resets it when it has read the request
)

// resetFigures are what the first upstream's resets add to the latency of the same load without it.
func resetFigures() []figure {
	added := func(how string, of func(report.Distribution) float64) func(row) float64 {
		return func(r row) float64 {
			with, without := r.Resets[how], r.Resets[noReset]
			if with == nil || without == nil {
				return math.NaN()
			}
			return (of(with.LatencyLess) - of(without.LatencyLess)) / 1000
		}
	}
	p50 := func(d report.Distribution) float64 { return d.P50 }
	p99 := func(d report.Distribution) float64 { return d.P99 }
	const unit = "added ms"
	return []figure{
		{"reset.accept.p50", unit, added(resetOnAccept, p50), limit{}},
		{"reset.accept.p99", unit, added(resetOnAccept, p99), limit{most: resetMost, added: true}},
		{"reset.request.p50", unit, added(resetOnRequest, p50), limit{}},
		{"reset.request.p99", unit, added(resetOnRequest, p99), limit{most: resetMost, added: true}},
	}
}

// reset makes the load against a mock that a broken upstream stands in front of.
func reset(ctx context.Context, b *bench, t test, s subject) (r row, err error) {
	r.Resets = map[string]*report.Load{}
	for try := range resetTries {
		for _, how := range [...]string{noReset, resetOnAccept, resetOnRequest} {
			load, err := b.resetOnce(ctx, t, s, how)
			if err != nil {
				return r, err
			}
			if load.Errors > 0 {
				r.Failed = append(r.Failed, fmt.Sprintf("resets %s: %d errors: %v", how, load.Errors, load.ErrorKinds))
			}
			fmt.Fprintf(b.progress, "reset    %-8s p50 %.2f ms  p99 %.2f ms  %d requests\n", how, load.LatencyLess.P50/1000, load.LatencyLess.P99/1000, load.Requests)
			if best := r.Resets[how]; best == nil || load.LatencyLess.P99 < best.LatencyLess.P99 {
				r.Resets[how] = load
			}
		}
		if over := func(f figure) bool { return f.limit.added && f.of(r) > f.limit.most }; try > 0 && !slices.ContainsFunc(t.figures, over) {
			break
		}
	}
	return r, nil
}

func (b *bench) resetOnce(ctx context.Context, t test, s subject, how string) (*report.Load, error) {
	mock, mockAddr, err := b.startMock(ctx)
	if err != nil {
		return nil, err
	}
	defer mock.stop()
	upstreams := []string{mockAddr}
	if how != noReset {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		stop := resetAll(l, how)
		defer stop()
		upstreams = []string{l.Addr().String(), mockAddr}
	}
	tested, g, _, err := b.startSubject(ctx, s, site{upstreams: upstreams})
	if err != nil {
		return nil, err
	}
	defer tested.stop()
	return b.load(ctx, t, g.listen, tested.pid())
}

// resetAll resets every connection that l accepts.
func resetAll(l net.Listener, how string) (stop func()) {
	var work sync.WaitGroup
	abort := func(c net.Conn) {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if how == resetOnAccept {
				abort(c)
				continue
			}
			work.Go(func() {
				if request, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.Copy(io.Discard, request.Body)
				}
				abort(c)
			})
		}
	})
	return func() {
		_ = l.Close()
		work.Wait()
	}
}
