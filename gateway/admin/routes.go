package admin

import (
	"context"
	"net/http"
	"net/http/pprof"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/console"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// about says what a route is about, and so whether a token that is for some tenants may use it.
type about uint8

const (
	theGateway about = iota // the whole: only tokens for all tenants
	oneTenant               // {tenant} in the path: another's is not there
	someTenant              // ?tenant= in the query: without it, the only one of the token, or everybody's
	anyTenant               // the handler looks after it
	nobody                  // neither who asks nor for whom matters
)

// route is one thing that can be asked for. All that the listener does is in the table of them.
type route struct {
	method, path string
	role         Role
	about        about
	action       string // name of its one entry in the audit; "": it changes nothing
	answer       any    // zero value of what it answers as JSON; nil: something else
	handle       func(c *call) error
}

// routes is the table.
func (s *Server) routes() []route {
	const v1 = "/admin/v1/"
	const one = v1 + "tenants/{tenant}"
	metrics := route{"GET", "/metrics", Anyone, nobody, "", nil, plain(promhttp.HandlerFor(s.o.Metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP)}
	if s.o.GuardMetrics {
		metrics.role, metrics.about = Viewer, theGateway
	}
	list := []route{
		metrics,
		{"GET", "/livez", Anyone, nobody, "", nil, plain(func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "alive") })},
		{"GET", "/readyz", Anyone, nobody, "", nil, plain(s.ready)},

		{"GET", v1 + "session", Anyone, nobody, "", Session{}, (*call).whoami},
		{"POST", v1 + "session", Anyone, nobody, "", nil, (*call).signIn},
		{"DELETE", v1 + "session", Anyone, nobody, "", nil, (*call).signOut},

		{"GET", v1 + "targets", Viewer, theGateway, "", Targets{}, (*call).targets},
		{"POST", v1 + "targets/drain", Operator, theGateway, "target.drain", Targets{}, ordering(health.Drain)},
		{"POST", v1 + "targets/disable", Operator, theGateway, "target.disable", Targets{}, ordering(health.Disable)},
		{"POST", v1 + "targets/enable", Operator, theGateway, "target.enable", Targets{}, ordering(health.Enable)},
		{"GET", v1 + "events", Viewer, theGateway, "", Events{}, (*call).events},
		{"GET", v1 + "exchanges", Viewer, anyTenant, "", Latest{}, (*call).exchanges},

		{"GET", v1 + "overview", Viewer, theGateway, "", Answer[Overview]{}, (*call).overview},
		{"GET", v1 + "cache", Viewer, theGateway, "", Answer[CacheFigures]{}, (*call).cacheFigures},
		{"GET", v1 + "config", Viewer, theGateway, "", Answer[Settings]{}, (*call).settings},

		{"GET", v1 + "tenants", Viewer, anyTenant, "", Answer[[]TenantLine]{}, (*call).listTenants},
		{"POST", v1 + "tenants", Admin, anyTenant, "tenant.create", Answer[Tenant]{}, (*call).createTenant},
		{"GET", one, Viewer, oneTenant, "", Answer[Tenant]{}, (*call).showTenant},
		{"PUT", one, Admin, oneTenant, "tenant.change", Answer[Tenant]{}, (*call).changeTenant},
		{"DELETE", one, Admin, oneTenant, "tenant.delete", Answer[Done]{}, (*call).deleteTenant},
		{"PUT", one + "/disabled", Admin, oneTenant, "tenant.disabled", Answer[Tenant]{}, changing("disabled")},
		{"GET", one + "/limits", Viewer, oneTenant, "", Answer[LimitsNow]{}, (*call).showLimits},
		{"PUT", one + "/limits", Admin, oneTenant, "tenant.limits", Answer[Tenant]{}, changing("limits")},
		{"GET", one + "/budgets", Viewer, oneTenant, "", Answer[BudgetsNow]{}, (*call).showBudgets},
		{"PUT", one + "/budgets", Admin, oneTenant, "tenant.budgets", Answer[Tenant]{}, changing("budgets")},

		{"GET", one + "/keys", Viewer, oneTenant, "", Answer[[]Key]{}, (*call).listKeys},
		{"POST", one + "/keys", Operator, oneTenant, "key.create", Answer[NewKey]{}, (*call).createKey},
		{"POST", one + "/keys/{key}/rotate", Operator, oneTenant, "key.rotate", Answer[NewKey]{}, (*call).rotateKey},
		{"POST", one + "/keys/{key}/revoke", Operator, oneTenant, "key.revoke", Answer[Done]{}, (*call).revokeKey},
		{"DELETE", one + "/keys/{key}/families", Operator, oneTenant, "key.families", Answer[Done]{}, (*call).revokeFamilies},
		{"DELETE", one + "/families/{family}", Operator, oneTenant, "family.revoke", Answer[Done]{}, (*call).revokeFamily},

		{"GET", one + "/cache/decisions/{exchange}", Viewer, oneTenant, "", Answer[gateway.CacheDecision]{}, (*call).explain},
		{"POST", one + "/cache/decisions/{exchange}/reject", Operator, oneTenant, "cache.reject", Answer[Done]{}, (*call).rejectAnswer},
		{"POST", one + "/cache/purge", Operator, oneTenant, "cache.purge", Answer[Purged]{}, (*call).purgeCache},
		{"POST", one + "/cache/warm", Operator, oneTenant, "cache.warm", Answer[Warmed]{}, (*call).warmCache},

		{"GET", one + "/api/v1/{path...}", Operator, oneTenant, "", nil, (*call).passOn},
		{"POST", one + "/api/v1/{path...}", Operator, oneTenant, "", nil, (*call).passOn},

		{"GET", v1 + "usage", Viewer, someTenant, "", Answer[[]Usage]{}, (*call).usage},
		{"GET", v1 + "ledger", Viewer, someTenant, "", Answer[[]ledger.Line]{}, (*call).ledger},
		{"GET", v1 + "ledger/{id}", Viewer, someTenant, "", Answer[ledger.Line]{}, (*call).row},
		{"GET", v1 + "ledger.csv", Viewer, someTenant, "", nil, (*call).export},
		{"GET", v1 + "ledger/verify", Operator, someTenant, "", Answer[Report]{}, (*call).verify},
		{"GET", v1 + "audit", Operator, someTenant, "", Answer[[]Change]{}, (*call).audit},
		{"GET", v1 + "stores", Operator, theGateway, "", Answer[Stores]{}, (*call).stores},
	}
	if s.o.Console != nil {
		for _, path := range console.Files {
			if path == "/" {
				path = "/{$}" // and nothing below it
			}
			list = append(list, route{"GET", path, Anyone, nobody, "", nil, plain(s.o.Console.ServeHTTP)})
		}
	}
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "profile": pprof.Profile, "trace": pprof.Trace, "symbol": pprof.Symbol, "cmdline": pprof.Cmdline,
	} {
		list = append(list, route{"GET", "/debug/pprof/" + path, Admin, theGateway, "", nil, plain(h)})
	}
	return list
}

