package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	openai "github.com/sashabaranov/go-openai"
	"github.com/sashabaranov/go-openai/jsonschema"
)

// goOpenAI is the client for Go that was there before OpenAI's own. It never retries.
type goOpenAI struct{ baseURL string }

func newGoOpenAI(_ *testing.T, s *site) client { return goOpenAI{s.baseURL} }

func (g goOpenAI) ask(ctx context.Context, q question) (a seen) {
	secret := key
	if q.Key != "" {
		secret = q.Key
	}
	options := openai.DefaultConfig(secret)
	options.BaseURL = g.baseURL
	c := openai.NewClientWithConfig(options)
	r := openai.ChatCompletionRequest{
		Model: q.Model, Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: q.Prompt}},
	}
	var err error
	switch q.Do {
	case "chat":
		err = g.whole(&a)(c.CreateChatCompletion(ctx, r))
	case "stream":
		err = g.stream(ctx, c, r, q, &a)
	case "tools":
		err = g.tools(r, &a, func(r openai.ChatCompletionRequest) (openai.ChatCompletionResponse, error) {
			return c.CreateChatCompletion(ctx, r)
		})
	case "stream_tools":
		err = g.tools(r, &a, func(r openai.ChatCompletionRequest) (openai.ChatCompletionResponse, error) {
			return g.accumulate(ctx, c, r, &a)
		})
	case "parse":
		err = g.parse(r, &a, func(r openai.ChatCompletionRequest) (openai.ChatCompletionResponse, error) {
			return c.CreateChatCompletion(ctx, r)
		})
	case "stream_parse":
		err = g.parse(r, &a, func(r openai.ChatCompletionRequest) (openai.ChatCompletionResponse, error) {
			return g.accumulate(ctx, c, r, &a)
		})
	case "models":
		var list openai.ModelsList
		list, err = c.ListModels(ctx)
		for i := range list.Models {
			a.Models = append(a.Models, list.Models[i].ID)
		}
	case "model":
		var m openai.Model
		m, err = c.GetModel(ctx, q.Model)
		a.ID, a.Owner, a.RequestID = m.ID, m.OwnedBy, m.Header().Get("X-Request-Id")
	case "abandon":
		if q.Stream {
			err = g.stream(ctx, c, r, q, &a)
		} else {
			_, err = c.CreateChatCompletion(ctx, r)
		}
		if errors.Is(err, context.Canceled) {
			return seen{Left: true}
		}
	default:
		err = fmt.Errorf("unknown question %q", q.Do)
	}
	a.Error = g.failure(err)
	return a
}

// whole takes an answer that is all there.
func (goOpenAI) whole(a *seen) func(openai.ChatCompletionResponse, error) error {
	return func(c openai.ChatCompletionResponse, err error) error {
		if err != nil {
			return err
		}
		choice := c.Choices[0]
		a.ID, a.Model, a.Text, a.Finish = c.ID, c.Model, choice.Message.Content, string(choice.FinishReason)
		a.RequestID = c.Header().Get("X-Request-Id")
		if u := c.Usage; u.TotalTokens != 0 {
			a.Usage = &usage{int64(u.PromptTokens), int64(u.CompletionTokens), int64(u.TotalTokens)}
		}
		return nil
	}
}

func (g goOpenAI) stream(ctx context.Context, c *openai.Client, r openai.ChatCompletionRequest, q question, a *seen) error {
	if q.Usage {
		r.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
	}
	return g.chunks(ctx, c, r, func(chunk openai.ChatCompletionStreamResponse, requestID string) bool {
		if !slices.Contains(a.IDs, chunk.ID) {
			a.IDs = append(a.IDs, chunk.ID)
		}
		a.ID, a.Model, a.RequestID = chunk.ID, chunk.Model, requestID
		a.UsageLast = chunk.Usage != nil && len(chunk.Choices) == 0
		if u := chunk.Usage; u != nil {
			a.Usages++
			a.Usage = &usage{int64(u.PromptTokens), int64(u.CompletionTokens), int64(u.TotalTokens)}
		}
		for i := range chunk.Choices {
			choice := &chunk.Choices[i]
			if choice.FinishReason != "" {
				a.Finish = string(choice.FinishReason)
			}
			if choice.Delta.Content != "" {
				a.Text += choice.Delta.Content
				a.Pieces++
			}
		}
		a.Left = q.LeaveAfter > 0 && a.Pieces == q.LeaveAfter
		return !a.Left
	})
}

