package main

import (
	"context"
	"runtime"
	"time"
)

// headStart is the time that connections get to be dialled before the first request is due.
const headStart = 100 * time.Millisecond

// pace says when requests are due, at a fixed rate whatever the replies do, until the end of the window. A stall of the
// gateway is charged to every request that it holds up, because each counts from the instant it was due.
func pace(ctx context.Context, rate float64, t *tally, due chan<- time.Time) {
	defer close(due)
	runtime.LockOSThread() // sleep blocks the thread
	defer runtime.UnlockOSThread()
	start := time.Now().Add(headStart)
	step := float64(time.Second) / rate
	for i := 0; ctx.Err() == nil; i++ {
		at := start.Add(time.Duration(float64(i) * step))
		if at.After(t.to) {
			return
		}
		sleepUntil(at)
		t.sendLag.add(max(time.Since(at), 0))
		select {
		case due <- at:
		default:
			t.fault("all connections are busy and the backlog is full")
		}
	}
}
