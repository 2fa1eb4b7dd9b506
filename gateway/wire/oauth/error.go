// Package oauth writes the errors of the endpoints that issue tokens (RFC 6749). They have no conversations.
package oauth

import (
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// Name is the dialect's name.
const Name = "oauth"

// Codes of errors that clients know: those of RFC 6749, section 5.2, and two of its section 4.1.2.1 for what is the server's
// fault.
const (
	InvalidRequest       = "invalid_request"        // 400: a parameter is missing, unknown or there twice
	InvalidClient        = "invalid_client"         // 401: nobody has this key
	InvalidGrant         = "invalid_grant"          // 400: the refresh token is wrong, used, expired or revoked
	UnauthorizedClient   = "unauthorized_client"    // 400: this client may not have what it asks for in this way
	UnsupportedGrantType = "unsupported_grant_type" // 400
	InvalidScope         = "invalid_scope"          // 400: unknown, malformed, or more than was granted
	ServerError          = "server_error"
	Unavailable          = "temporarily_unavailable"
)

// AppendError writes an error as the body of a response (RFC 6749, section 5.2). A code that clients know stays; others become
// one of those by the status. Of the message only those characters are left that the RFC allows.
func AppendError(dst []byte, e chat.Error) []byte {
	dst = append(append(append(dst, `{"error":"`...), code(&e)...), '"')
	if e.Message != "" {
		dst = append(append(append(dst, `,"error_description":"`...), plain(e.Message)...), '"')
	}
	return append(dst, '}')
}

func code(e *chat.Error) string {
	switch e.Code {
	case InvalidRequest, InvalidClient, InvalidGrant, UnauthorizedClient, UnsupportedGrantType, InvalidScope, ServerError, Unavailable:
		return e.Code
	}
	switch {
	case e.Status == 401:
		return InvalidClient
	case e.Status == 403:
		return UnauthorizedClient
	case e.Status == 429, e.Status == 503:
		return Unavailable
	case e.Status >= 400 && e.Status < 500:
		return InvalidRequest
	}
	return ServerError
}

// plain replaces what error_description must not contain: its characters are %x20-21, %x23-5B and %x5D-7E, so that no escape
// is ever needed.
func plain(message string) []byte {
	b := make([]byte, 0, len(message))
	for _, c := range message {
		switch {
		case c == '"':
			b = append(b, '\'')
		case c < ' ' || c > '~' || c == '\\':
			b = append(b, '?')
		default:
			b = append(b, byte(c))
		}
	}
	return b
}

// AppendFailure writes an error as an event. No answer of these endpoints is a stream.
func AppendFailure(dst []byte, e chat.Error) []byte {
	return sse.Append(dst, "error", AppendError(nil, e))
}
