package health

import (
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Snapshot is what is known of a target at one moment, as the admin API shows it.
type Snapshot struct {
	ID
	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
	// Operator is "drain" or "disable" if an operator said so.
	Operator string `json:"operator,omitempty"`
	// Refuses is what the provider refuses, if it disabled the target: "key" or "model".
	Refuses string `json:"refuses,omitempty"`
	// NextProbe is when the target will be tried next, by a request or, if it has active probes, by one of those; zero if it is
	// used anyway, or if only an operator can change that. Probes of targets that are used are not told.
	NextProbe   time.Time  `json:"next_probe,omitzero"`
	CoolUntil   time.Time  `json:"cool_until,omitzero"` // while it cools down
	CoolReason  string     `json:"cool_reason,omitempty"`
	Share       float64    `json:"share"` // of its weight, see [Target.Share]
	Window      Figures    `json:"window"`
	Outstanding int64      `json:"outstanding"`        // attempts that run
	Tokens      int64      `json:"outstanding_tokens"` // of their prompts
	FirstMS     float64    `json:"first_ms,omitempty"` // of streams, see [Target.First]; 0 if nothing is known
	P95MS       float64    `json:"p95_ms,omitempty"`   // of streams, see [Target.P95]; 0 if there are too few samples
	WholeMS     float64    `json:"whole_ms,omitempty"` // the same of whole replies
	WholeP95MS  float64    `json:"whole_p95_ms,omitempty"`
	LastUsed    time.Time  `json:"last_used,omitzero"`
	Limits      LimitsSeen `json:"limits,omitzero"`
}

// Figures are what the window of a target holds.
type Figures struct {
	Seconds     float64 `json:"seconds"` // how far it looks back
	Requests    int64   `json:"requests"`
	Failed      int64   `json:"failed"`
	Rate        float64 `json:"rate"`        // Failed / Requests
	Consecutive int     `json:"consecutive"` // failures in a row, those of probes among them; they may be older
}

// LimitsSeen are the rate limits of a target; nil where the provider tells none.
type LimitsSeen struct {
	Requests *LimitSeen `json:"requests,omitempty"`
	Tokens   *LimitSeen `json:"tokens,omitempty"`
}

// LimitSeen is a rate limit as the provider last told it.
type LimitSeen struct {
	Limit     int64     `json:"limit,omitempty"`
	Remaining *int64    `json:"remaining,omitempty"` // nil if it did not say
	Reset     time.Time `json:"reset,omitzero"`
}

// Snapshot is what is known of the target now.
func (t *Target) Snapshot(now clock.Instant) Snapshot {
	if t == nil {
		return Snapshot{Share: 1}
	}
	s := Snapshot{ID: t.id, State: t.State(now), Share: t.Share(now), LastUsed: clock.Instant(t.used.Load()).Time()}
	s.Outstanding, s.Tokens = t.Outstanding()
	s.FirstMS, s.P95MS = t.latency[0].figures(now)
	s.WholeMS, s.WholeP95MS = t.latency[1].figures(now)
	s.Limits = LimitsSeen{Requests: t.limits.requests.last().seen(), Tokens: t.limits.tokens.last().seen()}
	if w := t.operator.Load(); w != use {
		s.Operator = [...]string{drain: "drain", disable: "disable"}[w]
	}
	switch {
	case t.key.bar.Load() != 0:
		s.Refuses = "key"
	case t.gate.bar.Load() != 0:
		s.Refuses = "model"
	}
	t.describe(now, &s)
	for _, g := range []*gate{t.key, &t.gate} {
		g.describe(now, &s)
	}
	if s.Operator != "" {
		s.NextProbe = time.Time{}
	}
	return s
}

func (t *Target) describe(now clock.Instant, s *Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &t.machine
	s.Since, s.Reason = m.since.Time(), m.why
	if t.current() == Open {
		s.NextProbe = clock.Instant(t.until.Load()).Time()
	}
	s.Window.Seconds = t.settings.Load().Window.Seconds()
	s.Window.Requests, s.Window.Failed = t.window.sum(now)
	s.Window.Rate = float64(s.Window.Failed) / float64(max(s.Window.Requests, 1))
	s.Window.Consecutive = int(t.streak.Load())
}

// describe adds what a gate does to what the machine said. An operator's word comes before.
func (g *gate) describe(now clock.Instant, s *Snapshot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if left(&g.cool, now) > 0 {
		if until := clock.Instant(g.cool.Load()).Time(); until.After(s.CoolUntil) {
			s.CoolUntil, s.CoolReason = until, g.coolWhy
		}
	}
	if s.Operator == "" && g.since != 0 && (g.bar.Load() != 0 || g.since.Time().After(s.Since)) {
		s.Since, s.Reason = g.since.Time(), g.why
	}
	if u := clock.Instant(g.bar.Load()).Time(); u.After(s.NextProbe) {
		s.NextProbe = u
	}
}

func (l Limit) seen() *LimitSeen {
	if l == (Limit{}) {
		return nil
	}
	s := &LimitSeen{Limit: l.Max, Reset: l.Reset.Time()}
	if l.Remaining >= 0 {
		s.Remaining = &l.Remaining
	}
	return s
}

func (l *latency) figures(now clock.Instant) (first, p95 float64) {
	if d, ok := l.p95(); ok {
		p95 = milliseconds(d)
	}
	return milliseconds(l.first.at(now)), p95
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
