package routing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/routing"
)

// target is "provider/model"; key and weight where they matter.
func target(name string, weight int) *gateway.Target {
	provider, model, _ := strings.Cut(name, "/")
	return &gateway.Target{Provider: provider, Model: model, Weight: weight}
}

// ordered makes steps of one target each.
func ordered(names ...string) [][]*gateway.Target {
	var steps [][]*gateway.Target
	for _, n := range names {
		steps = append(steps, []*gateway.Target{target(n, 1)})
	}
	return steps
}

// shop is a directory with models of every kind, and two tenants: one may use everything, the other little.
type shop struct {
	*gateway.Directory
	all, some *gateway.Tenant
	mini      *gateway.Model
}

func newShop() *shop {
	s := &shop{
		all:  &gateway.Tenant{ID: "all"},
		some: &gateway.Tenant{ID: "some", Allow: []gateway.Pattern{"gpt-4.1*", "claude-*", "deep"}, Deny: []gateway.Pattern{"*-opus"}},
	}
	demo := &gateway.Model{Name: "demo", OwnedBy: "sluice", Steps: ordered("sim/chat")}
	secret := &gateway.Model{Name: "gpt-4-secret", OwnedBy: "lab", Steps: ordered("lab/s"), Fallback: []*gateway.Model{demo}}
	s.mini = &gateway.Model{Name: "gpt-4.1-mini", OwnedBy: "openai", Steps: ordered("openai/gpt-4.1-mini", "azure/mini")}
	large := &gateway.Model{
		Name: "gpt-4.1", OwnedBy: "openai", Steps: ordered("openai/gpt-4.1"), Fallback: []*gateway.Model{secret, s.mini, demo},
	}
	claude := &gateway.Model{Name: "claude-*", OwnedBy: "anthropic", Steps: ordered("anthropic/claude-*")}
	haiku := &gateway.Model{Name: "claude-haiku*", OwnedBy: "anthropic", Steps: ordered("anthropic/"), Fallback: []*gateway.Model{claude}}
	deep := &gateway.Model{Name: "deep", Steps: ordered("one/a", "two/b")}
	deeper := &gateway.Model{Name: "deeper", Steps: ordered("two/b", "three/", "four/deep"), Fallback: []*gateway.Model{claude}}
	deepest := &gateway.Model{Name: "deepest", Steps: ordered("five/e")}
	deep.Fallback = []*gateway.Model{deeper, deepest}
	deeper.Fallback = []*gateway.Model{deep, deepest, s.mini}
	qwen := &gateway.Model{Name: "Qwen/Qwen3-8B", OwnedBy: "qwen", Steps: ordered("vllm/Qwen3-8B")}
	s.Directory = gateway.NewDirectory(gateway.Entries{
		Models:  []*gateway.Model{demo, secret, large, s.mini, claude, haiku, deep, deeper, deepest, qwen},
		Aliases: map[string]string{"fast": "gpt-4.1-mini", "hidden": "demo"},
		Tenants: []*gateway.Tenant{s.all, s.some}, Created: time.Unix(1767225600, 0),
	})
	return s
}

func body(model string) string { return fmt.Sprintf(`{"model":%q,"messages":[]}`, model) }

// names are the targets as the providers know them.
func names(x *gateway.Exchange) string {
	var list []string
	for _, t := range x.Plan.Targets {
		list = append(list, t.Provider+"/"+x.ModelFor(t))
	}
	return strings.Join(list, " ")
}

func TestConformance(t *testing.T) {
	s := newShop()
	gatewaytest.Conformance(t, gatewaytest.Subject{
		Spec:    routing.Spec(),
		Request: gatewaytest.Request{Directory: s.Directory, Caller: gateway.Caller{Tenant: s.all}, Body: body("deep")},
	})
}