// chunks gives a stream's chunks as long as more are wanted.
func (goOpenAI) chunks(
	ctx context.Context, c *openai.Client, r openai.ChatCompletionRequest, more func(openai.ChatCompletionStreamResponse, string) bool,
) error {
	stream, err := c.CreateChatCompletionStream(ctx, r)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !more(chunk, stream.Header().Get("X-Request-Id")) {
			return nil
		}
	}
}

// accumulate makes an answer of a stream, which this client leaves to its callers.
func (g goOpenAI) accumulate(ctx context.Context, c *openai.Client, r openai.ChatCompletionRequest, a *seen) (all openai.ChatCompletionResponse, err error) {
	all.Choices = make([]openai.ChatCompletionChoice, 1)
	choice := &all.Choices[0]
	choice.Message.Role = openai.ChatMessageRoleAssistant
	err = g.chunks(ctx, c, r, func(chunk openai.ChatCompletionStreamResponse, _ string) bool {
		all.ID, all.Model = chunk.ID, chunk.Model
		for _, delta := range chunk.Choices {
			choice.Message.Content += delta.Delta.Content
			if delta.FinishReason != "" {
				choice.FinishReason = delta.FinishReason
			}
			for _, call := range delta.Delta.ToolCalls {
				if *call.Index == len(choice.Message.ToolCalls) {
					choice.Message.ToolCalls = append(choice.Message.ToolCalls, openai.ToolCall{ID: call.ID, Type: call.Type})
				}
				f := &choice.Message.ToolCalls[*call.Index].Function
				f.Name += call.Function.Name
				f.Arguments += call.Function.Arguments
				if call.Function.Arguments != "" {
					a.Fragments++
				}
			}
		}
		return true
	})
	return all, err
}

// tools asks, carries out the calls that come, and reports their results.
func (g goOpenAI) tools(r openai.ChatCompletionRequest, a *seen, ask func(openai.ChatCompletionRequest) (openai.ChatCompletionResponse, error)) error {
	r.Tools = []openai.Tool{{Type: openai.ToolTypeFunction, Function: &openai.FunctionDefinition{
		Name: "get_weather", Description: "The weather in a city.", Strict: true, Parameters: weatherSchema,
	}}}
	first, err := ask(r)
	if err != nil {
		return err
	}
	message := first.Choices[0].Message
	r.Messages = append(r.Messages, message)
	for n, c := range message.ToolCalls {
		a.Calls = append(a.Calls, call{c.ID, c.Function.Name, c.Function.Arguments})
		r.Messages = append(r.Messages, openai.ChatCompletionMessage{Role: openai.ChatMessageRoleTool, ToolCallID: c.ID, Content: weather(n)})
	}
	if err := g.whole(a)(ask(r)); err != nil {
		return err
	}
	a.Finishes = []string{string(first.Choices[0].FinishReason), a.Finish}
	return nil
}

// parse asks for an answer that follows the schema of a type, and checks that it does.
func (g goOpenAI) parse(r openai.ChatCompletionRequest, a *seen, ask func(openai.ChatCompletionRequest) (openai.ChatCompletionResponse, error)) error {
	schema, err := jsonschema.GenerateSchemaForType(city{})
	if err != nil {
		return err
	}
	r.ResponseFormat = &openai.ChatCompletionResponseFormat{
		Type:       openai.ChatCompletionResponseFormatTypeJSONSchema,
		JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{Name: "city", Strict: true, Schema: schema},
	}
	if err := g.whole(a)(ask(r)); err != nil {
		return err
	}
	a.Parsed = &city{}
	return schema.Unmarshal(a.Text, a.Parsed)
}

func (goOpenAI) failure(err error) *failure {
	var refused *openai.APIError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		code, _ := refused.Code.(string)
		return &failure{fmt.Sprintf("%T", refused), refused.HTTPStatusCode, code, refused.Type, refused.Message}
	case errors.As(err, &syntax):
		return &failure{Class: fmt.Sprintf("%T", syntax), Message: err.Error()}
	default:
		return &failure{Class: fmt.Sprintf("%T", err), Message: err.Error()}
	}
}
