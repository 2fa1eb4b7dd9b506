package config

import "time"

// Kinds of provider.
const (
	// OpenAI is OpenAI's own API.
	OpenAI = "openai"
	// Azure is Azure OpenAI, classic or v1.
	Azure = "azure"
	// Anthropic is Anthropic's own API.
	Anthropic = "anthropic"
	// OpenAICompatible is any server that speaks OpenAI's API: vLLM, llama.cpp, Ollama, another gateway.
	OpenAICompatible = "openai-compatible"
	// Simulated is the built-in provider that needs no key and no network.
	Simulated = "sim"
)

// Ways to choose among a model's targets.
const (
	// Ordered tries the targets in the order of the list.
	Ordered = "ordered"
	// Weighted draws a target by weight, then tries the others.
	Weighted = "weighted"
)

// What a retry may follow.
const (
	// OnConnect is a connection that could not be made: nothing was sent.
	OnConnect = "connect"
	// OnRateLimit is status 429.
	OnRateLimit = "429"
	// OnServerError is any status from 500 to 599.
	OnServerError = "5xx"
	// OnTimeout is a timeout before the first event.
	OnTimeout = "timeout"
	// OnCut is a reply that broke off before its first event.
	OnCut = "cut_before_first_event"
)

// Deny refuses, as [Tenants.Anonymous], callers without a key.
const Deny = "deny"

// Config is the whole configuration: the gateway file with the environment and the flags laid over it, and the tenants.
type Config struct {
	// Version of this format. Always 1.
	Version int `yaml:"version" jsonschema:"required,enum=1"`
	// Server is what callers connect to.
	Server Server `yaml:"server"`
	// Providers are the accounts that are called.
	Providers []Provider `yaml:"providers" jsonschema:"required,minItems=1"`
	// Models are the names that callers write in "model".
	Models []Model `yaml:"models" jsonschema:"required,minItems=1"`
	// Catalog says what models can do and what they cost, over what the built-in catalogue knows.
	Catalog []CatalogEntry `yaml:"catalog,omitempty"`
	// Chain names the plugins that every request passes, outermost first.
	Chain []string `yaml:"chain" jsonschema:"uniqueItems=true"`
	// Plugins holds the settings of each plugin, under its name: all plugins there are, each of the type that was given
	// in Options.Plugins.
	Plugins map[string]any `yaml:"plugins,omitempty"`
	// Retries says when another attempt is made.
	Retries Retries `yaml:"retries"`
	// Responses says how answers of the Responses API are kept for providers that have no such API.
	Responses Responses `yaml:"responses"`
	// Stores says where is kept what outlives a process, and what several share.
	Stores Stores `yaml:"stores"`
	// Admin says who may use the admin API.
	Admin Admin `yaml:"admin"`
	// Telemetry is what the gateway tells about itself.
	Telemetry Telemetry `yaml:"telemetry"`
	// Tenants says where the tenants come from.
	Tenants Tenants `yaml:"tenants"`

	// Origins tells, by path (server.listen), what set a value other than the file's own text: "env SLUICE_SERVER_LISTEN",
	// "flag --listen" or "${env:NAME}".
	Origins map[string]string `yaml:"-"`
	// Warnings are what is allowed but better otherwise, such as a secret written out in a file.
	Warnings Problems `yaml:"-"`

	lines map[string]int // of the file, by path
}

