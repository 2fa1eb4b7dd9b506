package responses

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// Continue is q as the continuation of a conversation: what was said before stands between its instructions and its own
// messages, and nothing is left to look up. q stays as it is.
func Continue(q *chat.Request, before []chat.Message) *chat.Request {
	own := q.Messages
	c := *q
	c.Previous = ""
	c.Messages = make([]chat.Message, 0, len(own)+len(before))
	if q.Instructions && len(own) > 0 {
		c.Messages, own = append(c.Messages, own[0]), own[1:]
	}
	for i := range before {
		m := before[i]
		m.At = chat.Unlisted
		c.Messages = append(c.Messages, m)
	}
	c.Messages = append(c.Messages, own...)
	return &c
}

// Conversation is what a request that names this reply as its previous response continues: all that was said, but not the
// instructions, which a continuation does not inherit. Calls are those that the caller knows, see [chat.Restore].
func Conversation(q *chat.Request, r *chat.Reply) []chat.Message {
	r = chat.RestoreCalls(q, r)
	said := q.Messages
	if q.Instructions && len(said) > 0 {
		said = said[1:]
	}
	said = slices.Clone(said)
	if len(r.Choices) > 0 && len(r.Choices[0].Message.Parts) > 0 {
		said = append(said, r.Choices[0].Message)
	}
	return said
}

// InputItems are the input of q, without the instructions, as GET /v1/responses/{id}/input_items lists it: every item has
// an id, made from that of the response if it came without one.
func InputItems(q *chat.Request, response string) []json.RawMessage {
	l := lister{made: strings.TrimPrefix(response, responsePrefix), custom: map[string]bool{}}
	for i := range q.Messages {
		if i > 0 || !q.Instructions {
			l.message(&q.Messages[i])
		}
	}
	return l.list
}

// lister makes the items of a stored response.
type lister struct {
	made   string
	list   []json.RawMessage
	custom map[string]bool // ids of the calls of custom tools
}

func (l *lister) message(m *chat.Message) {
	switch m.Role {
	case chat.RoleAssistant:
		items := itemsOf(m.Parts, true, func(string) {})
		for i := range items {
			it := &items[i]
			if it.id == "" {
				it.id = l.id(it.prefix())
			}
			if it.kind == callItem && it.call.Kind == chat.Custom {
				l.custom[it.call.ID] = true
			}
			it.status = completed
			l.list = append(l.list, it.append(nil))
		}
	case chat.RoleTool:
		prefix, kind := "fco_", "function_call_output"
		if l.custom[m.CallID] {
			prefix, kind = "ctco_", "custom_tool_call_output"
		}
		v := shape.AppendString([]byte(`{"id":`), l.id(prefix))
		v = shape.AppendString(append(v, `,"type":`...), kind)
		v = shape.AppendString(append(v, `,"status":"completed","call_id":`...), m.CallID)
		l.list = append(l.list, append(appendInputs(append(v, `,"output":`...), m.Parts), '}'))
	default:
		if len(m.Parts) == 1 && m.Parts[0].Kind == chat.PartOther {
			l.list = append(l.list, m.Parts[0].Raw)
			return
		}
		v := shape.AppendString([]byte(`{"id":`), l.id("msg_"))
		v = shape.AppendString(append(v, `,"type":"message","status":"completed","role":`...), string(m.Role))
		l.list = append(l.list, append(appendInputs(append(v, `,"content":`...), m.Parts), '}'))
	}
}

func (l *lister) id(prefix string) string {
	return prefix + l.made + "_in" + strconv.Itoa(len(l.list))
}

func appendInputs(dst []byte, parts []chat.Part) []byte {
	dst = append(dst, '[')
	n := 0
	for i := range parts {
		size := len(dst)
		var said string
		if dst, said = appendInput(comma(dst, n), &parts[i], parts[i].Cache == cacheMark); said != "" {
			dst = dst[:size]
			continue
		}
		n++
	}
	return append(dst, ']')
}

