//go:build !race

package wire_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire"
)

// What a request is said to hold when it is read is about what it holds, be it one long text or many small things.
func TestSize(t *testing.T) {
	f := func(d *wire.Dialect, name, before, each, behind string) {
		t.Helper()
		n := min(2<<20/len(each), 60_000) // an object may have 65,536 members
		var b strings.Builder
		b.WriteString(before)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.ReplaceAll(each, "#", strconv.Itoa(i)))
		}
		b.WriteString(behind)
		body := []byte(b.String())
		held := heap()
		q, err := d.DecodeRequest(body)
		if err != nil {
			t.Fatalf("%s %s: %v", d.Name, name, err)
		}
		held = heap() - held
		if size := q.Size(); size < held*8/10 || size > held*2+int64(len(body)) {
			t.Errorf("%s %s: %d bytes are said to be held, of a body of %d, and %d are", d.Name, name, size, len(body), held)
		}
		runtime.KeepAlive(q)
		runtime.KeepAlive(body)
	}
	long := strings.Repeat("many words ", 20_000)
	const said, content = `{"role":"user","content":""}`, `{"type":"text","text":""}`
	chats, claude, responses := `{"model":"m","messages":[`, `{"model":"m","max_tokens":1,"messages":[`, `{"model":"m","input":[`
	const first = `{"role":"user","content":"hi"}]`
	f(wire.OpenAI, "a text", chats, `{"role":"user","content":"`+long+`"}`, `]}`)
	f(wire.OpenAI, "messages", chats, said, `]}`)
	f(wire.OpenAI, "parts", chats+`{"role":"user","content":[`, content, `]}]}`)
	f(wire.OpenAI, "pictures", chats+`{"role":"user","content":[`, `{"type":"image_url","image_url":{"url":"x"}}`, `]}]}`)
	f(wire.OpenAI, "calls", chats+`{"role":"assistant","content":null,"tool_calls":[`, `{"id":"#","type":"function","function":{"name":"f","arguments":""}}`, `]}]}`)
	f(wire.OpenAI, "tools", chats+first+`,"tools":[`, `{"type":"function","function":{"name":"f#"}}`, `]}`)
	f(wire.OpenAI, "members", chats+first+`,`, `"a#":1`, `}`)
	f(wire.Anthropic, "a text", claude, `{"role":"user","content":"`+long+`"}`, `]}`)
	f(wire.Anthropic, "messages", claude, said, `]}`)
	f(wire.Anthropic, "parts", claude+`{"role":"user","content":[`, content, `]}]}`)
	f(wire.Anthropic, "stops", claude+first+`,"stop_sequences":[`, `""`, `]}`)
	f(wire.Anthropic, "thoughts", claude+`{"role":"assistant","content":[`, `{"type":"thinking","thinking":"","signature":""}`, `]}]}`)
	f(wire.Responses, "messages", responses, said, `]}`)
	f(wire.Responses, "parts", responses+`{"role":"user","content":[`, `{"type":"input_text","text":""}`, `]}]}`)
	f(wire.Responses, "calls", responses, `{"type":"function_call","call_id":"#","name":"f","arguments":""}`, `]}`)
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
