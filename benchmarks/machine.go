package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine describes where and of what the figures were taken. What cannot be read is empty.
type machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	OS       string `json:"os"`
	Kernel   string `json:"kernel"`
	Governor string `json:"governor,omitempty"`
	Load     string `json:"load_average"` // before the first round: what else the machine was doing
	Go       string `json:"go"`
	Commit   string `json:"commit"`
	Changed  bool   `json:"changed,omitempty"` // the checkout differed from the commit
}

func describeMachine(ctx context.Context) machine {
	return machine{
		CPU:      cpuModel(),
		Cores:    runtime.NumCPU(),
		OS:       runtime.GOOS + "/" + runtime.GOARCH,
		Kernel:   firstLine("/proc/sys/kernel/osrelease"),
		Governor: firstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Load:     firstLine("/proc/loadavg"),
		Go:       runtime.Version(),
		Commit:   git(ctx, "rev-parse", "HEAD"),
		Changed:  git(ctx, "status", "--porcelain", "--untracked-files=no") != "",
	}
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	lines := bufio.NewScanner(bytes.NewReader(info))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

func git(ctx context.Context, args ...string) string {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
