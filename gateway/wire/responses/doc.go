// Package responses is the dialect of OpenAI's Responses API (POST /v1/responses).
//
// Where chat completions has messages, this has items: what is said, thought, called and answered stand in one list, each
// item by itself. Decoding joins what a model made in one turn to one message of the neutral form, in order; encoding takes
// it apart again. Calls and their outputs belong together by call_id; an item's id is nothing but its name.
//
// What only OpenAI can do (background, conversation, prompt, hosted tools) is kept as it came, in chat.Request.Extra, in
// tools of kind Hosted and in parts of kind PartOther. For other dialects it has no meaning, and they refuse it.
//
// What comes from callers is read strictly; what comes from providers tolerantly. Facts are from OpenAI's OpenAPI document,
// version 2.3.0, and from openai-go 3.96 and openai-node 7.57.
package responses

// Name is the dialect's name.
const Name = "responses"
