package house_test

import (
	"path"
	"strings"
	"testing"
)

// rooms says who may import whom, of our own packages: a package, and what it may import. The first line that fits is
// the one that holds, and every package needs one. a/* is any folder in a, a/... is a and everything below; a * on the
// right is the folder that it stands for on the left.
//
// A dialect knows no other, with one exception: errors of OpenAI's Responses API are those of its chat completions.
const rooms = `
config                    gateway/tenant
config/schema             config gateway/tenant
configs                   -

gateway                   gateway/wire/chat gateway/wire/peek gateway/wire/form gateway/catalog gateway/health gateway/admission gateway/tenant gateway/meter gateway/ledger gateway/store gateway/internal/clock
gateway/health            gateway/internal/clock
gateway/admission         gateway/internal/clock
gateway/tenant            -
gateway/meter             gateway/tenant gateway/internal/clock
gateway/meter/...         gateway/tenant gateway/meter gateway/internal/...
gateway/ledger            gateway/tenant gateway/wire/chat gateway/catalog gateway/internal/clock
gateway/ledger/...        gateway/tenant gateway/ledger gateway/wire/chat gateway/catalog gateway/internal/...
gateway/store             gateway/tenant gateway/ledger gateway/wire/chat gateway/catalog
gateway/store/...         gateway/tenant gateway/store/... gateway/ledger gateway/wire/chat gateway/catalog gateway/internal/...
gateway/catalog           gateway/wire/chat
gateway/catalog/*         gateway/wire/chat gateway/catalog
gateway/wire              gateway/wire/*
gateway/wire/chat         gateway/wire/peek
gateway/wire/sse          -
gateway/wire/peek         -
gateway/wire/shape        gateway/wire/chat gateway/wire/peek
gateway/wire/responses    gateway/wire/chat gateway/wire/sse gateway/wire/peek gateway/wire/shape gateway/wire/openai
gateway/wire/*            gateway/wire/chat gateway/wire/sse gateway/wire/peek gateway/wire/shape
gateway/internal/...      gateway/internal/...

gateway/serve             gateway gateway/health gateway/admission gateway/tenant gateway/meter gateway/ledger gateway/store gateway/catalog gateway/wire/... gateway/internal/...
gateway/serve/socket      gateway gateway/serve gateway/tenant gateway/wire/... gateway/internal/...
gateway/forward           gateway gateway/health gateway/admission gateway/tenant gateway/meter gateway/ledger gateway/store gateway/catalog gateway/wire/... gateway/internal/...
gateway/upstream          gateway gateway/health gateway/admission gateway/tenant gateway/meter gateway/ledger gateway/store gateway/catalog gateway/wire/... gateway/internal/...
gateway/admin             gateway gateway/health gateway/admission gateway/tenant gateway/meter gateway/ledger gateway/store gateway/catalog gateway/wire/... gateway/internal/... gateway/console
gateway/console           -
gateway/sim               gateway gateway/health gateway/admission gateway/tenant gateway/meter gateway/ledger gateway/store gateway/catalog gateway/wire/... gateway/internal/...
gateway/runtime           gateway gateway/health gateway/admission gateway/tenant gateway/meter gateway/ledger gateway/store gateway/catalog gateway/wire/... gateway/internal/... gateway/serve gateway/forward gateway/upstream gateway/admin gateway/sim config
gateway/gatewaytest       gateway gateway/health gateway/admission gateway/tenant gateway/meter gateway/ledger gateway/store gateway/catalog gateway/wire/... gateway/internal/... gateway/serve gateway/forward gateway/upstream gateway/sim
gateway/gatewaytest/servers gateway/internal/servers

plugins                   gateway gateway/tenant gateway/meter gateway/ledger gateway/store plugins/...
plugins/routing/...       gateway gateway/health gateway/admission gateway/tenant gateway/wire/chat gateway/catalog config plugins/routing/... gateway/wire/openai gateway/wire/anthropic
plugins/quota/...         gateway gateway/tenant gateway/meter gateway/ledger gateway/wire/... gateway/catalog config plugins/quota/...
plugins/telemetry/...     gateway gateway/tenant gateway/wire/... gateway/catalog config
plugins/cache/...         gateway gateway/tenant gateway/ledger gateway/wire/... gateway/catalog config plugins/cache/...
plugins/*/...             gateway gateway/tenant gateway/meter gateway/ledger gateway/store gateway/wire/chat gateway/catalog config plugins/*/...

cmd/...                   cmd/... config configs gateway/... plugins/...
benchmarks/...            benchmarks/... config configs gateway/... plugins/auth/key plugins/cache/...
`

// visitors says where packages from elsewhere, and some of the standard library's, may be imported: nowhere else. A
// package stands for those below it too. Tests are free of it.
const visitors = `
github.com/valyala/fasthttp    gateway/serve gateway/sim benchmarks/...
github.com/fasthttp/websocket  gateway/serve/socket benchmarks/...
github.com/redis               gateway/meter/redis gateway/ledger/publish plugins/cache/fleet
github.com/jackc/pgx           gateway/store/postgres
modernc.org/sqlite             gateway/store/sqlite
github.com/pressly/goose       gateway/store/...
github.com/maypok86/otter      plugins/cache plugins/cache/embed
github.com/golang-jwt          plugins/auth
github.com/MicahParks          plugins/auth
github.com/spf13/viper         config
go.opentelemetry.io            plugins/telemetry
github.com/spf13/cobra         cmd/... benchmarks/...
os/exec                        benchmarks/... gateway/internal/servers
plugin                         -
`

