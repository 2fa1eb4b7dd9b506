package proc_test

import (
	"os"
	"testing"

	"github.com/sluice-ai/sluice/benchmarks/internal/proc"
)

func TestOwnProcess(t *testing.T) {
	// A busy loop ends only when the kernel has counted it: without counting, the test would run into its time limit.
	start, err := proc.CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for {
		now, err := proc.CPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now > start {
			break
		}
	}
	if rss, err := proc.RSS(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("RSS of a Go process: %d, %v", rss, err)
	}
}

func TestNoProcess(t *testing.T) {
	if _, err := proc.CPU(-1); err == nil {
		t.Error("CPU of no process: no error")
	}
	if _, err := proc.RSS(-1); err == nil {
		t.Error("RSS of no process: no error")
	}
}