// Server is what callers connect to.
type Server struct {
	// Listen is the address of the API, host:port.
	Listen string `yaml:"listen" hint:"write host:port, such as 127.0.0.1:8080 or :8080"`
	// AdminListen is the address of metrics and health, host:port. "off" or empty: none.
	AdminListen string `yaml:"admin_listen" hint:"write host:port, such as 127.0.0.1:8080 or :8080"`
	// DrainTimeout bounds how long running exchanges may take to end on shutdown.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// DrainDelay is the time between saying "not ready" and no longer accepting connections. Set it to 5s behind a load
	// balancer.
	DrainDelay time.Duration `yaml:"drain_delay"`
	// MaxHead bounds one request's line and headers: 4KiB to 64KiB. Each open connection holds a buffer of that size.
	MaxHead Bytes `yaml:"max_head"`
	// MaxBody bounds one request's body.
	MaxBody Bytes `yaml:"max_body"`
	// MaxForm bounds one request that is a form: a file, a recording, an image. No more than max_body of it is held; the
	// rest passes through as it comes.
	MaxForm Bytes `yaml:"max_form"`
	// MaxInFlightBody bounds the bodies of all requests together. It is at least max_body. A conversation that is translated
	// for its provider counts about three times until the answer begins: as it came, as it is understood, and as it is sent.
	MaxInFlightBody Bytes `yaml:"max_in_flight_body"`
	// MaxInFlightResponse bounds the memory of all whole replies and long events that wait in the gateway. It is at least
	// each provider's max_response and max_event.
	MaxInFlightResponse Bytes `yaml:"max_in_flight_response"`
	// ReadTimeout bounds reading one request, its body included. A body gets one second more for every 32KiB that have
	// arrived.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// IdleTimeout bounds the wait for the next request on a connection.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// WriteTimeout bounds each single write to the caller, not the whole reply.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// Heartbeat is the time of silence after which a stream sends a comment. 0: never.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// MaxConnectionsPerIP bounds the connections of one address. 0: no limit.
	MaxConnectionsPerIP int `yaml:"max_connections_per_ip" jsonschema:"minimum=0"`
	// TLS makes the API speak HTTPS. A new certificate needs a restart.
	TLS TLS `yaml:"tls,omitempty"`
	// CORS says which web pages may call.
	CORS CORS `yaml:"cors,omitempty"`
	// WebSocket bounds what is asked over WebSockets.
	WebSocket WebSocket `yaml:"websocket"`
}

// WebSocket bounds what is asked over WebSockets, at /v1/chat/completions and /v1/responses. Pages may open one from the gateway's own origin, and
// from those of server.cors and of the tenant's cors. A message may be as large as max_body.
type WebSocket struct {
	// Enabled answers upgrades. Without it they get status 426, and clients send a POST instead.
	Enabled bool `yaml:"enabled"`
	// Responses answers them at /v1/responses, too: OpenAI's WebSocket mode.
	Responses bool `yaml:"responses"`
	// MessagesPerMinute bounds what one connection may send. 0: no limit.
	MessagesPerMinute int `yaml:"messages_per_minute" jsonschema:"minimum=0"`
	// MaxExchanges bounds the exchanges of one connection at a time.
	MaxExchanges int `yaml:"max_exchanges" jsonschema:"minimum=1"`
	// Grace is for how long an exchange goes on without its connection, and its answer is kept behind its end, for a client that
	// comes back.
	Grace time.Duration `yaml:"grace"`
	// Keep bounds how much of one answer is kept for that.
	Keep Bytes `yaml:"keep"`
	// KeepAll bounds what is kept of all answers together.
	KeepAll Bytes `yaml:"keep_all"`
}

// TLS names a certificate and its key. Both or neither.
type TLS struct {
	// Cert is the path of the certificate chain, PEM, relative to the gateway file.
	Cert string `yaml:"cert,omitempty"`
	// Key is the path of the private key, PEM, relative to the gateway file.
	Key string `yaml:"key,omitempty"`
}

// CORS says which web pages may call.
type CORS struct {
	// Origins are the pages' origins (https://app.example), or "*" for all.
	Origins []string `yaml:"origins,omitempty"`
}