// plain is a handler that asks nothing of the admin API.
func plain(h http.HandlerFunc) func(*call) error {
	return func(c *call) error {
		h(c.w, c.r)
		return nil
	}
}

// mux is made of the table: each path knows its methods, and whatever else is asked for is answered in the same form.
func (s *Server) mux() *http.ServeMux {
	byPath := map[string][]route{}
	for _, r := range s.routes() {
		byPath[r.path] = append(byPath[r.path], r)
	}
	mux := http.NewServeMux()
	for path, routes := range byPath {
		var methods []string
		for i := range routes {
			methods = append(methods, routes[i].method)
			if routes[i].method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
		slices.Sort(methods)
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			i := slices.IndexFunc(routes, func(x route) bool {
				return x.method == r.Method || x.method == http.MethodGet && r.Method == http.MethodHead
			})
			if i < 0 {
				w.Header().Set("Allow", strings.Join(methods, ", "))
				writeError(w, &apiError{http.StatusMethodNotAllowed, "method_not_allowed", "Here it is " + strings.Join(methods, ", ") + "."})
				return
			}
			s.serve(w, r, &routes[i])
		})
	}
	mux.HandleFunc("/admin/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &apiError{http.StatusNotFound, "not_found", "There is no " + r.Method + " " + r.URL.Path + " here."})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusNotFound, "The operators' pages are /, /metrics, /livez, /readyz?verbose, /admin/v1/… and /debug/pprof/. The API is on the other listener.")
	})
	return mux
}

// serve asks who it is and whether he may, and then the route's handler.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, route *route) {
	ctx, stop := context.WithTimeout(r.Context(), storeTimeout)
	defer stop()
	c := &call{s: s, w: w, r: r, ctx: ctx, route: route, query: r.URL.Query()}
	err := c.admit()
	if err == nil {
		err = route.handle(c)
	}
	if err != nil {
		if e := explain(err); e.status >= http.StatusInternalServerError {
			s.o.Log.Error("admin request failed", zap.String("path", r.URL.Path), zap.Error(err))
		}
		writeError(w, err)
	}
}

// call is one request of an operator.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	ctx   context.Context //nolint:containedctx // of what a store is asked: it ends before the request's does, which may be a stream
	route *route
	by    *caller
	query url.Values
}

