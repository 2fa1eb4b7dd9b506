package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// kinds are the clients of the chat completions API that are tested closely.
var kinds = []kind{
	{"openai-python", python("chat.py"), official, "APIError", 2},
	{"openai-node", node("chat.cjs"), official, "APIError", 2},
	{"openai-go", newOpenAIGo, one("*openai.Error"), "*ssestream.StreamError", 2},
	{"go-openai", newGoOpenAI, one("*openai.APIError"), "*openai.APIError", 0},
}

// kind is what must be known of a client beforehand.
type kind struct {
	name    string
	start   func(*testing.T, *site) client
	class   func(status int) string // of the exception for an answer with a status
	broken  string                  // the class of the exception in the middle of a stream
	retries int                     // that it makes by itself if it may
}

// official are the exceptions that OpenAI's clients for Python and Node have in common.
func official(status int) string {
	switch status {
	case 400:
		return "BadRequestError"
	case 401:
		return "AuthenticationError"
	case 403:
		return "PermissionDeniedError"
	case 404:
		return "NotFoundError"
	case 429:
		return "RateLimitError"
	default:
		return "InternalServerError"
	}
}

func one(class string) func(int) string { return func(int) string { return class } }

// scenarios say what every client must see.
var scenarios = []struct {
	name string
	see  func(*desk)
}{
	{"answers", answers},
	{"streams", streams},
	{"usage of streams", usageOfStreams},
	{"tools", tools},
	{"structured answers", structured},
	{"models", models},
	{"odd providers", oddProviders},
	{"thoughts and sources", thoughtsAndSources},
	{"heartbeats", heartbeats},
	{"refusals", refusals},
	{"retries", retries},
	{"a rate limit is the client's to wait for", rateLimit},
	{"broken answers", brokenAnswers},
	{"broken streams", brokenStreams},
	{"leaving a stream", leaving},
	{"giving up", givingUp},
}

func TestClients(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			c := k.start(t, s)
			for _, scenario := range scenarios {
				t.Run(scenario.name, func(t *testing.T) { scenario.see(&desk{T: t, site: s, kind: k, client: c}) })
			}
		})
	}
}

// desk is where a client is asked and its answers are compared with what the gateway and the provider know.
type desk struct {
	*testing.T
	*site
	kind
	client
}

// said is repeated by the simulated provider, in several tokens.
const said = "Grüße, 你好 — a naïve 🌊 rolls \"in\" \\ and\nout"

func (d *desk) put(do, model string) question {
	return question{Do: do, Model: model, Prompt: "repeat after me: " + said}
}

// see asks, and gives what the client saw together with the exchanges that the gateway has logged meanwhile: as many as
// the question says. What reached the provider is what the gateway says it has sent.
func (d *desk) see(q question) (seen, []exchange) {
	d.Helper()
	return d.watch(q.exchanges, func() seen { return d.ask(d.Context(), q) })
}

func (d *desk) watch(most int, ask func() seen) (seen, []exchange) {
	d.Helper()
	received := d.sim.Stats().Requests
	a, list := d.await(max(most, 1), ask)
	attempts := int64(0)
	for _, x := range list {
		if strings.HasPrefix(x.Provider, "wire") {
			attempts += int64(x.Attempts)
		}
	}
	if n := d.sim.Stats().Requests - received; n != attempts {
		d.Errorf("%d requests at the provider, %d attempts in the log", n, attempts)
	}
	return a, list
}

// await gives what the client saw, and as many exchanges as the gateway must have logged meanwhile.
func (d *desk) await(want int, ask func() seen) (seen, []exchange) {
	d.Helper()
	logged := len(d.logs.exchanges(d.T))
	a := ask()
	until(d.T, patience, "the exchanges are logged", func() bool { return len(d.logs.exchanges(d.T)) >= logged+want })
	list := d.logs.exchanges(d.T)[logged:]
	if len(list) != want {
		d.Fatalf("%d exchanges, want %d: %+v", len(list), want, list)
	}
	// They are logged when they end, and the one before may have ended later than the last. That is known by its id, or is
	// longer because it has the others in it.
	slices.SortStableFunc(list, func(x, y exchange) int { return cmp.Compare(x.Input+x.CacheRead, y.Input+y.CacheRead) })
	if a.RequestID != "" {
		i := slices.IndexFunc(list, func(x exchange) bool { return x.ID == a.RequestID })
		if i < 0 {
			d.Fatalf("the request id that the client knows is %s, the log has %+v", a.RequestID, list)
		}
		list[i], list[want-1] = list[want-1], list[i]
	}
	return a, list
}

