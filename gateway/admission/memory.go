package admission

import (
	"io/fs"
	"math"
	"path"
	"runtime/metrics"
	"strconv"
	"strings"
)

// processMemory reads what the process uses and may use; container is the limit of its control group, 0 for none.
func processMemory(container uint64) func() (used, limit uint64) {
	samples := []metrics.Sample{
		{Name: "/gc/gomemlimit:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	return func() (used, limit uint64) {
		metrics.Read(samples)
		at := func(i int) uint64 { return samples[i].Value.Uint64() }
		soft, total, released, free, unused, objects, live := at(0), at(1), at(2), at(3), at(4), at(5), at(6)
		used = total - released
		if soft == math.MaxInt64 || container > 0 && container < soft {
			return used, container
		}
		// The heap grows up to the limit before it is collected, however little of it is alive.
		used -= min(used, free+unused+objects-min(objects, live))
		return used, soft
	}
}

// ContainerMemory is the memory limit in bytes of the process's control group and those around it, as Linux shows it in the
// file system (cgroup v2 memory.max, v1 memory.limit_in_bytes); 0 if there is none.
func ContainerMemory(root fs.FS) uint64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	limit := uint64(0)
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path; v2 is the hierarchy 0 without controllers.
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, ok := strings.Cut(rest, ":")
		base, file := "sys/fs/cgroup", "memory.max"
		switch {
		case !ok:
			continue
		case controllers == "memory":
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case controllers != "":
			continue
		}
		// A container may see the path that its group has outside: what is not there has no say.
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			if n := readLimit(root, path.Join(base, group, file)); n > 0 && (limit == 0 || n < limit) {
				limit = n
			}
			if group == "/" {
				break
			}
		}
	}
	return limit
}

// readLimit reads a file with a number of bytes; 0 for "max", for v1's word for it (a number near 2^63) and for anything
// else.
func readLimit(root fs.FS, name string) uint64 {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil || n >= 1<<60 {
		return 0
	}
	return n
}
