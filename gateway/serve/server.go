// Package serve is the fasthttp side of the gateway: the endpoint table, the transports, clients that leave, errors
// rendered in one place, and the drain.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/internal/watch"
)

// Options bound what clients may do. All are fixed for the life of the process.
type Options struct {
	MaxBody        int64            // bytes of one request body
	MaxForm        int64            // bytes of one form, of which no more than MaxBody are held; less than MaxBody: that
	MaxHead        int              // bytes of a request's line and headers; each connection holds a buffer of that size
	MaxInFlight    int64            // bytes of all request bodies held at once
	ReadTimeout    time.Duration    // for a request's head; bodies have it on top of the time that their size takes
	IdleTimeout    time.Duration    // between two requests on a connection
	WriteTimeout   time.Duration    // of each write
	MaxConnsPerIP  int              // 0: no limit
	TLS            *tls.Config      // nil: plain text
	BackgroundRead bool             // notice clients that leave by reading ahead even where the system has a watcher
	Guard          *admission.Guard // refuses bodies while memory is short, by their tenants' priority; nil: none
	Log            *zap.Logger
	Metrics        prometheus.Registerer
}

// Generation is what serves exchanges: one state of the configuration.
type Generation interface {
	gateway.Handler
	Directory() *gateway.Directory
	// Release says that one exchange no longer uses the generation.
	Release()
}

// Generations gives the present generation, held until its Release.
type Generations interface{ Acquire() Generation }

// Server serves the API.
type Server struct {
	o           Options
	generations Generations
	router      *router
	http        *fasthttp.Server
	l           *listener
	inFlight    atomic.Int64 // bytes of request bodies
	draining    atomic.Bool
	sockets     Sockets // nil: there are none
	metrics     metrics
}

// New makes a server on a listener, which it closes at the end; Serve starts it.
func New(g Generations, ln net.Listener, o Options) *Server {
	s := &Server{o: o, generations: g, router: newRouter(Endpoints()), metrics: newMetrics(o.Metrics, o.Guard)}
	s.http = &fasthttp.Server{
		Handler:            s.handle,
		ErrorHandler:       s.unreadable,
		ExpectHandler:      s.expect,
		StreamRequestBody:  true, // a declared length allocates nothing, and auth refuses before the body is read
		MaxRequestBodySize: 1,    // of which fasthttp reads this much ahead; the limit is ours to enforce

		DisablePreParseMultipartForm: true,
		ReadTimeout:                  o.ReadTimeout,
		IdleTimeout:                  o.IdleTimeout,
		Concurrency:                  1 << 20,
		ReadBufferSize:               o.MaxHead,
		WriteBufferSize:              512, // conn collects what belongs together
		NoDefaultServerHeader:        true,
		NoDefaultDate:                true,
		NoDefaultContentType:         true,
		LazyRequestTime:              true,
		ConnState:                    connState,
		KeepHijackedConns:            true, // a WebSocket outlives the handler that begins it
		SecureErrorLogMessage:        true,
		Logger:                       log.New(io.Discard, "", 0),
	}
	s.l = &listener{
		Listener: ln, watch: s.newWatcher(), writeTimeout: o.WriteTimeout, perIP: o.MaxConnsPerIP, maxHead: o.MaxHead, encrypted: o.TLS != nil,
		onRefuse: func() { s.metrics.refused.WithLabelValues("connections").Inc() },
	}
	return s
}

// newWatcher is nil where the system has none: connections then watch by background reads.
func (s *Server) newWatcher() *watch.Watcher {
	if s.o.BackgroundRead {
		return nil
	}
	w, err := watch.New()
	if err != nil {
		s.o.Log.Info("clients that leave are noticed by background reads", zap.Error(err))
		return nil
	}
	return w
}