// complete checks an answer that is all there.
func (d *desk) complete(a seen, x exchange, text string) {
	d.Helper()
	if a.Error != nil {
		d.Fatalf("%s: %+v", x.Model, *a.Error)
	}
	if a.Text != text || a.Finish != "stop" || !strings.HasPrefix(a.ID, "chatcmpl-") || a.Model == "" {
		d.Errorf("%s: %+v, want %q", x.Model, a, text)
	}
	if x.Status != 200 || x.Aborted || x.Usage != "reported" || x.Input == 0 || x.Output == 0 {
		d.Errorf("logged: %+v", x)
	}
	if u := a.Usage; u != nil && (u.Input != x.Input+x.CacheRead || u.Output != x.Output || u.Total != u.Input+u.Output) {
		d.Errorf("%s: the client counts %+v, the gateway %+v", x.Model, *u, x)
	}
}

func answers(d *desk) {
	for _, model := range []string{"sim-fast", "sim-chat", "Qwen/Qwen3-8B", "builtin/sim-fast", "builtin/sim-chat"} {
		a, x := d.see(d.put("chat", model))
		d.complete(a, x[0], said)
		if a.Usage == nil || a.RequestID == "" {
			d.Errorf("%s: %+v", model, a)
		}
	}
	if head, _ := d.sim.Last(); strings.Contains(string(head), key) {
		d.Errorf("the provider gets the caller's key:\n%s", head)
	}
}

func streams(d *desk) {
	for _, model := range []string{"sim-fast", "sim-chat", "sim-nodone", "builtin/sim-fast", "builtin/sim-chat"} {
		a, x := d.see(d.put("stream", model))
		d.complete(a, x[0], said)
		if a.Pieces < 2 || len(a.IDs) != 1 || a.RequestID == "" {
			d.Errorf("%s: %+v", model, a)
		}
	}
}

// The gateway knows the usage of every stream; the client sees it if it asked for it.
func usageOfStreams(d *desk) {
	f := func(model, provider string, asks bool) {
		d.Helper()
		counted := func(kind string) int64 {
			return d.counted("sluice_tokens_total", `provider="`+provider+`"`, `type="`+kind+`"`)
		}
		input, output := counted("input"), counted("output")
		q := d.put("stream", model)
		q.Usage = asks
		a, x := d.see(q)
		d.complete(a, x[0], said)
		switch {
		case asks && (a.Usages != 1 || !a.UsageLast || a.Usage == nil):
			d.Errorf("%s: usage was asked for: %+v", model, a)
		case !asks && (a.Usages != 0 || a.Usage != nil):
			d.Errorf("%s: usage was not asked for: %+v", model, a)
		}
		if i, o := counted("input")-input, counted("output")-output; i != x[0].Input || o != x[0].Output {
			d.Errorf("%s: the metrics count %d and %d tokens, the log says %+v", model, i, o, x[0])
		}
		if _, body := d.sim.Last(); provider == "wire" && !strings.Contains(string(body), `"include_usage":true`) {
			d.Errorf("the provider was not asked for usage: %s", body)
		}
	}
	f("sim-fast", "wire", false)
	f("sim-fast", "wire", true)
	f("builtin/sim-fast", "builtin", false)
	f("builtin/sim-fast", "builtin", true)
}

// weatherSchema are the parameters of the tool that every client offers.
var weatherSchema = map[string]any{
	"type":                 "object",
	"properties":           map[string]any{"city": map[string]any{"type": "string"}},
	"required":             []string{"city"},
	"additionalProperties": false,
}

// weather is the result of the n-th call.
func weather(n int) string { return fmt.Sprintf(`{"temperature":%d}`, 20+n) }

