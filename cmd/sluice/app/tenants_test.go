package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/store"
)

// manage sends something to the admin API.
func (s *site) manage(c *http.Client, method, path, body string) answer {
	q, err := http.NewRequest(method, "http://"+s.AdminAddress().String()+"/admin/v1/"+path, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	return do(c, q)
}

// mint makes a key of a tenant of the store.
func (s *site) mint(c *http.Client, tenant, name string) (secret string) {
	s.t.Helper()
	a := s.manage(c, http.MethodPost, "tenants/"+tenant+"/keys", `{"name":"`+name+`"}`)
	var made struct {
		Data struct {
			Secret string `json:"secret"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || made.Data.Secret == "" {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	return made.Data.Secret
}

// What the admin API takes away is taken away at once, whatever state the gateway file is in.
func TestStoreWhileTheFileIsBroken(t *testing.T) {
	_, up := simulate(t, fast())
	file := gatewayFile("ordered", up) + "chain: [telemetry, ledger, auth, routing]\n"
	s := start(t, file)
	defer s.stop()
	c := client(t)
	if a := s.manage(c, http.MethodPost, "tenants", `{"id":"beta"}`); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	one, two := s.mint(c, "beta", "one"), s.mint(c, "beta", "two")
	s.write("sluice.yaml", file+"nonsense: [\n")
	if err := s.App.reload(); err == nil {
		t.Fatal("the file was taken")
	}
	// f asks with both keys.
	f := func(first, second int) {
		t.Helper()
		if a, b := s.askAs(c, one, unary("sim-fast")).status, s.askAs(c, two, unary("sim-fast")).status; a != first || b != second {
			t.Errorf("%d, %d; want %d, %d", a, b, first, second)
		}
	}
	f(200, 200)
	if a := s.manage(c, http.MethodPost, "tenants/beta/keys/one/revoke", ""); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	f(401, 200)
	three := s.mint(c, "beta", "three")
	if a := s.askAs(c, three, unary("sim-fast")); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.manage(c, http.MethodDelete, "tenants/beta", ""); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	f(401, 401)
	if a := s.ask(c, unary("sim-fast")); a.status != http.StatusOK { // of a file
		t.Errorf("%d %s", a.status, a.body)
	}
	if h := s.health(); len(h.Faults) != 1 || !strings.Contains(h.Faults[0], "sluice.yaml:") {
		t.Errorf("%q", h.Faults)
	}

	// What another node has changed, too.
	if a := s.manage(c, http.MethodPost, "tenants", `{"id":"gamma"}`); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.body)
	}
	four := s.mint(c, "gamma", "four")
	if err := s.stores.store.RevokeKey(t.Context(), "gamma", "four", store.Entry{At: time.Now(), Who: "another", Action: "key.revoke", Object: "four"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the key is refused", func() bool { return s.askAs(c, four, unary("sim-fast")).status == http.StatusUnauthorized })
}

// What a newer version has written, and this one cannot read, brings no key back.
func TestUnreadableInTheStore(t *testing.T) {
	m := newMade(nil, zap.NewNop())
	m.revision = 1
	one, two := store.Key{Name: "one", Digest: "sha256:1"}, store.Key{Name: "two", Digest: "sha256:2"}
	// f takes what the store has, and says what is in effect then.
	f := func(spec, keys string, disabled bool, in ...store.Key) {
		t.Helper()
		m.take(&store.Tenant{ID: "beta", Spec: []byte(spec), Keys: in})
		merged, faults, _ := m.merge(&config.Config{})
		var got []string
		for _, b := range merged.Tenants.List {
			if b.Disabled != disabled {
				t.Errorf("disabled: %v", b.Disabled)
			}
			for _, k := range b.Keys {
				if k.Expires.IsZero() {
					got = append(got, k.Name)
				} else {
					got = append(got, k.Name+" expires")
				}
			}
		}
		if strings.Join(got, ", ") != keys || (len(faults) > 0) != strings.Contains(spec, "newer") {
			t.Errorf("%q, want %q; faults %q", got, keys, faults)
		}
	}
	f(`{"newer": 1}`, "", false, one)
	f(`{}`, "one, two", false, one, two)
	f(`{"newer": 1}`, "one, two", false, one, two)
	old := two
	old.Name, old.Expires = "two~1", time.Now()
	f(`{"newer": 2}`, "one, two~1 expires", false, one, old, store.Key{Name: "two", Digest: "sha256:3"})
	f(`{"newer": 2}`, "two~1 expires", false, old)
	f(`{"newer": 3, "disabled": true}`, "two~1 expires", true, old)
	f(`{"newer": "${env:A}", "disabled": 3}`, "", true)
	f(`{}`, "two", false, two)
}

// As long as the store was not read, nobody's key is called wrong; those of files work.
func TestStartWithoutTheStore(t *testing.T) {
	_, up := simulate(t, fast())
	s := start(t, gatewayFile("ordered", up)+`chain: [telemetry, ledger, auth, routing]
stores: {ledger: "postgres://sluice@127.0.0.1:1/sluice"}
`)
	defer s.stop()
	c := client(t)
	if a := s.ask(c, unary("sim-fast")); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.askAs(c, "sk-perhaps-of-the-store", unary("sim-fast")); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "temporarily_unavailable") {
		t.Errorf("%d %s", a.status, a.body)
	}
	q, err := http.NewRequest(http.MethodGet, "http://"+s.AdminAddress().String()+"/readyz?verbose", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if a := do(c, q); a.status != http.StatusOK || !strings.Contains(a.body, "tenants of the store are not known yet") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// late is a store without tenants that cannot be read at first.
type late struct {
	store.Store
	away bool
}

func (l *late) Revision(context.Context) (int64, error) {
	if l.away {
		return 0, errors.New("away")
	}
	return 0, nil
}

func (l *late) Tenants(_ context.Context, since int64) (int64, []store.Tenant, error) {
	if since < 0 {
		return 0, nil, store.ErrInvalid
	}
	return 0, nil, nil
}

// Once a store was read, all is known, even if there is nothing in it.
func TestTheStoreIsRead(t *testing.T) {
	l := &late{away: true}
	m := newMade(l, zap.NewNop())
	// f reads the store, and says whether there is something new, and whether all is known then.
	f := func(news, partial bool) {
		t.Helper()
		if err := m.refresh(t.Context()); (err != nil) != l.away || m.pending() != news {
			t.Errorf("%v, news: %v", err, !news)
		}
		c, faults, revision := m.merge(&config.Config{})
		if m.use(revision); c.Tenants.Partial != partial || (len(faults) > 0) != partial {
			t.Errorf("partial: %v; %q", c.Tenants.Partial, faults)
		}
	}
	f(false, true)
	l.away = false
	f(true, false)
	f(false, false)
	l.away = true
	f(false, false)
}
