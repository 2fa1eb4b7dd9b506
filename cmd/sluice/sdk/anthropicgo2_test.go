// Code generated from anthropicgo1_test.go by go generate. DO NOT EDIT.

package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

// anthropicGo2 is Anthropic's client for Go. Its major versions differ in the version of the API that they ask for.
type anthropicGo2 struct{ host string }

func newAnthropicGo2(_ *testing.T, s *site) client { return anthropicGo2{s.host} }

func (g anthropicGo2) ask(ctx context.Context, q question) (a seen) {
	var response *http.Response
	options := []option.RequestOption{option.WithBaseURL(g.host), option.WithAPIKey(key), option.WithResponseInto(&response)}
	if q.Key != "" {
		options = append(options, option.WithAPIKey(q.Key))
	}
	if q.Retries != nil {
		options = append(options, option.WithMaxRetries(*q.Retries))
	}
	c := anthropic.NewClient(options...)
	r := g.request(q)
	unary := func(r anthropic.MessageNewParams) (*anthropic.Message, error) { return c.Messages.New(ctx, r) }
	streamed := func(r anthropic.MessageNewParams) (*anthropic.Message, error) { return g.stream(ctx, &c, r, q, &a) }
	var err error
	switch q.Do {
	case "chat":
		err = g.whole(&a)(unary(r))
	case "stream":
		err = g.whole(&a)(streamed(r))
	case "tools":
		err = g.tools(r, &a, unary)
	case "stream_tools":
		err = g.tools(r, &a, streamed)
	case "parse":
		err = g.parse(r, &a, unary)
	case "stream_parse":
		err = g.parse(r, &a, streamed)
	case "models":
		pages := c.Models.ListAutoPaging(ctx, anthropic.ModelListParams{})
		for pages.Next() {
			a.Models = append(a.Models, pages.Current().ID)
		}
		err = pages.Err()
	case "model":
		var m *anthropic.ModelInfo
		if m, err = c.Models.Get(ctx, q.Model, anthropic.ModelGetParams{}); err == nil {
			a.ID, a.Model = m.ID, m.DisplayName
		}
	case "count":
		var n *anthropic.MessageTokensCount
		if n, err = c.Messages.CountTokens(ctx, anthropic.MessageCountTokensParams{Model: r.Model, Messages: r.Messages}); err == nil {
			a.Count = n.InputTokens
		}
	case "loop":
		err = g.loop(ctx, &c, q, &a)
	case "abandon":
		ask := unary
		if q.Stream {
			ask = streamed
		}
		if _, err = ask(r); errors.Is(err, context.Canceled) {
			return seen{Left: true}
		}
	default:
		err = fmt.Errorf("unknown question %q", q.Do)
	}
	if response != nil {
		a.RequestID = response.Header.Get("X-Request-Id")
	}
	a.Error = g.failure(err)
	return a
}

func (anthropicGo2) request(q question) anthropic.MessageNewParams {
	content := []anthropic.ContentBlockParamUnion{anthropic.NewTextBlock(q.Prompt)}
	if q.Image {
		content = append(content, anthropic.NewImageBlockBase64("image/png", pixel))
	}
	r := anthropic.MessageNewParams{
		Model: q.Model, MaxTokens: 4096, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(content...)},
	}
	if q.Effort != "" {
		r.Thinking.OfAdaptive = &anthropic.ThinkingConfigAdaptiveParam{Display: "summarized"}
		r.OutputConfig.Effort = anthropic.OutputConfigEffort(q.Effort)
	}
	return r
}

// whole takes an answer that is all there.
func (anthropicGo2) whole(a *seen) func(*anthropic.Message, error) error {
	return func(m *anthropic.Message, err error) error {
		if err != nil {
			return err
		}
		a.ID, a.Model, a.Text, a.Finish = m.ID, m.Model, "", string(m.StopReason)
		for i := range m.Content {
			a.Text += m.Content[i].Text
			if a.Calls == nil {
				a.Thought += m.Content[i].Thinking
			}
		}
		u := m.Usage
		input := u.InputTokens + u.CacheReadInputTokens + u.CacheCreationInputTokens
		a.Usage = &usage{input, u.OutputTokens, input + u.OutputTokens}
		return nil
	}
}

// stream gathers a stream as far as it is wanted.
func (anthropicGo2) stream(
	ctx context.Context, c *anthropic.Client, r anthropic.MessageNewParams, q question, a *seen,
) (*anthropic.Message, error) {
	stream := c.Messages.NewStreaming(ctx, r)
	defer stream.Close()
	var all anthropic.Message
	for stream.Next() {
		e := stream.Current()
		if err := all.Accumulate(e); err != nil {
			return nil, err
		}
		if e.Type == "message_start" {
			a.IDs = append(a.IDs, e.Message.ID)
		}
		if e.Delta.PartialJSON != "" {
			a.Fragments++
		}
		if e.Delta.Text != "" {
			a.Text += e.Delta.Text
			a.Pieces++
		}
		if a.Left = q.LeaveAfter > 0 && a.Pieces == q.LeaveAfter; a.Left {
			break
		}
	}
	return &all, stream.Err()
}

