// Package admin is the operators' listener: metrics, liveness, readiness, targets, tenants with their keys, limits and budgets,
// usage, the ledger and profiles. It is apart from the API so that it can be kept from the callers' network; net/http serves it
// because nothing here is hot.
//
// Everything it does is a row of the table in routes.go. /metrics, /livez and /readyz ask nobody who he is. The rest is for who
// has a token ("Authorization: Bearer …") of the role that its row says; a token for some tenants sees no others. As long as
// there are no tokens, whoever is on the same machine may do everything, and who is not takes the one that was printed at the
// start, if the listener can be reached from elsewhere. A browser has its token made a cookie.
//
// What the API makes is kept in the store, each change together with its entry in the audit, in one transaction. Tenants of files
// can be seen and not changed: that is 409 file_owned, with the file. Answers are {"data": …} with "next" where a list goes on
// (?after=), but for those about targets, and errors {"error": {"message", "code"}}. A change that is made, but has no effect on
// this node yet, is answered with 202 in place of 200 or 201, and with "pending", which says so. Times are RFC 3339, in UTC. Money is a decimal
// number of dollars as a text, exactly. No answer has a secret, but for that of a new key, once.
//
//	POST /admin/v1/session                 {"token"} becomes a cookie, for browsers; GET says who that is, DELETE ends it
//	GET  /admin/v1/targets                 what is known of each target; ?provider= &key= &model= choose
//	POST /admin/v1/targets/drain           no new requests; also disable (no probes either), enable (takes both back);
//	                                       a provider must be chosen, {"reason": "…"} may say why; it holds until the
//	                                       process ends or another order, also for targets that come later. It is in memory,
//	                                       so it is done even if the store, and with it the audit, is away: the log has it
//	GET  /admin/v1/events                  changes of targets; as SSE if that is accepted
//	GET  /admin/v1/exchanges               the latest of this node, as the log has them, with their attempts and the plugins they
//	                                       came to; ?tenant= &after= &limit=; as SSE if that is accepted
//	GET  /admin/v1/overview                today's sums, and how the last two hours went, by this node's metrics
//	GET  /admin/v1/cache                   what the cache has done, by the same
//	GET  /admin/v1/config                  the settings in effect, each with where it comes from
//	GET  /admin/v1/tenants                 of files and of the store; ?after= &limit=
//	POST /admin/v1/tenants                 {"id": …} and what a tenant file has, but keys, credentials and references
//	PUT  /admin/v1/tenants/ID              the same, in place of all that was said; whether it is disabled stays, unless it is said.
//	                                       It takes If-Match: "REVISION", the ETag of GET, or *
//	DELETE /admin/v1/tenants/ID            what the store has of it, keys and refresh tokens too; its rows stay, so the store never
//	                                       gives its id again. Of a tenant that a file defines as well, the file's stays
//	PUT  /admin/v1/tenants/ID/disabled     true or false: whether all of the tenant's keys and tokens are refused
//	GET  /admin/v1/tenants/ID/limits       as configured, and as they stand on this node; also budgets. PUT replaces them
//	POST /admin/v1/tenants/ID/keys         {"name", "expires", "models", "limits"}; the answer has the key, once. GET lists
//	POST /admin/v1/tenants/ID/keys/NAME/rotate   {"grace": "1h"}: a new key, and how long the old one still works; also revoke,
//	                                       which takes those that the key has replaced, too
//	DELETE /admin/v1/tenants/ID/keys/NAME/families, /admin/v1/tenants/ID/families/FAMILY   refresh tokens
//	GET  /admin/v1/tenants/ID/cache/decisions/REQUEST   why a request was answered from the cache, or not: the candidates, the
//	                                       guards and the scores, by its x-request-id, on this node
//	POST /admin/v1/tenants/ID/cache/decisions/REQUEST/reject   the answer was wrong: it is not given to that question again
//	POST /admin/v1/tenants/ID/cache/purge  {"model", "tag", "id"} choose; {} is all of the tenant's, on this node
//	POST /admin/v1/tenants/ID/cache/warm   JSON lines {"request", "answer", "endpoint", "user", "tags"}: without an answer a provider is
//	                                       asked, at the tenant's cost
//	GET  /admin/v1/tenants/ID/api/v1/…     the gateway's API, as that tenant: the console's playground. Also POST, and WebSockets
//	GET  /admin/v1/usage                   sums; ?tenant= &from= &to= &by=day,model &format=csv
//	GET  /admin/v1/ledger, ledger.csv      rows; ?tenant= &from= &to= &key= &user= &model= &provider= &request= &outcome=
//	GET  /admin/v1/ledger/ID, ledger/verify, audit, stores
//	GET  /                                 the console, for browsers, which asks all of this
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
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

