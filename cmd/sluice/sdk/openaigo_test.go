package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/respjson"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/shared"
)

// openaiGo is OpenAI's client for Go.
type openaiGo struct{ baseURL string }

func newOpenAIGo(_ *testing.T, s *site) client { return openaiGo{s.baseURL} }

func (o openaiGo) ask(ctx context.Context, q question) (a seen) {
	var response *http.Response
	options := []option.RequestOption{option.WithBaseURL(o.baseURL), option.WithAPIKey(key), option.WithResponseInto(&response)}
	if q.Key != "" {
		options = append(options, option.WithAPIKey(q.Key))
	}
	if q.Retries != nil {
		options = append(options, option.WithMaxRetries(*q.Retries))
	}
	c := openai.NewClient(options...)
	r := o.request(q)
	var err error
	switch q.Do {
	case "chat":
		err = o.whole(&a)(c.Chat.Completions.New(ctx, r))
	case "stream":
		err = o.stream(ctx, &c, r, q, &a)
	case "tools":
		err = o.tools(r, &a, func(r openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
			return c.Chat.Completions.New(ctx, r)
		})
	case "stream_tools":
		err = o.tools(r, &a, func(r openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
			return o.accumulate(ctx, &c, r, &a)
		})
	case "parse", "stream_parse": // it has no helper: schemas and texts are the caller's
		r.ResponseFormat.OfJSONSchema = &openai.ResponseFormatJSONSchemaParam{
			JSONSchema: openai.ResponseFormatJSONSchemaJSONSchemaParam{Name: "city", Strict: openai.Bool(true), Schema: citySchema},
		}
		ask := c.Chat.Completions.New
		if q.Do == "stream_parse" {
			ask = func(ctx context.Context, r openai.ChatCompletionNewParams, _ ...option.RequestOption) (*openai.ChatCompletion, error) {
				return o.accumulate(ctx, &c, r, &a)
			}
		}
		if err = o.whole(&a)(ask(ctx, r)); err == nil {
			err = json.Unmarshal([]byte(a.Text), &a.Parsed)
		}
	case "models":
		pages := c.Models.ListAutoPaging(ctx)
		for pages.Next() {
			a.Models = append(a.Models, pages.Current().ID)
		}
		err = pages.Err()
	case "model":
		var m *openai.Model
		if m, err = c.Models.Get(ctx, q.Model); err == nil {
			a.ID, a.Owner = m.ID, m.OwnedBy
		}
	case "abandon":
		if q.Stream {
			err = o.stream(ctx, &c, r, q, &a)
		} else {
			_, err = c.Chat.Completions.New(ctx, r)
		}
		if errors.Is(err, context.Canceled) {
			return seen{Left: true}
		}
	default:
		err = fmt.Errorf("unknown question %q", q.Do)
	}
	if response != nil {
		a.RequestID = response.Header.Get("X-Request-Id")
	}
	a.Error = o.failure(err)
	return a
}

func (openaiGo) request(q question) openai.ChatCompletionNewParams {
	message := openai.UserMessage(q.Prompt)
	if q.Image {
		message = openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
			openai.TextContentPart(q.Prompt),
			openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64," + pixel}),
		})
	}
	return openai.ChatCompletionNewParams{
		Model: q.Model, Messages: []openai.ChatCompletionMessageParamUnion{message}, ReasoningEffort: shared.ReasoningEffort(q.Effort),
	}
}

// whole takes an answer that is all there.
func (o openaiGo) whole(a *seen) func(*openai.ChatCompletion, error) error {
	return func(c *openai.ChatCompletion, err error) error {
		if err != nil {
			return err
		}
		choice := c.Choices[0]
		a.ID, a.Model, a.Text, a.Finish = c.ID, c.Model, choice.Message.Content, choice.FinishReason
		if err := o.think(choice.Message.JSON.ExtraFields, a); err != nil {
			return err
		}
		if u := c.Usage; u.TotalTokens != 0 {
			a.Usage = &usage{u.PromptTokens, u.CompletionTokens, u.TotalTokens}
		}
		return nil
	}
}

