package upstream

import (
	"slices"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// describe is what must be known of the model that is asked, and of this provider, to ask it. Whether it takes sampling
// depends on the request, too.
func (p *Provider) describe(a *gateway.Attempt) chat.Target {
	t := chat.Target{Model: a.Model, Refuse: p.c.Refuse}
	if m := a.Known; m != nil {
		t.MaxOutput = m.Output
		t.Adaptive = m.Thinking == catalog.ThinkingAdaptive || m.Thinking == catalog.ThinkingAlways
		t.AlwaysThinks = m.Thinking == catalog.ThinkingAlways
		t.NoReasoning, t.Efforts = m.Can(catalog.Reasoning) == catalog.No, m.Efforts
	}
	p.c.Kind.describe(&t)
	if t.CacheMarks == breakpoint && !chargesWrites(a.Known) {
		t.CacheMarks = ""
	}
	return t
}

// breakpoint is how OpenAI has the end of a prefix marked.
const breakpoint = "prompt_cache_breakpoint"

// chargesWrites says whether what is written to the provider's cache costs more than what is not. OpenAI's models take
// breakpoints since it does, from GPT-5.6 on (developers.openai.com/api/docs/guides/prompt-caching); others keep what they
// see fit.
func chargesWrites(m *catalog.Model) bool {
	return m != nil && slices.ContainsFunc(m.Tariffs, func(t catalog.Tariff) bool {
		return t.Rates[catalog.CacheWrite].Picodollars > t.Rates[catalog.Input].Picodollars
	})
}

// refusesSampling says whether a model refuses temperature and the like beside what a request says of its reasoning.
func refusesSampling(m *catalog.Model, r *chat.Reasoning) bool {
	effort := r.Effort
	switch {
	case effort != "":
	case r.Mode == chat.ThinkOff:
		effort = "none"
	case r.Mode != chat.ThinkUnset:
		effort = "some"
	}
	return m.TakesSampling(effort) == catalog.No
}

// refusesSamplingBeside is refusesSampling for a body in one of OpenAI's dialects, which is looked at only if that matters.
func refusesSamplingBeside(m *catalog.Model, body []byte) bool {
	if m == nil || m.Sampling != catalog.SamplingWithoutReasoning {
		return m.TakesSampling("") == catalog.No
	}
	effort := peek.Find(body, []byte(`"reasoning_effort"`))
	if effort == nil {
		if r := peek.Find(body, []byte(`"reasoning"`)); len(r) > 0 && r[0] == '{' {
			effort = peek.Find(r, []byte(`"effort"`))
		}
	}
	inside, _ := shape.Inside(effort)
	return m.TakesSampling(string(inside)) == catalog.No
}
