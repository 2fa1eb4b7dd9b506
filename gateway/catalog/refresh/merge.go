package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// merge makes entries of what the sources say, in the order of [kinds]: the first two have values, the others confirm.
type merge struct {
	sources [len(kinds)]source
	today   time.Time
	report  io.Writer

	priced, unpriced int
}

const (
	first     = 0 // LiteLLM
	second    = 1 // genai-prices
	confirms  = 2 // and those behind it
	unknown   = "unknown"
	perMega   = 1_000_000
	batchLess = 2 // what a batch and a flex request cost less, by the vendors' rule
)

// providers are our kinds of provider that sources know. Of the last ones only priced models are kept: they host
// hundreds, and what is known of them besides is in their own lists.
var providers = [...]string{
	"anthropic", "cohere", "deepseek", "gemini", "groq", "mistral", "openai", "xai", "azure", "fireworks", "together",
}

func onlyPriced(provider string) bool {
	return provider == "azure" || provider == "fireworks" || provider == "together"
}

func (m *merge) models() (entries []catalog.Entry) {
	for _, provider := range providers {
		kept := map[string]*merged{}
		for _, name := range m.names(provider) {
			if e := m.entry(provider, name); e != nil {
				kept[name] = e
			}
		}
		for _, name := range slices.Sorted(maps.Keys(kept)) {
			e := kept[name]
			if b := kept[undatedName(provider, name)]; b != nil && b != e && m.same(b, e) {
				continue
			}
			if len(e.Prices) > 0 {
				m.priced++
			} else {
				m.unpriced++
			}
			entries = append(entries, e.Entry)
		}
	}
	entries = append(entries, local...)
	slices.SortFunc(entries, func(a, b catalog.Entry) int {
		return cmp.Or(strings.Compare(a.Provider, b.Provider), strings.Compare(a.Name, b.Name))
	})
	fmt.Fprintf(m.report, "%d models, %d of them with a price\n", m.priced+m.unpriced, m.priced)
	return entries
}

