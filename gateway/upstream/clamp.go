package upstream

import (
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

const (
	leastAnswer  = 16   // tokens: OpenAI takes no less for max_output_tokens
	leastThought = 1024 // tokens: Anthropic takes no less for thinking.budget_tokens, and it must be less than max_tokens
)

// clamp adds to e, which is in order of position, what limits the answer to n tokens. If the caller's body gives the model a
// budget for thinking that does not fit into that, it is lowered: a budget is the most that may be thought and no promise, and
// to refuse the request instead would mean that nobody who lets a model think can be limited. Only where less is left than
// the API takes for a thought, the provider cannot do what was asked for; not to think would be something else.
func (st *stream) clamp(e []peek.Edit, n int64) ([]peek.Edit, error) {
	x := st.x
	switch st.r.dialect {
	case wire.Responses:
		if n < leastAnswer && x.Request.Endpoint.Clamps() {
			return nil, errShortAnswer(n)
		}
		return x.Request.ClampEdits(e, "max_output_tokens", n), nil
	case wire.Anthropic:
		if !x.Request.Endpoint.Clamps() {
			return e, nil
		}
		return lowerBudget(x.Request.ClampEdits(e, oldLimit, n), x.Request.Body(), `"thinking"`, `"budget_tokens"`, n)
	case wire.OpenAI:
		if x.Request.Endpoint.Name != chatCompletions {
			return x.Request.ClampEdits(e, oldLimit, n), nil
		}
		kind := &st.p.c.Kind
		e = x.Request.ClampEdits(e, kind.Quirks.limit(), n)
		if kind.Common.Thinking == "reasoning" { // whose budgets are Anthropic's, for Anthropic's models
			return lowerBudget(e, x.Request.Body(), `"reasoning"`, `"max_tokens"`, n)
		}
	}
	return e, nil
}

// lowerBudget appends to e what makes the budget for thinking, a member of a member of the body, fit into n tokens.
func lowerBudget(e []peek.Edit, body []byte, object, member string, n int64) ([]peek.Edit, error) {
	v := peek.Find(peek.Find(body, []byte(object)), []byte(member))
	budget, ok := peek.Int(v)
	switch {
	case !ok || budget < n:
		return e, nil
	case n <= leastThought:
		return nil, errShortThought(n)
	}
	at := cap(body) - cap(v)
	most := max(n-n/4, leastThought) // the rest is for the answer
	return append(e, peek.Edit{At: at, End: at + len(v), Text: strconv.FormatInt(most, 10)}), nil
}

// clamped is a request whose answer has at most n tokens: a copy, as the request is shared. Encoders put a budget for thinking
// right that is too little for the provider, or name it as dropped.
func clamped(q *chat.Request, n int64, to *wire.Dialect) (*chat.Request, error) {
	if n < leastAnswer && to == wire.Responses {
		return nil, errShortAnswer(n)
	}
	c := *q
	if c.MaxTokens == nil || *c.MaxTokens > n {
		c.MaxTokens = &n
	}
	if c.Reasoning.Mode == chat.ThinkBudget && c.Reasoning.Budget >= n {
		c.Reasoning.Budget = n - n/4
	}
	return &c, nil
}

// oldLimit is what the limit of an answer was called first, and is called in all that is not chat completions.
const oldLimit = "max_tokens"

// limit is what the provider calls the limit of a chat completion.
func (q *Quirks) limit() string {
	for _, r := range q.Rename {
		if r[0] == newLimit[0] {
			return r[1]
		}
	}
	return newLimit[0]
}

func errShortAnswer(n int64) error {
	return &chat.Error{
		Message: "its answers have at least " + strconv.Itoa(leastAnswer) + " tokens, and this one may have " + strconv.FormatInt(n, 10),
		Param:   "max_output_tokens",
	}
}

func errShortThought(n int64) error {
	return &chat.Error{
		Message: "to think it needs more than " + strconv.Itoa(leastThought) + " tokens, and the answer may have " + strconv.FormatInt(n, 10),
		Param:   "thinking",
	}
}