// Serve accepts connections until Drain.
func (s *Server) Serve() error {
	var front net.Listener = s.l
	if s.o.TLS != nil {
		config := s.o.TLS.Clone()
		config.NextProtos = []string{"http/1.1"}
		front = secured{s.l, config}
	}
	if err := s.http.Serve(front); err != nil && !s.draining.Load() {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// connState keeps conn.active.
func connState(nc net.Conn, state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateActive:
		below(nc).active.Store(true)
	case fasthttp.StateIdle:
		below(nc).active.Store(false)
	default:
	}
}

// finalGrace is how long what was cut by the drain's end has to write its error.
const finalGrace = 2 * time.Second

// Drain stops accepting, lets what runs finish until ctx ends, then ends the rest with an error event. It returns how
// many exchanges were cut. Call it once.
func (s *Server) Drain(ctx context.Context) (cut int) {
	s.draining.Store(true)
	_ = s.l.Close()
	s.l.each((*conn).stopIdle)
	sockets := make(chan int, 1)
	if s.sockets != nil {
		go func() { sockets <- s.sockets.Drain(ctx) }()
	} else {
		sockets <- 0
	}
	for ctx.Err() == nil && !s.l.wait(10*time.Millisecond) {
	}
	s.l.each(func(c *conn) {
		if k := c.current.Load(); k != nil {
			cut++
			k.Cancel(gateway.ErrDrain)
		}
	})
	cut += <-sockets
	if !s.l.wait(finalGrace) {
		s.l.each(func(c *conn) { _ = c.TCPConn.Close() })
		s.l.wait(finalGrace)
	}
	if s.l.watch != nil {
		_ = s.l.watch.Close()
	}
	return cut
}

// Live counts the open connections and the bytes of request bodies held.
func (s *Server) Live() (connections int, bodyBytes int64) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	return len(s.l.conns), s.inFlight.Load()
}

// expect decides on "Expect: 100-continue" from the head alone: what will be refused need not be sent.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	path, _ := splitTarget(ctx.Request.Header.RequestURI())
	endpoints, _ := s.router.find(path)
	endpoint := pick(endpoints, &ctx.Request.Header)
	n, most := int64(ctx.Request.Header.ContentLength()), s.o.MaxBody
	held := n
	switch {
	case endpoint != nil && endpoint.Body == gateway.Form:
		most, held = s.maxForm(), min(n, heldForm)
	case endpoint != nil && endpoint.Body == gateway.Params:
		most = min(most, gateway.MaxParams)
	}
	var e *gateway.Error
	switch {
	case endpoint == nil:
		e = s.noEndpoint(ctx, endpoints)
	case n > most:
		e = tooLarge(most)
	case n > 0 && s.inFlight.Load()+held > s.o.MaxInFlight:
		e = errBusy
	default:
		return fasthttp.StatusContinue
	}
	s.refuse(ctx, e)
	return e.Status
}

// unreadable answers what fasthttp could not read as a request.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	e := &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "bad_request", Origin: gateway.OriginClient, Err: err,
		Message: "This is not a valid HTTP/1.1 request.",
	}
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.As(err, &small):
		e.Status, e.Code = 431, "headers_too_large"
		e.Message = "The request's headers are larger than " + strconv.Itoa(s.o.MaxHead) + " bytes."
	case errors.Is(err, errBareLF):
		e.Message = ambiguous(errBareLF.Error())
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Status, e.Code, e.Message = 408, "request_timeout", "The request did not arrive in time."
	}
	s.refuse(ctx, e)
}

// refuse answers what never became an exchange.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, e *gateway.Error) {
	s.metrics.refused.WithLabelValues(e.Code).Inc()
	id := NewID()
	if ce := s.o.Log.Check(zap.DebugLevel, "refused"); ce != nil {
		ce.Write(zap.String("id", id), zap.Int("status", e.Status), zap.String("code", e.Code), zap.Error(e.Err))
	}
	ctx.Response.SetBodyRaw(render(ctx, id, s.router.dialectOf(&ctx.Request.Header), e))
	below(ctx.Conn()).linger = hasBody(&ctx.Request.Header) || e.Err != nil
	g := s.generations.Acquire()
	allowOrigin(ctx, g.Directory(), nil)
	g.Release()
}

type metrics struct{ refused *prometheus.CounterVec }

func newMetrics(r prometheus.Registerer, g *admission.Guard) metrics {
	m := metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_refused_total",
		Help: "Requests that never became an exchange, by the code of their error.",
	}, []string{"code"})}
	if r == nil {
		return m
	}
	r.MustRegister(m.refused)
	for p := admission.Low; p <= admission.Critical; p++ {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "sluice_memory_refused_total",
			Help:        "Requests that were refused because the process is short of memory, by their tenants' priority.",
			ConstLabels: prometheus.Labels{"priority": p.String()},
		}, func() float64 { return float64(g.Snapshot().Refused[p-admission.Low]) }))
	}
	return m
}
