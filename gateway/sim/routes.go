package sim

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// call is a request to an endpoint that holds no conversation, and is answered at once.
type call struct {
	engine               *engine
	tenant               string // whose files, batches and responses it is about
	holder               string // the name that ids end with; "" for none
	method, path, query  string
	contentType, version string // the latter: of Anthropic's API
	body                 []byte
	dialect              *wire.Dialect // for errors
	id                   string        // that the path names
}

// answer is the reply to a call.
type answer struct {
	status      int
	contentType string
	body        []byte
	events      []event // instead of a body
	retry       string  // for Retry-After, or ""
}

// route is an endpoint; {id} stands for a part of the path, {id...} for all that is left of it.
type route struct {
	method, path string
	answer       func(c *call) answer
}

func routes() []route {
	return []route{
		{"GET", "/v1/models", (*call).models},
		{"GET", "/v1/models/{id...}", (*call).model},
		{"POST", "/v1/chat/completions", nil}, // conversations are answered elsewhere
		{"POST", "/v1/messages", nil},
		{"POST", "/v1/messages/count_tokens", (*call).countTokens},
		{"POST", "/v1/responses", nil},
		{"POST", "/v1/responses/input_tokens", (*call).countTokens},
		{"GET", "/v1/responses/{id}", (*call).response},
		{"DELETE", "/v1/responses/{id}", (*call).deleteResponse},
		{"POST", "/v1/responses/{id}/cancel", (*call).response},
		{"GET", "/v1/responses/{id}/input_items", (*call).inputItems},
		{"POST", "/v1/completions", (*call).completions},
		{"POST", "/v1/embeddings", (*call).embeddings},
		{"POST", "/v1/moderations", (*call).moderations},
		{"POST", "/v1/images/generations", (*call).images},
		{"POST", "/v1/images/edits", (*call).images},
		{"POST", "/v1/images/variations", (*call).images},
		{"POST", "/v1/audio/speech", (*call).speech},
		{"POST", "/v1/audio/transcriptions", (*call).transcription},
		{"POST", "/v1/audio/translations", (*call).transcription},
		{"POST", "/v1/files", (*call).createFile},
		{"GET", "/v1/files", (*call).listFiles},
		{"GET", "/v1/files/{id}", (*call).retrieveFile},
		{"DELETE", "/v1/files/{id}", (*call).deleteFile},
		{"GET", "/v1/files/{id}/content", (*call).fileContent},
		{"POST", "/v1/batches", (*call).createBatch},
		{"GET", "/v1/batches", (*call).listBatches},
		{"GET", "/v1/batches/{id}", (*call).retrieveBatch},
		{"POST", "/v1/batches/{id}/cancel", (*call).cancelBatch},
	}
}

func (c *call) answer() answer {
	known := false
	for _, r := range routes() {
		id, ok := idIn(r.path, c.path)
		if !ok {
			continue
		}
		if known = true; r.method == c.method {
			c.id = id
			return r.answer(c)
		}
	}
	if known {
		return c.refuse(405, chat.Error{
			Type: gateway.TypeInvalidRequest, Code: "method_not_allowed",
			Message: "This path does not know the method " + clip(c.method, 20) + ".",
		})
	}
	return c.refuse(404, unknownPath(c.path))
}

// idIn compares a path with a pattern, and finds what stands for its id.
func idIn(pattern, path string) (id string, ok bool) {
	before, after, some := strings.Cut(pattern, "{id")
	if !some {
		return "", path == pattern
	}
	rest, ok := strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	if after == "...}" {
		return rest, rest != ""
	}
	id, ok = strings.CutSuffix(rest, strings.TrimPrefix(after, "}"))
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// refuse is an error in the caller's dialect.
func (c *call) refuse(status int, e chat.Error) answer {
	return answer{status: status, contentType: applicationJSON, body: c.dialect.AppendError(nil, e)}
}

const applicationJSON = "application/json"

// wrong refuses what a caller got wrong in a parameter.
func (c *call) wrong(param, message string) answer {
	return c.refuse(400, chat.Error{Type: gateway.TypeInvalidRequest, Param: param, Message: param + ": " + message})
}

// missing is what nothing is known of.
func (c *call) missing(what string) answer {
	return c.refuse(404, chat.Error{
		Type: gateway.TypeInvalidRequest, Code: "not_found", Message: "There is no " + what + " \"" + clip(c.id, 80) + "\".",
	})
}

// json answers with a value.
func (c *call) json(v any) answer {
	b, err := json.Marshal(v)
	if err != nil {
		return c.refuse(500, chat.Error{Type: gateway.TypeServer, Message: err.Error()})
	}
	return answer{status: 200, contentType: applicationJSON, body: b}
}

// lacksVersion refuses a request of Anthropic's API that does not say which version it means.
func (c *call) lacksVersion() answer {
	if c.dialect != wire.Anthropic || c.version != "" {
		return answer{}
	}
	return c.wrong("anthropic-version", "header is required")
}

func (c *call) models() answer {
	return answer{status: 200, contentType: applicationJSON, body: openai.AppendModels(nil, Models())}
}

func (c *call) model() answer {
	for _, m := range Models() {
		if m.ID == c.id {
			return answer{status: 200, contentType: applicationJSON, body: openai.AppendModel(nil, m)}
		}
	}
	return c.refuse(404, unknownModel(c.id))
}

// events answers with a stream, all at once.
func (c *call) events(list ...[]byte) answer {
	a := answer{status: 200, contentType: "text/event-stream; charset=utf-8"}
	for _, data := range list {
		name, _ := peek.String(peek.Find(data, []byte(`"type"`)))
		a.events = append(a.events, event{name, data})
	}
	return a
}

// serial is n random letters and digits, others at each call.
func (c *call) serial(n int) string {
	return serial(source(c.engine.count.Add(1), chanceHead), n)
}

func now() int64 { return time.Now().Unix() }
