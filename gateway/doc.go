// Package gateway is the contract of Sluice: one exchange, one chain of plugins, one pulled stream of events.
//
// An exchange (one request and its reply) goes through the chain; the innermost handler forwards it to an upstream
// target; the reply comes back through the same chain as a stream of events that the transport writes out. A unary
// answer is a stream of one event, SSE a stream of many, and a message on a WebSocket begins an exchange whose events become
// frames, so every plugin is written once and works for all.
//
// # One request, six hops
//
//  1. serve accepts it, finds the endpoint and bounds everything. The body stays on the wire until a plugin behind
//     auth opens it; then wire/peek reads what steers, without decoding.
//  2. the plugins, in the configured order (default: telemetry, ledger, auth, quota, cache, routing); runtime has built the chain.
//  3. forward walks the plan: who may be asked and has room, attempt, verdict, next target. It commits when the first event
//     has arrived: until then it may fail over freely, afterwards nothing is sent twice.
//  4. upstream sends one attempt. Same dialect on both sides: the caller's bytes with the model name spliced in. Another
//     dialect: decoded to wire/chat and encoded again, and so is the reply. It yields a Stream.
//  5. back through the plugins: each may wrap Reply.Stream or only register OnEnd.
//  6. serve pulls the stream and writes it: a JSON body, SSE events or frames.
//
// # The house
//
//	cmd/sluice          command line, wiring, signals; the only place that sees everything
//	config              configuration: structs, strict loading, validation, watching, secrets
//	gateway             this contract
//	gateway/wire        the languages spoken: one folder a dialect (openai, responses, anthropic), chat (the neutral form),
//	                    shape (what codecs are built of), sse, peek, form
//	gateway/catalog     models: context, abilities, prices, and what an attempt costs
//	gateway/serve       fasthttp server: endpoint table, transports, disconnects, drain; its folder socket is for WebSockets
//	gateway/forward     carries out a plan: who is asked, retry, failover, second attempts, commit point
//	gateway/health      what is known of a target: illness, cool-downs, refusals, limits, latency
//	gateway/admission   how many requests run at a provider at a time, who waits and who is refused
//	gateway/upstream    one attempt: the table of providers, connection pool, TLS, deadlines, cancellation, translation
//	gateway/tenant      what a tenant is allowed: limits and budgets, in words that all share
//	gateway/meter       counts what is used against what is allowed, in this process or with others
//	gateway/ledger      rows of what was spent: the journal on disk, and shipping it
//	gateway/store       where rows, keys, tokens and tenants are kept: SQLite or PostgreSQL
//	gateway/runtime     configuration -> an immutable generation; atomic swap, drain of the old
//	gateway/admin       the operators' listener: metrics, liveness, readiness, profiles
//	gateway/sim         the simulated provider and its faults, in process and as a server
//	gateway/gatewaytest drives plugins without a network, and holds them to this contract
//	gateway/internal    buf (the only pool of byte buffers), watch (who hung up, by one epoll), house (the rules, as tests)
//	plugins             what the chain is made of; each plugin a folder
//	configs             the example configuration and the JSON Schemas
//	benchmarks          load generator, mock provider, floor, and the runner that compares
//
// # Vocabulary
//
// One meaning each, everywhere in the code:
//
//	exchange    one request and its reply
//	endpoint    what can be asked: a row of serve's table
//	dialect     a language on the wire (openai, responses, anthropic)
//	event       one piece of a reply: an SSE event, or the whole body
//	piece       one step of a streamed reply in the neutral form
//	caller      who asks: tenant, key, user
//	tenant      who is served and billed: a YAML file
//	plan        the targets of one exchange, in the order in which they are tried
//	provider    an account at somebody who runs models; its kind is a row of upstream's table
//	native      of an endpoint: the provider has it itself, so that nothing is translated
//	model       what callers ask for; a list of steps
//	step        targets of which one is drawn by weight
//	target      provider + key + model
//	attempt     one try of one target
//	fork        an exchange beside another, in which one of two attempts runs that are made at the same time
//	socket      a WebSocket: a connection on which several exchanges are under way
//	grace       for how long an exchange goes on without its socket
//	lane        responses of one socket that come one after another
//	commit      the moment after which nothing may be sent twice: the first event has arrived
//	generation  everything that one state of the configuration built; immutable
//	directory   the tenants, keys and models of a generation
//	witness     hears the attempts of an exchange: before each is sent, when nothing more will be known of it, and the end
//	cost        what the provider takes for an attempt
//	charge      what the tenant pays for it
//	meter       a counter with a limit: requests, tokens, exchanges at once, money
//	scope       what a limit counts together: of the tenant, a key, a user, a model
//	slice       what a node may use up without asking
//	pool        where slices are drawn: in process, or Redis
//	epoch       one life of the pool's memory
//	journal     the rows on the local disk, ahead of the store
//	intent      a row before its attempt is sent
//	seal        the same row when the attempt is over
//	family      the refresh tokens that came of one grant
//	partition   what questions share that one answer may serve: all of the exchange but the last thing that the user said
//	tape        what is said in a reply, while it is said
//	flight      identical exchanges under way: one leads, the others follow
//	chain       the plugins of a generation, in order, with forward behind them
//	plugin      one link of the chain
package gateway
