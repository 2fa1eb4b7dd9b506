package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastHeap is the heap below which collecting garbage is not worth it. The gateway's live heap is about 5 MB while
// nothing streams, so Go's default would collect twenty times a second under full load, and each cycle wakes every
// core: about a tenth of all CPU time.
const leastHeap = 40 << 20

// tuneGC keeps the collector away from small heaps; with many live streams the heap is larger and Go's default holds.
// Whoever sets GOGC decides himself.
func tuneGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	var collected func(*[16]byte)
	percent := 100
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	collected = func(sentinel *[16]byte) {
		metrics.Read(live)
		want := gcPercent(live[0].Value.Uint64())
		if want < percent*9/10 || want > percent*11/10 { // setting it stops the world for a moment
			percent = want
			debug.SetGCPercent(want)
		}
		runtime.SetFinalizer(sentinel, collected) // runs after each cycle
	}
	runtime.SetFinalizer(new([16]byte), collected)
}

// gcPercent is the GOGC with which a heap of live bytes grows to leastHeap, and never less than Go's default.
func gcPercent(live uint64) int {
	growth := float64(leastHeap)/float64(max(live, 1<<20)) - 1
	return int(max(growth, 1) * 100)
}