// tools asks, carries out the calls that come, and reports their results.
func (g anthropicGo2) tools(r anthropic.MessageNewParams, a *seen, ask func(anthropic.MessageNewParams) (*anthropic.Message, error)) error {
	tool := anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{
		Properties: weatherSchema["properties"], Required: []string{"city"}, ExtraFields: map[string]any{"additionalProperties": false},
	}, "get_weather")
	tool.OfTool.Description = anthropic.String("The weather in a city.")
	r.Tools = []anthropic.ToolUnionParam{tool}
	first, err := ask(r)
	if err := g.whole(a)(first, err); err != nil {
		return err
	}
	r.Messages = append(r.Messages, first.ToParam())
	var results []anthropic.ContentBlockParamUnion
	for i := range first.Content {
		if b := &first.Content[i]; b.Type == "tool_use" {
			results = append(results, anthropic.NewToolResultBlock(b.ID, weather(len(a.Calls)), false))
			a.Calls = append(a.Calls, call{b.ID, b.Name, string(b.Input)})
		}
	}
	r.Messages = append(r.Messages, anthropic.NewUserMessage(results...))
	if err := g.whole(a)(ask(r)); err != nil {
		return err
	}
	a.Finishes = []string{string(first.StopReason), a.Finish}
	return nil
}

// loop leaves the calls, and the reports of their results, to the client.
func (g anthropicGo2) loop(ctx context.Context, c *anthropic.Client, q question, a *seen) error {
	r := anthropic.BetaToolRunnerParams{BetaMessageNewParams: anthropic.BetaMessageNewParams{
		Model: q.Model, MaxTokens: 4096, Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock(q.Prompt))},
	}}
	tools := []anthropic.BetaTool{anthropicGo2Weather{}}
	take := func(m *anthropic.BetaMessage) {
		a.ID, a.Model, a.Text, a.Finish = m.ID, m.Model, "", string(m.StopReason)
		a.Finishes = append(a.Finishes, a.Finish)
		for i := range m.Content {
			b := &m.Content[i]
			a.Text += b.Text
			if b.Type == "tool_use" {
				a.Calls = append(a.Calls, call{b.ID, b.Name, string(b.Input)})
			}
		}
	}
	if !q.Stream {
		for m, err := range c.Beta.Messages.NewToolRunner(tools, r).All(ctx) {
			if err != nil {
				return err
			}
			take(m)
		}
		return nil
	}
	runner := c.Beta.Messages.NewToolRunnerStreaming(tools, r)
	for !runner.IsCompleted() {
		for _, err := range runner.NextStreaming(ctx) {
			if err != nil {
				return err
			}
		}
		if !runner.IsCompleted() {
			take(runner.LastMessage())
		}
	}
	return nil
}

// anthropicGo2Weather is a tool that the client calls by itself.
type anthropicGo2Weather struct{}

func (anthropicGo2Weather) Name() string        { return "get_weather" }
func (anthropicGo2Weather) Description() string { return "The weather in a city." }

func (anthropicGo2Weather) InputSchema() anthropic.BetaToolInputSchemaParam {
	return anthropic.BetaToolInputSchemaParam{Properties: weatherSchema["properties"], Required: []string{"city"}}
}

func (anthropicGo2Weather) Execute(_ context.Context, input json.RawMessage) ([]anthropic.BetaToolResultBlockParamContentUnion, error) {
	var asked struct{ City string }
	if err := json.Unmarshal(input, &asked); err != nil {
		return nil, err
	}
	text := weather(slices.Index([]string{"Paris", "London"}, asked.City))
	return []anthropic.BetaToolResultBlockParamContentUnion{{OfText: &anthropic.BetaTextBlockParam{Text: text}}}, nil
}

// parse asks for an answer that follows a schema. The client leaves it to its callers to read it.
func (g anthropicGo2) parse(r anthropic.MessageNewParams, a *seen, ask func(anthropic.MessageNewParams) (*anthropic.Message, error)) error {
	r.OutputConfig.Format.Schema = citySchema
	if err := g.whole(a)(ask(r)); err != nil {
		return err
	}
	return json.Unmarshal([]byte(a.Text), &a.Parsed)
}

func (anthropicGo2) failure(err error) *failure {
	var refused *anthropic.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &failure{Class: "*anthropic.Error", Status: refused.StatusCode, Type: string(refused.Type()), Message: refused.RawJSON()}
	default:
		return &failure{Class: fmt.Sprintf("%T", err), Message: err.Error()}
	}
}
