package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
)

// provider is what stands behind the cache: it says which call it is, or what its test wants.
type provider struct {
	mu    sync.Mutex
	calls int

	says  func(call int, q *chat.Request) *chat.Reply  // nil: "answer 1", and so on
	fails func(call int) error                         // nil: never
	at    func(x *gateway.Exchange, call, n int) error // before each event of a stream; nil: they come at once
	turns func(x *gateway.Exchange, r *gateway.Reply)  // changes the reply; nil: it is as it is
	waits func(x *gateway.Exchange, call int) error    // before the reply
}

var paid = ledger.ID{15: 7}

func (p *provider) Serve(x *gateway.Exchange) error {
	p.mu.Lock()
	p.calls++
	call := p.calls
	p.mu.Unlock()
	if err := x.Request.Open(); err != nil {
		return err
	}
	q, err := x.Request.Chat()
	if err != nil {
		return err
	}
	a := x.Attempting(&gateway.Target{Provider: "p", Model: "m-1"})
	a.ID = paid
	if p.waits != nil {
		if err := p.waits(x, call); err != nil {
			return err
		}
	}
	if p.fails != nil {
		if err := p.fails(call); err != nil {
			return err
		}
	}
	r := text(fmt.Sprint("answer ", call))
	if p.says != nil {
		r = p.says(call, q)
	}
	d := wire.ByName(x.Request.Endpoint.Dialect)
	x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Stream: gateway.Once(answer.Whole(d, q, r))}
	if q.Stream {
		x.Reply.Kind, x.Reply.ContentType = gateway.Events, "text/event-stream"
		x.Reply.Stream = &events{x: x, call: call, list: answer.Events(d, q, r, 6), at: p.at}
	}
	if p.turns != nil {
		p.turns(x, x.Reply)
	}
	x.Commit()
	return nil
}

func (p *provider) called() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// events are those of a stream. It reports what was used when it is closed, as a provider's does.
type events struct {
	x      *gateway.Exchange
	call   int
	list   []gateway.Event
	at     func(x *gateway.Exchange, call, n int) error
	n      int
	closed bool
}

func (e *events) Next() (gateway.Event, error) {
	if e.closed {
		return gateway.Event{}, errors.New("it was closed")
	}
	if err := e.x.Cause(); err != nil {
		return gateway.Event{}, err
	}
	if e.at != nil {
		if err := e.at(e.x, e.call, e.n); err != nil {
			return gateway.Event{}, err
		}
	}
	if e.n == len(e.list) {
		return gateway.Event{}, io.EOF
	}
	ev := e.list[e.n]
	e.n++
	return gateway.Event{Name: ev.Name, Data: bytes.Clone(ev.Data)}, nil
}

func (e *events) Ready() bool { return e.at == nil }

func (e *events) Close() error {
	e.closed = true
	e.x.Usage = used
	return nil
}

var used = chat.Usage{Input: 10, Output: 5, Provenance: chat.Reported}

func text(s string) *chat.Reply {
	return &chat.Reply{
		Head:    chat.Head{ID: "id-1", Model: "m-1", Created: 7},
		Choices: []chat.Choice{{Message: chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{{Text: s}}}, Finish: chat.FinishStop}},
		Usage:   used,
	}
}

// rig is the cache between callers and a provider.
type rig struct {
	t         testing.TB
	host      *gatewaytest.Host
	plugin    *cache.Plugin
	handler   gateway.Handler
	provider  *provider
	directory *gateway.Directory
	tenant    *gateway.Tenant
}

func newRig(t testing.TB, change func(*cache.Config)) *rig {
	t.Helper()
	return newRigOf(t, nil, change)
}

// newRigOf is a rig that shares what is in Redis.
func newRigOf(t testing.TB, redis fleet.Client, change func(*cache.Config)) *rig {
	t.Helper()
	return newRigWith(t, cache.Lent{Redis: redis}, change)
}

