package quota_test

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model is a provider that says as much as it may, up to so many tokens, and reports it.
type model struct {
	says   int64
	prompt int64 // that it counts; 0: the estimate
	hold   chan struct{}
	broken bool // it fails

	asked  atomic.Int64
	mostAt atomic.Int64 // the largest answer that was allowed; -1 for none
}

func (m *model) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	m.asked.Add(1)
	if m.broken {
		return nil, &gateway.Error{Status: 502, Code: gateway.CodeUnreachable, Origin: gateway.OriginUpstream, Message: "broken"}
	}
	if m.hold != nil {
		<-m.hold
	}
	n := m.says
	if asked := x.Request.AnswerTokens(); asked > 0 {
		n = min(n, asked)
	}
	if m.mostAt.Store(a.MaxTokens); a.MaxTokens > 0 {
		n = min(n, a.MaxTokens)
	}
	a.Status, a.First = 200, 1
	prompt := m.prompt
	if prompt == 0 {
		prompt = a.Prompt
	}
	r := &gateway.Reply{Status: 200, ContentType: "application/json", Stream: &said{a: a, left: n, prompt: prompt, step: n}}
	if x.Request.Stream() {
		r.Kind = gateway.Events
		r.Stream = &said{a: a, left: n, prompt: prompt, step: 8}
	} else {
		a.Usage = chat.Usage{Input: prompt, Output: n, Provenance: chat.Reported}
	}
	return r, nil
}

// said is an answer, some tokens in each event.
type said struct {
	a                  *gateway.Attempt
	prompt, left, step int64
	told               int64
}

func (s *said) Next() (gateway.Event, error) {
	if s.left == 0 {
		s.a.Usage = chat.Usage{Input: s.prompt, Output: s.told, Provenance: chat.Reported}
		return gateway.Event{}, io.EOF
	}
	n := min(s.step, s.left)
	s.left, s.told, s.a.Said = s.left-n, s.told+n, s.a.Said+n
	return gateway.Event{Data: []byte(`{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}`)}, nil
}

func (s *said) Ready() bool { return false }

func (s *said) Close() error {
	if s.left > 0 {
		s.a.Usage = chat.Usage{Input: s.prompt, Output: s.told, Provenance: chat.Aborted}
	}
	return nil
}

// site is a gateway with the plugin, in front of models that cost 10 dollars for a million tokens of a prompt, and 20 of an answer.
type site struct {
	t       *testing.T
	meters  *meter.Meters
	handler gateway.Handler
	dir     *gateway.Directory
	tenant  *gateway.Tenant
}

// price is that of so many tokens, in picodollars.
func price(prompt, answer int64) int64 { return prompt*10e6 + answer*20e6 }

