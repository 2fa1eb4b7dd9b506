package anthropic

import (
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// AppendRequest adds the body of POST /v1/messages. What the dialect demands of the order of turns is arranged: system
// messages move to the front (unless t.MidSystem), results of calls to the front of the turn behind the calls, and turns
// of the same role become one. Texts of nothing but white space are left out, for the API refuses them; and a conversation
// of system messages alone is said by the user.
//
// A JSON answer without a schema has no equivalent: the request gets one more system text that asks for it, and
// response_format is named as dropped.
//
// The error is a *chat.Error: for what would change the meaning if it were left out (several choices, audio, files of a
// kind that Claude cannot read), for calls whose arguments are no JSON object, and with t.Refuse for all that is dropped.
func AppendRequest(dst []byte, q *chat.Request, t *chat.Target) (body []byte, dropped []string, err error) {
	e := requestWriter{writer: writer{dst}, q: q, t: t, prefill: -1}
	e.request()
	if e.bad != nil {
		return nil, nil, e.bad
	}
	return e.b, e.dropped.Names(), nil
}

// requestWriter writes one request.
type requestWriter struct {
	writer
	q *chat.Request
	t *chat.Target

	dropped chat.Dropped
	bad     *chat.Error // the first
	spare   int         // cache marks to leave out: there are too many
	open    []openCall  // calls of the last turn of the assistant, without their results
	unnamed int         // calls that had no id and got one
	prefill int         // the message that the model is to continue, or -1
}

// ours says that the request came in this dialect, and so means by effort, hosted tools and the like what we do.
func (e *requestWriter) ours() bool { return e.q.Dialect == Name }

// drop notes what the target cannot carry.
func (e *requestWriter) drop(name string) {
	if e.t.Refuse {
		e.refuse(name, "cannot be carried to the model's provider; leave it out, or allow parameters to be dropped")
	}
	e.dropped.Add(name)
}

// refuse notes what makes the request impossible.
func (e *requestWriter) refuse(path, text string) {
	if e.bad == nil {
		e.bad = (&shape.Fault{Path: path, Text: text}).Refusal()
	}
}

func (e *requestWriter) request() {
	p := e.plan()
	e.refuseMeaning()
	e.countMarks()
	e.raw("{")
	e.text("model", e.t.Model)
	e.whole("max_tokens", p.maxTokens)
	e.tools()
	e.conversation()
	e.thinking(&p)
	e.output(&p)
	if p.temperature != nil {
		e.float("temperature", *p.temperature)
	}
	if p.topP != nil {
		e.float("top_p", *p.topP)
	}
	if p.topK != nil {
		e.whole("top_k", *p.topK)
	}
	e.stop()
	if e.q.Stream {
		e.bool("stream", true)
	}
	if e.q.User != "" {
		e.key("metadata")
		e.raw("{")
		e.text("user_id", userID(e.q.User))
		e.raw("}")
	}
	e.tier()
	e.cache(e.q.Cache)
	e.dropRest()
	e.extra()
	e.raw("}")
}

// userID is the name of a user as the API takes it: what looks like an address or a telephone number is refused (litellm#10106),
// and so is what has more than 256 bytes.
func userID(user string) string {
	const most = 256
	named := func(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' }
	if len(user) > most || strings.Contains(user, "@") || !strings.ContainsFunc(user, named) {
		return chat.Pseudonym(user)
	}
	return user
}

// refuseMeaning refuses what cannot be left out.
func (e *requestWriter) refuseMeaning() {
	switch {
	case e.q.N > 1:
		e.refuse("n", "must be 1: the model gives one answer to a request; send the request several times instead")
	case e.q.MaxTokens != nil && *e.q.MaxTokens < 1 && !e.ours(): // which here only warms the cache, and is charged
		e.refuse("max_completion_tokens", "must be at least 1")
	case e.q.Previous != "":
		e.refuse("previous_response_id", "cannot be followed by the model's provider; send the whole conversation")
	}
}

// dropRest names what has no place here. What says no more than the default is no loss.
func (e *requestWriter) dropRest() {
	q, s := e.q, &e.q.Sampling
	on := func(name string, set bool) {
		if set {
			e.drop(name)
		}
	}
	on("frequency_penalty", s.FrequencyPenalty != nil && *s.FrequencyPenalty != 0)
	on("presence_penalty", s.PresencePenalty != nil && *s.PresencePenalty != 0)
	on("seed", s.Seed != nil)
	on("logit_bias", s.LogitBias != nil)
	on("logprobs", q.Logprobs != nil && *q.Logprobs)
	on("top_logprobs", q.TopLogprobs != nil && *q.TopLogprobs > 0)
	on("verbosity", q.Verbosity != "" && q.Verbosity != effortMedium)
	on("prompt_cache_key", q.CacheKey != "")
	on("metadata", q.Metadata != nil)
	on("store", q.Store != nil && *q.Store)
	for _, name := range q.Lost {
		e.drop(name)
	}
}

// thinking writes how the model is to think.
func (e *requestWriter) thinking(p *plan) {
	kinds := [...]string{
		chat.ThinkOff: "disabled", chat.ThinkAdaptive: "adaptive", chat.ThinkBudget: "enabled", chat.ThinkBetweenTools: "between_tools",
	}
	if p.mode == chat.ThinkUnset || int(p.mode) >= len(kinds) {
		return
	}
	e.key("thinking")
	e.raw("{")
	e.text("type", kinds[p.mode])
	if p.mode == chat.ThinkBudget {
		e.whole("budget_tokens", p.budget)
	}
	if p.mode == chat.ThinkBudget || p.mode == chat.ThinkAdaptive {
		switch e.q.Reasoning.Summary {
		case "":
		case "omitted":
			e.text("display", "omitted")
		default:
			e.text("display", "summarized")
		}
	}
	e.raw("}")
}

// output writes output_config.
func (e *requestWriter) output(p *plan) {
	f := &e.q.Format
	if f.Kind == chat.FormatJSON {
		e.drop("response_format")
	}
	if p.effort == "" && f.Kind != chat.FormatSchema {
		return
	}
	e.key("output_config")
	e.raw("{")
	if p.effort != "" {
		e.text("effort", p.effort)
	}
	if f.Kind == chat.FormatSchema {
		e.key("format")
		e.raw("{")
		e.text("type", "json_schema")
		e.json("schema", orEmptySchema(f.Schema))
		e.raw("}")
	}
	e.raw("}")
}

func (e *requestWriter) stop() {
	open := false
	for _, s := range e.q.Stop {
		if strings.TrimSpace(s) == "" {
			e.drop("stop") // the API refuses it
			continue
		}
		if !open {
			e.key("stop_sequences")
			e.raw("[")
			open = true
		}
		e.next()
		e.b = shape.AppendString(e.b, s)
	}
	if open {
		e.raw("]")
	}
}

func (e *requestWriter) tier() {
	switch e.q.ServiceTier {
	case "":
	case "auto":
		e.text("service_tier", "auto")
	case tierDefault:
		e.text("service_tier", "standard_only")
	default:
		e.drop("service_tier")
	}
}

// extra writes the members that have a meaning here: all that came in this dialect, and those that no other dialect has.
func (e *requestWriter) extra() {
	for _, m := range e.q.Extra {
		switch m.Name {
		case "container", "speed", "inference_geo", "mcp_servers", "diagnostics", "user_profile_id", "workspace_id":
			e.json(m.Name, m.Value)
			continue
		}
		if e.ours() {
			e.next()
			e.b = append(shape.AppendString(e.b, m.Name), ':')
			e.b = append(e.b, m.Value...)
			continue
		}
		e.foreign(&m)
	}
}

// foreign refuses what would change the meaning if it were left out, passes over what is about the form of the reply, and
// drops the rest.
func (e *requestWriter) foreign(m *chat.Member) {
	v := string(m.Value)
	switch m.Name {
	case "audio":
		e.refuse(m.Name, "the model gives no audio")
	case "modalities":
		if peekHas(m.Value, `"audio"`) {
			e.refuse(m.Name, "must be text: the model gives no audio")
		}
	case "background":
		if v == "true" {
			e.refuse(m.Name, "the model's provider has no background mode")
		}
	case "conversation", "prompt":
		e.refuse(m.Name, "is kept by another provider; send what it stands for")
	case "include", "stream_options":
	default:
		if v != "null" && v != "false" {
			e.drop(m.Name)
		}
	}
}

// peekHas says whether a list has an element, as it stands in the text.
func peekHas(list []byte, element string) bool {
	has := false
	peek.Elements(list, func(v []byte) bool {
		has = string(v) == element
		return !has
	})
	return has
}

// tools writes the tools that may be called, and which of them must.
func (e *requestWriter) tools() {
	c, open := &e.q.Choice, false
	allowed, demanded := c.Allowed(), "" // the name of the one that must be called
	for i := range e.q.Tools {
		t := &e.q.Tools[i]
		if t.Kind == chat.Hosted && !e.ours() && !dated(t.Name) {
			e.drop("tools." + t.Name)
			continue
		}
		called := calledName(t)
		chosen := allowed[t.Name] || allowed[called]
		if allowed != nil && !c.Named() && !chosen {
			continue
		}
		if c.Named() && chosen {
			demanded = called
		}
		if !open {
			e.key("tools")
			e.raw("[")
			open = true
		}
		e.tool(t)
	}
	if !open {
		if c.Mode == chat.ChoiceRequired {
			e.refuse("tool_choice", "demands a call, but no tool is left that the model may call")
		}
		return
	}
	e.raw("]")
	if c.Named() && demanded == "" {
		if demanded = c.Only[0]; !e.ours() { // else it may be one of a server's, which are not listed
			e.refuse("tool_choice", "demands "+c.Only[0]+", which is not among the tools that the model's provider knows")
		}
	}
	e.toolChoice(demanded)
}

// calledName is the name by which a tool is called: a hosted tool's own is its type.
func calledName(t *chat.Tool) string {
	if t.Kind != chat.Hosted {
		return t.Name
	}
	name, _ := peek.String(peek.Find(t.Parameters, []byte(`"name"`)))
	return name
}

// dated says whether a tool's type ends with a date, as Anthropic's do: web_search_20250305.
func dated(kind string) bool {
	at := strings.LastIndexByte(kind, '_')
	_, err := strconv.ParseUint(kind[at+1:], 10, 32)
	return at > 0 && err == nil && len(kind)-at-1 == len("20250305")
}

// tool writes a tool. One that takes free text becomes a function with that text for its only argument, "input"; a grammar of
// the text is told in the description, and named as dropped.
func (e *requestWriter) tool(t *chat.Tool) {
	e.next()
	if t.Kind == chat.Hosted {
		e.b = append(e.b, t.Parameters...)
		return
	}
	e.raw("{")
	e.text("name", t.Name)
	if d := t.CustomDescription(); d != "" {
		e.text("description", d)
	}
	if t.HasGrammar() {
		e.drop(chat.LostGrammar)
	}
	if t.Kind == chat.Custom {
		e.json("input_schema", []byte(chat.CustomParameters))
	} else {
		e.json("input_schema", orEmptySchema(t.Parameters))
	}
	if t.Strict != nil && t.Kind == chat.Function {
		e.bool("strict", *t.Strict)
	}
	e.cache(t.Cache)
	e.raw("}")
}

// orEmptySchema is a schema that says that it is an object, which the API demands and OpenAI does not.
func orEmptySchema(schema []byte) []byte {
	members := 0
	peek.Each(schema, func(_, _ []byte) bool {
		members++
		return false
	})
	switch {
	case members == 0:
		return []byte(`{"type":"object","properties":{}}`)
	case peek.Find(schema, []byte(`"type"`)) == nil:
		return append([]byte(`{"type":"object",`), schema[1:]...) // it begins with its brace: it was read as a value
	}
	return schema
}

// toolChoice writes which tools must be called; demanded is the name of the only one.
func (e *requestWriter) toolChoice(demanded string) {
	c, single := &e.q.Choice, e.q.Parallel != nil && !*e.q.Parallel
	kind := ""
	switch {
	case c.Mode == chat.ChoiceNone:
		kind, single = "none", false // which takes no more members
	case c.Named():
		kind = "tool"
	case c.Mode == chat.ChoiceRequired:
		kind = "any"
	case c.Mode == chat.ChoiceAuto || single:
		kind = "auto"
	default:
		return
	}
	e.key("tool_choice")
	e.raw("{")
	e.text("type", kind)
	if kind == "tool" {
		e.text("name", demanded)
	}
	if single {
		e.bool("disable_parallel_tool_use", true)
	}
	e.raw("}")
}
