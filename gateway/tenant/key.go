package tenant

import (
	"strings"
	"time"
)

// Names that callers without a key have in place of its name: in limits and budgets of keys, in the ledger and in logs. No key is
// called so. All tokens of identity providers are one, because a provider names as many users as it likes: what each of them may
// spend is no bound, unless there is one for each user.
const (
	Token     = "(token)"     // an identity provider's
	Anonymous = "(anonymous)" // no credential
	Operator  = "(operator)"  // nobody's: an operator asks for the tenant
)

// replaced is what the name of a key that was replaced ends with: when that was, in UTC. Parsing takes fractions of a second.
const replaced = "20060102T150405"

// Replaced is what a key is called that was replaced at some time and still works for a while: ci~20261123T160000.000.
func Replaced(name string, at time.Time) string {
	return name + "~" + at.UTC().Format(replaced+".000")
}

// KeyName is the name under which limits and budgets count a key: one that was replaced counts with its successor.
func KeyName(name string) string {
	i := strings.LastIndexByte(name, '~')
	if i <= 0 {
		return name
	}
	if _, err := time.Parse(replaced, name[i+1:]); err != nil {
		return name
	}
	return name[:i]
}
