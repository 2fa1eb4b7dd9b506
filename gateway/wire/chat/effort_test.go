package chat_test

import (
	"math"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestEffortOf(t *testing.T) {
	f := func(budget int64, want string) {
		t.Helper()
		if got := chat.EffortOf(budget); got != want {
			t.Errorf("%d: got %s, want %s", budget, got, want)
		}
	}
	f(0, "low")
	f(1024, "low")
	f(2048, "low")
	f(2049, "medium")
	f(4096, "medium")
	f(16383, "medium")
	f(16384, "high")
	f(31999, "high")
	for _, effort := range []string{"low", "medium", "high"} {
		f(chat.BudgetOf(effort, math.MaxInt64), effort)
	}
}

func TestBudgetOf(t *testing.T) {
	f := func(effort string, limit, want int64) {
		t.Helper()
		if got := chat.BudgetOf(effort, limit); got != want {
			t.Errorf("%s of %d: got %d, want %d", effort, limit, got, want)
		}
	}
	f("none", 8192, 0)
	f("minimal", 8192, 1024)
	f("low", 8192, 1024)
	f("medium", 8192, 6144)
	f("medium", 64000, 8192)
	f("", 64000, 8192)
	f("high", 64000, 24576)
	f("xhigh", 64000, 32768)
	f("max", 64000, 48000)
	f("max", 128000, 65536)
	f("high", 0, 0)
}

func TestTargetEffort(t *testing.T) {
	f := func(efforts, wanted, want string, exact bool) {
		t.Helper()
		target := chat.Target{Efforts: strings.Fields(efforts)}
		if got, same := target.Effort(wanted); got != want || same != exact {
			t.Errorf("%s of %s: got %q, %v", wanted, efforts, got, same)
		}
	}
	f("", "xhigh", "xhigh", true)
	f("low medium high", "", "", true)
	f("low medium high", "medium", "medium", true)
	f("low medium high", "max", "high", false)
	f("low medium high", "minimal", "low", false)
	f("low medium high", "none", "low", false)
	f("low high", "medium", "low", false)
	f("none high", "max", "high", false)
	f("low medium high", "a new one", "a new one", true)

	mute := chat.Target{NoReasoning: true}
	for wanted, exact := range map[string]bool{"": true, "none": true, "low": false} {
		if got, same := mute.Effort(wanted); got != "" || same != exact {
			t.Errorf("%q of none: got %q, %v", wanted, got, same)
		}
	}
}