// Provider is one account that is called.
type Provider struct {
	// Name of the provider in this configuration.
	Name string `yaml:"name" jsonschema:"required"`
	// Type is the kind of provider.
	Type string `yaml:"type" jsonschema:"required,enum=openai,enum=azure,enum=anthropic,enum=gemini,enum=mistral,enum=groq,enum=deepseek,enum=xai,enum=openrouter,enum=together,enum=fireworks,enum=cohere,enum=ollama,enum=vllm,enum=tei,enum=openai-compatible,enum=sim"`
	// BaseURL is where the API begins, such as http://vllm:8000/v1. Needed for azure, vllm, tei and openai-compatible; the
	// other types have one of their own.
	BaseURL string `yaml:"base_url,omitempty"`
	// Keys are the API keys; requests are spread over them by weight.
	Keys []Key `yaml:"keys,omitempty"`
	// APIVersion is sent as api-version to azure. With it, and a base_url that does not end in /v1, models are reached by
	// the names of their deployments (Azure's classic API).
	APIVersion string `yaml:"api_version,omitempty"`
	// Endpoints are those that the provider has itself, by the names in the documentation, if they are not what its type
	// says: chat.completions, responses.create, messages, embeddings and so on. Conversations at other endpoints are
	// translated.
	Endpoints []string `yaml:"endpoints,omitempty" jsonschema:"uniqueItems=true"`
	// DropParams leaves out parameters that the model or the provider does not accept, and names them in the header
	// x-sluice-dropped. Without it such a request is refused.
	DropParams bool `yaml:"drop_params"`
	// Organization is sent as OpenAI-Organization.
	Organization string `yaml:"organization,omitempty"`
	// Project is sent as OpenAI-Project.
	Project string `yaml:"project,omitempty"`
	// Headers are sent with every request.
	Headers []Header `yaml:"headers,omitempty"`
	// Timeouts bound the parts of one attempt.
	Timeouts Timeouts `yaml:"timeouts"`
	// MaxIdleConnections bounds the connections kept open without a request.
	MaxIdleConnections int `yaml:"max_idle_connections" jsonschema:"minimum=0"`
	// MaxResponse bounds a reply that is not a stream.
	MaxResponse Bytes `yaml:"max_response"`
	// MaxEvent bounds one event of a stream.
	MaxEvent Bytes `yaml:"max_event"`
	// Proxy is "env" (HTTPS_PROXY and its kin), "none", or the proxy's URL.
	Proxy string `yaml:"proxy,omitempty"`
	// AskUsage asks for the usage chunk of a stream; a caller who did not ask for it does not see it.
	AskUsage bool `yaml:"ask_usage"`
	// MergeEmbeddings is how long a small request for embeddings waits for others of the same kind, with which it is sent as
	// one: a few milliseconds. Off without it.
	MergeEmbeddings time.Duration `yaml:"merge_embeddings,omitempty"`
	// Health says when the provider's targets are left alone.
	Health Health `yaml:"health"`
	// Concurrency bounds the attempts that run at the provider at once.
	Concurrency Concurrency `yaml:"concurrency"`
	// Sim shapes the simulated provider. Only for type sim.
	Sim *Sim `yaml:"sim,omitempty"`
}

// Key is one API key of a provider.
type Key struct {
	// Name of the key, for logs and metrics.
	Name string `yaml:"name" jsonschema:"required"`
	// Key is the secret.
	Key Secret `yaml:"key" jsonschema:"required"`
	// Weight is this key's share of the requests. 0: only if the others fail.
	Weight int `yaml:"weight" jsonschema:"minimum=0,maximum=1000000"`
	// Disabled takes the key out of service, also for files and batches that were made with it.
	Disabled bool `yaml:"disabled,omitempty"`
}

// Header is one static header.
type Header struct {
	// Name of the header.
	Name string `yaml:"name" jsonschema:"required"`
	// Value of the header.
	Value Secret `yaml:"value" jsonschema:"required"`
}

// Timeouts bound the parts of one attempt.
type Timeouts struct {
	// Connect bounds connecting, TLS included.
	Connect time.Duration `yaml:"connect"`
	// Headers bounds the wait for the status and headers of a stream.
	Headers time.Duration `yaml:"headers"`
	// FirstEvent bounds the wait for the first event of a stream.
	FirstEvent time.Duration `yaml:"first_event"`
	// Idle bounds the time between two events that carry something: comments and pings do not count. Reasoning models
	// are silent for minutes.
	Idle time.Duration `yaml:"idle"`
	// Answer bounds the wait for an answer that is not streamed: nothing of it comes before all of it is generated.
	Answer time.Duration `yaml:"answer"`
	// Total bounds the whole attempt.
	Total time.Duration `yaml:"total"`
}

