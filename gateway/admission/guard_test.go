package admission_test

import (
	"runtime"
	"runtime/debug"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/admission"
)

func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used, limit uint64 = 0, 1000
		reads := 0
		g := admission.NewGuard(func() (uint64, uint64) { reads++; return used, limit })
		f := func(use uint64, low, normal, high bool) {
			t.Helper()
			used = use
			<-time.After(100 * time.Millisecond)
			got := [...]bool{g.Allow(admission.Low), g.Allow(admission.Normal), g.Allow(admission.High), g.Allow(admission.Critical)}
			if want := [...]bool{low, normal, high, true}; got != want {
				t.Errorf("with %d of %d in use: %v, want %v", use, limit, got, want)
			}
		}
		f(0, true, true, true)
		f(849, true, true, true)
		f(850, false, true, true)
		f(821, false, true, true) // not yet
		f(819, true, true, true)
		f(919, false, true, true)
		f(920, false, false, true)
		f(891, false, false, true)
		f(889, false, true, true)
		f(960, false, false, false)
		f(2000, false, false, false)
		f(931, false, false, false)
		f(929, false, false, true)
		f(100, true, true, true)
		f(970, false, false, false)
		if s := g.Snapshot(); s.Used != 970 || s.Limit != 1000 || s.Refused != [4]uint64{11, 7, 4, 0} || s.Refusing != [4]bool{true, true, true, false} {
			t.Errorf("%+v", s)
		}
		limit = 0
		f(5000, true, true, true)

		reads = 0
		for range 1000 {
			g.Allow(admission.Normal)
		}
		<-time.After(99 * time.Millisecond)
		g.Allow(admission.Normal)
		if reads != 0 {
			t.Errorf("looked %d times within 100 ms", reads)
		}
		<-time.After(time.Millisecond)
		g.Allow(admission.Normal)
		if reads != 1 {
			t.Errorf("looked %d times after 100 ms", reads)
		}
	})
}

// TestGuardOfProcess: under a soft limit it is what is alive that counts. Garbage fills the heap up to the limit, all the
// more without GOGC, and is collected in time.
func TestGuardOfProcess(t *testing.T) {
	const mb = 1 << 20
	runtime.GC()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(128 * mb))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))

	for range 64 {
		garbage = make([]byte, 8*mb)
	}
	garbage = nil
	g := admission.NewGuard(nil)
	if s := g.Snapshot(); s.Limit != 128*mb || s.Used == 0 || !g.Allow(admission.Low) {
		t.Errorf("with garbage only: %+v", s)
	}

	func() {
		var alive [][]byte
		for range 14 {
			alive = append(alive, make([]byte, 8*mb))
		}
		runtime.GC()
		g := admission.NewGuard(nil)
		if s := g.Snapshot(); s.Used < 112*mb || g.Allow(admission.Low) || !g.Allow(admission.Critical) {
			t.Errorf("with %d MB alive: %+v", len(alive)*8, s)
		}
		runtime.KeepAlive(alive)
	}()

	runtime.GC()
	g = admission.NewGuard(nil)
	if s := g.Snapshot(); !g.Allow(admission.Low) {
		t.Errorf("with nothing alive: %+v", s)
	}
}

var garbage []byte

func TestContainerMemory(t *testing.T) {
	f := func(name string, want uint64, files ...string) {
		t.Helper()
		root := fstest.MapFS{}
		for i := 0; i < len(files); i += 2 {
			root[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		if got := admission.ContainerMemory(root); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	f("no Linux", 0)
	f("v2 without a limit", 0, "proc/self/cgroup", "0::/user.slice\n", "sys/fs/cgroup/user.slice/memory.max", "max\n")
	f("v2 in a container", 512<<20, "proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "536870912\n")
	f("v2, the path outside", 512<<20, "proc/self/cgroup", "0::/kubepods/pod1/abc\n", "sys/fs/cgroup/memory.max", "536870912\n")
	f("v2, the least of all above", 300, "proc/self/cgroup", "0::/a/b/c\n",
		"sys/fs/cgroup/a/b/c/memory.max", "400\n", "sys/fs/cgroup/a/b/memory.max", "max\n", "sys/fs/cgroup/a/memory.max", "300\n")
	f("v2, out of the group", 0, "proc/self/cgroup", "0::/../../x\n", "sys/fs/memory.max", "1\n")
	f("v1", 1<<30, "proc/self/cgroup", "12:cpu,cpuacct:/docker/a\n5:memory:/docker/a\n0::/\n",
		"sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes", "1073741824\n", "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
	f("v1 without a limit", 0, "proc/self/cgroup", "5:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
	f("nonsense", 0, "proc/self/cgroup", "\n:::\nx\n0::\n", "sys/fs/cgroup/memory.max", "-1\n")
}
