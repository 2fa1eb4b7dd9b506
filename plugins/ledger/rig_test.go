package ledger_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/forward" //nolint:depguard // attempts as they are made
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/health"
	rows "github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/plugins/ledger"
)

// act is what a provider does with one attempt.
type act func(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error)

// provider acts attempt after attempt.
type provider struct {
	mu   sync.Mutex
	acts []act
	sent int
}

func (p *provider) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	a.Sent = true
	p.mu.Lock()
	do := p.acts[min(p.sent, len(p.acts)-1)]
	p.sent++
	p.mu.Unlock()
	return do(x, a)
}

var reported = chat.Usage{Input: 10, Output: 5, Provenance: chat.Reported}

// whole answers in one piece.
func whole(status int, u chat.Usage) act {
	return func(_ *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
		a.Status, a.First, a.Usage, a.RequestID = status, time.Millisecond, u, "up-1"
		return &gateway.Reply{Status: status, Stream: gateway.Once([]byte(`{}`))}, nil
	}
}

// fails gives no answer.
func fails(e gateway.Error) act {
	return func(*gateway.Exchange, *gateway.Attempt) (*gateway.Reply, error) {
		e.Status, e.Origin = 502, gateway.OriginUpstream
		return nil, &e
	}
}

// waits says nothing until the exchange is over.
func waits(x *gateway.Exchange, _ *gateway.Attempt) (*gateway.Reply, error) {
	<-x.Context().Done()
	return nil, x.Cause()
}

// stream answers event by event, of three tokens each, and reports the usage at the end. at is called before each.
type stream struct {
	events int
	end    error // nil: it says that it is done
	usage  chat.Usage
	at     func(x *gateway.Exchange, a *gateway.Attempt, n int)

	x *gateway.Exchange
	a *gateway.Attempt
	n int
}

func (s stream) act(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
	a.Status, a.First = 200, time.Millisecond
	s.x, s.a = x, a
	return &gateway.Reply{Status: 200, Kind: gateway.Events, Stream: &s}, nil
}

func (s *stream) Next() (gateway.Event, error) {
	if s.at != nil {
		s.at(s.x, s.a, s.n)
	}
	err := s.x.Cause()
	if s.n++; err == nil && s.n <= s.events {
		s.a.Said += 3
		finish := "null"
		if s.end == nil && s.n == s.events {
			finish = `"stop"`
		}
		return gateway.Event{Data: []byte(`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"` +
			strconv.Itoa(s.n) + `"},"finish_reason":` + finish + `}]}`)}, nil
	}
	if err == nil {
		err = s.end
	}
	switch {
	case err != nil:
		s.a.Err = err
		return gateway.Event{}, err
	case s.n == s.events+1:
		return gateway.Event{Data: []byte("[DONE]")}, nil
	}
	s.a.Usage = s.usage
	return gateway.Event{}, io.EOF
}

func (s *stream) Ready() bool { return true }

func (s *stream) Close() error {
	if s.a.Usage = s.usage; s.a.Usage.Provenance == chat.Unknown && s.n <= s.events+1 {
		s.a.Usage.Provenance = chat.Aborted
	}
	s.x.Usage = s.a.Usage
	return nil
}

// rig is a journal, the plugin and a fleet of providers.
type rig struct {
	t       *testing.T
	host    *gatewaytest.Host
	dir     string
	journal *rows.Journal
	config  ledger.Config
	options forward.Options
	request gatewaytest.Request
	known   *catalog.Model
	tenant  *gateway.Tenant
	plan    gateway.Plan
	before  func(x *gateway.Exchange)                  // behind the plugin, before the attempts
	around  func(next gateway.Handler) gateway.Handler // likewise
	leave   int                                        // the caller leaves after so many events; -1 stays
}

