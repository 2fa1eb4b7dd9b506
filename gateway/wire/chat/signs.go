package chat

import "strings"

// Signs is what one event, or a whole body, says about the state of a reply. Dialects read them off the bytes without
// decoding, for every event that passes.
type Signs uint16

// Signs of an event.
const (
	Progress  Signs = 1 << iota // carries content: the model is at work, an idle deadline starts anew
	Finish                      // at least one choice is finished
	End                         // the terminal event: nothing may follow
	UsageSeen                   // carries usage
	UsageOnly                   // carries usage and nothing else: for the gateway, unless the caller asked for it
	Failed                      // an error in the place of an answer
	Malformed                   // not what the dialect allows
)

// Signs of a whole body.
const (
	Answer Signs = 1 << (iota + 7) // has the least that a conversation's answer must have: without it clients break
	Odd                            // has what those who imitate the dialect often get wrong
)

var signNames = [...]string{"progress", "finish", "end", "usage", "usage-only", "failed", "malformed", "answer", "odd"}

// Has reports whether any sign of t is set.
func (s Signs) Has(t Signs) bool { return s&t != 0 }

// String lists the signs, divided by spaces.
func (s Signs) String() string {
	var names []string
	for i, name := range signNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}
