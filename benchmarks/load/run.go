package main

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/benchmarks/internal/proc"
	"github.com/sluice-ai/sluice/benchmarks/internal/report"
)

// lastReplies is how long the generator waits, after the window, for replies that are still under way.
const lastReplies = 5 * time.Second

// backlog is how many requests of an open loop may wait for a free connection.
const backlog = 1 << 17

// options are what one run is.
type options struct {
	addr    string // host:port
	request []byte
	stream  bool
	refuse  bool // statuses 429, 503 and 529 are counted, and no errors
	conns   int
	rate    float64       // requests per second; 0: closed loop
	warm    time.Duration // before the window
	window  time.Duration
	ramp    time.Duration // closed loop: the connections start within this time
	timeout time.Duration
	pid     int // of the process under test; 0: none
}

// reading is what has happened and what it has cost up to one instant.
type reading struct {
	at               time.Time
	requests, chunks int64
	alive            int64
	tested, own      time.Duration // CPU time of the process under test and of the generator
}

// run makes the load and measures it. It returns an error if the processes' figures cannot be read or ctx ends; what the
// gateway does wrong is in the report.
func run(ctx context.Context, o options) (report.Load, error) {
	from := time.Now().Add(o.warm)
	t := newTally(from, from.Add(o.window))
	d := newDialer(o.addr)
	working, stop := context.WithCancel(ctx)
	defer stop()
	finished := start(working, o, d, t)
	before, after, err := measure(ctx, o, t)
	if err == nil && !o.stream { // streams may be endless
		select {
		case <-finished:
		case <-time.After(lastReplies):
			t.fault("no reply within " + lastReplies.String() + " after the end")
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	var rss int64
	if err == nil && o.pid != 0 {
		rss, err = proc.RSS(o.pid)
	}
	t.stopped.Store(true)
	stop()
	d.close()
	<-finished
	if err != nil {
		return report.Load{}, err
	}
	r := render(o, t, before, after)
	r.RSS = rss
	return r, nil
}

// measure waits for the two ends of the window and reads the counters there.
func measure(ctx context.Context, o options, t *tally) (before, after reading, err error) {
	if err = wait(ctx, t.from); err != nil {
		return
	}
	if before, err = read(o, t); err != nil {
		return
	}
	if err = wait(ctx, t.to); err != nil {
		return
	}
	after, err = read(o, t)
	return
}

func wait(ctx context.Context, until time.Time) error {
	select {
	case <-time.After(time.Until(until)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func read(o options, t *tally) (r reading, err error) {
	if o.pid != 0 {
		if r.tested, err = proc.CPU(o.pid); err != nil {
			return r, err
		}
	}
	r.at, r.requests, r.chunks, r.alive = time.Now(), t.requests.Load(), t.chunks.Load(), t.alive.Load()
	r.own, err = proc.CPU(os.Getpid())
	return r, err
}

// start opens the connections and sets them to work. The channel is closed when all have finished.
func start(ctx context.Context, o options, d *dialer, t *tally) <-chan struct{} {
	var work sync.WaitGroup
	due := make(chan time.Time, backlog)
	for i := range o.conns {
		c := &client{dialer: d, request: o.request, stream: o.stream, refuse: o.refuse, timeout: o.timeout, tally: t}
		work.Go(func() {
			if o.rate > 0 {
				c.serve(ctx, due)
			} else {
				c.repeat(ctx, time.Duration(float64(o.ramp)*float64(i)/float64(o.conns)))
			}
		})
	}
	if o.rate > 0 {
		work.Go(func() { pace(ctx, o.rate, t, due) })
	}
	finished := make(chan struct{})
	go func() {
		work.Wait()
		close(finished)
	}()
	return finished
}

// repeat is a closed loop: the next request is due when the last reply is complete.
func (c *client) repeat(ctx context.Context, delay time.Duration) {
	defer c.drop()
	if wait(ctx, time.Now().Add(delay)) != nil {
		return
	}
	for now := time.Now(); now.Before(c.tally.to) && ctx.Err() == nil; now = time.Now() {
		c.ask(now)
	}
}

// serve takes requests of an open loop. It connects at once, so that a later request does not pay for it.
func (c *client) serve(ctx context.Context, due <-chan time.Time) {
	defer c.drop()
	if err := c.connect(); err != nil {
		c.tally.fault("dial: " + reason(err))
	}
	for at := range due {
		if ctx.Err() == nil {
			c.ask(at)
		}
	}
}

func render(o options, t *tally, before, after reading) report.Load {
	seconds := after.at.Sub(before.at).Seconds()
	requests := after.requests - before.requests
	cpu := after.tested - before.tested
	r := report.Load{
		Asked:          t.asked.Load(),
		Seconds:        seconds,
		Requests:       requests,
		PerSecond:      float64(requests) / seconds,
		CPUSeconds:     cpu.Seconds(),
		CPUPerRequest:  each(cpu, requests),
		LoadCPUSeconds: (after.own - before.own).Seconds(),
		Latency:        t.latency.distribution(),
		LatencyLess:    t.latencyLess.distribution(),
		Again:          t.again.distribution(),
		Refused:        t.refused.Load(),
		SendLag:        t.sendLag.distribution(),
	}
	r.Errors, r.ErrorKinds = t.faults()
	if o.stream {
		chunks := after.chunks - before.chunks
		r.Streams = &report.Streams{
			Alive:          after.alive,
			Chunks:         chunks,
			CPUPerChunk:    each(cpu, chunks),
			FirstEvent:     t.firstEvent.distribution(),
			FirstEventLess: t.firstEventLess.distribution(),
			ChunkDelay:     t.chunkDelay.distribution(),
			ChunkGap:       t.chunkGap.distribution(),
		}
	}
	return r
}

// each is total divided by n, in µs; 0 of nothing.
func each(total time.Duration, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(total) / float64(n) / float64(time.Microsecond)
}
