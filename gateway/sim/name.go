package sim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const (
	prefix      = "sim-"
	defaultSlow = 5 * time.Second
	defaultLong = 2000
	maxNumber   = 1_000_000 // in a model's name: of events, tokens or milliseconds
)

// never is a count of events that no stream reaches.
const never = 1 << 30

// behaviour is what a model's name asks for.
type behaviour struct {
	status     int           // of an error reply; 0: a proper answer
	retryAfter int           // seconds; 0: no header
	slow       time.Duration // until the first token; -1: as the options say
	long       int           // tokens of the text; 0: as many as it takes

	// Events after which something goes wrong.
	cut, stall, fail, garble int

	fast, quota, html, inBand, noDone, noFinish, empty bool
}

// healthy is how a model behaves whose name asks for nothing.
var healthy = behaviour{slow: -1, cut: never, stall: never, fail: never, garble: never}

// words are those that a name may consist of, beside statuses and the delay for Retry-After.
var words = []string{
	"chat", "fast", "slow", "long", "quota", "html", "inband", "cut", "stall", "error", "badjson", "nodone", "nofinish", "empty",
}

// listed are the names that GET /v1/models shows.
var listed = []string{
	"sim-chat", "sim-fast", "sim-slow", "sim-long",
	"sim-400", "sim-401", "sim-403", "sim-404", "sim-408", "sim-429", "sim-429-after5", "sim-500", "sim-502", "sim-503", "sim-529",
	"sim-quota", "sim-html", "sim-inband", "sim-cut-0", "sim-cut-10", "sim-stall", "sim-stall-5", "sim-error-3",
	"sim-badjson", "sim-nodone", "sim-nofinish", "sim-empty",
}

// Models lists the names of package sim's documentation, with common numbers, as GET /v1/models does.
func Models() []chat.Model {
	models := make([]chat.Model, len(listed))
	for i, name := range listed {
		models[i] = chat.Model{ID: name, OwnedBy: "sluice", Created: 1767225600} // 2026-01-01
	}
	return models
}

// parse reads a model's name; false if it begins with "sim-" and says something unknown.
func parse(name string) (behaviour, bool) {
	b := healthy
	rest, ours := strings.CutPrefix(name, prefix)
	if !ours {
		return b, true
	}
	b.retryAfter = -1 // not named yet
	parts := strings.Split(rest, "-")
	var seen []string
	for len(parts) > 0 {
		word := parts[0]
		parts = parts[1:]
		given := -1
		if len(parts) > 0 && slices.Contains(words, word) && !switches(word) {
			if n, ok := number(parts[0]); ok {
				given, parts = n, parts[1:]
			}
		}
		if slices.Contains(seen, word) || !b.set(word, given) {
			return healthy, false
		}
		seen = append(seen, word)
	}
	b.settle()
	return b, true
}

// switches says whether a word takes no number.
func switches(word string) bool {
	switch word {
	case "slow", "long", "cut", "stall", "error", "badjson":
		return false
	}
	return true
}

// number reads a whole number of the size that names may have.
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil && n <= maxNumber
}

// set takes one word, with the number given to it or -1; false if there is no such word.
func (b *behaviour) set(word string, given int) bool {
	count := max(given, 0)
	switch word {
	case "chat":
	case "fast":
		b.fast = true
	case "slow":
		b.slow = defaultSlow
		if given >= 0 {
			b.slow = time.Duration(given) * time.Millisecond
		}
	case "long":
		b.long = defaultLong
		if given > 0 {
			b.long = given
		}
	case "quota":
		b.quota = true
	case "html":
		b.html = true
	case "inband":
		b.inBand = true
	case "cut":
		b.cut = count
	case "stall":
		b.stall = count
	case "error":
		b.fail = count
	case "badjson":
		b.garble = count
		if given < 0 {
			b.garble = 1
		}
	case "nodone":
		b.noDone = true
	case "nofinish":
		b.noFinish = true
	case "empty":
		b.empty = true
	default:
		return b.setStatus(word)
	}
	return true
}

// setStatus reads a status, or after with its seconds.
func (b *behaviour) setStatus(word string) bool {
	if seconds, ok := strings.CutPrefix(word, "after"); ok && b.retryAfter < 0 {
		n, ok := number(seconds)
		b.retryAfter = n
		return ok
	}
	n, ok := number(word)
	if !ok || n < 400 || n > 599 || b.status != 0 {
		return false
	}
	b.status = n
	return true
}

// settle fills in what one word means for others.
func (b *behaviour) settle() {
	switch {
	case b.status != 0:
	case b.quota:
		b.status = 429
	case b.html:
		b.status = 502
	}
	if b.retryAfter < 0 {
		b.retryAfter = 0
		if !b.quota && (b.status == 429 || b.status == 503 || b.status == 529) {
			b.retryAfter = 1
		}
	}
}

// faulty says whether anything is to go wrong.
func (b *behaviour) faulty() bool {
	return b.status != 0 || b.inBand || b.noDone || b.noFinish || b.empty || min(b.cut, b.stall, b.fail, b.garble) != never
}

// similar are up to three known names that resemble one that is not. Only the first 128 bytes of it count.
func similar(name string) []string {
	var names []string
	name = name[:min(len(name), 128)]
	parts := strings.Split(strings.TrimPrefix(name, prefix), "-")
	for i, word := range parts {
		if _, isNumber := number(word); !isNumber && !slices.Contains(words, word) {
			parts[i] = slices.MinFunc(words, nearer(word))
			if levenshtein.ComputeDistance(word, parts[i]) > 2 {
				parts[i] = word
			}
		}
	}
	if corrected := prefix + strings.Join(parts, "-"); corrected != name {
		if _, ok := parse(corrected); ok {
			names = append(names, corrected)
		}
	}
	near := slices.Clone(listed)
	slices.SortStableFunc(near, nearer(name))
	for _, n := range near {
		if len(names) < 3 && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// nearer compares two names by how many typing errors (Levenshtein) lie between each and a third.
func nearer(to string) func(a, b string) int {
	return func(a, b string) int {
		return cmp.Compare(levenshtein.ComputeDistance(to, a), levenshtein.ComputeDistance(to, b))
	}
}
