package upstream

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Kind is a row of the table of providers: what is peculiar to one of them.
type Kind struct {
	Name string
	// Auth is the header that carries the key, up to where the key begins.
	Auth string
	// Speaks is the name of the endpoint at which conversations of other dialects arrive, translated to its dialect; "" if
	// the provider has none.
	Speaks string
	// Native are the names of the endpoints that the provider has itself.
	Native []string

	// Common is what an encoder of requests must know of the provider, whichever model is asked.
	Common  chat.Target
	Quirks  Quirks
	Prefill Prefill
	// MidSystem is how the names of Claude's models begin that take a system message in the middle of a conversation. For
	// others it moves to the front; who else takes none there says Common.SystemFirst.
	MidSystem []string
	// CallsInResponses is how the names of the models begin that refuse functions beside thoughts at chat completions. What is
	// translated goes to Responses then.
	CallsInResponses []string
}

// Quirks are how a provider departs from OpenAI's dialect, as far as requests and replies must be changed that are in this
// dialect already.
type Quirks struct {
	// Rename lists top-level members of a request that the provider knows by another name: {from, to}.
	Rename [][2]string
	// Refused lists those that make the provider refuse a request, and without which it means nearly the same. They are
	// left out, and the caller is told.
	Refused []string
	// Models lists the members of a request that name further models.
	Models []string
	// NoStreamOptions says that stream_options is refused. It is left out: usage comes unasked, or not at all.
	NoStreamOptions bool
	// Deployments says that the path names the model (Azure's classic API).
	Deployments bool
	// Repair says that replies may have what OpenAI's clients do not expect, and are mended; see mender.
	Repair bool
	// ContentLists says that, where Repair does, the content of an answer may be a list of thoughts and texts.
	ContentLists bool
}

// knowsAll says that no request needs a change.
func (q *Quirks) knowsAll() bool {
	return len(q.Rename) == 0 && len(q.Refused) == 0 && !q.NoStreamOptions
}

// becomes is what a top-level member of a body is called at the provider; "" if it is left out and nothing is lost.
func (q *Quirks) becomes(key string, body []byte) string {
	if q.NoStreamOptions && key == "stream_options" {
		return ""
	}
	for _, r := range q.Rename {
		switch key {
		case r[0]:
			return r[1]
		case r[1]: // beside the name that OpenAI's present clients use, this is for older servers
			if v := peek.Find(body, []byte(`"`+r[0]+`"`)); v != nil && string(v) != "null" {
				return ""
			}
		}
	}
	return key
}

// describe adds to what is known of a model what all models of the provider have in common.
func (k *Kind) describe(t *chat.Target) {
	t.NoUsageOption = k.Quirks.NoStreamOptions
	t.MidSystem = slices.ContainsFunc(k.MidSystem, func(name string) bool { return strings.HasPrefix(t.Model, name) })
	for _, r := range k.Quirks.Rename {
		switch r[0] {
		case newLimit[0]:
			t.OldMaxTokens = true
		case "seed":
			t.SeedName = r[1]
		}
	}
	c := &k.Common
	t.TopK = t.TopK || c.TopK
	t.JoinText = t.JoinText || c.JoinText
	t.NoDeveloper = t.NoDeveloper || c.NoDeveloper
	t.SystemFirst = t.SystemFirst || c.SystemFirst
	t.NoThoughts = t.NoThoughts || c.NoThoughts
	t.NoCustomTools = t.NoCustomTools || c.NoCustomTools
	t.NoAllowedTools = t.NoAllowedTools || c.NoAllowedTools
	t.Signer = cmp.Or(t.Signer, c.Signer)
	t.MaxCallID = cmp.Or(t.MaxCallID, c.MaxCallID)
	t.CacheMarks = cmp.Or(t.CacheMarks, c.CacheMarks)
	t.Thinking = cmp.Or(t.Thinking, c.Thinking)
}

