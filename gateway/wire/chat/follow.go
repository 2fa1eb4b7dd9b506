package chat

// Follower goes with a stream as its caller gets it, and can end it at any point as though the answer had reached the limit of
// its length, so that the caller has a complete answer and not an error. It knows no more of the stream than that takes, and
// reads no event that it need not: whoever follows many streams pays for the few that are ended.
type Follower interface {
	// Follow takes an event that the caller gets.
	Follow(name string, data []byte)
	// End adds the events that end the stream, with the usage so far, where its caller wants that and it is not Unknown. It
	// is false, and adds nothing, if the stream has not begun, or is complete already, or says what cannot be ended so; who
	// must end it then does so with an error.
	End(dst *Batch, u *Usage) bool
}
