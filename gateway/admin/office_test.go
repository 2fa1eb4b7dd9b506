package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// noon is when the rows are from.
var noon = time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)

// office is an admin API over a real store.
type office struct {
	t       *testing.T
	server  *admin.Server
	options admin.Options
	store   *sqlite.Store
	log     *observer.ObservedLogs
	applied int
	minted  int
}

// files are the tenants of files: one, filed, in a file filed.yaml with a key.
type files map[tenant.ID]admin.FileTenant

func (f files) IDs() (ids []tenant.ID) {
	for id := range f {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (f files) Tenant(id tenant.ID) (admin.FileTenant, bool) { t, ok := f[id]; return t, ok }

// meters know of one limit and one budget of each tenant but bolt.
type meters struct{}

func (meters) Status(id tenant.ID) []meter.Status {
	if id == "bolt" {
		return nil
	}
	return []meter.Status{
		{Account: meter.Account{Kind: meter.Tokens, Scope: tenant.Scope{Kind: tenant.OfKey, Name: "ci"}}, Limit: 1000, Remaining: 600, Held: 50, Up: true},
		{
			Account: meter.Account{Kind: meter.Money, Per: tenant.Month, Window: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Unix()},
			Limit:   250e12, Spent: 1.5e12, Reserved: 2e11, Held: 1e12, Remaining: 248e12, Until: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Up: true,
		},
	}
}

// cached is a cache that knows of one exchange of each tenant, req_1, and has two answers of each model.
type cached struct{}

func (cached) Explain(_ tenant.ID, exchange string) (gateway.CacheDecision, bool) {
	return gateway.CacheDecision{
		Exchange: exchange, At: noon, Result: "semantic", Answer: "ans_1", Score: 0.97, Threshold: 0.9,
		Candidates: []gateway.CacheCandidate{{Answer: "ans_1", Cosine: 0.99, Verified: 0.98, Score: 0.97}, {Answer: "ans_2", Cosine: 0.9, Refused: "guard:numbers"}},
	}, exchange == "req_1"
}

func (cached) Reject(_ tenant.ID, exchange string) bool { return exchange == "req_1" }

func (cached) Purge(p gateway.CachePurge) int {
	if p.Tenant == "" {
		return -1
	}
	if p.Model == "none" {
		return 0
	}
	return 2
}

func (cached) Warm(*gateway.Exchange, *chat.Reply) error { return nil }

// warm asks, or is given an answer, and refuses what a tag says.
func warm(_ context.Context, of tenant.ID, w *gateway.CacheWarm) (string, error) {
	switch {
	case w.Tags == "refuse":
		return "", errors.New("refused for " + string(of))
	case w.Answer == nil:
		return gateway.WarmAsked, nil
	}
	return gateway.WarmKept, nil
}

type journal struct{}

func (journal) Standing() ledger.Standing {
	return ledger.Standing{Segments: 2, Room: 1 << 20, Waiting: 3, Oldest: noon, Store: errors.New("canary-address")}
}

// secretOf is the token of that name.
func secretOf(name string) string { return "token-canary-of-" + name }

// tokensOf are tokens of each role, for all tenants and for acme alone, and one that has expired.
func tokensOf() (list []admin.Token) {
	for _, role := range []admin.Role{admin.Viewer, admin.Operator, admin.Admin} {
		for name, tenants := range map[string][]tenant.ID{role.String(): nil, role.String() + "-acme": {"acme"}} {
			list = append(list, admin.Token{Name: name, Digest: plain(secretOf(name)), Role: role, Tenants: tenants})
		}
	}
	return append(list,
		admin.Token{Name: "expired", Digest: plain(secretOf("expired")), Role: admin.Admin, Expires: time.Now().Add(-time.Second)},
		admin.Token{Name: "two", Digest: plain(secretOf("two")), Role: admin.Viewer, Tenants: []tenant.ID{"acme", "bolt"}},
		admin.Token{Name: "peppered", Digest: pepper([]byte(secretOf("peppered"))), Role: admin.Admin, Expires: time.Now().Add(time.Hour)})
}

func plain(s string) gateway.Digest {
	d, err := gateway.ParseDigest(sha(s))
	if err != nil {
		panic(err)
	}
	return d
}

// pepper is not HMAC: whatever it is, the server must ask for it.
func pepper(b []byte) gateway.Digest {
	d := plain("pepper" + string(b))
	d.Kind = gateway.HMACSHA256
	return d
}

// open is an office with tenants acme and bolt in its store, which have keys and rows of the same names, and filed in a file.
func open(t *testing.T, change ...func(*admin.Options)) *office {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	o := &office{t: t, store: s}
	core, log := observer.New(zap.DebugLevel)
	o.log = log
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_office_total", Help: "For the test."}))
	targets := health.New(health.Options{})
	targets.Target(health.ID{Provider: "a", Model: "m"}, health.Settings{})
	o.options = admin.Options{
		Metrics: registry, GuardMetrics: true, Health: func() admin.Health { return admin.Health{Ready: true} }, Targets: targets, Log: zap.New(core),
		Tokens: tokensOf(), Pepper: pepper, Store: s, Meters: meters{}, Journal: journal{}, Nodes: func() int { return 3 },
		Files: files{"filed": {Tenant: store.Tenant{
			ID: "filed", Spec: []byte(`{"name":"Filed","credentials":[{"provider":"a","key":"canary-credential"}]}`),
			Keys: []store.Key{{Name: "ci", Digest: "canary-digest", Spec: []byte(`{"models":["m"]}`)}},
		}, File: "tenants/filed.yaml", Line: 3}},
		Check: func(t store.Tenant) error {
			if strings.Contains(string(t.Spec), "nonsense") {
				return errors.New("acme.json:1:2: unknown field \"nonsense\"")
			}
			return nil
		},
		Mint: func(label string) (string, string, error) {
			o.minted++
			secret := fmt.Sprintf("sluice_%s_%d", label, o.minted)
			return secret, sha(secret), nil
		},
		Apply: func(context.Context) error { o.applied++; return nil },
		Cache: func() gateway.Cache { return cached{} }, Warm: warm, Recent: func() gateway.Recent { return &memory{} },
		Settings: func() admin.Settings {
			return admin.Settings{File: "sluice.yaml", Settings: []admin.Setting{{Path: "server.listen", Value: ":8080", Origin: "file", Line: 3}}}
		},
		API: func(w http.ResponseWriter, r *http.Request, of tenant.ID) {
			fmt.Fprintln(w, r.Method, r.URL, "as", of)
		},
		Console: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "the page", r.URL.Path) }),
	}
	for _, id := range []tenant.ID{"acme", "bolt"} {
		_, err := s.PutTenant(t.Context(), store.Tenant{ID: id, Spec: []byte(`{"id":"` + string(id) + `","version":1,"name":"The ` + string(id) + `","secret_of_tomorrow":"canary-unknown",` +
			`"limits":{"requests_per_minute":60},"budgets":[{"usd":"250","per":"month","mode":"strict"},{"usd":5,"per":"day","of":"key:ci","mode":"warn"}]}`)}, o.entry())
		o.must(err)
		_, err = s.PutKeys(t.Context(), id, []store.Key{{Name: "ci", Digest: sha("canary-digest " + string(id)), Spec: []byte(`{"models":["m"]}`), Created: noon}}, o.entry())
		o.must(err)
		for n := range 3 {
			_, err := s.Insert(t.Context(), []ledger.Row{rowOf(id, noon.Add(time.Duration(n)*time.Hour))})
			o.must(err)
		}
	}
	for _, f := range change {
		f(&o.options)
	}
	o.server = admin.New(o.options)
	return o
}

