package main

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
)

// TestTargetsP95 shows that of whole answers where nothing streams.
func TestTargetsP95(t *testing.T) {
	f := func(s health.Snapshot, want string) {
		t.Helper()
		s.Provider, s.Since = "p", time.Now()
		var b strings.Builder
		if err := writeTargets(&b, []health.Snapshot{s}, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, row, _ := strings.Cut(b.String(), "\n"); strings.Fields(row)[8] != want {
			t.Errorf("%s, want %s", row, want)
		}
	}
	f(health.Snapshot{}, "-")
	f(health.Snapshot{P95MS: 120, WholeP95MS: 2000}, "120ms")
	f(health.Snapshot{WholeP95MS: 2000}, "2000ms")
}
