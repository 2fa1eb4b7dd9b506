package anthropic

import (
	"cmp"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// tooLong is how Anthropic begins to say that a prompt exceeds the context; clients look for it to shorten the prompt.
const tooLong = "prompt is too long"

// AppendError adds the body of an error, which is also the data of an error event. A type in OpenAI's words becomes
// Anthropic's, decided by the code where that says more, else by the status; the code itself goes to details.error_code. The
// field at fault, which has no member of its own here, stands in front of the message, as Anthropic writes it.
func AppendError(dst []byte, e chat.Error) []byte {
	w := writer{dst}
	w.raw(`{"type":"error","error":{`)
	w.text("type", errorType(&e))
	switch {
	case e.Code == codeTooLong && !strings.Contains(e.Message, tooLong):
		e.Message = tooLong + ": " + e.Message
	case e.Code != codeTooLong && e.Param != "" && !strings.Contains(e.Message, e.Param):
		e.Message = e.Param + ": " + e.Message
	}
	w.text("message", e.Message)
	if e.Code != "" {
		w.key("details")
		w.raw("{")
		w.text("error_code", e.Code)
		w.raw("}")
	}
	w.raw("}")
	if e.RequestID != "" {
		w.text("request_id", e.RequestID)
	}
	w.raw("}")
	return w.b
}

// AppendFailure adds the error event that ends a stream.
func AppendFailure(dst []byte, e chat.Error) []byte {
	return append(AppendError(append(dst, "event: error\ndata: "...), e), "\n\n"...)
}

// Types of errors, and the codes of OpenAI's that say the same.
const (
	typeInvalid    = "invalid_request_error"
	typeAuth       = "authentication_error"
	typeBilling    = "billing_error"
	typePermission = "permission_error"
	typeNotFound   = "not_found_error"
	typeConflict   = "conflict_error"
	typeTooLarge   = "request_too_large"
	typeRate       = "rate_limit_error"
	typeAPI        = "api_error"
	typeTimeout    = "timeout_error"
	typeOverloaded = "overloaded_error"

	typeServer  = "server_error" // OpenAI's for api_error
	codeTooLong = "context_length_exceeded"
)

// errorType is the type in Anthropic's words.
func errorType(e *chat.Error) string {
	if e.Status == 429 { // also where OpenAI says that a quota is spent: here a status and its type go together
		return typeRate
	}
	switch e.Code {
	case "invalid_api_key":
		return typeAuth
	case "model_not_found", "unknown_endpoint", "not_found":
		return typeNotFound
	case "request_too_large":
		return typeTooLarge
	case "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded", "project_spend_limit_exceeded":
		return typeBilling
	case "rate_limit_exceeded", "slow_down":
		return typeRate
	case "server_is_overloaded", "gateway_busy", "shutting_down":
		return typeOverloaded
	case "upstream_timeout", "deadline_exceeded":
		return typeTimeout
	}
	switch e.Type {
	case typeInvalid:
		if e.Status > 0 {
			return typeOfStatus(e.Status)
		}
		return e.Type
	case typeAuth, typeBilling, typePermission, typeNotFound, typeConflict, typeTooLarge, typeRate, typeAPI,
		typeTimeout, typeOverloaded:
		return e.Type
	case "insufficient_quota":
		return typeBilling
	case "requests", "tokens":
		return typeRate
	case "service_unavailable_error":
		return typeOverloaded
	}
	return typeOfStatus(e.Status)
}

// typeOfStatus is the type that Anthropic gives errors of an HTTP status.
func typeOfStatus(status int) string {
	switch status {
	case 401:
		return typeAuth
	case 402:
		return typeBilling
	case 403:
		return typePermission
	case 404:
		return typeNotFound
	case 408, 504:
		return typeTimeout
	case 409:
		return typeConflict
	case 413:
		return typeTooLarge
	case 429:
		return typeRate
	case 503, 529:
		return typeOverloaded
	}
	if 400 <= status && status < 500 {
		return typeInvalid
	}
	return typeAPI
}

// DecodeError reads the body of an error, or an error event:
//
//	{"type":"error","error":{"type":…,"message":…,"details":{"error_code":…}},"request_id":…}
//	{"error":{"message":…,"type":…,"param":…,"code":…}}   those who imitate the dialect
//	{"error":"text"}  {"message":"text"}  {"detail":"text"}      proxies, Bedrock
//
// api_error becomes OpenAI's server_error; other types stay. Where there is no code, the type's own is given if it has
// one: overloaded_error is server_is_overloaded. It is false if data is none of these.
func DecodeError(data []byte) (chat.Error, bool) {
	var e chat.Error
	var inner []byte
	peek.Each(data, func(key, val []byte) bool {
		switch string(key) {
		case "error":
			inner = val
		case "message", "detail":
			e.Message, _ = peek.String(val)
		}
		return true
	})
	if !isError(inner) {
		return e, e.Message != ""
	}
	if s, ok := peek.String(inner); ok {
		return chat.Error{Message: s}, true
	}
	e = chat.Error{}
	peek.Each(inner, func(key, val []byte) bool {
		switch string(key) {
		case "message":
			e.Message, _ = peek.String(val)
		case "type":
			e.Type, _ = peek.String(val)
		case "param":
			e.Param, _ = peek.String(val)
		case "code":
			e.Code, _ = peek.String(val)
		case "details":
			if code, _ := peek.String(peek.Find(val, []byte(`"error_code"`))); code != "" {
				e.Code = code
			}
		}
		return true
	})
	if e.Type == typeAPI {
		e.Type = typeServer
	}
	e.Code = cmp.Or(e.Code, codeOf(&e))
	return e, true
}

// codeOf is the code in OpenAI's words of an error that has none.
func codeOf(e *chat.Error) string {
	switch e.Type {
	case typeInvalid:
		if strings.Contains(e.Message, tooLong) {
			return codeTooLong
		}
	case typeAuth:
		return "invalid_api_key"
	case typeNotFound:
		if strings.HasPrefix(e.Message, "model:") {
			return "model_not_found"
		}
	case typeBilling:
		return "insufficient_quota"
	case typeTooLarge:
		return "request_too_large"
	case typeRate:
		return "rate_limit_exceeded"
	case typeOverloaded:
		return "server_is_overloaded"
	}
	return ""
}
