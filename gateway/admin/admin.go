// Package admin is the operators' listener: metrics, liveness, readiness, targets and profiles. It is apart from the API so
// that it can be kept from the callers' network, and asks nobody who he is; net/http serves it because nothing here is hot.
//
//	GET  /metrics                          Prometheus
//	GET  /livez, /readyz[?verbose]         probes
//	GET  /admin/v1/targets                 what is known of each target; ?provider= &key= &model= choose
//	POST /admin/v1/targets/drain           no new requests; also disable (no probes either), enable (takes both back);
//	                                       a provider must be chosen, {"reason": "…"} may say why; it holds until the
//	                                       process ends or another order, also for targets that come later
//	GET  /admin/v1/events                  changes of targets; as SSE if that is accepted
//	GET  /debug/pprof/                     profiles
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Health is what readiness says. It is asked on every probe.
type Health struct {
	Ready  bool              `json:"ready"`
	Reason string            `json:"reason,omitempty"` // why not ready
	Detail map[string]string `json:"detail,omitempty"` // shown with ?verbose
	Faults []string          `json:"faults,omitempty"` // what is wrong although the gateway is ready; shown with ?verbose

	// Targets are those that are left alone, by name and with the reason; shown with ?verbose. The server fills it in.
	Targets []string `json:"targets,omitempty"`
}

// Options are what the listener shows.
type Options struct {
	Metrics prometheus.Gatherer
	Health  func() Health
	Targets *health.Registry // nil: there are none
	Feed    *Feed            // is told of the targets' events; nil: nobody is
	Log     *zap.Logger      // of orders; nil: none
}

// Server serves the operators.
type Server struct {
	o      Options
	http   http.Server
	mark   string        // of this process, in the ids of events
	closed chan struct{} // ends streams
	once   sync.Once
}

// New makes a server; Serve starts it.
func New(o Options) *Server {
	if o.Feed == nil {
		o.Feed = &Feed{}
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	s := &Server{o: o, mark: strconv.FormatInt(time.Now().UnixMilli(), 36), closed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { s.ready(w, r, o.Health()) })
	mux.HandleFunc("GET /admin/v1/events", s.events)
	s.targetsRoutes(mux)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/admin/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &apiError{http.StatusNotFound, "not_found", "There is no " + r.Method + " " + r.URL.Path + " here."})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusNotFound, "The operators' pages are /metrics, /livez, /readyz?verbose, /admin/v1/targets, /admin/v1/events and /debug/pprof/. The API is on the other listener.")
	})
	s.http = http.Server{Handler: protect(mux), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	return s
}

// Serve accepts connections until Close. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// Close stops at once; scrapes under way are cut after a second.
func (s *Server) Close() error {
	s.once.Do(func() { close(s.closed) })
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

// ready answers a readiness probe: 200 or 503, with the reasons as JSON when asked for.
func (s *Server) ready(w http.ResponseWriter, r *http.Request, h Health) {
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	if r.URL.Query().Has("verbose") {
		h.Targets = s.leftAlone()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(h) // the client left
		return
	}
	if h.Ready {
		writeText(w, status, "ready")
	} else {
		writeText(w, status, "not ready: "+h.Reason)
	}
}

// leftAlone names the targets that get no requests at present, or only trials.
func (s *Server) leftAlone() (names []string) {
	for _, t := range s.o.Targets.All(clock.Now()) {
		if t.State < health.HalfOpen && t.CoolUntil.IsZero() {
			continue
		}
		state, why := t.State.String(), t.Reason
		if t.State < health.HalfOpen {
			state, why = "cooling", t.CoolReason
		}
		names = append(names, strings.Join([]string{t.Provider, t.Key, t.Model}, "/")+" "+state+": "+why)
	}
	return names
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client left
}
