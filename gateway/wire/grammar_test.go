package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/internal/openapi"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// What every stream must keep to that Sluice writes, whatever it was translated from: the rules are those that clients
// depend on, written down in a second way.

// checkStream holds a stream that was written for q against the rules of its dialect.
func checkStream(t *testing.T, d *wire.Dialect, q *chat.Request, events []sse.Event) {
	t.Helper()
	checkForm(t, d, q, events, false)
}

// checkForm is checkStream; of a wild provider's answers it holds only the form.
func checkForm(t *testing.T, d *wire.Dialect, q *chat.Request, events []sse.Event, wild bool) {
	t.Helper()
	var err error
	switch d {
	case wire.OpenAI:
		err = (&chunks{wild: wild}).check(q, events)
	case wire.Anthropic:
		err = (&blocks{wild: wild}).check(events)
	case wire.Responses:
		err = (&items{wild: wild}).check(events)
	}
	if err != nil {
		t.Errorf("%s: %v", d.Name, err)
	}
}

// checkReply holds a whole reply against the schema of its dialect, if one is published.
func checkReply(t *testing.T, d *wire.Dialect, body []byte) {
	t.Helper()
	schema := map[*wire.Dialect]string{wire.OpenAI: "CreateChatCompletionResponse", wire.Responses: "Response"}[d]
	if schema == "" {
		if !json.Valid(body) {
			t.Errorf("no JSON: %s", body)
		}
		return
	}
	if err := openapi.Check(schema, body); err != nil {
		t.Errorf("%v\n%s", err, body)
	}
}

// read decodes an event, strictly as to its type.
func read(ev sse.Event, to any) error {
	if err := json.Unmarshal(ev.Data, to); err != nil {
		return fmt.Errorf("%s: %w", ev.Data, err)
	}
	return nil
}

// chunks are OpenAI's.
type chunks struct {
	id, model string
	created   int64
	choices   map[int]*saidChoice
	usage     bool
	wild      bool
}

type saidChoice struct {
	role, finish string
	calls        []saidCall
}

type saidCall struct{ id, kind, name, arguments string }

type chunk struct {
	ID, Model string
	Created   int64
	Usage     json.RawMessage
	Choices   []struct {
		Index  int
		Finish *string `json:"finish_reason"`
		Delta  map[string]json.RawMessage
	}
}

func (c *chunks) check(q *chat.Request, events []sse.Event) error {
	c.choices = map[int]*saidChoice{}
	for i, ev := range events {
		last := i == len(events)-1
		switch {
		case ev.Name != "":
			return fmt.Errorf("an event with the name %s", ev.Name)
		case string(ev.Data) == "[DONE]":
			if !last {
				return fmt.Errorf("[DONE] is event %d of %d", i, len(events))
			}
			return c.done(q)
		case bytes.HasPrefix(ev.Data, []byte(`{"error":`)): // as go-openai wants it
			if !last {
				return fmt.Errorf("something follows an error")
			}
			return openapi.Check("ErrorResponse", ev.Data)
		case bytes.Contains(ev.Data, []byte(`"error":null`)): // an error for openai-go
			return fmt.Errorf("error:null")
		}
		if err := c.chunk(q, ev, i == 0); err != nil {
			return fmt.Errorf("event %d: %w: %s", i, err, ev.Data)
		}
	}
	return fmt.Errorf("no end after %d events", len(events))
}

func (c *chunks) chunk(q *chat.Request, ev sse.Event, first bool) error {
	custom := bytes.Contains(ev.Data, []byte(`"custom":{`)) // which the schema of chunks forgets
	if err := openapi.Check("CreateChatCompletionStreamResponse", ev.Data); err != nil && !custom && !wildLogprobs(c.wild, ev) {
		return err
	}
	var k chunk
	if err := read(ev, &k); err != nil {
		return err
	}
	if first {
		c.id, c.model, c.created = k.ID, k.Model, k.Created
	}
	asked := q != nil && q.IncludeUsage
	switch {
	case k.ID != c.id || k.Model != c.model || k.Created != c.created:
		return fmt.Errorf("another id, model or time than before")
	case len(k.Choices) == 0 && (!asked || c.usage || string(k.Usage) == "null"):
		return fmt.Errorf("an empty chunk that nobody asked for")
	case len(k.Choices) == 0:
		c.usage = true
		return nil
	case c.usage:
		return fmt.Errorf("a choice behind the usage")
	case asked != (string(k.Usage) == "null"):
		return fmt.Errorf("usage must be null if it was asked for, and else not there")
	}
	for _, choice := range k.Choices {
		s := c.choices[choice.Index]
		if s == nil {
			s = &saidChoice{}
			c.choices[choice.Index] = s
		}
		if err := s.add(choice.Delta); err != nil {
			return err
		}
		if choice.Finish != nil {
			s.finish = *choice.Finish
		}
	}
	return nil
}

