package openai

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// AppendRequest writes the body of POST /v1/chat/completions. It names what the target cannot carry and was left out, in
// OpenAI's words: seed, reasoning.summary, tools.web_search. A mark of a prefix to cache is only a hint and not named. What
// would change the meaning is an error, a *chat.Error that names the field.
func AppendRequest(dst []byte, q *chat.Request, t *chat.Target) (body []byte, dropped []string, err error) {
	w := requestWriter{writer: writer{b: dst}, t: t}
	if t.NoCustomTools {
		if slices.ContainsFunc(q.Tools, func(t chat.Tool) bool { return t.HasGrammar() }) {
			w.drop(chat.LostGrammar)
		}
		q = chat.WithoutCustom(q)
	}
	w.q = chat.Shorten(q, t.MaxCallID)
	w.open('{')
	w.str("model", cmp.Or(t.Model, q.Model))
	w.messages()
	w.tools()
	w.format()
	w.limits()
	w.sampling()
	w.reasoning()
	w.delivery()
	w.extra()
	w.shut('}')
	dropped = w.dropped.Names()
	if w.bad == nil && t.Refuse && len(dropped) > 0 {
		w.refuse(dropped[0], "is nothing that this provider takes")
	}
	if w.bad != nil {
		return dst, nil, w.bad
	}
	return w.b, dropped, nil
}

type requestWriter struct {
	writer
	q       *chat.Request
	t       *chat.Target
	pending []chat.Part // media out of messages that cannot hold any, for the next turn of the user
	dropped chat.Dropped
	bad     *chat.Error // the first
}

// drop names what is left out.
func (w *requestWriter) drop(name string) { w.dropped.Add(name) }

func (w *requestWriter) refuse(param, why string) {
	if w.bad == nil {
		w.bad = &chat.Error{
			Message: param + " " + why + ".", Type: "invalid_request_error", Param: param, Code: "unsupported_parameter",
		}
	}
}

// own says whether the request came in this dialect, so that whatever it says may be said again.
func (w *requestWriter) own() bool { return w.q.Dialect == Name }

// withheld says that tools which may not be called are not offered, because the target cannot be told.
func (w *requestWriter) withheld() bool {
	return w.t.NoAllowedTools && len(w.q.Choice.Only) > 0 && !w.q.Choice.Named()
}

// tools writes the tools on offer. Those that one dialect's provider runs itself are unknown to the others.
func (w *requestWriter) tools() {
	q, some := w.q, false
	var allowed map[string]bool
	if w.withheld() {
		allowed = q.Choice.Allowed()
	}
	for i := range q.Tools {
		t := &q.Tools[i]
		if t.Kind == chat.Hosted && !w.own() {
			w.drop("tools." + t.Name)
			continue
		}
		if allowed != nil && !allowed[t.Name] {
			continue
		}
		if !some {
			some = true
			w.list("tools")
		}
		w.tool(t)
	}
	if some {
		w.shut(']')
		w.choice()
		w.bool("parallel_tool_calls", q.Parallel)
	} else if q.Choice.Mode == chat.ChoiceRequired {
		w.refuse("tool_choice", "demands a tool, and the provider knows none of those offered")
	}
}

func (w *requestWriter) tool(t *chat.Tool) {
	w.next()
	if t.Kind == chat.Hosted {
		w.b = append(w.b, t.Parameters...)
		return
	}
	w.open('{')
	if t.Kind == chat.Custom {
		w.str("type", "custom")
		w.object("custom")
		w.str("name", t.Name)
		w.text("description", t.Description)
		w.customFormat(t.Parameters)
	} else {
		w.str("type", "function")
		w.object("function")
		w.str("name", t.Name)
		w.text("description", t.Description)
		w.raw("parameters", t.Schema())
		w.bool("strict", t.Strict)
	}
	w.shut('}')
	if w.t.CacheMarks == cacheControl {
		w.mark(t.Cache)
	}
	w.shut('}')
}

// customFormat writes the format of a custom tool's input. Here, a grammar is an object of its own.
func (w *requestWriter) customFormat(format []byte) {
	if kind, _ := peek.String(peek.Find(format, []byte(`"type"`))); kind != "grammar" {
		w.raw("format", format)
		return
	}
	w.object("format")
	w.str("type", "grammar")
	w.object("grammar")
	peek.Each(format, func(key, v []byte) bool {
		if string(key) != "type" {
			w.next()
			w.b = append(append(shape.AppendString(w.b, string(key)), ':'), v...)
		}
		return true
	})
	w.shut('}')
	w.shut('}')
}

var modes = [...]string{chat.ChoiceAuto: "auto", chat.ChoiceNone: "none", chat.ChoiceRequired: "required"}

