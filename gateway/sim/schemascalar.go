package sim

import (
	"cmp"
	"math/big"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

const maxText = 4 << 10 // characters, whatever minLength says

// string makes a text: from the message, the default, the format, the pattern, or the property's name.
func (m *maker) string(n *node, name string, nth int) string {
	var candidates []string
	if n.format != "" {
		candidates = append(candidates, m.hints.suggestFormat(n.format, nth))
	} else {
		candidates = append(candidates, m.hints.suggest(name, nth))
	}
	if s, ok := peek.String(n.standard); ok && nth == 0 {
		candidates = append(candidates, s)
	}
	candidates = append(candidates, formatted(n.format, nth), sample(name, nth))
	for _, c := range candidates {
		if c != "" && m.accepts(n, c) {
			return c
		}
	}
	if n.pattern == nil {
		return n.fitted(candidates[len(candidates)-1], nth)
	}
	for _, more := range []int{0, 1, min(n.minRunes, maxText)} {
		s := matching(n.pattern.String(), more)
		if m.accepts(n, s) {
			return s
		}
		if s = n.fitted(s, nth); m.accepts(n, s) {
			return s
		}
	}
	return matching(n.pattern.String(), 0)
}

// accepts says whether a text is valid.
func (m *maker) accepts(n *node, s string) bool {
	runes := utf8.RuneCountInString(s)
	if runes < n.minRunes || n.maxRune >= 0 && runes > n.maxRune || !hasFormat(n.format, s) {
		return false
	}
	if n.pattern == nil {
		return true
	}
	m.work -= workMatch * len(s)
	return n.pattern.MatchString(s)
}

// fitted brings a text to a length that is allowed; nth stays in it, so that elements differ.
func (n *node) fitted(s string, nth int) string {
	if n.maxRune >= 0 && utf8.RuneCountInString(s) > n.maxRune {
		s = strconv.Itoa(nth + 1)
		if n.maxRune < len(s) {
			return string([]rune(s)[:n.maxRune])
		}
	}
	if missing := min(n.minRunes, maxText) - utf8.RuneCountInString(s); missing > 0 {
		s += strings.Repeat(".", missing)
	}
	return s
}

// sample is a text for a property of which only the name is known.
func sample(name string, nth int) string {
	number := ""
	if nth > 0 {
		number = " " + strconv.Itoa(nth+1)
	}
	switch kindOf(name) {
	case "place":
		if nth < len(capitals) {
			return capitals[nth].city
		}
	case "name":
		return "Alex Example" + number
	case "email":
		return formatted("email", nth)
	case "url":
		return formatted("uri", nth)
	case "date":
		return formatted("date", nth)
	}
	words := strings.Join(nameWords(name), " ")
	if words == "" {
		words = "text"
	}
	return "sample " + clip(words, 60) + number
}

// formatted is a text in a format of JSON Schema; "" for unknown ones.
func formatted(format string, nth int) string {
	number := strconv.Itoa(nth + 1)
	day := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC).AddDate(0, 0, nth)
	switch format {
	case "date-time":
		return day.Format(time.RFC3339)
	case "date":
		return day.Format(time.DateOnly)
	case "time":
		return day.Add(time.Duration(nth)*time.Minute).Format("15:04:05") + "Z"
	case "duration":
		return "PT" + number + "H"
	case "email", "idn-email":
		return "user" + number + "@example.com"
	case "hostname", "idn-hostname":
		return "host" + number + ".example.com"
	case "ipv4":
		return "192.0.2." + strconv.Itoa(nth%254+1)
	case "ipv6":
		return "2001:db8::" + strconv.FormatInt(int64(nth%0xffff+1), 16)
	case "uri", "iri", "uri-reference", "iri-reference", "url":
		return "https://example.com/" + number
	case "uri-template":
		return "https://example.com/" + number + "/{id}"
	case "uuid":
		suffix := strconv.FormatInt(int64(nth+1), 16)
		return "00000000-0000-4000-8000-" + strings.Repeat("0", 12-len(suffix)) + suffix
	case "json-pointer":
		return "/" + number
	case "relative-json-pointer":
		return number
	case "regex":
		return "^a{" + number + "}$"
	default:
		return ""
	}
}

// hasFormat checks texts from the message, for the formats that one may occur in there.
func hasFormat(format, s string) bool {
	var err error
	switch format {
	case "email", "idn-email":
		_, err = mail.ParseAddress(s)
	case "date":
		_, err = time.Parse(time.DateOnly, s)
	case "date-time":
		_, err = time.Parse(time.RFC3339, s)
	case "uri", "iri":
		var u *url.URL
		if u, err = url.Parse(s); err == nil {
			return u.Scheme != ""
		}
	case "ipv4", "ipv6":
		_, err = netip.ParseAddr(s)
	case "time", "duration", "hostname", "idn-hostname", "uuid", "json-pointer", "relative-json-pointer", "regex":
		return !strings.Contains(s, " ") && s != ""
	}
	return err == nil
}

