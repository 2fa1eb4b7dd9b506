package sim_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	transport "github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// endpoint is one of the gateway's table.
func endpoint(t testing.TB, name string) *gateway.Endpoint {
	t.Helper()
	list := transport.Endpoints()
	i := slices.IndexFunc(list, func(e gateway.Endpoint) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("there is no endpoint %s", name)
	}
	return &list[i]
}

type headers map[string]string

func (h headers) Get(name string) []byte { return []byte(h[name]) }

// request is one to any endpoint.
type request struct {
	endpoint, param, query, contentType string
	body                                gateway.Body
	tenant                              string
	claude                              bool // Anthropic's dialect, where the endpoint has two
}

func (q *request) exchange(t testing.TB) *gateway.Exchange {
	t.Helper()
	x := new(gateway.Exchange)
	e := endpoint(t, q.endpoint)
	if q.claude {
		other := *e
		other.Dialect = "anthropic"
		e = &other
	}
	x.Init("test", e, headers{"Content-Type": q.contentType}, q.body)
	x.Request.Param, x.Request.Query = q.param, q.query
	x.Caller.Tenant = &gateway.Tenant{ID: tenant.ID(q.tenant)}
	if e.Body != gateway.NoBody {
		if err := x.Request.Open(); err != nil {
			t.Fatalf("%s: %v", q.endpoint, err)
		}
	}
	return x
}

// seen is what a caller and the records get of an answer, one line for each thing, without what differs each time.
func seen(r *result) []string {
	chance := regexp.MustCompile(`\b(file|batch|batch_req|resp|msg|cmpl|modr|req)[-_]\w{20,}`)
	dates := regexp.MustCompile(`_at":(\d+|"[^"]*")|"created":\d+`)
	lines := []string{fmt.Sprintf("%+v, %v", r.usage, errors.Is(r.err, io.EOF))}
	if r.reply != nil {
		lines = append(lines, fmt.Sprint(r.reply.Status, r.reply.ContentType, r.reply.Kind, r.reply.Header))
	}
	a := r.attempt
	lines = append(lines, fmt.Sprint(a.Status, a.Usage, a.RequestID, a.Err, a.First > 0, a.Total > 0))
	events := r.events
	if r.reply != nil && r.reply.Kind == gateway.Bytes {
		events = []string{strings.Join(events, "")}
	}
	for _, e := range events {
		e = strings.ReplaceAll(e, `~p\"`, `\"`)           // in a message an id is as it was asked for
		e = strings.ReplaceAll(e, `~p_output`, `_output`) // and in a name as it was made
		lines = append(lines, dates.ReplaceAllString(chance.ReplaceAllString(e, "$1-x"), ""))
	}
	return lines
}