// wildLogprobs says that an event has logprobs of a wild provider, which are passed on as they are.
func wildLogprobs(wild bool, ev sse.Event) bool {
	return wild && bytes.Contains(ev.Data, []byte(`"logprobs":`))
}

func (s *saidChoice) add(delta map[string]json.RawMessage) error {
	if s.finish != "" {
		return fmt.Errorf("something behind the finish")
	}
	role := delta["role"]
	if (s.role == "") != (role != nil) { // portkey #1399
		return fmt.Errorf("the role must be in the first delta and only there")
	}
	if role != nil {
		s.role = string(role)
	}
	var calls []struct {
		Index            *int
		ID, Type         string
		Function, Custom *struct{ Name, Arguments, Input string }
	}
	if list := delta["tool_calls"]; list != nil {
		if err := json.Unmarshal(list, &calls); err != nil {
			return err
		}
	}
	for _, call := range calls {
		f := call.Function
		if f == nil {
			f = call.Custom
		}
		switch {
		case call.Index == nil || *call.Index > len(s.calls):
			return fmt.Errorf("indices of calls must count from 0: litellm #5231")
		case *call.Index == len(s.calls):
			if call.ID == "" || f == nil || call.Type == "" {
				return fmt.Errorf("the first fragment of a call must have an id and a type")
			}
			s.calls = append(s.calls, saidCall{id: call.ID, kind: call.Type, name: f.Name})
		case call.ID != "" || call.Type != "" || f != nil && f.Name != "":
			return fmt.Errorf("only the first fragment of a call may have id, type and name")
		}
		if f != nil {
			s.calls[*call.Index].arguments += f.Arguments + f.Input
		}
	}
	return nil
}

func (c *chunks) done(q *chat.Request) error {
	if q != nil && q.IncludeUsage && !c.usage {
		return fmt.Errorf("the usage is missing")
	}
	for i, s := range c.choices {
		if s.finish == "" && !c.wild { // of choices, a provider may leave out the first
			return fmt.Errorf("choice %d has no finish_reason", i)
		}
		for _, call := range s.calls {
			if !c.wild && call.kind == "function" && s.finish == "tool_calls" && !json.Valid([]byte(call.arguments)) {
				return fmt.Errorf("arguments of %s are no JSON: %s", call.name, call.arguments)
			}
		}
	}
	return nil
}

// blocks are Anthropic's.
type blocks struct {
	begun, open, told bool
	wild              bool
	index             int
	kind              string
	input             strings.Builder
	inputs            []string
	reason            string
}

type blockEvent struct {
	Type  string
	Index *int
	Block struct {
		Type string
	} `json:"content_block"`
	Delta struct {
		Type    string
		Reason  string  `json:"stop_reason"`
		Partial *string `json:"partial_json"`
	}
	Message *struct {
		ID, Type, Role, Model string
		Content               []json.RawMessage
		Usage                 map[string]json.RawMessage
	}
	Usage map[string]json.RawMessage
}

func (b *blocks) check(events []sse.Event) error {
	for i, ev := range events {
		var e blockEvent
		if err := read(ev, &e); err != nil {
			return err
		}
		if e.Type != ev.Name { // the SDK drops frames without a name
			return fmt.Errorf("an event %s with the name %q", e.Type, ev.Name)
		}
		last := i == len(events)-1
		if e.Type == "error" && last {
			return nil
		}
		if err := b.event(&e, last); err != nil {
			return fmt.Errorf("event %d: %w: %s", i, err, ev.Data)
		}
	}
	if !b.told {
		return fmt.Errorf("no message_delta")
	}
	for _, input := range b.inputs {
		var object map[string]any
		if !b.wild && b.reason != "max_tokens" && json.Unmarshal([]byte(input), &object) != nil {
			return fmt.Errorf("an input is no object: %s", input)
		}
	}
	if (len(b.inputs) > 0) != (b.reason == "tool_use") && b.reason != "max_tokens" && b.reason != "refusal" {
		return fmt.Errorf("%d calls, and the reason %s", len(b.inputs), b.reason)
	}
	return nil
}

