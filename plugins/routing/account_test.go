package routing_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/routing"
)

// held knows who holds responses: by tenant and id.
type held map[string]string

func (h held) Holder(whose tenant.ID, id string) (provider string, kept bool) {
	provider, kept = strings.CutSuffix(h[string(whose)+" "+id], " kept")
	return provider, kept
}

// bank is a directory of providers that can do different things.
//
//	one     everything
//	two     all but responses, with two keys
//	claude  messages, chat and responses in translation
//	lab     embeddings; only "lab/*" leads there
type bank struct {
	*gateway.Directory
	all, own, chats, nobody *gateway.Tenant
	free                    *gateway.Tenant // may use everything
	accounts                map[string]*gateway.Account
}

func newBank(tenants int) *bank {
	b := &bank{
		all:    &gateway.Tenant{ID: "all", Deny: []gateway.Pattern{"lab/*"}},
		own:    &gateway.Tenant{ID: "own", Deny: []gateway.Pattern{"lab/*"}, Own: map[string]*gateway.Own{}},
		chats:  &gateway.Tenant{ID: "chats", Allow: []gateway.Pattern{"claude"}},
		free:   &gateway.Tenant{ID: "free"},
		nobody: &gateway.Tenant{ID: "nobody", Deny: []gateway.Pattern{"*"}},

		accounts: map[string]*gateway.Account{},
	}
	b.own.Own["two"] = &gateway.Own{Via: sender{}}
	serves := map[string]map[string]bool{"one": nil, "two": {}, "claude": {}, "lab": {"embeddings": true}}
	for name := range strings.FieldsSeq("chat.completions embeddings images.generations images.variations files.create files.list " +
		"files.retrieve files.delete files.content batches.create batches.list batches.retrieve batches.cancel") {
		serves["two"][name] = true
	}
	for _, name := range []string{"messages", "chat.completions", "responses.create", "responses.retrieve"} {
		serves["claude"][name] = name == "messages" // the others in translation
	}
	at := func(names ...string) (targets []*gateway.Target) {
		for _, name := range names {
			x := target(name, 1)
			x.Provider, x.Key, _ = strings.Cut(x.Provider, ":")
			x.Serves = serves[x.Provider]
			if x.Key != "" {
				x.Holder = gateway.Holder(x.Provider, x.Key)
			}
			targets = append(targets, x)
		}
		return targets
	}
	steps := func(names ...string) (steps [][]*gateway.Target) {
		for _, t := range at(names...) {
			steps = append(steps, []*gateway.Target{t})
		}
		return steps
	}
	claude := &gateway.Model{Name: "claude", Steps: steps("claude/c")}
	e := gateway.Entries{
		Models: []*gateway.Model{
			claude,
			{Name: "gpt", Steps: steps("claude/g", "one/gpt", "two:a/gpt")},
			{Name: "small", Steps: steps("claude/s"), Fallback: []*gateway.Model{{Name: "large", Steps: steps("two:a/l", "one/l")}, claude}},
			{Name: "pair", Steps: steps("one/p", "two:a/p", "two:b/p")},
			{Name: "dall-e-2", Steps: steps("one/d")},
			{Name: "lab/*", Steps: steps("lab/*")},
		},
		Tenants:  []*gateway.Tenant{b.all, b.own, b.chats, b.nobody}[:tenants],
		Accounts: []*gateway.Account{{Name: "claude", Targets: at("claude/")}, {Name: "one", Targets: at("one/")}, {Name: "two", Targets: at("two:a/", "two:b/")}, {Name: "lab", Targets: at("lab/")}},
		Holders:  held{"all resp_1": "one", "all resp_2": "claude", "all resp_3": "gone", "all resp_4": "gone kept"},
	}
	for _, a := range e.Accounts {
		b.accounts[a.Name] = a
	}
	b.Directory = gateway.NewDirectory(e)
	return b
}

type sender struct{}

func (sender) Send(*gateway.Exchange, *gateway.Target, *gateway.Attempt) (*gateway.Reply, error) {
	return nil, gateway.ErrGone
}

// query is what a test asks of a bank.
type query struct {
	tenant             *gateway.Tenant
	name, param, body  string
	header, form, want string
}

