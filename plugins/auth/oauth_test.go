package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/auth"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// Keys of the dialogues.
const (
	ciKey     = plain    // of acme
	narrowKey = peppered // of acme, for some models; with the pepper
	betaKey   = imported // of beta
	oldKey    = old      // of acme, expires at the end of January
)

// desk is a plugin that gives tokens.
type desk struct {
	t       testing.TB
	host    *gatewaytest.Host
	plugin  *auth.Plugin
	handler gateway.Handler
	keys    map[gateway.Digest]*gateway.Key
	dir     *gateway.Directory
	client  netip.Addr
}

func newDesk(t testing.TB, l auth.Lent) *desk {
	t.Helper()
	k := &desk{t: t, host: gatewaytest.NewHost(), client: netip.MustParseAddr("192.0.2.1")}
	t.Cleanup(k.host.Close)
	var err error
	if k.plugin, err = auth.New(k.host, *settings(), l); err != nil {
		t.Fatal(err)
	}
	k.handler = k.plugin.Wrap(gateway.HandlerFunc(func(x *gateway.Exchange) error { return errNobody }))
	acme, beta := &gateway.Tenant{ID: "acme"}, &gateway.Tenant{ID: "beta"}
	k.keys = map[gateway.Digest]*gateway.Key{
		digestOf(ciKey): {Name: "ci", Tenant: acme, Limits: tenant.Limits{Requests: 9}},
		key.NewPepper(pepper).Digest([]byte(narrowKey)): {Name: "narrow", Tenant: acme, Allow: []gateway.Pattern{"gpt-*", "o3"}},
		digestOf(betaKey): {Name: "app", Tenant: beta},
		digestOf(oldKey):  {Name: "old", Tenant: acme, Expires: start.AddDate(0, 0, 30)},
	}
	k.load()
	return k
}

var errNobody = errors.New("passed on")

// load makes a new generation of the keys that there are.
func (k *desk) load() {
	list := map[tenant.ID]*gateway.Tenant{}
	for _, key := range k.keys {
		list[key.Tenant.ID] = key.Tenant
	}
	var all []*gateway.Tenant
	for _, t := range list {
		all = append(all, t)
	}
	k.dir = gateway.NewDirectory(gateway.Entries{Tenants: all, Keys: k.keys})
}

// revoke takes a key away.
func (k *desk) revoke(name string) {
	k.keys = map[gateway.Digest]*gateway.Key(mapsWithout(k.keys, name))
	k.load()
}

func mapsWithout(keys map[gateway.Digest]*gateway.Key, name string) map[gateway.Digest]*gateway.Key {
	out := map[gateway.Digest]*gateway.Key{}
	for d, k := range keys {
		if k.Name != name {
			out[d] = k
		}
	}
	return out
}