// play is a day in the life of a provider: all that its endpoints are asked for.
func play(t *testing.T, at func(endpoint string) gateway.Sender) (all [][]string) {
	do := func(q request) result {
		t.Helper()
		r := send(q.exchange(t), at(q.endpoint), -1)
		all = append(all, append([]string{q.endpoint}, seen(&r)...))
		return r
	}
	ask := func(name, text string) result {
		t.Helper()
		return do(request{endpoint: name, body: body(text)})
	}
	post := func(name string, fields ...string) result {
		t.Helper()
		text, contentType := form(t, "in.jsonl", `{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"e","input":"hi","dimensions":2}}`+"\n", fields...)
		return do(request{endpoint: name, body: body(text), contentType: contentType})
	}
	get := func(name, id string) result {
		t.Helper()
		return do(request{endpoint: name, param: id, body: body("")})
	}
	idOf := func(r result) string {
		t.Helper()
		m := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(strings.Join(r.events, ""))
		if m == nil {
			t.Fatalf("there is no id in %v", r.events)
		}
		return m[1]
	}

	ask("embeddings", `{"model":"e","input":["a","b"],"dimensions":4}`)
	ask("embeddings", `{"model":"sim-429","input":"a"}`)
	ask("embeddings", `{"model":"e","input":[]}`)
	ask("moderations", `{"input":"I will kill you"}`)
	ask("completions", `{"model":"m","prompt":"what is 6*7"}`)
	ask("completions", `{"model":"m","prompt":"what is 6*7","stream":true}`)
	ask("completions", `{"model":"m","prompt":"what is 6*7","stream":true,"stream_options":{"include_usage":true}}`)
	ask("images.generations", `{"model":"i","prompt":"a square","n":2}`)
	ask("images.generations", `{"model":"i","prompt":"a square","n":2,"stream":true,"partial_images":1}`)
	post("images.edits", "model", "i", "prompt", "brighter", "stream", "true")
	post("images.variations", "model", "i")
	ask("audio.speech", `{"model":"tts","input":"hello you","voice":"alloy"}`)
	ask("audio.speech", `{"model":"tts","input":"hello you","stream_format":"sse"}`)
	ask("audio.speech", `{"model":"tts"}`)
	post("audio.transcriptions", "model", "t")
	post("audio.transcriptions", "model", "t", "stream", "true")
	post("audio.translations", "model", "sim-fast", "response_format", "srt")

	file := idOf(post("files.create", "purpose", "batch"))
	get("files.list", "")
	get("files.retrieve", file)
	get("files.content", file)
	batch := ask("batches.create", `{"input_file_id":"`+file+`","endpoint":"/v1/embeddings","completion_window":"24h"}`)
	get("batches.list", "")
	get("batches.retrieve", idOf(batch))
	get("batches.cancel", idOf(batch))
	made := regexp.MustCompile(`"output_file_id":"([^"]+)"`).FindStringSubmatch(batch.events[0])
	if len(made) != 2 || !strings.HasSuffix(made[1], "~p") || !strings.HasSuffix(file, "~p") {
		t.Fatalf("%s: ids do not say who holds what they are of", batch.events[0])
	}
	get("files.content", made[1])
	get("files.delete", file)
	get("files.content", file)

	text, contentType := form(t, "a.pdf", "%PDF")
	mine := idOf(do(request{endpoint: "files.create", body: body(text), contentType: contentType, claude: true}))
	for _, endpoint := range []string{"files.list", "files.retrieve", "files.delete", "files.retrieve"} {
		do(request{endpoint: endpoint, param: mine, body: body(""), claude: true})
	}
	ask("batches.create", `{"input_file_id":"`+file+`","endpoint":"/v1/embeddings","completion_window":"24h"}`)

	response := idOf(ask("responses.create", `{"model":"sim-chat","input":"what is 6*7"}`))
	ask("responses.create", `{"model":"sim-chat","input":"and 2+2","previous_response_id":"`+response+`"}`)
	get("responses.retrieve", response)
	do(request{endpoint: "responses.retrieve", param: response, query: "stream=true", body: body("")})
	do(request{endpoint: "responses.retrieve", param: response, query: "stream=true&starting_after=3", body: body("")})
	do(request{endpoint: "responses.retrieve", param: response, query: "stream=true&starting_after=x", body: body("")})
	do(request{endpoint: "responses.input_items", param: response, query: "limit=1", body: body("")})
	get("responses.cancel", response)
	get("responses.delete", response)
	get("responses.retrieve", response)
	ask("responses.input_tokens", `{"model":"m","input":"one two three"}`)
	ask("messages.count_tokens", `{"model":"m","messages":[{"role":"user","content":"one two three"}]}`)
	return all
}

// A Provider has the endpoints that a Server has, and answers there in the same way.
func TestProviderHasEndpoints(t *testing.T) {
	base := serve(t, &sim.Server{})
	openAI, claude := gateOf(t, "openai", transport.Endpoints(), base, 10*time.Second).WithKey(""), gateOf(t, "anthropic", transport.Endpoints(), base, 10*time.Second).WithKey("")
	there := play(t, func(endpoint string) gateway.Sender {
		if strings.HasPrefix(endpoint, "messages.") {
			return claude
		}
		return openAI
	})
	p := sim.New("p", sim.Options{})
	asked := map[string]bool{"chat.completions": true, "messages": true}
	here := play(t, func(endpoint string) gateway.Sender {
		asked[endpoint] = true
		return p
	})
	for i := range here {
		if !reflect.DeepEqual(here[i], there[i]) {
			t.Errorf("%d: here\n%s\nthere\n%s", i, strings.Join(here[i], "\n"), strings.Join(there[i], "\n"))
		}
	}
	if serves := sim.Serves(); !reflect.DeepEqual(asked, serves) {
		t.Errorf("it serves %v, and was asked for %v", serves, asked)
	}
	for _, e := range transport.Endpoints() {
		if has := sim.Serves()[e.Name]; e.Forward != "" && !has && e.Name != "responses.compact" {
			t.Errorf("it does not serve %s", e.Name)
		}
	}
	q := request{endpoint: "responses.compact", body: body(`{"model":"m"}`)}
	if r := send(q.exchange(t), p, -1); r.reply == nil || r.reply.Status != 405 {
		t.Errorf("what it does not serve: %+v", r)
	}
}

// The target's name for the model counts at other endpoints, too, also in a form.
func TestTargetModelElsewhere(t *testing.T) {
	text, contentType := form(t, "a.wav", "RIFF", "model", "mine")
	for _, q := range []request{
		{endpoint: "embeddings", body: body(`{"input":"x","model":"mine"}`)},
		{endpoint: "moderations", body: body(`{"input":"x"}`)},
		{endpoint: "audio.transcriptions", body: body(text), contentType: contentType},
	} {
		x, via := q.exchange(t), sim.New("p", sim.Options{})
		target := &gateway.Target{Via: via, Model: "sim-418"}
		if r, err := via.Send(x, target, x.Attempting(target)); err != nil || r.Status != 418 {
			t.Errorf("%s: %+v, %v", q.endpoint, r, err)
		}
	}
}