// ask plans one exchange.
func (b *bank) ask(t *testing.T, q query) (*gateway.Exchange, *gateway.Error) {
	t.Helper()
	r := gatewaytest.Request{
		Endpoint: gatewaytest.Endpoint(q.name, ""), Directory: b.Directory, Caller: gateway.Caller{Tenant: q.tenant}, Param: q.param, Body: q.body,
		Header: gatewaytest.Fields(),
	}
	if q.header != "" {
		r.Header = gatewaytest.Fields("x-sluice-provider", q.header)
	}
	if q.form != "" {
		r.Header["Content-Type"] = []byte("multipart/form-data; boundary=b")
		r.Body = q.form
	} else if r.Endpoint.Body == gateway.Form {
		r.Header["Content-Type"] = []byte("application/json")
	}
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	x := gatewaytest.New(t, r)
	script := &gatewaytest.Script{}
	a := gatewaytest.Serve(x, p.Wrap(script))
	if n := script.Served(); (n == 1) != (a.Err == nil) {
		t.Errorf("%+v: passed on %d times, %v", q, n, a.Err)
	}
	return x, a.Error()
}

func TestAccounts(t *testing.T) {
	b := newBank(4)
	f := func(tenant *gateway.Tenant, name, param, header, body, want string) {
		t.Helper()
		x, e := b.ask(t, query{tenant: tenant, name: name, param: param, header: header, body: body})
		if e != nil {
			t.Errorf("%s of %q: %v", name, param, e)
			return
		}
		got := x.Plan.Targets
		if a := b.accounts[want]; !slices.Equal(got, a.Targets) || &got[0] != &a.Targets[0] || x.Plan.Model != "" {
			t.Errorf("%s of %q goes to %s", name, param, names(x))
		}
	}
	// By the id.
	f(b.all, "files.retrieve", "file-1~one", "", "", "one")
	f(b.all, "files.retrieve", "file-1~two", "one", "", "two") // the id knows better than the header
	f(b.all, "files.delete", "file-1~two", "", "", "two")
	f(b.all, "files.content", "a~b~two", "", "", "two")
	f(b.all, "batches.retrieve", "batch_1~one", "", "", "one")
	f(b.all, "batches.cancel", "batch_1~two", "", "", "two")
	f(b.free, "batches.create", "", "", `{"input_file_id":"file-1~two"}`, "two")
	f(b.free, "batches.create", "", "one", `{"metadata":{"input_file_id":"x~one"},"input_file_id":"file-1~two"}`, "two")
	// By the header.
	f(b.all, "files.retrieve", "file-1", "two", "", "two")
	f(b.free, "batches.create", "", "two", `{"input_file_id":"file-1"}`, "two")
	f(b.own, "files.list", "", "two", "", "two")
	// Because somebody must.
	f(b.all, "files.create", "", "", `{"purpose":"batch"}`, "one")
	f(b.all, "files.create", "", "two", `{"purpose":"batch"}`, "two")
	f(b.free, "batches.create", "", "", `{}`, "one")
	f(b.own, "files.list", "", "", "", "two") // the first that is the tenant's own
	f(b.own, "batches.list", "", "", "", "two")
	f(b.own, "batches.create", "", "two", `{}`, "two") // in its own account a tenant may name any model
	// Responses are found by who is known to hold them.
	f(b.all, "responses.retrieve", "resp_1", "", "", "one")
	f(b.all, "responses.retrieve", "resp_2", "one", "", "claude")
	f(b.all, "responses.retrieve", "resp_9", "", "", "one") // who has the endpoint itself may know
	f(b.all, "responses.retrieve", "resp_9", "one", "", "one")
	f(b.own, "responses.retrieve", "resp_1", "", "", "one") // what another tenant holds says nothing
	f(b.all, "responses.delete", "resp_9", "", "", "one")
	f(b.all, "responses.cancel", "resp_1", "", "", "one")
	f(b.all, "responses.retrieve", "resp_4", "", "", "claude") // the gateway has it, whoever made it
	f(b.all, "responses.input_items", "resp_1", "", "", "one")

	// A form that names no model is read all the same.
	x, e := b.ask(t, query{tenant: b.all, name: "files.create", form: "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b--"})
	if e != nil || names(x) != "one/" {
		t.Errorf("%v, %s", e, names(x))
	}

	// With one tenant alone everything is its own.
	b = newBank(1)
	f(b.all, "files.list", "", "", "", "one")
	f(b.all, "batches.list", "", "two", "", "two")
}

