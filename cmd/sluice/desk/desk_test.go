package desk_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/cmd/sluice/app"
	"github.com/sluice-ai/sluice/cmd/sluice/desk"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("gateway.yaml", `
version: 1
providers: [{name: openai, type: openai, keys: [{name: main, key: "sk-operators-canary"}]}]
models: [{name: m, targets: [{provider: openai}]}]
chain: [telemetry, ledger, auth, quota, routing]
`)
	write("tenants/acme.yaml", `
version: 1
id: acme
name: Acme
keys: [{name: ci, digest: "sha256:`+strings.Repeat("a", 64)+`", expires: 2999-01-31, models: [m], limits: {concurrent: 2}}]
credentials: [{provider: openai, key: sk-tenants-canary}]
limits: {requests_per_minute: 60, each_key: {concurrent: 3}}
budgets: [{usd: 0.5, per: day, warn_at: [50%, 0.8]}]
`)
	write("tenants/zed.yaml", "version: 1\nid: zed\n")
	cfg, err := config.NewLoader(config.Options{Path: filepath.Join(dir, "gateway.yaml"), Plugins: app.Prototypes(), Endpoints: app.Endpoints()}).Load()
	if err != nil {
		t.Fatal(err)
	}
	made, err := config.ParseTenant("made", "made.yaml", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Tenants.List = slices.Insert(cfg.Tenants.List, 1, made) // as the gateway does with those of the store
	files := desk.Files(func() *config.Config { return cfg })

	if ids := files.IDs(); !slices.Equal(ids, []tenant.ID{"acme", "zed"}) {
		t.Error(ids)
	}
	for _, id := range []tenant.ID{"made", "nobody", ""} {
		if x, ok := files.Tenant(id); ok {
			t.Errorf("%+v", x)
		}
	}
	x, ok := files.Tenant("acme")
	if !ok || x.ID != "acme" || x.File != filepath.Join(dir, "tenants/acme.yaml") || strings.Contains(string(x.Spec), "canary") || strings.Contains(string(x.Spec), "digest") {
		t.Errorf("%+v %s", x, x.Spec)
	}
	var spec admin.Spec
	if err := json.Unmarshal(x.Spec, &spec); err != nil {
		t.Fatal(err)
	}
	if spec.Name != "Acme" || spec.Limits.RequestsPerMinute != 60 || spec.Limits.EachKey.Concurrent != 3 || spec.Credentials[0].Provider != "openai" ||
		spec.Budgets[0].USD != "0.50" || !slices.Equal(spec.Budgets[0].WarnAt, []admin.Text{"50%", "80%"}) || spec.Budgets[0].Mode != "metered" {
		t.Errorf("%+v", spec)
	}
	if k := x.Keys[0]; k.Name != "ci" || k.Expires.Year() != 2999 || string(k.Spec) != `{"limits":{"concurrent":2},"models":["m"]}` {
		t.Errorf("%+v %s", k, k.Spec)
	}
}

func TestCheck(t *testing.T) {
	f := func(want string, x store.Tenant) {
		t.Helper()
		if err := desk.Check(x); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", x.Spec, err, want)
		}
	}
	good := "sha256:" + strings.Repeat("0", 64)
	f("", store.Tenant{ID: "acme", Spec: []byte(`{"id":"acme","version":1,"name":"Acme"}`), Keys: []store.Key{{Name: "ci", Digest: good, Spec: []byte(`{"models":["m"]}`)}}})
	f("nmae", store.Tenant{ID: "acme", Spec: []byte(`{"nmae":"Acme"}`)})
	f("id", store.Tenant{ID: "acme", Spec: []byte(`{"id":"bolt"}`)})
	f("digest", store.Tenant{ID: "acme", Spec: []byte(`{}`), Keys: []store.Key{{Name: "ci", Digest: "md5:1"}}})
	f("lmits", store.Tenant{ID: "acme", Spec: []byte(`{}`), Keys: []store.Key{{Name: "ci", Digest: good, Spec: []byte(`{"lmits":{}}`)}}})
}

func TestMint(t *testing.T) {
	pepper := config.NewSecret("a-pepper-of-32-bytes-of-the-test")
	for _, p := range []config.Secret{{}, pepper} {
		secret, digest, err := desk.Mint(p)("acme")
		if err != nil || !key.Wellformed([]byte(secret)) || digest != key.Text(desk.Digest(secret, p)) || strings.HasPrefix(digest, "hmac") == p.IsZero() {
			t.Errorf("%s %s %v", secret, digest, err)
		}
	}
	if _, _, err := desk.Mint(pepper)("NO"); err == nil {
		t.Error("a label that cannot be is taken")
	}
}

func TestTokens(t *testing.T) {
	digest := "sha256:" + strings.Repeat("1", 64)
	list, err := desk.Tokens(config.Admin{Tokens: []config.AdminToken{{Name: "ops", Digest: digest, Role: "operator", Tenants: []string{"acme"}, Expires: time.Unix(9, 0)}}})
	if err != nil || len(list) != 1 || list[0].Role != admin.Operator || list[0].Tenants[0] != "acme" || list[0].Expires.Unix() != 9 || list[0].Digest.Sum[0] != 0x11 {
		t.Errorf("%+v %v", list, err)
	}
	for _, x := range []config.AdminToken{{Digest: "x", Role: "viewer"}, {Digest: digest, Role: "root"}} {
		if _, err := desk.Tokens(config.Admin{Tokens: []config.AdminToken{x}}); err == nil {
			t.Errorf("%+v is taken", x)
		}
	}
}

// TestSpec holds what the admin API shows of a tenant against what a file can say: who adds a member there has to decide whether
// operators may see it.
func TestSpec(t *testing.T) {
	hidden := []string{"version", "id", "keys", "credentials.key"}
	var walk func(at string, file, api reflect.Type)
	walk = func(at string, file, api reflect.Type) {
		members := map[string]reflect.Type{}
		for _, f := range reflect.VisibleFields(api) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			members[name] = f.Type
		}
		for _, f := range reflect.VisibleFields(file) {
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			path := at + name
			if name == "-" || slices.Contains(hidden, path) {
				continue
			}
			shown, ok := members[name]
			if !ok {
				t.Errorf("%s is not shown by the admin API: add it to admin.Spec, or to what is hidden here", path)
				continue
			}
			inner, apis := f.Type, shown
			for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			for apis.Kind() == reflect.Slice || apis.Kind() == reflect.Pointer {
				apis = apis.Elem()
			}
			if inner.Kind() == reflect.Struct && apis.Kind() == reflect.Struct {
				walk(path+".", inner, apis)
			}
		}
	}
	walk("", reflect.TypeFor[config.Tenant](), reflect.TypeFor[admin.Spec]())
}