// number makes a number: from the message, the default, or the smallest that is allowed and looks natural.
func (m *maker) number(n *node, whole bool, nth int) string {
	step := n.stride(whole)
	if step == nil {
		step = big.NewRat(1, 1)
	}
	offset := new(big.Rat).Mul(step, big.NewRat(int64(nth), 1))
	var candidates []*big.Rat
	if hint := m.hints.next("number", m.hints.numbers, 0, nth); hint != "" {
		candidates = append(candidates, rational([]byte(hint)))
	}
	if nth == 0 {
		candidates = append(candidates, rational(n.standard))
	}
	candidates = append(candidates, new(big.Rat).Add(step, offset))
	for _, bound := range []*big.Rat{n.least, n.above} {
		if bound != nil {
			up := n.roundUp(bound, whole)
			candidates = append(candidates, new(big.Rat).Add(up, offset), new(big.Rat).Add(up, step), up)
		}
	}
	for _, bound := range []*big.Rat{n.most, n.below} {
		if bound != nil {
			down := new(big.Rat).Neg(n.roundUp(new(big.Rat).Neg(bound), whole))
			candidates = append(candidates, new(big.Rat).Sub(down, offset), new(big.Rat).Sub(down, step), down)
		}
	}
	if low, high := cmp.Or(n.above, n.least), cmp.Or(n.below, n.most); low != nil && high != nil {
		middle := new(big.Rat).Add(low, high)
		candidates = append(candidates, middle.Mul(middle, big.NewRat(1, 2)))
	}
	for _, c := range candidates {
		if c != nil && n.allows(c, whole) {
			return exactly(c)
		}
	}
	return "0"
}

// stride is the distance between numbers that are allowed; nil if there are others between any two.
func (n *node) stride(whole bool) *big.Rat {
	switch {
	case !whole:
		return n.step
	case n.step == nil:
		return big.NewRat(1, 1)
	default:
		return new(big.Rat).SetInt(n.step.Num()) // the whole multiples of p/q in lowest terms are those of p
	}
}

// roundUp is the next multiple, or for whole numbers the next whole one.
func (n *node) roundUp(r *big.Rat, whole bool) *big.Rat {
	step := n.stride(whole)
	if step == nil {
		return r
	}
	q := new(big.Rat).Quo(r, step)
	k := new(big.Int).Div(q.Num(), q.Denom()) // rounds towards minus infinity
	if !q.IsInt() {
		k.Add(k, big.NewInt(1))
	}
	return new(big.Rat).Mul(new(big.Rat).SetInt(k), step)
}

// allows says whether a number is valid.
func (n *node) allows(r *big.Rat, whole bool) bool {
	if whole && !r.IsInt() || n.step != nil && !new(big.Rat).Quo(r, n.step).IsInt() {
		return false
	}
	return (n.least == nil || r.Cmp(n.least) > 0 || !n.notLeast && r.Cmp(n.least) == 0) &&
		(n.most == nil || r.Cmp(n.most) < 0 || !n.notMost && r.Cmp(n.most) == 0) &&
		(n.above == nil || r.Cmp(n.above) > 0) && (n.below == nil || r.Cmp(n.below) < 0)
}

// exactly writes a number as a decimal; all that come from decimals have an end.
func exactly(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	places, _ := r.FloatPrec()
	return r.FloatString(min(places, 300))
}

// matching is a text that a regular expression matches, with more repetitions than needed where that is allowed.
func matching(pattern string, more int) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	match(&b, re, more)
	return b.String()
}

func match(b *strings.Builder, re *syntax.Regexp, more int) {
	repeat := func(least, most int) {
		n := least + more
		if most >= 0 {
			n = min(n, most)
		}
		for range n {
			if b.Len() > maxText {
				return
			}
			match(b, re.Sub[0], 0)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		b.WriteRune(fromClass(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, re.Max)
	case syntax.OpCapture, syntax.OpConcat:
		for _, s := range re.Sub {
			match(b, s, more)
		}
	case syntax.OpAlternate:
		match(b, re.Sub[0], more)
	}
}

// fromClass takes a friendly character out of a class, which is a list of ranges.
func fromClass(ranges []rune) rune {
	for _, want := range []rune{'a', 'A', '1', '0'} {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	if len(ranges) == 0 {
		return 'a'
	}
	i := 2 * slices.IndexFunc(evens(ranges), func(hi rune) bool { return hi > ' ' })
	return max(ranges[max(i, 0)], min('!', ranges[max(i, 0)+1]))
}

// evens are the upper ends of ranges.
func evens(ranges []rune) []rune {
	var list []rune
	for i := 1; i < len(ranges); i += 2 {
		list = append(list, ranges[i])
	}
	return list
}
