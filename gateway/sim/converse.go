package sim

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// converse answers in text: results of tools first, else whatever the last message of the user is about.
func converse(r *chat.Request, rng *rand.Rand) string {
	if results := toolResults(r); results != "" {
		return results
	}
	said, media := lastSaid(r)
	switch {
	case said == "" && len(media) > 0:
		return acknowledge(media)
	case said == "":
		return "You sent an empty message. Ask me something, for instance what Sluice is."
	}
	if text := known(r, said, rng); text != "" {
		return text
	}
	if len(media) > 0 {
		return acknowledge(media)
	}
	return explain(said, rng)
}

// acknowledge says what came, so that a test can tell whether it came whole.
func acknowledge(media []*chat.Part) string {
	list := make([]string, len(media))
	for i, p := range media {
		m := p.Media
		list[i] = map[chat.PartKind]string{chat.PartImage: "an image", chat.PartAudio: "a recording"}[p.Kind]
		if list[i] == "" {
			list[i] = "a file"
		}
		switch {
		case m.Data != "":
			size := len(strings.TrimRight(m.Data, "=")) * 3 / 4
			list[i] += " (" + strings.TrimSpace(m.Type+" of "+plural(size, "byte")) + ")"
		case m.URL != "":
			list[i] += " at " + clip(m.URL, 80)
		case m.ID != "":
			list[i] += " stored as " + clip(m.ID, 80)
		}
	}
	return "You sent " + strings.Join(list, ", ") + ". The simulator cannot look at it; a real provider could."
}

// brief is converse for a member of a JSON answer.
func brief(r *chat.Request) string {
	if results := toolResults(r); results != "" {
		return results
	}
	said, _ := lastSaid(r)
	if text := known(r, said, source(0, 0)); text != "" {
		return text
	}
	return "A simulated answer to \"" + clip(said, 60) + "\""
}

// maxTopic is how many bytes a message may have that is read closely; longer ones are not small talk.
const maxTopic = 4 << 10

// known is the answer to a message that is about one of the topics, else "".
func known(r *chat.Request, said string, rng *rand.Rand) string {
	if len(said) > maxTopic {
		return repeat(&question{said: said})
	}
	for _, answer := range topics {
		if text := answer(&question{said: said, lower: strings.ToLower(said), r: r, rng: rng}); text != "" {
			return text
		}
	}
	return ""
}

// question is what the user said last, with what an answer may depend on.
type question struct {
	said, lower string
	r           *chat.Request
	rng         *rand.Rand
}

// topics are the things the simulator can talk about, the most specific first. Each is "" if the question is about
// something else.
var topics = []func(q *question) string{
	repeat, translate, arithmetic, aboutItself, configure, remember, capital, verse, joke, code, enumerate, summary, greet,
}

// lastSaid is the text of the user's last message, and the images, recordings and files in it.
func lastSaid(r *chat.Request) (text string, media []*chat.Part) {
	for i := len(r.Messages) - 1; i >= 0; i-- {
		m := &r.Messages[i]
		if m.Role != chat.RoleUser {
			continue
		}
		for k := range m.Parts {
			if m.Parts[k].Media != nil {
				media = append(media, &m.Parts[k])
			}
		}
		return strings.TrimSpace(m.Text(chat.PartText)), media
	}
	return "", nil
}

func oneOf(rng *rand.Rand, texts ...string) string { return texts[rng.IntN(len(texts))] }

