package tenant_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/tenant"
)

func TestKeyName(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := tenant.KeyName(name); got != want {
			t.Errorf("%s counts as %s", name, got)
		}
	}
	f("", "")
	f("ci", "ci")
	f(tenant.Replaced("ci", time.Date(2026, 11, 23, 17, 0, 0, 5e6, time.FixedZone("", 3600))), "ci")
	f("ci~20261123T160000", "ci")
	f("a~b~20261123T160000.000", "a~b")
	f("ci~", "ci~") // names that operators chose
	f("ci~2026", "ci~2026")
	f("~20261123T160000", "~20261123T160000")
	if got := tenant.Replaced("ci", time.Date(2026, 11, 23, 17, 0, 0, 5e6, time.FixedZone("", 3600))); got != "ci~20261123T160000.005" {
		t.Error(got)
	}
}
