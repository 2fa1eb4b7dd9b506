package gateway_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway"
)

func TestHeldID(t *testing.T) {
	f := func(id, provider, want string) {
		t.Helper()
		got := gateway.HeldID(id, provider)
		if got != want {
			t.Errorf("%q at %q: %q, want %q", id, provider, got, want)
		}
		if id == "" {
			return
		}
		if own, p := gateway.SplitID(got); own != id || p != provider {
			t.Errorf("%q is split into %q and %q", got, own, p)
		}
	}
	f("file-abc", "openai", "file-abc~openai")
	f("batch_1", "azure-eu", "batch_1~azure-eu")
	f("a~b", "p", "a~b~p")
	f("", "openai", "")

	if own, p := gateway.SplitID("file-abc"); own != "file-abc" || p != "" {
		t.Errorf("an id without provider is split into %q and %q", own, p)
	}
}
