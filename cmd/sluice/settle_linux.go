package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unmap takes the program's own code and constants out of the process's memory. They stay in the system's cache, which gives them
// back when they are needed, or forgets them if it needs the room: what is mapped it would hold on to. If anything is not as
// expected, nothing is done.
func unmap() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }() // it was only read
	var from, to uint64
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && !strings.HasSuffix(fields[0], ":"): // 00400000-01772000 r-xp 00000000 08:01 42 /bin/sluice
			from, to = 0, 0
			if len(fields) == 6 && fields[5] == self && (fields[1] == "r-xp" || fields[1] == "r--p") {
				from, to = bounds(fields[0])
			}
		case len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" && from < to: // nobody has written there
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED)
		}
	}
}

// bounds reads two addresses; both are zero if they are none.
func bounds(s string) (from, to uint64) {
	a, b, _ := strings.Cut(s, "-")
	from, err1 := strconv.ParseUint(a, 16, 64)
	to, err2 := strconv.ParseUint(b, 16, 64)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return from, to
}