func TestPlan(t *testing.T) {
	s := newShop()
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	f := func(tenant *gateway.Tenant, model, canonical, matched, targets string) {
		t.Helper()
		x := gatewaytest.New(t, gatewaytest.Request{Directory: s.Directory, Caller: gateway.Caller{Tenant: tenant}, Body: body(model)})
		a := gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{}))
		if a.Err != nil || x.Plan.Model != canonical || x.Plan.Matched != matched || names(x) != targets {
			t.Errorf("%s for %s: %q by %q at %q, %v", model, tenant.ID, x.Plan.Model, x.Plan.Matched, names(x), a.Err)
		}
	}
	f(s.all, "demo", "demo", "", "sim/chat")
	f(s.all, "gpt-4.1-mini", "gpt-4.1-mini", "", "openai/gpt-4.1-mini azure/mini")
	f(s.all, "fast", "gpt-4.1-mini", "", "openai/gpt-4.1-mini azure/mini")
	f(s.some, "fast", "gpt-4.1-mini", "", "openai/gpt-4.1-mini azure/mini")
	f(s.all, "Qwen/Qwen3-8B", "Qwen/Qwen3-8B", "", "vllm/Qwen3-8B")

	// Fallbacks: depth first, only what the tenant may use, nothing twice.
	f(s.all, "gpt-4.1", "gpt-4.1", "", "openai/gpt-4.1 lab/s sim/chat openai/gpt-4.1-mini azure/mini")
	f(s.some, "gpt-4.1", "gpt-4.1", "", "openai/gpt-4.1 openai/gpt-4.1-mini azure/mini")
	f(s.some, "deep", "deep", "", "one/a two/b")
	f(s.all, "deep", "deep", "", "one/a two/b three/deep four/deep five/e openai/gpt-4.1-mini azure/mini")

	// Wildcards: the longest wins, and a fallback's "*" stands for the same text.
	f(s.all, "claude-x", "claude-x", "x", "anthropic/claude-x")
	f(s.some, "claude-x", "claude-x", "x", "anthropic/claude-x")
	f(s.all, "claude-haiku-4", "claude-haiku-4", "-4", "anthropic/claude-haiku-4 anthropic/claude--4")
}

// TestShared makes sure that a plan without a choice is the model's own list, and that others leave it alone.
func TestShared(t *testing.T) {
	s := newShop()
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	plan := func(model string) []*gateway.Target {
		x := gatewaytest.New(t, gatewaytest.Request{Directory: s.Directory, Caller: gateway.Caller{Tenant: s.all}, Body: body(model)})
		if a := gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{})); a.Err != nil {
			t.Fatal(a.Err)
		}
		return x.Plan.Targets
	}
	if got := plan("fast"); &got[0] != &s.mini.Fixed()[0] {
		t.Error("the plan is a copy")
	}
	before := slices.Clone(s.mini.Fixed())
	plan("gpt-4.1")
	plan("deep")
	if !slices.Equal(before, s.mini.Fixed()) {
		t.Error("a plan changed the model's list")
	}
}

// TestLongPlan makes sure that a plan has an end.
func TestLongPlan(t *testing.T) {
	var step []*gateway.Target
	for i := range 100 {
		step = append(step, target(fmt.Sprintf("p%d/m", i), 1))
	}
	m := &gateway.Model{Name: "m", Steps: [][]*gateway.Target{step, step}}
	d := gateway.NewDirectory(gateway.Entries{Models: []*gateway.Model{m}})
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	x := gatewaytest.New(t, gatewaytest.Request{Directory: d, Caller: gateway.Caller{Tenant: &gateway.Tenant{}}, Body: body("m")})
	if a := gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{})); a.Err != nil || len(x.Plan.Targets) != 64 {
		t.Errorf("%d targets, %v", len(x.Plan.Targets), a.Err)
	}
}

