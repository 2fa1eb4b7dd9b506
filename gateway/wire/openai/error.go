package openai

import (
	"bytes"
	"cmp"
	"encoding/json"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// AppendError adds the body of an error, which is also the data of an error event. All four members are always there,
// and param and code null if empty, as OpenAI's schema demands. There is no white space: go-openai takes an event for an
// error only if it begins with exactly {"error":. An error without a type gets that of its status.
func AppendError(dst []byte, e chat.Error) []byte {
	dst = shape.AppendString(append(dst, `{"error":{"message":`...), e.Message)
	dst = shape.AppendString(append(dst, `,"type":`...), cmp.Or(e.Type, errorType(e.Status)))
	dst = shape.AppendOptional(append(dst, `,"param":`...), e.Param)
	dst = shape.AppendOptional(append(dst, `,"code":`...), e.Code)
	return append(dst, "}}"...)
}

// errorType is the type that OpenAI gives errors of an HTTP status.
func errorType(status int) string {
	switch {
	case status == 401:
		return "authentication_error"
	case status == 403:
		return "permission_error"
	case status == 429:
		return "rate_limit_error"
	case status == 503:
		return "service_unavailable_error"
	case 400 <= status && status < 500:
		return "invalid_request_error"
	}
	return "server_error"
}

// AppendFailure adds the error event that ends a stream.
func AppendFailure(dst []byte, e chat.Error) []byte {
	return append(AppendError(append(dst, "data: "...), e), "\n\n"...)
}

// Ends says whether an event ends a stream: [DONE], an error, or the last of images, speech and transcriptions.
func Ends(name string, data []byte) bool {
	if string(data) == "[DONE]" || name == "error" || bytes.HasPrefix(data, []byte(`{"error":`)) {
		return true
	}
	if kind, ok := bytes.CutPrefix(data, []byte(`{"type":"`)); ok { // as OpenAI writes them; a chunk begins otherwise
		kind, _, _ = bytes.Cut(kind, []byte(`"`))
		return last(kind)
	}
	return name != "" && last([]byte(name))
}

// DecodeError reads the body of an error, or an error event. It knows the shapes of those who imitate OpenAI:
//
//	{"error":{"message":…,"type":…,"param":…,"code":…}}       code may be a number (vLLM, OpenRouter)
//	[{"error":{"code":400,"message":…,"status":…}}]             Gemini; the status becomes the type
//	{"error":"text","code":…}                                   xAI, Ollama
//	{"object":"error","message":…,"type":…,"code":…}           older vLLM; Mistral, whose message may be a detail
//	{"message":…}  {"detail":"text"}  {"detail":[{"msg":…}]}  FastAPI and others
//	{"choices":[],"x_groq":{"error":"text"}}                    Groq, inside of a stream
//
// It is false if data is none of these.
func DecodeError(data []byte) (chat.Error, bool) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		var list []json.RawMessage
		if json.Unmarshal(data, &list) != nil || len(list) == 0 {
			return chat.Error{}, false
		}
		data = list[0]
	}
	var outer, inner errorShape
	if json.Unmarshal(data, &outer) != nil {
		return chat.Error{}, false
	}
	if v := outer.Error; len(v) == 0 || string(v) == "null" {
		var groq errorShape
		if json.Unmarshal(outer.Groq, &groq) == nil {
			outer.Error = groq.Error
		}
	}
	if v := outer.Error; len(v) > 0 && v[0] == '{' && json.Unmarshal(v, &inner) == nil {
		return inner.error(), true
	}
	e := outer.error()
	if text := words(outer.Error, 0); text != "" {
		e.Message = text
	}
	return e, e.Message != ""
}

// errorShape has each member in any type, so that one of an unexpected type does not hide the others.
type errorShape struct {
	Error, Message, Msg, Detail, Type, Param, Code, Status json.RawMessage

	Groq json.RawMessage `json:"x_groq"`
}

func (s *errorShape) error() chat.Error {
	return chat.Error{
		Message: s.text(0),
		Type:    cmp.Or(words(s.Type, 0), words(s.Status, 0)),
		Param:   words(s.Param, 0),
		Code:    words(s.Code, 0),
	}
}

func (s *errorShape) text(depth int) string {
	return cmp.Or(words(s.Message, depth), words(s.Detail, depth), words(s.Msg, depth))
}

// words is the text of a string or number, or of what is inside of an object or first in a list; else "".
func words(v json.RawMessage, depth int) string {
	var s string
	var n json.Number
	var list []json.RawMessage
	var object errorShape
	switch {
	case depth > 3: // {"message":{"detail":[{"msg":…}]}}
		return ""
	case json.Unmarshal(v, &s) == nil:
		return s
	case json.Unmarshal(v, &n) == nil:
		return n.String()
	case json.Unmarshal(v, &list) == nil && len(list) > 0:
		return words(list[0], depth+1)
	case json.Unmarshal(v, &object) == nil:
		return object.text(depth + 1)
	}
	return ""
}
