package admin

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sluice-ai/sluice/gateway/store"
)

// apiError is an answer that is none.
type apiError struct {
	status        int
	code, message string
}

// Error implements error.
func (e *apiError) Error() string { return e.message }

// explain is the answer that an error stands for. What a store says of itself is in the log, and not in the answer.
func explain(err error) *apiError {
	var e *apiError
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &long):
		return &apiError{http.StatusRequestEntityTooLarge, "too_large", "The body is too large."}
	case errors.Is(err, store.ErrNotFound):
		return &apiError{http.StatusNotFound, "not_found", sentence(err)}
	case errors.Is(err, store.ErrConflict):
		return &apiError{http.StatusConflict, "conflict", sentence(err)}
	case errors.Is(err, store.ErrInvalid), errors.Is(err, store.ErrNoTenant):
		return &apiError{http.StatusBadRequest, "invalid_query", sentence(err)}
	case errors.Is(err, store.ErrOld):
		return &apiError{http.StatusServiceUnavailable, "store_unavailable", sentence(store.ErrOld)}
	}
	return &apiError{http.StatusServiceUnavailable, "store_unavailable", "The store cannot be asked at present. The gateway's log says why."}
}

// sentence is an error as one.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// writeError answers with {"error": {"message", "code"}}.
func writeError(w http.ResponseWriter, err error) {
	e := explain(err)
	type inner struct {
		Message string `json:"message"`
		Code    string `json:"code"`
		File    string `json:"file,omitempty"`
		Line    int    `json:"line,omitempty"`
	}
	at := inner{Message: e.message, Code: e.code}
	if owned, ok := errors.AsType[*ownedError](err); ok {
		at.File, at.Line = owned.file, owned.line
	}
	writeJSON(w, e.status, struct {
		Error inner `json:"error"`
	}{at})
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
