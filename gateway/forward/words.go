package forward

import (
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// What providers say goes beyond their status codes. Wherever a caller could have a say in the words (an id or a name of his
// that is repeated), they must begin or be coded as only the provider would do it: nobody may switch off what others use.

// statusOf is the status that an error inside a 200 would have had.
func statusOf(status int, said *chat.Error) int {
	if n, err := strconv.Atoi(said.Code); err == nil && n >= 400 && n < 600 { // OpenRouter, vLLM
		return n
	}
	switch {
	case status == 429:
		return status
	case isBusy(said):
		return statusOverloaded
	case said.Type == "authentication_error", said.Code == "invalid_api_key":
		return 401
	case said.Type == gateway.TypeInvalidRequest, tooLong(said):
		return 400
	}
	return 500
}

// isSpent says whether the account has no money or quota left: waiting does not help.
func isSpent(status int, said *chat.Error) bool {
	switch said.Code {
	case "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded", "project_spend_limit_exceeded":
		return true
	}
	return status == 402 || status == 400 && strings.HasPrefix(said.Message, "Your credit balance is too low") // Anthropic
}

// isBusy says whether the provider has too much to do.
func isBusy(said *chat.Error) bool {
	switch said.Code {
	case "server_is_overloaded", "slow_down", "overloaded":
		return true
	}
	return said.Type == "overloaded_error"
}

// isKey says whether a 400 means the key (Gemini).
func isKey(said *chat.Error) bool { return strings.HasPrefix(said.Message, "API key not valid") }

// refusal says what is refused by 401 or 403: the key, the model for this key, or what the caller wrote.
func refusal(status int, said *chat.Error, model string) health.Verdict {
	text := strings.ToLower(said.Message)
	switch {
	case status == 403 && (strings.Contains(text, "moderation") || strings.Contains(text, "flagged") || strings.Contains(text, "content policy")):
		return health.Neutral
	case lacksModel(said, model), strings.HasPrefix(text, "you have insufficient permissions for this operation"):
		return health.Denied
	case status == 403 && model == "": // of things that callers name, not of the key
		return health.Neutral
	}
	return health.Refused
}

// lacksModel says whether the provider does not have the model, or not for this key.
func lacksModel(said *chat.Error, model string) bool {
	switch said.Code {
	case "model_not_found", "DeploymentNotFound":
		return true
	}
	text := strings.ToLower(strings.TrimLeft(said.Message, "`'\""))
	begins := false
	for _, prefix := range [...]string{"the model", "model", "project", "publisher model"} {
		begins = begins || strings.HasPrefix(text, prefix)
	}
	return begins && model != "" && strings.Contains(text, strings.ToLower(model))
}

// tooLong says whether the prompt does not fit into the model's window. Each provider has words of its own for that.
func tooLong(said *chat.Error) bool {
	switch {
	case said.Code == "context_length_exceeded", said.Type == "exceed_context_size_error":
		return true
	case said.Code == "rate_limit_exceeded":
		return false
	}
	text := strings.ToLower(said.Message)
	for _, words := range [...]string{
		"maximum context length",             // OpenAI, vLLM, DeepSeek, OpenRouter, Mistral
		"exceeds the context window",         // OpenAI's Responses
		"prompt is too long",                 // Anthropic
		"exceed context limit",               // Anthropic, with max_tokens
		"maximum number of tokens allowed",   // Gemini
		"maximum prompt length is",           // xAI
		"reduce the length of the messages",  // Groq
		"longer than the maximum model len",  // vLLM
		"input is too long for requested",    // Bedrock
		"exceeds the available context size", // llama.cpp
		"too many tokens",                    // Cohere
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}
