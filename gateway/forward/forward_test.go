package forward_test

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/forward"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is what a scripted target does at one attempt.
type answer struct {
	status int
	body   string
	header []gateway.Field
	err    error
	after  time.Duration // before it says anything
	events int           // of a stream; 0: a whole reply
	cut    error         // behind the events; nil: io.EOF
	thrown any
}

func ok(body string) answer     { return answer{status: 200, body: body} }
func status(code int) answer    { return answer{status: code, body: openaiError("from the provider")} }
func failed(code string) answer { return answer{err: upstreamError(502, code)} }

func openaiError(message string) string {
	return `{"error":{"message":"` + message + `","type":"t","param":null,"code":"c"}}`
}

func upstreamError(status int, code string) error {
	return &gateway.Error{Status: status, Type: gateway.TypeServer, Code: code, Message: "scripted", Origin: gateway.OriginUpstream, Sent: true}
}

// script answers attempt after attempt; the last answer is repeated.
type script struct {
	t       *testing.T
	answers []answer
	random  func() answer // instead of answers
	start   time.Time

	mu   sync.Mutex
	at   []time.Duration // when attempts came, since the first
	open int             // replies not closed yet
	busy int             // attempts that wait for their answer
}

func (s *script) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	n := s.next()
	a.Sent = true
	defer s.count(&s.busy, -1)
	if n.after > 0 {
		timer := time.NewTimer(n.after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-x.Context().Done():
			return nil, x.Cause()
		}
	}
	switch {
	case n.thrown != nil:
		panic(n.thrown)
	case n.err != nil:
		return nil, n.err
	}
	a.Status, a.First = n.status, max(gateway.Since(a.Start), 1)
	s.count(&s.open, 1)
	r := &gateway.Reply{
		Status: n.status, ContentType: "application/json", Header: n.header,
		Stream: &counted{Stream: gateway.Once([]byte(n.body)), s: s, a: a},
	}
	if n.events > 0 {
		r.Kind = gateway.Events
		r.Stream = &counted{Stream: &streamed{left: n.events, end: n.cut, x: x, a: a}, s: s, a: a}
	} else if a.Status < 300 {
		a.Usage = chat.Usage{Input: 10, Output: 5, Provenance: chat.Reported}
	}
	return r, nil
}

func (s *script) next() answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start.IsZero() {
		s.start = time.Now()
	}
	s.at = append(s.at, time.Since(s.start))
	s.busy++
	if s.random != nil {
		return s.random()
	}
	return s.answers[min(len(s.at), len(s.answers))-1]
}

func (s *script) count(n *int, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n += by
}

// asked is how often it was asked.
func (s *script) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// counted notices that a reply is closed.
type counted struct {
	gateway.Stream
	s *script
	a *gateway.Attempt
}

func (c *counted) Close() error {
	c.s.count(&c.s.open, -1)
	c.a.Total = gateway.Since(c.a.Start)
	return c.Stream.Close()
}

// streamed is a stream of events, and of idle time between them.
type streamed struct {
	left int
	end  error
	x    *gateway.Exchange
	a    *gateway.Attempt
}

func (s *streamed) Next() (gateway.Event, error) {
	if err := s.x.Cause(); err != nil {
		s.a.Err = err
		return gateway.Event{}, err
	}
	if s.left == 0 {
		if s.end == nil {
			return gateway.Event{}, io.EOF
		}
		s.a.Err = s.end
		return gateway.Event{}, s.end
	}
	if s.x.Idle != nil {
		if err := s.x.Idle(); err != nil {
			return gateway.Event{}, err
		}
	}
	s.left--
	return gateway.Event{Data: []byte("{}")}, nil
}

func (s *streamed) Ready() bool { return true }

func (s *streamed) Close() error {
	s.x.Usage = chat.Usage{Input: 10, Output: 7, Provenance: chat.Reported}
	s.a.Usage = s.x.Usage
	return nil
}

type header struct{}

func (header) Get(string) []byte { return nil }

type result struct {
	x       *gateway.Exchange
	err     error
	scripts []*script
}

func options() forward.Options {
	return forward.Options{
		Max: 2, BackoffMin: 100 * time.Millisecond, BackoffMax: 2 * time.Second, Budget: 0.2,
		On: forward.OnConnect | forward.OnTimeout | forward.OnCut | forward.OnRateLimit | forward.On5xx,
	}
}

func exchange(targets ...gateway.Sender) *gateway.Exchange {
	f := newFleet(targets...)
	return f.exchange()
}

// fleet is a plan whose targets p0, p1, … are known to health.
type fleet struct {
	known   *health.Registry
	targets []*gateway.Target
	tenant  *gateway.Tenant
}

