package sim

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

var (
	errCut       = fmt.Errorf("sim: the answer broke off: %w", io.ErrUnexpectedEOF)
	errMalformed = errors.New("sim: the answer is not what its dialect prescribes")
	errNoStream  = errors.New("sim: a stream was asked for and something else came")
)

// Provider answers in process, without a network. It keeps the contract of gateway.Sender and the records exactly as
// package upstream does with a Server of this package behind it, and has the same endpoints. What it keeps, it keeps for
// each tenant apart. Safe for concurrent use; it holds no goroutine, so it need not be closed.
type Provider struct {
	name   string
	engine engine
}

var _ gateway.Sender = (*Provider)(nil)

// New makes a provider; name is what error messages call it, and what ids of files and batches end with.
func New(name string, o Options) *Provider {
	return &Provider{name: name, engine: engine{o: o}}
}

// Serves is the set of the endpoints that a Provider has, by the names of the gateway's table: all of them by itself.
func Serves() map[string]bool {
	return map[string]bool{
		"chat.completions": true, "messages": true, "messages.count_tokens": true,
		"responses.create": true, "responses.retrieve": true, "responses.delete": true, "responses.cancel": true,
		"responses.input_items": true, "responses.input_tokens": true,
		"completions": true, "embeddings": true, "moderations": true,
		"images.generations": true, "images.edits": true, "images.variations": true,
		"audio.speech": true, "audio.transcriptions": true, "audio.translations": true,
		"files.create": true, "files.list": true, "files.retrieve": true, "files.delete": true, "files.content": true,
		"batches.create": true, "batches.list": true, "batches.retrieve": true, "batches.cancel": true,
	}
}

// Send implements gateway.Sender.
func (p *Provider) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	s, err := p.script(x, a)
	if err != nil {
		return nil, p.fault(x, err)
	}
	st := &stream{p: p, x: x, attempt: a, script: s, player: s.play(), start: time.Now()}
	st.due, a.Sent = st.start, true
	if err := st.begin(); err != nil {
		a.Usage = st.usage
		st.stop()
		return nil, p.fault(x, err)
	}
	a.First = time.Since(st.start)
	if st.reply.Kind == gateway.Whole {
		a.Usage = st.usage
	}
	return &st.reply, nil
}

// script is what happens to a request, in the dialect of its endpoint.
func (p *Provider) script(x *gateway.Exchange, a *gateway.Attempt) (*script, error) {
	e := x.Request.Endpoint
	version := cmp.Or(string(x.Request.Header.Get("anthropic-version")), anthropic.Version2023)
	tenant := ""
	if t := x.Caller.Tenant; t != nil {
		tenant = string(t.ID)
	}
	if talks(e.Forward) != nil {
		s := p.engine.script(asked{
			dialect: dialectOf(e.Dialect), body: x.Request.Body(), model: a.Model, version: version, tenant: tenant, most: a.MaxTokens,
		})
		if s.kept && p.engine.o.Kept != nil {
			p.engine.o.Kept(tenant, s.reply.ID)
		}
		return s, nil
	}
	body, err := bodyOf(x, a)
	if err != nil {
		return nil, err
	}
	c := call{
		engine: &p.engine, tenant: tenant, holder: p.name,
		method: e.Method, path: "/v1" + strings.Replace(e.Forward, "{id}", x.Request.Param, 1), query: x.Request.Query,
		contentType: cmp.Or(x.Request.ContentType(), applicationJSON), version: version, body: body, dialect: dialectOf(e.Dialect),
	}
	said := c.answer()
	return said.script(&x.Request, c.dialect), nil
}

// bodyOf is all of a request's body, with the model's name as the target has it. Of a stream the usage is asked for, as a
// gateway must know it. The error is an *gateway.Error, or the cause of the cancellation.
func bodyOf(x *gateway.Exchange, a *gateway.Attempt) ([]byte, error) {
	r := &x.Request
	e := r.Edits(nil, a.Model, r.Endpoint.Name == completions && r.Stream())
	if a.MaxTokens > 0 {
		e = r.ClampEdits(e, "max_tokens", a.MaxTokens)
	}
	body := peek.Append(nil, r.Body(), e)
	if rest := r.Rest(); rest != nil {
		more, err := io.ReadAll(rest)
		if err != nil {
			return nil, err
		}
		body = append(body, more...)
	}
	return body, nil
}

const completions = "completions" // the endpoint's name

// script is what happens if an answer is given. Usage that the caller has not asked for is taken out of it.
func (a *answer) script(r *gateway.Request, d *wire.Dialect) *script {
	s := &script{behaviour: healthy, dialect: d, ready: a}
	s.status = a.status
	if r.Endpoint.Name != completions || r.Fields().IncludeUsage {
		return s
	}
	a.events = slices.DeleteFunc(a.events, func(e event) bool {
		signs, _ := d.Look(e.name, e.data, &s.reply.Usage)
		return signs.Has(chat.UsageOnly)
	})
	return s
}

func dialectOf(name string) *wire.Dialect {
	if d := wire.ByName(name); d != nil {
		return d
	}
	return wire.OpenAI
}

// fault makes the error that forward decides on.
func (p *Provider) fault(x *gateway.Exchange, err error) error {
	if x.Err() != nil {
		return x.Cause()
	}
	if known, ok := errors.AsType[*gateway.Error](err); ok {
		return known
	}
	e := &gateway.Error{
		Status: 502, Type: gateway.TypeServer, Code: gateway.CodeBadResponse, Err: err, Origin: gateway.OriginUpstream, Sent: true,
		Message: "The provider \"" + p.name + "\" gave an answer that is not valid.",
	}
	if errors.Is(err, errCut) {
		e.Code, e.Message = gateway.CodeCut, "The provider \""+p.name+"\" broke off before its answer was complete."
	}
	return e
}
