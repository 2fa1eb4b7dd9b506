// Package wire knows which languages are spoken. A dialect's folder holds its codec; this page holds what the machinery
// must know of a dialect without translating it: where a stream ends, where usage stands, what an error looks like.
// Nothing else in the program guesses at these.
package wire

import (
	"math/bits"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/oauth"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// Dialect is a language on the wire. Data arguments are borrowed for the call.
type Dialect struct {
	Name string

	// Look says what one event of a stream tells, and how much of the answer it carries, for [chat.Said], and reads its usage
	// into u. It allocates nothing.
	Look func(name string, data []byte, u *chat.Usage) (s chat.Signs, said int)
	// LookWhole is Look for the body of a unary answer.
	LookWhole func(data []byte, u *chat.Usage) chat.Signs
	// Finished is the set of choices that an event with the sign Finish finishes, a bit for each index.
	Finished func(data []byte) uint64
	// Clean takes out what breaks this dialect's clients, in place.
	Clean func(data []byte) []byte
	// Terminal is the event that ends a stream. Its Data is empty if no gateway can make one up.
	Terminal sse.Event
	// Ends says whether an event is one that ends a stream, be it complete or failed.
	Ends func(name string, data []byte) bool

	// DecodeError reads an error in any of the shapes that this dialect's providers use.
	DecodeError func(data []byte) (chat.Error, bool)
	// AppendError writes an error as a body.
	AppendError func(dst []byte, e chat.Error) []byte
	// AppendFailure writes an error as an event that ends a stream, framed.
	AppendFailure func(dst []byte, e chat.Error) []byte

	Codec // zero for dialects without conversations
}

// Codec translates conversations to the neutral form and back. Errors of DecodeRequest and AppendRequest are *chat.Error
// that name the field at fault; errors of DecodeReply and a decoder are the provider's.
type Codec struct {
	DecodeRequest func(body []byte) (*chat.Request, error)
	// AppendRequest names what the target cannot carry and was left out, in OpenAI's words: seed, logit_bias.
	AppendRequest func(dst []byte, q *chat.Request, t *chat.Target) (body []byte, dropped []string, err error)
	DecodeReply   func(body []byte) (*chat.Reply, error)
	AppendReply   func(dst []byte, q *chat.Request, r *chat.Reply) []byte
	NewDecoder    func() chat.Decoder
	NewEncoder    func(q *chat.Request) chat.Encoder
	// NewFollower goes with a stream that passes to a caller. usage says that the caller has asked for the usage of a stream,
	// which matters to chat completions alone.
	NewFollower func(usage bool) chat.Follower
}

// OpenAI is the dialect of chat completions, and of all of OpenAI's endpoints but Responses.
var OpenAI = &Dialect{ //nolint:gochecknoglobals // immutable
	Name: openai.Name,
	Look: openai.Look, LookWhole: openai.LookWhole, Finished: openai.Finished, Clean: openai.Clean,
	Terminal: sse.Event{Data: []byte("[DONE]")}, Ends: openai.Ends,
	DecodeError: openai.DecodeError, AppendError: openai.AppendError, AppendFailure: openai.AppendFailure,
	Codec: Codec{
		DecodeRequest: openai.DecodeRequest, AppendRequest: openai.AppendRequest,
		DecodeReply: openai.DecodeReply, AppendReply: openai.AppendReply,
		NewDecoder: openai.NewDecoder, NewEncoder: openai.NewEncoder, NewFollower: openai.NewFollower,
	},
}

// Anthropic is the dialect of the Messages API.
var Anthropic = &Dialect{ //nolint:gochecknoglobals // immutable
	Name: anthropic.Name,
	Look: anthropic.Look, LookWhole: anthropic.LookWhole, Finished: anthropic.Finished, Clean: anthropic.Clean,
	Terminal:    sse.Event{Name: "message_stop", Data: []byte(`{"type":"message_stop"}`)},
	Ends:        anthropic.Ends,
	DecodeError: anthropic.DecodeError, AppendError: anthropic.AppendError, AppendFailure: anthropic.AppendFailure,
	Codec: Codec{
		DecodeRequest: anthropic.DecodeRequest, AppendRequest: anthropic.AppendRequest,
		DecodeReply: anthropic.DecodeReply, AppendReply: anthropic.AppendReply,
		NewDecoder: anthropic.NewDecoder, NewEncoder: anthropic.NewEncoder, NewFollower: anthropic.NewFollower,
	},
}

// Responses is the dialect of OpenAI's Responses API. Its terminal event repeats all that was said: nobody can make one up.
var Responses = &Dialect{ //nolint:gochecknoglobals // immutable
	Name: responses.Name,
	Look: responses.Look, LookWhole: responses.LookWhole, Finished: responses.Finished, Clean: responses.Clean,
	Ends:        responses.Ends,
	DecodeError: responses.DecodeError, AppendError: responses.AppendError, AppendFailure: responses.AppendFailure,
	Codec: Codec{
		DecodeRequest: responses.DecodeRequest, AppendRequest: responses.AppendRequest,
		DecodeReply: responses.DecodeReply, AppendReply: responses.AppendReply,
		NewDecoder: responses.NewDecoder, NewEncoder: responses.NewEncoder, NewFollower: responses.NewFollower,
	},
}

// OAuth is the dialect of the endpoints that issue tokens. It is spoken with callers only, so all it needs is errors.
var OAuth = &Dialect{ //nolint:gochecknoglobals // immutable
	Name:        oauth.Name,
	Ends:        func(string, []byte) bool { return false },
	AppendError: oauth.AppendError, AppendFailure: oauth.AppendFailure,
}

// SaidWhole is how many tokens a whole answer has: as its provider counted them, whose usage LookWhole has read, or by an
// estimate of its length. Where nobody counted, and it is no conversation, it is 0.
func (d *Dialect) SaidWhole(data []byte, u *chat.Usage) int64 {
	if u.Provenance != chat.Unknown || d.DecodeReply == nil {
		return u.Completion()
	}
	r, err := d.DecodeReply(data)
	if err != nil {
		return 0
	}
	return r.Tokens()
}

// Complete says whether a stream is complete, even if its terminal event is missing: as many choices have finished as were
// asked for by "n", where 0 is 1. finished is made of what Dialect.Finished gives, whose 64 bits are enough for any n.
func Complete(finished uint64, n int) bool {
	return bits.OnesCount64(finished) >= min(max(n, 1), 64)
}

// ByName finds a dialect; nil if there is none of that name.
func ByName(name string) *Dialect {
	for _, d := range []*Dialect{OpenAI, Anthropic, Responses, OAuth} {
		if name == d.Name {
			return d
		}
	}
	return nil
}
