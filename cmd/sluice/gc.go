package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastHeap is the heap below which collecting garbage is not worth it. While nothing streams the live heap is a few
// megabytes, so Go's default would collect twenty times a second under full load, and each cycle wakes every core:
// about a twelfth of all CPU time.
const leastHeap = 20 << 20

// tuneGC keeps the collector away from small heaps; with many live streams the heap is larger and Go's default holds.
// Whoever sets GOGC decides himself.
func tuneGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	percent := 100
	sizes := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	var collected func(*[16]byte)
	collected = func(sentinel *[16]byte) {
		metrics.Read(sizes)
		live := sizes[0].Value.Uint64()
		want := gcPercent(live, live+sizes[1].Value.Uint64()+sizes[2].Value.Uint64())
		if want < percent*9/10 || want > percent*11/10 { // setting it stops the world for a moment
			percent = want
			debug.SetGCPercent(want)
		}
		runtime.SetFinalizer(sentinel, collected) // runs after each cycle
	}
	runtime.SetFinalizer(new([16]byte), collected)
}

// gcPercent is the GOGC with which a heap of live bytes grows to leastHeap, and never less than Go's default. It is a
// percentage of what is scanned: heap, stacks and globals.
func gcPercent(live, scanned uint64) int {
	if live >= leastHeap {
		return 100
	}
	return int(max(100, (leastHeap-live)*100/max(scanned, 1<<20))) //nolint:gosec // at most 2000
}

// settle gives back to the system what only the start has needed: garbage, and the half of the program that two hundred packages
// touch when they begin, and never again.
func settle() {
	debug.FreeOSMemory()
	unmap()
}