// post sends a form to an endpoint, as the transport does.
func (k *desk) post(endpoint, body string, headers ...string) (status int, reply string, e *gateway.Error) {
	h := gatewaytest.Fields(append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
	x := gatewaytest.New(k.t, gatewaytest.Request{Endpoint: gatewaytest.Endpoint(endpoint, ""), Header: h, Body: body, Directory: k.dir})
	x.Client = k.client
	a := gatewaytest.Serve(x, k.handler)
	if e := a.Error(); e != nil {
		return e.Status, string(wire.OAuth.AppendError(nil, chat.Error{Message: e.Message, Type: e.Type, Code: e.Code, Status: e.Status})), e
	}
	return a.Reply.Status, a.Body(), nil
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Expires int64  `json:"expires_in"`
	Scope   string `json:"scope"`
}

// get asks for tokens, and must get some.
func (k *desk) get(body string) (got tokens) {
	k.t.Helper()
	status, reply, _ := k.post("oauth.token", body)
	if err := json.Unmarshal([]byte(reply), &got); err != nil || status != 200 || got.Access == "" || got.Refresh == "" {
		k.t.Errorf("%s: %d %s", body, status, reply)
	}
	return got
}

// call asks for an answer with a credential, and says who that is.
func (k *desk) call(credential string) (gateway.Caller, error) {
	x := gatewaytest.New(k.t, gatewaytest.Request{Header: gatewaytest.Fields("Authorization", "Bearer "+credential), Directory: k.dir})
	x.Client = k.client
	if err := k.handler.Serve(x); !errors.Is(err, errNobody) {
		return x.Caller, err
	}
	return x.Caller, nil
}

// TestDialogues plays what clients and the gateway say to each other. In an archive the sections are:
//
//	token, revoke   a request: header fields, an empty line, the form
//	reply           what came of it: the status, what else of it matters, and the body
//	call            a request to another endpoint, with the token that stands there
//	caller          who that is: tenant, key, user, models, seconds until it ends; or an error
//	do              what happens: a key is revoked, time passes, the client has another address
//
// <name> stands for a text that is the same wherever it stands.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/oauth/*.txtar")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for i, file := range append(files, files...) {
		name, kept := strings.TrimSuffix(filepath.Base(file), ".txtar"), auth.Lent{}
		if i >= len(files) { // once more, with a store
			name += "/sqlite"
			kept.Tokens = openStore(t)
		}
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := &play{desk: newDesk(t, kept), names: map[string]string{"ci": ciKey, "narrow": narrowKey, "beta": betaKey, "old": oldKey}}
			for i, section := range txtar.Parse(b).Files {
				p.step(fmt.Sprintf("section %d", i+1), section.Name, strings.TrimSpace(string(section.Data)))
			}
		})
	}
}

func openStore(t *testing.T) store.Tokens {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

type play struct {
	*desk
	names map[string]string
	got   string
}

var placeholder = regexp.MustCompile(`<(\w+)>`)

func (p *play) fill(s string) string {
	s = placeholder.ReplaceAllStringFunc(s, func(m string) string {
		v, ok := p.names[m[1:len(m)-1]]
		if !ok {
			p.t.Fatalf("%s is not known yet", m)
		}
		return v
	})
	return regexp.MustCompile(`base64\(.*?\)`).ReplaceAllStringFunc(s, func(m string) string {
		return base64.StdEncoding.EncodeToString([]byte(m[len("base64(") : len(m)-1]))
	})
}

func (p *play) step(at, name, text string) {
	p.t.Helper()
	if name == "reply" || name == "caller" || name == "do" { // then words for people
		text, _, _ = strings.Cut(text, "\n\n")
	}
	switch name {
	case "token", "revoke":
		head, form, ok := strings.Cut("\n"+text, "\n\n")
		if !ok {
			head, form = "", text
		}
		var fields []string
		for line := range strings.SplitSeq(strings.TrimSpace(head), "\n") {
			if k, v, ok := strings.Cut(p.fill(line), ": "); ok {
				fields = append(fields, k, v)
			}
		}
		status, body, e := p.post("oauth."+name, strings.ReplaceAll(p.fill(form), "\n", ""), fields...)
		p.got = fmt.Sprintf("%d\n", status)
		if e != nil && e.RetryAfter > 0 {
			p.got += "Retry-After: " + e.RetryAfter.String() + "\n"
		}
		p.got += body
	case "call":
		c, err := p.call(p.fill(text))
		if p.got = ""; err != nil {
			p.got = fmt.Sprintf("%d %s", gateway.AsError(err).Status, gateway.AsError(err).Code)
		} else {
			ends := "never"
			if !c.Expires.IsZero() {
				ends = c.Expires.Sub(p.host.Now()).String()
			}
			p.got = fmt.Sprintf("%s %s %q %q %+v %s", c.Tenant.ID, c.Key, c.User, c.Allow, c.Limits, ends)
		}
	case "reply", "caller":
		p.match(at, text)
	case "do":
		p.do(text)
	default:
		p.t.Fatalf("%s: %s", at, name)
	}
}

// match compares what came with what is written, and learns what stands for the names.
func (p *play) match(at, want string) {
	p.t.Helper()
	names := placeholder.FindAllStringSubmatch(want, -1)
	pattern := regexp.MustCompile(`<\w+>`).ReplaceAllString(regexp.QuoteMeta(want), `([\w.~-]+)`)
	m := regexp.MustCompile("^" + pattern + "$").FindStringSubmatch(p.got)
	if m == nil {
		p.t.Fatalf("%s: got\n%s\nwant\n%s", at, p.got, want)
	}
	for i, n := range names {
		if before, known := p.names[n[1]]; known && before != m[i+1] {
			p.t.Fatalf("%s: %s was %s and is %s", at, n[0], before, m[i+1])
		}
		for other, v := range p.names {
			if other != n[1] && v == m[i+1] {
				p.t.Fatalf("%s: %s is the same as <%s>", at, n[0], other)
			}
		}
		p.names[n[1]] = m[i+1]
	}
}

func (p *play) do(text string) {
	p.t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		switch verb, arg, _ := strings.Cut(line, " "); verb {
		case "pass":
			d, err := time.ParseDuration(arg)
			if err != nil {
				p.t.Fatal(err)
			}
			p.host.SetNow(p.host.Now().Add(d))
		case "revoke":
			p.revoke(arg)
		case "from":
			p.client = netip.MustParseAddr(arg)
		default:
			p.t.Fatal(line)
		}
	}
}

