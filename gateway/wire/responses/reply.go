package responses

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// ErrMalformed says that a reply or an event is not what the dialect allows.
var ErrMalformed = errors.New("responses: malformed reply")

// Statuses of a response and of its items.
const (
	inProgress = "in_progress"
	completed  = "completed"
	incomplete = "incomplete"
	failed     = "failed"
)

// answer is a response object being read; its raw values are borrowed.
type answer struct {
	chat.Head
	status, reason string
	tier           string
	output, usage  []byte
	err            []byte
	whole          bool // it is a response
}

func (a *answer) read(v []byte) bool {
	return peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "id":
			a.ID, _ = peek.String(val)
		case "object":
			a.whole = a.whole || string(val) == `"response"`
		case "model":
			a.Model, _ = peek.String(val)
		case "created_at":
			a.Created = seconds(val)
		case "status":
			a.status, _ = peek.String(val)
		case "incomplete_details":
			a.reason, _ = peek.String(peek.Find(val, []byte(`"reason"`)))
		case "service_tier":
			a.tier, _ = peek.String(val)
		case "output":
			a.output, a.whole = val, true
		case "usage":
			a.usage = val
		case "error":
			a.err = val
		}
		return true
	})
}

// seconds reads a time, which some write with a fraction.
func seconds(v []byte) int64 {
	whole, _, _ := bytes.Cut(v, []byte("."))
	n, _ := peek.Int(whole)
	return n
}

// finish is why the response ended.
func (a *answer) finish(calls bool) chat.FinishReason {
	switch {
	case a.reason == "content_filter":
		return chat.FinishFilter
	case a.reason != "", a.status == incomplete:
		return chat.FinishLength
	case calls:
		return chat.FinishCalls
	default:
		return chat.FinishStop
	}
}

// DecodeReply reads the body of a unary reply. Items of unknown types are kept as they are.
//
// The error is a *chat.Error for a response that failed or was cancelled, ErrMalformed for what is none or is still in
// progress, for one without an output, and for an output, items, contents or texts of an unexpected type; other members of an unexpected type are left
// out.
func DecodeReply(body []byte) (*chat.Reply, error) {
	var a answer
	if !a.read(body) {
		return nil, ErrMalformed
	}
	if e, ok := failure(body, &a); ok {
		return nil, &e
	}
	if !a.whole || a.status == inProgress || a.status == "queued" || len(a.output) == 0 || a.output[0] != '[' {
		return nil, ErrMalformed
	}
	r := &chat.Reply{Head: a.Head, ServiceTier: a.tier}
	readUsage(a.usage, &r.Usage)
	m := chat.Message{Role: chat.RoleAssistant}
	calls := false
	fits := true
	peek.Elements(a.output, func(v []byte) bool {
		var parts []chat.Part
		parts, fits = readOutput(v)
		for i := range parts {
			calls = calls || parts[i].Kind == chat.PartCall
		}
		m.Parts = append(m.Parts, parts...)
		return fits
	})
	if !fits {
		return nil, ErrMalformed
	}
	r.Choices = []chat.Choice{{Message: m, Finish: a.finish(calls)}}
	r.NameCalls()
	return r, nil
}

// output is an item of a reply being read; its raw values are borrowed.
type output struct {
	kind, id                              string
	callID, name, arguments               string
	content, summary, secret, extra, data []byte
}

func (o *output) read(v []byte) {
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			o.kind, _ = peek.String(val)
		case "id":
			o.id, _ = peek.String(val)
		case "call_id":
			o.callID, _ = peek.String(val)
		case "name":
			o.name, _ = peek.String(val)
		case "arguments", "input":
			o.arguments = argumentsOf(val)
		case "content":
			o.content = val
		case "summary":
			o.summary = val
		case "encrypted_content":
			o.secret = val
		case "extra_content":
			o.extra = val
		case "result":
			o.data = val
		}
		return true
	})
}

// argumentsOf is the text of arguments, also where a provider writes them as an object.
func argumentsOf(v []byte) string {
	if s, ok := peek.String(v); ok {
		return s
	}
	if v[0] == '{' {
		return string(v)
	}
	return ""
}

// readOutput reads one item of a reply; false if its shape is wrong.
func readOutput(v []byte) ([]chat.Part, bool) {
	var o output
	if !shape.Maybe(v, "{") {
		return nil, false
	}
	o.read(v)
	if o.kind == "message" {
		return o.said()
	}
	return o.parts(v), true
}

