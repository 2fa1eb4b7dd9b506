package anthropic

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// Stop reasons.
const (
	stopEndTurn  = "end_turn"
	stopSequence = "stop_sequence"
	stopLength   = "max_tokens"
	stopCalls    = "tool_use"
	stopRefusal  = "refusal"
)

// finishOf is a stop reason in neutral words.
func finishOf(reason string) chat.FinishReason {
	switch reason {
	case stopEndTurn, stopSequence, "pause_turn":
		return chat.FinishStop
	case stopLength, "model_context_window_exceeded":
		return chat.FinishLength
	case stopCalls:
		return chat.FinishCalls
	case stopRefusal:
		return chat.FinishFilter
	}
	return chat.FinishReason(reason)
}

// spoken is what a reply is made of.
type spoken struct{ text, refusal, calls bool }

// reasonOf is the stop reason of a reply. Its calls count more than what the provider says: some say stop beside calls
// (vercel/ai #12218), and a client would not run them. So does a refusal, beside which OpenAI says stop.
func reasonOf(f chat.FinishReason, stop string, s spoken) string {
	switch {
	case f == chat.FinishLength:
		return stopLength
	case f == chat.FinishFilter:
		return stopRefusal
	case s.calls:
		return stopCalls
	case s.refusal && !s.text:
		return stopRefusal
	case stop != "":
		return stopSequence
	}
	return stopEndTurn
}

// DecodeReply reads a message. What the model says when it refuses is a refusal. The error is a *chat.Error for an error in
// the place of a message, or ErrMalformed for what has no content, or has a content, blocks or texts of an unexpected type;
// other members of an unexpected type count as absent.
func DecodeReply(body []byte) (*chat.Reply, error) {
	r := &chat.Reply{Choices: []chat.Choice{{Message: chat.Message{Role: chat.RoleAssistant}}}}
	c := &r.Choices[0]
	var reason string
	var content, details, failed []byte
	ok := peek.Each(body, func(key, val []byte) bool {
		switch string(key) {
		case "id":
			r.ID, _ = peek.String(val)
		case "model":
			r.Model, _ = peek.String(val)
		case "content":
			content = val
		case "stop_reason":
			reason, _ = peek.String(val)
		case "stop_sequence":
			c.Stop, _ = peek.String(val)
		case "stop_details":
			details = val
		case "usage":
			addUsage(val, &r.Usage)
			r.ServiceTier = servedTier(val)
		case "error":
			failed = val
		}
		return true
	})
	if ok && isError(failed) {
		e, _ := DecodeError(body)
		return nil, &e
	}
	if !ok || content == nil || content[0] != '[' {
		return nil, ErrMalformed
	}
	peek.Elements(content, func(v []byte) bool {
		p, says, fits := decodeBlock(v)
		if says {
			c.Message.Parts = append(c.Message.Parts, p)
		}
		ok = fits
		return fits
	})
	if !ok {
		return nil, ErrMalformed
	}
	if c.Finish = finishOf(reason); reason == stopRefusal {
		refuse(&c.Message, details)
	}
	r.NameCalls()
	return r, nil
}

// refuse makes a refusal of what the model said, or of the explanation if it said nothing.
func refuse(m *chat.Message, details []byte) {
	said := false
	for i := range m.Parts {
		if p := &m.Parts[i]; p.Kind == chat.PartText {
			p.Kind, p.Citations, said = chat.PartRefusal, nil, true
		}
	}
	if why, _ := peek.String(explanation(details)); why != "" && !said {
		m.Parts = append(m.Parts, chat.Part{Kind: chat.PartRefusal, Text: why})
	}
}

// servedTier is the tier in OpenAI's words.
func servedTier(usage []byte) string {
	if usage[0] != '{' {
		return ""
	}
	tier, _ := peek.String(peek.Find(usage, []byte(`"service_tier"`)))
	if tier == "standard" {
		return tierDefault
	}
	return tier
}