func (w *requestWriter) choice() {
	c := w.q.Choice
	switch {
	case c.Mode == chat.ChoiceUnset:
	case c.Mode == chat.ChoiceNone || len(c.Only) == 0 || w.withheld():
		w.str("tool_choice", modes[c.Mode])
	case c.Named():
		w.object("tool_choice")
		w.toolName(c.Only[0], w.kinds())
	default:
		kinds := w.kinds()
		w.object("tool_choice")
		w.str("type", "allowed_tools")
		w.object("allowed_tools")
		w.str("mode", modes[c.Mode])
		w.list("tools")
		for _, name := range c.Only {
			w.element()
			w.toolName(name, kinds)
		}
		w.shut(']')
		w.shut('}')
		w.shut('}')
	}
}

// kinds are those of the tools that are no functions, by name.
func (w *requestWriter) kinds() map[string]chat.ToolKind {
	kinds := map[string]chat.ToolKind{}
	for i := range w.q.Tools {
		if t := &w.q.Tools[i]; t.Kind != chat.Function {
			kinds[t.Name] = t.Kind
		}
	}
	return kinds
}

// toolName refers to a tool, and ends the object that does.
func (w *requestWriter) toolName(name string, kinds map[string]chat.ToolKind) {
	switch kinds[name] {
	case chat.Hosted:
		if !w.own() {
			w.refuse("tool_choice", "demands "+name+", which the provider does not know")
		}
		w.str("type", name)
	case chat.Custom:
		w.str("type", "custom")
		w.object("custom")
		w.str("name", name)
		w.shut('}')
	default:
		w.str("type", "function")
		w.object("function")
		w.str("name", name)
		w.shut('}')
	}
	w.shut('}')
}

func (w *requestWriter) format() {
	f := &w.q.Format
	switch f.Kind {
	case chat.FormatText:
		return
	case chat.FormatJSON:
		w.object("response_format")
		w.str("type", "json_object")
	case chat.FormatSchema:
		w.object("response_format")
		w.str("type", "json_schema")
		w.object("json_schema")
		w.str("name", cmp.Or(f.Name, "answer")) // required here, unknown to others
		w.text("description", f.Description)
		w.raw("schema", f.Schema)
		w.bool("strict", f.Strict)
		w.shut('}')
	}
	w.shut('}')
}

func (w *requestWriter) limits() {
	q := w.q
	if n := q.MaxTokens; n != nil && *n < 1 {
		w.refuse("max_tokens", "must be at least 1: only Anthropic's caches are warmed without an answer")
	}
	if w.t.OldMaxTokens {
		w.whole("max_tokens", q.MaxTokens)
	} else {
		w.whole("max_completion_tokens", q.MaxTokens)
	}
	if len(q.Stop) > 0 {
		w.list("stop")
		for _, s := range q.Stop {
			w.next()
			w.b = shape.AppendString(w.b, s)
		}
		w.shut(']')
	}
	if q.N > 1 {
		w.int("n", int64(q.N))
	}
	w.text("verbosity", q.Verbosity)
	w.bool("logprobs", q.Logprobs)
	w.whole("top_logprobs", q.TopLogprobs)
}

func (w *requestWriter) sampling() {
	s := w.q.Sampling
	seed := cmp.Or(w.t.SeedName, "seed")
	if w.t.NoSampling {
		for _, m := range [...]struct {
			name  string
			given bool
		}{
			{"temperature", s.Temperature != nil},
			{"top_p", s.TopP != nil},
			{"top_k", s.TopK != nil},
			{"frequency_penalty", s.FrequencyPenalty != nil},
			{"presence_penalty", s.PresencePenalty != nil},
			{"seed", s.Seed != nil},
			{"logit_bias", s.LogitBias != nil},
		} {
			if m.given {
				w.drop(m.name)
			}
		}
		return
	}
	w.number("temperature", s.Temperature)
	w.number("top_p", s.TopP)
	if w.t.TopK || w.own() {
		w.whole("top_k", s.TopK)
	} else if s.TopK != nil {
		w.drop("top_k")
	}
	w.number("frequency_penalty", s.FrequencyPenalty)
	w.number("presence_penalty", s.PresencePenalty)
	w.whole(seed, s.Seed)
	w.raw("logit_bias", s.LogitBias)
}