func rowOf(id tenant.ID, at time.Time) ledger.Row {
	return ledger.Row{
		ID: ledger.NewID(at), At: at, Node: "n1", Tenant: id, Key: "ci", User: "ann", Request: "req_1", Endpoint: "chat.completions", Dialect: "openai",
		Asked: "m", Model: "m", Provider: "a", Target: "m-1", Attempt: 1, Flags: ledger.Stream | ledger.Delivered, Outcome: ledger.Complete, Status: 200,
		First: 250 * time.Millisecond, Total: time.Second, Usage: chat.Usage{Input: 10, Output: 5, Provenance: chat.Reported},
		Price: 255, Cost: catalog.Cost{Picodollars: 1e9, Known: true}, Charge: 2e9, Reserved: 3e9,
	}
}

func (o *office) entry() store.Entry { return store.Entry{At: time.Now(), Who: "test", Action: "test"} }

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// from asks as a token of that name does; "" is nobody. Headers are given as name and value in turn.
func (o *office) from(who, method, path, body string, header ...string) reply {
	o.t.Helper()
	r := httptest.NewRequestWithContext(o.t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.1:1234"
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+secretOf(who))
	}
	for i := 0; i < len(header); i += 2 {
		switch header[i] {
		case "Host":
			r.Host = header[i+1]
		case "From":
			r.RemoteAddr = header[i+1]
		default:
			r.Header.Set(header[i], header[i+1])
		}
	}
	if strings.HasSuffix(path, "/profile") || strings.HasSuffix(path, "/trace") { // they take as long as the client waits
		ctx, stop := context.WithCancel(o.t.Context())
		stop()
		r = r.WithContext(ctx)
	}
	w := httptest.NewRecorder()
	o.server.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

// ask asks as an admin, and makes sure that the answer has a status.
func (o *office) ask(status int, method, path, body string, header ...string) reply {
	o.t.Helper()
	a := o.from("admin", method, "/admin/v1/"+path, body, header...)
	if a.status != status {
		o.t.Errorf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// fails asks as an admin, and makes sure that the answer is an error of a code.
func (o *office) fails(status int, code, method, path, body string, header ...string) reply {
	o.t.Helper()
	a := o.ask(status, method, path, body, header...)
	if got := a.code(); got != code {
		o.t.Errorf("%s %s: %s, want %s", method, path, a.body, code)
	}
	return a
}

func (a reply) code() string {
	var e struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal([]byte(a.body), &e) != nil || e.Error.Message == "" {
		return "no error: " + a.body
	}
	return e.Error.Code
}

// data is what an answer has under data.
func data[T any](t *testing.T, a reply) T {
	t.Helper()
	var x admin.Answer[T]
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return x.Data
}

// entries are those of the audit, the oldest first.
func (o *office) entries() []store.Entry {
	o.t.Helper()
	list, _, err := o.store.Entries(o.t.Context(), store.Everybody(), store.EntryQuery{Limit: store.MostRows})
	o.must(err)
	slices.Reverse(list)
	return list
}
