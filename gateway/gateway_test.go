package gateway_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type body struct {
	text  string
	err   error
	loads int
	frees int
}

func (b *body) Load() ([]byte, error) { b.loads++; return []byte(b.text), b.err }
func (b *body) Free()                 { b.frees++ }

type noHeader struct{}

func (noHeader) Get(string) []byte { return nil }

func exchange(b gateway.Body) *gateway.Exchange {
	x := &gateway.Exchange{}
	x.Init("req_1", &gateway.Endpoint{Name: "chat.completions"}, noHeader{}, b)
	return x
}

type interrupted struct{ n int }

func (i *interrupted) Interrupt() { i.n++ }

func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := exchange(nil)
		if x.Err() != nil || x.Context().Err() != nil {
			t.Fatal("born cancelled")
		}
		child, stop := context.WithCancel(x.Context())
		defer stop()
		a, b, late := &interrupted{}, &interrupted{}, &interrupted{}
		if !x.Attach(a) || !x.Attach(b) || x.Attach(late) {
			t.Error("two can be attached, an attempt and its hedge")
		}
		x.Detach(b)
		x.Cancel(gateway.ErrGone)
		x.Cancel(gateway.ErrDrain) // the first cause stays
		<-x.Context().Done()
		<-child.Done()
		if a.n != 1 || b.n != 0 || !errors.Is(x.Cause(), gateway.ErrGone) || !errors.Is(x.Err(), context.Canceled) {
			t.Errorf("interrupts %d %d, cause %v, error %v", a.n, b.n, x.Cause(), x.Err())
		}
		if x.Attach(late) {
			t.Error("attached to a cancelled exchange")
		}
		if run := context.AfterFunc(x.Context(), func() {}); run() {
			t.Error("the function after the end was still to come")
		}
	})
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := exchange(nil)
		begin := time.Now()
		x.SetDeadline(gateway.Now().Add(2 * time.Second))
		x.SetDeadline(gateway.Now().Add(time.Second))
		x.SetDeadline(gateway.Now().Add(time.Hour)) // only ever earlier
		if d, ok := x.Context().Deadline(); !ok || d.Sub(begin) != time.Second {
			t.Errorf("deadline in %v", d.Sub(begin))
		}
		<-x.Context().Done()
		if d := time.Since(begin); d != time.Second || !errors.Is(x.Err(), context.DeadlineExceeded) || !errors.Is(x.Cause(), gateway.ErrDeadline) {
			t.Errorf("after %v: %v, %v", d, x.Err(), x.Cause())
		}
		quiet := exchange(nil)
		quiet.SetDeadline(gateway.Now().Add(time.Second))
		quiet.Context().Done()
		quiet.End(nil) // the timer goes with the exchange: the bubble would report it otherwise
	})
}

// Detach promises that no interrupt comes afterwards, whoever cancels at the same time.
func TestDetachRace(t *testing.T) {
	for range 2000 {
		x := exchange(nil)
		i := &interrupted{}
		x.Attach(i)
		var wg sync.WaitGroup
		wg.Go(func() { x.Cancel(gateway.ErrGone) })
		x.Detach(i)
		before := i.n
		wg.Wait()
		if i.n != before {
			t.Fatal("interrupted after Detach")
		}
	}
}

func TestBodyLifetime(t *testing.T) {
	b := &body{text: `{"model":"m","stream":true}`}
	x := exchange(b)
	if x.Request.Model() != "" || x.Request.Body() != nil {
		t.Error("read before Open")
	}
	for range 2 {
		if err := x.Request.Open(); err != nil {
			t.Fatal(err)
		}
	}
	if b.loads != 1 || x.Request.Model() != "m" || !x.Request.Stream() || string(x.Request.Body()) != b.text {
		t.Errorf("%d loads, model %q", b.loads, x.Request.Model())
	}
	x.Retain()
	x.Commit()
	x.Commit()
	if x.Request.Body() == nil || b.frees != 0 {
		t.Error("retained bytes are gone")
	}
	x.Release()
	if x.Request.Body() != nil || b.frees != 1 || x.Request.Model() != "m" {
		t.Error("released bytes are still there")
	}
	x.End(nil)
	if b.frees != 1 {
		t.Errorf("freed %d times", b.frees)
	}
	unread := &body{}
	exchange(unread).End(nil)
	if unread.loads != 0 || unread.frees != 1 {
		t.Errorf("an unread body: %d loads, %d frees", unread.loads, unread.frees)
	}
}

