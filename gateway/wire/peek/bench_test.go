package peek_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// talk is a request of about size bytes: turns with escapes and some text outside ASCII, a tool whose schema has a
// "model", and most of what steers at the end.
func talk(size int) []byte {
	var b strings.Builder
	b.WriteString(`{"model":"gpt-4.1","messages":[`)
	for i := 0; b.Len() < size-400; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"role":"%s","content":"Turn %d: The quick brown fox \"jumps\" over the lazy dog.\nLine two with é, 漢字 and an escaped \u00e9. %s"}`,
			[]string{"user", "assistant"}[i%2], i, strings.Repeat("lorem ipsum dolor sit amet ", 10))
	}
	b.WriteString(`],"tools":[{"type":"function","function":{"name":"get_weather","description":"x","parameters":{"type":"object",` +
		`"properties":{"model":{"type":"string"},"location":{"type":"string"}},"required":["location"]}}}],` +
		`"temperature":0.7,"max_tokens":256,"stream":true,"stream_options":{"include_usage":true},"user":"u-123"}`)
	return []byte(b.String())
}

// schemas is a request full of keys, brackets and short strings, indented.
func schemas(size int) []byte {
	var b strings.Builder
	b.WriteString("{\n  \"model\": \"gpt-4.1\",\n  \"tools\": [")
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    {\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"parameters\": {\"type\": \"object\", \"properties\": {\n" +
			"      \"location\": {\"type\": \"string\", \"description\": \"City and country\"},\n" +
			"      \"unit\": {\"type\": \"string\", \"enum\": [\"celsius\", \"fahrenheit\"]},\n" +
			"      \"days\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 14}},\n" +
			"      \"required\": [\"location\", \"unit\"], \"additionalProperties\": false}}}")
	}
	b.WriteString("]\n}")
	return []byte(b.String())
}

// of is a request of about size bytes whose only message repeats text.
func of(text string, size int) []byte {
	return []byte(`{"model":"gpt-4.1","messages":[{"role":"user","content":"` + strings.Repeat(text, size/len(text)) + `"}]}`)
}

// completion is a reply of about size bytes.
func completion(size int) []byte {
	return []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4.1","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat(`A line about \"usage\" of things, some of it é.\n`, size/48) +
		`","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":22,"total_tokens":33,` +
		`"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}`)
}

func bench(b *testing.B, name string, body []byte, f func([]byte) bool) {
	b.Run(name, func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if !f(body) {
				b.Fatal("refused")
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	scan := func(body []byte) bool {
		f, err := peek.Scan(body)
		return err == nil && f.Model == "gpt-4.1"
	}
	bench(b, "2KB", talk(2<<10), scan)
	bench(b, "200KB", talk(200<<10), scan)
	bench(b, "schemas2KB", schemas(2<<10), scan)
	bench(b, "schemas200KB", schemas(200<<10), scan)
	bench(b, "chinese200KB", of("汉字文本，没有空格。", 200<<10), scan)
	bench(b, "escaped200KB", of(`\u6c49\u5b57`, 200<<10), scan)
	bench(b, "code200KB", of(`\tif x != nil {\n\t\treturn \"x\"\n\t}\n`, 200<<10), scan)
	bench(b, "image10MB", of("iVBORw0KGgoAAAANSUhEUgAA", 10<<20), scan)
}

func BenchmarkValid(b *testing.B) {
	valid := func(body []byte) bool { return peek.Valid(body) == nil }
	bench(b, "2KB", talk(2<<10), valid)
	bench(b, "200KB", talk(200<<10), valid)
}

func BenchmarkFind(b *testing.B) {
	key := []byte(`"usage"`)
	find := func(body []byte) bool { return peek.Find(body, key) != nil }
	bench(b, "2KB", completion(2<<10), find)
	bench(b, "200KB", completion(200<<10), find)
	event := []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4.1","choices":[{"index":0,"delta":{"content":" of"},"logprobs":null,"finish_reason":null}]}`)
	bench(b, "absent", event, func(body []byte) bool { return peek.Find(body, key) == nil })
}

func BenchmarkEach(b *testing.B) {
	bench(b, "2KB", completion(2<<10), func(body []byte) bool {
		return peek.Each(body, func(_, _ []byte) bool { return true })
	})
}

// The worst bodies for the search for repeated keys.
func BenchmarkScanHostile(b *testing.B) {
	scan := func(body []byte) bool { _, err := peek.Scan(body); return err == nil }
	var short, alike strings.Builder
	for i := range 60000 {
		fmt.Fprintf(&short, `"%x":0,`, i)
	}
	bench(b, "many", []byte(`{`+short.String()+`"model":"m"}`), scan)
	for i := range 32 {
		fmt.Fprintf(&alike, `"%s%02d%s":0,`, strings.Repeat("a", 3000), i, strings.Repeat("b", 3000))
	}
	bench(b, "alike", []byte(`{"x":{`+strings.TrimSuffix(alike.String(), ",")+`},"model":"m"}`), scan)
}
