package chat

// PieceKind says what a piece is, and so which of its fields count.
type PieceKind uint8

// Kinds of piece. A stream is
//
//	Begin (Text | Refusal | Reasoning | Signature | Redacted | Citation | Image | Call Arguments* | Usage)* Finish+ Usage? End
//
// with one Finish for each choice. Arguments of several calls may interleave; usage may come anywhere behind Begin, is
// complete each time and replaces what was said before.
const (
	PieceBegin     PieceKind = iota + 1 // Head; Usage, if something is known of the prompt
	PieceText                           // Text, Logprobs
	PieceRefusal                        // Text
	PieceReasoning                      // Text
	PieceSignature                      // Text: Part.Signature of the reasoning, or of the call with this Index if Call is set
	PieceRedacted                       // Text: Part.Signature of a PartRedacted, all of it
	PieceCitation                       // Citation, of the text before it; its places count all PieceText of the choice
	PieceCall                           // Index; Call with ID, Kind and Name: its arguments follow
	PieceArguments                      // Index, Text
	PieceFinish                         // Finish, Stop
	PieceUsage                          // Usage
	PieceEnd                            // the reply is complete: nothing may follow
	PieceImage                          // Text: where a picture that the model has made is: a data: URL in base64, or another
)

// Piece is one step of a streamed reply: the neutral event grammar. Pointers and bytes are borrowed; they are valid until
// the decoder's next call.
type Piece struct {
	Kind   PieceKind
	Choice int // which alternative it belongs to
	Index  int // of a call among the choice's calls, from 0

	// Text is the inside of a JSON string: escaped, and without its quotes. Every dialect is JSON, so text passes through
	// without being unescaped and escaped again. Pieces of one text may be joined, but a piece alone may end with half of
	// a surrogate pair.
	Text []byte

	Owner    Owner  // of a signature
	Logprobs []byte // JSON, a list as in OpenAI's logprobs.content; nil if not given
	Head     *Head
	Call     *ToolCall
	Citation *Citation
	Usage    *Usage
	Finish   FinishReason
	Stop     string // the stop sequence that was met, if the dialect says
}

// How much one streamed reply may hold, so that a hostile provider cannot make the parts of it expensive to tell apart: more
// is what no dialect allows. OpenAI gives at most 128 choices, and takes 128 tools.
const (
	MaxChoices = 128
	MaxCalls   = 1024 // of one choice
)

// CallSaid is how many bytes it counts for, in [Said], that a tool is called, beside its name and arguments: about six tokens.
const CallSaid = 24

// Decoder reads the events of one stream.
type Decoder interface {
	// Decode adds what an event says to dst. An event that says nothing to a caller (a ping) adds nothing. The error is an
	// *Error for a failure that the provider reports, anything else for what the dialect does not allow.
	Decode(dst []Piece, name string, data []byte) ([]Piece, error)
}

// Encoder writes the events of one stream. A piece may need no event, one, or several.
type Encoder interface {
	// Encode adds the events that say p. After PieceEnd nothing may be added.
	Encode(dst *Batch, p *Piece)
	// Fail adds the event that ends a stream with an error.
	Fail(dst *Batch, e *Error)
}

// Batch gathers events, in one buffer that is used again.
type Batch struct {
	Buf   []byte
	names []string
	ends  []int // of each event but the last, which ends with Buf
	given int
}

// Event begins an event with a name, "" for none: what is appended to Buf from now on is its data.
func (b *Batch) Event(name string) {
	if len(b.names) > 0 {
		b.ends = append(b.ends, len(b.Buf))
	}
	b.names = append(b.names, name)
}

// Next gives the events in order, false after the last. Data is valid until Reset.
func (b *Batch) Next() (name string, data []byte, ok bool) {
	i := b.given
	if i == len(b.names) {
		return "", nil, false
	}
	b.given++
	from, to := 0, len(b.Buf)
	if i > 0 {
		from = b.ends[i-1]
	}
	if i < len(b.ends) {
		to = b.ends[i]
	}
	return b.names[i], b.Buf[from:to:to], true
}

// Last is the data of the event that was added last; nil if there is none.
func (b *Batch) Last() []byte {
	if len(b.names) == 0 {
		return nil
	}
	from := 0
	if n := len(b.ends); n > 0 {
		from = b.ends[n-1]
	}
	return b.Buf[from:]
}

// Empty says that Next has given everything.
func (b *Batch) Empty() bool { return b.given == len(b.names) }

// Reset takes all events out.
func (b *Batch) Reset() {
	b.Buf, b.names, b.ends, b.given = b.Buf[:0], b.names[:0], b.ends[:0], 0
}

// Target is what an encoder of requests must know of where the request goes.
type Target struct {
	Model     string // the provider's name of it
	MaxOutput int64  // the model's limit of a completion in tokens, for dialects that demand one; 0 if not known

	Efforts      []string // of reasoning that the model takes, least first; empty if not known
	NoReasoning  bool     // the model does not think, and refuses to be told how much
	AlwaysThinks bool     // the model refuses not to think

	NoSampling bool // the model refuses Sampling
	Adaptive   bool // the model is told how to think by effort (Anthropic: thinking.adaptive), not by a budget
	Refuse     bool // what the target cannot carry is an error, instead of dropped
	AskUsage   bool // of a stream, whatever the caller wants
	MidSystem  bool // a system message may stand behind others (Anthropic: role system); else it moves to the front

	OldMaxTokens  bool   // max_tokens instead of max_completion_tokens
	SeedName      string // member for the seed, if it is not "seed"
	NoUsageOption bool   // stream_options is refused; usage comes anyway

	// What those who imitate chat completions add to it, or lack.
	TopK           bool   // takes top_k, which OpenAI refuses
	JoinText       bool   // contents of several texts must be one string
	NoDeveloper    bool   // does not know the role developer: system instead
	SystemFirst    bool   // refuses instructions behind anything else: all of them are one system message in front
	NoThoughts     bool   // refuses the reasoning of earlier turns
	NoCustomTools  bool   // knows functions only: custom tools become some, see WithoutCustom
	NoAllowedTools bool   // tool_choice cannot allow some of the tools: the others are not offered
	MaxCallID      int    // most bytes of the id of a call; 0: any number
	CacheMarks     string // member of a part that marks the end of a prefix: cache_control, prompt_cache_breakpoint; empty: none
	Signer         Owner  // whose signatures of thoughts and calls are taken back; empty: all that there is a place for
	Thinking       string // member that says how to think: reasoning (OpenRouter, which wants thoughts back in reasoning_details), thinking (DeepSeek); empty: reasoning_effort
}
