package peek_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// oracle judges a body by the rules of Scan, on top of encoding/json's grammar and decoding.
type oracle struct {
	b      []byte
	d      *json.Decoder
	faults map[peek.Kind]bool
	want   peek.Fields
	limit  bool
}

// judge is everything that is wrong with the body, and what steers if nothing is.
func judge(b []byte) (map[peek.Kind]bool, peek.Fields) {
	o := oracle{b: b, d: json.NewDecoder(bytes.NewReader(b)), faults: map[peek.Kind]bool{}}
	o.d.UseNumber()
	if !json.Valid(b) || !utf8.Valid(b) || !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) {
		o.faults[peek.Syntax] = true
		return o.faults, o.want
	}
	o.value(1, inBody)
	if _, err := o.d.Token(); err != io.EOF {
		o.faults[peek.Syntax] = true
	}
	if o.want.Model == "" {
		o.faults[peek.Missing] = true
	}
	return o.faults, o.want
}

const (
	elsewhere = iota
	inBody
	inOptions
)

var routed = []string{"model", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "user", "service_tier"}

// token reads one token and returns it with its text.
func (o *oracle) token() (json.Token, string) {
	from := o.d.InputOffset()
	t, err := o.d.Token()
	if err != nil {
		panic(err) // json.Valid has accepted it
	}
	raw := strings.TrimLeft(string(o.b[from:o.d.InputOffset()]), " \t\r\n,:")
	if s, ok := t.(string); ok && half(s, raw) {
		o.faults[peek.Syntax] = true
	}
	return t, raw
}

// half says whether the decoder replaced half a surrogate pair in raw: then the result has more U+FFFD than raw names.
func half(decoded, raw string) bool {
	raw = strings.ReplaceAll(raw, `\\`, "")
	named := strings.Count(raw, "\ufffd") + strings.Count(strings.ToLower(raw), `\ufffd`)
	return strings.Count(decoded, "\ufffd") != named
}

// value reads a value and returns its text. place tells what an object there is.
func (o *oracle) value(depth, place int) string {
	t, raw := o.token()
	from := int(o.d.InputOffset()) - len(raw)
	switch t {
	case json.Delim('{'):
		o.members(depth, place)
	case json.Delim('['):
		for o.d.More() {
			o.value(depth+1, elsewhere)
		}
		o.token()
	}
	if _, ok := t.(json.Delim); ok && depth > peek.MaxDepth {
		o.faults[peek.Limit] = true
	}
	return string(o.b[from:o.d.InputOffset()])
}

func (o *oracle) members(depth, place int) {
	seen := map[string]bool{}
	for o.d.More() {
		t, raw := o.token()
		key := t.(string)
		if seen[key] {
			o.faults[peek.Duplicate] = true
		}
		seen[key] = true
		field := ""
		names := map[int][]string{inBody: routed, inOptions: {"include_usage"}}[place]
		for _, name := range names {
			if raw == `"`+name+`"` {
				field = name
			} else if strings.EqualFold(key, name) {
				o.faults[peek.Spelling] = true
			}
		}
		inner := elsewhere
		if field == "stream_options" {
			inner = inOptions
		}
		val := o.value(depth+1, inner)
		if field != "" {
			o.take(field, val)
		}
	}
	o.token()
}

// take decodes the value of a key that steers with encoding/json.
func (o *oracle) take(field, val string) {
	var into any
	switch field {
	case "model":
		o.takeModel(val)
		return
	case "stream":
		into = &o.want.Stream
	case "include_usage":
		into = &o.want.IncludeUsage
	case "n":
		var n int32
		if json.Unmarshal([]byte(val), &n) != nil {
			o.faults[peek.Type] = true
		}
		into = &o.want.N
	case "max_tokens":
		if o.limit {
			into = new(uint64)
			break
		}
		into = &o.want.MaxTokens
	case "max_completion_tokens":
		o.limit = o.limit || val != "null"
		into = &o.want.MaxTokens
	case "stream_options":
		into = &map[string]json.RawMessage{}
	default:
		return
	}
	if json.Unmarshal([]byte(val), into) != nil ||
		field == "n" && val != "null" && o.want.N < 1 || strings.HasPrefix(val, "-") {
		o.faults[peek.Type] = true
	}
}

// takeModel wants the name to be the same when the escapes that are allowed are taken out of it by hand.
func (o *oracle) takeModel(val string) {
	ascii := func(c rune) rune {
		if c < utf8.RuneSelf {
			return c
		}
		return -1
	}
	if json.Unmarshal([]byte(val), &o.want.Model) != nil || o.want.Model == "" {
		o.faults[peek.Type] = true
	} else if strings.Map(ascii, o.want.Model) != strings.Map(ascii, plainText(val)) {
		o.faults[peek.Spelling] = true
	}
}

// plainText is a quoted string without its quotes, without the escapes of characters outside ASCII and of slashes.
func plainText(quoted string) string {
	text := quoted[1 : len(quoted)-1]
	for i := 0; i+1 < len(text); i++ {
		if strings.HasPrefix(text[i:], `\\`) {
			i++
			continue
		}
		if strings.HasPrefix(text[i:], `\/`) {
			text = text[:i] + text[i+1:]
			continue
		}
		if i+6 <= len(text) && strings.HasPrefix(text[i:], `\u`) && text[i+2:i+4] != "00" || i+6 <= len(text) && strings.HasPrefix(text[i:], `\u00`) && text[i+4] >= '8' {
			text = text[:i] + text[i+6:]
			i--
		}
	}
	return text
}
