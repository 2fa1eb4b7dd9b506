package upstream_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// Callers get embeddings in the encoding that they ask for, whatever the provider makes of encoding_format.
func TestVectors(t *testing.T) {
	const floats, packed = `[0.5,-1,1e-07]`, `"AAAAPwAAgL+V v9Yz"`
	const nan = `"AADAfw=="`
	reply := func(list ...string) string {
		return `{"object":"list","data":[{"object":"embedding","embedding":` + strings.Join(list, `},{"object":"embedding","embedding" : `) + `}],"model":"embedding"}`
	}
	check := func(format, said, want string) {
		t.Helper()
		f := newFake(t, nil, say(whole("200 OK", said)))
		r := pull(pass(t, "embeddings", "", &body{[]byte(`{"model":"m","input":"a"` + format + `}`)}, "", ""),
			&gateway.Target{Provider: "fake", Model: "m", Via: openai(t, f, func(*upstream.Config) {}).WithKey("k")})
		if r.err != nil || !slices.Equal(r.events, []string{want}) {
			t.Errorf("%s: %v %q, want %s", format, r.err, r.events, want)
		}
	}
	base64 := strings.ReplaceAll(packed, " ", "")
	const asked = `,"encoding_format":"base64"`
	check(asked, reply(floats, "[]", base64), reply(base64, `""`, base64))
	check(asked, reply(base64, floats), reply(base64, floats)) // the first tells what the others are
	check("", reply(base64, base64), reply(floats, floats))
	check(`,"encoding_format":"float"`, reply(base64), reply(floats))
	check(`,"encoding_format":null`, reply(floats), reply(floats))
	// What is no embedding of this kind stays.
	check("", reply(packed), reply(packed))
	check("", reply(`"AAAA"`), reply(`"AAAA"`))
	check("", reply(nan), reply(nan))
	check(asked, reply(`[1,"x"]`), reply(`[1,"x"]`))
	check(asked, reply(`[1e99]`), reply(`[1e99]`))
	check(asked+`,"output_dtype":"int8"`, reply(`[1,2]`), reply(`[1,2]`))
	check(`,"encoding_format":"ubinary"`, reply(base64), reply(base64))
	check(asked, `{"object":"list","data":[],"model":"embedding"}`, `{"object":"list","data":[],"model":"embedding"}`)
}

// What becomes too large for the gateway is refused, like a reply that is.
func TestVectorsTooLarge(t *testing.T) {
	const said = `{"data":[{"embedding":"zczMPc3MzD3NzMw9zczMPQ=="}]}`
	f := newFake(t, nil, say(whole("200 OK", said)))
	p := openai(t, f, func(c *upstream.Config) { c.MaxBody = len(said) })
	target := &gateway.Target{Provider: "fake", Model: "m", Via: p.WithKey("k")}
	ask := func(format string) result {
		return pull(pass(t, "embeddings", "", &body{[]byte(`{"model":"m","input":"a","encoding_format":"` + format + `"}`)}, "", ""), target)
	}
	if r := ask("base64"); r.err != nil {
		t.Error(r.err)
	}
	if r := ask("float"); r.err != nil { // 0.1, four times: as many bytes as before
		t.Error(r.err)
	}
	long := openai(t, newFake(t, nil, say(whole("200 OK", strings.ReplaceAll(said, "zczMPc3MzD3NzMw9zczMPQ==", strings.Repeat("q6qqPquqqj6rqqo+", 8))))), func(c *upstream.Config) { c.MaxBody = 200 })
	target = &gateway.Target{Provider: "fake", Model: "m", Via: long.WithKey("k")}
	if r := ask("float"); codeOf(r.err) != gateway.CodeBadResponse {
		t.Errorf("%v %q", r.err, r.events)
	}
}

// Merged requests are converted, too.
func TestVectorsMerged(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", `{"data":[{"index":1,"embedding":[1]},{"index":0,"embedding":[0.5]}]}`)))
	const ask = `{"model":"m","encoding_format":"base64","input":`
	for i, r := range together(t, merging(t, f, patience, 2), ask+`"a"}`, ask+`"b"}`) {
		var said struct {
			Data []struct{ Embedding string }
		}
		if r.err != nil || json.Unmarshal([]byte(r.events[0]), &said) != nil || len(said.Data) != 1 || len(said.Data[0].Embedding) != 8 {
			t.Errorf("%d: %v %q", i, r.err, r.events)
		}
	}
}