func plural(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// has says whether any of the phrases occurs as whole words.
func has(lower string, phrases ...string) bool {
	for _, p := range phrases {
		for from := 0; ; {
			i := strings.Index(lower[from:], p)
			if i < 0 {
				break
			}
			i += from
			end := i + len(p)
			if (i == 0 || !isWordByte(lower[i-1])) && (end == len(lower) || !isWordByte(lower[end])) {
				return true
			}
			from = end
		}
	}
	return false
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 || c == '_'
}

var (
	repeatAfter = regexp.MustCompile(`(?is)^(?:please,? )?(?:repeat after me|repeat|echo|say|reply with|respond with|answer with)` +
		`(?: exactly| only| just)*(?: the words?)?(?: (?:this|these|the following)(?: words?| text| sentence)?\s*:)?\s*[:,]?\s+(.+)$`)
	myName    = regexp.MustCompile(`(?i)\bmy name is (\pL[\pL'-]*)`)
	capitalOf = regexp.MustCompile(`capital (?:city )?of ([\pL .]+)`)
	howMany   = regexp.MustCompile(`(?i)^(?:please,? |can you |could you )?(list|name|suggest|give me|tell me|write)(?: me)?` +
		`(?: (\d{1,2}|two|three|four|five|six|seven|eight|nine|ten|some|a list of|a few))? ?(.*)`)
	numerals = [...]string{"two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
)

func repeat(q *question) string {
	m := repeatAfter.FindStringSubmatch(q.said)
	if m == nil {
		return ""
	}
	return unquote(m[1])
}

// unquote takes quotation marks off that enclose all of s.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	for _, pair := range [...][2]string{{`"`, `"`}, {"'", "'"}, {"“", "”"}, {"„", "“"}, {"«", "»"}, {"`", "`"}} {
		inner, ok := strings.CutPrefix(s, pair[0])
		if !ok {
			continue
		}
		if inner, ok = strings.CutSuffix(inner, pair[1]); ok && inner != "" {
			return inner
		}
	}
	return s
}

func translate(q *question) string {
	i := slices.IndexFunc(languages[:], func(l string) bool { return has(q.lower, strings.ToLower(l)) })
	if i < 0 {
		return ""
	}
	language := languages[i]
	if !has(q.lower, "translate", "translation", "how do you say", "how do i say", "how to say", "what is", "in "+strings.ToLower(language)) {
		return ""
	}
	for _, p := range phrases {
		if has(q.lower, p.english) {
			return p.in[i]
		}
	}
	if !has(q.lower, "translate", "translation", "say") {
		return ""
	}
	known := make([]string, len(phrases))
	for i, p := range phrases {
		known[i] = p.english
	}
	return "The simulator's " + language + " is limited to: " + strings.Join(known, ", ") + ". A real provider translates anything."
}

func arithmetic(q *question) string {
	expression, value, err := findSum(q.lower)
	switch {
	case expression == "":
		return ""
	case err != nil:
		return expression + " has no value: " + err.Error() + "."
	}
	return expression + " = " + value
}

func aboutItself(q *question) string {
	switch {
	case has(q.lower, "sluice") && has(q.lower, "what", "explain", "describe", "tell", "who", "about"):
		return oneOf(q.rng,
			"Sluice is a gateway for large language models: applications speak one API to it, and it forwards each request to a "+
				"provider, fails over to another when one is down, counts tokens and cost for each tenant, and streams the answer back. "+
				"What answers you now is its built-in simulator.",
			"Sluice is a gateway between applications and the providers of language models. It checks who is calling, chooses where to send "+
				"the request, retries before the first token, relays the stream unchanged and records what it cost. You are talking to its "+
				"simulator, which needs no key and no network.")
	case has(q.lower, "who are you", "what are you", "your name", "which model", "what model", "are you an ai", "are you real", "are you chatgpt"):
		return "I am the simulator built into Sluice, called as \"" + clip(q.r.Model, 60) + "\". I compose answers from templates: no " +
			"language model is involved and nothing leaves this machine."
	}
	return ""
}

func configure(q *question) string {
	asks := has(q.lower, "how", "where", "configure", "set up", "setup", "add", "connect", "use")
	if !asks || !has(q.lower, "provider", "providers", "api key", "openai", "anthropic", "real model", "sluice") {
		return ""
	}
	return "To have a real provider answer, name it and a model in the gateway's configuration:\n\n" + configuration +
		"\nThen set OPENAI_API_KEY and start the gateway again with that file. The names that begin with \"sim-\" stay available for tests."
}

const configuration = "```yaml\n" + `providers:
  - name: openai
    type: openai
    keys: [{name: main, key: "${env:OPENAI_API_KEY}"}]
models:
  - name: gpt-4.1-mini
    targets: [{provider: openai, model: gpt-4.1-mini}]
` + "```\n"

// remember shows that earlier turns arrived.
func remember(q *question) string {
	if m := myName.FindStringSubmatch(q.said); m != nil {
		return "Nice to meet you, " + m[1] + ". Ask me later what your name is: if your application sends the whole conversation, I will know."
	}
	if !has(q.lower, "my name") {
		return ""
	}
	for i := range q.r.Messages {
		m := &q.r.Messages[i]
		if m.Role != chat.RoleUser {
			continue
		}
		if found := myName.FindStringSubmatch(m.Text(chat.PartText)); found != nil {
			return "Your name is " + found[1] + "."
		}
	}
	return "You have not told me your name in this conversation."
}

