package fleet

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/postgres"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

const withPepper = "plugins: {auth: {pepper: " + pepper + ", failures: {burst: 100000}}}\n"

// tokens exchanges a key for an access and a refresh token of a user.
func (n *node) tokens(key, user string) (access, refresh string) {
	t := n.s.t
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "user": {user}}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url+"/oauth/token", strings.NewReader(form.Encode()))
	n.s.must(err)
	q.Header.Set("Authorization", "Bearer "+key)
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := do(q)
	n.s.must(err)
	var a struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	return a.Access, a.Refresh
}

// TestRevocation takes keys away, in a tenant's file and in the store: within a second no node serves them, nor the tokens
// that came of them.
func TestRevocation(t *testing.T) {
	s := newSite(t)
	s.database()
	s.more = withPepper
	names := []string{"k0", "k1", "k2"}
	write := func(names []string) {
		keys := "keys:\n"
		for _, name := range names {
			keys += "  - {name: " + name + ", digest: \"" + digest("file-"+name) + "\"}\n"
		}
		s.tenant("acme", keys)
	}
	write(names)
	nodes := s.nodes("n1", "n2", "n3")
	median := func(what string, revoke func(i int) (credentials []string)) {
		t.Helper()
		var all []time.Duration
		for i := range names {
			credentials := revoke(i)
			began := time.Now()
			for _, n := range nodes {
				for _, c := range credentials {
					n.until(c, http.StatusUnauthorized)
				}
			}
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		t.Logf("%s: on all nodes after %v", what, all)
		if all[len(all)/2] > time.Second {
			t.Errorf("%s: it took %v", what, all)
		}
	}
	median("a key in a file", func(i int) []string {
		k := "file-" + names[i]
		access, _ := nodes[i].tokens(k, "ann")
		nodes[(i+1)%3].until(access, http.StatusOK)
		write(append(slices.Clone(names[i+1:]), "last"))
		return []string{k, access}
	})

	db, err := postgres.Open(s.ledger)
	s.must(err)
	defer func() { _ = db.Close() }()
	ctx, entry := t.Context(), store.Entry{At: time.Now(), Who: "test", Role: "admin", Action: "test"}
	_, err = db.PutTenant(ctx, store.Tenant{ID: "bolt", Spec: []byte(`{"version":1,"id":"bolt"}`)}, entry)
	s.must(err)
	var keys []store.Key
	for _, name := range names {
		mac := hmac.New(sha256.New, []byte(pepper))
		mac.Write([]byte("store-" + name))
		keys = append(keys, store.Key{Name: name, Digest: "hmac-sha256:" + hex.EncodeToString(mac.Sum(nil)), Spec: []byte(`{}`), Created: time.Now()})
	}
	_, err = db.PutKeys(ctx, "bolt", keys, entry)
	s.must(err)
	for _, n := range nodes {
		n.until("store-k2", http.StatusOK)
	}
	median("a key in the store", func(i int) []string {
		k := "store-" + names[i]
		access, _ := nodes[i].tokens(k, "ann")
		nodes[(i+1)%3].until(access, http.StatusOK)
		s.must(db.RevokeKey(ctx, "bolt", names[i], entry))
		return []string{k, access}
	})
}

// until waits until a node answers a credential with a status.
func (n *node) until(credential string, want int) {
	n.s.t.Helper()
	servers.Await(n.s.t, n.name+" has heard of it", func(ctx context.Context) error {
		status, body, err := get(ctx, n.url+"/v1/models", credential)
		if err == nil && status != want {
			err = errors.New(body)
		}
		return err
	})
}

// TestTwoTenants has two tenants with the same names for everything: keys, users, files. Neither sees, pays for, or is kept from
// anything of the other's.
func TestTwoTenants(t *testing.T) {
	s := newSite(t)
	s.database()
	s.shared = "redis://" + startRedis(t)
	s.more = withPepper + "admin: {tokens: [" +
		"{name: a, role: admin, tenants: [acme], digest: \"" + digest("CANARY-ops-acme") + "\"}, " +
		"{name: b, role: admin, tenants: [bolt], digest: \"" + digest("CANARY-ops-bolt") + "\"}]}\n"
	for _, id := range []string{"acme", "bolt"} {
		s.tenant(id, keyOf("ci", id+"-key")+"credentials: [{provider: mock, key: own-of-"+id+"}]\nlimits: {each_user: {requests_per_minute: 3}}\n")
	}
	s.tenant("coil", keyOf("ci", "coil-key")+"budgets: [{usd: 1, per: total, of: each_user, mode: strict}, {usd: 2, per: total, of: each_key, mode: strict}]\n")
	s.tenant("dune", keyOf("ci", "dune-key")+"budgets: [{usd: 1, per: total, of: each_user, mode: strict}, {usd: 2, per: total, of: each_key, mode: strict}]\n")
	n := s.start("n1")

	// Files of the same id are each tenant's own.
	for _, id := range []string{"acme", "bolt"} {
		for _, path := range []string{"/v1/files/file-same~mock", "/v1/files/file-same", "/v1/files"} {
			status, body, err := get(t.Context(), n.url+path, id+"-key")
			if err != nil || strings.Contains(body, "own-of-") && !strings.Contains(body, "of-own-of-"+id) || status >= 500 {
				t.Errorf("%s, %s: %d %s %v", id, path, status, body, err)
			}
		}
		if _, body, _ := get(t.Context(), n.url+"/v1/files/file-same~mock", id+"-key"); !strings.Contains(body, "of-own-of-"+id) {
			t.Errorf("%s does not see its own: %s", id, body)
		}
	}
	if status, body, err := get(t.Context(), n.url+"/v1/files", "coil-key"); status != 403 {
		t.Errorf("an account that others share is listed: %d %s %v", status, body, err)
	}

	// A stored response is not there for another.
	id := n.respond("acme-key")
	for key, want := range map[string]int{"acme-key": 200, "bolt-key": 404, "coil-key": 404} {
		if status, body, err := get(t.Context(), n.url+"/v1/responses/"+id, key); status != want {
			t.Errorf("%s: %d %s %v", key, status, body, err)
		}
	}

	// Users of the same name have limits of their own.
	acme, _ := n.tokens("acme-key", "ann")
	bolt, _ := n.tokens("bolt-key", "ann")
	codes := func(credential string, times int) (codes []int) {
		for range times {
			a := n.ask(t.Context(), credential, chat("hello"))
			codes = append(codes, a.status)
		}
		return codes
	}
	if got := codes(acme, 5); !slices.Contains(got, 429) || got[0] != 200 {
		t.Errorf("%v", got)
	}
	if got := codes(bolt, 1); got[0] != 200 {
		t.Errorf("%v: the other's user has used up a limit", got)
	}

	// So have budgets.
	s.warm([]*node{n}, "coil-key")
	s.warm([]*node{n}, "dune-key")
	coil, _ := n.tokens("coil-key", "ann")
	dune, _ := n.tokens("dune-key", "ann")
	s.warm([]*node{n}, coil)
	s.warm([]*node{n}, dune)
	if got := codes(coil, 30); got[29] != 429 {
		t.Errorf("%v", got)
	}
	if got := codes(dune, 2); got[0] != 200 || got[1] != 200 {
		t.Errorf("%v: the other's user has spent a budget", got)
	}

	s.theirs(n)
}

// respond makes a response that the gateway keeps.
func (n *node) respond(key string) (id string) {
	t := n.s.t
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url+"/v1/responses", strings.NewReader(`{"model":"m","input":"hello","max_output_tokens":16}`))
	n.s.must(err)
	q.Header.Set("Authorization", "Bearer "+key)
	q.Header.Set("Content-Type", "application/json")
	status, body, err := do(q)
	n.s.must(err)
	var a struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 || a.ID == "" {
		t.Fatalf("%d %s", status, body)
	}
	return a.ID
}