func newSite(t *testing.T, who *gateway.Tenant, c *quota.Config, models map[string]gateway.Sender) *site {
	t.Helper()
	meters := meter.New(meter.Options{Pool: meter.NewLocal(), Node: "n", Wait: 5 * time.Second})
	t.Cleanup(func() { meters.Close(t.Context()) })
	var settings any
	if c != nil {
		settings = c
	}
	p, _ := gatewaytest.Build(t, quota.Spec(meters), settings)
	known, err := catalog.New([]catalog.Entry{
		{Provider: "p", Name: "*", Context: 100_000, Output: 50_000, Prices: []catalog.Price{{Input: "10", Output: "20"}}},
		{Provider: "p", Name: "painter", Prices: []catalog.Price{{Image: "0.04"}}},
		{Provider: "p", Name: "drawer", Prices: []catalog.Price{{Input: "5", InputImage: "8", Output: "10", OutputImage: "32"}}},
		{Provider: "p", Name: "reader", Prices: []catalog.Price{{Characters: "15"}}},
		{Provider: "p", Name: "voice", Prices: []catalog.Price{{Input: "0.6", Output: "12"}}},
		{Provider: "p", Name: "ear", Prices: []catalog.Price{{Hour: "0.36"}}},
		{Provider: "p", Name: "ears", Context: 16_000, Prices: []catalog.Price{{Input: "1.25", InputAudio: "3", Output: "5"}}},
		{Provider: "p", Name: "listed", Context: 100_000, Output: 50_000, Prices: []catalog.Price{{Input: "10", Output: "20"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	who.ID = "acme"
	e := gateway.Entries{Tenants: []*gateway.Tenant{who}, Known: func(provider, name string) *catalog.Model {
		if name == "unpriced" {
			return nil
		}
		return known.Lookup(provider, name)
	}}
	for name, via := range models {
		target := &gateway.Target{Provider: "p", Model: name, Via: via}
		if target.Known = e.Known("p", name); name == "p/*" {
			target.Model, target.Known = "*", nil
		}
		e.Models = append(e.Models, &gateway.Model{Name: gateway.Pattern(name), Steps: [][]*gateway.Target{{target}}})
	}
	s := &site{t: t, meters: meters, dir: gateway.NewDirectory(e), tenant: who}
	route := gateway.HandlerFunc(func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		m, canonical, matched := x.Directory.Model(x.Asked())
		x.Plan.Model, x.Plan.Matched = canonical, matched
		target := m.Fixed()[0]
		a := x.Attempting(target)
		a.Prompt = x.Request.PromptTokens()
		if err := x.Begin(a); err != nil {
			return err
		}
		reply, err := target.Via.Send(x, target, a)
		if err != nil {
			a.Err = err
			return err
		}
		a.Delivered, x.Reply = true, reply
		x.Commit()
		return nil
	})
	s.handler = p.Wrap(route)
	return s
}

// ask makes an exchange.
func (s *site) ask(body, key, user string) *gateway.Exchange {
	e := gatewaytest.Chat()
	e.Decode = wire.OpenAI.DecodeRequest
	return gatewaytest.New(s.t, gatewaytest.Request{
		Endpoint: e, Body: body, Directory: s.dir, Caller: gateway.Caller{Tenant: s.tenant, Key: key, User: user},
	})
}

// outcome serves an exchange, and is the code of its error, or "ok".
func (s *site) outcome(x *gateway.Exchange) string {
	a := gatewaytest.Serve(x, s.handler)
	if a.Panic != nil {
		s.t.Fatal(a.Panic)
	}
	if e := a.Error(); e != nil {
		return e.Code
	}
	return "ok"
}

const (
	whole  = `{"model":"m","messages":[{"role":"user","content":"hello there"}],"max_tokens":100}`
	stream = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hello there"}]}`
)

// What the tightest scope refuses is taken from no other.
func TestScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, &gateway.Tenant{
			Limits: tenant.Limits{Requests: 4}, EachKey: tenant.Limits{Requests: 3}, EachUser: tenant.Limits{Requests: 2},
			EachModel: []gateway.ModelLimits{{Models: "m", Limits: tenant.Limits{Requests: 1}}},
		}, nil, map[string]gateway.Sender{"m": &model{says: 5}, "n": &model{says: 5}})
		other := strings.Replace(whole, `"m"`, `"n"`, 1)
		f := func(body, key, user, want, message string) {
			t.Helper()
			x := s.ask(body, key, user)
			a := gatewaytest.Serve(x, s.handler)
			got := "ok"
			if e := a.Error(); e != nil {
				got = e.Code
				if !strings.Contains(e.Message, message) || e.Status != 429 || e.RetryAfter <= 0 || x.Rates.Requests.Remaining != 0 || x.Rates.Requests.Limit == 0 {
					t.Errorf("%+v, %+v", e, x.Rates)
				}
			}
			if got != want {
				t.Errorf("%s %s: %s, want %s", key, user, got, want)
			}
		}
		f(whole, "a", "ann", "ok", "")
		for range 5 {
			f(whole, "a", "ann", "rate_limit_exceeded", `the model "m"`)
		}
		f(other, "a", "ann", "ok", "")
		f(other, "a", "ann", "rate_limit_exceeded", `the user "ann"`)
		f(other, "a", "bob", "ok", "")
		f(other, "a", "bob", "rate_limit_exceeded", `the key "a"`)
		f(other, "a~20261123T160000.000", "", "rate_limit_exceeded", `the key "a"`) // which "a" has replaced
		f(other, "b", "", "ok", "")
		f(other, "b", "", "rate_limit_exceeded", "your organization")
		<-time.After(time.Minute)
		f(whole, "a", "ann", "ok", "")
	})
}

