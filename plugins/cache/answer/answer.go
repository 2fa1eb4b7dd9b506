// Package answer is an answer that is kept: the neutral form of what a provider said once, from which it is said again in any
// dialect, whole or as a stream.
package answer

import (
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Answer is what was said, and what is known of it.
type Answer struct {
	Reply chat.Reply

	ID       string    // by which callers and operators speak of it
	At       time.Time // when it was complete, in milliseconds
	Expires  time.Time // in milliseconds; the zero time: never
	Tenant   tenant.ID // whose it is
	User     string    // whose alone in the tenant; "" if the tenant shares it
	Model    string    // canonical name of the one that was asked
	Provider string    // that answered, by its configured name
	Name     string    // of the model there
	Of       ledger.ID // the attempt that was paid for
	Took     time.Duration
	Tags     []string // that its caller gave it
}

// Fresh says whether the answer may be given at a time to who accepts no older ones than most; negative: any.
func (a *Answer) Fresh(now time.Time, most time.Duration) bool {
	return (a.Expires.IsZero() || now.Before(a.Expires)) && (most < 0 || a.Age(now) <= most)
}

// Age is how long ago it was complete, not negative.
func (a *Answer) Age(now time.Time) time.Duration { return max(now.Sub(a.At), 0) }

// Kept says whether an answer is one that is worth keeping and can be said again in any form: one choice that has come to its
// end by itself, and says nothing but text. Calls of tools are kept if calls says so.
func Kept(r *chat.Reply, calls bool) bool {
	if len(r.Choices) != 1 {
		return false
	}
	c := &r.Choices[0]
	called, said := false, false
	for i := range c.Message.Parts {
		switch p := &c.Message.Parts[i]; p.Kind {
		case chat.PartText:
			said = said || p.Text != ""
		case chat.PartReasoning, chat.PartRedacted:
		case chat.PartCall:
			called = true
		default: // a refusal among them
			return false
		}
	}
	if called {
		return calls && (c.Finish == chat.FinishCalls || c.Finish == chat.FinishStop)
	}
	return said && c.Finish == chat.FinishStop
}