// newRigWith is a rig that has what it is lent.
func newRigWith(t testing.TB, l cache.Lent, change func(*cache.Config)) *rig {
	t.Helper()
	c := cache.Defaults()
	c.Exact.TTL = 60 * 60e9
	if change != nil {
		change(&c)
	}
	r := &rig{t: t, provider: &provider{}, tenant: &gateway.Tenant{ID: "acme"}}
	p, host := gatewaytest.Build(t, cache.Spec(l), &c)
	r.plugin, r.host = p.(*cache.Plugin), host
	r.handler = p.Wrap(r.provider)
	step := func(model string) [][]*gateway.Target { return [][]*gateway.Target{{{Provider: "p", Model: model}}} }
	r.directory = gateway.NewDirectory(gateway.Entries{
		Models:  []*gateway.Model{{Name: "m", Steps: step("m-1")}, {Name: "n", Steps: step("n-1")}},
		Aliases: map[string]string{"fast": "m"},
	})
	return r
}

// ask is one request of the rig's tenant, as a chat completion.
type ask struct {
	body     string
	endpoint string // chat.completions
	header   []string
	tenant   *gateway.Tenant
	user     string
	allow    []gateway.Pattern
}

func (r *rig) exchange(a ask) *gateway.Exchange {
	r.t.Helper()
	if a.endpoint == "" {
		a.endpoint = "chat.completions"
	}
	if a.tenant == nil {
		a.tenant = r.tenant
	}
	return gatewaytest.New(r.t, gatewaytest.Request{
		Endpoint: gatewaytest.Endpoint(a.endpoint, ""), Header: gatewaytest.Fields(a.header...), Body: a.body, Directory: r.directory,
		Caller: gateway.Caller{Tenant: a.tenant, Key: "ci", User: a.user, Allow: a.allow},
	})
}

// serve sends one request and says what came: what the cache did, and what was said; or the error's code.
func (r *rig) serve(a ask) string {
	r.t.Helper()
	return told(r.exchange(a), r.handler)
}

func told(x *gateway.Exchange, h gateway.Handler) string {
	got := gatewaytest.Serve(x, h)
	return outcome(x, &got)
}

func outcome(x *gateway.Exchange, got *gatewaytest.Answer) string {
	switch {
	case got.Panic != nil:
		return fmt.Sprint("panic: ", got.Panic)
	case got.Reply == nil:
		return got.Error().Code
	}
	what := "none"
	for _, f := range got.Reply.Header {
		if f.Name == "x-sluice-cache" {
			what = f.Value
		}
	}
	s := what + ": " + spoken(x, got)
	if got.Err != nil {
		s += " (" + gateway.AsError(got.Err).Code + ")"
	}
	return s
}

// spoken is the text of an answer in any dialect.
func spoken(x *gateway.Exchange, got *gatewaytest.Answer) string {
	d := wire.ByName(x.Request.Endpoint.Dialect)
	if got.Reply.Kind == gateway.Whole {
		r, err := d.DecodeReply([]byte(got.Body()))
		if err != nil {
			return err.Error()
		}
		return said(r)
	}
	var c chat.Collector
	decoder := d.NewDecoder()
	for _, ev := range got.Events {
		pieces, err := decoder.Decode(nil, ev.Name, ev.Data)
		if err != nil {
			return err.Error()
		}
		for i := range pieces {
			c.Add(&pieces[i])
		}
	}
	return said(c.Reply())
}

func said(r *chat.Reply) string {
	if len(r.Choices) == 0 {
		return ""
	}
	return r.Choices[0].Message.Text(chat.PartText)
}

// chatBody is a request for a model with one question; more is added to it.
func chatBody(question string, more ...string) string {
	return fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":%q}]%s}`, question, strings.Join(append([]string{""}, more...), ","))
}

func (r *rig) expect(a ask, want string) {
	r.t.Helper()
	if got := r.serve(a); got != want {
		r.t.Errorf("%s\n got %s\nwant %s", a.body, got, want)
	}
}

func (r *rig) value(name string) float64 {
	r.t.Helper()
	v, err := r.host.Values()
	if err != nil {
		r.t.Fatal(err)
	}
	return v[name]
}