func TestErrors(t *testing.T) {
	s := newShop()
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	script := &gatewaytest.Script{}
	f := func(r gatewaytest.Request, status int, kind, code, param, message string) {
		t.Helper()
		r.Directory = s.Directory
		a := gatewaytest.Serve(gatewaytest.New(t, r), p.Wrap(script))
		e := a.Error()
		if e == nil || e.Status != status || e.Type != kind || e.Code != code || e.Param != param || e.Message != message {
			t.Errorf("%s%s: %+v", r.Body, r.Param, e)
		}
	}
	const list = " GET /v1/models lists those that you may use."
	unknown := func(tenant *gateway.Tenant, model, hint string) {
		t.Helper()
		shown := model
		if len(shown) > 100 {
			shown = shown[:99] + "…" // the cut falls into a character of two bytes
		}
		r := gatewaytest.Request{Caller: gateway.Caller{Tenant: tenant}, Body: body(model)}
		message := `There is no model "` + shown + `".` + hint + list
		f(r, 404, "invalid_request_error", "model_not_found", "model", message)
		r.Endpoint, r.Param = gatewaytest.ModelsRetrieve(), model
		f(r, 404, "invalid_request_error", "model_not_found", "model", message)
	}
	unknown(s.all, "nothing-like-it", "")
	unknown(s.all, "DEMO", ` Did you mean "demo"?`)
	unknown(s.all, "dmo", ` Did you mean "demo"?`)
	unknown(s.all, "dxyz", "")
	unknown(s.all, "gtp-4.1-mini", ` Did you mean "gpt-4.1-mini"?`)
	unknown(s.all, "gpt-4.1-mini-2025-04-14", ` Did you mean "gpt-4.1-mini" or "gpt-4.1"?`)
	unknown(s.all, "gpt-4", ` Did you mean "gpt-4.1", "gpt-4-secret" or "gpt-4.1-mini"?`)
	unknown(s.all, "qwen3-8b", ` Did you mean "Qwen/Qwen3-8B"?`)
	unknown(s.all, "other/Qwen3-8B", ` Did you mean "Qwen/Qwen3-8B"?`)
	unknown(s.all, "g", "")
	unknown(s.all, "deeply", ` Did you mean "deep" or "deeper"?`)
	unknown(s.all, "x"+strings.Repeat("é", 150), "")
	// Others' models are no hint.
	unknown(s.some, "gpt-4", ` Did you mean "gpt-4.1" or "gpt-4.1-mini"?`)
	unknown(s.some, "demos", "")
	unknown(s.some, "deeply", ` Did you mean "deep"?`)

	denied := func(tenant *gateway.Tenant, model string) {
		t.Helper()
		r := gatewaytest.Request{Caller: gateway.Caller{Tenant: tenant}, Body: body(model)}
		f(r, 403, "permission_error", "model_not_allowed", "model", `You may not use the model "`+model+`". GET /v1/models lists `+
			`those that you may use; the gateway's operator can add others under models.allow of your tenant.`)
	}
	denied(s.some, "demo")
	denied(s.some, "hidden") // by an alias, whose model the message does not tell
	denied(s.some, "gpt-4-secret")
	denied(s.some, "claude-9-opus")

	// To be shown a model that one may not use gives nothing away: the words are those for one that does not exist.
	hidden := func(model, hint string) {
		t.Helper()
		f(gatewaytest.Request{Endpoint: gatewaytest.ModelsRetrieve(), Caller: gateway.Caller{Tenant: s.some}, Param: model},
			404, "invalid_request_error", "model_not_found", "model", `There is no model "`+model+`".`+hint+list)
	}
	hidden("demo", "")
	hidden("claude-9-opus", "")
	hidden("hidden", "")
	hidden("deeper", ` Did you mean "deep"?`)

	// Without a caller there is nothing to allow.
	for _, e := range []*gateway.Endpoint{gatewaytest.Chat(), gatewaytest.ModelsList(), gatewaytest.ModelsRetrieve()} {
		f(gatewaytest.Request{Endpoint: e, Param: "demo"}, 500, "server_error", "no_caller", "",
			`No plugin of the chain has identified the caller. The chain needs "auth" before "routing".`)
	}
	// The body's faults come from the contract.
	f(gatewaytest.Request{Caller: gateway.Caller{Tenant: s.all}, Body: `{}`}, 400, "invalid_request_error",
		"missing_required_parameter", "model", `The request has no "model". Name the model that should answer.`)
	f(gatewaytest.Request{Caller: gateway.Caller{Tenant: s.all}, Body: `{"model":1}`}, 400, "invalid_request_error",
		"invalid_value", "model", `"model" must be a string (at offset 9)`)
	if n := script.Served(); n != 0 {
		t.Errorf("%d refused exchanges were passed on", n)
	}
}

