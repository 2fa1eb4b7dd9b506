package sim_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
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
	x := new(gateway.Exchange)
	x.Init("test", completions, noHeader{}, body(request))
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

// unary is the answer of a request that must succeed.
func unary(t testing.TB, request string) chat.Delta {
	t.Helper()
	r := simulate(t, sim.Options{}, request)
	if !errors.Is(r.err, io.EOF) || len(r.events) != 1 || r.reply.Status != 200 {
		t.Fatalf("%s\n%+v", request, r)
	}
	return choices(t, r.events[0])[0]
}

// choices reads a chat.completion: a message has the members of a delta.
func choices(t testing.TB, reply string) []chat.Delta {
	t.Helper()
	c, err := openai.DecodeChunk([]byte(strings.ReplaceAll(reply, `"message":{`, `"delta":{`)))
	if err != nil {
		t.Fatal(err)
	}
	return c.Choices
}

// joined adds up a stream's deltas, and checks what all chunks must have in common.
func joined(t testing.TB, events []string) []chat.Delta {
	t.Helper()
	var all []chat.Delta
	var head chat.Head
	for i, data := range events {
		c, err := openai.DecodeChunk([]byte(data))
		if errors.Is(err, io.EOF) && i == len(events)-1 {
			break
		}
		if err != nil {
			t.Fatalf("event %d %q: %v", i, data, err)
		}
		if i > 0 && c.Head != head {
			t.Fatalf("event %d has the head %v, not %v", i, c.Head, head)
		}
		head = c.Head
		for _, d := range c.Choices {
			for len(all) <= d.Index {
				all = append(all, chat.Delta{Index: len(all)})
			}
			add(t, &all[d.Index], d)
		}
	}
	return all
}

func add(t testing.TB, to *chat.Delta, d chat.Delta) {
	t.Helper()
	if to.Finish != "" {
		t.Fatalf("a delta after the end of the choice: %+v", d)
	}
	if first := to.Role == ""; first != (d.Role != "") {
		t.Fatalf("the role must come with the first delta, and only with it: %+v", d)
	}
	if d.Role != "" {
		to.Role = d.Role
	}
	to.Text += d.Text
	to.Finish = d.Finish
	for _, c := range d.Calls {
		if c.Index == len(to.Calls) {
			if c.ID == "" || c.Name == "" {
				t.Fatalf("the first fragment of a call lacks its id or name: %+v", c)
			}
			to.Calls = append(to.Calls, c)
			continue
		}
		if c.ID != "" || c.Name != "" {
			t.Fatalf("id and name must come with the first fragment only: %+v", c)
		}
		to.Calls[c.Index].Arguments += c.Arguments
	}
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
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := upstream.KindOf("openai")
	p, err := upstream.New(upstream.Config{
		Name: "p", BaseURL: u, Kind: kind, Endpoints: []gateway.Endpoint{*completions}, MaxIdle: 4, IdleTimeout: time.Minute, MaxBody: 1 << 20, MaxEvent: 1 << 20,
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