func TestOpenErrors(t *testing.T) {
	check := func(text, code, param string) {
		t.Helper()
		err := exchange(&body{text: text}).Request.Open()
		e := gateway.AsError(err)
		if err == nil || e.Status != 400 || e.Code != code || e.Param != param || e.Type != gateway.TypeInvalidRequest {
			t.Errorf("%s: %+v", text, e)
		}
	}
	check(`{`, "invalid_json", "")
	check(`{}`, "missing_required_parameter", "model")
	check(`{"model":7}`, "invalid_value", "model")
	check(`{"model":"m","stream":1}`, "invalid_value", "stream")
	check(`{"model":"m","stream_options":{"include_usage":1}}`, "invalid_value", "stream_options.include_usage")
	x := exchange(&body{err: gateway.ErrGone})
	if err := x.Request.Open(); !errors.Is(err, gateway.ErrGone) || !errors.Is(x.Request.Open(), gateway.ErrGone) {
		t.Error("the transport's error is lost")
	}
}

func TestOnEnd(t *testing.T) {
	x := exchange(nil)
	var order []string
	cause := errors.New("cut")
	for name := range strings.SplitSeq("abcdefg", "") {
		x.OnEnd(func(err error) {
			if !errors.Is(err, cause) {
				t.Errorf("%s got %v", name, err)
			}
			order = append(order, name)
			if name == "d" {
				panic("on purpose")
			}
		})
	}
	if panics := x.End(cause); len(panics) != 1 {
		t.Errorf("panics: %v", panics)
	}
	if x.End(nil) != nil || !x.Ended() || strings.Join(order, "") != "gfedcba" {
		t.Errorf("order %v", order)
	}
}

func TestAttempts(t *testing.T) {
	x := exchange(nil)
	x.Plan = gateway.Plan{Model: "gpt-4.1", Matched: "llama"}
	var kept []*gateway.Attempt
	for _, model := range []string{"", "exact", "meta/*", "*-fast", "a", "b"} {
		kept = append(kept, x.Attempting(&gateway.Target{Provider: "p", Model: model}))
	}
	var models []string
	for i, a := range x.Attempts() {
		if a != kept[i] || a.Start == 0 {
			t.Errorf("attempt %d moved", i)
		}
		models = append(models, a.Model)
	}
	if want := []string{"gpt-4.1", "exact", "meta/llama", "llama-fast", "a", "b"}; !slices.Equal(models, want) {
		t.Errorf("%q", models)
	}
}

func TestAsError(t *testing.T) {
	own := &gateway.Error{Status: 418, Code: "teapot"}
	check := func(err error, status int, code string) {
		t.Helper()
		if e := gateway.AsError(err); e.Status != status || e.Code != code {
			t.Errorf("%v: %d %s", err, e.Status, e.Code)
		}
	}
	check(own, 418, "teapot")
	check(errors.Join(errors.New("x"), own), 418, "teapot")
	check(gateway.ErrGone, 499, "client_closed_request")
	check(context.Canceled, 499, "client_closed_request")
	check(gateway.ErrDrain, 503, "shutting_down")
	check(gateway.ErrDeadline, 504, "deadline_exceeded")
	check(context.DeadlineExceeded, 504, "deadline_exceeded")
	check(errors.New("secret"), 500, "internal_error")
	if e := gateway.AsError(errors.New("secret")); strings.Contains(e.Message, "secret") || !strings.Contains(e.Error(), "secret") {
		t.Errorf("shown %q, logged %q", e.Message, e.Error())
	}
}

