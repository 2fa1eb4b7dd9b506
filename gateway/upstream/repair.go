package upstream

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// mender puts right what imitators of chat completions get wrong and OpenAI's clients break on, in replies that otherwise
// pass byte by byte:
//
//   - arguments of calls that are an object instead of a string (Mistral);
//   - calls in a stream without an index, or that all have the same one, which clients would join to one (Gemini:
//     open-webui/computer#224, su-kaka/gcli2api#406), and calls without a type (Mistral);
//   - the finish reason "stop" where there are calls (xAI: vercel/ai#12218, Gemini: googleapis/python-genai#2868),
//     "model_length" (Mistral) and "eos" (Together: openai-dotnet#267);
//   - contents that are a list of thoughts and texts (Mistral), of which a string and reasoning_content are made, as
//     DeepSeek and others say it;
//   - a finish reason that says that the answer failed: "error" (Mistral, OpenRouter), "insufficient_system_resource"
//     (DeepSeek).
//
// It belongs to one reply.
type mender struct {
	lists    bool // contents may be lists
	replaced bool // the reply is another than was sent

	choices []mendedChoice // those with calls
	data    []byte
	e       []peek.Edit
	broken  []byte // the finish reason of a choice that failed, in quotes
}

type mendedChoice struct {
	index int
	calls []begunCall
}

type begunCall struct {
	index int // by the provider's count
	id    string
	named bool
}

var (
	toolCalls  = []byte(`"tool_calls"`)
	contentKey = []byte(`"content"`)

	// What is searched for begins with something rare: that is several times as fast as with a quote.
	callsTail    = []byte(`_calls"`)
	finishReason = []byte(`_reason"`)
)

// mend gives the data of an event, or of a whole reply, as it is or mended. finish says that a choice may end in it; without
// that and without calls nothing is looked at. broken is the finish reason of an answer that failed.
func (m *mender) mend(data []byte, finish bool) (mended []byte, broken string) {
	listed := m.lists && hasList(data)
	if !listed && !bytes.Contains(data, callsTail) && (!finish || len(m.choices) == 0 && ordinary(data)) {
		return data, ""
	}
	m.data, m.e, m.broken = data, m.e[:0], nil
	at := 0
	peek.Elements(peek.Find(data, []byte(`"choices"`)), func(v []byte) bool {
		m.choice(v, at)
		at++
		return true
	})
	m.data = nil
	if m.broken != nil {
		broken, _ = peek.String(m.broken)
		return data, broken
	}
	if len(m.e) == 0 {
		return data, ""
	}
	slices.SortStableFunc(m.e, func(a, b peek.Edit) int { return cmp.Compare(a.At, b.At) })
	return peek.Append(nil, data, m.e), ""
}

// ordinary says that every finish reason in the data is one that needs no mending where there are no calls. Inside of
// texts the quote behind the key would be escaped, so nothing is parsed to see that.
func ordinary(data []byte) bool {
	for {
		_, rest, found := bytes.Cut(data, finishReason)
		if !found {
			return true
		}
		data = bytes.TrimLeft(rest, ": \t\r\n")
		if !bytes.HasPrefix(data, []byte(`"stop"`)) && !bytes.HasPrefix(data, []byte(`"length"`)) && !bytes.HasPrefix(data, []byte("null")) {
			return false
		}
	}
}

// hasList says that there may be a content that is a list. Inside of texts the quote behind the key would be escaped.
func hasList(data []byte) bool {
	for found := true; found; {
		if _, data, found = bytes.Cut(data, contentKey); found {
			if value := bytes.TrimLeft(data, ": \t\r\n"); len(value) > 0 && value[0] == '[' {
				return true
			}
		}
	}
	return false
}

// content makes a string of a content that is a list, and reasoning_content of the thoughts in it; none is the content if
// there are thoughts alone. References, which clients have no place for, are left out; a list of anything else stays.
func (m *mender) content(v []byte, none string) {
	if len(v) == 0 || v[0] != '[' {
		return
	}
	var said, thought []byte
	known := true
	peek.Elements(v, func(part []byte) bool {
		kind, _ := peek.String(peek.Find(part, []byte(`"type"`)))
		switch kind {
		case "text":
			said = appendInside(said, peek.Find(part, []byte(`"text"`)))
		case "thinking":
			thought = appendThought(thought, peek.Find(part, []byte(`"thinking"`)))
		case "reference":
		default:
			known = false
		}
		return known
	})
	if !known {
		return
	}
	text := none
	if len(said) > 0 {
		text = `"` + string(said) + `"`
	}
	if len(thought) > 0 {
		text += `,"reasoning_content":"` + string(thought) + `"`
	}
	m.replace(v, text)
}

// appendInside adds what stands in a JSON string, as it stands there.
func appendInside(dst, v []byte) []byte {
	inside, _ := shape.Inside(v)
	return append(dst, inside...)
}

// appendThought is appendInside for the texts in a list, or for a string.
func appendThought(dst, v []byte) []byte {
	peek.Elements(v, func(part []byte) bool {
		dst = appendInside(dst, peek.Find(part, []byte(`"text"`)))
		return true
	})
	return appendInside(dst, v)
}

// replace notes that a value in the data becomes another.
func (m *mender) replace(v []byte, text string) {
	at := cap(m.data) - cap(v)
	m.e = append(m.e, peek.Edit{At: at, End: at + len(v), Text: text})
}