// What one tenant has stored, others do not see.
func TestProviderKeepsTenantsApart(t *testing.T) {
	var kept []string
	p := sim.New("p", sim.Options{Kept: func(tenant, id string) { kept = append(kept, tenant+" "+id) }})
	do := func(tenant, endpoint, id, text, contentType string) result {
		q := request{endpoint: endpoint, param: id, body: body(text), contentType: contentType, tenant: tenant}
		return send(q.exchange(t), p, -1)
	}
	id := func(r result) string {
		_, rest, _ := strings.Cut(r.events[0], `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		return id
	}
	text, contentType := form(t, "a.jsonl", "{}\n", "purpose", "batch")
	file := id(do("a", "files.create", "", text, contentType))
	batch := id(do("a", "batches.create", "", `{"input_file_id":"`+file+`","endpoint":"/v1/embeddings","completion_window":"24h"}`, ""))
	response := id(do("a", "responses.create", "", `{"model":"m","input":"hi"}`, ""))
	if len(kept) != 1 || kept[0] != "a "+response {
		t.Errorf("kept %v, not %s", kept, response)
	}
	if do("a", "responses.create", "", `{"model":"m","input":"hi","store":false}`, ""); len(kept) != 1 {
		t.Errorf("kept %v", kept)
	}
	f := func(endpoint, id string) {
		t.Helper()
		if r := do("b", endpoint, id, "", ""); r.reply == nil || r.reply.Status != 404 {
			t.Errorf("%s: another tenant gets %v", endpoint, r.events)
		}
		if r := do("a", endpoint, id, "", ""); r.reply == nil || r.reply.Status == 404 {
			t.Errorf("%s: the tenant gets %v", endpoint, r.events)
		}
	}
	f("files.retrieve", file)
	f("files.content", file)
	f("batches.retrieve", batch)
	f("responses.retrieve", response)
	f("responses.input_items", response)
	for _, name := range []string{"files.list", "batches.list"} {
		if r := do("b", name, "", "", ""); !strings.Contains(r.events[0], `"data":[]`) {
			t.Errorf("%s: %v", name, r.events)
		}
	}
	if r := do("b", "batches.create", "", `{"input_file_id":"`+file+`","endpoint":"/v1/embeddings","completion_window":"24h"}`, ""); r.reply.Status != 404 {
		t.Errorf("another tenant's file: %v", r.events)
	}
	if r := do("b", "responses.create", "", `{"model":"m","input":"hi","previous_response_id":"`+response+`"}`, ""); r.reply.Status != 400 {
		t.Errorf("another tenant's response: %v", r.events)
	}
	f("responses.delete", response)
	f("files.delete", file)
}

// streamed is a form that comes in two pieces.
type streamed struct {
	body
	first int
	rest  io.Reader
}

func (s *streamed) LoadUntil(enough func(b []byte) bool) ([]byte, error) {
	b := []byte(s.body)
	if enough(b[:s.first]) {
		return b[:s.first], nil
	}
	s.rest = nil
	enough(b)
	return b, nil
}

func (s *streamed) Rest() io.Reader { return s.rest }
func (s *streamed) Size() int64     { return int64(len(s.body)) }

// A large file is read to its end.
func TestProviderReadsRest(t *testing.T) {
	text, contentType := form(t, "a.wav", strings.Repeat("RIFF", 200_000), "model", "t")
	at := 300 << 10
	do := func(rest io.Reader) result {
		q := request{endpoint: "audio.transcriptions", body: &streamed{body(text), at, rest}, contentType: contentType}
		return send(q.exchange(t), sim.New("p", sim.Options{}), -1)
	}
	if r := do(strings.NewReader(text[at:])); len(r.events) != 1 || !strings.Contains(r.events[0], "A recording of 800000 bytes called a.wav.") {
		t.Errorf("got %v, %v", r.events, r.err)
	}
	var e *gateway.Error
	if r := do(strings.NewReader(text[at : len(text)-10])); r.reply != nil || !errors.As(r.err, &e) || e.Status != 400 {
		t.Errorf("of half a form: %v, %v", r.reply, r.err)
	}
}

// An empty file is a whole answer.
func TestProviderEmptyFile(t *testing.T) {
	p := sim.New("p", sim.Options{})
	text, contentType := form(t, "empty", "", "purpose", "user_data")
	q := request{endpoint: "files.create", body: body(text), contentType: contentType}
	made := send(q.exchange(t), p, -1)
	_, rest, _ := strings.Cut(made.events[0], `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	q = request{endpoint: "files.content", param: id, body: body("")}
	if r := send(q.exchange(t), p, -1); r.reply == nil || r.reply.Status != 200 || len(r.events) > 0 || !errors.Is(r.err, io.EOF) || r.usage != (chat.Usage{}) {
		t.Errorf("got %+v", r)
	}
}