// A hundred pages of one browser ask at once: they get one successor, and none is thrown out.
func TestConcurrentRefreshes(t *testing.T) {
	t.Run("memory", func(t *testing.T) { concurrentRefreshes(t, auth.Lent{}) })
	t.Run("sqlite", func(t *testing.T) { concurrentRefreshes(t, auth.Lent{Tokens: openStore(t)}) })
}

func concurrentRefreshes(t *testing.T, l auth.Lent) {
	t.Helper()
	k := newDesk(t, l)
	first := k.get("grant_type=client_credentials&client_secret=" + ciKey)
	const n = 100
	all := make([]tokens, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { all[i] = k.get("grant_type=refresh_token&refresh_token=" + first.Refresh) })
	}
	wait.Wait()
	access := map[string]bool{}
	for _, got := range all {
		access[got.Access] = true
		if got.Refresh != all[0].Refresh || got.Refresh == first.Refresh {
			t.Errorf("two successors: %s, %s", got.Refresh, all[0].Refresh)
		}
		if _, err := k.call(got.Access); err != nil {
			t.Error(err)
		}
	}
	if len(access) != n {
		t.Errorf("%d access tokens", len(access))
	}
	k.get("grant_type=refresh_token&refresh_token=" + all[0].Refresh)
}

// Access tokens say who calls, as their key does, and end with it.
func TestAccessToken(t *testing.T) {
	k := newDesk(t, auth.Lent{})
	got := k.get("grant_type=client_credentials&user=ann&client_secret=" + narrowKey)
	f := func() {
		t.Helper()
		c, err := k.call(got.Access)
		if err != nil || c.Tenant.ID != "acme" || c.Key != "narrow" || c.User != "ann" || !slices.Equal(c.Allow, []gateway.Pattern{"gpt-*", "o3"}) || !c.Expires.Equal(start.Add(10*time.Minute)) {
			t.Errorf("%+v, %v", c, err)
		}
	}
	f()
	f()
	// The key is allowed less: at once, so is the token.
	digest := key.NewPepper(pepper).Digest([]byte(narrowKey))
	less := *k.keys[digest]
	less.Allow, less.Limits = []gateway.Pattern{"o3"}, tenant.Limits{Requests: 1}
	k.keys[digest] = &less
	k.load()
	if c, err := k.call(got.Access); err != nil || !slices.Equal(c.Allow, []gateway.Pattern{"o3"}) || c.Limits.Requests != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	// Another key under the same name is another key.
	delete(k.keys, digest)
	k.keys[digestOf("sk-new")] = &less
	k.load()
	if _, err := k.call(got.Access); err == nil || gateway.AsError(err).Code != "invalid_token" {
		t.Errorf("a token of a key that was replaced is good: %v", err)
	}
	if status, reply, _ := k.post("oauth.token", "grant_type=refresh_token&refresh_token="+got.Refresh); status != 400 || !strings.Contains(reply, "invalid_grant") {
		t.Errorf("%d %s", status, reply)
	}

	// Nodes with the same pepper take each other's tokens, others do not.
	ci := k.get("grant_type=client_credentials&client_secret=" + ciKey)
	if _, err := newDesk(t, auth.Lent{}).call(ci.Access); err != nil {
		t.Error(err)
	}
	c := settings()
	c.Pepper = configSecret("another secret, which is long enough")
	foreign, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), c)
	x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields("x-api-key", ci.Access), Directory: k.dir})
	if err := foreign.Wrap(&gatewaytest.Script{}).Serve(x); err == nil || gateway.AsError(err).Status != 401 {
		t.Errorf("%v", err)
	}
}

