package upstream

import "slices"

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

	Quirks Quirks
}

// Quirks are how a provider departs from the dialect that it speaks.
type Quirks struct {
	// Rename lists members of a request that the provider knows by another name: {from, to}. If to is empty, the provider
	// refuses the member, and it is left out.
	Rename [][2]string
	// NoStreamOptions says that stream_options is refused; usage comes without being asked for.
	NoStreamOptions bool
	// Deployments says that the path names the model (Azure's classic API).
	Deployments bool
	// Repair says that replies may have calls whose arguments are objects, or a finish reason that does not say that there
	// are calls. They are mended, because OpenAI's clients do not expect them.
	Repair bool
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

// kinds is the table. The sources of its rows are the providers' own documents and SDKs; what a provider has is what it
// documents under OpenAI's or Anthropic's paths.
var kinds = []Kind{
	{
		Name: "openai", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat(textual, stored, []string{"moderations"}, pictures, speech, documents, batches),
	},
	{
		Name: "azure", Auth: apiKey, Speaks: chatCompletions,
		Native: slices.Concat(textual, stored, pictures[:2], speech, documents, batches),
	},
	{
		Name: "azure-classic", Auth: apiKey, Speaks: chatCompletions,
		Native: slices.Concat(textual, pictures[:2], speech, documents, batches),
		Quirks: Quirks{Deployments: true},
	},
	{Name: "anthropic", Auth: xAPIKey, Speaks: messages, Native: []string{"messages", "messages.count_tokens"}},
	{
		Name: "gemini", Auth: bearer, Speaks: chatCompletions, Native: []string{"chat.completions", "embeddings", "images.generations"},
	},
	{
		Name: "mistral", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat([]string{"chat.completions", "embeddings", "moderations", "audio.transcriptions"}, documents),
		Quirks: Quirks{
			Rename:          [][2]string{{"max_completion_tokens", "max_tokens"}, {"seed", "random_seed"}},
			NoStreamOptions: true, Repair: true,
		},
	},
	{
		Name: "groq", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat([]string{"chat.completions", "responses.create"}, speech, documents, batches),
	},
	{
		Name: "deepseek", Auth: bearer, Speaks: chatCompletions, Native: []string{"chat.completions"},
		Quirks: Quirks{Rename: [][2]string{{"max_completion_tokens", "max_tokens"}}},
	},
	{
		Name: "xai", Auth: bearer, Speaks: chatCompletions,
		Native: []string{
			"chat.completions", "responses.create", "responses.retrieve", "responses.delete", "images.generations",
		},
		Quirks: Quirks{Repair: true},
	},
	{
		Name: "openrouter", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat(textual, []string{"responses.create"}),
	},
	{
		Name: "together", Auth: bearer, Speaks: chatCompletions, Native: slices.Concat(textual, pictures[:1], speech),
		Quirks: Quirks{Rename: [][2]string{{"max_completion_tokens", "max_tokens"}}},
	},
	{
		Name: "fireworks", Auth: bearer, Speaks: chatCompletions, Native: textual,
		Quirks: Quirks{Rename: [][2]string{{"max_completion_tokens", "max_tokens"}}},
	},
	{
		Name: "cohere", Auth: bearer, Speaks: chatCompletions, Native: []string{"chat.completions", "embeddings"},
		Quirks: Quirks{Rename: [][2]string{{"max_completion_tokens", "max_tokens"}}},
	},
	{Name: "ollama", Auth: bearer, Speaks: chatCompletions, Native: slices.Concat(textual, []string{"responses.create"})},
	{
		Name: "vllm", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat(textual, []string{
			"responses.create", "responses.retrieve", "responses.cancel", "audio.transcriptions", "audio.translations",
		}),
	},
	{Name: "tei", Auth: bearer, Native: []string{"embeddings"}},
	{
		Name: "openai-compatible", Auth: bearer, Speaks: chatCompletions,
		Native: slices.Concat(textual, []string{"moderations"}, pictures, speech, documents, batches),
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

// Serves is the set of endpoints that a provider of this kind can serve, by itself or in translation.
func (k *Kind) Serves() map[string]bool {
	m := map[string]bool{}
	for _, name := range k.Native {
		m[name] = true
	}
	if k.Speaks == "" {
		return m
	}
	for _, name := range translatable {
		m[name] = true
	}
	return m
}

// translatable are the endpoints that any provider serves which has conversations.
var translatable = []string{
	"chat.completions", "messages", "responses.create", "responses.retrieve", "responses.delete", "responses.input_items",
	"responses.cancel",
}