func newFleet(via ...gateway.Sender) *fleet {
	f := &fleet{known: health.New(health.Options{}), tenant: &gateway.Tenant{ID: "acme"}}
	for i, via := range via {
		name := "p" + strconv.Itoa(i)
		f.targets = append(f.targets, &gateway.Target{
			Provider: name, Model: "m", Via: via, Health: f.known.Target(health.ID{Provider: name, Model: "m"}, health.Settings{}),
		})
	}
	return f
}

var chatEndpoint = &gateway.Endpoint{Name: "chat.completions", Method: "POST", Dialect: "openai", Decode: openai.DecodeRequest}

func (f *fleet) exchange() *gateway.Exchange {
	return f.ask(`{"model":"m","messages":[]}`)
}

// ask is an exchange with that body.
func (f *fleet) ask(text string) *gateway.Exchange { return f.askAt(chatEndpoint, text) }

func (f *fleet) askAt(e *gateway.Endpoint, text string) *gateway.Exchange {
	x := &gateway.Exchange{}
	x.Init("req_test", e, header{}, &body{data: []byte(text)})
	x.Caller.Tenant = f.tenant
	x.Plan.Targets = slices.Clone(f.targets)
	if err := x.Request.Open(); err != nil {
		panic(err)
	}
	watch(x)
	return x
}

const asksStream = `{"model":"m","stream":true,"messages":[]}`

// body spoils its bytes once they are given back.
type body struct{ data []byte }

func (b *body) Load() ([]byte, error) { return b.data, nil }
func (b *body) Free()                 { clear(b.data) }

func run(t *testing.T, o forward.Options, answers ...[]answer) result {
	t.Helper()
	r := result{}
	var senders []gateway.Sender
	for _, a := range answers {
		s := &script{t: t, answers: a}
		r.scripts = append(r.scripts, s)
		senders = append(senders, s)
	}
	r.x = exchange(senders...)
	r.err = forward.New(o).Serve(r.x)
	return r
}

// trail is which targets were tried, in order.
func (r result) trail() string {
	var b strings.Builder
	for _, a := range r.x.Attempts() {
		b.WriteString(a.Provider[1:])
	}
	return b.String()
}

func (r result) body(t *testing.T) string {
	t.Helper()
	if r.err != nil {
		t.Fatalf("error: %v", r.err)
	}
	ev, err := r.x.Reply.Stream.Next()
	if err != nil {
		t.Fatal(err)
	}
	return string(ev.Data)
}

func TestFailover(t *testing.T) {
	check := func(name, trail, outcome string, answers ...[]answer) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, options(), answers...)
				got := ""
				if r.err != nil {
					e := gateway.AsError(r.err)
					got = strconv.Itoa(e.Status) + " " + e.Code
				} else {
					got = strconv.Itoa(r.x.Reply.Status) + " " + r.body(t)
					_ = r.x.Reply.Stream.Close()
				}
				if got != outcome || r.trail() != trail {
					t.Errorf("targets %s, outcome %q; want %s, %q", r.trail(), got, trail, outcome)
				}
				for i, s := range r.scripts {
					if s.open != 0 {
						t.Errorf("target %d: %d replies left open", i, s.open)
					}
				}
			})
		})
	}
	one := func(a ...answer) []answer { return a }

	check("the first answers", "0", "200 a", one(ok("a")), one(ok("b")))
	check("refused connection", "01", "200 b", one(failed(gateway.CodeUnreachable)), one(ok("b")))
	check("timeout", "01", "200 b", one(failed(gateway.CodeTimeout)), one(ok("b")))
	check("cut before the first event", "01", "200 b", one(failed(gateway.CodeCut)), one(ok("b")))
	check("malformed", "01", "200 b", one(failed(gateway.CodeBadResponse)), one(ok("b")))
	check("error inside a 200", "01", "200 b", one(failed("server_error")), one(ok("b")))
	check("429", "01", "200 b", one(status(429)), one(ok("b")))
	check("500, 503, 529", "012"+"3", "200 d", one(status(500)), one(status(503)), one(status(529)), one(ok("d")))
	check("our key is refused", "01", "200 b", one(status(401)), one(ok("b")))
	check("the provider lacks the model", "01", "200 b", one(status(404)), one(ok("b")))
	check("a retry after a round", "010", "200 again", one(status(500), ok("again")), one(status(500)))
	check("retries end", "0000"[:3], "500 "+openaiError("from the provider"), one(status(500)))
	check("round and round", "0101", "503 "+openaiError("from the provider"), one(status(500)), one(status(503)))

	check("the caller's mistake is final", "0", "400 "+openaiError("from the provider"), one(status(400)), one(ok("b")))
	check("422 is the caller's", "0", "422 "+openaiError("from the provider"), one(status(422)), one(ok("b")))
	check("a wrong key is not tried twice", "0", "502 upstream_credentials", one(status(401)))
	check("nor is an empty account", "0", "502 upstream_credentials", one(status(402)))
	check("nor a spent quota", "01", "429 "+strings.Replace(openaiError("from the provider"), `"c"`, `"insufficient_quota"`, 1),
		one(answer{status: 429, body: strings.Replace(openaiError("from the provider"), `"c"`, `"insufficient_quota"`, 1)}),
		one(answer{status: 429, body: strings.Replace(openaiError("from the provider"), `"c"`, `"insufficient_quota"`, 1)}))
	check("a redirect is not followed", "0", "502 upstream_bad_response", one(answer{status: 302, body: "moved"}))
	check("an HTML page is not passed on", "000", "503 upstream_bad_response", one(answer{status: 503, body: "<html>"}))
	check("unreachable to the end", "000", "502 upstream_unreachable", one(failed(gateway.CodeUnreachable)))
	check("a failure of our own is final", "0", "500 internal_error", one(answer{err: errors.New("bug")}), one(ok("b")))
	check("the client left", "0", "499 client_closed_request", one(answer{err: gateway.ErrGone}), one(ok("b")))
}

func TestOnlyListedCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.On = forward.OnConnect
		if r := run(t, o, []answer{status(500)}, []answer{ok("b")}); r.trail() != "0" {
			t.Errorf("tried %s after a 500", r.trail())
		}
		if r := run(t, o, []answer{failed(gateway.CodeUnreachable)}, []answer{ok("b")}); r.trail() != "01" {
			t.Errorf("tried %s after a refused connection", r.trail())
		}
	})
}

// The caller's SDK retries too: after our own attempts it is told not to, or attempts would multiply.
func TestShouldRetry(t *testing.T) {
	check := func(name string, noRetry bool, answers ...[]answer) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, options(), answers...)
				got := false
				if r.err != nil {
					got = gateway.AsError(r.err).NoRetry
				} else {
					for _, f := range r.x.Reply.Header {
						got = got || f.Name == "x-should-retry" && f.Value == "false"
					}
				}
				if got != noRetry {
					t.Errorf("told not to retry: %v", got)
				}
			})
		})
	}
	check("success", false, []answer{ok("a")})
	check("success after a failure", false, []answer{status(500), ok("a")})
	check("retried 500", true, []answer{status(500)})
	check("retried connection", true, []answer{failed(gateway.CodeUnreachable)})
	check("a 400 at once", false, []answer{status(400)})
	check("a long rate limit", false, []answer{{status: 429, body: openaiError("slow down"), header: []gateway.Field{{Name: "retry-after", Value: "60"}}}})
}

func TestBackoff(t *testing.T) {
	check := func(name string, from, to []time.Duration, answers ...answer) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, options(), answers)
				at := r.scripts[0].at
				if len(at) != len(from) {
					t.Fatalf("%d attempts: %v", len(at), at)
				}
				for i := range at {
					if at[i] < from[i] || at[i] > to[i] {
						t.Errorf("attempt %d came after %v, not between %v and %v", i, at[i], from[i], to[i])
					}
				}
			})
		})
	}
	ms := func(n ...int) (d []time.Duration) {
		for _, v := range n {
			d = append(d, time.Duration(v)*time.Millisecond)
		}
		return d
	}
	after := func(name, value string) answer {
		a := status(429)
		a.header = []gateway.Field{{Name: name, Value: value}}
		return a
	}
	check("doubles, with jitter", ms(0, 50, 150), ms(0, 100, 300), status(500))
	check("Retry-After in seconds", ms(0, 1000, 1100), ms(0, 1000, 1200), after("retry-after", "1"), status(500), ok("a"))
	check("Retry-After in milliseconds", ms(0, 700), ms(0, 700), after("retry-after-ms", "700"), ok("a"))
	check("a date", ms(0, 1000), ms(0, 2000), after("retry-after", "Sat, 01 Jan 2000 00:00:02 GMT"), ok("a")) // the bubble's clock starts in 2000
	check("too long to wait for", ms(0), ms(0), after("retry-after", "3"), ok("a"))
	check("huge", ms(0), ms(0), after("retry-after", "99999999999999999999"), ok("a"))
	check("nonsense", ms(0, 1000), ms(0, 1250), after("retry-after", "soon"), ok("a")) // health says how long a 429 cools down
}

