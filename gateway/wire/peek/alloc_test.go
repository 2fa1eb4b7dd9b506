//go:build !race

package peek_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

func TestAllocs(t *testing.T) {
	f := func(name string, want float64, run func() bool) {
		t.Helper()
		ok := true
		if got := testing.AllocsPerRun(100, func() { ok = run() && ok }); got != want || !ok {
			t.Errorf("%s: %v allocations, want %v; right: %v", name, got, want, ok)
		}
	}
	scan := func(body []byte) func() bool {
		return func() bool { _, err := peek.Scan(body); return err == nil }
	}
	small, large := talk(2<<10), talk(200<<10)
	f("Scan of 2 KB", 1, scan(small))
	f("Scan of 200 KB", 1, scan(large))
	f("Scan of schemas", 1, scan(schemas(20<<10)))
	f("Scan of escaped keys", 1, scan([]byte(`{"model":"gpt-4.1","x":{"\u00e9":1,"a \"key\" of more than eight":2}}`)))
	f("Scan of an escaped name", 1, scan([]byte(`{"model":"Qwen\/Qwen3-8B"}`)))
	f("Valid", 0, func() bool { return peek.Valid(large) == nil })

	reply, usage := completion(2<<10), []byte(`"usage"`)
	f("Find, Each, Int", 0, func() bool {
		var n int64
		return peek.Each(peek.Find(reply, usage), func(key, val []byte) bool {
			if string(key) == "total_tokens" {
				n, _ = peek.Int(val)
			}
			return true
		}) && n == 33
	})
	list := []byte(`[1,{"a":"b"},"c"]`)
	f("Elements", 0, func() bool { return peek.Elements(list, func([]byte) bool { return true }) })
	text := []byte(`"a \"string\" with escapes"`)
	f("String", 1, func() bool { s, ok := peek.String(text); return ok && len(s) == 23 })

	fields, err := peek.Scan(small)
	if err != nil {
		t.Fatal(err)
	}
	fields.IncludeUsage = false
	var room [2]peek.Edit
	dst := make([]byte, 0, len(small)+100)
	f("Edits and Append", 0, func() bool {
		e := fields.Edits(room[:0], "azure-gpt-4.1-eu", true)
		return len(e) == 2 && len(peek.Append(dst, small, e)) == peek.Size(small, e)
	})
}
