package routing_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/routing"
)

// keys are the targets of a plan by provider and key.
func keys(x *gateway.Exchange) string {
	var list []string
	for _, t := range x.Plan.Targets {
		list = append(list, strings.TrimSuffix(t.Provider+":"+t.Key, ":"))
	}
	return strings.Join(list, " ")
}

// TestPinned leads a request to whoever holds what it names.
func TestPinned(t *testing.T) {
	b := newBank(4)
	f := func(tenant *gateway.Tenant, name, body, want string) {
		t.Helper()
		x, e := b.ask(t, query{tenant: tenant, name: name, body: body})
		if e != nil || keys(x) != want || strings.Contains(string(x.Request.Body()), "~") {
			t.Errorf("%s of %s: at %q, %v; %s", name, body, keys(x), e, x.Request.Body())
		}
	}
	keyA, keyB, gone := gateway.Holder("two", "a"), gateway.Holder("two", "b"), gateway.Holder("two", "gone")
	chat := func(ids ...string) string {
		return `{"model":"pair","messages":[{"content":[{"file":{"file_id":"` + strings.Join(ids, `"}},{"file":{"file_id":"`) + `"}}]}]}`
	}
	f(b.all, "chat.completions", chat("file-1"), "one two:a two:b")
	f(b.all, "chat.completions", chat("file-1~one"), "one")
	f(b.all, "chat.completions", chat("file-1~two"), "two:a two:b") // from when it had one key
	f(b.all, "chat.completions", chat("file-1~"+keyB), "two:b")
	f(b.all, "chat.completions", chat("file-1~"+gone), "two:a two:b") // perhaps it has another name now
	f(b.all, "chat.completions", chat("file-1~two", "file-2~"+keyA, "file-3~"+keyA), "two:a")
	f(b.own, "chat.completions", chat("file-1~"+keyB), "two:b")
	f(b.all, "messages", `{"model":"claude","messages":[{"content":[{"type":"document","source":{"file_id":"file_1~claude"}}]}]}`, "claude")
	f(b.all, "responses.create", `{"model":"gpt","input":[{"content":[{"type":"input_file","file_id":"file-1~claude"}]}]}`, "claude")
	f(b.all, "responses.create", `{"model":"gpt","previous_response_id":"resp_9~one"}`, "one")
	f(b.all, "responses.create", `{"model":"gpt","conversation":{"id":"conv_9~one"}}`, "one")
	f(b.all, "responses.create", `{"model":"gpt","conversation":"conv_9~claude","previous_response_id":"resp_4"}`, "claude")

	// A model that was not planned for has not changed.
	m, _, _ := b.Directory.Model("pair")
	if len(m.Fixed()) != 3 {
		t.Errorf("the model has %d targets left", len(m.Fixed()))
	}
}

