package anthropic

import "github.com/sluice-ai/sluice/gateway/wire/chat"

const (
	effortNone    = "none"
	effortMinimal = "minimal"
	effortLow     = "low"
	effortMedium  = "medium"
	effortHigh    = "high"

	leastBudget = 1024 // tokens for thinking, by Anthropic's rule

	// defaultMaxTokens is what a request gets that limits nothing, for a model whose limit is not known: the API demands a
	// limit. Every model since Claude 3.5 writes that much.
	defaultMaxTokens = 8192
)

// plan is what a request says of thinking, sampling and length once they agree with each other and with the target.
type plan struct {
	mode      chat.ThinkMode
	budget    int64
	effort    string // of output_config
	maxTokens int64

	temperature, topP *float64
	topK              *int64
}

// plan decides, and drops what the target refuses.
func (e *requestWriter) plan() plan {
	p := plan{maxTokens: e.t.MaxOutput}
	switch {
	case e.q.MaxTokens != nil:
		p.maxTokens = *e.q.MaxTokens
	case p.maxTokens <= 0:
		p.maxTokens = defaultMaxTokens
	}
	e.planThinking(&p)
	switch {
	case e.forced() && (p.mode > chat.ThinkOff || !e.ours()):
		e.planForced(&p)
	case p.mode == chat.ThinkBudget && !e.mayBudget():
		e.drop("reasoning_effort")
		p.mode = chat.ThinkUnset
	}
	e.planSampling(&p)
	return p
}

// planThinking finds the words for the effort that the target's model understands.
func (e *requestWriter) planThinking(p *plan) {
	r := &e.q.Reasoning
	p.mode, p.budget, p.effort = r.Mode, r.Budget, r.Effort
	switch p.effort {
	case effortMinimal:
		p.effort = effortLow
	case effortNone:
		p.mode, p.effort = chat.ThinkOff, ""
	}
	switch {
	case e.t.NoReasoning:
		if p.effort != "" || p.mode != chat.ThinkUnset && p.mode != chat.ThinkOff {
			e.drop("reasoning_effort")
		}
		p.mode, p.effort = chat.ThinkUnset, ""
	case e.t.AlwaysThinks && p.mode == chat.ThinkOff:
		e.drop("reasoning_effort")
		p.mode, p.effort = chat.ThinkAdaptive, effortLow
	case e.ours() && (p.mode == chat.ThinkUnset || p.mode == chat.ThinkOff):
		// here effort is more than thinking, and may stand alone
	case e.t.Adaptive:
		p.adaptive()
		effort, exact := e.t.Effort(p.effort)
		if p.effort = effort; !exact {
			e.drop("reasoning_effort")
		}
	default:
		e.planBudget(p)
	}
}

// adaptive is for models that are told an effort, and refuse a budget.
func (p *plan) adaptive() {
	switch {
	case p.mode == chat.ThinkUnset && p.effort != "":
		p.mode = chat.ThinkAdaptive
	case p.mode == chat.ThinkBudget:
		p.mode = chat.ThinkAdaptive
		if p.effort == "" {
			p.effort = chat.EffortOf(p.budget)
		}
	}
}

// planBudget is for older models, which are told a budget.
func (e *requestWriter) planBudget(p *plan) {
	switch {
	case p.mode == chat.ThinkAdaptive, p.mode == chat.ThinkUnset && p.effort != "":
		p.mode, p.budget = chat.ThinkBudget, chat.BudgetOf(p.effort, p.maxTokens)
	case p.mode == chat.ThinkBudget && p.budget >= p.maxTokens && (e.q.MaxTokens == nil || !e.ours()):
		if e.q.MaxTokens != nil || e.t.MaxOutput > 0 {
			p.budget = p.maxTokens - p.maxTokens/4 // the rest is for the answer
		} else {
			p.maxTokens += p.budget
		}
	case p.mode == chat.ThinkBetweenTools:
		e.drop("reasoning_effort")
		p.mode = chat.ThinkUnset
	}
	if !e.ours() {
		p.effort = ""
	}
	switch {
	case p.mode != chat.ThinkBudget || p.budget >= leastBudget:
	case p.maxTokens > leastBudget:
		p.budget = leastBudget
	default:
		e.drop("reasoning_effort") // the answer may not be that long
		p.mode = chat.ThinkUnset
	}
}

// forced says whether the model must call a tool.
func (e *requestWriter) forced() bool {
	return e.q.Choice.Mode == chat.ChoiceRequired && len(e.q.Tools) > 0
}

// planForced switches thinking off, beside which the API takes no demand for a call, be it by a budget or adaptive (its page
// on tool use with extended thinking; llm-exe#720). Newer models think unless they are told not to, and end their turn without
// the call (oh-my-pi#6589); those that cannot stop refuse the demand (inspect_ai PR 5176).
func (e *requestWriter) planForced(p *plan) {
	if e.t.AlwaysThinks {
		e.refuse("tool_choice", "must be auto or none: the model always thinks, and then takes no demand for a call")
	}
	if p.mode > chat.ThinkOff || p.effort != "" {
		e.drop("reasoning_effort")
	}
	if p.mode, p.effort = chat.ThinkUnset, ""; e.t.Adaptive {
		p.mode = chat.ThinkOff
	}
}

// mayBudget says whether the API accepts a turn with a budget for thinking: if the model waits for results, the turn with its
// calls must begin with what it thought, signed. Callers that know no signatures cannot send that back (litellm #15601).
func (e *requestWriter) mayBudget() bool {
	list, waits := e.q.Messages, false
	i := len(list) - 1
	for ; i >= 0 && list[i].Role != chat.RoleAssistant; i-- {
		waits = waits || list[i].Role == chat.RoleTool
	}
	if !waits {
		return true // a new turn: what was thought before is not asked for
	}
	for i > 0 && list[i-1].Role == chat.RoleAssistant {
		i-- // written as one turn
	}
	if i < 0 {
		return true
	}
	for _, p := range list[i].Parts {
		if e.written(&p) {
			return p.Kind == chat.PartReasoning || p.Kind == chat.PartRedacted
		}
	}
	return true
}

// planSampling leaves out what the target's model refuses. Beside thinking, Anthropic takes a temperature of 1, a top_p of
// 0.95 or more, and no top_k; and newer models take one of temperature and top_p, not both.
func (e *requestWriter) planSampling(p *plan) {
	s := &e.q.Sampling
	if t := s.Temperature; t != nil {
		cut := min(max(*t, 0), 1)
		p.temperature = &cut
	}
	p.topP, p.topK = s.TopP, s.TopK
	thinks := !e.ours() && (p.mode == chat.ThinkBudget || p.mode == chat.ThinkAdaptive)
	if s.Temperature != nil && *s.Temperature == 1 && s.TopP != nil && *s.TopP != 1 && !e.ours() {
		p.temperature = nil // which is no restriction, the other is
	}
	if p.temperature != nil && (e.t.NoSampling || thinks && *p.temperature != 1) {
		e.drop("temperature")
		p.temperature = nil
	}
	both := !e.ours() && p.temperature != nil
	if p.topP != nil && (e.t.NoSampling || both || thinks && *p.topP < 0.95) {
		if *p.topP != 1 { // which is no restriction
			e.drop("top_p")
		}
		p.topP = nil
	}
	if p.topK != nil && (e.t.NoSampling || thinks) {
		e.drop("top_k")
		p.topK = nil
	}
}
