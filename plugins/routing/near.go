package routing

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
)

// The search for near names is work that a stranger's typing error causes, so it is bounded.
const (
	longestName = 200  // bytes
	mostModels  = 2000 // of one tenant
	suggestions = 3
)

// near lists up to three names that may have been meant, of the models that the tenant may use, nearest first.
func near(d *gateway.Directory, t *gateway.Tenant, name string) []string {
	if len(name) > longestName {
		return nil
	}
	models := d.Models(t)
	if len(models) > mostModels {
		return nil
	}
	type candidate struct {
		name string
		off  int
	}
	var found []candidate
	for _, m := range models {
		if off, ok := away(name, string(m.Name)); ok {
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

// away says how far a name is from a model's: apart from letter case and the vendor's prefix ("Qwen/"), by few typing
// errors, or because one of them is the beginning of the other (a version left out or added).
func away(name, model string) (off int, ok bool) {
	if strings.EqualFold(base(name), base(model)) {
		return 0, true
	}
	slips := 2
	switch {
	case len(name) < 6:
		slips = 1
	case len(name) >= 12:
		slips = 3
	}
	if d := distance(name, model, slips); d <= slips {
		return d, true
	}
	short, long := name, model
	if len(short) > len(long) {
		short, long = long, short
	}
	const common = 3
	if len(short) >= common && strings.EqualFold(short, long[:len(short)]) {
		return slips + len(long) - len(short), true
	}
	return 0, false
}

// base is a name without the vendor's prefix.
func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// distance counts the bytes to insert, delete or replace to make b of a (Levenshtein), letter case of ASCII apart. It
// gives up with a larger number once there must be more than limit.
func distance(a, b string, limit int) int {
	if len(b) > longestName || len(a) > longestName || max(len(a), len(b))-min(len(a), len(b)) > limit {
		return limit + 1
	}
	var room [longestName + 1]int
	row := room[:len(a)+1]
	for i := range row {
		row[i] = i
	}
	for j := range len(b) {
		diagonal, least := row[0], j+1
		row[0] = j + 1
		for i := range len(a) {
			change := diagonal
			if lower(a[i]) != lower(b[j]) {
				change++
			}
			diagonal = row[i+1]
			row[i+1] = min(change, row[i+1]+1, row[i]+1)
			least = min(least, row[i+1])
		}
		if least > limit {
			return least
		}
	}
	return row[len(a)]
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