// decodeBlock reads a block of a reply: whether it says something, and whether its shape is right.
func decodeBlock(v []byte) (p chat.Part, says, fits bool) {
	var kind string
	var m members
	var citations []byte
	if !peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			kind, _ = peek.String(val)
		case "citations":
			citations = val
		default:
			m.take(key, val)
		}
		return true
	}) {
		return p, false, false
	}
	fits = true
	switch kind {
	case "text":
		p.Text, _ = peek.String(m.text)
		peek.Elements(citations, func(v []byte) bool {
			if c, ok := citation(v); ok {
				p.Citations = append(p.Citations, c)
			}
			return true
		})
		return p, p.Text != "", shape.Maybe(m.text, `"`)
	case "thinking":
		p.Kind = chat.PartReasoning
		p.Text, _ = peek.String(m.thinking)
		p.Signature, _ = peek.String(m.signature)
		p.Own(chat.Anthropic)
		return p, p.Text != "" || p.Signature != "", shape.Maybe(m.thinking, `"`)
	case "redacted_thinking":
		p.Kind = chat.PartRedacted
		p.Signature, _ = peek.String(m.data)
		p.Own(chat.Anthropic)
	case "tool_use":
		p.Kind, p.Call = chat.PartCall, &chat.ToolCall{Arguments: "{}"}
		p.Call.ID, _ = peek.String(m.id)
		p.Call.ID = plainID(p.Call.ID)
		p.Call.Name, _ = peek.String(m.name)
		if len(m.input) > 0 && m.input[0] == '{' {
			p.Call.Arguments = string(m.input)
		}
	default:
		p.Kind, p.Raw = chat.PartOther, bytes.Clone(v)
	}
	return p, true, fits
}

// citation reads a source on the web; false for places in documents of the request, which have no address.
func citation(v []byte) (chat.Citation, bool) {
	var c chat.Citation
	var source string
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "url":
			c.URL, _ = peek.String(val)
		case "source":
			source, _ = peek.String(val)
		case "title":
			c.Title, _ = peek.String(val)
		case "cited_text":
			c.Quote, _ = peek.String(val)
		}
		return true
	})
	if c.URL == "" && strings.Contains(source, "://") { // of a search result of the caller's own
		c.URL = source
	}
	return c, c.URL != ""
}

// AppendReply adds a message: the first choice, the only one that the dialect has. Usage is always there, as clients
// demand: by the length of prompt and answer if the provider says none. q, which may be nil, says also what the tools are
// called; see [chat.Restore].
func AppendReply(dst []byte, q *chat.Request, r *chat.Reply) []byte {
	r = chat.RestoreCalls(q, r)
	w := writer{dst}
	w.raw("{")
	if q == nil {
		q = &chat.Request{}
	}
	w.head(q.Model, &r.Head)
	var c chat.Choice
	if len(r.Choices) > 0 {
		c = r.Choices[0]
	}
	w.key("content")
	w.raw("[")
	var s spoken
	for i := range c.Message.Parts {
		p := &c.Message.Parts[i]
		w.part(p)
		s.calls = s.calls || p.Kind == chat.PartCall
		s.text = s.text || p.Kind == chat.PartText && p.Text != ""
		s.refusal = s.refusal || p.Kind == chat.PartRefusal && p.Text != ""
	}
	w.raw("]")
	w.stopped(reasonOf(c.Finish, c.Stop, s), c.Stop)
	w.key("usage")
	w.raw("{")
	used := r.Usage
	if used.Provenance == chat.Unknown {
		used = estimate(q)
		used.Output = tokens(length(c.Message.Parts))
	}
	if used.Tier = r.ServiceTier; used.Tier == tierDefault {
		used.Tier = "standard"
	}
	w.usage(&used)
	w.raw("}}")
	return w.b
}