func (b *blocks) event(e *blockEvent, last bool) error {
	if b.begun == (e.Type == "message_start") { // litellm #32357, bifrost #4556
		return fmt.Errorf("message_start must come first, and once")
	}
	if b.told != (e.Type == "message_stop") || last != (e.Type == "message_stop") {
		return fmt.Errorf("message_delta and message_stop must come last")
	}
	switch e.Type {
	case "message_start":
		b.begun = true
		if m := e.Message; m == nil || m.ID == "" || m.Type != "message" || m.Role != "assistant" || m.Content == nil || !counts(m.Usage) {
			return fmt.Errorf("an incomplete message")
		}
	case "content_block_start":
		if b.open || e.Index == nil || *e.Index != b.index || e.Block.Type == "" {
			return fmt.Errorf("blocks must follow each other, and be counted: litellm #25321")
		}
		b.open, b.kind = true, e.Block.Type
	case "content_block_delta":
		want := map[string][]string{
			"text": {"text_delta", "citations_delta"}, "tool_use": {"input_json_delta"}, "thinking": {"thinking_delta", "signature_delta"},
		}[b.kind]
		if !b.open || e.Index == nil || *e.Index != b.index || !slices.Contains(want, e.Delta.Type) { // litellm #32357
			return fmt.Errorf("a %s in a block of %s", e.Delta.Type, b.kind)
		}
		if e.Delta.Partial != nil {
			b.input.WriteString(*e.Delta.Partial)
		}
	case "content_block_stop":
		if !b.open || e.Index == nil || *e.Index != b.index {
			return fmt.Errorf("a block ends that has not begun")
		}
		if b.kind == "tool_use" {
			b.inputs = append(b.inputs, b.input.String())
			b.input.Reset()
		}
		b.open = false
		b.index++
	case "message_delta":
		if b.reason = e.Delta.Reason; b.open || b.reason == "" || !counts(e.Usage) {
			return fmt.Errorf("an open block, or no reason, or no usage")
		}
		b.told = true
	case "message_stop":
	default:
		return fmt.Errorf("an unknown type")
	}
	return nil
}

// counts says that a usage has the numbers that clients read without looking.
func counts(usage map[string]json.RawMessage) bool {
	for _, name := range []string{"input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"} {
		var n int64
		if json.Unmarshal(usage[name], &n) != nil || usage[name] == nil || n < 0 {
			return false
		}
	}
	return true
}

// items are those of the Responses API.
type items struct {
	open map[int]string // what was said of the item since its beginning, or since its last part
	done []json.RawMessage
	wild bool
}

type itemEvent struct {
	Type     string
	Sequence int  `json:"sequence_number"`
	Output   *int `json:"output_index"`
	Item     json.RawMessage
	Delta    string

	Text, Refusal, Arguments, Input *string

	Response *struct {
		ID, Status string
		Output     []json.RawMessage
	}
}

func (l *items) check(events []sse.Event) error {
	l.open = map[int]string{}
	for i, ev := range events {
		schema := openapi.Events[ev.Name]
		if schema == "" {
			return fmt.Errorf("an event %q", ev.Name)
		}
		// Codes that OpenAI's clients act on, and its schemas lack.
		data := regexp.MustCompile(`"code":"(context_length_exceeded|insufficient_quota|server_is_overloaded|slow_down)"`).
			ReplaceAll(ev.Data, []byte(`"code":"server_error"`))
		if err := openapi.Check(schema, data); err != nil && !wildLogprobs(l.wild, ev) {
			return fmt.Errorf("%w: %s", err, ev.Data)
		}
		var e itemEvent
		if err := read(ev, &e); err != nil {
			return err
		}
		if e.Type != ev.Name || e.Sequence != i {
			return fmt.Errorf("%s with the name %s and the number %d is event %d", e.Type, ev.Name, e.Sequence, i)
		}
		if err := l.event(&e, i, i == len(events)-1); err != nil {
			return fmt.Errorf("event %d: %w: %s", i, err, ev.Data)
		}
	}
	return nil
}

var firstEvents = []string{"response.created", "response.in_progress"}

var lastEvents = []string{"response.completed", "response.incomplete", "response.failed", "error"}

func (l *items) event(e *itemEvent, i int, last bool) error {
	if e.Type != "error" && (i < len(firstEvents)) != slices.Contains(firstEvents, e.Type) || last != slices.Contains(lastEvents, e.Type) {
		return fmt.Errorf("not in its place")
	}
	said, opened := "", false
	if e.Output != nil {
		said, opened = l.open[*e.Output]
	}
	switch {
	case e.Type == "response.completed" || e.Type == "response.incomplete":
		if len(l.open) > 0 || !slices.EqualFunc(e.Response.Output, l.done, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			return fmt.Errorf("the output is not what was done before")
		}
	case e.Output == nil:
	case e.Type == "response.output_item.added":
		if opened || *e.Output != len(l.done)+len(l.open) {
			return fmt.Errorf("items must be counted")
		}
		l.open[*e.Output] = ""
	case !opened:
		return fmt.Errorf("the item is not open")
	case e.Type == "response.output_item.done":
		delete(l.open, *e.Output)
		for len(l.done) <= *e.Output {
			l.done = append(l.done, nil)
		}
		l.done[*e.Output] = e.Item
	case strings.HasSuffix(e.Type, ".delta"):
		l.open[*e.Output] = said + e.Delta
	case e.Type == "response.content_part.added" || e.Type == "response.reasoning_summary_part.added":
		l.open[*e.Output] = ""
	default:
		for _, whole := range []*string{e.Text, e.Refusal, e.Arguments, e.Input} {
			if whole != nil && *whole != said {
				return fmt.Errorf("the deltas say %q", said)
			}
		}
	}
	return nil
}