func TestAccountErrors(t *testing.T) {
	b := newBank(4)
	f := func(q query, status int, code, param string) {
		t.Helper()
		_, e := b.ask(t, q)
		if e == nil || e.Status != status || e.Code != code || e.Param != param || e.Message != q.want || e.Origin != gateway.OriginClient {
			t.Errorf("%s of %q: %v", q.name, q.param, e)
		}
	}
	missing := func(name, id string) {
		t.Helper()
		f(query{tenant: b.all, name: name, param: id, want: `There is nothing here with the id "` + id + `".`}, 404, "not_found", "")
	}
	missing("files.retrieve", "file-1~three")
	missing("files.content", "file-1~lab")    // which the tenant may not use
	missing("files.delete", "file-1~claude")  // which has no files
	missing("batches.cancel", "batch_1~ONE")  // names are what they are
	missing("responses.retrieve", "resp_3")   // its provider is gone
	missing("responses.delete", "resp_2")     // its provider cannot
	missing("responses.retrieve", "resp~two") // as well
	f(query{tenant: b.all, name: "batches.create", body: `{"input_file_id":"f~x"}`, want: `There is nothing here with the id "f~x".`}, 404, "not_found", "")

	const how = `The id "file-1" does not say who holds it. Write it as it was given, with the provider's name at its end (for example ` +
		`"file-1~one"), or send the header x-sluice-provider: "one" or "two".`
	f(query{tenant: b.all, name: "files.retrieve", param: "file-1", want: how}, 400, "provider_required", "")
	f(query{tenant: b.all, name: "batches.create", body: `{"input_file_id":"file-1"}`, want: how}, 400, "provider_required", "")
	f(query{
		tenant: b.all, name: "files.retrieve", param: "file-1", header: "claude",
		want: `The header x-sluice-provider names "claude", which is no provider that you may use for GET /v1/files/{id}. Those are: "one" and "two".`,
	}, 400, "unknown_provider", "")

	const shared = `Several tenants share the account at "one" and "two", so what is in it is not listed. Ask for things by the ids that you ` +
		`were given. The gateway's operator can add an account of your own under credentials of your tenant.`
	f(query{tenant: b.all, name: "files.list", want: shared}, 403, "shared_account", "")
	f(query{tenant: b.all, name: "batches.list", header: "two", want: shared}, 403, "shared_account", "")
	f(query{tenant: b.own, name: "files.list", header: "one", want: shared}, 403, "shared_account", "")

	f(query{tenant: b.chats, name: "files.list", want: "No provider that you may use can do GET /v1/files."}, 400, "unsupported_endpoint", "")
	f(query{tenant: b.nobody, name: "files.create", body: "{}", want: "No provider that you may use can do POST /v1/files."}, 400, "unsupported_endpoint", "")
	f(query{tenant: b.all, name: "files.create", form: "x", want: "invalid form: it must begin with the boundary that its content type names"}, 400, "invalid_form", "")
}

// TestCapable plans around targets that do not have the endpoint.
func TestCapable(t *testing.T) {
	b := newBank(4)
	f := func(tenant *gateway.Tenant, name, body, model, want string) {
		t.Helper()
		x, e := b.ask(t, query{tenant: tenant, name: name, body: body})
		if e != nil || names(x) != want || x.Plan.Model != model {
			t.Errorf("%s of %s: %q at %q, %v", name, body, x.Plan.Model, names(x), e)
		}
	}
	f(b.all, "chat.completions", `{"model":"gpt"}`, "gpt", "claude/g one/gpt two/gpt")
	f(b.all, "embeddings", `{"model":"gpt"}`, "gpt", "one/gpt two/gpt")
	f(b.all, "responses.create", `{"model":"gpt"}`, "gpt", "claude/g one/gpt")
	f(b.all, "messages", `{"model":"claude"}`, "claude", "claude/c")
	f(b.all, "embeddings", `{"model":"small"}`, "small", "two/l one/l") // its fallbacks can
	f(b.all, "chat.completions", `{"model":"small"}`, "small", "claude/s two/l one/l claude/c")

	// Who names no model means the usual one.
	f(b.all, "images.generations", `{"prompt":"x"}`, "dall-e-2", "one/d")
	f(b.all, "images.generations", `{"model":"gpt"}`, "gpt", "one/gpt two/gpt")
	f(b.all, "images.variations", `{}`, "dall-e-2", "one/d")

	// A conversation goes on where it is held.
	f(b.all, "responses.create", `{"model":"gpt","previous_response_id":"resp_1"}`, "gpt", "one/gpt")
	f(b.all, "responses.create", `{"model":"gpt","previous_response_id":"resp_2"}`, "gpt", "claude/g")
	f(b.all, "responses.create", `{"model":"gpt","previous_response_id":"resp_9"}`, "gpt", "one/gpt") // who keeps some itself may know
	f(b.own, "responses.create", `{"model":"gpt","previous_response_id":"resp_1"}`, "gpt", "one/gpt")
	f(b.all, "responses.create", `{"model":"gpt","previous_response_id":"`+gateway.ResponseID("req_1")+`"}`, "gpt", "claude/g one/gpt") // but not the gateway's
	f(b.all, "responses.create", `{"model":"claude","previous_response_id":"resp_9"}`, "claude", "claude/c")
	f(b.all, "responses.create", `{"model":"gpt","previous_response_id":"resp_4"}`, "gpt", "claude/g") // any that is translated
	f(b.all, "responses.create", `{"model":"claude","previous_response_id":"resp_2"}`, "claude", "claude/c")
	f(b.all, "responses.create", `{"model":"gpt","previous_response_id":null}`, "gpt", "claude/g one/gpt")
	f(b.all, "chat.completions", `{"model":"gpt","previous_response_id":"resp_1"}`, "gpt", "claude/g one/gpt two/gpt")
}