// think takes what was thought before the calls, which the client does not know.
func (openaiGo) think(unknown map[string]respjson.Field, a *seen) error {
	raw := unknown["reasoning_content"].Raw()
	if raw == "" || a.Calls != nil {
		return nil
	}
	var text string
	err := json.Unmarshal([]byte(raw), &text)
	a.Thought += text
	return err
}

func (openaiGo) stream(ctx context.Context, c *openai.Client, r openai.ChatCompletionNewParams, q question, a *seen) error {
	if q.Usage {
		r.StreamOptions.IncludeUsage = openai.Bool(true)
	}
	stream := c.Chat.Completions.NewStreaming(ctx, r)
	defer stream.Close()
	for stream.Next() {
		chunk := stream.Current()
		if !slices.Contains(a.IDs, chunk.ID) {
			a.IDs = append(a.IDs, chunk.ID)
		}
		a.ID, a.Model = chunk.ID, chunk.Model
		hasUsage := chunk.JSON.Usage.Valid()
		a.UsageLast = hasUsage && len(chunk.Choices) == 0
		if hasUsage {
			a.Usages++
			a.Usage = &usage{chunk.Usage.PromptTokens, chunk.Usage.CompletionTokens, chunk.Usage.TotalTokens}
		}
		for _, choice := range chunk.Choices {
			if choice.FinishReason != "" {
				a.Finish = choice.FinishReason
			}
			if choice.Delta.Content != "" {
				a.Text += choice.Delta.Content
				a.Pieces++
			}
		}
		if q.LeaveAfter > 0 && a.Pieces == q.LeaveAfter {
			a.Left = true
			return nil
		}
	}
	return stream.Err()
}

// accumulate makes an answer of a stream.
func (o openaiGo) accumulate(ctx context.Context, c *openai.Client, r openai.ChatCompletionNewParams, a *seen) (*openai.ChatCompletion, error) {
	stream := c.Chat.Completions.NewStreaming(ctx, r)
	defer stream.Close()
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		chunk := stream.Current()
		if !all.AddChunk(chunk) {
			return nil, fmt.Errorf("a chunk that does not fit: %s", chunk.RawJSON())
		}
		for _, choice := range chunk.Choices {
			if err := o.think(choice.Delta.JSON.ExtraFields, a); err != nil {
				return nil, err
			}
			for _, call := range choice.Delta.ToolCalls {
				if call.Function.Arguments != "" {
					a.Fragments++
				}
			}
		}
	}
	return &all.ChatCompletion, stream.Err()
}

// tools asks, carries out the calls that come, and reports their results.
func (o openaiGo) tools(r openai.ChatCompletionNewParams, a *seen, ask func(openai.ChatCompletionNewParams) (*openai.ChatCompletion, error)) error {
	r.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name: "get_weather", Description: openai.String("The weather in a city."), Strict: openai.Bool(true), Parameters: weatherSchema,
	})}
	first, err := ask(r)
	if err := o.whole(a)(first, err); err != nil {
		return err
	}
	message := first.Choices[0].Message
	r.Messages = append(r.Messages, message.ToParam())
	for n, c := range message.ToolCalls {
		a.Calls = append(a.Calls, call{c.ID, c.Function.Name, c.Function.Arguments})
		r.Messages = append(r.Messages, openai.ToolMessage(weather(n), c.ID))
	}
	if err := o.whole(a)(ask(r)); err != nil {
		return err
	}
	a.Finishes = []string{first.Choices[0].FinishReason, a.Finish}
	return nil
}

func (openaiGo) failure(err error) *failure {
	var refused *openai.Error
	var broken *ssestream.StreamError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &failure{"*openai.Error", refused.StatusCode, refused.Code, refused.Type, refused.Message}
	case errors.As(err, &broken):
		var said struct{ Error failure }
		_ = json.Unmarshal(broken.Event.Data, &said)
		said.Error.Class = fmt.Sprintf("%T", broken)
		return &said.Error
	default:
		return &failure{Class: fmt.Sprintf("%T", err), Message: err.Error()}
	}
}