// OutputItems are the items of a response object, borrowed from it; nil if it is none.
func OutputItems(response []byte) []json.RawMessage {
	var list []json.RawMessage
	peek.Elements(peek.Find(response, []byte(`"output"`)), func(v []byte) bool {
		list = append(list, v)
		return true
	})
	return list
}

// Item is the one of items that has an id, or nil.
func Item(items []json.RawMessage, id string) json.RawMessage {
	if i := indexOf(items, id); i >= 0 {
		return items[i]
	}
	return nil
}

func indexOf(items []json.RawMessage, id string) int {
	return slices.IndexFunc(items, func(v json.RawMessage) bool { return idOf(v) == id })
}

func idOf(item []byte) string {
	id, _ := peek.String(peek.Find(item, []byte(`"id"`)))
	return id
}

// Page says which part of a list of items is wanted.
type Page struct {
	Limit     int    // 1 to 100
	After     string // the id of the item before the first; "" for the beginning
	Ascending bool   // the oldest first; else the newest
}

// ReadPage reads a page from the query of a request: limit (20 if not given), order (desc) and after. The error is a
// *chat.Error that names the parameter.
func ReadPage(query string) (Page, error) {
	p := Page{Limit: 20}
	values, err := url.ParseQuery(query)
	if err != nil {
		return p, (&shape.Fault{Text: "the query of the URL cannot be read"}).Refusal()
	}
	p.After = values.Get("after")
	switch order := values.Get("order"); order {
	case "asc":
		p.Ascending = true
	case "", "desc":
	default:
		return p, shape.Must("asc or desc").In("order").Refusal()
	}
	if s := values.Get("limit"); s != "" {
		n, ok := peek.Int([]byte(s))
		if !ok || n < 1 || n > 100 {
			return p, shape.Must("a whole number from 1 to 100").In("limit").Refusal()
		}
		p.Limit = int(n)
	}
	return p, nil
}

// AppendItems writes a page of items, which are in the order in which they were said. The error is a *chat.Error if
// p.After is none of them.
func AppendItems(dst []byte, items []json.RawMessage, p Page) ([]byte, error) {
	if !p.Ascending {
		items = slices.Clone(items)
		slices.Reverse(items)
	}
	if p.After != "" {
		i := indexOf(items, p.After)
		if i < 0 {
			return dst, (&shape.Fault{Path: "after", Text: "is not the id of an item of this response"}).Refusal()
		}
		items = items[i+1:]
	}
	more := len(items) > p.Limit
	if more {
		items = items[:p.Limit]
	}
	dst = append(dst, `{"object":"list","data":[`...)
	dst = append(append(dst, bytes.Join(asBytes(items), []byte(","))...), ']')
	var first, last string
	if n := len(items); n > 0 {
		first, last = idOf(items[0]), idOf(items[n-1])
	}
	dst = shape.AppendString(append(dst, `,"first_id":`...), first)
	dst = shape.AppendString(append(dst, `,"last_id":`...), last)
	return append(appendBool(append(dst, `,"has_more":`...), more), '}'), nil
}

func asBytes(items []json.RawMessage) [][]byte {
	list := make([][]byte, len(items))
	for i := range items {
		list[i] = items[i]
	}
	return list
}

// AppendDeleted writes the reply to DELETE /v1/responses/{id}.
func AppendDeleted(dst []byte, id string) []byte {
	dst = shape.AppendString(append(dst, `{"id":`...), id)
	return append(dst, `,"object":"response","deleted":true}`...)
}

// AppendInputTokens writes the reply to POST /v1/responses/input_tokens.
func AppendInputTokens(dst []byte, n int64) []byte {
	dst = append(dst, `{"object":"response.input_tokens","input_tokens":`...)
	return append(strconv.AppendInt(dst, n, 10), '}')
}