// Sim shapes the simulated provider.
type Sim struct {
	// FirstToken is the time until the first token.
	FirstToken time.Duration `yaml:"first_token"`
	// TokensPerSecond is the speed of the stream.
	TokensPerSecond float64 `yaml:"tokens_per_second" jsonschema:"exclusiveMinimum=0"`
	// Jitter is by how much the times vary.
	Jitter Percent `yaml:"jitter"`
	// ErrorRate is the share of requests that fail.
	ErrorRate Percent `yaml:"error_rate"`
	// Seed makes the answers repeatable.
	Seed int64 `yaml:"seed"`
}

// Model is a name that callers write in "model", and what answers to it.
type Model struct {
	// Name of the model. It may contain one *, which stands for any text.
	Name string `yaml:"name" jsonschema:"required"`
	// Aliases are other names of the same model.
	Aliases []string `yaml:"aliases,omitempty" jsonschema:"uniqueItems=true"`
	// Strategy chooses among the targets: the first that works, a draw by weight, the one whose first event comes soonest,
	// or the cheapest for the request. The others follow if it fails.
	Strategy string `yaml:"strategy" jsonschema:"enum=ordered,enum=weighted,enum=least_latency,enum=least_cost"`
	// Affinity keeps a session at one target and one key, as long as that works, so that the provider finds its prompts in
	// its cache: prompt_cache_key, user, or header: and a header's name. The first that a request has tells its session. A
	// client that sends the same value with every request puts them all on one target.
	Affinity []string `yaml:"affinity,omitempty" jsonschema:"uniqueItems=true"`
	// Hedge makes a second attempt when the first event is late. Off without it.
	Hedge *Hedge `yaml:"hedge,omitempty"`
	// Targets are the providers' models that answer.
	Targets []Target `yaml:"targets" jsonschema:"required,minItems=1"`
	// Fallback names the models to try when no target could answer.
	Fallback []string `yaml:"fallback,omitempty" jsonschema:"uniqueItems=true"`
	// OwnedBy is what the list of models says in owned_by.
	OwnedBy string `yaml:"owned_by"`
}

// Target is one provider's model.
type Target struct {
	// Provider is the name of one of the providers.
	Provider string `yaml:"provider" jsonschema:"required"`
	// Model is the provider's name of the model. Empty: the name the caller asked for, or the model's name if the caller
	// used an alias. One * stands for what the * of the model's name matched.
	Model string `yaml:"model,omitempty"`
	// Weight is this target's share, with strategy weighted; with least_latency how often it is looked at, and with
	// least_cost its share among those that cost the same. 0: only if the others fail.
	Weight int `yaml:"weight" jsonschema:"minimum=0,maximum=1000000"`
	// Disabled takes the target out of the model.
	Disabled bool `yaml:"disabled,omitempty"`
}

// Retries says when another attempt is made.
type Retries struct {
	// Max is the number of attempts on top of one for each target. Going on to the next target is not a retry.
	Max int `yaml:"max" jsonschema:"minimum=0,maximum=10"`
	// Backoff is the wait before a retry: the first about the lower bound, doubling up to the upper. The upper bound is also
	// for how long a request without a deadline of its own waits when none of its targets may be asked yet; then it gets a 503
	// with Retry-After. One with a deadline waits until then. 0s..0s: nobody waits.
	Backoff Range `yaml:"backoff"`
	// On lists what may be retried.
	On []string `yaml:"on" jsonschema:"uniqueItems=true,enum=connect,enum=429,enum=5xx,enum=timeout,enum=cut_before_first_event"`
	// Budget bounds the retries, as a share of the requests, and the attempts at a next target that fails at times, too. Ten a
	// second are always allowed. 0: no more than those. 100%: one for each request.
	Budget Percent `yaml:"budget"`
	// Recover is what is done about a stream that breaks off after its first event: none ends it with an error; continue
	// lets another target go on where it broke off, if its dialect allows that.
	Recover string `yaml:"recover" jsonschema:"enum=none,enum=continue"`
}

// Responses says how answers of the Responses API are kept for providers that have no such API, so that
// previous_response_id and GET /v1/responses/{id} work there, too, with stream=true as well, where each text comes at once.
// They are kept in the memory of the process that made them, for each tenant apart: other nodes do not know them, and a restart
// forgets them. Who asks for one that is forgotten is told to send the whole conversation.
type Responses struct {
	// Memory bounds all answers together. 0: none are kept, and requests that need one are refused.
	Memory Bytes `yaml:"memory"`
	// Keep is how long an answer is kept at most.
	Keep time.Duration `yaml:"keep"`
}