// Endpoints at which conversations arrive.
const (
	chatCompletions = "chat.completions"
	messages        = "messages"
)

const (
	bearer  = "Authorization: Bearer "
	xAPIKey = "X-Api-Key: "
	apiKey  = "Api-Key: "
)

// Groups of OpenAI's endpoints.
var (
	textual = []string{"chat.completions", "completions", "embeddings"}
	stored  = []string{
		"responses.create", "responses.retrieve", "responses.delete", "responses.cancel", "responses.input_items",
		"responses.input_tokens", "responses.compact",
	}
	pictures  = []string{"images.generations", "images.edits", "images.variations"}
	speech    = []string{"audio.speech", "audio.transcriptions", "audio.translations"}
	documents = []string{"files.create", "files.list", "files.retrieve", "files.delete", "files.content"}
	batches   = []string{"batches.create", "batches.list", "batches.retrieve", "batches.cancel"}
)

// callsInResponses are OpenAI's models from GPT-5.4 on: pipecat#4043, LibreChat#14231. Those from 5.6 on think by default.
var callsInResponses = []string{"gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-6"}

// newLimit is for providers that know the limit of a completion by its old name only.
var newLimit = [2]string{"max_completion_tokens", "max_tokens"}

// kinds is the table. Its sources are the providers' own documents and SDKs, as of November 2026. What a provider has is
// what it documents under OpenAI's or Anthropic's paths and in their shapes; what it refuses stands in the issues named. Responses are left out where they
// keep nothing (Groq, OpenRouter, Ollama): translated, they can be continued.
//
// SystemFirst is where templates of models decide what a conversation may be: those of Qwen and Mistral refuse a second system
// message, which every request of Codex and Claude Code has (litellm#39282, vllm#41114, ollama#17774, spring-ai#2380).
var kinds = []Kind{
	{
		Name: "openai", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat(textual, stored, []string{"moderations"}, pictures, speech, documents, batches),
		// Chat completions know no thoughts, Responses do. Longer ids were refused: langgenius/dify#28987, agno#5382.
		Common: chat.Target{NoThoughts: true, MaxCallID: 40, CacheMarks: breakpoint}, CallsInResponses: callsInResponses,
	},
	{ // learn.microsoft.com, "Azure OpenAI in Microsoft Foundry Models v1 API"; openai-node azure.ts
		Name: "azure", Auth: apiKey, Speaks: chatCompletions,
		Native: slices.Concat(textual, stored, pictures[:2], speech, documents, batches),
		Common: chat.Target{NoThoughts: true, MaxCallID: 40, CacheMarks: breakpoint}, CallsInResponses: callsInResponses,
	},
	{
		Name: "azure-classic", Auth: apiKey, Speaks: chatCompletions,
		Native: slices.Concat(textual, pictures[:2], speech, documents, batches),
		Common: chat.Target{NoThoughts: true, MaxCallID: 40, CacheMarks: breakpoint},
		Quirks: Quirks{Deployments: true},
	},
	{
		// platform.claude.com, "Prefill Claude's response" and "Mid-conversation system messages". Which models take those:
		// langchainjs#11922. Of Sonnet 5 they say different things (gproxy-transform 2.6.1), and Claude Code 2.1.201 does without.
		Name: "anthropic", Auth: xAPIKey, Speaks: messages, Native: []string{"messages", "messages.count_tokens"},
		Prefill: PrefillPlain,
		MidSystem: []string{
			"claude-opus-4-8", "claude-opus-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5", "claude-mythos-5",
		},
	},
	{
		// ai.google.dev/gemini-api/docs/openai. Batches need files, which cannot be uploaded this way. Unknown members are
		// refused: openhanako#394 (store), ed-donner/agents#45 (metadata), openhanako#2494 (prompt_cache_key),
		// ChatterUI#227 (seed, frequency_penalty).
		Name: "gemini", Auth: bearer, Speaks: chatCompletions, Native: []string{"chat.completions", "embeddings", "images.generations"},
		Common: chat.Target{Signer: chat.Google, NoCustomTools: true, NoAllowedTools: true},
		Quirks: Quirks{Refused: []string{"store", "metadata", "prompt_cache_key", "seed", "frequency_penalty"}, Repair: true},
	},
	{
		// mistralai/client-python, chatcompletionrequest.py and embeddingrequest.py: whatever is not there is refused with
		// "Extra inputs are not permitted" (goose#7762, cline#582, openclaude#739), also in messages. Batches have paths of
		// their own.
		Name: "mistral", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat([]string{"chat.completions", "embeddings", "moderations", "audio.transcriptions"}, documents),
		Common: chat.Target{NoDeveloper: true, SystemFirst: true, NoThoughts: true, NoCustomTools: true, NoAllowedTools: true},
		Quirks: Quirks{
			Rename: [][2]string{newLimit, {"seed", "random_seed"}, {"dimensions", "output_dimension"}},
			Refused: []string{
				"store", "user", "safety_identifier", "logit_bias", "logprobs", "top_logprobs", "service_tier", "verbosity",
				"prompt_cache_options", "prompt_cache_retention",
			},
			NoStreamOptions: true, Repair: true, ContentLists: true,
		},
	},
	{ // console.groq.com/docs/openai: what it refuses; and AstrBot#5946: reasoning_content; console.groq.com/docs/prefilling
		Name: "groq", Auth: bearer, Speaks: chatCompletions,
		Native:  slices.Concat([]string{"chat.completions"}, speech, documents, batches),
		Common:  chat.Target{NoThoughts: true, NoCustomTools: true, NoAllowedTools: true},
		Quirks:  Quirks{Refused: []string{"logprobs", "top_logprobs", "logit_bias"}},
		Prefill: PrefillPlain,
	},
	{
		// api-docs.deepseek.com. max_completion_tokens is ignored (earendil-works/pi#8018), the role developer refused.
		// Completions and Anthropic's dialect have base URLs of their own.
		Name: "deepseek", Auth: bearer, Speaks: chatCompletions, Native: []string{"chat.completions"},
		Common:  chat.Target{Signer: chat.Nobody, NoDeveloper: true, NoCustomTools: true, NoAllowedTools: true, Thinking: "thinking"},
		Quirks:  Quirks{Rename: [][2]string{newLimit}, Repair: true},
		Prefill: PrefillMember,
	},
	{
		// docs.x.ai/developers/rest-api-reference. Edits of images take JSON only, batches have a shape of their own, and
		// messages are deprecated.
		Name: "xai", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat([]string{
			"chat.completions", "responses.create", "responses.retrieve", "responses.delete", "images.generations",
		}, documents),
		Common: chat.Target{Signer: chat.Nobody, NoCustomTools: true, NoAllowedTools: true},
		Quirks: Quirks{Repair: true},
	},
	{ // openrouter.ai/docs/api-reference. Images and transcriptions have shapes of their own.
		Name: "openrouter", Auth: bearer, Speaks: chatCompletions,
		Native:  slices.Concat(textual, []string{"messages"}),
		Common:  chat.Target{TopK: true, NoCustomTools: true, NoAllowedTools: true, CacheMarks: "cache_control", Thinking: "reasoning"},
		Quirks:  Quirks{Models: []string{"models", "preset"}, Repair: true},
		Prefill: PrefillPlain,
	},
	{ // docs.together.ai/docs/inference/openai-compatibility; together-python, chat_completions.py; openai-dotnet#267: eos
		Name: "together", Auth: bearer, Speaks: chatCompletions, Native: slices.Concat(textual, pictures[:1], speech),
		Common: chat.Target{Signer: chat.Nobody, TopK: true, NoDeveloper: true, SystemFirst: true, NoCustomTools: true, NoAllowedTools: true},
		Quirks: Quirks{Rename: [][2]string{newLimit}, Repair: true},
	},
	{ // docs.fireworks.ai/tools-sdks: openai-compatibility, anthropic-compatibility, and the guide to Responses
		Name: "fireworks", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat(textual, []string{"responses.create", "responses.retrieve", "responses.delete", "messages"}),
		Common: chat.Target{Signer: chat.Nobody, TopK: true, SystemFirst: true, NoCustomTools: true, NoAllowedTools: true},
		Quirks: Quirks{Rename: [][2]string{newLimit}},
	},
	{ // docs.cohere.com/docs/compatibility-api; that it takes no stream_options: strandsagents.com, "Cohere"
		Name: "cohere", Auth: bearer, Speaks: chatCompletions, Native: []string{"chat.completions", "embeddings"},
		Common: chat.Target{NoThoughts: true, NoCustomTools: true, NoAllowedTools: true},
		Quirks: Quirks{Rename: [][2]string{newLimit}, NoStreamOptions: true},
	},
	{
		// ollama/ollama openai/openai.go: there is max_tokens only, each part of a content becomes a message, and roles are
		// the template's. Newer ones have Messages too: who wants that names it in "endpoints".
		Name: "ollama", Auth: bearer, Speaks: chatCompletions, Native: textual,
		Common:  chat.Target{Signer: chat.Nobody, JoinText: true, NoDeveloper: true, SystemFirst: true, NoCustomTools: true, NoAllowedTools: true},
		Quirks:  Quirks{Rename: [][2]string{newLimit}},
		Prefill: PrefillPlain,
	},
	{
		// docs.vllm.ai/en/stable/serving/online_serving. Roles are the template's. Newer ones have Messages too: who wants
		// that names it in "endpoints". Where OpenAI says "stop" in spite of a call, so does vLLM (vllm#25054).
		Name: "vllm", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat(textual, []string{
			"responses.create", "responses.retrieve", "responses.cancel", "audio.transcriptions", "audio.translations",
		}),
		Common:  chat.Target{Signer: chat.Nobody, TopK: true, NoDeveloper: true, SystemFirst: true, NoCustomTools: true, NoAllowedTools: true},
		Prefill: PrefillFinal,
	},
	{Name: "tei", Auth: bearer, Native: []string{"embeddings"}}, // text-embeddings-inference, router/src/http/server.rs
	{ // nobody knows which
		Name: "openai-compatible", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat(textual, []string{"moderations"}, pictures, speech, documents, batches),
		Common: chat.Target{SystemFirst: true, NoCustomTools: true, NoAllowedTools: true},
		Quirks: Quirks{Repair: true},
	},
}

// Kinds lists the table's rows, for documents and tests.
func Kinds() []Kind { return slices.Clone(kinds) }

// KindOf finds a row by its name. The second value is false if there is none.
func KindOf(name string) (Kind, bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

// speaks is Speaks, or what else the provider can be told a conversation by if the operator says that it does not have that.
func (k *Kind) speaks() string {
	for _, name := range [...]string{k.Speaks, chatCompletions, createResponse, messages} {
		if name != "" && slices.Contains(k.Native, name) {
			return name
		}
	}
	return ""
}

// Serves is the set of endpoints that a provider of this kind can serve: true by itself, false in translation.
func (k *Kind) Serves() map[string]bool {
	m := map[string]bool{}
	if k.speaks() != "" {
		keeps := slices.Contains(k.Native, createResponse) // then what there is to do with its answers is the provider's affair
		for _, name := range translatable {
			if !keeps || !strings.HasPrefix(name, "responses.") {
				m[name] = false
			}
		}
	}
	for _, name := range k.Native {
		m[name] = true
	}
	return m
}

// translatable are the endpoints that any provider serves which has conversations.
var translatable = []string{
	"chat.completions", "messages", "responses.create", "responses.retrieve", "responses.delete", "responses.input_items",
	"responses.cancel",
}
