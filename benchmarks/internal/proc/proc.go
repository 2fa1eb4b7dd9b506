// Package proc reads what a process has cost, from Linux' /proc.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of /proc/PID/stat: USER_HZ is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// CPU is the time that the process has spent on processors, in user mode and in the kernel, all threads together. It
// does not include children. The kernel counts in steps of 10 ms.
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(path(pid, "stat"))
	if err != nil {
		return 0, fmt.Errorf("proc: %w", err)
	}
	return parseStat(stat)
}

// RSS is the memory of the process that is in RAM, in bytes. It reads smaps_rollup, which counts pages; the figure in
// stat is kept per thread and may be off by a few hundred KiB (proc_pid_status(5)).
func RSS(pid int) (int64, error) {
	rollup, err := os.ReadFile(path(pid, "smaps_rollup"))
	if err != nil {
		return 0, fmt.Errorf("proc: %w", err)
	}
	return parseRollup(rollup)
}

func path(pid int, file string) string { return "/proc/" + strconv.Itoa(pid) + "/" + file }

// parseStat sums fields 14 (utime) and 15 (stime) of proc_pid_stat(5). The second field is the command's name in
// parentheses and may contain anything, so fields are counted from its end.
func parseStat(stat []byte) (time.Duration, error) {
	const first, utime, stime = 3, 14, 15 // first: of the fields behind the name
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= stime-first {
		return 0, fmt.Errorf("proc: stat has %d fields behind the name", len(fields))
	}
	var ticks int64
	for _, field := range fields[utime-first : stime-first+1] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("proc: stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

func parseRollup(rollup []byte) (int64, error) {
	for line := range bytes.Lines(rollup) {
		value, ok := bytes.CutPrefix(line, []byte("Rss:"))
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(value), []byte("kB")))), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("proc: smaps_rollup: %w", err)
		}
		return kib << 10, nil
	}
	return 0, errors.New("proc: smaps_rollup has no Rss")
}
