package main

import (
	"syscall"
	"time"
)

// sleepUntil sleeps on the thread it runs on. nanosleep is late by some 60 µs, Go's timers by up to 1 ms.
func sleepUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) { // the scheduler's signals end a sleep early
		ts := syscall.NsecToTimespec(int64(d))
		_ = syscall.Nanosleep(&ts, nil)
	}
}