func TestPinnedErrors(t *testing.T) {
	b := newBank(4)
	f := func(name, body, code, param, message string) {
		t.Helper()
		_, e := b.ask(t, query{tenant: b.all, name: name, body: body})
		if e == nil || e.Status != 400 || e.Code != code || e.Param != param || e.Message != message || e.Origin != gateway.OriginClient {
			t.Errorf("%s of %s: %v", name, body, e)
		}
	}
	f("chat.completions", `{"model":"claude","messages":[{"content":[{"file":{"file_id":"file-1~one"}}]}]}`, "wrong_provider",
		"messages[0].content[0].file.file_id", `"file-1~one" is held by "one", to which the model "claude" does not lead. Ask a model that `+
			`does, or upload it again with the header x-sluice-provider.`)
	f("chat.completions", `{"model":"claude","file_id":"file-1~nobody.0a1b2c3d"}`, "wrong_provider", "file_id",
		`"file-1~nobody.0a1b2c3d" is held by "nobody", to which the model "claude" does not lead. Ask a model that does, or upload it again with `+
			`the header x-sluice-provider.`)
	f("responses.create", `{"model":"claude","previous_response_id":"resp_1~one"}`, "previous_response_not_found", "previous_response_id",
		`"resp_1~one" is held by "one", to which the model "claude" does not lead. Ask a model that does, or send the whole conversation as "input".`)
	f("responses.create", `{"model":"claude","conversation":"conv_1~one"}`, "wrong_provider", "conversation",
		`"conv_1~one" is held by "one", to which the model "claude" does not lead. Ask a model that does, or send the whole conversation as "input".`)
	// In two places at once.
	const both = ` are in different ones. Upload both to the same, with the header x-sluice-provider.`
	f("chat.completions", `{"model":"pair","a":{"file_id":"file-1~one"},"b":{"file_id":"file-2~two"}}`, "wrong_provider", "b.file_id",
		`One request is answered by one account, but "file-1~one" and "file-2~two"`+both)
	first, second := "file-1~"+gateway.Holder("two", "a"), "file-2~"+gateway.Holder("two", "b")
	f("chat.completions", `{"model":"pair","a":{"file_id":"`+first+`"},"b":{"file_id":"`+second+`"}}`, "wrong_provider", "b.file_id",
		`One request is answered by one account, but "`+first+`" and "`+second+`"`+both)
}

// TestKeyOfAccount finds the key by which a file, a batch or a response was made.
func TestKeyOfAccount(t *testing.T) {
	b := newBank(1)
	f := func(q query, want string) {
		t.Helper()
		x, e := b.ask(t, q)
		if e != nil || keys(x) != want {
			t.Errorf("%s of %q: at %q, %v", q.name, q.param, keys(x), e)
		}
	}
	second := gateway.Holder("two", "b")
	f(query{tenant: b.free, name: "files.retrieve", param: "file-1~" + second}, "two:b")
	f(query{tenant: b.free, name: "files.content", param: "file-1~" + gateway.Holder("two", "old")}, "two:a two:b")
	f(query{tenant: b.free, name: "batches.create", body: `{"input_file_id":"file-1~` + second + `"}`}, "two:b")
	f(query{tenant: b.free, name: "files.create", body: `{}`, header: second}, "two:b")
	f(query{tenant: b.free, name: "files.list", header: second}, "two:b")
	f(query{tenant: b.free, name: "responses.delete", param: "resp_1~one"}, "one")

	// The next page is where the one before it was, and nobody else's.
	list := func(b *bank, query string) (string, error) {
		x := gatewaytest.New(t, gatewaytest.Request{
			Endpoint: gatewaytest.Endpoint("files.list", ""), Directory: b.Directory, Caller: gateway.Caller{Tenant: b.free},
		})
		x.Request.Query = query
		p, _ := gatewaytest.Build(t, routing.Spec(), nil)
		a := gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{}))
		return keys(x), a.Err
	}
	for _, query := range []string{"limit=2&after=file-1~" + second, "before=file-1%7E" + second} {
		if at, err := list(b, query); err != nil || at != "two:b" {
			t.Errorf("%s: at %q, %v", query, at, err)
		}
	}
	if at, err := list(b, "after=file-1"); err != nil || at != "one" {
		t.Errorf("at %q, %v", at, err)
	}
	if at, err := list(newBank(4), "after=file-1~"+second); err == nil || gateway.AsError(err).Status != 403 {
		t.Errorf("a list of several tenants' things comes from %q, %v", at, err)
	}
}

// What names nothing that is held plans as before, without a copy.
func TestNotPinned(t *testing.T) {
	b := newBank(4)
	m, _, _ := b.Directory.Model("pair")
	x, e := b.ask(t, query{tenant: b.all, name: "chat.completions", body: `{"model":"pair","messages":[{"content":"~/file~one"}]}`})
	if e != nil || !slices.Equal(x.Plan.Targets, m.Fixed()) || &x.Plan.Targets[0] != &m.Fixed()[0] {
		t.Errorf("at %q, %v", keys(x), e)
	}
}
