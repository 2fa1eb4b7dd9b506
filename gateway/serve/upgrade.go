package serve

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
)

// Sockets serves connections that become WebSockets.
type Sockets interface {
	// Accept decides on an upgrade. What it gives takes the connection over, before anything was answered; it returns soon, and
	// whatever serves the connection then goes on without it. The error is the answer instead.
	Accept(u *Upgrade) (func(net.Conn), *gateway.Error)
	// Drain closes all connections: those that answer when they have answered, or when ctx ends. It returns how many exchanges
	// were cut.
	Drain(ctx context.Context) (cut int)
}

// Upgrade is a request that asks for a WebSocket (RFC 6455, section 4.1), and asks for it as it should. It is valid until
// [Sockets.Accept] returns.
type Upgrade struct {
	ID         string // the request's
	Endpoint   *gateway.Endpoint
	Generation Generation
	Header     gateway.Header
	Lines      []byte // all header fields, each with its line end
	Host       string // as the client wrote it
	Secure     bool   // the connection is encrypted
	Client     netip.Addr
}

// Upgrades names who serves WebSockets. It is called before Serve.
func (s *Server) Upgrades(to Sockets) { s.sockets = to }

// wantsSocket says whether a request asks for a WebSocket where there may be one. Elsewhere it is a GET like any other (RFC
// 9110, section 7.8).
func wantsSocket(ctx *fasthttp.RequestCtx, path []byte, endpoints []*gateway.Endpoint) bool {
	return ctx.IsGet() && strings.EqualFold(string(ctx.Request.Header.Peek("Upgrade")), "websocket") &&
		(socketEndpoint(endpoints) != nil || string(path) == realtime)
}

// realtime is OpenAI's other API over WebSockets. Its clients deserve to be told why it does not answer.
const realtime = "/v1/realtime"

// upgrade answers a request for a WebSocket: the connection is handed over, or it is refused.
func (s *Server) upgrade(ctx *fasthttp.RequestCtx, query []byte, endpoints []*gateway.Endpoint) {
	ctx.SetConnectionClose()
	u := &Upgrade{
		ID: NewID(), Endpoint: socketEndpoint(endpoints), Header: header{&ctx.Request.Header}, Lines: ctx.Request.Header.RawHeaders(),
		Host: string(ctx.Host()), Secure: s.o.TLS != nil, Client: below(ctx.Conn()).ip,
	}
	accept, e := s.accept(u, ctx, query)
	if e != nil {
		if e.Status == fasthttp.StatusUpgradeRequired {
			ctx.Response.Header.Set("Upgrade", "websocket")
			ctx.Response.Header.Set("Sec-WebSocket-Version", socketVersion)
		}
		s.refuse(ctx, e)
		return
	}
	c := ctx.Conn()
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(hijacked net.Conn) {
		early := below(c).handOver(hijacked)
		if len(early) > 0 {
			c = &begun{c, early}
		}
		accept(c)
	})
}

func (s *Server) accept(u *Upgrade, ctx *fasthttp.RequestCtx, query []byte) (func(net.Conn), *gateway.Error) {
	switch {
	case u.Endpoint == nil:
		return nil, errNoRealtime
	case s.sockets == nil || u.Endpoint.Policy != gateway.Callers:
		return nil, ErrNoSocket
	case s.draining.Load():
		return nil, gateway.AsError(gateway.ErrDrain)
	}
	if e := handshake(u.Header, ctx.Request.Header.IsHTTP11()); e != nil {
		return nil, e
	}
	if e := checkQuery(string(query)); e != nil {
		return nil, e
	}
	u.Generation = s.generations.Acquire()
	defer u.Generation.Release()
	return s.sockets.Accept(u)
}

// socketEndpoint is what the messages of a socket at a path ask: the endpoint that a POST to it would.
func socketEndpoint(endpoints []*gateway.Endpoint) *gateway.Endpoint {
	for _, e := range endpoints {
		if e.Method == "POST" && e.Decode != nil && e.Dialect != wire.Anthropic.Name {
			return e
		}
	}
	return nil
}

// ErrNoSocket is the answer to an upgrade where there are no WebSockets. Clients of OpenAI's Responses API then send a POST at
// once, which they do not after a 404.
var ErrNoSocket = &gateway.Error{
	Status: 426, Type: gateway.TypeInvalidRequest, Code: "websocket_unavailable", Origin: gateway.OriginClient, NoRetry: true,
	Message: "This endpoint does not serve WebSockets. Send a POST instead; it streams with \"stream\": true.",
}

var (
	errNoRealtime = &gateway.Error{
		Status: 501, Type: gateway.TypeInvalidRequest, Code: "unsupported_endpoint", Origin: gateway.OriginClient, NoRetry: true,
		Message: "The gateway does not serve OpenAI's Realtime API. Chat completions and responses stream over HTTP and over WebSockets.",
	}
	errVersion = &gateway.Error{
		Status: 426, Type: gateway.TypeInvalidRequest, Code: "bad_websocket_version", Origin: gateway.OriginClient, NoRetry: true,
		Message: "The gateway speaks version 13 of the WebSocket protocol.",
	}
	errHandshake = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "bad_handshake", Origin: gateway.OriginClient, NoRetry: true,
		Message: "This is not a valid WebSocket handshake: it needs HTTP/1.1, \"Connection: Upgrade\" and a Sec-WebSocket-Key of 16 bytes in base64.",
	}
)

const socketVersion = "13" // RFC 6455, section 4.1

// handshake checks a client's part of the opening handshake (RFC 6455, section 4.2.1).
func handshake(h gateway.Header, http11 bool) *gateway.Error {
	if string(h.Get("Sec-WebSocket-Version")) != socketVersion {
		return errVersion
	}
	key, err := base64.StdEncoding.DecodeString(string(h.Get("Sec-WebSocket-Key")))
	upgrades := false
	for option := range strings.SplitSeq(string(h.Get("Connection")), ",") {
		upgrades = upgrades || strings.EqualFold(strings.TrimSpace(option), "upgrade")
	}
	if err != nil || len(key) != 16 || !upgrades || !http11 {
		return errHandshake
	}
	return nil
}

// Whose a connection is.
const (
	ours       = iota
	handing    // whoever reads gets what was read ahead, and no more
	handedOver // it belongs to who serves its WebSocket
)

// errDrained ends the reading of what fasthttp had read ahead.
var errDrained = errors.New("serve: nothing more was read ahead")

// handOver makes the connection one that fasthttp no longer uses, and that reads and writes as it is told. It gives what fasthttp
// has read ahead, so that its buffer can go.
func (c *conn) handOver(hijacked io.Reader) (early []byte) {
	c.settle()
	c.hands.Store(handing)
	early, _ = io.ReadAll(hijacked) // it ends with errDrained
	c.hands.Store(handedOver)
	c.lines = lineEnds{} // which refers to fasthttp's buffer
	_ = c.TCPConn.SetDeadline(time.Time{})
	return early
}

// begun is a connection of which some was read already.
type begun struct {
	net.Conn
	early []byte
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.early) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.early)
	b.early = b.early[n:]
	return n, nil
}

// NetConn is the connection below.
func (b *begun) NetConn() net.Conn { return b.Conn }