// Tokens are counted by an estimate before, and as they were afterwards.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{says: 100, prompt: 900}
		s := newSite(t, &gateway.Tenant{Limits: tenant.Limits{Tokens: 1500}}, nil, map[string]gateway.Sender{"m": m})
		x := s.ask(whole, "a", "")
		if got := s.outcome(x); got != "ok" || x.Rates.Tokens.Limit != 1500 {
			t.Errorf("%s, %+v", got, x.Rates)
		}
		x = s.ask(whole, "a", "") // 500 are left, and less than 200 expected
		if got := s.outcome(x); got != "ok" {
			t.Error(got)
		}
		if got := s.outcome(s.ask(whole, "a", "")); got != "rate_limit_exceeded" { // 500 too many were used
			t.Error(got)
		}
		<-time.After(40 * time.Second)
		if got := s.outcome(s.ask(whole, "a", "")); got != "ok" {
			t.Error(got)
		}
		if got := s.outcome(s.ask(strings.Replace(whole, "100", "2000", 1), "a", "")); got != "request_too_large_for_limit" {
			t.Error(got)
		}
	})
}

// A place is taken until the reply has ended.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{says: 5, hold: make(chan struct{})}
		s := newSite(t, &gateway.Tenant{Limits: tenant.Limits{Concurrent: 2}}, nil, map[string]gateway.Sender{"m": m})
		var work sync.WaitGroup
		for range 2 {
			work.Go(func() {
				if got := s.outcome(s.ask(whole, "a", "")); got != "ok" {
					t.Error(got)
				}
			})
		}
		synctest.Wait()
		if got := s.outcome(s.ask(whole, "a", "")); got != "concurrency_limit_exceeded" {
			t.Error(got)
		}
		close(m.hold)
		work.Wait()
		if got := s.outcome(s.ask(whole, "a", "")); got != "ok" {
			t.Error(got)
		}
	})
}

// A strict budget is never exceeded, by any number of callers at once, and all but a rest of it can be used.
func TestStrict(t *testing.T) {
	const budget = 2 * tenant.Dollar
	m := &model{says: 1000, prompt: 5}
	s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Total, Mode: tenant.Strict, Amount: budget}}}, nil, map[string]gateway.Sender{"m": m})
	var charged, refused atomic.Int64
	var work sync.WaitGroup
	for range 200 {
		work.Go(func() {
			for range 10 {
				x := s.ask(stream, "a", "")
				switch got := s.outcome(x); got {
				case "ok":
				case "insufficient_quota":
					refused.Add(1)
				default:
					t.Error(got)
				}
				for _, a := range x.Attempts() {
					charged.Add(a.Charge)
				}
			}
		})
	}
	work.Wait()
	if got := charged.Load(); got > int64(budget) || got < int64(budget)*99/100 {
		t.Errorf("%s USD are charged of %s", tenant.USD(got), budget)
	}
	if refused.Load() == 0 {
		t.Error("nobody was refused")
	}
}

// The answer is limited to what is left.
func TestClamp(t *testing.T) {
	m := &model{says: 1000, prompt: 5}
	s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Day, Mode: tenant.Strict, Amount: tenant.USD(price(100, 200))}}}, nil, map[string]gateway.Sender{"m": m})
	x := s.ask(stream, "a", "")
	if got := s.outcome(x); got != "ok" {
		t.Fatal(got)
	}
	a := x.Attempts()[0]
	if n := m.mostAt.Load(); n < 150 || n > 220 || a.Reserved > price(100, 200) || a.Charge != price(5, n) {
		t.Errorf("%d tokens are allowed, %d reserved, %d charged", n, a.Reserved, a.Charge)
	}
	if got := s.outcome(s.ask(strings.Replace(stream, "hello there", strings.Repeat("hello ", 50), 1), "a", "")); got != "insufficient_quota" {
		t.Error(got) // its prompt alone may cost more than is left
	}
}

