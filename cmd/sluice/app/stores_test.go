package app

import (
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
)

func TestStoreThatCannotBeOpened(t *testing.T) {
	// f opens a ledger whose store cannot be.
	f := func(address, want string) {
		t.Helper()
		c := &config.Config{Chain: []string{"ledger"}}
		c.Stores.SetDefaults()
		c.Stores.WAL.Dir, c.Stores.Ledger = t.TempDir(), address
		if _, err := openStores(c, zap.NewNop()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	f("sqlite:"+t.TempDir(), "stores.ledger: ") // a folder
	f("postgres://user@localhost:none/books", "stores.ledger: ")
}