// TestManyModels makes sure that the search for near names has an end.
func TestManyModels(t *testing.T) {
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	f := func(models int, name, want string) {
		t.Helper()
		e := gateway.Entries{}
		for i := range models {
			e.Models = append(e.Models, &gateway.Model{Name: gateway.Pattern(fmt.Sprintf("m%06d", i))})
		}
		x := gatewaytest.New(t, gatewaytest.Request{
			Directory: gateway.NewDirectory(e), Caller: gateway.Caller{Tenant: &gateway.Tenant{}}, Body: body(name),
		})
		a := gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{}))
		if e := a.Error(); e == nil || !strings.Contains(e.Message, `".`+want+" GET") {
			t.Errorf("%v", a.Err)
		}
	}
	f(2000, "m000001x", ` Did you mean "m000001", "m000000" or "m000002"?`)
	f(2001, "m000001x", "")
	f(2000, "m000001"+strings.Repeat("x", 300), "")
}

func TestModels(t *testing.T) {
	s := newShop()
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	script := &gatewaytest.Script{}
	f := func(e *gateway.Endpoint, tenant *gateway.Tenant, param, want string) {
		t.Helper()
		x := gatewaytest.New(t, gatewaytest.Request{
			Endpoint: e, Param: param, Directory: s.Directory, Caller: gateway.Caller{Tenant: tenant},
		})
		a := gatewaytest.Serve(x, p.Wrap(script))
		if a.Err != nil || a.Reply.Status != 200 || a.Reply.ContentType != "application/json" || a.Reply.Kind != gateway.Whole {
			t.Errorf("%q: %v, %+v", param, a.Err, a.Reply)
			return
		}
		if a.Body() != want {
			t.Errorf("%q:\n got %s\nwant %s", param, a.Body(), want)
		}
	}
	model := func(id, by string) string {
		return `{"id":"` + id + `","object":"model","created":1767225600,"owned_by":"` + by + `"}`
	}
	f(gatewaytest.ModelsList(), s.some, "", `{"object":"list","data":[`+model("gpt-4.1", "openai")+","+model("gpt-4.1-mini", "openai")+
		","+model("deep", "")+"]}")
	f(gatewaytest.ModelsList(), &gateway.Tenant{Deny: []gateway.Pattern{"*"}}, "", `{"object":"list","data":[]}`)

	one := func(tenant *gateway.Tenant, param, want string) {
		t.Helper()
		f(gatewaytest.ModelsRetrieve(), tenant, param, want)
	}
	one(s.all, "demo", model("demo", "sluice"))
	one(s.all, "fast", model("gpt-4.1-mini", "openai"))
	one(s.all, "Qwen/Qwen3-8B", model("Qwen/Qwen3-8B", "qwen"))
	one(s.some, "gpt-4.1", model("gpt-4.1", "openai"))
	one(s.some, "claude-sonnet-4/5", model("claude-sonnet-4/5", "anthropic"))
	one(s.all, `claude-"`, model(`claude-\"`, "anthropic"))
	if n := script.Served(); n != 0 {
		t.Errorf("next was called %d times", n)
	}
}

// TestOthers passes endpoints on that are answered elsewhere, whoever asks.
func TestOthers(t *testing.T) {
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	script := &gatewaytest.Script{}
	e := gateway.Endpoint{Name: "oauth.token", Method: "POST", Policy: gateway.Public}
	x := gatewaytest.New(t, gatewaytest.Request{Endpoint: &e, Body: "grant_type=x"})
	if a := gatewaytest.Serve(x, p.Wrap(script)); a.Err != nil || script.Served() != 1 {
		t.Errorf("%v", a.Err)
	}
}
