// Package admin is the operators' listener: metrics, liveness, readiness and profiles. It is apart from the API so that
// it can be kept from the callers' network; net/http serves it because nothing here is hot.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health is what readiness says. It is asked on every probe.
type Health struct {
	Ready  bool              `json:"ready"`
	Reason string            `json:"reason,omitempty"` // why not ready
	Detail map[string]string `json:"detail,omitempty"` // shown with ?verbose
	Faults []string          `json:"faults,omitempty"` // what is wrong although the gateway is ready; shown with ?verbose
}

// Options are what the listener shows.
type Options struct {
	Metrics prometheus.Gatherer
	Health  func() Health
}

// Server serves the operators.
type Server struct{ http http.Server }

// New makes a server; Serve starts it.
func New(o Options) *Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, o.Health()) })
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusNotFound, "The operators' pages are /metrics, /livez, /readyz?verbose and /debug/pprof/. The API is on the other listener.")
	})
	return &Server{http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}}
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
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

// ready answers a readiness probe: 200 or 503, with the reasons as JSON when asked for.
func ready(w http.ResponseWriter, r *http.Request, h Health) {
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	if r.URL.Query().Has("verbose") {
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

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client left
}