// admit refuses who may not use the route, and tenants that are not his.
func (c *call) admit() (err error) {
	if c.route.role == Anyone {
		return nil
	}
	if c.by, err = c.s.authenticate(c.w, c.r); err != nil {
		return err
	}
	switch {
	case c.by.role < c.route.role:
		return &apiError{http.StatusForbidden, "role_too_low", "That takes the role " + c.route.role.String() + "; this is " + c.by.role.String() + "."}
	case c.route.about == theGateway && !c.by.all():
		return &apiError{http.StatusForbidden, "not_for_all", "That is about the whole gateway, and this token is for some tenants."}
	case c.route.about != oneTenant:
		return nil
	case !c.by.sees(c.tenant()):
		return noTenant(c.tenant())
	}
	return c.asks() // what is about one tenant says all in its path
}

// tenant is the one that the path names.
func (c *call) tenant() tenant.ID { return tenant.ID(c.r.PathValue("tenant")) }

func noTenant(id tenant.ID) error {
	return &apiError{http.StatusNotFound, "not_found", "There is no tenant " + strconv.Quote(string(id)) + "."}
}

// whose is whom the query asks for: ?tenant=, or else all that the caller may see.
func (c *call) whose() (store.Whose, error) {
	switch id := tenant.ID(c.query.Get("tenant")); {
	case id != "" && c.by.sees(id):
		return store.Only(id), nil
	case id != "":
		return store.Whose{}, noTenant(id)
	case c.by.all():
		return store.Everybody(), nil
	case len(c.by.tenants) == 1:
		return store.Only(c.by.tenants[0]), nil
	}
	return store.Whose{}, &apiError{http.StatusBadRequest, "missing_tenant", "Say for which tenant: ?tenant=ID. This token is for several."}
}

// asks refuses a query with other names than these, or with one of them twice.
func (c *call) asks(names ...string) error {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return &apiError{http.StatusBadRequest, "invalid_query", "The query is not valid: " + err.Error()}
	}
	for name, values := range query {
		if !slices.Contains(names, name) || len(values) > 1 {
			return &apiError{http.StatusBadRequest, "invalid_query", "The query may have " + strings.Join(names, ", ") + ", each once; not " + strconv.Quote(name) + "."}
		}
	}
	return nil
}

// storeTimeout is how long a store may take for what is no list of everything.
const storeTimeout = 15 * time.Second

// store is the store, if there is one.
func (c *call) store() (store.Store, error) {
	if c.s.o.Store == nil {
		return nil, &apiError{http.StatusServiceUnavailable, "store_unavailable", "There is no store: set stores.ledger to sqlite:PATH or postgres://…, and put ledger into the chain."}
	}
	return c.s.o.Store, nil
}

// entry is what the audit says of the change that this call makes. Every handler of a route with an action writes it once.
func (c *call) entry(object, before, after string) store.Entry {
	return store.Entry{
		At: time.Now().UTC(), Who: c.by.name, Role: c.by.role.String(), Address: c.by.address, Action: c.route.action,
		Object: object, Before: before, After: after,
	}
}

// changed makes a change of the store effective here, leaves a line in the log, and answers with what it has become. If this node
// cannot take it over now, it is told so, with 202: the change is made, other nodes may have it, and this one tries again twice
// a second.
func changed[T any](c *call, id tenant.ID, object string, status int, data T) error {
	a := Answer[T]{Data: data}
	if !c.apply(id, object) {
		status, a.Pending = http.StatusAccepted, "The change is in the store, but not in effect on this node yet, which tries again by itself. Its log says why."
	}
	return c.json(status, a)
}

// apply makes a change effective here, and says whether it is.
func (c *call) apply(id tenant.ID, object string) bool {
	c.s.o.Log.Info("admin change", zap.String("action", c.route.action), zap.String("tenant_id", string(id)), zap.String("object", object),
		zap.String("who", c.by.name), zap.String("remote_addr", c.r.RemoteAddr))
	if c.s.o.Apply == nil {
		return true
	}
	err := c.s.o.Apply(context.WithoutCancel(c.r.Context()))
	if err != nil {
		c.s.o.Log.Error("a change is in the store, but not yet in effect here", zap.String("action", c.route.action), zap.Error(err))
	}
	return err == nil
}

// json answers.
func (c *call) json(status int, value any) error {
	writeJSON(c.w, status, value)
	return nil
}

// Answer is what the admin API answers to most things.
type Answer[T any] struct {
	Data    T      `json:"data"`
	Next    string `json:"next,omitempty"`    // what ?after= continues a list with; left out after the last page
	Pending string `json:"pending,omitempty"` // why a change that was made has no effect on this node yet; the status is 202
}

// Done is the answer to what takes something away.
type Done struct {
	Done  bool `json:"done"`            // false: there was nothing to take away
	Count int  `json:"count,omitempty"` // of the things that were taken away, if it can be several
}
