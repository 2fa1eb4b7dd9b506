package main

import "testing"

func TestGCPercent(t *testing.T) {
	check := func(live uint64, want int) {
		t.Helper()
		if got := gcPercent(live); got != want {
			t.Errorf("%d MB live: %d, want %d", live>>20, got, want)
		}
	}
	check(0, 3900)
	check(5<<20, 700)
	check(10<<20, 300)
	check(20<<20, 100)
	check(100<<20, 100)
}
