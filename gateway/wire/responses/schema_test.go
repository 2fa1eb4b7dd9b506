package responses_test

import (
	"bytes"
	"encoding/json"
	"os"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// testdata/schema/openai.json is the part of OpenAI's OpenAPI document (openai/openai-openapi f85dbe2, version 2.3.0, MIT)
// that concerns responses, without descriptions and examples. oneOf became anyOf, because its alternatives overlap.

var eventSchemas = map[string]string{
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

var schemas = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	text, err := os.ReadFile("testdata/schema/openai.json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openai.json", relaxed(doc)); err != nil {
		return nil, err
	}
	all := map[string]*jsonschema.Schema{}
	names := []string{"CreateResponse", "Response", "ResponseItemList", "TokenCountsResource", "ErrorResponse"}
	for _, name := range eventSchemas {
		names = append(names, name)
	}
	for _, name := range names {
		if all[name], err = c.Compile("openai.json#/$defs/" + name); err != nil {
			return nil, err
		}
	}
	return all, nil
})

// relaxed lets usage be null, as it is in the document's own examples of responses in progress.
func relaxed(doc any) any {
	usage := doc.(map[string]any)["$defs"].(map[string]any)["ResponseUsage"].(map[string]any)
	usage["type"] = []any{"object", "null"}
	return doc
}

// fits checks a document against a schema of OpenAI's.
func fits(t *testing.T, schema string, text []byte) {
	t.Helper()
	all, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if err := all[schema].Validate(doc); err != nil {
		t.Fatalf("%s is no %s: %v", text, schema, err)
	}
}

// The schema can tell.
func TestSchema(t *testing.T) {
	all, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range all {
		if name != "CreateResponse" && s.Validate(map[string]any{"type": "x"}) == nil {
			t.Errorf("%s takes everything", name)
		}
	}
	var wrong any
	if err := json.Unmarshal([]byte(`{"model":"m","input":[{"role":"nobody","content":"x"}]}`), &wrong); err != nil {
		t.Fatal(err)
	}
	if all["CreateResponse"].Validate(wrong) == nil {
		t.Error("CreateResponse takes every input")
	}
}