// Options are what the listener shows, and what it can change. What is nil is not there.
type Options struct {
	Metrics      prometheus.Gatherer
	GuardMetrics bool // /metrics takes a token, too
	Health       func() Health
	Targets      *health.Registry
	Feed         *Feed       // is told of the targets' events
	Log          *zap.Logger // of orders and changes

	Tokens  []Token                                // of operators; see also [Server.Use]
	Printed *Token                                 // as long as there are none, for who is not on this machine; nil: nobody else may look
	Pepper  func(credential []byte) gateway.Digest // the digest of a token with the server's pepper

	Store   store.Store
	Files   Files
	Meters  Meters
	Journal Journal
	Nodes   func() int           // how many share the counts of limits and budgets
	Cache   func() gateway.Cache // the present generation's; nil: it has none
	Warm    Warm                 // that cache; not nil if there is one
	Recent  func() gateway.Recent
	Console http.Handler // the pages for browsers, at [console.Files]
	// Settings are the configuration in effect; CachePolicy is what it lets the semantic cache do.
	Settings    func() Settings
	CachePolicy func() CachePolicy
	// API answers what the console asks of the gateway's API on behalf of a tenant; its paths are those of the API.
	API func(http.ResponseWriter, *http.Request, tenant.ID)

	// Check says what is wrong with a tenant of the store, by the rules of tenant files, keys included. Its error is shown.
	Check func(store.Tenant) error
	// Mint makes an API key, and the digest that is kept of it. The label is for people.
	Mint func(label string) (secret, digest string, err error)
	// Apply makes what changed in the store effective on this node, before it is answered.
	Apply func(context.Context) error
}

// Files are the tenants that files define.
type Files interface {
	// IDs are the tenants' ids, sorted.
	IDs() []tenant.ID
	// Tenant is one of them: its Spec is JSON, without its keys.
	Tenant(id tenant.ID) (t FileTenant, ok bool)
}

// FileTenant is a tenant of a file.
type FileTenant struct {
	store.Tenant
	File string
	Line int // 0: not known
}

// Meters say how the accounts of a tenant stand; [meter.Meters] do.
type Meters interface {
	Status(id tenant.ID) []meter.Status
}

// Journal says how the ledger's journal is; [ledger.Journal] does.
type Journal interface {
	Standing() ledger.Standing
}

// Server serves the operators.
type Server struct {
	o        Options
	http     http.Server
	handler  http.Handler
	tokens   atomic.Pointer[[]Token]
	failures failures
	sessions sessions
	history  history
	mark     string        // of this process, in the ids of events
	closed   chan struct{} // ends streams
	once     sync.Once
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
	s.Use(o.Tokens)
	s.handler = protect(s.mux())
	s.http = http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve accepts connections until Close. It closes l.
func (s *Server) Serve(l net.Listener) error {
	ctx, stop := context.WithCancel(context.Background())
	var looking sync.WaitGroup
	looking.Go(func() { s.watch(ctx) })
	defer looking.Wait()
	defer stop()
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
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	h := s.o.Health()
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