// head writes what a message begins with; asked is the model for providers that do not say which it was.
func (w *writer) head(asked string, h *chat.Head) {
	id := h.ID
	if id == "" {
		id = "msg_" + rand.Text()
	}
	w.text("id", id)
	w.raw(`,"type":"message","role":"assistant"`)
	w.text("model", cmp.Or(h.Model, asked))
}

// stopped writes why a message ended.
func (w *writer) stopped(reason, sequence string) {
	w.text("stop_reason", reason)
	if reason == stopSequence {
		w.text("stop_sequence", sequence)
	} else {
		w.raw(`,"stop_sequence":null`)
	}
	w.raw(`,"stop_details":null`)
}

// part writes a part of a reply as a block, or as none.
func (w *writer) part(p *chat.Part) {
	switch p.Kind {
	case chat.PartText, chat.PartRefusal:
		if p.Text == "" {
			return
		}
		w.element("text")
		w.text("text", p.Text)
		w.citations(p.Citations)
	case chat.PartAudio:
		w.element("text")
		w.text("text", cmp.Or(p.Text, chat.LostSound))
	case chat.PartImage:
		w.element("text")
		w.text("text", string(chat.LostImage([]byte(p.Media.URL))))
	case chat.PartReasoning:
		w.thought(p.Text, p.Owner.Tag(chat.Anthropic)+p.Signature)
		return
	case chat.PartRedacted:
		w.element("redacted_thinking")
		w.text("data", p.Owner.Tag(chat.Anthropic)+p.Signature)
	case chat.PartCall:
		id := callID(p.Call.ID)
		if p.Signature != "" {
			w.thought("", carried(id)+p.Signature)
		}
		w.element("tool_use")
		w.text("id", id)
		w.text("name", p.Call.Name)
		w.key("input")
		if !w.input(p.Call) { // what the model wrote is kept, for the client to refuse
			w.input(&chat.ToolCall{Kind: chat.Custom, Arguments: p.Call.Arguments})
		}
	case chat.PartOther:
		if ownBlock(p.Raw) {
			w.next()
			w.b = append(w.b, p.Raw...)
		}
		return
	default:
		return
	}
	w.raw("}")
}

// ownBlock says whether a part that only its own dialect knows is a block of this one: a tool that the provider runs, or
// what it found.
func ownBlock(raw []byte) bool {
	kind, _ := peek.String(peek.Find(raw, []byte(`"type"`)))
	switch kind {
	case "server_tool_use", "mcp_tool_use", "container_upload":
		return true
	}
	return strings.HasSuffix(kind, "_tool_result")
}

// thought writes a thinking block.
func (w *writer) thought(text, signature string) {
	w.element("thinking")
	w.text("thinking", text)
	w.text("signature", signature)
	w.raw("}")
}

func (w *writer) citations(list []chat.Citation) {
	if len(list) == 0 {
		return
	}
	w.key("citations")
	w.raw("[")
	for i := range list {
		w.next()
		w.citation(&list[i])
	}
	w.raw("]")
}

// citation writes a source as one of a web search. What Anthropic finds it by again, it alone can know.
func (w *writer) citation(c *chat.Citation) {
	w.raw(`{"type":"web_search_result_location"`)
	w.text("url", c.URL)
	w.key("title")
	w.b = shape.AppendOptional(w.b, c.Title)
	w.text("cited_text", c.Quote)
	w.raw(`,"encrypted_index":""}`)
}

// callID is the id of a call on the wire. Clients tell calls of a whole conversation apart by it, so one that has none
// gets one.
func callID(id string) string {
	if id == "" {
		return "toolu_" + rand.Text()
	}
	return wireID(id)
}

// AppendCount adds the reply to count_tokens.
func AppendCount(dst []byte, tokens int64) []byte {
	w := writer{dst}
	w.raw("{")
	w.whole("input_tokens", tokens)
	w.raw("}")
	return w.b
}