// After a restart nobody remembers who keeps a response: those who keep some are asked one after the other.
func TestForgottenResponse(t *testing.T) {
	at := func(names ...string) (targets []*gateway.Target) {
		for _, name := range names {
			x := target(name, 1)
			if x.Provider == "chats" {
				x.Serves = map[string]bool{"responses.create": false, "responses.retrieve": false, "chat.completions": true}
			}
			targets = append(targets, x)
		}
		return targets
	}
	model := &gateway.Model{Name: "m"}
	for _, x := range at("chats/m", "one/m", "two/m") {
		model.Steps = append(model.Steps, []*gateway.Target{x})
	}
	who := &gateway.Tenant{ID: "t"}
	b := &bank{Directory: gateway.NewDirectory(gateway.Entries{
		Models: []*gateway.Model{model}, Tenants: []*gateway.Tenant{who},
		Accounts: []*gateway.Account{{Name: "chats", Targets: at("chats/")}, {Name: "one", Targets: at("one/")}, {Name: "two", Targets: at("two/")}},
	})}
	f := func(q query, want string) {
		t.Helper()
		q.tenant = who
		if x, e := b.ask(t, q); e != nil || names(x) != want {
			t.Errorf("%+v: %q, %v", q, names(x), e)
		}
	}
	f(query{name: "responses.retrieve", param: "resp_1"}, "one/ two/")
	f(query{name: "responses.retrieve", param: "resp_1", header: "two"}, "two/")
	f(query{name: "responses.retrieve", param: "resp_1~two"}, "two/")
	f(query{name: "responses.create", body: `{"model":"m","previous_response_id":"resp_1"}`}, "one/m two/m")
	f(query{name: "files.create", body: `{"purpose":"batch"}`}, "one/")
}

func TestCapableErrors(t *testing.T) {
	b := newBank(4)
	f := func(tenant *gateway.Tenant, name, body string, status int, code, param, message string) {
		t.Helper()
		_, e := b.ask(t, query{tenant: tenant, name: name, body: body})
		if e == nil || e.Status != status || e.Code != code || e.Param != param || e.Message != message {
			t.Errorf("%s of %s: %v", name, body, e)
		}
	}
	f(b.all, "embeddings", `{"model":"claude"}`, 400, "unsupported_endpoint", "model",
		`The model "claude" is served by "claude", which cannot do POST /v1/embeddings. Providers that can: "one" and "two".`)
	f(b.chats, "embeddings", `{"model":"claude"}`, 400, "unsupported_endpoint", "model",
		`The model "claude" is served by "claude", which cannot do POST /v1/embeddings. No provider that you may use can.`)
	f(b.all, "responses.create", `{"model":"claude","previous_response_id":"resp_1"}`, 400, "previous_response_not_found", "previous_response_id",
		`"resp_1" is held by "one", to which the model "claude" does not lead. Ask a model that does, or send the whole conversation as "input".`)
	f(b.all, "moderations", `{"input":"x"}`, 400, "missing_required_parameter", "model",
		`The request has no "model", and the usual one, "omni-moderation-latest", is none of this gateway's. Name the model that should answer. `+
			`GET /v1/models lists those that you may use.`)
	f(b.chats, "images.generations", `{}`, 403, "model_not_allowed", "model", `You may not use the model "dall-e-2". GET /v1/models lists those `+
		`that you may use; the gateway's operator can add others under models.allow of your tenant.`)
	f(b.all, "embeddings", `{}`, 400, "missing_required_parameter", "model", `The request has no "model". Name the model that should answer.`)
	f(b.all, "batches.create", `{"input_file_id":"file-1~one"}`, 403, "model_not_allowed", "input_file_id", "The lines of a batch can name any "+
		"model of the provider's, and you may use only some. The gateway's operator can add an account of your own under credentials of your tenant.")
	f(b.free, "batches.create", `[]`, 400, "invalid_json", "", "the body must be one JSON object (at offset 0)")
}

