package sim

import (
	"encoding/json"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// call is a request to an endpoint that holds no conversation, and is answered at once.
type call struct {
	s                    *Server
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
		{"GET", "/stats", (*call).stats},
		{"POST", "/v1/chat/completions", nil}, // conversations are answered elsewhere
		{"POST", "/v1/messages", nil},
		{"POST", "/v1/responses", nil},
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
	return answer{status, applicationJSON, c.dialect.AppendError(nil, e)}
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
	return answer{200, applicationJSON, b}
}

// lacksVersion refuses a request of Anthropic's API that does not say which version it means.
func (c *call) lacksVersion() answer {
	if c.dialect != wire.Anthropic || c.version != "" {
		return answer{}
	}
	return c.wrong("anthropic-version", "header is required")
}

func (c *call) models() answer {
	return answer{200, applicationJSON, openai.AppendModels(nil, Models())}
}

func (c *call) model() answer {
	for _, m := range Models() {
		if m.ID == c.id {
			return answer{200, applicationJSON, openai.AppendModel(nil, m)}
		}
	}
	return c.refuse(404, unknownModel(c.id))
}

func (c *call) stats() answer { return c.json(c.s.Stats()) }
