package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// breaker stands before a simulated provider, and breaks its streams off.
type breaker struct {
	*httptest.Server
	to string

	mu     sync.Mutex
	plan   []int // after how many events with text the next streams end; what is not planned is complete
	how    string
	bodies []string // of the requests
}

func newBreaker(t *testing.T, to string) *breaker {
	b := &breaker{to: to}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	b.Config.ErrorLog = nil
	t.Cleanup(b.Close)
	return b
}

func (b *breaker) address() string { return b.Listener.Addr().String() }

// set says how the next streams break off, and forgets what was asked.
func (b *breaker) set(how string, plan ...int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.how, b.plan, b.bodies = how, plan, nil
}

func (b *breaker) asked() []string { b.mu.Lock(); defer b.mu.Unlock(); return b.bodies }

func (b *breaker) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	left, how := -1, b.how
	b.bodies = append(b.bodies, string(body))
	if len(b.plan) > 0 {
		left, b.plan = b.plan[0], b.plan[1:]
	}
	b.mu.Unlock()
	q, _ := http.NewRequestWithContext(r.Context(), r.Method, "http://"+b.to+r.URL.Path, bytes.NewReader(body))
	q.Header = r.Header.Clone()
	reply, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer reply.Body.Close()
	all, _ := io.ReadAll(reply.Body)
	w.Header().Set("Content-Type", reply.Header.Get("Content-Type"))
	w.WriteHeader(reply.StatusCode)
	for _, event := range strings.SplitAfter(string(all), "\n\n") {
		if left == 0 {
			b.end(w, r, how)
			return
		}
		_, _ = io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
		if strings.Contains(event, `"content":"`) && !strings.Contains(event, `"content":""`) ||
			strings.Contains(event, `"text_delta"`) || strings.Contains(event, `"arguments":"`) || strings.Contains(event, "event: response.output_text.delta") {
			left--
		}
	}
}

// end breaks a stream off.
func (b *breaker) end(w http.ResponseWriter, r *http.Request, how string) {
	switch how {
	case "stall":
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case "error":
		_, _ = io.WriteString(w, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"server_error\",\"message\":\"it broke\"}}\n\n")
		return
	}
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if how == "reset" {
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	_ = c.Close()
}

// lastingFile is a configuration whose providers, of the types, go on with what broke off.
func lastingFile(types []string, addresses ...string) string {
	var b strings.Builder
	b.WriteString("version: 1\nserver: {listen: \"127.0.0.1:0\", admin_listen: \"127.0.0.1:0\", drain_timeout: 20s}\n" +
		"retries: {max: 3, budget: 100%, backoff: 1ms..2s, recover: continue}\nproviders:\n")
	for i, a := range addresses {
		base := "http://" + a + "/v1"
		if types[i] == "anthropic" {
			base = "http://" + a
		}
		fmt.Fprintf(&b, "  - {name: p%d, type: %s, base_url: \"%s\", keys: [{name: main, key: provider-secret}], timeouts: {idle: 1s}, health: {failure_rate: 0, consecutive: 0}}\n", i, types[i], base)
	}
	b.WriteString("models:\n  - name: \"sim-*\"\n    strategy: ordered\n    targets:\n")
	for i := range addresses {
		fmt.Fprintf(&b, "      - {provider: p%d}\n", i)
	}
	b.WriteString("catalog:\n")
	for i := range addresses {
		fmt.Fprintf(&b, "  - {provider: p%d, model: sim-chat, prices: [{input: 1, output: 2}]}\n", i)
	}
	return b.String()
}

// spoken is a stream as a client understands it.
type spoken struct {
	text   string
	finish chat.FinishReason
	usage  chat.Usage
	calls  int
	err    error // the stream's last word
	ended  bool
}

// hear reads a stream strictly.
func hear(t *testing.T, d *wire.Dialect, a answer) (s spoken) {
	t.Helper()
	if a.status != http.StatusOK { // after an error event the connection is cut
		t.Fatalf("%d %v %s", a.status, a.err, a.body[max(0, len(a.body)-300):])
	}
	decoder := d.NewDecoder()
	var said chat.Collector
	begins := map[string]int{}
	number := int64(0)
	for block := range strings.SplitSeq(a.body, "\n\n") {
		ev, ok := sse.Parse([]byte(block))
		if !ok {
			continue
		}
		_, at, _ := strings.Cut(string(ev.Data), `index":`)
		begins[ev.Name+at[:min(len(at), 1)]]++
		if d == wire.Responses && !bytes.Contains(ev.Data, fmt.Appendf(nil, `"sequence_number":%d`, number)) {
			t.Errorf("event %d is %s", number, ev.Data)
		}
		number++
		pieces, err := decoder.Decode(nil, ev.Name, ev.Data)
		for i := range pieces {
			said.Add(&pieces[i])
			s.ended = s.ended || pieces[i].Kind == chat.PieceEnd
		}
		if err != nil {
			s.err = err
		}
	}
	for _, once := range []string{"message_start", "content_block_start0", "response.created", "response.output_item.added0"} {
		if begins[once] > 1 {
			t.Errorf("%s came %d times", once, begins[once])
		}
	}
	r := said.Reply()
	s.usage = r.Usage
	for _, c := range r.Choices {
		s.text, s.finish = c.Message.Text(chat.PartText), c.Finish
		s.calls = len(slices.DeleteFunc(c.Message.Parts, func(p chat.Part) bool { return p.Kind != chat.PartCall }))
	}
	return s
}

// dialectOf is a path of the gateway's, and how it is asked there.
type dialectOf struct {
	d    *wire.Dialect
	path string
	body func(prompt, more string) string
}

func conversations() []dialectOf {
	return []dialectOf{
		{wire.OpenAI, "/v1/chat/completions", func(prompt, more string) string {
			return `{"model":"sim-chat","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"` + prompt + `"}]` + more + `}`
		}},
		{wire.Anthropic, "/v1/messages", func(prompt, more string) string {
			return `{"model":"sim-chat","stream":true,"max_tokens":500,"messages":[{"role":"user","content":"` + prompt + `"}]` + more + `}`
		}},
		{wire.Responses, "/v1/responses", func(prompt, more string) string {
			return `{"model":"sim-chat","stream":true,"input":"` + prompt + `"` + more + `}`
		}},
	}
}

func (s *site) hear(t *testing.T, c *http.Client, as dialectOf, prompt, more string) spoken {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Address().String()+as.path, strings.NewReader(as.body(prompt, more)))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+testKey)
	return hear(t, as.d, do(c, q))
}

