package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
)

func TestHeldID(t *testing.T) {
	f := func(id, holder, want string) {
		t.Helper()
		got := gateway.HeldID(id, holder)
		if got != want {
			t.Errorf("%q at %q: %q, want %q", id, holder, got, want)
		}
		if id == "" {
			return
		}
		if own, p := gateway.SplitID(got); own != id || p != holder {
			t.Errorf("%q is split into %q and %q", got, own, p)
		}
	}
	f("file-abc", "openai", "file-abc~openai")
	f("batch_1", "azure-eu", "batch_1~azure-eu")
	f("batch_1", gateway.Holder("azure", "eu"), "batch_1~azure.4d028294")
	f("a~b", "p", "a~b~p")
	f("", "openai", "")

	if own, p := gateway.SplitID("file-abc"); own != "file-abc" || p != "" {
		t.Errorf("an id without provider is split into %q and %q", own, p)
	}
}

func TestHolder(t *testing.T) {
	a, b := gateway.Holder("openai", "main"), gateway.Holder("openai", "spare")
	if a == b || a != gateway.Holder("openai", "main") {
		t.Errorf("two keys are called %q and %q", a, b)
	}
	f := func(holder, want string) {
		t.Helper()
		if got := gateway.HolderProvider(holder); got != want {
			t.Errorf("%q belongs to %q, want %q", holder, got, want)
		}
	}
	f(a, "openai")
	f(gateway.Holder("a.b", ""), "a.b")
	f("openai", "openai")
	f("openai.eu", "openai.eu")
	f("openai.ABCDEF01", "openai.ABCDEF01")
	f(".abcdef01", ".abcdef01")
	f("", "")
}

func TestResponseID(t *testing.T) {
	id := gateway.ResponseID("req_0123456789abcdef01234567")
	if !gateway.IsResponseID(id) || !strings.HasPrefix(id, "resp_0123456789abcdef01234567") || len(id) != 37 {
		t.Errorf("%q", id)
	}
	for _, other := range []string{
		"", "resp_", "resp_12345678", "resp_67ccd3a9da748190baa7f1570fe91ac604becb25c45c1d4e", "resp_0123456789abcdef01234567",
		strings.Replace(id, "0123", "0124", 1), id + "0", id[1:],
	} {
		if gateway.IsResponseID(other) {
			t.Errorf("%q is taken for an id of the gateway's", other)
		}
	}
}

// refer opens a request with a body, and says what is left of it.
func refer(t testing.TB, body string) (rest string, refs []gateway.Reference) {
	t.Helper()
	x := gatewaytest.New(t, gatewaytest.Request{Body: body})
	if err := x.Request.Open(); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if at := x.Request.Fields(); string(x.Request.Body()[at.ModelAt:at.ModelEnd]) != `"m"` {
		t.Errorf("the model is looked for at %d of %s", at.ModelAt, x.Request.Body())
	}
	return string(x.Request.Body()), x.Request.References()
}

func TestReferences(t *testing.T) {
	f := func(body, want string, refs ...string) {
		t.Helper()
		rest, found := refer(t, body)
		var got []string
		for _, r := range found {
			got = append(got, r.Param+" "+r.ID+" "+r.Holder)
		}
		if rest != want || fmt.Sprint(got) != fmt.Sprint(refs) {
			t.Errorf("%s:\n got %s, %q\nwant %s, %q", body, rest, got, want, refs)
		}
	}
	same := func(body string) {
		t.Helper()
		f(body, body)
	}
	// Chat completions, Responses, Messages, batches.
	f(`{"messages":[{"role":"user","content":[{"type":"text","text":"~"},{"type":"file","file":{"file_id":"file-1~p"}}]}],"model":"m"}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"~"},{"type":"file","file":{"file_id":"file-1"}}]}],"model":"m"}`,
		"messages[0].content[1].file.file_id file-1~p p")
	f(`{"model":"m","previous_response_id" : "resp_1~p.0a1b2c3d", "input":[{"content":[{"file_id":"a~q"},{"type":"input_image","file_id":"b~q"}]}]}`,
		`{"model":"m","previous_response_id" : "resp_1", "input":[{"content":[{"file_id":"a"},{"type":"input_image","file_id":"b"}]}]}`,
		"previous_response_id resp_1~p.0a1b2c3d p.0a1b2c3d", "input[0].content[0].file_id a~q q")
	f(`{"model":"m","messages":[{"content":[{"type":"tool_result","content":[{"type":"document","source":{"type":"file","file_id":"file_1~p"}}]}]}]}`,
		`{"model":"m","messages":[{"content":[{"type":"tool_result","content":[{"type":"document","source":{"type":"file","file_id":"file_1"}}]}]}]}`,
		"messages[0].content[0].content[0].source.file_id file_1~p p")
	f(`{"model":"m","input_file_id":"a~b~p"}`, `{"model":"m","input_file_id":"a~b"}`, "input_file_id a~b~p p")
	f(`{"model":"m","conversation":"conv_1~p"}`, `{"model":"m","conversation":"conv_1"}`, "conversation conv_1~p p")
	f(`{"model":"m","conversation":{"x":[],"id":"conv_1~p"}}`, `{"model":"m","conversation":{"x":[],"id":"conv_1"}}`, "conversation.id conv_1~p p")
	f(`{"tools":[{"container":{"file_ids":["a","b~p"]}}],"model":"m"}`, `{"tools":[{"container":{"file_ids":["a","b"]}}],"model":"m"}`,
		"tools[0].container.file_ids[1] b~p p")

	// What is no id of a dialect's stays as it is.
	same(`{"model":"m","messages":[{"content":"file-1~p"},{"content":"{\"file_id\":\"file-1~p\"}"}]}`)
	same(`{"model":"m","metadata":{"file_id":"file-1~p","x":{"file_id":"file-1~p"}}}`)
	same(`{"model":"m","messages":[{"content":[{"type":"tool_use","input":{"file_id":"file-1~p"}}]}]}`)
	same(`{"model":"m","input":[{"type":"x","arguments":{"file_id":"file-1~p"}}]}`)
	same(`{"model":"m","tools":[{"input_schema":{"enum":["file-1~p"],"default":{"file_id":"file-1~p"}}}]}`)
	same(`{"model":"m","a":{"previous_response_id":"a~p","conversation":"a~p","input_file_id":"a~p","id":"a~p"},"id":"a~p"}`)
	same(`{"model":"m","file_id":"~p","x":{"file_id":"file-1~"},"y":{"file_id":"file 1~p"},"z":{"file_id":"a~\u0070"},"w":{"file_id":"file\\~p"}}`)
	same(`{"model":"m","file_id":1,"x":{"file_id":null},"y":{"file_id":["a~p"]},"z":"a~p"}`)
	// Behind what is left alone things are found again.
	f(`{"metadata":{"a":{"b":[{}]},"file_id":"c~p"},"model":"m","x":[{"input":[{"file_id":"a~p"}],"file_id":"b~p"}],"\"":"\\","file_id":"d~p"}`,
		`{"metadata":{"a":{"b":[{}]},"file_id":"c~p"},"model":"m","x":[{"input":[{"file_id":"a~p"}],"file_id":"b"}],"\"":"\\","file_id":"d"}`,
		"x[0].file_id b~p p")
	// As many holders as nobody has.
	var many, few strings.Builder
	for i := range 20 {
		fmt.Fprintf(&many, `,{"file_id":"a~p%d"}`, i)
		few.WriteString(`,{"file_id":"a"}`)
	}
	if rest, refs := refer(t, `{"model":"m","x":[0`+many.String()+`]}`); rest != `{"model":"m","x":[0`+few.String()+`]}` || len(refs) != 8 {
		t.Errorf("%s, %d holders", rest, len(refs))
	}
}

