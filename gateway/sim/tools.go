package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

const maxCalls = 5 // in one reply

// callTools decides whether tools are called, and with what. After results it answers in text, unless a call is required.
func callTools(r *chat.Request, rng *rand.Rand) []chat.ToolCall {
	required := r.Choice.Mode == chat.ChoiceRequired
	last := len(r.Messages) - 1
	if len(r.Tools) == 0 || r.Choice.Mode == chat.ChoiceNone || last < 0 || !required && r.Messages[last].Role == chat.RoleTool {
		return nil
	}
	h := readHints(r)
	tools := fitting(r, h, required)
	if len(tools) == 0 {
		return nil
	}
	parallel := r.Parallel == nil || *r.Parallel
	if !parallel {
		tools = tools[:1]
	}
	prefix := "call_"
	if r.Dialect == anthropic.Name {
		prefix = "toolu_"
	}
	var calls []chat.ToolCall
	for _, t := range tools {
		times := 1
		if parallel && len(tools) == 1 && asksForPlace(t.Parameters) {
			times = max(len(h.proper), 1) // the weather in Paris, London and Tokyo
		}
		for i := range min(times, maxCalls-len(calls)) {
			h.reserved, h.used = i, map[string]int{}
			calls = append(calls, chat.ToolCall{
				ID: prefix + serial(rng, 24), Kind: t.Kind, Name: t.Name, Arguments: arguments(t, h),
			})
		}
	}
	return calls
}

func arguments(t *chat.Tool, h *hints) string {
	if t.Kind == chat.Custom {
		return h.text
	}
	return string(fromSchema(t.Parameters, h))
}

// fitting are the tools that the question seems to ask for, the best first. If a call is required there is at least one.
func fitting(r *chat.Request, h *hints, required bool) []*chat.Tool {
	asked := stems(h.lower)
	type scored struct {
		tool  *chat.Tool
		score int
	}
	var offered []scored
	for i := range r.Tools {
		t := &r.Tools[i]
		if t.Kind == chat.Hosted || len(r.Choice.Only) > 0 && !slices.Contains(r.Choice.Only, t.Name) {
			continue
		}
		offered = append(offered, scored{t, score(t, h, asked)})
	}
	slices.SortStableFunc(offered, func(a, b scored) int { return b.score - a.score })
	var tools []*chat.Tool
	for i, o := range offered {
		if o.score >= 2 || required && i == 0 {
			tools = append(tools, o.tool)
		}
	}
	return tools
}

// score says how well a tool fits: two for each word of its name that was said, one for each of its description.
func score(t *chat.Tool, h *hints, asked []string) int {
	n := 0
	named := stems(strings.Join(nameWords(t.Name), " "))
	for _, w := range named {
		if slices.Contains(asked, w) {
			n += 2
		}
		if h.sum != "" && (w == "calcul" || w == "comput" || w == "math" || w == "evalua" || w == "arithm") {
			n += 2
		}
	}
	for _, w := range stems(strings.ToLower(t.Description)) {
		if slices.Contains(asked, w) && !slices.Contains(named, w) {
			n++
		}
	}
	return n
}

// common are stems that say nothing about what is wanted.
var common = strings.Fields(`get set the and for with from that this what which where when how are you can could would should
	please give tell show make use user given any all some your our about into will not its has have current return
	return provid inform value string number name list`)

// stems are the telling words of a text, each once and cut to six letters, so that "translate" matches "translation".
func stems(lower string) []string {
	var list []string
	between := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for _, w := range strings.FieldsFunc(lower[:min(len(lower), maxHinted)], between) {
		w = w[:min(len(w), 6)]
		if len(w) > 2 && !slices.Contains(common, w) && !slices.Contains(list, w) && len(list) < 256 {
			list = append(list, w)
		}
	}
	return list
}

// asksForPlace says whether a tool has exactly one property for a place.
func asksForPlace(parameters []byte) bool {
	n := 0
	peek.Each(parameters, func(key, val []byte) bool {
		if string(key) == "properties" {
			peek.Each(val, func(key, val []byte) bool {
				if kindOf(string(key)) == "place" && !strings.Contains(string(val), `"array"`) {
					n++
				}
				return true
			})
		}
		return true
	})
	return n == 1
}

// toolResults says what the tools answered, if the conversation ends with that; else "".
func toolResults(r *chat.Request) string {
	first := len(r.Messages)
	for first > 0 && r.Messages[first-1].Role == chat.RoleTool {
		first--
	}
	var b strings.Builder
	for i := first; i < len(r.Messages); i++ {
		m := &r.Messages[i]
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		name := m.Name
		if called := nameOfCall(r, m.CallID); called != "" {
			name = called
		}
		if name == "" {
			name = "the tool"
		}
		b.WriteString("According to " + name + ": " + readable(strings.TrimSpace(m.Text(chat.PartText))))
	}
	return b.String()
}

func nameOfCall(r *chat.Request, id string) string {
	for i := range r.Messages {
		for _, c := range r.Messages[i].Calls() {
			if c.ID == id && id != "" {
				return c.Name
			}
		}
	}
	return ""
}

const maxQuoted = 1000 // characters of a tool's result

// readable turns the members of a JSON object into a sentence; other texts stay as they are.
func readable(result string) string {
	var list []string
	whole := peek.Each([]byte(result), func(key, val []byte) bool {
		text, ok := peek.String(val)
		if !ok {
			text = string(val)
		}
		list = append(list, strings.ReplaceAll(string(key), "_", " ")+" is "+text)
		return true
	})
	switch {
	case result == "":
		return "nothing."
	case !whole || len(list) == 0:
		return clip(result, maxQuoted)
	}
	return clip(strings.Join(list, ", "), maxQuoted) + "."
}
