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
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

// responsesGo is OpenAI's client for Go, at the Responses API.
type responsesGo struct{ baseURL string }

func newResponsesGo(_ *testing.T, s *site) client { return responsesGo{s.baseURL} }

// errSaid is said by an event.
type errSaid struct{ event, code, message string }

func (e errSaid) Error() string { return e.message }

func (o responsesGo) ask(ctx context.Context, q question) (a seen) {
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
	unary := func(r responses.ResponseNewParams) (*responses.Response, error) { return c.Responses.New(ctx, r) }
	streamed := func(r responses.ResponseNewParams) (*responses.Response, error) { return o.stream(ctx, &c, r, q, &a) }
	var err error
	switch q.Do {
	case "chat":
		err = o.whole(&a)(unary(r))
	case "stream":
		err = o.whole(&a)(streamed(r))
	case "tools":
		err = o.tools(r, &a, unary)
	case "stream_tools":
		err = o.tools(r, &a, streamed)
	case "parse":
		err = o.parse(r, &a, unary)
	case "stream_parse":
		err = o.parse(r, &a, streamed)
	case "stored":
		err = o.stored(ctx, &c, r, &a)
	case "replay":
		var first *responses.Response
		if first, err = unary(r); err == nil {
			err = o.replayed(ctx, &c, first)
		}
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
	if e := o.failure(err); e != nil {
		a.Error = e
	}
	return a
}

func (responsesGo) request(q question) responses.ResponseNewParams {
	content := responses.ResponseInputMessageContentListParam{responses.ResponseInputContentParamOfInputText(q.Prompt)}
	if q.Image {
		image := responses.ResponseInputContentParamOfInputImage(responses.ResponseInputImageDetailAuto)
		image.OfInputImage.ImageURL = openai.String("data:image/png;base64," + pixel)
		content = append(content, image)
	}
	r := responses.ResponseNewParams{Model: q.Model}
	r.Input.OfInputItemList = responses.ResponseInputParam{responses.ResponseInputItemParamOfMessage(content, responses.EasyInputMessageRoleUser)}
	if q.Effort != "" {
		r.Reasoning = shared.ReasoningParam{Effort: shared.ReasoningEffort(q.Effort), Summary: "auto"}
		r.Include = []responses.ResponseIncludable{responses.ResponseIncludableReasoningEncryptedContent}
	}
	return r
}

// whole takes an answer that is all there, or was there as far as it was wanted.
func (responsesGo) whole(a *seen) func(*responses.Response, error) error {
	return func(r *responses.Response, err error) error {
		if err != nil || r == nil {
			return err
		}
		a.ID, a.Model, a.Text, a.Finish = r.ID, r.Model, r.OutputText(), string(r.Status)
		for i := range r.Output {
			for _, s := range r.Output[i].Summary {
				if a.Calls == nil {
					a.Thought += s.Text
				}
			}
		}
		u := r.Usage
		a.Usage = &usage{u.InputTokens, u.OutputTokens, u.TotalTokens}
		return nil
	}
}

// stream reads a stream as far as it is wanted; the answer is nil if that is not the end.
func (responsesGo) stream(
	ctx context.Context, c *openai.Client, r responses.ResponseNewParams, q question, a *seen,
) (*responses.Response, error) {
	stream := c.Responses.NewStreaming(ctx, r)
	defer stream.Close()
	for number := int64(0); stream.Next(); number++ {
		e := stream.Current()
		a.Unordered = a.Unordered || e.SequenceNumber != number
		if id := e.Response.ID; id != "" && !slices.Contains(a.IDs, id) {
			a.IDs = append(a.IDs, id)
		}
		switch e.Type {
		case "response.output_text.delta":
			a.Text += e.Delta
			a.Pieces++
		case "response.function_call_arguments.delta":
			a.Fragments++
		case "response.failed":
			return nil, errSaid{e.Type, string(e.Response.Error.Code), e.Response.Error.Message}
		case "error":
			return nil, errSaid{e.Type, e.Code, e.Message}
		case "response.completed":
			return &e.Response, nil
		}
		if a.Left = q.LeaveAfter > 0 && a.Pieces == q.LeaveAfter; a.Left {
			return nil, nil
		}
	}
	return nil, stream.Err()
}

// tools asks, carries out the calls that come, and reports their results. The other side keeps the conversation.
func (o responsesGo) tools(r responses.ResponseNewParams, a *seen, ask func(responses.ResponseNewParams) (*responses.Response, error)) error {
	r.Tools = []responses.ToolUnionParam{responses.ToolParamOfFunction("get_weather", weatherSchema, true)}
	first, err := ask(r)
	if err := o.whole(a)(first, err); err != nil {
		return err
	}
	if first == nil {
		return errors.New("the stream has no end")
	}
	a.IDs = nil // of the second answer
	var results responses.ResponseInputParam
	for i := range first.Output {
		if item := &first.Output[i]; item.Type == "function_call" {
			result := responses.ResponseInputItemParamOfFunctionCallOutput(weather(len(a.Calls)))
			result.OfFunctionCallOutput.CallID = openai.String(item.CallID)
			results = append(results, result)
			a.Calls = append(a.Calls, call{item.CallID, item.Name, item.Arguments.OfString})
		}
	}
	r.PreviousResponseID, r.Input.OfInputItemList = openai.String(first.ID), results
	if err := o.whole(a)(ask(r)); err != nil {
		return err
	}
	a.Finishes = []string{string(first.Status), a.Finish}
	return nil
}

// parse asks for an answer that follows a schema. The client leaves it to its callers to read it.
func (o responsesGo) parse(r responses.ResponseNewParams, a *seen, ask func(responses.ResponseNewParams) (*responses.Response, error)) error {
	r.Text.Format = responses.ResponseFormatTextConfigParamOfJSONSchema("city", citySchema)
	if err := o.whole(a)(ask(r)); err != nil {
		return err
	}
	return json.Unmarshal([]byte(a.Text), &a.Parsed)
}

// stored asks for an answer again, for what it answered, cancels it too late, and deletes it.
func (o responsesGo) stored(ctx context.Context, c *openai.Client, r responses.ResponseNewParams, a *seen) error {
	first, err := c.Responses.New(ctx, r)
	if err != nil {
		return err
	}
	if err := o.whole(a)(c.Responses.Get(ctx, first.ID, responses.ResponseGetParams{})); err != nil {
		return err
	}
	items, err := c.Responses.InputItems.List(ctx, first.ID, responses.InputItemListParams{})
	if err != nil {
		return err
	}
	a.Finishes = []string{first.OutputText(), items.Data[0].Content.OfInputItemContentList[0].Text}
	a.Said = []string{""}
	if _, err := c.Responses.Cancel(ctx, first.ID); err != nil {
		a.Said[0] = o.failure(err).Code
	}
	if err := c.Responses.Delete(ctx, first.ID); err != nil {
		return err
	}
	_, err = c.Responses.Get(ctx, first.ID, responses.ResponseGetParams{})
	return err
}

// replayed asks for an answer once more, as a stream, and for the rest of that.
func (responsesGo) replayed(ctx context.Context, c *openai.Client, first *responses.Response) error {
	for _, after := range []int64{-1, 2} {
		var q responses.ResponseGetParams
		if after >= 0 {
			q.StartingAfter = openai.Int(after)
		}
		// The client says "stream" in a body, where no server looks for it in a GET.
		stream := c.Responses.GetStreaming(ctx, first.ID, q, option.WithQuery("stream", "true"))
		text, end, number := "", "", after
		for ; stream.Next(); number++ {
			e := stream.Current()
			if e.SequenceNumber != number+1 {
				return fmt.Errorf("event %d comes behind %d", e.SequenceNumber, number)
			}
			if e.Type == "response.output_text.delta" {
				text += e.Delta
			}
			if e.Type == "response.completed" {
				end = e.Response.OutputText()
			}
		}
		if err := stream.Err(); err != nil {
			return err
		}
		if text != first.OutputText() || end != text {
			return fmt.Errorf("behind event %d it says %q, and %q at its end", after, text, end)
		}
	}
	return nil
}

func (responsesGo) failure(err error) *failure {
	if said, ok := errors.AsType[errSaid](err); ok {
		return &failure{Class: said.event, Code: said.code, Type: said.event, Message: said.message}
	}
	return openaiGo{}.failure(err)
}