// delivery writes how the answer is to come and who asks.
func (w *requestWriter) delivery() {
	q := w.q
	if q.Stream {
		w.key("stream")
		w.b = append(w.b, "true"...)
		if (q.IncludeUsage || w.t.AskUsage) && !w.t.NoUsageOption {
			w.key("stream_options")
			w.b = append(w.b, `{"include_usage":true}`...)
		}
	}
	w.text("user", chat.ShortUser(q.User))
	w.text("prompt_cache_key", q.CacheKey)
	switch q.ServiceTier {
	case "standard_only": // Anthropic
		w.str("service_tier", "default")
	default:
		w.text("service_tier", q.ServiceTier)
	}
	if w.t.CacheMarks == cacheControl {
		w.mark(q.Cache)
	}
	switch {
	case w.own(): // for others the gateway keeps what is to be kept
		w.bool("store", q.Store)
		w.raw("metadata", q.Metadata)
	case len(q.Metadata) > 0 && !isEmpty(q.Metadata): // which is refused without store
		w.drop("metadata")
	}
	if q.Previous != "" {
		w.refuse("previous_response_id", "is known to providers of Responses only")
	}
}

// shared are members that Responses has under the same name and with the same meaning.
var shared = []string{"safety_identifier", "prompt_cache_options", "prompt_cache_retention", "moderation"}

// weighty are members of other dialects without which a request means something else.
var weighty = []string{"background", "conversation", "prompt", "mcp_servers", "container"}

func (w *requestWriter) extra() {
	for _, name := range w.q.Lost {
		w.drop(name)
	}
	for i := range w.q.Extra {
		m := &w.q.Extra[i]
		switch {
		case w.own() || slices.Contains(shared, m.Name):
			w.next()
			w.b = append(shape.AppendString(w.b, m.Name), ':') // which may hold anything
			w.b = append(w.b, m.Value...)
		case slices.Contains(weighty, m.Name) && !bytes.Equal(m.Value, []byte("false")) && !isEmpty(m.Value):
			w.refuse(m.Name, "is nothing that providers of chat completions know")
		default:
			w.drop(m.Name)
		}
	}
}

// reasoning writes how much to think. A budget becomes an effort where the target knows none.
func (w *requestWriter) reasoning() {
	r := w.q.Reasoning
	switch w.t.Thinking {
	case "reasoning":
		w.openRouterReasoning(r)
	case "thinking":
		w.thinking(r)
	default:
		w.text("reasoning_effort", w.effort(effort(r)))
		if r.Summary != "" && r.Summary != "omitted" {
			w.drop("reasoning.summary")
		}
	}
}

// effort is the nearest that the model takes.
func (w *requestWriter) effort(wanted string) string {
	effort, exact := w.t.Effort(wanted)
	if !exact {
		w.drop("reasoning_effort")
	}
	return effort
}

// effort is that of a request, or what its budget stands for.
func effort(r chat.Reasoning) string {
	switch {
	case r.Mode == chat.ThinkOff:
		return "none"
	case r.Effort != "" || r.Mode != chat.ThinkBudget:
		return r.Effort
	}
	return chat.EffortOf(r.Budget)
}

func (w *requestWriter) openRouterReasoning(r chat.Reasoning) {
	if r == (chat.Reasoning{}) {
		return
	}
	w.object("reasoning")
	on, off := true, false
	switch {
	case r.Mode == chat.ThinkOff:
		w.bool("enabled", &off)
	case r.Mode == chat.ThinkBudget:
		w.int("max_tokens", r.Budget)
	case r.Effort != "":
		w.text("effort", w.effort(r.Effort))
	case r.Mode != chat.ThinkUnset:
		w.bool("enabled", &on)
	}
	if r.Summary == "omitted" {
		w.bool("exclude", &on)
	} else {
		w.text("summary", r.Summary)
	}
	w.shut('}')
}

func (w *requestWriter) thinking(r chat.Reasoning) {
	switch {
	case r.Mode == chat.ThinkOff:
		w.object("thinking")
		w.str("type", "disabled")
		w.shut('}')
		return
	case r.Mode != chat.ThinkUnset:
		w.object("thinking")
		w.str("type", "enabled")
		if r.Mode == chat.ThinkBudget {
			w.int("budget_tokens", r.Budget)
		}
		w.shut('}')
	}
	w.text("reasoning_effort", w.effort(r.Effort))
}

// Members that mark the end of a prefix to cache: Anthropic's, and OpenAI's, which only parts have.
const (
	cacheControl = "cache_control"
	breakpoint   = "prompt_cache_breakpoint"
)

// mark writes the end of a prefix to cache, as the target has it.
func (w *requestWriter) mark(c chat.Cache) {
	if c == "" || w.t.CacheMarks == "" {
		return
	}
	w.object(w.t.CacheMarks)
	if w.t.CacheMarks == cacheControl {
		w.str("type", "ephemeral")
		if c != "default" {
			w.str("ttl", string(c))
		}
	} else {
		w.str("mode", "explicit") // how long, the request says for all
	}
	w.shut('}')
}

// typeOf is the type of a part that only its own dialect knows.
func typeOf(raw []byte) string {
	kind, _ := peek.String(peek.Find(raw, []byte(`"type"`)))
	return cmp.Or(kind, "other")
}
