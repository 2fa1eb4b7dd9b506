package ledger_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
)

func TestLine(t *testing.T) {
	f := func(r ledger.Row, want string) {
		t.Helper()
		got, err := json.Marshal(r.Line())
		if err != nil || string(got) != want {
			t.Errorf("%v\n got %s\nwant %s", err, got, want)
		}
	}
	r := done(row())
	r.ID, _ = ledger.ParseID("chg_01890a5dac96774bbcceb302099a8057")
	r.At, r.Node, r.Of = time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC), "n1", r.ID
	r.Saved = 1e12
	f(r, `{"id":"chg_01890a5dac96774bbcceb302099a8057","kind":"attempt","at":"2026-11-23T16:00:00Z","node":"n1","tenant":"acme","key":"ci","user":"u-17",`+
		`"request":"req_01J9ZQ4YB7Q2V6K3","endpoint":"chat.completions","dialect":"openai","asked":"gpt-4.1","model":"gpt-4.1","provider":"openai",`+
		`"account":"main","target":"gpt-4.1-2025-04-14","upstream":"req_abcdef0123456789","of":"chg_01890a5dac96774bbcceb302099a8057",`+
		`"attempt":1,"flags":["stream","delivered"],"outcome":"complete","status":200,"waited_ms":0.003,"first_ms":400,"total_ms":3000,`+
		`"input_tokens":1200,"cache_read_tokens":800,"output_tokens":350,"provenance":"reported","price":"7","cost_usd":"0.000000004",`+
		`"reserved_usd":"0.000000005","charge_usd":"0.000000004","saved_usd":"1.00"}`)
	f(ledger.Row{Tenant: "a", Cost: catalog.Cost{Why: catalog.NoUsage}}, `{"id":"chg_00000000000000000000000000000000","kind":"attempt","at":"0001-01-01T00:00:00Z",`+
		`"node":"","tenant":"a","request":"","endpoint":"","outcome":"unknown","waited_ms":0,"input_tokens":0,"output_tokens":0,"provenance":"unknown",`+
		`"reserved_usd":"0.00","charge_usd":"0.00"}`)
}
