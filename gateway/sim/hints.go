package sim

import (
	"regexp"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// hints are what the user's last message offers as values for arguments and structured answers. Each list is used in
// order: the first property that asks for a place gets the first place.
type hints struct {
	text     string // the whole message
	lower    string
	quoted   []string
	proper   []string // words with a capital letter: places, people
	numbers  []string // as JSON writes them
	emails   []string
	urls     []string
	dates    []string
	sum      string        // an arithmetic expression
	answer   func() string // what a plain answer would say
	used     map[string]int
	reserved int // proper words that earlier calls of the same tool have used
}

var (
	quotedText  = regexp.MustCompile(`"([^"\n]{1,200})"|“([^”\n]{1,200})”|'([^'\n]{2,200})'`)
	properWords = regexp.MustCompile(`\p{Lu}[\pL\d'-]*(?: (?:(?:de|of|da|del) )?\p{Lu}[\pL\d'-]*)*`)
	numberWord  = regexp.MustCompile(`(?:^|[^\pL\d.])(-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?)(?:[^\pL\d.]|[.](?:\D|$)|$)`)
	emailWord   = regexp.MustCompile(`[\w.+-]{1,64}@[\w-]{1,60}(?:\.[\w-]{1,60}){1,4}`)
	urlWord     = regexp.MustCompile(`https?://[^\s"'<>]{1,500}`)
	dateWord    = regexp.MustCompile(`\d{4}-\d{2}-\d{2}|(?i:\b(?:today|tomorrow|tonight|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b)`)
)

// notProper are words that have a capital letter only because a sentence begins with them, and a few that always do.
var notProper = strings.Fields(`A About Add All Am An And Answer Any Are As Ask At Be Book But By Calculate Call Can Check
	Compute Convert Could Create Delete Describe Did Do Does Echo Every Explain Extract Find For From Generate Get Give
	Hello Hey Hi How I If Im In Is It Its Jane List Look Make May My Name No Not Now Of On Or Our Please Put Read Remind
	Return Run Say Schedule Search Send Set She He Should Show Solve Start Stop Suggest Summarize Tell Thank Thanks That The
	Their Then There These They This Those To Translate Turn Update Use Using Was We Were What What's When Where Which Who Why
	Will With Would Write Yes You Your Monday Tuesday Wednesday Thursday Friday Saturday Sunday`)

const maxHinted = 4 << 10 // bytes of a message that are looked at

func readHints(r *chat.Request) *hints {
	text, _ := lastSaid(r)
	h := &hints{text: text, used: map[string]int{}, answer: func() string { return brief(r) }}
	looked := text[:min(len(text), maxHinted)]
	h.lower = strings.ToLower(looked)
	for _, m := range quotedText.FindAllStringSubmatch(looked, 16) {
		h.quoted = append(h.quoted, m[1]+m[2]+m[3])
	}
	h.proper = properNames(looked)
	h.emails = emailWord.FindAllString(looked, 8)
	h.urls = urlWord.FindAllString(looked, 8)
	h.dates = dateWord.FindAllString(looked, 8)
	plain := dateWord.ReplaceAllString(urlWord.ReplaceAllString(looked, ""), "")
	plain = strings.ReplaceAll(thousands.ReplaceAllString(plain, "$1$2"), " ", "  ") // a number takes the blanks around it
	for _, m := range numberWord.FindAllStringSubmatch(plain, 16) {
		h.numbers = append(h.numbers, m[1])
	}
	h.sum, _, _ = findSum(h.lower)
	return h
}

func properNames(text string) []string {
	var names []string
	for _, found := range properWords.FindAllString(text, 32) {
		for {
			word, rest, more := strings.Cut(found, " ")
			if !slices.Contains(notProper, word) {
				break
			}
			if found = rest; !more {
				break
			}
		}
		if len(found) > 1 && !slices.Contains(names, found) {
			names = append(names, found)
		}
	}
	return names
}

// next is the next unused value of a list. When all are used it is the last again, but "" for later elements of a list,
// which should differ.
func (h *hints) next(list string, values []string, from, nth int) string {
	i := h.used[list] + from
	h.used[list]++
	if len(values) == 0 || nth > 0 && i >= len(values) {
		return ""
	}
	return values[min(i, len(values)-1)]
}

// kinds of properties, told by words in their names.
var kinds = []struct {
	kind  string
	names []string
}{
	{"email", []string{"email", "mail"}},
	{"url", []string{"url", "uri", "link", "website", "href"}},
	{"place", []string{"location", "city", "place", "country", "destination", "origin", "address", "town", "region", "where", "venue"}},
	{"sum", []string{"expression", "formula", "equation", "calculation"}},
	{"answer", []string{"answer", "response", "reply", "explanation", "summary", "output", "result", "reasoning", "reason"}},
	{"date", []string{"date", "day", "when", "time", "deadline", "due", "start", "end"}},
	{"text", []string{"query", "question", "text", "message", "prompt", "content", "input", "search", "topic", "subject", "body", "keywords", "task", "title", "q"}},
	{"name", []string{"name", "person", "participant", "participants", "author", "user", "customer", "attendee", "attendees", "recipient", "to", "from", "who", "people", "guest"}},
}

// kindOf says what a property's name promises; "" if nothing.
func kindOf(property string) string {
	parts := nameWords(property)
	for _, k := range kinds {
		for _, p := range parts {
			if slices.Contains(k.names, p) {
				return k.kind
			}
		}
	}
	return ""
}

// nameWords parts an identifier into its words, in lower case: getWeather, get_weather and get-weather alike.
func nameWords(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if r >= 'A' && r <= 'Z' && lower {
			b.WriteByte(' ')
		}
		lower = r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if r == '_' || r == '-' || r == '.' || r == '/' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.Fields(strings.ToLower(b.String()))
}

// suggest is a text from the message for a property, or the nth element of a list; "" if none fits.
func (h *hints) suggest(property string, nth int) string {
	kind := kindOf(property)
	switch kind {
	case "email":
		return h.next("email", h.emails, 0, nth)
	case "url":
		return h.next("url", h.urls, 0, nth)
	case "place", "name":
		return h.next("proper", h.proper, h.reserved, nth)
	case "date":
		return h.next("date", h.dates, 0, nth)
	}
	if quoted := h.quoted; len(quoted) > 0 && kind != "sum" && kind != "answer" {
		return h.next("quoted", quoted, 0, nth)
	}
	switch {
	case nth > 0:
		return ""
	case kind == "sum":
		return h.sum
	case kind == "answer":
		return h.answer()
	case kind == "text":
		return strings.TrimRight(h.text, "?! ")
	}
	return ""
}

// suggestFormat is a text from the message that has a format of JSON Schema, "" if there is none.
func (h *hints) suggestFormat(format string, nth int) string {
	switch format {
	case "email", "idn-email":
		return h.next("email", h.emails, 0, nth)
	case "uri", "iri", "uri-reference", "iri-reference":
		return h.next("url", h.urls, 0, nth)
	case "date":
		return h.next("date", h.dates, 0, nth)
	}
	return ""
}
