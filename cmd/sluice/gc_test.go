package main

import "testing"

func TestGCPercent(t *testing.T) {
	check := func(live, scanned uint64, want int) {
		t.Helper()
		if got := gcPercent(live<<20, scanned<<20); got != want {
			t.Errorf("%d MB live, %d MB scanned: %d, want %d", live, scanned, got, want)
		}
	}
	check(0, 0, 2000)
	check(4, 5, 320)
	check(4, 4, 400)
	check(10, 15, 100)
	check(20, 20, 100)
	check(100, 150, 100)
}
