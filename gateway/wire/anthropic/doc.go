// Package anthropic is the dialect of Anthropic's Messages API, as Anthropic speaks it and as Bedrock, Vertex and the
// compatible endpoints of others do.
//
// Look, LookWhole, Finished and Ends read replies that pass through, without decoding them. DecodeRequest, AppendReply and
// NewEncoder are the provider's side of a translation, AppendRequest, DecodeReply and NewDecoder the client's.
//
// What comes from callers is read strictly; what comes from providers tolerantly. Two versions of the API are spoken, told
// apart by the header anthropic-version alone: 2026-10-21 has no sampling parameters any more, and no documents in an
// assistant's turn. An encoded request may have both, so it is one of 2023-06-01. Facts are from Anthropic's TypeScript SDK, version 1.12.0, and from its documentation.
//
// Ids of calls may hold only letters, digits, _ and - here. Others are written in base64 behind a prefix, and read back to
// what they were, so that a provider with other ids gets its own back.
package anthropic

import "errors"

// Name is the dialect's name in chat.Request.Dialect.
const Name = "anthropic"

// Versions of the API, as the header anthropic-version names them.
const (
	Version2023 = "2023-06-01"
	Version2026 = "2026-10-21"
)

// ErrMalformed says that a reply or an event is not what the dialect allows.
var ErrMalformed = errors.New("anthropic: malformed reply")