const (
	askWhole  = `{"model":"fast","messages":[{"role":"user","content":"hello there"}]}`
	askStream = `{"model":"fast","stream":true,"messages":[{"role":"user","content":"hello there"}]}`
)

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), config: ledger.Config{Abandoned: ledger.Prompt}, known: priced(t), leave: -1, host: gatewaytest.NewHost()}
	t.Cleanup(r.host.Close)
	r.options = forward.Options{Max: 0, Budget: 1, On: forward.OnConnect | forward.OnTimeout | forward.OnCut | forward.OnRateLimit | forward.On5xx}
	r.tenant = &gateway.Tenant{ID: "acme"}
	r.request = gatewaytest.Request{Body: askWhole, Caller: gateway.Caller{Tenant: r.tenant, Key: "ci", User: "ann"}}
	endpoint := gatewaytest.Chat()
	endpoint.Decode = openai.DecodeRequest
	r.request.Endpoint = endpoint
	r.open()
	return r
}

// open opens the journal, anew if it was open.
func (r *rig) open() {
	r.t.Helper()
	o := rows.Defaults()
	o.Segment, o.MaxSize, o.Node = 1<<20, 3<<20, "n1"
	j, _, err := rows.Open(r.dir, o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.journal = j
	r.t.Cleanup(func() {
		if err := j.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

// serve makes one exchange with those providers.
func (r *rig) serve(providers ...act) (*gateway.Exchange, gatewaytest.Answer) {
	r.t.Helper()
	known := health.New(health.Options{})
	r.plan.Model, r.plan.Targets = "m", nil
	for i, do := range providers {
		name := "p" + strconv.Itoa(i)
		r.plan.Targets = append(r.plan.Targets, &gateway.Target{
			Provider: name, Key: "main", Model: "m-1", Via: &provider{acts: []act{do}}, Known: r.known,
			Health: known.Target(health.ID{Provider: name, Model: "m"}, health.Settings{}),
		})
	}
	p, err := ledger.New(r.host, r.journal, r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	next := gateway.Handler(forward.New(r.options))
	if r.around != nil {
		next = r.around(next)
	}
	h := p.Wrap(gateway.HandlerFunc(func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		x.Plan = r.plan
		if r.before != nil {
			r.before(x)
		}
		return next.Serve(x)
	}))
	x := gatewaytest.New(r.t, r.request)
	a := gatewaytest.ServeSome(x, h, r.leave)
	for _, panicked := range a.Ends {
		r.t.Error(panicked)
	}
	return x, a
}

// reader is a sink that takes nothing: what it was handed stays in the journal.
type reader []rows.Row

var errRead = errors.New("read, not taken")

func (r *reader) Insert(_ context.Context, list []rows.Row) (int, error) {
	*r = append(*r, list...)
	return 0, errRead
}

// rows are those that are in the journal.
func (r *rig) rows() []rows.Row {
	r.t.Helper()
	var list reader
	if err := r.journal.Flush(r.t.Context(), &list); err != nil && !errors.Is(err, errRead) {
		r.t.Error(err)
	}
	slices.SortStableFunc(list, func(a, b rows.Row) int { return cmp.Compare(a.Attempt, b.Attempt) })
	return list
}

// told is what decides about money in rows: how each ended, its tokens, the cost and the charge.
func told(list []rows.Row) string {
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, "%d %s: %s %d+%d, %s, %s", r.Attempt, r.Outcome, r.Usage.Provenance, r.Usage.Prompt(), r.Usage.Completion(),
			r.Cost.USD(), catalog.AppendUSD(nil, r.Charge))
		if names := (r.Flags &^ rows.Stream).Names(); names != nil {
			b.WriteString(" " + strings.Join(names, ","))
		}
		b.WriteString("; ")
	}
	return strings.TrimSuffix(b.String(), "; ")
}

// priced is a model with prices of 10 dollars for a million tokens of a prompt, and 20 for an answer.
func priced(t testing.TB) *catalog.Model {
	t.Helper()
	c, err := catalog.New([]catalog.Entry{{Provider: "p", Name: "m", Prices: []catalog.Price{{Input: "10", Output: "20"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Lookup("p", "m")
}