// A question, two calls, two results, an answer.
func tools(d *desk) {
	f := func(do, model string) {
		d.Helper()
		a, x := d.see(question{Do: do, Model: model, Prompt: "What is the weather in Paris and London?", exchanges: 2})
		d.complete(a, x[1], "According to get_weather: temperature is 20.\nAccording to get_weather: temperature is 21.")
		if !slices.Equal(a.Finishes, []string{"tool_calls", "stop"}) {
			d.Errorf("%s: the answers end with %v", model, a.Finishes)
		}
		if len(a.Calls) != 2 || a.Calls[0].ID == a.Calls[1].ID {
			d.Fatalf("%s: %+v", model, a.Calls)
		}
		for i, place := range []string{"Paris", "London"} {
			if c := a.Calls[i]; !strings.HasPrefix(c.ID, "call_") || c.Name != "get_weather" || c.Arguments != `{"city":"`+place+`"}` {
				d.Errorf("%s: %+v", model, c)
			}
		}
		if do == "stream_tools" && a.Fragments <= 2 {
			d.Errorf("%s: the arguments came in %d fragments", model, a.Fragments)
		}
	}
	f("tools", "sim-fast")
	f("tools", "builtin/sim-fast")
	f("stream_tools", "sim-fast")
	f("stream_tools", "builtin/sim-fast")
}

// citySchema is the schema of a city, for clients that do not make it of a type.
var citySchema = map[string]any{
	"type": "object",
	"properties": map[string]any{
		"name": map[string]any{"type": "string"}, "country": map[string]any{"type": "string"}, "population": map[string]any{"type": "integer"},
	},
	"required":             []string{"name", "country", "population"},
	"additionalProperties": false,
}

func structured(d *desk) {
	f := func(do, model string) {
		d.Helper()
		a, x := d.see(question{Do: do, Model: model, Prompt: "Tell me about Paris."})
		d.complete(a, x[0], a.Text)
		var want city
		if err := json.Unmarshal([]byte(a.Text), &want); err != nil || a.Parsed == nil || *a.Parsed != want || want.Name == "" {
			d.Errorf("%s: %v: %s was parsed to %+v", model, err, a.Text, a.Parsed)
		}
	}
	f("parse", "sim-fast")
	f("parse", "builtin/sim-fast")
	f("stream_parse", "sim-fast")
	f("stream_parse", "builtin/sim-fast")
}

func models(d *desk) {
	a, _ := d.see(question{Do: "models"})
	if a.Error != nil || !slices.Contains(a.Models, "Qwen/Qwen3-8B") || slices.Contains(a.Models, "not-yours") {
		d.Errorf("%v %+v", a.Models, a.Error)
	}
	a, _ = d.see(question{Do: "model", Model: "Qwen/Qwen3-8B"})
	if a.Error != nil || a.ID != "Qwen/Qwen3-8B" || a.Owner != "qwen" {
		d.Errorf("%+v %+v", a, a.Error)
	}
	a, _ = d.see(question{Do: "model", Model: "Qwen/none"})
	d.refused(a, "Qwen/none", 404, "model_not_found")
}

// What other providers say besides the answer does not reach a client.
func oddProviders(d *desk) {
	a, x := d.see(d.put("stream", "odd"))
	if a.Error != nil || a.Text != "odd" || a.Finish != "stop" || x[0].Status != 200 || x[0].Aborted {
		d.Errorf("%+v %+v; logged: %+v", a, a.Error, x)
	}
}

// Helpers that join the deltas of a stream take lists with several entries, and a request with what they have made of it
// is accepted.
func thoughtsAndSources(d *desk) {
	q := d.put("stream_tools", "thinking")
	q.exchanges = 2
	if a, x := d.see(q); a.Error != nil || a.Text != "odd" || len(a.Calls) != 1 || x[1].Status != 200 {
		d.Errorf("%+v %+v; logged: %+v", a, a.Error, x)
	}
}

// Comments in a silence break no client. go-openai gives up after 300 lines without data, and a heartbeat is two of them:
// with the default of one in 15 s that is a silence of 37 minutes.
func heartbeats(d *desk) {
	a, _ := d.see(d.put("stream", "pausing"))
	if a.Error != nil || a.Finish != "stop" || a.Pieces != 3 {
		d.Errorf("%+v %+v", a, a.Error)
	}
}

// blinded says whether an exception tells nothing of an error because there were heartbeats before it: go-openai takes
// comments, whenever they came, for a part of the error's JSON.
func (d *desk) blinded(e failure, model string) bool {
	return d.name == "go-openai" && (model == "silent" || model == "breaking") && e.Class == "*json.SyntaxError"
}

