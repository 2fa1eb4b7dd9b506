package openai

import (
	"bytes"
	"errors"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// ErrMalformed says that a reply or an event is not what the dialect allows.
var ErrMalformed = errors.New("openai: malformed reply")

// DecodeReply reads the body of a chat.completion. The error is a *chat.Error for a failure that the provider reports in
// spite of the status, and ErrMalformed for what has no choices, for a choice that has no message, or an empty one and no
// finish reason, and for choices, messages, contents or calls of an unexpected type; other members of an unexpected type are left out.
func DecodeReply(body []byte) (*chat.Reply, error) {
	var m members
	if !m.read(body) {
		return nil, ErrMalformed
	}
	if m.failed() {
		e, _ := DecodeError(body)
		return nil, &e
	}
	r := &chat.Reply{}
	m.usage(&r.Usage)
	var cited []chat.Citation
	peek.Each(body, func(key, val []byte) bool {
		switch string(key) {
		case "service_tier":
			r.ServiceTier, _ = peek.String(val)
		case "citations": // xAI, Perplexity
			cited = links(val)
		default:
			readHead(&r.Head, key, val)
		}
		return true
	})
	var failed error
	peek.Elements(m.choices, func(val []byte) bool {
		c := chat.Choice{Index: len(r.Choices)}
		failed = readChoice(val, &c)
		r.Choices = append(r.Choices, c)
		return failed == nil
	})
	switch {
	case failed != nil:
		return nil, failed
	case len(r.Choices) == 0:
		return nil, ErrMalformed
	}
	r.NameCalls()
	if p := lastText(r.Choices[0].Message.Parts); p != nil && len(p.Citations) == 0 {
		p.Citations = cited
	}
	return r, nil
}

func readHead(h *chat.Head, key, val []byte) {
	switch string(key) {
	case "id":
		h.ID, _ = peek.String(val)
	case "model":
		h.Model, _ = peek.String(val)
	case "created":
		h.Created, _ = peek.Int(val)
	}
}

// links reads a list of URLs.
func links(v []byte) []chat.Citation {
	var list []chat.Citation
	peek.Elements(v, func(val []byte) bool {
		if s, ok := peek.String(val); ok {
			list = append(list, chat.Citation{URL: s})
		}
		return true
	})
	return list
}

func lastText(parts []chat.Part) *chat.Part {
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i].Kind == chat.PartText {
			return &parts[i]
		}
	}
	return nil
}

// readChoice reads one of choices.
func readChoice(v []byte, c *chat.Choice) error {
	var d answerReader
	var message, reason, logprobs []byte
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "index":
			setIndex(&c.Index, val)
		case "message":
			message = val
			peek.Each(val, d.member)
		case "finish_reason":
			reason, _ = shape.Inside(val)
		case "stop_reason": // vLLM: the stop sequence that was met
			c.Stop, _ = peek.String(val)
		case "logprobs":
			logprobs = val
		}
		return true
	})
	if !isObject(v) || !isObject(message) || d.malformed {
		return ErrMalformed
	}
	c.Message = chat.Message{Role: chat.RoleAssistant, Parts: d.parts()}
	if len(reason) == 0 && len(c.Message.Parts) == 0 {
		return ErrMalformed // neither an answer nor why there is none
	}
	attachLogprobs(c.Message.Parts, logprobs)
	if len(reason) == 0 {
		reason = []byte("stop") // the reply is whole, and some forget to say so (bifrost#1489)
	}
	finish, failed := finishReason(reason, len(d.calls) > 0)
	c.Finish = finish
	if failed != nil {
		return failed
	}
	return nil
}

func attachLogprobs(parts []chat.Part, v []byte) {
	peek.Each(v, func(key, val []byte) bool {
		for i := range parts {
			p := &parts[i]
			if val[0] == '[' && p.Logprobs == nil && (string(key) == "content" && p.Kind == chat.PartText ||
				string(key) == "refusal" && p.Kind == chat.PartRefusal) {
				p.Logprobs = bytes.Clone(val)
				break
			}
		}
		return true
	})
}

func setIndex(to *int, v []byte) {
	if n, ok := peek.Int(v); ok && n >= 0 && n < 1<<31 {
		*to = int(n)
	}
}

// finishReason is a reason in OpenAI's words. xAI and others say stop where there are calls (vercel/ai #12218). Gemini's own
// words come through its imitation of OpenAI, alone or behind "content_filter: ".
func finishReason(reason []byte, called bool) (chat.FinishReason, *chat.Error) {
	reason, filtered := bytes.CutPrefix(reason, []byte("content_filter: "))
	switch string(reason) {
	case "stop", "eos", "STOP": // the second: Together
		if called {
			return chat.FinishCalls, nil
		}
		return chat.FinishStop, nil
	case "length", "model_length", "MAX_TOKENS": // the second: Mistral
		return chat.FinishLength, nil
	case "tool_calls", "function_call":
		return chat.FinishCalls, nil
	case "content_filter", "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
		"IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE":
		return chat.FinishFilter, nil
	case "error", "insufficient_system_resource", // Mistral, OpenRouter; DeepSeek
		"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE":
		return "", &chat.Error{
			Message: "The provider broke off its answer: " + string(reason) + ".", Type: "server_error", Code: string(reason),
		}
	}
	if filtered {
		return chat.FinishFilter, nil
	}
	return chat.FinishReason(reason), nil
}