// Under a metered budget a stream is cut when nothing is left, a piece too late at most.
func TestMetered(t *testing.T) {
	const budget = tenant.Dollar / 20 // 2,500 tokens of answers
	m := &model{says: 1000, prompt: 5}
	s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Month, Mode: tenant.Metered, Amount: budget}}}, nil, map[string]gateway.Sender{"m": m})
	var total int64
	outcomes := map[string]int{}
	for range 5 {
		x := s.ask(stream, "a", "")
		outcomes[s.outcome(x)]++
		for _, a := range x.Attempts() {
			total += a.Charge
		}
	}
	if outcomes["ok"] < 3 || outcomes["insufficient_quota"] > 2 { // the third is cut, and ends like one that has reached its limit
		t.Error(outcomes)
	}
	if lease := price(0, 256); total < int64(budget)-2*lease || total > int64(budget)+lease {
		t.Errorf("%s USD are charged of %s", tenant.USD(total), budget)
	}
}

// What fails costs nothing, whatever was reserved for it.
// A stream that is cut is a complete answer for its caller.
func TestCut(t *testing.T) {
	m := &model{says: 100_000, prompt: 5}
	s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Month, Mode: tenant.Metered, Amount: tenant.USD(price(0, 1000))}}}, nil, map[string]gateway.Sender{"m": m})
	x := s.ask(strings.Replace(stream, `"messages"`, `"stream_options":{"include_usage":true},"messages"`, 1), "a", "")
	a := gatewaytest.Serve(x, s.handler)
	if a.Err != nil {
		t.Fatal(a.Err)
	}
	n := len(a.Events)
	last := string(a.Events[n-1].Data)
	if last != "[DONE]" || !strings.Contains(string(a.Events[n-3].Data), `"finish_reason":"length"`) || !strings.Contains(string(a.Events[n-2].Data), `"usage":{`) {
		t.Errorf("the stream ends with %s %s %s", a.Events[n-3].Data, a.Events[n-2].Data, last)
	}
	if c := x.Attempts()[0].Charge; c < price(0, 900) || c > price(0, 1000)+price(0, 256) {
		t.Errorf("%s USD are charged", tenant.USD(c))
	}
}

func TestFailures(t *testing.T) {
	m := &model{broken: true}
	s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Day, Mode: tenant.Strict, Amount: tenant.USD(price(100, 200))}}}, nil,
		map[string]gateway.Sender{"m": m, "n": &model{says: 10, prompt: 5}})
	for range 20 {
		if got := s.outcome(s.ask(whole, "a", "")); got != gateway.CodeUnreachable {
			t.Fatal(got)
		}
	}
	if got := s.outcome(s.ask(strings.Replace(whole, `"m"`, `"n"`, 1), "a", "")); got != "ok" {
		t.Error(got)
	}
}

func TestUnboundedAndUnpriced(t *testing.T) {
	strict := []tenant.Budget{{Per: tenant.Day, Mode: tenant.Strict, Amount: tenant.Dollar}}
	metered := []tenant.Budget{{Per: tenant.Day, Mode: tenant.Metered, Amount: tenant.Dollar}}
	f := func(budgets []tenant.Budget, c *quota.Config, body, want string) {
		t.Helper()
		s := newSite(t, &gateway.Tenant{Budgets: budgets}, c, map[string]gateway.Sender{"m": &model{says: 5}, "unpriced": &model{says: 5}})
		if got := s.outcome(s.ask(body, "a", "")); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	unpriced := strings.Replace(whole, `"m"`, `"unpriced"`, 1)
	picture := `{"model":"unpriced","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}`
	denies := quota.Defaults()
	denies.Unpriced = "deny"
	f(strict, nil, unpriced, "model_has_no_price")
	f(strict, nil, picture, "not_in_strict_budgets")
	f(strict, nil, strings.Replace(picture, "unpriced", "m", 1), "insufficient_quota") // a window of 100,000 tokens is a dollar, and the answer comes on top
	f(metered, nil, unpriced, "ok")
	f(metered, nil, picture, "ok")
	f(metered, &denies, unpriced, "model_has_no_price")
}

// Past the last mark of its budget a cheaper model is asked, if the caller may use it.
func TestDowngrade(t *testing.T) {
	big, small := &model{says: 100, prompt: 5}, &model{says: 100, prompt: 5}
	s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{
		Per: tenant.Day, Mode: tenant.Metered, Amount: tenant.USD(price(0, 1000)), WarnAt: []int{2000, 4000}, Downgrade: "small",
	}}}, nil, map[string]gateway.Sender{"m": big, "small": small})
	for range 8 {
		if got := s.outcome(s.ask(whole, "a", "")); got != "ok" {
			t.Error(got)
		}
	}
	if b, n := big.asked.Load(), small.asked.Load(); b != 4 || n != 4 {
		t.Errorf("the big one is asked %d times, the small one %d", b, n)
	}
}

