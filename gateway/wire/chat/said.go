package chat

// Said counts how many tokens of an answer have passed while it streams: one for four bytes, but one at least for each event
// that says something, as most providers send each token in an event of its own. It is an estimate, off by a fifth at most for
// most texts. Where a stream says before its end how much it has used, and that is more, it is that: thoughts need not be
// shown.
type Said struct{ bytes, events int64 }

// bytesPerToken is what a token of an answer has, on average.
const bytesPerToken = 4

// Tokens counts one event, which carries so many bytes of the answer (where a character of two counts as one), and says how many
// tokens have passed by now. u is the usage as far as the stream has told it.
func (s *Said) Tokens(said int, u *Usage) int64 {
	if said > 0 {
		s.bytes += int64(said)
		s.events++
	}
	return max(s.events, (s.bytes+bytesPerToken-1)/bytesPerToken, u.Completion())
}

// Tokens estimates how many tokens a reply has, all of its choices.
func (r *Reply) Tokens() int64 {
	bytes := 0
	for i := range r.Choices {
		parts := r.Choices[i].Message.Parts
		for k := range parts {
			p := &parts[k]
			bytes += len(p.Text)
			if p.Call != nil {
				bytes += len(p.Call.Name) + len(p.Call.Arguments) + CallSaid
			}
		}
	}
	return int64(bytes+bytesPerToken-1) / bytesPerToken
}