// What no provider gets is nobody's to change.
func TestNoReferences(t *testing.T) {
	const body = `{"model":"m","file_id":"a~p"}`
	e := gatewaytest.Chat()
	e.Forward = ""
	x := gatewaytest.New(t, gatewaytest.Request{Endpoint: e, Body: body})
	if err := x.Request.Open(); err != nil || string(x.Request.Body()) != body || x.Request.References() != nil {
		t.Errorf("%v, %s", err, x.Request.Body())
	}
}

// FuzzReferences compares the one pass with a walk over the decoded body.
func FuzzReferences(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m","file_id":"a~p","x":[{"file_ids":["b~q",{"file_id":"c~p"}]}]}`,
		`{"model":"m","metadata":{"file_id":"a~p"},"input":[{"input":{"file_id":"a~p"},"file_id":"b~p"}],"conversation":{"id":"c~p"}}`,
		`{"\"a":"\\\"","model":"m","previous_response_id":"~~p"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		x := gatewaytest.New(t, gatewaytest.Request{Body: body})
		if body == "" || x.Request.Open() != nil || strings.Contains(body, `\`) {
			return // keys with escapes are other keys here
		}
		var before, after any
		if err := json.Unmarshal([]byte(body), &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(x.Request.Body(), &after); err != nil {
			t.Fatalf("%s became %s: %v", body, x.Request.Body(), err)
		}
		holders := map[string]bool{}
		want, _ := json.Marshal(unheld(before, nil, holders))
		if got, _ := json.Marshal(after); !bytes.Equal(got, want) {
			t.Errorf("%s became %s", body, x.Request.Body())
		}
		if n := len(x.Request.References()); n != min(len(holders), 8) {
			t.Errorf("%d references to %d holders in %s", n, len(holders), body)
		}
	})
}

// unheld is a value without the holders of its ids; path are the keys that lead there, "" for elements.
func unheld(v any, path []string, holders map[string]bool) any {
	n := len(path)
	switch v := v.(type) {
	case map[string]any:
		for key, one := range v {
			v[key] = unheld(one, append(path[:n:n], key), holders)
		}
	case []any:
		for i, one := range v {
			v[i] = unheld(one, append(path[:n:n], ""), holders)
		}
	case string:
		own, holder := gateway.SplitID(v)
		if names(path) && own != "" && holder != "" && !strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			holders[holder] = true
			return own
		}
	}
	return v
}

func names(path []string) bool {
	for i, key := range path[:len(path)-1] {
		switch key {
		case "metadata", "parameters", "schema", "input_schema", "arguments":
			return false
		case "input":
			if i > 0 {
				return false
			}
		}
	}
	switch n := len(path); path[n-1] {
	case "":
		return n > 1 && path[n-2] == "file_ids"
	case "file_id":
		return true
	case "input_file_id", "previous_response_id", "conversation":
		return n == 1
	case "id":
		return n == 2 && path[0] == "conversation"
	}
	return false
}

// BenchmarkOpen is what it costs to open a long body, with and without an id to look for.
func BenchmarkOpen(b *testing.B) {
	text := strings.Repeat("about ~5 of ~/these in (~ 20 %) a long text. ", 1000)
	for name, id := range map[string]string{"none": "file-1", "held": "file-1~p"} {
		b.Run(name, func(b *testing.B) {
			body := `{"model":"m","messages":[{"content":[{"type":"file","file":{"file_id":"` + id + `"}},{"type":"text","text":"` + text + `"}]}]}`
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				x := gatewaytest.New(b, gatewaytest.Request{Body: body})
				if err := x.Request.Open(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