const lock = "Explain how a lock works, please."

// A stream that breaks off is gone on with wherever that happens, and the caller gets the answer as if nothing had happened.
func TestRecover(t *testing.T) {
	_, up := simulate(t, sim.Options{Seed: 1})
	b := newBreaker(t, up)
	for _, kinds := range [][]string{{"ollama", "anthropic"}, {"anthropic", "vllm"}, {"vllm"}} {
		s := start(t, lastingFile(kinds, []string{b.address(), up}[:len(kinds)]...))
		for _, as := range conversations() {
			if as.d == wire.Responses && kinds[0] == "vllm" {
				continue // has them itself, and they cannot be begun
			}
			s.breaks(t, b, as, lock, false)
			s.breaks(t, b, as, `Repeat after me: \"caf\u00e9 \\\\n \ud83d\ude00\n\n\t\u201eja\u201c  na\u00efve \ud83d\ude80\ud83d\ude80 end\"`, true)
		}
		s.stop()
		s.costs(t)
	}
}

// costs makes sure that of each answer that was gone on with all attempts are in the log, each with what it cost, and what they
// cost together.
func (s *site) costs(t *testing.T) {
	t.Helper()
	type cost struct {
		USD     *float64 `json:"cost_usd"`
		Outcome string
	}
	several := 0
	for line := range strings.SplitSeq(s.logs.String(), "\n") {
		var all struct {
			cost
			Attempts int
			Tries    []cost
		}
		if !strings.Contains(line, `"attempts":`) {
			continue
		}
		if err := json.Unmarshal([]byte(line), &all); err != nil || all.USD == nil || len(all.Tries) > 0 && len(all.Tries) != all.Attempts {
			t.Fatalf("%v: %s", err, line)
		}
		sum := 0.0
		for _, try := range all.Tries {
			if try.USD == nil || *try.USD <= 0 && try.Outcome != "refused" { // which nobody was asked for
				t.Fatalf("an attempt costs nothing, or nobody knows what: %s", line)
			}
			sum += *try.USD
		}
		if len(all.Tries) > 1 {
			if several++; math.Abs(sum-*all.USD) > 1e-12 {
				t.Errorf("attempts for %v USD, together %v: %s", sum, *all.USD, line)
			}
		}
	}
	if several < 20 {
		t.Errorf("%d exchanges had several attempts", several)
	}
}

// breaks asks for an answer that breaks off in all ways, and at all places or at some.
func (s *site) breaks(t *testing.T, b *breaker, as dialectOf, prompt string, everywhere bool) {
	t.Helper()
	c := client(t)
	b.set("")
	want := s.hear(t, c, as, prompt, "")
	if want.err != nil || !want.ended || len(want.text) < 20 {
		t.Fatalf("%+v", want)
	}
	n := int(want.usage.Output)
	plans := [][]int{{1}, {n / 2}, {n - 1}, {2, 3}}
	for i := 2; everywhere && i < n; i++ {
		plans = append(plans, []int{i})
	}
	try := func(how string, plan ...int) {
		b.set(how, plan...)
		got := s.hear(t, c, as, prompt, "")
		if got.text != want.text || got.finish != want.finish || !got.ended || got.err != nil {
			t.Errorf("%s, %s after %v of %d:\n%+v\nwant\n%+v\nasked %q", as.d.Name, how, plan, n, got, want, b.asked())
		}
		// The caller's prompt once, and what was delivered; what broke off is an estimate.
		said, most := got.usage.Completion(), want.usage.Completion()
		if said < most || said > most+int64(2*len(plan)) || got.usage.Prompt() <= 0 || 2*got.usage.Prompt() > 3*want.usage.Prompt() {
			t.Errorf("%s, %s after %v: usage %+v, of one attempt %+v", as.d.Name, how, plan, got.usage, want.usage)
		}
	}
	for _, plan := range plans {
		try("cut", plan...)
		try("reset", plan...)
		try("error", plan...)
	}
	if !everywhere {
		try("stall", n/2)
	}
}