func TestConformance(t *testing.T) {
	meters := meter.New(meter.Options{Pool: meter.NewLocal(), Node: "n", Wait: 5 * time.Second})
	t.Cleanup(func() { meters.Close(t.Context()) })
	gatewaytest.Conformance(t, gatewaytest.Subject{
		Spec: quota.Spec(meters),
		Request: gatewaytest.Request{Caller: gateway.Caller{Key: "a", Tenant: &gateway.Tenant{
			ID: "acme", Limits: tenant.Limits{Requests: 1e6, Tokens: 1e9, Concurrent: 1e6}, Budgets: []tenant.Budget{{Per: tenant.Day, Mode: tenant.Metered, Amount: tenant.Dollar}},
		}}},
	})
}

// What a strict budget cannot bound hides behind no spelling.
func TestOpaque(t *testing.T) {
	strict := []tenant.Budget{{Per: tenant.Day, Mode: tenant.Strict, Amount: tenant.Dollar / 2}} // less than a whole window costs
	f := func(messages, want string) {
		t.Helper()
		s := newSite(t, &gateway.Tenant{Budgets: strict}, nil, map[string]gateway.Sender{"m": &model{says: 5, prompt: 5}})
		if got := s.outcome(s.ask(`{"model":"m","max_tokens":20,"messages":`+messages+`}`, "a", "")); got != want {
			t.Errorf("%s: %s, want %s", messages, got, want)
		}
	}
	f(`[{"role":"user","content":"draw an image of \"image_url\" at https://example.com/a.png"}]`, "ok")
	f(`[{"role":"user","content":[{"type":"text","text":"hi"}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}]`, "ok")
	f(`[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]`, "insufficient_quota")
	f(`[{"role":"user","content":[{"type":"im\u0061ge_url","im\u0061ge_url":{"ur\u006c":"https://example.com/a.png"}}]}]`, "insufficient_quota")
	f(`[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]`, "insufficient_quota")
	f(`[{"role":"user","content":"hi"}],"web_search_options":{}`, "insufficient_quota")
	f(`[{"role":"user","content":"hi"}],"documents":[{"text":"x"}]`, "insufficient_quota")
}

// askAt makes an exchange of another endpoint.
func (s *site) askAt(e *gateway.Endpoint, body string) *gateway.Exchange {
	return gatewaytest.New(s.t, gatewaytest.Request{Endpoint: e, Body: body, Directory: s.dir, Caller: gateway.Caller{Tenant: s.tenant, Key: "a"}})
}

// What generates nothing is bounded by its prompts, and refused like everything else when nothing is left.
func TestEmbeddings(t *testing.T) {
	for _, mode := range []tenant.Mode{tenant.Strict, tenant.Metered} {
		m := &model{prompt: 100}
		s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Day, Mode: mode, Amount: tenant.USD(price(250, 0))}}}, nil, map[string]gateway.Sender{"m": m})
		e := gatewaytest.Endpoint("embeddings", "openai")
		e.Policy = gateway.Callers
		body := `{"model":"m","input":["` + strings.Repeat("x", 110) + `"]}`
		got := ""
		for range 4 {
			got += s.outcome(s.askAt(e, body)) + " "
		}
		if !strings.HasPrefix(got, "ok ") || !strings.HasSuffix(got, "insufficient_quota ") {
			t.Errorf("%s: %s", mode, got)
		}
	}
}