// answerReader gathers the members of an assistant's message as providers write it.
type answerReader struct {
	content, blocks, details []chat.Part
	calls, images            []chat.Part
	reasoning, refusal       string
	audio                    *chat.Part
	cited                    []chat.Citation
	malformed                bool
}

func (d *answerReader) member(key, v []byte) bool {
	switch string(key) {
	case "content":
		d.malformed = d.malformed || !shape.Maybe(v, `"[`) || isList(v) && !allObjects(v)
		d.content = contentParts(v)
	case "refusal":
		d.refusal, _ = peek.String(v)
	case "reasoning_content", "reasoning", "reasoning_text": // several may stand for the same
		if s, _ := peek.String(v); s != "" {
			d.reasoning = s
		}
	case "thinking_blocks":
		d.blocks = contentParts(v)
	case "reasoning_details":
		d.details = detailParts(v)
	case "tool_calls":
		d.malformed = d.malformed || !shape.Maybe(v, "[") || !allObjects(v)
		peek.Elements(v, func(val []byte) bool {
			d.call(val)
			return true
		})
	case "function_call": // deprecated
		d.malformed = d.malformed || !shape.Maybe(v, "{")
		p := chat.Part{Kind: chat.PartCall, Call: new(chat.ToolCall)}
		if called(v, p.Call); p.Call.Name != "" {
			d.calls = append(d.calls, p)
		}
	case "annotations":
		d.cited = citations(v)
	case "audio":
		d.audio = audioPart(v)
	case "images": // OpenRouter
		d.images = contentParts(v)
	}
	return true
}

// allObjects says whether a list has nothing else.
func allObjects(list []byte) bool {
	all := true
	peek.Elements(list, func(v []byte) bool {
		all = isObject(v)
		return all
	})
	return all
}

func (d *answerReader) parts() []chat.Part {
	parts := append(thoughts(d.blocks, d.details, d.reasoning), d.content...)
	if p := lastText(parts); p != nil {
		p.Citations = d.cited
	}
	if d.refusal != "" {
		parts = append(parts, chat.Part{Kind: chat.PartRefusal, Text: d.refusal})
	}
	if d.audio != nil {
		parts = append(parts, *d.audio)
	}
	return append(append(parts, d.images...), d.calls...)
}

// contentParts reads a text, or a list of parts (Mistral). What is none is left out, and so is a text that says nothing.
func contentParts(v []byte) []chat.Part {
	if s, ok := peek.String(v); ok {
		if s == "" {
			return nil
		}
		return []chat.Part{{Text: s}}
	}
	var parts []chat.Part
	peek.Elements(v, func(val []byte) bool {
		var p chat.Part
		if readPart(val, &p) != nil {
			p = chat.Part{}
			if readThought(val, &p) != nil {
				return true
			}
		}
		if p.Kind != chat.PartText || p.Text != "" {
			parts = append(parts, p)
		}
		return true
	})
	return parts
}

func (d *answerReader) call(v []byte) {
	p := chat.Part{Kind: chat.PartCall, Call: new(chat.ToolCall)}
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "id":
			p.Call.ID, _ = peek.String(val)
		case "custom":
			p.Call.Kind = chat.Custom
			called(val, p.Call)
		case "function":
			called(val, p.Call)
		case "extra_content":
			p.Signature, _ = peek.String(thoughtSignature(val))
		}
		return true
	})
	if p.Call.Name != "" {
		d.calls = append(d.calls, p)
	}
}

// called reads arguments as text, also where they are an object (Mistral).
func called(v []byte, c *chat.ToolCall) {
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "name":
			c.Name, _ = peek.String(val)
		case "arguments", "input":
			s, ok := peek.String(val)
			if !ok && val[0] == '{' {
				s = string(val)
			}
			c.Arguments = s
		}
		return true
	})
}

func citations(v []byte) []chat.Citation {
	var list []chat.Citation
	peek.Elements(v, func(val []byte) bool {
		var c chat.Citation
		if readCitation(val, &c); c.URL != "" {
			list = append(list, c)
		}
		return true
	})
	return list
}

// readCitation reads {"type":"url_citation","url_citation":{…}}.
func readCitation(v []byte, c *chat.Citation) {
	peek.Each(peek.Find(v, []byte(`"url_citation"`)), func(key, val []byte) bool {
		switch string(key) {
		case "url":
			c.URL, _ = peek.String(val)
		case "title":
			c.Title, _ = peek.String(val)
		case "content": // OpenRouter
			c.Quote, _ = peek.String(val)
		case "start_index":
			setIndex(&c.Start, val)
		case "end_index":
			setIndex(&c.End, val)
		}
		return true
	})
}

func audioPart(v []byte) *chat.Part {
	p := &chat.Part{Kind: chat.PartAudio, Media: new(chat.Media)}
	ok := false
	peek.Each(v, func(key, val []byte) bool {
		ok = true
		switch string(key) {
		case "id":
			p.Media.ID, _ = peek.String(val)
		case "data":
			p.Media.Data, _ = peek.String(val)
		case "transcript":
			p.Text, _ = peek.String(val)
		}
		return true
	})
	if !ok {
		return nil
	}
	return p
}
