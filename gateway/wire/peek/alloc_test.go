//go:build !race

package peek_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

func TestAllocs(t *testing.T) {
	f := func(name string, want float64, run func()) {
		t.Helper()
		if got := testing.AllocsPerRun(100, run); got != want {
			t.Errorf("%s: %v allocations, want %v", name, got, want)
		}
	}
	scan := func(body []byte) func() {
		return func() {
			if _, err := peek.Scan(body); err != nil {
				t.Error(err)
			}
		}
	}
	small, large := talk(2<<10), talk(200<<10)
	f("Scan of 2 KB", 1, scan(small))
	f("Scan of 200 KB", 1, scan(large))
	f("Scan of schemas", 1, scan(schemas(20<<10)))
	f("Scan of escaped keys", 1, scan([]byte(`{"model":"gpt-4.1","x":{"\u00e9":1,"a \"key\" of more than eight":2}}`)))
	f("Scan of an escaped name", 1, scan([]byte(`{"model":"Qwen\/Qwen3-8B"}`)))

	f("Valid", 0, func() {
		if err := peek.Valid(large); err != nil {
			t.Error(err)
		}
	})
	reply, usage := completion(2<<10), []byte(`"usage"`)
	f("Find, Each, Int", 0, func() {
		var n int64
		ok := peek.Each(peek.Find(reply, usage), func(key, val []byte) bool {
			if string(key) == "total_tokens" {
				n, _ = peek.Int(val)
			}
			return true
		})
		if !ok || n != 33 {
			t.Error("usage not read")
		}
	})
	list := []byte(`[1,{"a":"b"},"c"]`)
	f("Elements", 0, func() {
		if !peek.Elements(list, func([]byte) bool { return true }) {
			t.Error("malformed")
		}
	})
	f("String", 1, func() {
		if s, ok := peek.String([]byte(`"a \"string\" with escapes"`)); !ok || len(s) != 23 {
			t.Error(s)
		}
	})

	fields, err := peek.Scan(small)
	if err != nil {
		t.Fatal(err)
	}
	fields.IncludeUsage = false
	var room [2]peek.Edit
	dst := make([]byte, 0, len(small)+100)
	f("Edits and Append", 0, func() {
		e := fields.Edits(room[:0], "azure-gpt-4.1-eu", true)
		if len(e) != 2 || len(peek.Append(dst, small, e)) != peek.Size(small, e) {
			t.Error(e)
		}
	})
}