// Telemetry is what the gateway tells about itself.
type Telemetry struct {
	// Log shapes the log on standard error.
	Log Log `yaml:"log"`
}

// Log shapes the log on standard error.
type Log struct {
	// Format of the lines. auto: console on a terminal, otherwise json.
	Format string `yaml:"format" jsonschema:"enum=auto,enum=json,enum=console"`
	// Level is the least severe level that is logged.
	Level string `yaml:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error"`
}

// Tenants says where the tenants come from.
type Tenants struct {
	// Dir is the folder of the tenant files, relative to the gateway file.
	Dir string `yaml:"dir"`
	// Anonymous is "deny", or the id of the tenant that callers without a key belong to.
	Anonymous string `yaml:"anonymous"`

	// List holds the tenants by ascending id. A tenant whose file did not change keeps its pointer across reloads.
	List []*Tenant `yaml:"-"`
	// Partial says that there may be tenants besides: those of the store, which could not be read yet.
	Partial bool `yaml:"-"`
}

// SetDefaults fills in what a file may leave out. The loader calls it on every struct that has it, before it decodes
// into that struct; structs inside a plugin's settings may have it too.
func (c *Config) SetDefaults() {
	c.Server = Server{
		Listen:              "127.0.0.1:8080",
		AdminListen:         "127.0.0.1:9090",
		DrainTimeout:        60 * time.Second,
		MaxHead:             minHead,
		MaxBody:             32 << 20,
		MaxForm:             512 << 20,
		MaxInFlightBody:     1 << 30,
		MaxInFlightResponse: 1 << 30,
		ReadTimeout:         30 * time.Second,
		IdleTimeout:         75 * time.Second,
		WriteTimeout:        30 * time.Second,
		Heartbeat:           15 * time.Second,
		WebSocket: WebSocket{
			Enabled: true, Responses: true, MessagesPerMinute: 600, MaxExchanges: 32, Grace: 2 * time.Minute, Keep: 1 << 20, KeepAll: 64 << 20,
		},
	}
	c.Chain = []string{"telemetry", "ledger", "auth", "quota", "cache", "routing"}
	c.Retries = Retries{
		Max:     2,
		Backoff: Range{Min: 100 * time.Millisecond, Max: 2 * time.Second},
		On:      []string{OnConnect, OnRateLimit, OnServerError, OnTimeout, OnCut},
		Budget:  0.2,
		Recover: RecoverNone,
	}
	c.Responses = Responses{Memory: 64 << 20, Keep: 24 * time.Hour}
	c.Stores.SetDefaults()
	c.Admin = Admin{Metrics: OpenMetrics}
	c.Telemetry.Log = Log{Format: "auto", Level: "info"}
	c.Tenants = Tenants{Dir: "tenants", Anonymous: Deny}
}

// SetDefaults fills in what a file may leave out.
func (p *Provider) SetDefaults() {
	p.Timeouts = Timeouts{
		Connect:    2 * time.Second,
		Headers:    60 * time.Second,
		FirstEvent: 2 * time.Minute,
		Idle:       2 * time.Minute,
		Answer:     5 * time.Minute,
		Total:      10 * time.Minute,
	}
	p.MaxIdleConnections = 1024
	p.MaxResponse = 64 << 20
	p.MaxEvent = 16 << 20
	p.Proxy = "env"
	p.AskUsage = true
	p.DropParams = true
	p.Health.SetDefaults()
	p.Concurrency.SetDefaults()
}

// SetDefaults fills in what a file may leave out.
func (k *Key) SetDefaults() { k.Weight = 1 }

// SetDefaults fills in what a file may leave out.
func (s *Sim) SetDefaults() {
	*s = Sim{FirstToken: 200 * time.Millisecond, TokensPerSecond: 60, Jitter: 0.2, Seed: 1}
}

// SetDefaults fills in what a file may leave out.
func (m *Model) SetDefaults() {
	m.Strategy = Ordered
	m.OwnedBy = "sluice"
}

// SetDefaults fills in what a file may leave out.
func (t *Target) SetDefaults() { t.Weight = 1 }