func TestOnce(t *testing.T) {
	s := gateway.Once([]byte("x"))
	if ev, err := s.Next(); err != nil || string(ev.Data) != "x" || !s.Ready() {
		t.Error(ev, err)
	}
	if _, err := s.Next(); !errors.Is(err, io.EOF) || s.Close() != nil {
		t.Error(err)
	}
}

func TestChain(t *testing.T) {
	var order []string
	plugin := func(name string) gateway.Plugin {
		return wrap(func(next gateway.Handler) gateway.Handler {
			return gateway.HandlerFunc(func(x *gateway.Exchange) error {
				order = append(order, name)
				return next.Serve(x)
			})
		})
	}
	h := gateway.Chain(gateway.HandlerFunc(func(*gateway.Exchange) error { order = append(order, "end"); return nil }), plugin("a"), plugin("b"))
	if err := h.Serve(exchange(nil)); err != nil || !slices.Equal(order, []string{"a", "b", "end"}) {
		t.Error(order, err)
	}
}

type wrap func(gateway.Handler) gateway.Handler

func (w wrap) Wrap(next gateway.Handler) gateway.Handler { return w(next) }

func TestDefine(t *testing.T) {
	type settings struct{ N int }
	spec := gateway.Define("p", settings{N: 7}, func(_ gateway.Host, s settings) (gateway.Plugin, error) {
		if s.N != 8 {
			t.Errorf("built with %d", s.N)
		}
		return wrap(nil), nil
	})
	c, ok := spec.Defaults().(*settings)
	if !ok || c.N != 7 {
		t.Fatalf("defaults %v", spec.Defaults())
	}
	c.N = 8
	if again := spec.Defaults().(*settings); again.N != 7 {
		t.Error("defaults can be changed")
	}
	if _, err := spec.Build(nil, c); err != nil {
		t.Error(err)
	}
	if _, err := spec.Build(nil, settings{}); err == nil {
		t.Error("built with something else")
	}
}

