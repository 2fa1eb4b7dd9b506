package chat

import "slices"

// efforts are all that there are, least first.
var efforts = [...]string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}

// Effort is the one that the target's model takes which is nearest to what is wanted, of two the lesser one; empty is none
// at all, the default. It is false if the caller gets something else than asked for.
func (t *Target) Effort(wanted string) (string, bool) {
	rank := slices.Index(efforts[:], wanted)
	switch {
	case t.NoReasoning:
		return "", rank <= 0
	case rank < 0, len(t.Efforts) == 0, slices.Contains(t.Efforts, wanted):
		return wanted, true
	}
	nearest, far := "", len(efforts)
	for i, e := range efforts {
		if away := max(i-rank, rank-i); away < far && slices.Contains(t.Efforts, e) {
			nearest, far = e, away
		}
	}
	return nearest, false
}

// EffortOf is the effort that a budget of thinking, in tokens, stands for with models that are told no budget: low, medium
// or high, the ones that all of them know.
func EffortOf(budget int64) string {
	switch {
	case budget <= 2048:
		return "low"
	case budget < 16384:
		return "medium"
	}
	return "high"
}

// BudgetOf is how many tokens of thinking an effort is worth with models that are told a budget, where a completion may have
// limit tokens with its thoughts: a quarter of them is left for the answer. The first three are those that Google documents
// for the same efforts of its models (ai.google.dev/gemini-api/docs/openai); others publish none. An unknown effort is
// medium.
func BudgetOf(effort string, limit int64) int64 {
	budget := int64(8192)
	switch effort {
	case "none":
		budget = 0
	case "minimal", "low":
		budget = 1024
	case "high":
		budget = 24576
	case "xhigh":
		budget = 32768
	case "max":
		budget = 65536
	}
	return min(budget, limit-limit/4)
}