func capital(q *question) string {
	m := capitalOf.FindStringSubmatch(q.lower)
	if m == nil {
		return ""
	}
	for _, c := range capitals {
		if strings.HasPrefix(m[1], strings.ToLower(c.country)) {
			return "The capital of " + c.country + " is " + c.city + "."
		}
	}
	return ""
}

func verse(q *question) string {
	if !has(q.lower, "haiku", "poem", "poetry", "verse", "limerick") {
		return ""
	}
	return oneOf(q.rng, haikus[:]...)
}

func joke(q *question) string {
	if !has(q.lower, "joke", "jokes", "funny") {
		return ""
	}
	return oneOf(q.rng, jokes[:]...)
}

func code(q *question) string {
	language := ""
	for _, s := range snippets {
		if has(q.lower, s.language) {
			language = s.language
			break
		}
	}
	asked := has(q.lower, "code", "function", "script", "program", "snippet", "regex", "implement")
	if !asked && (language == "" || !has(q.lower, "write", "show", "example")) {
		return ""
	}
	text := snippets[0]
	for _, s := range snippets {
		if s.language == language {
			text = s
		}
	}
	return "Here is a small example; a real model would write what you asked for.\n\n```" + text.language + "\n" + text.code + "```\n"
}

func enumerate(q *question) string {
	m := howMany.FindStringSubmatch(q.said)
	if m == nil {
		return ""
	}
	if verb := strings.ToLower(m[1]); m[2] == "" && verb != "list" && verb != "name" && verb != "suggest" {
		return ""
	}
	n := 3
	if k, err := strconv.Atoi(m[2]); err == nil {
		n = k
	} else if i := slices.Index(numerals[:], strings.ToLower(m[2])); i >= 0 {
		n = i + 2
	}
	if n == 0 {
		return "That makes an empty list."
	}
	topic := clip(strings.TrimRight(strings.TrimSpace(m[3]), ".?! "), 80)
	if topic == "" {
		topic = "that"
	}
	var b strings.Builder
	b.WriteString("A template knows only general advice about " + topic + ":\n")
	first := q.rng.IntN(len(advice))
	for i := range n {
		b.WriteString("\n" + strconv.Itoa(i+1) + ". " + advice[(first+i)%len(advice)])
	}
	return b.String()
}

func summary(q *question) string {
	if !has(q.lower, "summarize", "summarise", "summary", "tl;dr") {
		return ""
	}
	_, text, ok := strings.Cut(q.said, ":")
	if text = strings.TrimSpace(text); !ok || text == "" {
		return ""
	}
	if end := strings.IndexAny(text, ".!?\n"); end > 0 {
		text = text[:end]
	}
	return "In short: " + clip(text, 200) + "."
}

func greet(q *question) string {
	word := strings.Trim(q.lower, " .!?,")
	for _, g := range greetings {
		if word == g.said || len(q.lower) < 40 && strings.HasPrefix(q.lower, g.said) && !isWordByte((q.lower + ".")[len(g.said)]) {
			return oneOf(q.rng, g.answers...)
		}
	}
	return ""
}

// explain is the answer to everything else.
func explain(said string, rng *rand.Rand) string {
	line, _, _ := strings.Cut(said, "\n")
	topic := "\"" + clip(line, 60) + "\""
	return oneOf(rng,
		"You asked about "+topic+". ", "About "+topic+" I can say only this much: ", "That is a good question: "+topic+". ") +
		oneOf(rng,
			"This answer comes from the simulator that is built into the gateway: it was composed from a template, and no language model has seen your message. ",
			"I am the gateway's built-in simulator, so nothing left this machine and no language model was involved. ") +
		oneOf(rng,
			"Everything around the answer is real, though: streaming, tool calls, structured output, usage and errors behave as a provider's do. ",
			"You can build against it all the same, for streams, tools, JSON schemas, usage and errors work as with a provider. ") +
		"To get real answers, add a provider with its key to the gateway's configuration and list one of its models; ask me how to configure a provider to see an example."
}