// TestSharedStays makes sure that leaving targets out changes no model.
func TestSharedStays(t *testing.T) {
	b := newBank(4)
	m, _, _ := b.Directory.Model("gpt")
	before := slices.Clone(m.Fixed())
	for _, body := range []string{`{"model":"gpt"}`, `{"model":"gpt","previous_response_id":"resp_1"}`} {
		if _, e := b.ask(t, query{tenant: b.all, name: "responses.create", body: body}); e != nil {
			t.Fatal(e)
		}
	}
	if !slices.Equal(before, m.Fixed()) {
		t.Error("a plan changed the model's list")
	}
}

// TestAnthropicModels answers clients of Anthropic's as Anthropic does, page by page.
func TestAnthropicModels(t *testing.T) {
	s := newShop()
	p, _ := gatewaytest.Build(t, routing.Spec(), nil)
	script := &gatewaytest.Script{}
	ask := func(name, param, query string) gatewaytest.Answer {
		t.Helper()
		x := gatewaytest.New(t, gatewaytest.Request{
			Endpoint: gatewaytest.Endpoint(name, "anthropic"), Param: param, Directory: s.Directory, Caller: gateway.Caller{Tenant: s.some},
		})
		x.Request.Query = query
		return gatewaytest.Serve(x, p.Wrap(script))
	}
	model := func(id string) string {
		return `{"type":"model","id":"` + id + `","display_name":"` + id + `","created_at":"2026-01-01T00:00:00Z"}`
	}
	list := func(query string, more bool, ids ...string) {
		t.Helper()
		var models []string
		for _, id := range ids {
			models = append(models, model(id))
		}
		want := `{"data":[` + strings.Join(models, ",") + `],"has_more":` + map[bool]string{true: "true", false: "false"}[more]
		if len(ids) > 0 {
			want += `,"first_id":"` + ids[0] + `","last_id":"` + ids[len(ids)-1] + `"}`
		} else {
			want += `,"first_id":null,"last_id":null}`
		}
		if a := ask("models.list", "", query); a.Err != nil || a.Body() != want || a.Reply.ContentType != "application/json" {
			t.Errorf("%s: %s, %v\nwant %s", query, a.Body(), a.Err, want)
		}
	}
	list("", false, "gpt-4.1", "gpt-4.1-mini", "deep")
	list("limit=1000", false, "gpt-4.1", "gpt-4.1-mini", "deep")
	list("limit=2", true, "gpt-4.1", "gpt-4.1-mini")
	list("limit=2&after_id=gpt-4.1", false, "gpt-4.1-mini", "deep")
	list("limit=1&after_id=gpt-4.1", true, "gpt-4.1-mini")
	list("after_id=deep", false)
	list("before_id=deep", false, "gpt-4.1", "gpt-4.1-mini")
	list("limit=1&before_id=deep", true, "gpt-4.1-mini")
	list("before_id=gpt%2D4.1", false)

	bad := func(query, param string) {
		t.Helper()
		a := ask("models.list", "", query)
		if e := a.Error(); e == nil || e.Status != 400 || e.Code != "invalid_value" || e.Param != param {
			t.Errorf("%s: %v", query, a.Err)
		}
	}
	bad("limit=0", "limit")
	bad("limit=1001", "limit")
	bad("limit=x", "limit")
	bad("limit=%zz", "limit")
	bad("after_id=demo", "after_id") // which the tenant may not use
	bad("before_id=nothing", "before_id")

	if a := ask("models.retrieve", "fast", ""); a.Body() != model("gpt-4.1-mini") {
		t.Errorf("%s, %v", a.Body(), a.Err)
	}
	a := ask("models.retrieve", "demo", "")
	if e := a.Error(); e == nil || e.Status != 404 || e.Code != "model_not_found" {
		t.Errorf("%v", a.Err)
	}
	if n := script.Served(); n != 0 {
		t.Errorf("next was called %d times", n)
	}
}
