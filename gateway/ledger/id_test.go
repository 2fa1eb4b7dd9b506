package ledger_test

import (
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
)

func TestID(t *testing.T) {
	at := time.Date(2026, 11, 23, 16, 0, 0, 123e6, time.UTC)
	seen := map[ledger.ID]bool{}
	for range 10_000 {
		id := ledger.NewID(at)
		if seen[id] || id.IsZero() {
			t.Fatal("an id comes twice")
		}
		seen[id] = true
		again, err := ledger.ParseID(id.String())
		if err != nil || again != id || !id.Time().Equal(at) || id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Fatalf("%s: %v, %s", id, err, id.Time())
		}
	}
	if a, b := ledger.NewID(at), ledger.NewID(at.Add(time.Millisecond)); string(a[:]) >= string(b[:]) {
		t.Error("ids do not sort by time")
	}
	for _, s := range []string{"", "chg_", "chg_0", "01890a5d-ac96-774b-bcce-b302099a8057", "chg_zz890a5dac96774bbcceb302099a8057", "chg_01890a5dac96774bbcceb302099a805700"} {
		if id, err := ledger.ParseID(s); err == nil || !id.IsZero() {
			t.Errorf("%q is taken for %s", s, id)
		}
	}
}
