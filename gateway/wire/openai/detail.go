package openai

import (
	"encoding/json"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// A thought at OpenRouter (openrouter.ai/docs, "Reasoning Tokens") is one of reasoning_details:
//
//	{"type":"reasoning.text","text":…,"signature":…}
//	{"type":"reasoning.summary","summary":…}
//	{"type":"reasoning.encrypted","data":…}
//
// beside id, index and format, which says whose it is: anthropic-claude-v1, openai-responses-v1, google-gemini-v1 and
// others. They must come back as they were. Of Claude's thoughts the signature is all that it takes, the same that Anthropic
// gives; of others the neutral signature is the detail itself, without its text.
const (
	detailText      = "reasoning.text"
	detailSummary   = "reasoning.summary"
	detailEncrypted = "reasoning.encrypted"

	formatClaude = "anthropic-claude-v1" // also what is meant where none is named
)

// detail is one of them, or a block as LiteLLM has them, being read. Texts are JSON strings, nil if absent.
type detail struct{ kind, text, signature, data, format []byte }

func (d *detail) read(v []byte) bool {
	return peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			d.kind, _ = shape.Inside(val)
		case "thinking", "text", "summary":
			d.text = val
		case "signature":
			d.signature = val
		case "data":
			d.data = val
		case "format":
			d.format, _ = shape.Inside(val)
		}
		return true
	})
}

// known says whether it is a thought, in LiteLLM's words or in OpenRouter's.
func (d *detail) known() bool {
	switch string(d.kind) {
	case "thinking", "redacted_thinking", detailText, detailSummary, detailEncrypted:
		return true
	}
	return false
}

// hidden says whether only its provider can read it.
func (d *detail) hidden() bool {
	return string(d.kind) == detailEncrypted || string(d.kind) == "redacted_thinking"
}

// foreign says whether the detail must come back with all that it has, for its format is not Claude's.
func (d *detail) foreign() bool {
	own := len(d.format) == 0 || string(d.format) == formatClaude
	signature, _ := shape.Inside(d.signature)
	data, _ := shape.Inside(d.data)
	return !own && len(signature)+len(data) > 0
}

// sealed begins a neutral signature that is a detail.
const sealed = `{"type":"reasoning.`

// seal is a detail without its text, as a signature.
func seal(v []byte, kind []byte) []byte {
	b := append(append([]byte(`{"type":"`), kind...), '"')
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "type", "text", "summary":
		default:
			b = append(shape.AppendString(append(b, ','), string(key)), ':')
			b = append(b, val...)
		}
		return true
	})
	return append(b, '}')
}

// detailParts are the thoughts in a list of details. What is not known there is left out.
func detailParts(v []byte) []chat.Part {
	var parts []chat.Part
	peek.Elements(v, func(v []byte) bool {
		var d detail
		if !d.read(v) || !d.known() {
			return true
		}
		p := chat.Part{Kind: chat.PartReasoning}
		p.Text, _ = peek.String(d.text)
		p.Signature, _ = peek.String(d.signature)
		if d.hidden() {
			p.Kind, p.Text = chat.PartRedacted, ""
			p.Signature, _ = peek.String(d.data)
		}
		p.Own(chat.Anthropic)
		if d.foreign() {
			p.Signature, p.Owner = string(seal(v, d.kind)), chat.OpenRouter
		}
		if p.Text != "" || p.Signature != "" {
			parts = append(parts, p)
		}
		return true
	})
	return parts
}

// details writes thoughts as details, or their text if none has a signature. Beside signatures, texts without one are left
// out: OpenRouter's own SDK does so (OpenRouterTeam/ai-sdk-provider PR 468).
func (w *requestWriter) details(parts []chat.Part) {
	open := false
	for i := range parts {
		p := &parts[i]
		if p.Signature == "" || p.Kind != chat.PartReasoning && p.Kind != chat.PartRedacted {
			continue
		}
		if !open {
			open = true
			w.list("reasoning_details")
		}
		w.detail(p)
	}
	if open {
		w.shut(']')
		return
	}
	m := chat.Message{Parts: parts}
	w.text("reasoning_content", m.Text(chat.PartReasoning))
}

func (w *requestWriter) detail(p *chat.Part) {
	if strings.HasPrefix(p.Signature, sealed) && json.Valid([]byte(p.Signature)) {
		w.next()
		w.b = append(w.b, strings.TrimSuffix(p.Signature, "}")...)
		w.more = true
		member := "text"
		if strings.HasPrefix(p.Signature, `{"type":"`+detailSummary+`"`) {
			member = "summary"
		}
		w.text(member, p.Text)
		w.shut('}')
		return
	}
	w.element()
	if p.Kind == chat.PartRedacted {
		w.str("type", detailEncrypted)
		w.str("data", p.Signature)
	} else {
		w.str("type", detailText)
		w.str("text", p.Text)
		w.str("signature", p.Signature)
	}
	w.str("format", formatClaude)
	w.shut('}')
}
