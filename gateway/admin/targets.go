package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// Bounds of what an operator may send.
const (
	maxOrder  = 4 << 10 // bytes
	maxReason = 200     // characters
)

// Targets is the answer to GET /admin/v1/targets, and to an order, of the targets that it was for.
type Targets struct {
	Targets []health.Snapshot `json:"targets"`
	Orders  []health.Order    `json:"orders,omitempty"` // of operators, that hold; also for targets that are not there yet
}

// targetsRoutes are GET /admin/v1/targets and POST /admin/v1/targets/drain, disable and enable. All take provider, key and
// model in the query; what is left out stands for all.
func (s *Server) targetsRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/v1/targets", func(w http.ResponseWriter, r *http.Request) {
		found, err := s.chosen(r)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, Targets{found, s.o.Targets.Orders()})
	})
	for _, word := range []health.Word{health.Drain, health.Disable, health.Enable} {
		mux.HandleFunc("POST /admin/v1/targets/"+string(word), func(w http.ResponseWriter, r *http.Request) { s.order(w, r, word) })
	}
}

// order gives an operator's word to the targets that a request chooses. It leaves a line in the log with where it came from:
// there is no login, so nobody knows more of who it was.
func (s *Server) order(w http.ResponseWriter, r *http.Request, word health.Word) {
	why, err := reason(http.MaxBytesReader(w, r.Body, maxOrder))
	if err != nil {
		writeError(w, err)
		return
	}
	if r.URL.Query().Get("provider") == "" {
		writeError(w, &apiError{http.StatusBadRequest, "missing_provider", "Name the provider: ?provider=NAME, and key and model if not all of its targets are meant."})
		return
	}
	if _, err := s.chosen(r); err != nil { // what is wrong with the query
		writeError(w, err)
		return
	}
	query := r.URL.Query()
	named := func(name string) *string {
		if !query.Has(name) {
			return nil
		}
		value := query.Get(name)
		return &value
	}
	order := health.Order{Provider: query.Get("provider"), Key: named("key"), Model: named("model"), Word: word, Reason: why}
	if !s.o.Targets.Order(clock.Now(), order) {
		writeError(w, &apiError{http.StatusNotFound, "no_such_target", "No target has this provider, key and model. GET /admin/v1/targets lists them."})
		return
	}
	found, _ := s.chosen(r)
	s.o.Log.Info("admin order", zap.String("order", string(word)), zap.String("provider", order.Provider), zap.Stringp("key", order.Key),
		zap.Stringp("model", order.Model), zap.String("reason", why), zap.String("remote_addr", r.RemoteAddr), zap.Int("targets", len(found)))
	writeJSON(w, http.StatusOK, Targets{found, s.o.Targets.Orders()})
}

// chosen are the targets that the query names.
func (s *Server) chosen(r *http.Request) ([]health.Snapshot, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &apiError{http.StatusBadRequest, "invalid_query", "The query is not valid: " + err.Error()}
	}
	for name, values := range query {
		if !slices.Contains([]string{"provider", "key", "model"}, name) || len(values) > 1 {
			return nil, &apiError{http.StatusBadRequest, "invalid_query", "The query may have provider, key and model, each once; not " + name + "."}
		}
	}
	found := []health.Snapshot{}
	for _, t := range s.o.Targets.All(clock.Now()) {
		fits := func(name, value string) bool { return !query.Has(name) || query.Get(name) == value }
		if fits("provider", t.Provider) && fits("key", t.Key) && fits("model", t.Model) {
			found = append(found, t)
		}
	}
	return found, nil
}

// reason reads {"reason": "…"}; an empty body has none.
func reason(body io.Reader) (string, error) {
	var order struct {
		Reason string `json:"reason"`
	}
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&order); err != nil && !errors.Is(err, io.EOF) {
		return "", &apiError{http.StatusBadRequest, "invalid_json", "The body may be empty, or {\"reason\": \"…\"} of at most 4 KiB: " + err.Error()}
	}
	clean := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(order.Reason)))
	return string(clean[:min(len(clean), maxReason)]), nil
}

// apiError is an answer that is none.
type apiError struct {
	status        int
	code, message string
}

// Error implements error.
func (e *apiError) Error() string { return e.message }

// writeError answers with {"error": {"message", "code"}}.
func writeError(w http.ResponseWriter, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{http.StatusInternalServerError, "internal_error", "The admin API failed."}
	}
	type inner struct {
		Message string `json:"message"`
		Code    string `json:"code"`
	}
	writeJSON(w, e.status, struct {
		Error inner `json:"error"`
	}{inner{e.message, e.code}})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) // the client left
}

// protect keeps pages of other sites from acting through an operator's browser: there is no CORS, what comes from another
// origin is refused, and so is what comes from a page whose host is a name other than localhost. Such a page may have been
// loaded from elsewhere before its name was pointed here (DNS rebinding), which the browser takes for the same origin.
// Programs that are no browsers send no Origin, and may use any name.
func protect(h http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, &apiError{http.StatusForbidden, "cross_origin", "The request comes from a page of another site."})
	}))
	return cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		safe := r.Method == http.MethodGet || r.Method == http.MethodHead
		browser := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
		if !safe && browser && !literal(r.Host) {
			writeError(w, &apiError{http.StatusForbidden, "unknown_host", "A browser may act here by an IP address or localhost only."})
			return
		}
		h.ServeHTTP(w, r)
	}))
}

// literal says whether a Host is an IP address or localhost, which nobody can point elsewhere.
func literal(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
