package main

import (
	"maps"
	"slices"
)

// facts fills in what is not money. Limits and efforts need two sources, and so does that a model refuses something,
// because requests are changed for it; that it can do something needs one, and none that denies it. LiteLLM marks the models
// that think: of one that it does not mark it says that it does not.
func (m *merge) facts(e *merged) {
	q := e.quotes[first]
	if q == nil {
		q = &quote{}
	}
	e.Mode, e.Retires = q.mode, q.retires
	e.Context = e.context()
	if q.output > 0 && slices.ContainsFunc(e.quotes[confirms:], func(c *quote) bool { return c != nil && c.output == q.output }) {
		e.Output = q.output
	}
	for _, able := range slices.Sorted(maps.Keys(q.able)) {
		yes, no := e.votes(able)
		switch {
		case q.able[able] && no == 0:
			e.Can = append(e.Can, able)
		case !q.able[able] && yes == 0 && no > 1:
			e.Cannot = append(e.Cannot, able)
		}
	}
	if slices.Contains(e.Can, "reasoning") {
		e.Thinking = q.thinking
		for _, c := range e.quotes[confirms:] {
			if c != nil && len(q.efforts) > 0 && sameSet(c.efforts, q.efforts) {
				e.Efforts, e.DefaultEffort = q.efforts, q.defaultEffort
			}
		}
	}
	e.Sampling = e.sampling(q)
}

func (e *merged) votes(able string) (yes, no int) {
	for _, q := range e.quotes {
		if q == nil {
			continue
		}
		if said, ok := q.able[able]; ok && said {
			yes++
		} else if ok {
			no++
		}
	}
	return yes, no
}

// context is the window that most sources may mean, at least two, and of those that values are taken from at least one.
func (e *merged) context() (best int64) {
	votes := map[int64]int{}
	for _, q := range e.quotes {
		if q != nil {
			for _, n := range slices.Compact(slices.Clone(q.context)) {
				votes[n]++
			}
		}
	}
	most := 1
	for _, q := range e.quotes[:confirms] {
		if q == nil {
			continue
		}
		for _, n := range q.context {
			if votes[n] > most {
				best, most = n, votes[n]
			}
		}
	}
	return best
}

// sampling needs a second source; that a model takes parameters only without thought, one of the others may write either
// as accepted or as refused.
func (e *merged) sampling(q *quote) string {
	for _, c := range e.quotes[confirms:] {
		if c == nil || c.sampling == "" || q.sampling == "" {
			continue
		}
		if c.sampling == q.sampling || q.sampling == "without_reasoning" {
			return q.sampling
		}
	}
	return ""
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