// Who asks for more than was granted is told so, and can still ask for less: nobody has stolen anything.
func TestRefreshForTooMuch(t *testing.T) {
	k := newDesk(t, auth.Lent{})
	a := k.get("grant_type=client_credentials&scope=o3&client_secret=" + ciKey)
	for n := range 3 {
		status, reply, _ := k.post("oauth.token", "grant_type=refresh_token&scope=gpt-4.1&refresh_token="+a.Refresh+"&client_secret="+ciKey)
		if status != 400 || !strings.Contains(reply, `"invalid_scope"`) {
			t.Errorf("%d %s", status, reply)
		}
		k.host.SetNow(start.Add(time.Duration(n+1) * time.Minute)) // beyond the grace
	}
	b := k.get("grant_type=refresh_token&refresh_token=" + a.Refresh + "&client_secret=" + ciKey)
	if b.Scope != "o3" || b.Refresh == a.Refresh {
		t.Errorf("%+v", b)
	}
}

// Attacks on our own tokens, by whoever has one, and not the pepper.
func TestAccessTokenAttacks(t *testing.T) {
	k := newDesk(t, auth.Lent{})
	a := k.get("grant_type=client_credentials&user=ann&scope=o3&client_secret=" + ciKey)
	b := k.get("grant_type=client_credentials&client_secret=" + betaKey)
	refused := func(token string) {
		t.Helper()
		if c, err := k.call(token); err == nil || gateway.AsError(err).Status != 401 || c.Tenant != nil {
			t.Errorf("%s: %+v, %v", token, c, err)
		}
	}
	parts, theirs := strings.Split(a.Access, "."), strings.Split(b.Access, ".")
	refused(parts[0] + "." + theirs[1] + "." + parts[2])
	refused(parts[0] + "." + parts[1] + ".")
	head := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	refused(head(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + ".")
	refused(head(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2])
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{`"o3"`, `"ann"`, `"acme"`} {
		refused(parts[0] + "." + head(strings.Replace(string(payload), change, `"x"`, 1)) + "." + parts[2])
	}
	refused(a.Refresh) // is no key
	if strings.Contains(string(payload), ciKey) || strings.Contains(string(payload), "sha256") {
		t.Error("the token tells of the key")
	}
	if payloadB, _ := base64.RawURLEncoding.DecodeString(theirs[1]); !strings.Contains(string(payloadB), `"tid":"beta"`) {
		t.Errorf("%s", payloadB)
	}
	k.host.SetNow(start.Add(10*time.Minute + 31*time.Second))
	refused(a.Access)
}

// A store that is down gives no tokens, and says for how long not to ask; access tokens go on.
func TestStoreOut(t *testing.T) {
	out := &brokenStore{}
	k := newDesk(t, auth.Lent{Tokens: out})
	token := key.NewRefresh("acme")
	f := func(endpoint, body string) {
		t.Helper()
		_, reply, e := k.post(endpoint, body)
		if e == nil || e.Status != 503 || e.RetryAfter <= 0 || !strings.Contains(reply, `"temporarily_unavailable"`) || strings.Contains(reply, "secret") {
			t.Errorf("%v, %s", e, reply)
		}
	}
	f("oauth.token", "grant_type=client_credentials&client_secret="+ciKey)
	f("oauth.token", "grant_type=refresh_token&refresh_token="+token)
	f("oauth.revoke", "token="+token)
	access := newDesk(t, auth.Lent{}).get("grant_type=client_credentials&client_secret=" + ciKey).Access
	f("oauth.revoke", "token="+access)
	if _, err := k.call(access); err != nil {
		t.Error(err)
	}
	if v, err := k.host.Values(); err != nil || v[`sluice_auth_failures_total{reason="refresh"}`] != 0 {
		t.Errorf("%v, %v", v, err)
	}
}

type brokenStore struct{ store.Tokens }

var errDown = errors.New("secret address: down")

func (brokenStore) Grant(context.Context, tenant.ID, store.Family, [32]byte) error { return errDown }

func (brokenStore) Rotate(context.Context, tenant.ID, store.Turn) (store.Turned, error) {
	return store.Turned{}, errDown
}

func (brokenStore) RevokeFamily(context.Context, tenant.ID, string, store.Entry) error {
	return errDown
}

// One key is not given tokens without end, nor does it take another's.
func TestTokensAMinute(t *testing.T) {
	c := settings()
	c.Tokens.PerMinute = 60
	p, host := gatewaytest.Build(t, auth.Spec(auth.Lent{}), c)
	o := p.(*auth.Plugin).OAuth()
	f := func(k string, want time.Duration) {
		t.Helper()
		_, _, err := o.Token(t.Context(), &auth.Request{
			Params: url.Values{"grant_type": {"client_credentials"}, "client_secret": {k}}, Header: gatewaytest.Fields(), Directory: directory(nil),
		})
		if want == 0 && err == nil {
			return
		}
		if e, ok := errors.AsType[*gateway.Error](err); !ok || e.Status != 429 || e.RetryAfter != want {
			t.Errorf("%s: %v", k, err)
		}
	}
	for range 60 {
		f(plain, 0)
	}
	f(plain, time.Second)
	f(peppered, 0)
	host.SetNow(start.Add(1500 * time.Millisecond))
	f(plain, 0)
	f(plain, 500*time.Millisecond)
}

// Without a pepper there are no tokens: the transport says so.
func TestNoTokens(t *testing.T) {
	p, _ := gatewaytest.Build(t, auth.Spec(auth.Lent{}), nil)
	x := gatewaytest.New(t, gatewaytest.Request{Endpoint: gatewaytest.Endpoint("oauth.token", ""), Directory: directory(nil)})
	if err := p.Wrap(gateway.HandlerFunc(func(*gateway.Exchange) error { return errNobody })).Serve(x); !errors.Is(err, errNobody) {
		t.Error(err)
	}
	o := p.(*auth.Plugin).OAuth()
	if _, _, err := o.Token(t.Context(), &auth.Request{}); err == nil || o.Enabled() || o.Revoke(t.Context(), &auth.Request{}) == nil {
		t.Error(err)
	}
}

// Wrong refresh tokens and wrong clients count as failures of their address, but not of who had a good one.
func TestRefreshFailures(t *testing.T) {
	k := newDesk(t, auth.Lent{})
	mine := k.get("grant_type=client_credentials&client_secret=" + ciKey)
	for i := range 20 {
		body := "grant_type=refresh_token&refresh_token=" + key.NewRefresh([]string{"acme", "nobody"}[i%2])
		if i%4 == 3 {
			body = "grant_type=client_credentials&client_secret=" + nobodys
		}
		if status, _, _ := k.post("oauth.token", body); status != 400 && status != 401 {
			t.Error(status)
		}
	}
	for _, body := range []string{"grant_type=client_credentials&client_secret=" + betaKey, "grant_type=refresh_token&refresh_token=" + key.NewRefresh("acme")} {
		if status, reply, e := k.post("oauth.token", body); status != 429 || e.RetryAfter <= 0 || !strings.Contains(reply, "temporarily_unavailable") {
			t.Errorf("%d %s", status, reply)
		}
	}
	mine = k.get("grant_type=refresh_token&client_secret=" + ciKey + "&refresh_token=" + mine.Refresh)
	mine = k.get("grant_type=refresh_token&refresh_token=" + mine.Refresh)
	if _, err := k.call(mine.Access); err != nil {
		t.Error(err)
	}
}