// refused checks an exception that comes instead of an answer.
func (d *desk) refused(a seen, model string, status int, code string) {
	d.Helper()
	e := a.Error
	if e == nil {
		d.Fatalf("%s: no exception, but %+v", model, a)
	}
	if e.Class != d.class(status) || e.Status != status || e.Code != code || e.Type == "" || e.Message == "" {
		d.Errorf("%s: %+v, want %s with %d %s", model, *e, d.class(status), status, code)
	}
}

// fresh is a model that answers like another, but is known to nobody: a rate limit that one request has met, and a model that
// the provider does not have, is not asked for again at once.
func fresh(model, do string) string {
	if do == "stream" {
		return strings.Replace(model, "sim-", "sim-fast-", 1)
	}
	return model
}

// Who is refused learns why, at once: no client tries again.
func refusals(d *desk) {
	f := func(model string, status int, code string, attempts int64) {
		d.Helper()
		for _, do := range []string{"chat", "stream"} {
			received := d.sim.Stats().Requests
			a, x := d.see(d.put(do, fresh(model, do)))
			d.refused(a, model, status, code)
			if n := d.sim.Stats().Requests - received; n != attempts || x[0].Status != status {
				d.Errorf("%s: %d requests at the provider; logged: %+v", model, n, x[0])
			}
		}
	}
	f("none", 404, "model_not_found", 0)
	f("sim-fsat", 404, "model_not_found", 1)
	if d.name == "openai-go" { // leaves out what is empty
		f("", 400, "missing_required_parameter", 0)
	} else {
		f("", 400, "invalid_value", 0)
	}
	f("sim-400", 400, "", 1)
	f("not-yours", 403, "model_not_allowed", 0)

	for _, do := range []string{"chat", "stream", "models"} {
		q := d.put(do, "sim-fast")
		q.Key = "wrong"
		a, _ := d.see(q)
		d.refused(a, "sim-fast", 401, "invalid_api_key")
	}
}

// After its own attempts the gateway tells clients not to try again, or attempts would multiply. A provider that wants to be
// left alone is: then it is the client's to wait.
func retries(d *desk) {
	f := func(do, model string, status int, code string, attempts int64) {
		d.Helper()
		received := d.sim.Stats().Requests
		q := d.put(do, fresh(model, do))
		if strings.Contains(model, "after") {
			q.Retries = new(int)
		}
		a, _ := d.see(q)
		d.refused(a, model, status, code)
		if n := d.sim.Stats().Requests - received; n != attempts {
			d.Errorf("%s: %d requests at the provider, want %d", model, n, attempts)
		}
	}
	for _, do := range []string{"chat", "stream"} {
		f(do, "sim-429-after0", 429, "rate_limit_exceeded", 1)
		f(do, "sim-500", 500, "", 3)
		f(do, "sim-503-after0", 503, "server_is_overloaded", 1)
		f(do, "sim-html", 502, "upstream_bad_response", 3)
		f(do, "sim-empty", 502, "upstream_cut", 3)
		f(do, "sim-cut", 502, "upstream_cut", 3)
		f(do, "sim-quota", 429, "insufficient_quota", 1)
		f(do, "sim-401", 502, "upstream_credentials", 1)
		f(do, "unreachable", 502, "upstream_unreachable", 0)
	}
}

// Where the provider asks for more patience than the gateway has, the client is told how long to wait, and may do so.
func rateLimit(d *desk) {
	once := 1
	q := d.put("chat", "sim-429-after1")
	q.Retries, q.exchanges = &once, 1+min(once, d.retries)
	begun := time.Now()
	a, _ := d.see(q)
	d.refused(a, q.Model, 429, "rate_limit_exceeded")
	if waited := time.Since(begun); d.retries > 0 && waited < time.Second {
		d.Errorf("the client waited %v", waited)
	}
}

// An answer that is not a stream comes whole or not at all.
func brokenAnswers(d *desk) {
	f := func(do, model, code string) {
		d.Helper()
		a, _ := d.see(d.put(do, model))
		d.refused(a, model, 502, code)
		if a.Text != "" || a.Parsed != nil {
			d.Errorf("%s: %+v", model, a)
		}
	}
	for _, do := range []string{"chat", "parse"} {
		f(do, "sim-cut-10", "upstream_cut")
		f(do, "sim-badjson", "upstream_bad_response")
		f(do, "sim-inband", "simulated_error")
		f(do, "builtin/sim-cut-10", "upstream_cut")
	}
}

