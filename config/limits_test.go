package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/config"
)

// counted is mistakes, where there are plugins that count.
func counted(t *testing.T, gateway string, tenant ...string) string {
	t.Helper()
	folder(t, append([]string{"gateway.yaml", gateway}, tenant...)...)
	if _, err := load(config.Options{Plugins: plugins()}); err != nil {
		return err.Error()
	}
	return ""
}

func TestLimits(t *testing.T) {
	f := func(tenant, want string) {
		t.Helper()
		expect(t, counted(t, "version: 1\nproviders: [{name: sim, type: sim}]\nmodels: [{name: demo, targets: [{provider: sim}]}]\n"+
			"chain: [ledger, auth, quota, routing]\ntenants: {dir: t}\n", "t/acme.yaml", "version: 1\nid: acme\n"+tenant), want)
	}
	f("limits: {requests_per_minute: 600, tokens_per_minute: 400000, concurrent: 50, each_key: {concurrent: 5}, models: [{model: 'gpt-*', requests_per_minute: 60}]}\n", ``)
	f("limits: {requests_per_minute: -1, tokens_per_minute: many, each_user: {rpm: 3}, models: [{model: ''}, {concurrent: 3}]}\n", `
		t/acme.yaml:3:31: limits.requests_per_minute: "-1" is less than 0
		t/acme.yaml:3:54: limits.tokens_per_minute: "many" is not a whole number
		t/acme.yaml:3:72: unknown field "rpm" in limits.each_user; fields here: requests_per_minute, tokens_per_minute, concurrent
		t/acme.yaml:3:98: limits.models[0].model: "" is empty
		t/acme.yaml:3:103: limits.models[1].model is missing`)
	f("budgets: [{usd: 250, per: month, mode: strict, warn_at: [50%, 80%], downgrade: demo}, {usd: 0.5, per: day, of: each_user}]\n", ``)
	f("keys: [{name: a, digest: '"+digest("a")+"', models: ['gpt-*'], limits: {concurrent: 1}}]\nbudgets: [{usd: 1, per: total, of: 'key:a'}]\n", ``)
	f("budgets: [{usd: 1, per: day, of: 'key:(token)'}, {usd: 1, per: day, of: 'key:(anonymous)'}, {usd: 1, per: day, of: each_key}]\n", ``)
	f("keys: [{name: '(token)', digest: '"+digest("a")+"'}]\n", `t/acme.yaml:3:15: key "(token)": names in parentheses are for callers without a key; take the parentheses out`)
	f("budgets: [{usd: 1e3, per: year, mode: hard, of: team}, {per: day}]\n", `
		t/acme.yaml:3:17: budgets[0].usd: "1e3" is not an amount in dollars: a number such as 250 or 0.50, with 6 decimals at most, from 0 to 9000000
		t/acme.yaml:3:27: budgets[0].per: "year" is not one of day, week, month, total
		t/acme.yaml:3:39: budgets[0].mode: "hard" is not one of strict, metered, warn; did you mean "warn"?
		t/acme.yaml:3:49: budgets[0].of: "team" is none of tenant, key:NAME, each_key, user:NAME, each_user, model:NAME
		t/acme.yaml:3:56: budgets[1].usd is missing`)
	f("models: {deny: [big]}\nbudgets: [{usd: 1, per: day, of: 'key:b'}, {usd: 1, per: day, of: each_model}, {usd: 1, per: day, warn_at: [80%, 50%, 0]}, {usd: 1, per: day, downgrade: big}]\n", `
		t/acme.yaml:4:34: budgets[0].of: the tenant has no key "b"
		t/acme.yaml:4:67: budgets[1].of: no budget is for each model by itself; write tenant, for all models together, or a budget of model:NAME for each one; model:gpt-* is for all of those together
		t/acme.yaml:4:114: budgets[2].warn_at[1]: 50% is not more than what is before it; write rising shares, such as [50%, 80%]
		t/acme.yaml:4:119: budgets[2].warn_at[2]: 0% is not more than what is before it; write rising shares, such as [50%, 80%]
		t/acme.yaml:4:154: budgets[3].downgrade has no effect without warn_at; add warn_at: its last share is where the downgrade begins`)
	f("keys: [{name: a, digest: '"+digest("a")+"', models: ['a b']}]\n", `t/acme.yaml:3:110: keys[0].models[0]: "a b" is not the pattern of a name; use printable ASCII without spaces, up to 256 characters`)
}

// Whatever is wrong with a store's address, its password is not shown.
func TestStorePasswords(t *testing.T) {
	f := func(setting, address, want string) {
		t.Helper()
		folder(t, "gateway.yaml", "version: 1\nproviders: [{name: sim, type: sim}]\nmodels: [{name: demo, targets: [{provider: sim}]}]\nstores:\n  "+setting+": "+address+"\n")
		_, err := load(config.Options{})
		problems, ok := errors.AsType[config.Problems](err)
		if !ok || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: %v; want %q", address, err, want)
			return
		}
		if text := problems.Text(); strings.Contains(text, "hunter") || strings.Contains(text, "two") {
			t.Error(text)
		}
	}
	const after = " has an @ after its host; in a password write %2F for /"
	f("ledger", "postgress://u:hunter2@h/d", `stores.ledger: "postgress:***" is not a store`)
	f("ledger", "'postgres://u:hunter/two@h/d'", "stores.ledger is not a URL")
	f("ledger", "postgres://u:1/two@h/d", "stores.ledger"+after)
	f("ledger", "postgres://u:hunter@2/two@h/d", "stores.ledger"+after)
	f("ledger", "postgres://u:1?two@h/d", "stores.ledger"+after)
	f("shared", "reddis://:hunter2@h", `stores.shared: "reddis:***" is not a shared store`)
	f("shared", "redis://:1/two@h", "stores.shared"+after)
}