// theirs asks the store, and the admin API as one tenant's operator, about another.
func (s *site) theirs(n *node) {
	s.t.Helper()
	db, err := postgres.Open(s.ledger)
	s.must(err)
	defer func() { _ = db.Close() }()
	for _, id := range []tenant.ID{"acme", "bolt"} {
		servers.Await(s.t, "rows are shipped", func(ctx context.Context) error {
			rows, _, err := db.Rows(ctx, store.Only(id), store.RowQuery{Limit: 1000})
			if err == nil && len(rows) == 0 {
				err = store.ErrNotFound
			}
			for i := range rows {
				if rows[i].Tenant != id {
					s.t.Errorf("%s sees %+v", id, rows[i])
				}
			}
			return err
		})
	}
	f := func(id, path string, want int) {
		s.t.Helper()
		status, body, err := get(s.t.Context(), n.ops+"/admin/v1/"+path, "CANARY-ops-"+id)
		other := map[string]string{"acme": "bolt", "bolt": "acme"}[id]
		if err != nil || status != want || strings.Contains(body, other) || strings.Contains(body, "coil") {
			s.t.Errorf("%s, %s: %d %s %v", id, path, status, body, err)
		}
		if status == 200 && !strings.Contains(path, "verify") && !strings.Contains(path, "audit") && path != "usage" && !strings.Contains(body, id) {
			s.t.Errorf("%s, %s: nothing of its own: %s", id, path, body)
		}
	}
	for id, other := range map[string]string{"acme": "bolt", "bolt": "acme"} {
		for _, path := range []string{"tenants", "usage", "ledger", "ledger.csv", "audit", "ledger/verify"} {
			f(id, path, 200)
		}
		f(id, "tenants/"+id, 200)
		for _, path := range []string{"", "/keys", "/limits", "/budgets"} {
			status, body, err := get(s.t.Context(), n.ops+"/admin/v1/tenants/"+other+path, "CANARY-ops-"+id)
			if err != nil || status != 404 {
				s.t.Errorf("%s, %s%s: %d %s %v", id, other, path, status, body, err)
			}
		}
	}
}
