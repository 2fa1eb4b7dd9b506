// Package openapi checks, in tests, what Sluice writes against the schemas that OpenAI publishes.
//
// openai.json holds the part of https://github.com/openai/openai-openapi that is needed here: openapi.json at f85dbe2 of
// August 2026, version 2.3.0, MIT licence (openai.LICENSE). The folder extract has the program that made it.
package openapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed openai.json
var document []byte

// Events names the schema of each event of a streamed response, by the event's type.
var Events = map[string]string{
	"response.created":                       "ResponseCreatedEvent",
	"response.in_progress":                   "ResponseInProgressEvent",
	"response.output_item.added":             "ResponseOutputItemAddedEvent",
	"response.output_item.done":              "ResponseOutputItemDoneEvent",
	"response.content_part.added":            "ResponseContentPartAddedEvent",
	"response.content_part.done":             "ResponseContentPartDoneEvent",
	"response.output_text.delta":             "ResponseTextDeltaEvent",
	"response.output_text.done":              "ResponseTextDoneEvent",
	"response.output_text.annotation.added":  "ResponseOutputTextAnnotationAddedEvent",
	"response.refusal.delta":                 "ResponseRefusalDeltaEvent",
	"response.refusal.done":                  "ResponseRefusalDoneEvent",
	"response.function_call_arguments.delta": "ResponseFunctionCallArgumentsDeltaEvent",
	"response.function_call_arguments.done":  "ResponseFunctionCallArgumentsDoneEvent",
	"response.custom_tool_call_input.delta":  "ResponseCustomToolCallInputDeltaEvent",
	"response.custom_tool_call_input.done":   "ResponseCustomToolCallInputDoneEvent",
	"response.reasoning_summary_part.added":  "ResponseReasoningSummaryPartAddedEvent",
	"response.reasoning_summary_part.done":   "ResponseReasoningSummaryPartDoneEvent",
	"response.reasoning_summary_text.delta":  "ResponseReasoningSummaryTextDeltaEvent",
	"response.reasoning_summary_text.done":   "ResponseReasoningSummaryTextDoneEvent",
	"response.completed":                     "ResponseCompletedEvent",
	"response.incomplete":                    "ResponseIncompleteEvent",
	"response.failed":                        "ResponseFailedEvent",
	"error":                                  "ResponseErrorEvent",
}

// Names lists the schemas that [Check] knows beside those of events.
var Names = []string{
	"CreateChatCompletionRequest", "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse",
	"CreateResponse", "Response", "ResponseItemList", "TokenCountsResource",
	"CreateEmbeddingResponse", "ListModelsResponse", "Model", "ErrorResponse",
}

var compiled = sync.OnceValues(compile) //nolint:gochecknoglobals // computed once

func compile() (map[string]*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	for _, path := range nullable {
		allowNull(doc, path)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openai.json", doc); err != nil {
		return nil, err
	}
	all := map[string]*jsonschema.Schema{}
	names := slices.Clone(Names)
	for _, name := range Events {
		names = append(names, name)
	}
	for _, name := range names {
		if all[name], err = c.Compile("openai.json#/$defs/" + name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// nullable are the places where the schemas do not allow null, and OpenAI's own examples have it: usage of a response in
// progress.
var nullable = [][]string{
	{"$defs", "ResponseUsage"},
}

func allowNull(doc any, path []string) {
	for _, key := range path {
		m, ok := doc.(map[string]any)
		if !ok {
			return
		}
		doc = m[key]
	}
	if m, ok := doc.(map[string]any); ok {
		m["type"] = []any{m["type"], "null"}
	}
}

// Check says in what a JSON text departs from one of [Names] or of the values of [Events]; nil if in nothing.
func Check(schema string, text []byte) error {
	all, err := compiled()
	if err != nil {
		return err
	}
	s := all[schema]
	if s == nil {
		return fmt.Errorf("no schema %q", schema)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}