// choice looks at one of choices; at is its place there, which some providers leave to stand for the index.
func (m *mender) choice(v []byte, at int) {
	var message, delta, reason []byte
	index := at
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "index":
			if n, ok := peek.Int(val); ok {
				index = int(n)
			}
		case "message":
			message = val
		case "delta":
			delta = val
		case "finish_reason":
			reason = val
		}
		return true
	})
	if m.lists {
		m.content(peek.Find(message, contentKey), `""`)
		m.content(peek.Find(delta, contentKey), "null")
	}
	if calls := peek.Find(message, toolCalls); calls != nil {
		m.calls(m.begun(index), calls, false)
	}
	if calls := peek.Find(delta, toolCalls); calls != nil {
		m.calls(m.begun(index), calls, true)
	}
	called := slices.ContainsFunc(m.choices, func(c mendedChoice) bool {
		return c.index == index && slices.ContainsFunc(c.calls, func(k begunCall) bool { return k.named })
	})
	m.reason(reason, called)
}

// begun finds or begins what is known of a choice. It is valid until the next call.
func (m *mender) begun(index int) *mendedChoice {
	for i := range m.choices {
		if m.choices[i].index == index {
			return &m.choices[i]
		}
	}
	m.choices = append(m.choices, mendedChoice{index: index})
	return &m.choices[len(m.choices)-1]
}

func (m *mender) reason(v []byte, called bool) {
	switch string(v) {
	case `"stop"`:
		if called {
			m.replace(v, `"tool_calls"`)
		}
	case `"eos"`:
		if called {
			m.replace(v, `"tool_calls"`)
		} else {
			m.replace(v, `"stop"`)
		}
	case `"model_length"`:
		m.replace(v, `"length"`)
	case `"error"`, `"insufficient_system_resource"`:
		m.broken = v
	}
}

// calls looks at a list of calls, or in a stream at one of fragments of them.
func (m *mender) calls(c *mendedChoice, v []byte, stream bool) {
	peek.Elements(v, func(call []byte) bool {
		m.call(c, call, stream)
		return true
	})
}

func (m *mender) call(c *mendedChoice, v []byte, stream bool) {
	var index, function []byte
	var id string
	members, typed := 0, false
	peek.Each(v, func(key, val []byte) bool {
		members++
		switch string(key) {
		case "index":
			index = val
		case "id":
			id, _ = peek.String(val)
		case "type":
			typed = true
		case "function":
			function = val
		}
		return true
	})
	begins := len(c.calls)
	name, _ := peek.String(peek.Find(function, []byte(`"name"`)))
	n := c.find(index, id, name != "")
	c.calls[n].named = c.calls[n].named || name != ""
	if members == 0 {
		return
	}
	missing := ""
	if given, ok := peek.Int(index); stream && (!ok || given != int64(n)) {
		if index != nil {
			m.replace(index, strconv.Itoa(n))
		} else {
			missing = `"index":` + strconv.Itoa(n) + `,`
		}
	}
	if !typed && function != nil && (!stream || n == begins) {
		missing += `"type":"function",`
	}
	if missing != "" {
		at := cap(m.data) - cap(v) + 1
		m.e = append(m.e, peek.Edit{At: at, End: at, Text: missing})
	}
	if arguments := peek.Find(function, []byte(`"arguments"`)); len(arguments) > 0 && arguments[0] == '{' {
		m.replace(arguments, string(shape.AppendString(nil, string(arguments))))
	}
}

// find is the place of the call that a fragment belongs to; it begins another if it belongs to none: one with an id of its
// own, or with a name where there is no index.
func (c *mendedChoice) find(index []byte, id string, named bool) int {
	given, ok := peek.Int(index)
	for n := len(c.calls) - 1; n >= 0; n-- {
		k := &c.calls[n]
		switch {
		case id != "" && k.id == id, !ok && id == "" && !named:
			return n
		case ok && int64(k.index) == given && (id == "" || k.id == ""):
			k.id = cmp.Or(id, k.id)
			return n
		}
	}
	k := begunCall{index: len(c.calls), id: id}
	if ok {
		k.index = int(given)
	}
	c.calls = append(c.calls, k)
	return len(c.calls) - 1
}

// mends says whether what the provider says is to be mended on its way, and tells the mender of what.
func (st *stream) mends() bool {
	q := &st.p.c.Kind.Quirks
	st.mender.lists = q.ContentLists
	return q.Repair && st.r.native && st.r.dialect == wire.OpenAI
}

// mended says whether a whole reply is not as it was sent, but a copy.
func (st *stream) mended() bool {
	return st.reply.Kind == gateway.Whole && (st.mender.replaced || len(st.mender.e) > 0)
}

// errorBody is an error reply in the shape that the dialect's clients look for, {"error":{…}}: that of one who imitates
// OpenAI's (Gemini's list, xAI's text, Mistral's object), put into it, and so is one with bytes that are no UTF-8. What has that
// shape, or says nothing, is as it was.
func (st *stream) errorBody(data []byte) []byte {
	d := st.r.dialect
	if !st.r.native || d != wire.OpenAI && d != wire.Responses {
		return data
	}
	if v := peek.Find(data, []byte(`"error"`)); len(v) > 0 && v[0] == '{' {
		return data
	}
	said, ok := d.DecodeError(data)
	if !ok {
		return data
	}
	said.Status = st.reply.Status
	st.mender.replaced, st.reply.ContentType = true, "application/json"
	return d.AppendError(nil, said)
}
