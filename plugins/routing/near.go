package routing

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/sluice-ai/sluice/gateway"
)

// The search for near names is work that a stranger's typing error causes, so it is bounded.
const (
	longestName = 200  // bytes
	mostModels  = 2000 // of one tenant
	suggestions = 3
)

// near lists up to three names that may have been meant, of the models that the caller may use, nearest first.
func near(d *gateway.Directory, c *gateway.Caller, name string) []string {
	if len(name) > longestName {
		return nil
	}
	models := d.Models(c)
	if len(models) > mostModels {
		return nil
	}
	type candidate struct {
		name string
		off  int
	}
	var found []candidate
	name = strings.ToLower(name)
	for _, m := range models {
		if off, ok := away(name, strings.ToLower(string(m.Name))); ok {
			found = append(found, candidate{string(m.Name), off})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.off, b.off) })
	var names []string
	for _, c := range found[:min(len(found), suggestions)] {
		names = append(names, c.name)
	}
	return names
}

// away says how far a name is from a model's, both in lower case: apart from the vendor's prefix ("Qwen/"), by few typing
// errors, or because one of them is the beginning of the other (a version left out or added).
func away(name, model string) (off int, ok bool) {
	if base(name) == base(model) {
		return 0, true
	}
	slips := 2
	switch {
	case len(name) < 6:
		slips = 1
	case len(name) >= 12:
		slips = 3
	}
	short, long := name, model
	if len(short) > len(long) {
		short, long = long, short
	}
	if len(long)-len(short) <= slips {
		if d := levenshtein.ComputeDistance(name, model); d <= slips {
			return d, true
		}
	}
	const common = 3
	if len(short) >= common && strings.HasPrefix(long, short) {
		return slips + len(long) - len(short), true
	}
	return 0, false
}

// base is a name without the vendor's prefix.
func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
