package sim

import (
	"errors"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// refusal is the error with a status, in the words that OpenAI uses for it.
func refusal(status int) chat.Error {
	e := chat.Error{Type: gateway.TypeInvalidRequest, Message: "The simulator refuses this request, as the name of its model asks."}
	switch {
	case status == 401:
		e.Code, e.Message = "invalid_api_key", "Incorrect API key provided. The simulator says so because the name of its model asks for it."
	case status == 403:
		e.Code = "permission_denied"
	case status == 404:
		e.Code, e.Param = "model_not_found", "model"
	case status == 408:
		e.Type, e.Code = gateway.TypeServer, "timeout"
	case status == 413:
		e.Code = "request_too_large"
	case status == 429:
		e.Type, e.Code = gateway.TypeRateLimit, "rate_limit_exceeded"
		e.Message = "Rate limit reached, or so the simulator pretends. Try again later."
	case status == 503:
		e.Type, e.Code = "service_unavailable_error", "server_is_overloaded"
		e.Message = "The simulator pretends to be overloaded. Try again later."
	case status == 529:
		e.Type, e.Message = "overloaded_error", "Overloaded, or so the simulator pretends."
	case status >= 500:
		e.Type, e.Message = gateway.TypeServer, "The simulator pretends that its server had an error."
	}
	return e
}

func quotaSpent() chat.Error {
	return chat.Error{
		Type: "insufficient_quota", Code: "insufficient_quota",
		Message: "You exceeded your current quota, or so the simulator pretends. Please check your plan and billing details.",
	}
}

// broken is what an error inside a reply says.
func broken() chat.Error {
	return chat.Error{Type: gateway.TypeServer, Code: "simulated_error", Message: "The simulator reports an error inside its answer."}
}

func unknownModel(name string) chat.Error {
	return chat.Error{
		Type: gateway.TypeInvalidRequest, Code: "model_not_found", Param: "model",
		Message: "The simulator has no model \"" + clip(name, 80) + "\". Names like it are " + strings.Join(similar(name), ", ") + ".",
	}
}

func unknownPath(path string) chat.Error {
	return chat.Error{
		Type: gateway.TypeInvalidRequest, Code: "unknown_url",
		Message: "The simulator does not know " + clip(path, 80) + ". See its documentation for those that it knows.",
	}
}

// badRequest is what DecodeRequest says of a request.
func badRequest(err error) chat.Error {
	if said, ok := errors.AsType[*chat.Error](err); ok {
		return *said
	}
	return chat.Error{Type: gateway.TypeInvalidRequest, Message: err.Error()}
}

const htmlPage = `<html>
<head><title>Bad Gateway</title></head>
<body><center><h1>Bad Gateway</h1></center><hr><center>simulator</center></body>
</html>
`
