package sim_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var completions = &gateway.Endpoint{
	Name: "chat.completions", Method: "POST", Path: "/v1/chat/completions", Forward: "/chat/completions", Dialect: "openai",
}

type body string

func (b body) Load() ([]byte, error) { return []byte(b), nil }
func (body) Free()                   {}

type noHeader struct{}

func (noHeader) Get(string) []byte { return nil }

func exchange(t testing.TB, request string) *gateway.Exchange {
	t.Helper()
	return exchangeAt(t, completions, request)
}

func exchangeAt(t testing.TB, e *gateway.Endpoint, request string) *gateway.Exchange {
	t.Helper()
	x := new(gateway.Exchange)
	x.Init("test", e, noHeader{}, body(request))
	x.Caller.Tenant = &gateway.Tenant{ID: "t"}
	if err := x.Request.Open(); err != nil {
		t.Fatal(err)
	}
	return x
}

// ask is a request with one message; more are further members.
func ask(model, message, more string) string {
	text, _ := json.Marshal(message)
	if more != "" {
		more = "," + more
	}
	return `{"model":"` + model + `","messages":[{"role":"user","content":` + string(text) + `}]` + more + `}`
}

const streaming = `"stream":true`

// result is all that a caller and the records see of one exchange.
type result struct {
	attempt *gateway.Attempt
	reply   *gateway.Reply // nil if there was none
	events  []string
	err     error // why there was no reply, or how the stream ended
	usage   chat.Usage
}

// send makes one attempt and reads the reply to its end, or until enough events have come.
func send(x *gateway.Exchange, via gateway.Sender, enough int) result {
	target := &gateway.Target{Provider: "p", Via: via}
	r := result{attempt: x.Attempting(target)}
	r.reply, r.err = via.Send(x, target, r.attempt)
	if r.err != nil {
		return r
	}
	for enough < 0 || len(r.events) < enough {
		ev, err := r.reply.Stream.Next()
		if err != nil {
			r.err = err
			break
		}
		r.events = append(r.events, string(ev.Data))
	}
	if err := r.reply.Stream.Close(); err != nil {
		r.err = errors.Join(r.err, err)
	}
	r.usage = x.Usage
	return r
}

func simulate(t testing.TB, o sim.Options, request string) result {
	t.Helper()
	return send(exchange(t, request), sim.New("p", o), -1)
}

// serve starts a server; the test's end closes it.
func serve(t testing.TB, s *sim.Server) (baseURL string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String() + "/v1"
}

// gate is package upstream in front of a URL.
func gate(t testing.TB, base string, patience time.Duration) *upstream.Provider {
	t.Helper()
	return gateAt(t, "openai", completions, base, patience)
}

func gateAt(t testing.TB, kindName string, e *gateway.Endpoint, base string, patience time.Duration) *upstream.Provider {
	t.Helper()
	return gateOf(t, kindName, []gateway.Endpoint{*e}, base, patience)
}

func gateOf(t testing.TB, kindName string, table []gateway.Endpoint, base string, patience time.Duration) *upstream.Provider {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	kind, ok := upstream.KindOf(kindName)
	if !ok {
		t.Fatal(kindName)
	}
	p, err := upstream.New(upstream.Config{
		Name: "p", BaseURL: u, Kind: kind, Endpoints: table,
		MaxIdle: 4, IdleTimeout: time.Minute, MaxBody: 1 << 20, MaxEvent: 1 << 20,
		AskUsage: true,
		Timeouts: upstream.Timeouts{Connect: patience, Headers: patience, FirstEvent: patience, Idle: patience, Answer: patience},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// until waits for a condition.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("waited in vain for: " + what)
		}
	}
}

// signsOf is the first of what Look says.
func signsOf(s chat.Signs, _ int) chat.Signs { return s }
