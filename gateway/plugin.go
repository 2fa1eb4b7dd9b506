package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Handler serves one exchange: it sets x.Reply, or returns an error (an *Error, or any error, which becomes a 500).
// A handler that sets a Reply hands over its Stream: whoever replaces the reply closes the earlier one.
type Handler interface{ Serve(x *Exchange) error }

// HandlerFunc is a function as a Handler.
type HandlerFunc func(x *Exchange) error

// Serve calls f.
func (f HandlerFunc) Serve(x *Exchange) error { return f(x) }

// Plugin is one link of the chain. Its handler may call next zero times (a cache hit), once, or several times (it then
// closes the earlier reply). Wrap is called once for each generation, also for a plugin that is carried over, so what
// belongs to a plugin lives in it and what belongs to a generation in the handler. A plugin that implements io.Closer
// is closed when the last generation that uses it has drained.
type Plugin interface{ Wrap(next Handler) Handler }

// Admitter is a plugin that says who asks without an exchange: for a transport that lets a caller in before it asks for anything,
// as WebSockets do. What it then asks for is authenticated all the same.
type Admitter interface {
	// Admit is the caller whose credential the headers carry; client is where the connection comes from. The error is an *Error.
	Admit(ctx context.Context, h Header, client netip.Addr, d *Directory) (Caller, error)
}

// Chain builds the handler of a generation: the first plugin sees the exchange first.
func Chain(innermost Handler, plugins ...Plugin) Handler {
	h := innermost
	for _, plugin := range slices.Backward(plugins) {
		h = plugin.Wrap(h)
	}
	return h
}

// Host is all of the outside world that a plugin may touch.
type Host interface {
	// Log is the plugin's own named logger.
	Log() *zap.Logger
	// Metrics takes the plugin's collectors; they are unregistered when the plugin is closed.
	Metrics() prometheus.Registerer
	// Now is the wall clock.
	Now() time.Time
	// Go runs background work. Its context ends when the plugin is closed, and closing waits for it.
	Go(work func(context.Context))
	// Ask makes an exchange of the gateway's own, for a caller who pays for it, through the whole chain: it is limited, written
	// down and logged like others. The answer is the body of a whole reply with status 200; nil for a request that streams, whose reply
	// is read to its end. The error is an *Error, or the context's.
	Ask(ctx context.Context, endpoint string, c Caller, h Header, body []byte) ([]byte, error)
}

// Spec says how a plugin is made of its configuration. Make one with Define.
type Spec struct {
	Name     string
	defaults func() any
	build    func(Host, any) (Plugin, error)
}

// Define describes a plugin by its name, its default configuration and its constructor. C is a struct with yaml tags:
// strict decoding, validation (if *C has Validate() error), JSON Schema and reference page all come from it.
func Define[C any](name string, defaults C, build func(Host, C) (Plugin, error)) Spec {
	return Spec{
		Name:     name,
		defaults: func() any { c := defaults; return &c },
		build: func(h Host, config any) (Plugin, error) {
			c, ok := config.(*C)
			if !ok {
				return nil, fmt.Errorf("plugin %s: configuration is a %T, not a %T", name, config, c)
			}
			return build(h, *c)
		},
	}
}

// Defaults is a new copy of the plugin's default configuration: a pointer to its struct.
func (s Spec) Defaults() any { return s.defaults() }

// Build makes the plugin; config is what Defaults returned, with the user's settings laid over it.
func (s Spec) Build(h Host, config any) (Plugin, error) { return s.build(h, config) }
