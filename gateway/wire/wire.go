// Package wire knows which languages are spoken. A dialect's folder holds its codec; this page holds what the machinery
// must know of a dialect without translating it: where a stream ends, where usage stands, what an error looks like.
// Nothing else in the program guesses at these.
package wire

import (
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// Dialect is a language on the wire. Data arguments are borrowed for the call.
type Dialect struct {
	Name string

	// Look says what one event of a stream tells, and reads its usage into u. It allocates nothing.
	Look func(name string, data []byte, u *chat.Usage) chat.Signs
	// LookWhole is Look for the body of a unary answer.
	LookWhole func(data []byte, u *chat.Usage) chat.Signs
	// Finished is the set of choices that an event with the sign Finish finishes, a bit for each index.
	Finished func(data []byte) uint64
	// Clean takes out what breaks this dialect's clients, in place.
	Clean func(data []byte) []byte
	// Terminal is the data of the event that ends a stream; "" if the dialect has none.
	Terminal string

	// DecodeError reads an error in any of the shapes that this dialect's providers use.
	DecodeError func(data []byte) (chat.Error, bool)
	// AppendError writes an error as a body, which is also the data of a stream's error event.
	AppendError func(dst []byte, e chat.Error) []byte
}

// OpenAI is the dialect of chat completions.
var OpenAI = &Dialect{ //nolint:gochecknoglobals // immutable
	Name: "openai",
	Look: openai.Look, LookWhole: openai.LookWhole, Finished: openai.Finished, Clean: openai.Clean, Terminal: "[DONE]",
	DecodeError: openai.DecodeError, AppendError: openai.AppendError,
}

// ByName finds a dialect; nil if there is none of that name.
func ByName(name string) *Dialect {
	if name == OpenAI.Name {
		return OpenAI
	}
	return nil
}