func (m *merge) names(provider string) []string {
	all := map[string]bool{}
	for _, s := range m.sources[:confirms] {
		for _, name := range s.names(provider) {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// merged is an entry, and the quotes it is from.
type merged struct {
	catalog.Entry
	quotes [len(kinds)]*quote
}

// same tells whether a dated name is only another name of its base, as the catalogue takes it to be: no source that knows
// both says different prices.
func (m *merge) same(base, dated *merged) bool {
	for i := range confirms {
		b, d := base.quotes[i], dated.quotes[i]
		if d != nil && (b == nil || !maps.Equal(standard(b), standard(d))) {
			return false
		}
	}
	return true
}

func standard(q *quote) map[slot]int64 {
	prices := maps.Clone(q.prices)
	maps.DeleteFunc(prices, func(s slot, _ int64) bool { return s.tier != "" })
	return prices
}

// undatedName is what [catalog.Catalog.Lookup] makes of a dated name.
func undatedName(provider, name string) string {
	cut := map[string]int{"openai": len("-2026-01-15"), "azure": len("-2026-01-15"), "anthropic": len("-20260115")}[provider]
	if cut == 0 || len(name) <= cut || strings.Trim(name[len(name)-cut:], "-0123456789") != "" {
		return name
	}
	return name[:len(name)-cut]
}

func (m *merge) entry(provider, name string) *merged {
	e := &merged{Entry: catalog.Entry{Provider: provider, Name: name}}
	for i, s := range m.sources {
		if q := s.quote(provider, name); q != nil {
			copied := *q
			copied.prices = maps.Clone(q.prices)
			e.quotes[i] = &copied
		}
	}
	m.prices(e)
	m.facts(e)
	talks := e.Mode == "chat" || e.Mode == "responses"
	if len(e.Prices) == 0 && (onlyPriced(provider) || !talks && undatedName(provider, name) == name) {
		return nil
	}
	return e
}

// prices fills in those that are agreed on.
func (m *merge) prices(e *merged) {
	e.alignImages()
	e.alignBands()
	e.alignHours()
	slots := e.slots()
	agreed, disputed := map[slot]int64{}, []slot{}
	for s := range slots {
		if n, ok := e.agree(s); ok {
			agreed[s] = n
		} else {
			disputed = append(disputed, s)
		}
	}
	slices.SortFunc(disputed, bySlot)
	if !charged(agreed, slot{}) {
		m.complain(e, "no price", disputed)
		return
	}
	e.Prices = e.tariffs(agreed, slots)
	e.Sources = e.agreeing(agreed)
	m.complain(e, "left out", disputed)
}

// slots are the prices that the sources of values have.
func (e *merged) slots() map[slot]bool {
	slots := map[slot]bool{}
	for _, q := range e.quotes[:confirms] {
		if q != nil {
			for s := range q.prices {
				slots[s] = true
			}
		}
	}
	return slots
}

// agreeing are the sources that give the main price.
func (e *merged) agreeing(agreed map[slot]int64) (names []string) {
	s := mainSlot(agreed)
	for i, q := range e.quotes {
		if n, ok := price(q, s); ok && (n == agreed[s] || s.class == catalog.Recording && nearly(n, agreed[s])) {
			names = append(names, kinds[i].name)
		}
	}
	return names
}

// until is the day on which a source says that the prices end.
func (e *merged) until() string {
	for _, q := range e.quotes[:confirms] {
		if q != nil && q.until != "" {
			return q.until
		}
	}
	return ""
}

// charged tells whether what every request is charged for is agreed on.
func charged(agreed map[slot]int64, at slot) bool {
	is := func(c catalog.Class) bool { at.class = c; _, ok := agreed[at]; return ok }
	return is(catalog.Input) || is(catalog.Recording) || is(catalog.Characters)
}

func mainSlot(agreed map[slot]int64) slot {
	for _, c := range []catalog.Class{catalog.Input, catalog.Recording, catalog.Characters} {
		if _, ok := agreed[slot{class: c}]; ok {
			return slot{class: c}
		}
	}
	return slot{}
}

// tariffs writes what is agreed on, by tier, length of prompt and hours. A band that a source knows is written even if
// nothing in it is agreed on: otherwise the prices of shorter prompts would hold for it.
func (e *merged) tariffs(agreed map[slot]int64, slots map[slot]bool) []catalog.Price {
	bands := map[slot]bool{}
	for s := range slots {
		s.class = 0
		bands[s] = true
	}
	var prices []catalog.Price
	for _, at := range slices.SortedFunc(maps.Keys(bands), bySlot) {
		if at.tier != "" && !charged(agreed, at) {
			continue
		}
		p := catalog.Price{Tier: at.tier, Above: at.above, Hours: at.hours, Until: e.until()}
		for class, field := range p.Fields() {
			s := at
			s.class = catalog.Class(class)
			n, ok := agreed[s]
			switch {
			case ok && (s.class == catalog.Recording || s.class == catalog.Images):
				*field = catalog.FormatUSD(n / perMega)
			case ok:
				*field = catalog.FormatUSD(n)
			case filled(s.class) && (slots[s] || e.ownRate(agreed, s)):
				*field = unknown
			}
		}
		if e.Provider == "groq" && p.Hour != "" {
			p.Least = 10 // seconds: Groq's pricing page
		}
		prices = append(prices, p)
	}
	return prices
}

// ownRate tells whether a class has a price of its own in the standard tier, so that in this one, which lacks it, the
// ordinary price must not be taken for it.
func (e *merged) ownRate(agreed map[slot]int64, s slot) bool {
	_, ok := agreed[slot{class: s.class}]
	return ok
}

// filled tells whether the catalogue takes another price where one of this class is left out.
func filled(c catalog.Class) bool {
	switch c {
	case catalog.CacheWrite, catalog.InputAudio, catalog.InputImage, catalog.ReasoningOutput:
		return true
	default:
		return false
	}
}

// agree is the price that two sources give, and, where the two that values are taken from differ, most.
func (e *merged) agree(s slot) (int64, bool) {
	a, inFirst := price(e.quotes[first], s)
	b, inSecond := price(e.quotes[second], s)
	switch {
	case inFirst && inSecond && (a == b || s.class == catalog.Recording && nearly(a, b)):
		return b, true
	case inFirst && inSecond && e.most(s, a):
		return a, true
	case inFirst && inSecond:
		return b, e.most(s, b)
	case inSecond:
		return b, e.confirmed(s, b)
	default:
		return a, e.confirmed(s, a) || e.byRule(s, a)
	}
}

// nearly allows for a price a second that was rounded to four digits, where the other is the one an hour.
func nearly(a, b int64) bool { return a-b < b/2000 && b-a < b/2000 }

// most tells whether more than half of the sources that have a price say that it is n.
func (e *merged) most(s slot, n int64) bool {
	said, agree := 0, 0
	for _, q := range e.quotes {
		if m, ok := price(q, s); ok {
			said++
			if m == n {
				agree++
			}
		}
	}
	return 2*agree > said
}

func (e *merged) confirmed(s slot, n int64) bool {
	return slices.ContainsFunc(e.quotes[confirms:], func(q *quote) bool {
		c, ok := price(q, s)
		return ok && c == n
	})
}

// byRule tells whether a price of a batch or flex tier is half of an agreed standard one, as OpenAI, Anthropic and Google
// publish for all their models.
func (e *merged) byRule(s slot, n int64) bool {
	ruled := s.tier == "batch" || s.tier == "flex" && e.Provider != "anthropic"
	vendor := slices.Contains([]string{"openai", "anthropic", "gemini"}, e.Provider)
	if !ruled || !vendor {
		return false
	}
	s.tier = ""
	standard, ok := e.agree(s)
	return ok && n*batchLess == standard
}

func price(q *quote, s slot) (int64, bool) {
	if q == nil {
		return 0, false
	}
	n, ok := q.prices[s]
	return n, ok
}

// alignImages: all that a model for images gives out are images, whichever of the two classes a source calls them.
func (e *merged) alignImages() {
	if q := e.quotes[first]; q == nil || q.mode != "image" {
		return
	}
	for _, q := range e.quotes {
		if q == nil {
			continue
		}
		for s, n := range q.prices {
			other := s
			switch s.class {
			case catalog.Output:
				other.class = catalog.OutputImage
			case catalog.OutputImage:
				other.class = catalog.Output
			}
			if _, ok := q.prices[other]; !ok {
				q.prices[other] = n
			}
		}
	}
}

// alignBands gives a band one beginning. Sources write "from 272000" as above 271999, or loosely as above 272000; the one
// that genai-prices gives stands, which quotes the vendor's words.
func (e *merged) alignBands() {
	meant := e.quotes[second]
	if meant == nil {
		meant = e.quotes[first]
	}
	if meant == nil {
		return
	}
	for _, to := range meant.bands() {
		for _, q := range e.quotes {
			if q == nil || q == meant {
				continue
			}
			for _, from := range q.bands() {
				if from-to == 1 || to-from == 1 {
					q.move(from, to)
				}
			}
		}
	}
}

// alignHours takes hours without days for those of the working days that LiteLLM gives, if another source confirms these:
// genai-prices cannot write days.
func (e *merged) alignHours() {
	q := e.quotes[second]
	if q == nil || e.quotes[first] == nil {
		return
	}
	for s := range e.quotes[first].prices {
		daily, ok := strings.CutPrefix(s.hours, "mon-fri ")
		if n := e.quotes[first].prices[s]; !ok || !e.confirmed(s, n) {
			continue
		}
		without := s
		without.hours = daily
		if n, ok := q.prices[without]; ok {
			delete(q.prices, without)
			q.prices[s] = n
		}
	}
}

func (m *merge) complain(e *merged, what string, disputed []slot) {
	for _, s := range disputed {
		fmt.Fprintf(m.report, "%s/%s: %s: %s", e.Provider, e.Name, what, s.class)
		if s.tier != "" {
			fmt.Fprintf(m.report, ", tier %s", s.tier)
		}
		if s.above > 0 {
			fmt.Fprintf(m.report, ", above %d", s.above)
		}
		if s.hours != "" {
			fmt.Fprintf(m.report, ", at %s", s.hours)
		}
		fmt.Fprint(m.report, ":")
		for i, q := range e.quotes {
			if n, ok := price(q, s); ok {
				if s.class == catalog.Recording {
					n /= perMega
				}
				fmt.Fprintf(m.report, " %s %s", kinds[i].name, catalog.FormatUSD(n))
			}
		}
		fmt.Fprintln(m.report)
	}
}

func bySlot(a, b slot) int {
	return cmp.Or(strings.Compare(a.tier, b.tier), cmp.Compare(a.above, b.above), strings.Compare(a.hours, b.hours),
		cmp.Compare(a.class, b.class))
}
