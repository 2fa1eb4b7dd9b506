package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// mapped is how much of files is in the process's memory, in KiB.
func mapped(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "RssFile:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSettle(t *testing.T) {
	before := mapped(t)
	settle()
	if after := mapped(t); after >= before {
		t.Errorf("%d KiB of files are mapped, and %d were before", after, before)
	}
}
