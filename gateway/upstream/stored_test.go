package upstream_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// A tenant that stores much drives out its own answers, not those of the others.
func TestStoredIsFair(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	store := upstream.NewStored(256<<10, patience)
	p := compatible(t, f, store)
	ask := func(tenant, input string) string {
		t.Helper()
		x := at(t, "responses.create", fmt.Sprintf(`{"model":"m","input":%q}`, input), "", "")
		x.Caller.Tenant = &gateway.Tenant{ID: tenant}
		r := attempt(t, p, x, "m")
		if r.err != nil {
			t.Fatal(r.err)
		}
		return strings.Trim(field(t, r.events[0], "id"), `"`)
	}
	held := func(tenant, id string) bool {
		_, kept := store.Holder(tenant, id)
		return kept
	}
	small := ask("small", "hi")
	var large []string
	for range 40 {
		large = append(large, ask("large", strings.Repeat("much ", 2000)))
	}
	if !held("small", small) || held("large", large[0]) || !held("large", large[39]) {
		t.Errorf("held: of small %t, the first of large %t, its last %t", held("small", small), held("large", large[0]), held("large", large[39]))
	}
	if id := ask("large", strings.Repeat("too much ", 10_000)); held("large", id) {
		t.Error("an answer larger than an eighth of all is held")
	}
}
