package openapi_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/internal/openapi"
)

// The schemas can tell.
func TestCheck(t *testing.T) {
	f := func(schema, text string, want bool) {
		t.Helper()
		if err := openapi.Check(schema, []byte(text)); (err == nil) != want {
			t.Errorf("%s: %s: %v", schema, text, err)
		}
	}
	for _, name := range openapi.Events {
		f(name, `{"type":"x"}`, false)
	}
	for _, name := range openapi.Names {
		if name != "CreateResponse" { // which demands nothing
			f(name, `{}`, false)
		}
	}
	f("CreateResponse", `{"model":"m","input":[{"role":"user","content":"x"}]}`, true)
	f("CreateResponse", `{"model":"m","input":[{"role":"nobody","content":"x"}]}`, false)
	f("ErrorResponse", `{"error":{"message":"m","type":"t","param":null,"code":null}}`, true)
	f("ErrorResponse", `{"error":{"message":"m","type":"t"}}`, false)
	const chunk = `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":`
	f("CreateChatCompletionStreamResponse", chunk+`null}],"usage":null}`, true)
	f("CreateChatCompletionStreamResponse", chunk+`"stop"}]}`, true)
	f("CreateChatCompletionStreamResponse", chunk+`"tired"}]}`, false)
	f("CreateChatCompletionStreamResponse", chunk+`null}],"usage":{"prompt_tokens":"1"}}`, false)
	f("Model", `{"id":"m","object":"model","created":1,"owned_by":"o"}`, true)
	f("Model", `not JSON`, false)
	f("Nothing", `{}`, false)
}