// Where nobody can go on, the stream ends with an error, as it does without the setting.
func TestUnrecoverable(t *testing.T) {
	_, up := simulate(t, sim.Options{Seed: 1})
	b := newBreaker(t, up)
	f := func(name, file, more, prompt string, as dialectOf, asked int) {
		t.Helper()
		s := start(t, file)
		defer s.stop()
		b.set("cut", 2, 2, 2, 2, 2, 2)
		got := s.hear(t, client(t), as, prompt, more)
		if got.err == nil || got.ended || errors.Is(got.err, io.EOF) {
			t.Errorf("%s: %+v", name, got)
		}
		if n := len(b.asked()); n != asked {
			t.Errorf("%s: asked %d times, want %d", name, n, asked)
		}
	}
	both := func(kind string) string { return lastingFile([]string{kind, kind}, b.address(), b.address()) }
	off := strings.Replace(both("vllm"), "recover: continue", "recover: none", 1)
	for _, as := range conversations() {
		f("no prefill", both("openai-compatible"), "", lock, as, 1)
		f("off", off, "", lock, as, 1)
	}
	openai, anthropic := conversations()[0], conversations()[1]
	f("every time", both("vllm"), "", lock, openai, 4)
	f("a model that thinks", both("anthropic"), `,"thinking":{"type":"enabled","budget_tokens":1024}`, lock, anthropic, 1)
	f("JSON", both("vllm"), `,"response_format":{"type":"json_object"}`, lock, openai, 1)
}

// Limits and stop sequences are those of the whole answer.
func TestRecoverLimits(t *testing.T) {
	_, up := simulate(t, sim.Options{Seed: 1})
	b := newBreaker(t, up)
	s := start(t, lastingFile([]string{"vllm"}, b.address()))
	defer s.stop()
	c := client(t)
	as := conversations()[0]
	for _, more := range []string{`,"max_tokens":12`, `,"max_completion_tokens":12`, `,"stop":["the "]`} {
		b.set("")
		want := s.hear(t, c, as, lock, more)
		b.set("cut", 4)
		if got := s.hear(t, c, as, lock, more); got.text != want.text || got.finish != want.finish {
			t.Errorf("%s: %+v, want %+v", more, got, want)
		}
		if asked := b.asked(); len(asked) != 2 || !strings.Contains(asked[1], `"continue_final_message":true`) {
			t.Errorf("%s: asked %q", more, asked)
		}
	}
}

// Of a call nobody can be told to go on, but what was not begun can be asked for again.
func TestRecoverCall(t *testing.T) {
	_, up := simulate(t, sim.Options{Seed: 1})
	b := newBreaker(t, up)
	s := start(t, lastingFile([]string{"vllm"}, b.address()))
	defer s.stop()
	as := conversations()[0]
	more := `,"tool_choice":"required","tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"place":{"type":"string"}}}}}]`
	b.set("cut", 0)
	if got := s.hear(t, client(t), as, "What is the weather in Paris?", more); got.calls != 1 || !got.ended {
		t.Errorf("broken off before it began: %+v", got)
	}
	b.set("cut", 1)
	if got := s.hear(t, client(t), as, "What is the weather in Paris?", more); got.err == nil || got.ended || len(b.asked()) != 1 {
		t.Errorf("broken off in a call: %+v, asked %q", got, b.asked())
	}
}

// What is kept of an answer that was gone on with is all of it.
func TestRecoverStored(t *testing.T) {
	_, up := simulate(t, sim.Options{Seed: 1})
	b := newBreaker(t, up)
	s := start(t, lastingFile([]string{"ollama"}, b.address()))
	defer s.stop()
	c := client(t)
	as := conversations()[2]
	b.set("cut", 5, 7)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Address().String()+as.path, strings.NewReader(as.body(lock, "")))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+testKey)
	a := do(c, q)
	got := hear(t, as.d, a)
	_, id, _ := strings.Cut(a.body, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	kept := get(t, c, "http://"+s.Address().String()+as.path+"/"+id, testKey)
	reply, err := wire.Responses.DecodeReply([]byte(kept.body))
	if err != nil || len(reply.Choices) != 1 || reply.Choices[0].Message.Text(chat.PartText) != got.text || len(b.asked()) != 3 {
		t.Errorf("%v\n%s\nwant %q", err, kept.body, got.text)
	}
	if items := get(t, c, "http://"+s.Address().String()+as.path+"/"+id+"/input_items", testKey); !strings.Contains(items.body, lock) || strings.Contains(items.body, "assistant") {
		t.Errorf("input items %s", items.body)
	}
}
