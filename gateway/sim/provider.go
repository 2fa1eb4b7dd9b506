package sim

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
)

var (
	errCut       = fmt.Errorf("sim: the answer broke off: %w", io.ErrUnexpectedEOF)
	errMalformed = errors.New("sim: the answer is not what its dialect prescribes")
	errNoStream  = errors.New("sim: a stream was asked for and something else came")
)

// Provider answers in process, without a network. It keeps the contract of gateway.Sender and the records exactly as
// package upstream does with a Server of this package behind it. Safe for concurrent use; it holds no goroutine, so it
// need not be closed.
type Provider struct {
	name   string
	engine engine
}

var _ gateway.Sender = (*Provider)(nil)

// New makes a provider; name is what error messages call it.
func New(name string, o Options) *Provider {
	return &Provider{name: name, engine: engine{o: o}}
}

// Send implements gateway.Sender.
func (p *Provider) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	s := p.script(x, a.Model)
	st := &stream{p: p, x: x, attempt: a, script: s, player: s.play(), start: time.Now()}
	st.due = st.start
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

// script is what happens to a conversation, in the dialect of its endpoint. Other endpoints are answered by a Server only.
func (p *Provider) script(x *gateway.Exchange, model string) *script {
	e := x.Request.Endpoint
	if talks(e.Forward) == nil {
		s := &script{behaviour: healthy, dialect: dialectOf(e.Dialect), refused: unknownPath("/v1" + e.Forward)}
		s.status = 404
		return s
	}
	return p.engine.script(asked{dialect: dialectOf(e.Dialect), body: x.Request.Body(), model: model})
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