func TestDirectory(t *testing.T) {
	target := &gateway.Target{Provider: "p"}
	model := func(name string, steps ...[]*gateway.Target) *gateway.Model {
		return &gateway.Model{Name: gateway.Pattern(name), Steps: steps}
	}
	acme := &gateway.Tenant{ID: "acme", Allow: []gateway.Pattern{"gpt-*", "fast"}, Deny: []gateway.Pattern{"gpt-4-*"}, Origins: []string{"https://acme.example"}}
	open := &gateway.Tenant{ID: "open"}
	digest, err := gateway.ParseDigest("sha256:" + strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	d := gateway.NewDirectory(gateway.Entries{
		Models:  []*gateway.Model{model("gpt-4.1", []*gateway.Target{target}), model("two", []*gateway.Target{target, target}), model("gpt-*"), model("gpt-4-*")},
		Aliases: map[string]string{"fast": "gpt-4.1"}, Tenants: []*gateway.Tenant{acme, open},
		Keys: map[gateway.Digest]*gateway.Key{digest: {Name: "ci", Tenant: acme}}, Anonymous: open,
		Origins: []string{"https://app.example"}, Created: time.Unix(1000, 0),
	})
	lookup := func(name, canonical, matched string) {
		t.Helper()
		m, c, w := d.Model(name)
		if (m == nil) != (canonical == "") || c != canonical || w != matched {
			t.Errorf("%s: %v %q %q", name, m, c, w)
		}
	}
	lookup("gpt-4.1", "gpt-4.1", "")
	lookup("fast", "gpt-4.1", "")
	lookup("gpt-5", "gpt-5", "5")
	lookup("gpt-4-turbo", "gpt-4-turbo", "turbo") // the longest wildcard wins
	lookup("claude", "", "")
	if m, _, _ := d.Model("gpt-4.1"); len(m.Fixed()) != 1 {
		t.Error("one target leaves no choice")
	}
	if m, _, _ := d.Model("two"); m.Fixed() != nil {
		t.Error("two targets in a step leave a choice")
	}
	for name, want := range map[string]bool{"gpt-4.1": true, "fast": true, "gpt-4-turbo": false, "claude": false} {
		if acme.Allows(name) != want || !open.Allows(name) {
			t.Errorf("acme and %s: %v", name, acme.Allows(name))
		}
	}
	if n := len(d.Models(&gateway.Caller{Tenant: open})); n != 2 {
		t.Errorf("open sees %d models", n)
	}
	if n := len(d.Models(&gateway.Caller{Tenant: acme})); n != 1 {
		t.Errorf("acme sees %d models", n)
	}
	if d.Key(digest).Tenant != acme || d.Key(gateway.Digest{}) != nil || d.Peppered() || d.Anonymous() != open || d.Tenant("acme") != acme || d.Created() != 1000 {
		t.Error("look-ups")
	}
	origins := func(origin string, tenant *gateway.Tenant, want bool) {
		t.Helper()
		if d.AllowsOrigin(origin, tenant) != want {
			t.Errorf("%s for %v: %v", origin, tenant, !want)
		}
	}
	origins("https://app.example", open, true)
	origins("https://acme.example", nil, true) // a preflight has no tenant
	origins("https://acme.example", acme, true)
	origins("https://acme.example", open, false)
	origins("https://evil.example", nil, false)
}

// A tenant reaches the accounts of the models that it may use, and no others.
func TestDirectoryAccounts(t *testing.T) {
	check := func(name string, allow, deny []gateway.Pattern, want bool) {
		t.Helper()
		tenant := &gateway.Tenant{ID: "acme", Allow: allow, Deny: deny}
		d := gateway.NewDirectory(gateway.Entries{
			Models:   []*gateway.Model{{Name: gateway.Pattern(name), Steps: [][]*gateway.Target{{{Provider: "p"}}}}},
			Tenants:  []*gateway.Tenant{tenant},
			Accounts: []*gateway.Account{{Name: "p"}, {Name: "q"}},
		})
		if got := d.Accounts(&gateway.Caller{Tenant: tenant}); (len(got) == 1) != want || len(got) > 1 {
			t.Errorf("%s, of %q but not %q: %d accounts", name, allow, deny, len(got))
		}
	}
	only := func(p ...gateway.Pattern) []gateway.Pattern { return p }
	check("gpt-5", nil, nil, true)
	check("gpt-5", only("gpt-*"), nil, true)
	check("gpt-5", only("claude"), nil, false)
	check("gpt-5", nil, only("g*"), false)
	check("gpt-*", nil, nil, true)
	check("gpt-*", only("gpt-5"), nil, true)
	check("gpt-*", only("*"), nil, true)
	check("gpt-*", only("claude-*"), nil, false)
	check("gpt-*", only("*-mini"), nil, true)
	check("*-mini", only("gpt-*"), nil, true)
	check("gpt-*-mini", only("*-5-*"), nil, true)
	check("gpt-*", only("g"), nil, false)
	check("*-mini", only("gpt-*-large"), nil, false)
	check("gpt-*", nil, only("gpt-5"), true) // others are left
	check("gpt-*", nil, only("gpt-*"), false)
	check("gpt-*", nil, only("g*"), false)
	check("openai/gpt-*", only("*"), only("openai/*"), false)
	check("*", nil, only("*"), false)
}

func TestParseDigest(t *testing.T) {
	for _, s := range []string{"", "sha256", "md5:" + strings.Repeat("ab", 32), "sha256:" + strings.Repeat("ab", 31), "sha256:" + strings.Repeat("ab", 33), "sha256:" + strings.Repeat("zz", 32)} {
		if _, err := gateway.ParseDigest(s); err == nil {
			t.Errorf("%q is taken for a digest", s)
		}
	}
	if d, err := gateway.ParseDigest("hmac-sha256:" + strings.Repeat("0f", 32)); err != nil || d.Kind != gateway.HMACSHA256 || d.Sum[31] != 0x0f {
		t.Error(d, err)
	}
}
