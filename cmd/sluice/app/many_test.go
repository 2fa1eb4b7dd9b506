//go:build linux && !race

package app

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// spentBy is what a function takes: the CPU of the process, allocations, and what it leaves on the heap.
func spentBy(do func()) (cpu time.Duration, allocations uint64, kept int64) {
	used := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // of itself: it does not fail
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu = -used()
	do()
	cpu += used()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return cpu, after.Mallocs - before.Mallocs, int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// Ten thousand tenants with limits and budgets start within two seconds of a quiet machine, and one file's change costs no more
// than a look at the others. A machine is seldom quiet, so what is bounded is CPU, allocations and memory.
func TestTenThousandTenants(t *testing.T) {
	const tenants = 10_000
	_, up := simulate(t, fast())
	dir := t.TempDir()
	key := func(i int) string { return fmt.Sprintf("sk-test-key-of-%d", i) }
	write := func(i, requests int) {
		t.Helper()
		text := tenantFile(fmt.Sprintf("t%d", i), key(i), fmt.Sprintf("limits: {requests_per_minute: %d, tokens_per_minute: 400000, each_key: {concurrent: 5}}\n"+
			"budgets: [{usd: 250, per: month, mode: strict, warn_at: [50%%, 80%%]}, {usd: 5, per: day, of: each_key}]\n", requests))
		path, past := filepath.Join(dir, fmt.Sprintf("t%d.yaml", i)), time.Now().Add(-time.Hour)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, past, past); err != nil { // what was written just now is read twice
			t.Fatal(err)
		}
	}
	for i := range tenants {
		write(i, 600)
	}
	var s *site
	cpu, allocations, kept := spentBy(func() {
		s = start(t, gatewayFile("ordered", up)+"catalog: [{provider: p0, model: \"*\", prices: [{input: 1, output: 4}]}]\ntenants: {dir: "+dir+"}\n")
	})
	defer s.stop()
	t.Logf("start: %v of CPU, %d allocations, %d kB", cpu, allocations, kept>>10)
	if cpu > 6*time.Second || kept > 100<<20 {
		t.Errorf("the start took %v of CPU, and %d kB are kept", cpu, kept>>10)
	}

	write(7, 1)
	cpu, again, more := spentBy(s.reload)
	t.Logf("reload: %v of CPU, %d allocations, %d kB", cpu, again, more>>10)
	if again > allocations/8 || more > 16<<20 {
		t.Errorf("a changed file took %d allocations, the start %d; %d kB more are kept", again, allocations, more>>10)
	}

	c := client(t)
	body := `{"model":"sim-fast","max_tokens":20,"messages":[{"role":"user","content":"hello"}]}`
	for _, i := range []int{0, tenants / 2, tenants - 1} {
		for range 2 {
			if a := s.askAs(c, key(i), body); a.status != http.StatusOK {
				t.Errorf("t%d: %d %s", i, a.status, a.body)
			}
		}
	}
	if a := s.askAs(c, key(7), body); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.askAs(c, key(7), body); a.status != http.StatusTooManyRequests {
		t.Errorf("the changed limit does not hold: %d %s", a.status, a.body)
	}
}
