package chat

// Head is what a reply and each chunk of a stream have in common.
type Head struct {
	ID      string
	Model   string
	Created int64 // Unix seconds; 0 if the dialect does not say
}

// Reply is a complete answer.
type Reply struct {
	Head
	Choices     []Choice
	Usage       Usage  // left out if its provenance is Unknown
	ServiceTier string // that served it, or empty
}

// Choice is one of the alternatives that were asked for with Request.N.
type Choice struct {
	Index   int
	Message Message
	Finish  FinishReason
	Stop    string // the stop sequence that was met, if the dialect says
}

// FinishReason says why a choice ended; empty while it has not.
type FinishReason string

// Finish reasons. Providers have more; unknown ones pass as they are.
const (
	FinishStop   FinishReason = "stop"           // the model was done, or met a stop sequence
	FinishLength FinishReason = "length"         // MaxTokens or the context is used up
	FinishCalls  FinishReason = "tool_calls"     // the model waits for results
	FinishFilter FinishReason = "content_filter" // withheld, by the provider or by refusal
)

// Error is a failure in a provider's words.
type Error struct {
	Message string
	Type    string // the class of error: invalid_request_error, server_error, …
	Param   string // the request field at fault, or empty
	Code    string // the exact error, or empty

	// Of an error that Sluice writes, for dialects whose types follow the status and whose errors repeat the request's id;
	// decoders leave them out.
	Status    int    // of HTTP, also of an error inside of a stream; 0 if it has none
	RequestID string // the gateway's own
}

// Error is the message, or else the code or type.
func (e *Error) Error() string {
	switch {
	case e.Message != "":
		return e.Message
	case e.Code != "":
		return e.Code
	default:
		return e.Type
	}
}

// Model is one entry of a list of models.
type Model struct {
	ID      string
	OwnedBy string
	Created int64 // Unix seconds
}