// A target that asked to be left alone is, whatever the others said meanwhile; and they do not wait for it.
func TestRetryAfterBelongsToItsTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := status(429)
		wait.header = []gateway.Field{{Name: "retry-after", Value: "1"}}
		r := run(t, options(), []answer{wait, ok("a")}, []answer{status(500)})
		if at := r.scripts[0].at; len(at) != 2 || at[1] < time.Second {
			t.Errorf("asked again after %v", at)
		}
		r = run(t, options(), []answer{status(500), ok("a")}, []answer{wait})
		if at := r.scripts[0].at; len(at) != 2 || at[1] > 100*time.Millisecond {
			t.Errorf("made to wait for another: %v", at)
		}
	})
}

// What may be at work already, or was paid for, is not asked of the same target again.
func TestPaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for code, trail := range map[string]string{gateway.CodeTimeout: "01", gateway.CodeBadResponse: "01", gateway.CodeCut: "0101"} {
			if r := run(t, options(), []answer{failed(code)}, []answer{failed(code)}); r.trail() != trail {
				t.Errorf("%s: tried %s, want %s", code, r.trail(), trail)
			}
		}
	})
}

func TestDeadlineBeforeBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, answers: []answer{status(500)}}
		x := exchange(s)
		x.SetDeadline(gateway.Now().Add(10 * time.Millisecond))
		if err := forward.New(options()).Serve(x); err != nil {
			t.Fatal(err)
		}
		if len(s.at) != 1 || x.Reply.Status != 500 {
			t.Errorf("%d attempts, status %d: a retry that comes too late is of no use", len(s.at), x.Reply.Status)
		}
	})
}

func TestClientLeavesDuringBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, answers: []answer{status(500)}}
		x := exchange(s)
		time.AfterFunc(10*time.Millisecond, func() { x.Cancel(gateway.ErrGone) })
		err := forward.New(options()).Serve(x)
		if !errors.Is(err, gateway.ErrGone) || len(s.at) != 1 {
			t.Errorf("%v after %d attempts", err, len(s.at))
		}
		x.End(err)
	})
}

// In a total outage retries are bounded to a share of the exchanges, on top of ten a second.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, answers: []answer{failed(gateway.CodeUnreachable)}}
		o := options()
		o.BackoffMin, o.BackoffMax = 0, 0
		h := forward.New(o)
		const n = 1000
		for range n {
			if err := h.Serve(exchange(s)); err == nil {
				t.Fatal("no error")
			}
		}
		if most := n + n/5 + 10; len(s.at) > most {
			t.Errorf("%d attempts for %d exchanges, more than %d", len(s.at), n, most)
		}
		if len(s.at) < n+n/5-1 {
			t.Errorf("%d attempts for %d exchanges: the budget was not used", len(s.at), n)
		}
	})
}

func TestNobody(t *testing.T) {
	x := exchange(&script{t: t, answers: []answer{ok("a")}})
	x.Caller = gateway.Caller{}
	if err := forward.New(options()).Serve(x); gateway.AsError(err).Code != "no_caller" || len(x.Attempts()) != 0 {
		t.Errorf("%v after %d attempts", err, len(x.Attempts()))
	}
	x = exchange()
	if err := forward.New(options()).Serve(x); gateway.AsError(err).Code != "no_target" {
		t.Error(err)
	}
}

// A tenant's own key is used wherever its provider stands in the plan.
func TestOwnKey(t *testing.T) {
	operator, tenant := &script{t: t, answers: []answer{ok("operator")}}, &script{t: t, answers: []answer{ok("tenant")}}
	x := exchange(operator)
	x.Caller.Tenant = &gateway.Tenant{ID: "acme", Own: map[string]*gateway.Own{"p0": {Via: tenant}}}
	r := result{x: x, err: forward.New(options()).Serve(x)}
	if r.body(t) != "tenant" || len(operator.at) != 0 || x.Attempts()[0].Key != "tenant" {
		t.Errorf("answered by the operator's key")
	}
	// Targets that differ only in the operator's key are one.
	synctest.Test(t, func(t *testing.T) {
		tenant := &script{t: t, answers: []answer{status(401)}}
		x := exchange(operator, operator, operator)
		for i, target := range x.Plan.Targets {
			target.Provider, target.Key = "p", strconv.Itoa(i)
		}
		x.Caller.Tenant = &gateway.Tenant{ID: "acme", Own: map[string]*gateway.Own{"p": {Via: tenant}}}
		if err := forward.New(options()).Serve(x); err == nil || len(tenant.at) != 1 {
			t.Errorf("%v after asking the tenant's account %d times", err, len(tenant.at))
		}
	})
}
