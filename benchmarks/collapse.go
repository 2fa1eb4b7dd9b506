package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
)

// The upstream of test collapse: 100 answers a second at best.
const (
	scarcePlaces   = 10
	scarceService  = 100 * time.Millisecond
	scarceRefusal  = 10 * time.Millisecond // of work that it costs to say no
	collapseLost   = 10.0                  // percent of the capacity that may be lost
	collapseSlow   = 3000.0                // ms that an answer may take
	collapseUnfair = 20.0                  // percent that the smaller tenant may get less than half of the capacity
	// How many requests a second two tenants make: each more than its half of the capacity, together ten times as many.
	collapseLarge, collapseSmall = 900, 100
	// The connections of the smaller tenant. With as many as the larger one has, each would be used every 41 s: the gateway closes
	// those on which no request has come for 30 s.
	collapseConns  = 512
	collapseDirect = 3 * time.Second // without a gateway
)

// scarce is an upstream that can give so many answers at once, each of which takes a time. Whoever comes when all places
// are taken is refused with 529, and that is work, too, which delays the answers: who asks ten times as much as it can do,
// and does not hold back, gets next to nothing.
type scarce struct {
	places            chan struct{}
	debt              atomic.Int64 // ns of work that nobody has done yet
	answered, refused atomic.Int64
}

// ServeHTTP answers a chat completion, or refuses it.
func (s *scarce) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	select {
	case s.places <- struct{}{}:
	default:
		s.refused.Add(1)
		s.owe()
		w.WriteHeader(529)
		_, _ = io.WriteString(w, `{"error":{"message":"Overloaded","type":"overloaded_error","param":null,"code":null}}`)
		return
	}
	for work := scarceService; work > 0 && r.Context().Err() == nil; work = s.pay() {
		select {
		case <-time.After(work):
		case <-r.Context().Done():
		}
	}
	<-s.places // before the client knows: it may send the next request at once
	s.answered.Add(1)
	_, _ = fmt.Fprintf(w, `{"id":"x","object":"chat.completion","created":1700000000,"model":"mock","choices":[{"index":0,"message":`+
		`{"role":"assistant","content":"t%019d ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":7,"total_tokens":26}}`, time.Since(began))
}

// owe adds the work of a refusal. Who has not been refused after a second has given up.
func (s *scarce) owe() {
	if s.debt.Add(int64(scarceRefusal)) > int64(time.Second) {
		s.debt.Add(-int64(scarceRefusal))
	}
}

// pay takes over some of the work that is owed.
func (s *scarce) pay() time.Duration {
	for {
		owed := s.debt.Load()
		if work := min(owed, int64(scarceService)); s.debt.CompareAndSwap(owed, owed-work) {
			return time.Duration(work)
		}
	}
}

// start serves it on the loopback interface.
func (s *scarce) start() (address string, stop func(), err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	var work sync.WaitGroup
	work.Go(func() { _ = server.Serve(l) })
	return l.Addr().String(), func() {
		_ = server.Close()
		work.Wait()
	}, nil
}

func collapseFigures() []figure {
	return []figure{
		{"collapse.direct", "answers/s without a gateway", value("direct"), limit{}},
		{"collapse.rate", "answers/s", value("rate"), limit{}},
		{"collapse.lost", "% of the capacity", value("lost"), limit{most: collapseLost, added: true}},
		{"collapse.p50", "ms", value("p50"), limit{}},
		{"collapse.p99", "ms", value("p99"), limit{most: collapseSlow}},
		{"collapse.unfair", "% less than its half", value("unfair"), limit{most: collapseUnfair, added: true}},
	}
}

// collapse makes ten times the load that an upstream can take, for two tenants of which one asks nine times as much as the
// other. Without a gateway next to nothing comes through.
func collapse(ctx context.Context, b *bench, t test, s subject) (r row, err error) {
	up := &scarce{places: make(chan struct{}, scarcePlaces)}
	address, stop, err := up.start()
	if err != nil {
		return r, err
	}
	defer stop()
	direct, err := b.generate(ctx, t, address, 0, "-rate", strconv.Itoa(collapseLarge+collapseSmall), "-d", collapseDirect.String())
	if err != nil {
		return r, err
	}
	key, err := writeTenant(filepath.Join(b.dir, "tenants"), "small")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.Remove(filepath.Join(b.dir, "tenants", "small.yaml"))) }()
	tested, g, _, err := b.startSubject(ctx, s, site{upstreams: []string{address}, provider: "concurrency: {latency: true, wait: 2s}"})
	if err != nil {
		return r, err
	}
	defer tested.stop()
	answered, refused := up.answered.Load(), up.refused.Load()
	var large, small *report.Load
	var largeErr, smallErr error
	var work sync.WaitGroup
	work.Go(func() {
		large, largeErr = b.generate(ctx, t, g.listen, tested.pid(), append(as(b.key), "-rate", strconv.Itoa(collapseLarge))...)
	})
	work.Go(func() {
		small, smallErr = b.generate(ctx, t, g.listen, tested.pid(), append(as(key), "-rate", strconv.Itoa(collapseSmall), "-c", strconv.Itoa(collapseConns))...)
	})
	work.Wait()
	if err := errors.Join(largeErr, smallErr); err != nil {
		return r, err
	}
	capacity := scarcePlaces / scarceService.Seconds()
	rate := large.PerSecond + small.PerSecond
	r.Loads = map[string]*report.Load{"direct": direct, "large": large, "small": small}
	r.Values = map[string]float64{
		"direct": direct.PerSecond, "rate": rate, "lost": 100 * (1 - rate/capacity), "unfair": 100 * (1 - small.PerSecond/(capacity/2)),
		"p50": max(large.Latency.P50, small.Latency.P50) / 1000, "p99": max(large.Latency.P99, small.Latency.P99) / 1000,
	}
	for name, load := range r.Loads {
		if load.Errors > 0 {
			r.Failed = append(r.Failed, fmt.Sprintf("%s: %d errors: %v", name, load.Errors, load.ErrorKinds))
		}
	}
	fmt.Fprintf(b.progress, "collapse %.1f answers/s without a gateway, %.1f with: %.1f for the larger tenant (p99 %.0f ms), %.1f for the smaller (p99 %.0f ms); the upstream gave %d answers and refused %d\n",
		direct.PerSecond, rate, large.PerSecond, large.Latency.P99/1000, small.PerSecond, small.Latency.P99/1000, up.answered.Load()-answered, up.refused.Load()-refused)
	return r, nil
}
