package telemetry

import "github.com/sluice-ai/sluice/gateway/wire/chat"

// Names of OpenTelemetry's semantic conventions: stable ones, and those for generative AI, which are still in development and
// move from version to version. They stand here alone (semantic-conventions-genai, July 2026; semantic-conventions 1.44).
const (
	serviceName    = "service.name"
	serviceVersion = "service.version"

	httpMethod  = "http.request.method"
	httpRoute   = "http.route"
	httpStatus  = "http.response.status_code"
	errorType   = "error.type"
	serviceTier = "openai.response.service_tier"

	genAIOperation     = "gen_ai.operation.name"
	genAIProvider      = "gen_ai.provider.name"
	genAIRequestModel  = "gen_ai.request.model"
	genAIRequestStream = "gen_ai.request.stream"
	genAIFirstChunk    = "gen_ai.response.time_to_first_chunk" // seconds
	genAIInput         = "gen_ai.usage.input_tokens"           // those of the cache included
	genAIOutput        = "gen_ai.usage.output_tokens"          // those of thoughts included
	genAICacheRead     = "gen_ai.usage.cache_read.input_tokens"
	genAICacheCreation = "gen_ai.usage.cache_creation.input_tokens"
	genAIReasoning     = "gen_ai.usage.reasoning.output_tokens"
	genAIInputText     = "gen_ai.input.messages"
	genAIOutputText    = "gen_ai.output.messages"

	// No convention names these.
	firstToken = "gen_ai.first_token" // event
	requestID  = "sluice.request_id"
	upstreamID = "sluice.upstream_request_id"
	tenantID   = "sluice.tenant"
	keyName    = "sluice.key"
	provider   = "sluice.provider"
	cacheHow   = "sluice.cache"
	keptFor    = "sluice.kept"
	costUSD    = "sluice.cost_usd"
	outcomeOf  = "sluice.outcome"
	attempted  = "sluice.attempts"
	waited     = "sluice.waited_seconds"
	resent     = "sluice.resent"
	hedged     = "sluice.hedged"
)

// operation is what the conventions call an endpoint; those that they do not know keep their names.
func operation(endpoint string) string {
	switch endpoint {
	case "chat.completions", "messages", "responses.create":
		return "chat"
	case "completions":
		return "text_completion"
	default:
		return endpoint
	}
}

// providerName is what the conventions call a kind of provider.
func providerName(kind string) string {
	switch kind {
	case "azure":
		return "azure.ai.openai"
	case "gemini":
		return "gcp.gemini"
	case "mistral":
		return "mistral_ai"
	case "xai":
		return "x_ai"
	default:
		return kind
	}
}

// usage adds what was used. The conventions' sums contain the classes that the gateway counts apart.
func (a *attributes) usage(u *chat.Usage) {
	if u.Provenance == chat.Unknown {
		return
	}
	created := u.CacheWrite + u.CacheWriteHour
	a.number(genAIInput, u.Input+u.CacheRead+created+u.InputAudio+u.InputImage)
	a.number(genAIOutput, u.Output+u.Reasoning+u.OutputAudio+u.OutputImage)
	a.some(genAICacheRead, u.CacheRead)
	a.some(genAICacheCreation, created)
	a.some(genAIReasoning, u.Reasoning)
	a.text(serviceTier, u.Tier)
}