// A limit that the provider may not read is sent as one that it does; answers are counted as often as they are made.
func TestLimitsOfAnswers(t *testing.T) {
	f := func(name, body string, reserved int64) {
		t.Helper()
		m := &model{says: 50_000, prompt: 5}
		s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Day, Mode: tenant.Strict, Amount: 1000 * tenant.Dollar}}}, nil, map[string]gateway.Sender{"m": m})
		e := gatewaytest.Endpoint(name, "openai")
		e.Policy = gateway.Callers
		x := s.askAt(e, body)
		if got := s.outcome(x); got != "ok" {
			t.Fatalf("%s: %s", body, got)
		}
		if a := x.Attempts()[0]; a.Reserved != price(int64(len(body)), reserved) || a.MaxTokens == 0 || a.Charge > a.Reserved {
			t.Errorf("%s: %d are reserved, limited to %d", body, a.Reserved, a.MaxTokens)
		}
	}
	f("completions", `{"model":"m","prompt":"hi","max_completion_tokens":1}`, 1)
	f("completions", `{"model":"m","prompt":"hi","max_tokens":100,"best_of":20}`, 2000)
	f("completions", `{"model":"m","prompt":["hi","ho","ha"],"max_tokens":100,"n":2}`, 600)
	f("completions", `{"model":"m","prompt":[1,2,3],"max_tokens":100}`, 100)
	f("completions", `{"model":"m","prompt":"hi","max_tokens":4611686018427387904,"n":4}`, 4*50_000)
}

// A refusal is about a target: another of the plan may be cheaper. What is not, is about the request.
func TestElsewhere(t *testing.T) {
	f := func(e *gateway.Endpoint, body string, want bool) {
		t.Helper()
		s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Day, Mode: tenant.Strict, Amount: tenant.USD(price(1, 0))}}}, nil,
			map[string]gateway.Sender{"m": &model{says: 5}, "unpriced": &model{says: 5}})
		a := gatewaytest.Serve(s.askAt(e, body), s.handler)
		if err := a.Error(); err == nil || err.Elsewhere != want {
			t.Errorf("%s: %+v", body, err)
		}
	}
	f(gatewaytest.Chat(), whole, true)
	f(gatewaytest.Chat(), named("unpriced"), true)
	background := gatewaytest.Endpoint("responses.create", "responses")
	background.Policy, background.Decode = gateway.Callers, wire.Responses.DecodeRequest
	f(background, `{"model":"m","input":"hi","background":true}`, false)
}

// What is answered in the background is charged nowhere later, so no budget that refuses covers it.
func TestBackground(t *testing.T) {
	s := newSite(t, &gateway.Tenant{Budgets: []tenant.Budget{{Per: tenant.Day, Mode: tenant.Metered, Amount: tenant.Dollar}}}, nil, map[string]gateway.Sender{"m": &model{says: 5}})
	e := gatewaytest.Endpoint("responses.create", "responses")
	e.Policy, e.Decode = gateway.Callers, wire.Responses.DecodeRequest
	if got := s.outcome(s.askAt(e, `{"model":"m","input":"hi","background":true}`)); got != "not_in_strict_budgets" {
		t.Error(got)
	}
	if got := s.outcome(s.askAt(e, `{"model":"m","input":"hi","background":false}`)); got != "ok" {
		t.Error(got)
	}
}

// Limits of a credential hold for all who come with it, whomever they name.
func TestCredential(t *testing.T) {
	s := newSite(t, &gateway.Tenant{}, nil, map[string]gateway.Sender{"m": &model{says: 5}})
	f := func(key, user, want string) {
		t.Helper()
		x := s.ask(whole, key, user)
		x.Caller.Limits = tenant.Limits{Requests: 2}
		if got := s.outcome(x); got != want {
			t.Errorf("%q %q: %s, want %s", key, user, got, want)
		}
	}
	f("a", "ann", "ok")
	f("a", "bob", "ok")
	f("a", "cyd", "rate_limit_exceeded")
	f(tenant.Token, "ann", "ok")
	f(tenant.Token, "ann", "ok")
	f(tenant.Token, "ann", "rate_limit_exceeded")
	f(tenant.Token, "bob", "ok")
	f(tenant.Token, "", "ok")
	f(tenant.Token, "", "ok")
	f(tenant.Token, "", "rate_limit_exceeded")
}
