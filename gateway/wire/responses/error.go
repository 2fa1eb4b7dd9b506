package responses

import (
	"bytes"
	"slices"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// AppendError adds the body of an error, which is the same as that of chat completions.
func AppendError(dst []byte, e chat.Error) []byte { return openai.AppendError(dst, e) }

// AppendFailure adds the error event that ends a stream about which nothing else is known. Its sequence number is 0.
func AppendFailure(dst []byte, e chat.Error) []byte { return AppendFailureAfter(dst, e, 0) }

// AppendFailureAfter adds the error event that ends a stream of so many events.
func AppendFailureAfter(dst []byte, e chat.Error, events int64) []byte {
	return sse.Append(dst, "error", appendFlat(nil, &e, events))
}

// appendFlat writes an error as the data of an event, where it is not nested.
func appendFlat(dst []byte, e *chat.Error, sequence int64) []byte {
	dst = shape.AppendOptional(append(dst, `{"type":"error","code":`...), codeOrType(e))
	dst = shape.AppendString(append(dst, `,"message":`...), e.Error())
	dst = shape.AppendOptional(append(dst, `,"param":`...), e.Param)
	return append(appendInt(append(dst, `,"sequence_number":`...), &sequence, ""), '}')
}

func codeOrType(e *chat.Error) string {
	if e.Code != "" {
		return e.Code
	}
	return e.Type
}

// DecodeError reads the body of an error in any of the shapes that those of chat completions have, an error event, which is
// flat over HTTP and nested in frames of a WebSocket, or a response that failed or was cancelled, by itself or in its event.
func DecodeError(data []byte) (chat.Error, bool) {
	var a answer
	if !a.read(data) {
		return openai.DecodeError(data) // Gemini's are in a list
	}
	if inside := peek.Find(data, []byte(`"response"`)); len(inside) > 0 && inside[0] == '{' {
		data, a = inside, answer{}
		a.read(inside)
	}
	if e, ok := failure(data, &a); ok {
		return e, true
	}
	if a.whole {
		return chat.Error{}, false
	}
	return openai.DecodeError(data)
}

// failure is the error of a response, or of what stands in its place; false for one that did not fail.
func failure(data []byte, a *answer) (chat.Error, bool) {
	flat := bytes.Equal(peek.Find(data, []byte(`"type"`)), []byte(`"error"`))
	var e chat.Error
	switch {
	case isError(a.err):
		e, _ = openai.DecodeError(data)
	case a.status == failed, a.status == "cancelled":
		e = chat.Error{Message: "The response has the status " + a.status + "."}
	case flat:
		e, _ = openai.DecodeError(data)
		e.Type = ""
	default:
		return e, false
	}
	if e.Type == "" && (flat || a.whole) {
		e.Type = typeOf(e.Code)
	}
	return e, true
}

// isError takes null, false and "" for no error.
func isError(v []byte) bool { return len(v) > 0 && (v[0] == '{' || v[0] == '"' && len(v) > 2) }

// typeOf is the type that an error of a code has elsewhere: here it has none.
func typeOf(code string) string {
	switch code {
	case "rate_limit_exceeded", "slow_down":
		return "rate_limit_error"
	case "insufficient_quota":
		return code
	case "invalid_prompt", "context_length_exceeded", "previous_response_not_found":
		return "invalid_request_error"
	}
	if slices.Contains(imageCodes[:], code) {
		return "invalid_request_error"
	}
	return "server_error"
}

// imageCodes say what is wrong with an image of the request.
var imageCodes = [...]string{
	"invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url", "image_too_large",
	"image_too_small", "image_parse_error", "image_content_policy_violation", "invalid_image_mode", "image_file_too_large",
	"unsupported_image_media_type", "empty_image_file", "failed_to_download_image", "image_file_not_found",
}

// errorCode is the code of a response that failed. The schema has a list of them; OpenAI's clients act on some more.
func errorCode(e *chat.Error) string {
	switch e.Code {
	case "server_error", "rate_limit_exceeded", "invalid_prompt", "data_residency_mismatch", "bio_policy", "vector_store_timeout",
		"context_length_exceeded", "insufficient_quota", "server_is_overloaded", "slow_down": // Codex
		return e.Code
	}
	switch {
	case slices.Contains(imageCodes[:], e.Code):
		return e.Code
	case e.Code == "429", e.Type == "rate_limit_error":
		return "rate_limit_exceeded"
	case e.Type == "overloaded_error", e.Type == "service_unavailable_error":
		return "server_is_overloaded"
	case e.Type == "invalid_request_error":
		return "invalid_prompt"
	}
	return "server_error"
}