// Limits and budgets that nothing would hold a tenant to are mistakes, and so is an order in which money cannot be counted.
func TestLimitsNeedPlugins(t *testing.T) {
	f := func(more, tenant, want string) {
		t.Helper()
		expect(t, counted(t, "version: 1\nproviders: [{name: sim, type: sim}]\nmodels: [{name: demo, targets: [{provider: sim}]}]\ntenants: {dir: t}\n"+more,
			"t/acme.yaml", "version: 1\nid: acme\n"+tenant), want)
	}
	f("chain: [auth, routing]\n", "limits: {concurrent: 3}\nbudgets: [{usd: 1, per: day}]\n", `
		t/acme.yaml:3:9: limits has no effect: the chain lacks quota; add quota to chain
		t/acme.yaml:4:10: budgets has no effect: the chain lacks quota; add quota to chain`)
	f("chain: [auth, quota, routing]\n", "budgets: [{usd: 1, per: day}]\n", `t/acme.yaml:3:10: budgets has no effect: the chain lacks ledger; add ledger to chain`)
	f("chain: [auth, quota, ledger, routing]\n", "", `gateway.yaml:5:15: quota stands before ledger, but the ledger writes down what quota has reserved; write ledger before quota`)
	f("chain: [quota, auth, routing]\n", "", `gateway.yaml:5:9: quota stands before auth, but needs the tenant that auth finds; write auth before quota`)
	f("chain: [auth, routing, quota]\n", "", `gateway.yaml:5:15: routing stands before quota, but quota says what may be asked for; write quota before routing`)
	f("chain: [ledger, auth, quota, routing]\nstores: {ledger: none}\n", "", `gateway.yaml:6:18: stores.ledger: the chain has the ledger, which needs a store; take ledger out of the chain, or write sqlite:PATH or postgres://…`)
}

func TestStores(t *testing.T) {
	f := func(more, want string) {
		t.Helper()
		expect(t, counted(t, base+more), want)
	}
	f("stores: {ledger: 'postgres://sluice:secret@db/sluice', shared: 'redis+cluster://a:1,b:1', publish: rows, node: eu-1, wal: {dir: /var/wal, sync: always}}\n", ``)
	f("stores: {ledger: mysql, shared: memcached, publish: rows, node: '-', wal: {segment: 1KiB, sync: 5m}, retention: {rows: -1}}\n", `
		gateway.yaml:4:18: stores.ledger: "mysql" is not a store; write sqlite:PATH, postgres://USER@HOST/NAME or none
		gateway.yaml:4:33: stores.shared: "memcached" is not a shared store; write redis://HOST:PORT or none
		gateway.yaml:4:65: stores.node: "-" does not match ^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$
		gateway.yaml:4:85: stores.wal.segment (1KiB) is not between 1MiB and 1GiB
		gateway.yaml:4:97: stores.wal.sync: "5m" is none of a time of at most 1s, always, off
		gateway.yaml:4:120: stores.retention.rows: "-1" is less than 0`)
	f("stores: {ledger: 'sqlite:', shared: none, publish: rows, wal: {max_size: 20MiB}}\n", `
		gateway.yaml:4:18: stores.ledger: "sqlite:" is not a store; write sqlite:PATH, postgres://USER@HOST/NAME or none
		gateway.yaml:4:52: stores.publish needs stores.shared
		gateway.yaml:4:74: stores.wal.max_size (20MiB) is less than three segments of 16MiB`)
	f("stores: {ledger: 'postgres://%zz', shared: 'redis://'}\n", `
		gateway.yaml:4:18: stores.ledger is not a URL
		gateway.yaml:4:44: stores.shared names no host`)
	f("admin: {tokens: [{name: a, digest: x, role: root}, {name: a, digest: '"+digest("a")+"', role: viewer}], metrics: closed}\n", `
		gateway.yaml:4:36: admin.tokens[0].digest: "x" does not match ^(hmac-)?sha256:[0-9a-f]{64}$; write sha256: or hmac-sha256: and 64 hexadecimal digits
		gateway.yaml:4:45: admin.tokens[0].role: "root" is not one of viewer, operator, admin
		gateway.yaml:4:59: token "a" is defined twice; the first is admin.tokens[0]
		gateway.yaml:4:170: admin.metrics: "closed" is not one of open, token`)
}

func TestJWT(t *testing.T) {
	const base = "version: 1\nproviders: [{name: sim, type: sim}]\nmodels: [{name: demo, targets: [{provider: sim}]}]\ntenants: {dir: t}\n"
	f := func(want string, tenants ...string) {
		t.Helper()
		expect(t, counted(t, base, tenants...), want)
	}
	const good = "version: 1\nid: a\njwt: {issuer: 'https://id.example', audience: [llm], jwks_url: 'https://id.example/keys'}\n"
	f("", "t/a.yaml", good)
	f(`t/b.yaml:3:48: issuer and audience are those of jwt.audience[0] in t/a.yaml`, "t/a.yaml", good, "t/b.yaml", strings.Replace(good, "id: a", "id: b", 1))
	f(`
		t/a.yaml:3:6: jwt.issuer is missing
		t/a.yaml:3:37: jwt.algorithms[0]: "HS256" is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA; did you mean "RS256"?
		t/a.yaml:3:55: jwt.jwks_url: "http://id.example" is not the address of a server that speaks HTTPS; write https://HOST/PATH`,
		"t/a.yaml", "version: 1\nid: a\njwt: {audience: [llm], algorithms: [HS256], jwks_url: 'http://id.example'}\n")
}
