package forward

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// rest is the request for the rest of the answer, and the text from which that goes on; nil if nothing was said yet. It is
// not ok if nobody can be told to go on from there.
func (l *lasting) rest() (body, begun []byte, ok bool) {
	body = l.x.Request.Body()
	if body == nil || l.d == wire.Responses && l.said.events != l.said.written && !l.mended {
		return nil, nil, false
	}
	end, whole := words(l.said.text)
	if !whole {
		return nil, nil, false
	}
	l.white = slices.Clone(l.said.text[end:])
	var e []peek.Edit
	if end > 0 {
		if l.q.Format.Kind != chat.FormatText { // grammars begin at the beginning
			return nil, nil, false
		}
		begun = l.said.text
		if e, ok = prefill(body, l.d, string(begun[:end])); !ok {
			return nil, nil, false
		}
	}
	e = lower(e, body, l.said.least())
	slices.SortStableFunc(e, func(a, b peek.Edit) int { return a.At - b.At })
	return peek.Append(nil, body, e), begun, true
}

// words is where the white space at the end of a text begins, which providers refuse at the end of a prefill, or go on from
// badly; not whole if it ends with half of a surrogate pair. The text is the inside of a JSON string.
func words(text []byte) (end int, whole bool) {
	half := false
	for i := 0; i < len(text); {
		size := whiteSpace(text[i:])
		white := size > 0
		half = false
		switch {
		case white:
		case text[i] != '\\':
			size = 1
		case i+5 < len(text) && text[i+1] == 'u':
			size = 6
			digits, _ := strconv.ParseUint(string(text[i+2:i+6]), 16, 16)
			half = digits >= 0xd800 && digits < 0xdc00
		default:
			size = 2
		}
		if i += size; !white {
			end = i
		}
	}
	return min(end, len(text)), !half
}

// whiteSpace is the length of the blank or line end, as it stands in a JSON string, with which text begins; 0 if it does not.
func whiteSpace(text []byte) int {
	switch {
	case len(text) > 0 && text[0] == ' ':
		return 1
	case len(text) > 1 && text[0] == '\\' && bytes.IndexByte([]byte("nrt"), text[1]) >= 0:
		return 2
	}
	return 0
}

// prefill makes text the end of the conversation. What the caller has begun himself, the text continues.
func prefill(body []byte, d *wire.Dialect, text string) (e []peek.Edit, ok bool) {
	key := `"messages"`
	if d == wire.Responses {
		key = `"input"`
	}
	list := peek.Find(body, []byte(key))
	if len(list) == 0 {
		return nil, false
	}
	at := cap(body) - cap(list)
	end := at + len(list)
	turn := `{"role":"assistant","content":"` + text + `"}`
	if list[0] == '"' && d == wire.Responses {
		return []peek.Edit{{At: at, End: at, Text: `[{"role":"user","content":`}, {At: end, End: end, Text: "}," + turn + "]"}}, true
	}
	var last []byte
	peek.Elements(list, func(one []byte) bool {
		last = one
		return true
	})
	if len(last) == 0 || list[0] != '[' {
		return nil, false
	}
	if string(peek.Find(last, []byte(`"role"`))) != `"assistant"` {
		return []peek.Edit{{At: end - 1, End: end - 1, Text: "," + turn}}, true
	}
	content := peek.Find(last, []byte(`"content"`))
	if d == wire.Responses || len(content) == 0 || content[0] != '"' || peek.Find(last, []byte(`"tool_calls"`)) != nil {
		return nil, false
	}
	inside := cap(body) - cap(content) + len(content) - 1
	return []peek.Edit{{At: inside, End: inside, Text: text}}, true
}

// limits goes over the limits of the answer that a body has.
func limits(body []byte, each func(at, end int, n int64)) {
	for _, key := range [...]string{`"max_tokens"`, `"max_completion_tokens"`, `"max_output_tokens"`} {
		v := peek.Find(body, []byte(key))
		if n, ok := peek.Int(v); ok {
			at := cap(body) - cap(v)
			each(at, at+len(v), n)
		}
	}
}

// lower takes what was said off the limits of the answer, by the least that it can have been: the answer may get a little longer
// than was allowed, but does not end before.
func lower(e []peek.Edit, body []byte, said int64) []peek.Edit {
	if said > 0 {
		limits(body, func(at, end int, n int64) {
			e = append(e, peek.Edit{At: at, End: end, Text: strconv.FormatInt(n-said, 10)})
		})
	}
	return e
}

// spent says whether as much was said as the answer is limited to.
func (l *lasting) spent() (spent bool) {
	said := l.said.least()
	if body := l.x.Request.Body(); body != nil && said > 0 {
		limits(body, func(_, _ int, n int64) { spent = spent || n <= said })
	}
	return spent
}

// least is how many tokens were said at the least: a piece has one, and few have more than eight bytes.
func (s *said) least() int64 { return max(s.pieces, int64(len(s.text)/8)) }

// tokens is an estimate of what was said, in tokens: a piece has one at least, and one has four bytes or so.
func (s *said) tokens() int64 { return max(s.pieces, int64(len(s.text)/4)) }

// sameItem says whether an event of the Responses API tells of the same item as the encoder's.
func sameItem(event, written []byte) bool {
	return bytes.Equal(peek.Find(event, []byte(`"item_id"`)), peek.Find(written, []byte(`"item_id"`)))
}
