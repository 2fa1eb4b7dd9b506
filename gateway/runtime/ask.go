package runtime

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
)

var (
	errNoEndpoint = errors.New("runtime: there is no such endpoint")
	errNotWhole   = errors.New("runtime: what was answered is not a whole reply")
)

// Ask implements gateway.Host. The exchange is one of the generation that is present when it is made.
func (p *plugin) Ask(ctx context.Context, endpoint string, c gateway.Caller, h gateway.Header, body []byte) (answer []byte, err error) {
	g := p.runtime.acquire(ctx)
	if g == nil {
		return nil, gateway.ErrDrain
	}
	defer g.Release()
	err = p.runtime.inside(ctx, g, errand{endpoint, c, h, body}, func(x *gateway.Exchange) error {
		if err := g.Serve(x); err != nil {
			return err
		}
		answer, err = read(x.Reply)
		return err
	})
	return answer, err
}

// errand is what the gateway asks itself, for a caller.
type errand struct {
	endpoint string
	caller   gateway.Caller
	head     gateway.Header
	body     []byte
}

// inside makes an exchange of the gateway's own, which ends with what is done with it.
func (r *Runtime) inside(ctx context.Context, g *Generation, of errand, do func(*gateway.Exchange) error) (err error) {
	e := endpointOf(of.endpoint)
	if e == nil {
		return errNoEndpoint
	}
	x := &gateway.Exchange{Directory: g.Directory(), Caller: of.caller, Inside: true}
	x.Init(newID(), e, of.head, &inMemory{of.body})
	if d, ok := ctx.Deadline(); ok {
		x.SetDeadline(gateway.At(d))
	}
	defer context.AfterFunc(ctx, func() { x.Cancel(context.Cause(ctx)) })()
	defer context.AfterFunc(r.asking, func() { x.Cancel(gateway.ErrDrain) })()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("runtime: panic in an exchange of the gateway's own: %v", p)
		}
		if x.Reply != nil {
			err = errors.Join(err, x.Reply.Stream.Close())
		}
		err = errors.Join(append([]error{err}, x.End(err)...)...)
	}()
	return do(x)
}

// acquire is Acquire for who may come after Close; nil then.
func (r *Runtime) acquire(ctx context.Context) *Generation {
	for ctx.Err() == nil && r.asking.Err() == nil {
		if g := r.current.Load(); g != nil && g.acquire() {
			return g
		}
	}
	return nil
}

// read is the body of a whole reply; of a stream, which it reads to its end, nil.
func read(r *gateway.Reply) ([]byte, error) {
	switch {
	case r != nil && r.Kind == gateway.Events && r.Status == 200:
		return nil, drain(r.Stream)
	case r == nil || r.Kind != gateway.Whole || r.Status != 200:
		return nil, errNotWhole
	}
	ev, err := r.Stream.Next()
	if err != nil {
		return nil, err
	}
	answer := bytes.Clone(ev.Data)
	if _, err := r.Stream.Next(); !errors.Is(err, io.EOF) {
		return nil, errors.Join(errNotWhole, err)
	}
	return answer, nil
}

func drain(s gateway.Stream) error {
	for {
		if _, err := s.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func endpointOf(name string) *gateway.Endpoint {
	for _, e := range serve.Endpoints() {
		if e.Name == name {
			return &e
		}
	}
	return nil
}

// newID is like that of an exchange from outside.
func newID() string {
	var b [12]byte
	for i := range b {
		b[i] = byte(rand.Uint32()) //nolint:gosec // unique, not secret
	}
	return "req_" + hex.EncodeToString(b[:])
}

// inMemory is the body of a request that nobody has sent.
type inMemory struct{ b []byte }

// Load implements gateway.Body.
func (m *inMemory) Load() ([]byte, error) { return m.b, nil }

// Free implements gateway.Body.
func (m *inMemory) Free() { m.b = nil }
