package tenant

import "strings"

// Pattern is a name in which each "*" stands for any text, also for none. Names of models have one at most, rules any number.
type Pattern string

// Match says whether the pattern describes all of name. It takes time in proportion to the name's length and the pattern's.
func (p Pattern) Match(name string) bool {
	before, rest, wild := strings.Cut(string(p), "*")
	if !wild {
		return name == before
	}
	name, ok := strings.CutPrefix(name, before)
	for ok {
		part, more, wild := strings.Cut(rest, "*")
		if !wild {
			return strings.HasSuffix(name, part)
		}
		_, name, ok = strings.Cut(name, part)
		rest = more
	}
	return false
}

// Capture is what the only "*" stands for in name; "" for a pattern without one.
func (p Pattern) Capture(name string) (string, bool) {
	before, after, wild := strings.Cut(string(p), "*")
	if !wild {
		return "", string(p) == name
	}
	if len(name) < len(before)+len(after) || !strings.HasPrefix(name, before) || !strings.HasSuffix(name, after) {
		return "", false
	}
	return name[len(before) : len(name)-len(after)], true
}

// Wild says whether the pattern has a "*".
func (p Pattern) Wild() bool { return strings.Contains(string(p), "*") }

// Meets says whether there is a name that both patterns describe. It takes time in proportion to the product of their lengths,
// whatever they are: callers write patterns too.
func (p Pattern) Meets(q Pattern) bool {
	meets := make([]bool, len(q)+1) // by j, whether p[i:] and q[j:] meet
	for i := len(p); i >= 0; i-- {
		both := false // whether p[i+1:] and q[j+1:] do
		for j := len(q); j >= 0; j-- {
			less := meets[j]                 // whether p[i+1:] and q[j:] do
			more := j < len(q) && meets[j+1] // whether p[i:] and q[j+1:] do
			switch {
			case i == len(p) && j == len(q):
				meets[j] = true
			case i < len(p) && p[i] == '*', j < len(q) && q[j] == '*':
				meets[j] = less || more
			default:
				meets[j] = both && p[i] == q[j] // both is false at either end
			}
			both = less
		}
	}
	return meets[0]
}
