package quota

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// toolsTokens is what providers put around tools before they give them to a model, at most: Anthropic tells of 346 to 804 tokens.
const toolsTokens = 1024

// promptBound is the most tokens that a request's prompt can be for a model, by what was sent: no token is less than a byte. What
// is not in the body (pictures behind a URL, an earlier conversation, what a search brings) is bounded by the model's window
// alone. plain says that it is a conversation that isPlain. It is not ok if nothing bounds it.
func promptBound(r *gateway.Request, m *catalog.Model, plain bool) (tokens int64, ok bool) {
	var window int64
	if m != nil {
		window = m.Context
	}
	length := int64(len(r.Body()))
	switch {
	case r.ContentType() != "": // a form
		return 0, false
	case plain:
	case r.Endpoint.Decode != nil:
		q, err := r.Chat()
		if err != nil || q == nil || isOpaque(q) {
			return window, window > 0
		}
		if len(q.Tools) > 0 {
			length += toolsTokens
		}
	default:
		switch r.Endpoint.Name {
		case "completions", "embeddings", "moderations":
		default: // by the piece, or by what a file holds
			return 0, false
		}
	}
	if window > 0 && r.Endpoint.Decode != nil { // others have several prompts, each with a window of its own
		length = min(length, window)
	}
	return length, true
}

// isPlain says of a request that it is a conversation, and certainly nothing but text, without decoding it: nothing stands in it
// that has more in it than text and steering words, in any dialect. Most are. What follows each quotation mark is looked at once,
// and what is before it.
func isPlain(r *gateway.Request) bool { return r.Endpoint.Decode != nil && !hasMarks(r.Body(), true) }

// hasMarks looks for marks: for all, or for those alone that can bring more into a prompt than they are themselves.
func hasMarks(body []byte, all bool) bool {
	for at := bytes.IndexByte(body, '"'); at >= 0; {
		before, behind := body[:at], body[at+1:]
		if all && (bytes.HasSuffix(before, []byte("_url")) || bytes.HasSuffix(before, []byte("_id"))) || beginsMore(behind, all) {
			return true
		}
		next := bytes.IndexByte(behind, '"')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return bytes.Contains(body, []byte(`\u00`)) // what may hide behind an escape
}

// beginsMore says whether a name, or a text, begins as those do that bring more than text.
func beginsMore(b []byte, all bool) bool {
	if len(b) == 0 {
		return false
	}
	for _, mark := range marks[b[0]&0x1f] {
		if (all || mark.brings) && len(b) >= len(mark.word) && string(b[:len(mark.word)]) == mark.word {
			return true
		}
	}
	return false
}

// mark is a word that beginsMore looks for.
type mark struct {
	word   string
	brings bool // what the request does not have
}

// marks are by the low bits of their first letter.
var marks = [32][]mark{
	'a' & 0x1f: {{`audio`, true}},
	'c' & 0x1f: {{`conversation"`, true}, {`container"`, true}, {`code_`, true}},
	'd' & 0x1f: {{`document`, true}, {`data"`, false}},
	'f' & 0x1f: {{`file`, true}, {`functions"`, false}},
	'i' & 0x1f: {{`image`, true}, {`input_`, false}, {`input_image`, true}, {`input_file`, true}, {`input_audio`, true}},
	'm' & 0x1f: {{`mcp`, true}},
	'p' & 0x1f: {{`plugins"`, true}, {`previous_response_id"`, true}, {`prompt"`, true}},
	's' & 0x1f: {{`source"`, false}},
	't' & 0x1f: {{`tools"`, false}},
	'u' & 0x1f: {{`url"`, false}},
	'v' & 0x1f: {{`video`, true}},
	'w' & 0x1f: {{`web_`, true}},
}

// isOpaque says whether a conversation has more in it than its text.
func isOpaque(q *chat.Request) bool {
	if isUnseen(q) {
		return true
	}
	for i := range q.Messages {
		if hasMore(q.Messages[i].Parts) {
			return true
		}
	}
	return false
}

// isUnseen says whether a conversation refers to something that becomes a part of its prompt.
func isUnseen(q *chat.Request) bool {
	if q.Previous != "" {
		return true
	}
	for i := range q.Extra { // conversation, prompt, documents, web_search_options, plugins, …: whoever knows what they bring
		if v := q.Extra[i].Value; len(v) > 0 && (v[0] == '{' || v[0] == '[') || isReference(q.Extra[i].Name) {
			return true
		}
	}
	for i := range q.Tools {
		if q.Tools[i].Kind == chat.Hosted {
			return true
		}
	}
	return false
}

func isReference(name string) bool {
	return name == "conversation" || name == "prompt" || name == "container"
}

// hasMore says whether parts are more than text and calls.
func hasMore(parts []chat.Part) bool {
	for i := range parts {
		switch parts[i].Kind {
		case chat.PartImage, chat.PartAudio, chat.PartFile, chat.PartOther:
			return true
		}
	}
	return false
}

// answerBound is the most tokens that each answer may be: what the request allows, but no more than the model can; and if the
// request says nothing, no more than so many. There are as many answers as choices. Where nothing is generated it is 0.
func answerBound(r *gateway.Request, m *catalog.Model, unlimited int64) (each, answers int64) {
	if !r.Endpoint.Generates() {
		return 0, 1
	}
	if each = r.AnswerTokens(); each <= 0 {
		each = unlimited
	}
	if m != nil && m.Output > 0 {
		each = min(each, m.Output)
	}
	return min(each, gateway.MostAnswer), choices(r)
}

// mostChoices bounds what is multiplied.
const mostChoices = 1 << 20

// choices is how many answers a request asks for.
func choices(r *gateway.Request) int64 {
	n := int64(max(r.Fields().N, 1))
	if r.Endpoint.Name == "completions" {
		if best, ok := peek.Int(peek.Find(r.Body(), []byte(`"best_of"`))); ok {
			n = max(n, best)
		}
		n = min(n, mostChoices) * prompts(peek.Find(r.Body(), []byte(`"prompt"`)))
	}
	return min(n, mostChoices)
}

// prompts is how many there are in a "prompt" of the older completions: text, a list of texts, tokens, or a list of lists of them.
func prompts(v []byte) int64 {
	n, several := int64(0), false
	peek.Elements(v, func(element []byte) bool {
		n++
		several = several || element[0] == '"' || element[0] == '['
		return n < mostChoices
	})
	if !several {
		return 1
	}
	return n
}

// inBackground says whether a request is answered before there is an answer, which is fetched later and for nothing.
func inBackground(r *gateway.Request) bool {
	return r.Endpoint.Dialect == "responses" && string(peek.Find(r.Body(), []byte(`"background"`))) == "true"
}