// parts are what an item other than a message says.
func (o *output) parts(v []byte) []chat.Part {
	switch o.kind {
	case "reasoning":
		p := chat.Part{Kind: chat.PartReasoning, ID: o.id, Text: thoughts(o.content)}
		if p.Text == "" {
			p.Text = thoughts(o.summary)
		}
		p.Signature, _ = peek.String(o.secret)
		return []chat.Part{unseal(p)}
	case "function_call", "custom_tool_call":
		c := &chat.ToolCall{ID: cmp.Or(o.callID, o.id), Name: o.name, Arguments: o.arguments}
		if o.kind == "custom_tool_call" {
			c.Kind = chat.Custom
		}
		p := chat.Part{Kind: chat.PartCall, ID: o.id, Call: c}
		p.Signature, _ = peek.String(thoughtSignature(o.extra))
		return []chat.Part{p}
	case "image_generation_call":
		if data, _ := peek.String(o.data); data != "" {
			return []chat.Part{{Kind: chat.PartImage, ID: o.id, Media: &chat.Media{Data: data, Type: "image/png"}}}
		}
	case "":
		return nil
	}
	return []chat.Part{{Kind: chat.PartOther, Raw: bytes.Clone(v)}}
}

// said are the texts and refusals of a message; false if its shape is wrong.
func (o *output) said() (parts []chat.Part, fits bool) {
	fits = shape.Maybe(o.content, "[")
	peek.Elements(o.content, func(v []byte) bool {
		p := chat.Part{ID: o.id}
		var kind string
		var text, refusal []byte
		peek.Each(v, func(key, val []byte) bool {
			switch string(key) {
			case "type":
				kind, _ = peek.String(val)
			case "text":
				text = val
			case "refusal":
				refusal = val
			case "annotations":
				p.Citations = citations(val)
			case "logprobs":
				p.Logprobs = someList(val)
			}
			return true
		})
		fits = v[0] == '{'
		switch kind {
		case "output_text", "text":
			p.Text, _ = peek.String(text)
			parts = append(parts, p)
			fits = shape.Maybe(text, `"`)
		case "refusal":
			said, _ := peek.String(refusal)
			parts = append(parts, chat.Part{Kind: chat.PartRefusal, ID: o.id, Text: said})
			fits = shape.Maybe(refusal, `"`)
		}
		return fits
	})
	return parts, fits
}

// thoughts joins the texts of a thought or of its summary.
func thoughts(list []byte) string {
	var texts []string
	peek.Elements(list, func(v []byte) bool {
		if s, _ := peek.String(peek.Find(v, []byte(`"text"`))); s != "" {
			texts = append(texts, s)
		}
		return true
	})
	return strings.Join(texts, thoughtGap)
}

// AppendReply writes the answer to q as a response object, with the first of its choices. Its id is ID of the reply's, and
// items that have no id get one made from it. What the object repeats of the request is taken from q; nil is an empty
// request. Calls of q's custom tools are restored, see [chat.Restore].
func AppendReply(dst []byte, q *chat.Request, r *chat.Reply) []byte {
	r = chat.RestoreCalls(q, r)
	o := object{echo: appendEcho(nil, q), asked: modelOf(q), usage: r.Usage, tier: r.ServiceTier}
	o.begin(r.Head)
	var items []item
	o.status = completed
	if len(r.Choices) > 0 {
		c := &r.Choices[0]
		items = itemsOf(told(c.Message.Parts), false, func(string) {})
		o.finish(c.Finish)
	}
	o.items = make([]*item, len(items))
	for i := range items {
		it := &items[i]
		if it.status = completed; i == len(items)-1 && it.kind != imageItem { // an image is whole or not there
			it.status = o.status
		}
		nameItem(it, o.head.ID, i)
		if it.lacksArguments() {
			it.text.plain = noArguments
		}
		o.items[i] = it
	}
	return o.append(dst)
}

// told are the parts with words in the place of what no item can carry.
func told(parts []chat.Part) []chat.Part {
	lost := func(p chat.Part) bool {
		return p.Kind == chat.PartImage && p.Media.Data == "" || p.Kind == chat.PartAudio && p.Text == ""
	}
	if !slices.ContainsFunc(parts, lost) {
		return parts
	}
	parts = slices.Clone(parts)
	for i, p := range parts {
		switch {
		case !lost(p):
		case p.Kind == chat.PartAudio:
			parts[i] = chat.Part{Text: chat.LostSound}
		default:
			parts[i] = chat.Part{Text: string(chat.LostImage([]byte(p.Media.URL)))}
		}
	}
	return parts
}

// noArguments are those of a function that takes none, for clients that parse them without looking.
const noArguments = "{}"

// lacksArguments says whether a call has ended without any, as Anthropic's do that take none.
func (it *item) lacksArguments() bool {
	return it.kind == callItem && it.call.Kind == chat.Function && it.text.empty() && it.status == completed
}

// nameItem gives the i-th item of a response an id, if it has none, and a call one by which it can be answered.
func nameItem(it *item, response string, i int) {
	if it.id == "" {
		it.id = it.prefix() + strings.TrimPrefix(response, responsePrefix) + "_" + strconv.Itoa(i)
	}
	if it.kind == callItem && it.call.ID == "" {
		it.call.ID = it.id
	}
}
