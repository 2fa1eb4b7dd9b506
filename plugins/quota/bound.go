package quota

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// toolsTokens is what providers put around tools before they give them to a model, at most: Anthropic tells of 346 to 804 tokens.
const toolsTokens = 1024

// promptBound is the most tokens that a request's prompt can be for a model, by what was sent: no token is less than a byte. What
// is not in the body (pictures behind a URL, an earlier conversation, what a search brings) is bounded by the model's window
// alone. It is not ok if nothing bounds it.
func promptBound(r *gateway.Request, m *catalog.Model) (tokens int64, ok bool) {
	var window int64
	if m != nil {
		window = m.Context
	}
	length := int64(len(r.Body()))
	switch {
	case r.ContentType() != "": // a form
		return 0, false
	case r.Endpoint.Decode != nil && isPlain(r.Body()):
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
	if window > 0 {
		length = min(length, window)
	}
	return length, true
}

// marks are what stands in a body that has more in it than text and steering words, in any dialect.
var marks = [][]byte{
	[]byte(`_url"`), []byte(`"url"`), []byte(`"image`), []byte(`"input_`), []byte(`"file`), []byte(`"audio`), []byte(`"video`), []byte(`"document`),
	[]byte(`"source"`), []byte(`"data"`), []byte(`"tools"`), []byte(`"functions"`), []byte(`"mcp`), []byte(`"web_search`), []byte(`"plugins"`),
	[]byte(`"previous_response_id"`), []byte(`"conversation"`), []byte(`"prompt"`), []byte(`"container"`), []byte(`_id"`),
	[]byte(`\u00`), // nor does anything of it hide behind an escape
}

// isPlain says of a conversation that it is certainly nothing but text, without decoding it. Most are.
func isPlain(body []byte) bool {
	for _, mark := range marks {
		if bytes.Contains(body, mark) {
			return false
		}
	}
	return true
}

// isOpaque says whether a conversation has more in it than its text.
func isOpaque(q *chat.Request) bool {
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
	for i := range q.Messages {
		if hasMore(q.Messages[i].Parts) {
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

// answerBound is the most tokens that each of the choices of an answer may be: what the request allows, but no more than the model
// can; and if the request says nothing, no more than so many.
func answerBound(r *gateway.Request, m *catalog.Model, unlimited int64) (each, choices int64) {
	each, choices = r.AnswerTokens(), int64(max(r.Fields().N, 1))
	if each <= 0 {
		each = unlimited
	}
	if m != nil && m.Output > 0 {
		each = min(each, m.Output)
	}
	return each, choices
}
