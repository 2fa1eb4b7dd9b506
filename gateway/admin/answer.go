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

// errElsewhere is for what a page of another origin asks for through an operator's browser.
var errElsewhere = &apiError{http.StatusForbidden, "cross_origin", "The request comes from a page of another site."}

// protect keeps pages of other sites from acting through an operator's browser: there is no CORS, and what comes from another
// origin is refused. A page whose name was pointed here after it had been loaded from elsewhere (DNS rebinding) is of this origin
// to the browser, but it has neither a token nor the cookie, and where none is needed names are refused, see [Server.known].
func protect(h http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeError(w, errElsewhere) }))
	return cross.Handler(h)
}

// literal says whether a Host is an IP address or localhost, which nobody can point elsewhere.
func literal(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