// A stream that breaks off ends with an exception: no client takes it for complete.
func brokenStreams(d *desk) {
	f := func(model, code string) {
		d.Helper()
		a, x := d.see(d.put("stream", model))
		if a.Error == nil {
			d.Fatalf("%s: no exception, but %+v", model, a)
		}
		if e := *a.Error; (e.Class != d.broken || e.Code != code || e.Message == "") && !d.blinded(e, model) {
			d.Errorf("%s: %+v, want %s with %s", model, e, d.broken, code)
		}
		if a.Text == "" || a.Finish != "" || !x[0].Aborted {
			d.Errorf("%s: %+v; logged: %+v", model, a, x[0])
		}
	}
	f("sim-fast-cut-5", "upstream_stream_error")
	f("sim-fast-badjson-5", "upstream_stream_error")
	f("sim-fast-nofinish", "upstream_stream_error")
	f("sim-fast-error-5", "simulated_error")
	f("builtin/sim-fast-cut-5", "upstream_stream_error")
	f("builtin/sim-fast-error-5", "simulated_error")
	f("silent", "upstream_stream_error") // after some heartbeats
	f("breaking", "upstream_error")      // likewise

	// Nor do the helpers that gather a stream.
	for _, do := range []string{"stream_parse", "stream_tools"} {
		a, _ := d.see(question{Do: do, Model: "sim-fast-cut-3", Prompt: "What is the weather in Paris?"})
		if a.Error == nil || a.Parsed != nil || a.Finishes != nil {
			d.Errorf("%s: %+v", do, a)
		}
	}
}

// left checks that a client went, and that this is what the log says.
func (d *desk) left(a seen, x exchange) {
	d.Helper()
	if a.Error != nil || !a.Left {
		d.Errorf("%s: %+v %+v", x.Model, a, a.Error)
	}
	if !x.hungUp() {
		d.Errorf("logged: %+v", x)
	}
}

// A client that leaves in the middle of a stream stops the provider too, whether it speaks or is silent.
func leaving(d *desk) {
	for _, model := range []string{"sim-long", "sim-fast-stall-5"} {
		q := d.put("stream", model)
		q.LeaveAfter = 3
		gone := d.sim.Stats().GoneMid
		a, x := d.watch(1, func() seen {
			a := d.ask(d.Context(), q)
			until(d.T, soon, "the provider is left", func() bool { return d.sim.Stats().GoneMid > gone })
			return a
		})
		d.left(a, x[0])
	}
	q := d.put("stream", "builtin/sim-long")
	q.LeaveAfter = 3
	a, x := d.see(q)
	d.left(a, x[0])
}

// A client that gives up while it waits, for the first token or for another, stops the provider too.
func givingUp(d *desk) { d.givingUp("") }

// givingUp asks models whose names begin with prefix, which are of one provider.
func (d *desk) givingUp(prefix string) {
	d.Helper()
	f := func(model string, stream bool, waiting func() bool, gone func() int64) {
		d.Helper()
		q := d.put("abandon", prefix+model)
		q.Stream = stream
		had := gone()
		a, x := d.watch(1, func() seen {
			ctx, giveUp := context.WithCancel(d.Context())
			defer giveUp()
			done := make(chan seen, 1)
			go func() { done <- d.ask(ctx, q) }()
			until(d.T, patience, "the client waits", waiting)
			giveUp()
			until(d.T, soon, "the provider is left", func() bool { return gone() > had })
			return <-done
		})
		d.left(a, x[0])
	}
	before := func() int64 { return d.sim.Stats().GoneBefore }
	mid := func() int64 { return d.sim.Stats().GoneMid }
	asked := func() bool { s := d.sim.Stats(); return s.Requests > s.Completed+s.Broken+s.GoneBefore+s.GoneMid }
	f("sim-stall", false, asked, before)
	f("sim-stall", true, asked, before)
	f("sim-fast-stall-5", true, func() bool { return d.counted("sluice_streams_active") == 1 }, mid)
}