// inTests is what tests may import beyond what their package may.
const inTests = "config config/schema configs gateway/..."

const module = "github.com/sluice-ai/sluice/"

func TestImports(t *testing.T) {
	for _, f := range goFiles(t) {
		may, known := mayImport(f.pkg)
		if !known {
			t.Errorf("%s: package %s has no room: add a line to the table in imports_test.go", f.path, f.pkg)
			continue
		}
		if f.test {
			may += " " + inTests + " " + f.pkg
		}
		for _, imp := range f.imports() {
			if ours, ok := strings.CutPrefix(imp, module); ok {
				if !fitsAny(may, ours) {
					t.Errorf("%s: %s may not import %s, only: %s", f.path, f.pkg, ours, may)
				}
			} else if where, guarded := whereAllowed(imp); guarded && !f.test && !fitsAny(where, f.pkg) {
				t.Errorf("%s: %s is imported in %s, only: %s", f.path, imp, f.pkg, where)
			}
		}
	}
}

// The tables say what they are meant to say.
func TestRooms(t *testing.T) {
	f := func(pkg, imported string, want bool) {
		t.Helper()
		may, known := mayImport(pkg)
		if got := known && fitsAny(may, imported); got != want {
			t.Errorf("may %s import %s: %t", pkg, imported, got)
		}
	}
	f("gateway", "gateway/wire/chat", true)
	f("gateway", "gateway/wire", false)
	f("gateway", "config", false)
	f("config", "gateway", false)
	f("gateway/wire", "gateway/wire/openai", true)
	f("gateway/wire/openai", "gateway/wire/sse", true)
	f("gateway/wire/openai", "gateway/wire", false)
	f("gateway/wire/openai", "gateway/wire/anthropic", false)
	f("gateway/wire/responses", "gateway/wire/openai", true)
	f("gateway/wire/responses", "gateway/wire/anthropic", false)
	f("gateway/wire/chat", "gateway/wire/sse", false)
	f("gateway/internal/buf", "gateway", false)
	f("gateway/serve", "gateway/internal/buf", true)
	f("gateway/serve", "gateway/upstream", false)
	f("gateway/serve", "gateway/forward", false)
	f("gateway/serve", "plugins/auth", false)
	f("gateway/runtime", "config", true)
	f("gateway/runtime", "plugins", false)
	f("gateway/runtime", "gateway/gatewaytest", false)
	f("plugins", "plugins/auth", true)
	f("plugins", "gateway/meter", true)
	f("plugins", "gateway/runtime", false)
	f("plugins/auth", "plugins/auth/key", true)
	f("plugins/auth/key", "plugins/auth", true)
	f("plugins/auth", "plugins/quota", false)
	f("plugins/auth", "gateway/wire/openai", false)
	f("plugins/auth", "gateway/runtime", false)
	f("plugins/auth", "gateway/serve", false)
	f("cmd/sluice", "plugins", true)
	f("benchmarks", "plugins", false)
	f("attic", "gateway", false)

	g := func(imported, pkg string, want bool) {
		t.Helper()
		where, guarded := whereAllowed(imported)
		if got := !guarded || fitsAny(where, pkg); got != want {
			t.Errorf("may %s import %s: %t", pkg, imported, got)
		}
	}
	g("github.com/valyala/fasthttp/fasthttputil", "gateway/serve", true)
	g("github.com/valyala/fasthttp", "gateway/upstream", false)
	g("github.com/redis/rueidis", "gateway/runtime", false)
	g("github.com/jackc/pgx/v5/pgxpool", "gateway/store/postgres", true)
	g("os/exec", "cmd/sluice", false)
	g("plugin", "cmd/sluice", false)
	g("os", "gateway", true)
}

// mayImport is the right side of a package's line in rooms, with its * put in.
func mayImport(pkg string) (may string, known bool) {
	for line := range strings.Lines(rooms) {
		left, right, _ := strings.Cut(strings.TrimSpace(line), " ")
		if left == "" {
			continue
		}
		if star, ok := fits(left, pkg); ok {
			if star != "" {
				right = strings.ReplaceAll(right, "*", star)
			}
			return strings.TrimSpace(right), true
		}
	}
	return "", false
}

// whereAllowed is the right side of a package's line in visitors.
func whereAllowed(imported string) (where string, guarded bool) {
	for line := range strings.Lines(visitors) {
		left, right, _ := strings.Cut(strings.TrimSpace(line), " ")
		if left != "" && (imported == left || strings.HasPrefix(imported, left+"/")) {
			return strings.TrimSpace(right), true
		}
	}
	return "", false
}

func fitsAny(patterns, pkg string) bool {
	for p := range strings.FieldsSeq(patterns) {
		if _, ok := fits(p, pkg); ok {
			return true
		}
	}
	return false
}

// fits matches a package against a pattern of the tables and returns the folder that its * stands for.
func fits(pattern, pkg string) (star string, ok bool) {
	if whole, below := strings.CutSuffix(pattern, "/..."); below {
		depth := strings.Count(whole, "/") + 1
		folders := strings.Split(pkg, "/")
		if len(folders) < depth {
			return "", false
		}
		pattern, pkg = whole, strings.Join(folders[:depth], "/")
	}
	if ok, _ = path.Match(pattern, pkg); !ok {
		return "", false
	}
	if at := strings.IndexByte(pattern, '*'); at >= 0 {
		star, _, _ = strings.Cut(pkg[at:], "/")
	}
	return star, true
}
