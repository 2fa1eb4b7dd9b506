package upstream_test

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// A tenant that stores much drives out its own answers, not those of the others.
func TestStoredIsFair(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	store := upstream.NewStored(256<<10, patience)
	p := compatible(t, f, store)
	ask := func(who tenant.ID, input string) string {
		t.Helper()
		x := at(t, "responses.create", fmt.Sprintf(`{"model":"m","input":%q}`, input), "", "")
		x.Caller.Tenant = &gateway.Tenant{ID: who}
		r := attempt(t, p, x, "m")
		if r.err != nil {
			t.Fatal(r.err)
		}
		return strings.Trim(field(t, r.events[0], "id"), `"`)
	}
	held := func(who tenant.ID, id string) bool {
		_, kept := store.Holder(who, id)
		return kept
	}
	small := ask("small", "hi")
	var large []string
	for range 40 {
		large = append(large, ask("large", strings.Repeat("much ", 2000)))
	}
	if !held("small", small) || held("large", large[0]) || !held("large", large[39]) {
		t.Errorf("held: of small %t, the first of large %t, its last %t", held("small", small), held("large", large[0]), held("large", large[39]))
	}
	if id := ask("large", strings.Repeat("too much ", 10_000)); held("large", id) {
		t.Error("an answer larger than an eighth of all is held")
	}
}

// stored asks a provider without a Responses API for an answer, and says by which id it is kept.
func stored(t *testing.T, p *upstream.Provider) (id string) {
	t.Helper()
	r := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one"}`, "", ""), "m")
	if r.err != nil || field(t, r.events[0], "store") != "true" {
		t.Fatalf("%v %q", r.err, r.events)
	}
	return strings.Trim(field(t, r.events[0], "id"), `"`)
}

// New limits are for what is there, too.
func TestLimit(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	store := upstream.NewStored(1<<20, patience)
	p := compatible(t, f, store)
	kept := func(id string) bool {
		t.Helper()
		r := attempt(t, p, at(t, "responses.retrieve", "", id, ""), "")
		if e := gateway.AsError(r.err); r.err != nil && (e.Status != 404 || e.Code != "not_found") {
			t.Errorf("%+v", e)
		}
		return r.err == nil
	}
	first := stored(t, p)
	store.Limit(1<<20, 2*patience)
	if !kept(first) {
		t.Error("a longer life made an end of it")
	}
	store.Limit(1<<20, time.Nanosecond)
	if kept(first) {
		t.Error("it has lived for longer than allowed")
	}
	store.Limit(1<<20, patience)
	first, second := stored(t, p), stored(t, p)
	store.Limit(3000, patience)
	if kept(first) || !kept(second) {
		t.Error("less room was not made by giving up the oldest")
	}
	store.Limit(0, patience)
	store.Limit(1<<20, patience)
	if kept(second) {
		t.Error("it was there after nothing was")
	}
}

// Without memory, and without a store, what needs one is refused, and it is said what the operator can do.
func TestNothingStored(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	for _, store := range []*upstream.Stored{nil, upstream.NewStored(0, patience)} {
		p := compatible(t, f, store)
		r := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one","store":true}`, "", ""), "m")
		if r.err != nil || field(t, r.events[0], "store") != "false" {
			t.Fatalf("%v %q", r.err, r.events)
		}
		id := strings.Trim(field(t, r.events[0], "id"), `"`)
		native := provider(t, f.url(), func(c *upstream.Config) { c.Endpoints, c.Stored = conversations(), store })
		before := f.connections()
		refused := func(p *upstream.Provider, x *gateway.Exchange, param string) {
			t.Helper()
			e := gateway.AsError(attempt(t, p, x, "m").err)
			if e.Status != 400 || e.Code != gateway.CodeUnsupported || e.Param != param || !strings.Contains(e.Message, `"responses.memory" is 0`) {
				t.Errorf("%+v", e)
			}
		}
		for _, p := range []*upstream.Provider{p, native} { // the id shows that nobody else has it either
			for _, endpoint := range []string{"responses.retrieve", "responses.delete", "responses.input_items", "responses.cancel"} {
				refused(p, at(t, endpoint, "", id, ""), "id")
			}
			refused(p, at(t, "responses.create", `{"model":"m","input":"two","previous_response_id":"`+id+`"}`, "", ""), "previous_response_id")
		}
		if f.connections() != before {
			t.Error("the provider was asked")
		}
		if got, _ := store.Holder("t", id); got != "" {
			t.Errorf("held by %q", got)
		}
		// What providers keep themselves is their affair.
		f.forget()
		if r := attempt(t, native, at(t, "responses.retrieve", "", "resp_theirs", ""), ""); r.err != nil || len(f.seen()) != 1 {
			t.Errorf("%v, %d requests", r.err, len(f.seen()))
		}
	}
}

// A response that failed in the background is what was asked for, and no failure of the provider that tells of it.
func TestFailedInBackground(t *testing.T) {
	const failed = `{"id":"resp_1","object":"response","status":"failed","error":{"code":"server_error","message":"it broke"},"output":[]}`
	asked := func(body, endpoint, request, id string) result {
		f := newFake(t, nil, say(whole("200 OK", body)))
		p := provider(t, f.url(), func(c *upstream.Config) {
			c.Endpoints, c.Stored = conversations(), upstream.NewStored(1<<20, patience)
		})
		return attempt(t, p, at(t, endpoint, request, id, ""), "m")
	}
	for _, endpoint := range []string{"responses.retrieve", "responses.cancel"} {
		if r := asked(failed, endpoint, "", "resp_1"); r.err != nil || strings.Join(r.events, "") != failed {
			t.Errorf("%s: %v %q", endpoint, r.err, r.events)
		}
	}
	for _, r := range []result{
		asked(failed, "responses.create", `{"model":"m","input":"hi"}`, ""),
		asked(`{"error":{"message":"it broke"}}`, "responses.retrieve", "", "resp_1"),
	} {
		if e := gateway.AsError(r.err); r.err == nil || e.Status != 502 || e.Message != "it broke" {
			t.Errorf("%v %q", r.err, r.events)
		}
	}
}

// A response that is made in the background is followed by a GET, whose query asks for events: openai-python's
// responses.retrieve(id, stream=True, starting_after=n).
func TestFollowInBackground(t *testing.T) {
	const body = `{"id":"resp_1","object":"response","status":"completed","output":[]}`
	list := []string{
		`{"type":"response.output_text.delta","sequence_number":8,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"x"}`,
		`{"type":"response.completed","sequence_number":9,"response":` + body + `}`,
	}
	asked := func(reply, query string) result {
		f := newFake(t, nil, say(reply))
		p := provider(t, f.url(), func(c *upstream.Config) { c.Endpoints = conversations() })
		r := attempt(t, p, at(t, "responses.retrieve", "", "resp_1", query), "")
		if got, want := f.seen()[0].head, "GET /v1/responses/resp_1?"+query+" HTTP/1.1\r\n"; !strings.HasPrefix(got, want) {
			t.Errorf("sent %s", got)
		}
		return r
	}
	const query = "stream=true&starting_after=7"
	if r := asked(named(list...)+last, query); r.err != nil || r.reply.Kind != gateway.Events || !slices.Equal(r.events, list) {
		t.Errorf("%v %q", r.err, r.events)
	}
	if r := asked(whole("200 OK", body), "include=x"); r.err != nil || r.reply.Kind != gateway.Whole || !slices.Equal(r.events, []string{body}) {
		t.Errorf("%v %q", r.err, r.events)
	}
	r := asked(named(list[0])+last, query)
	if r.err == nil || !r.sent {
		t.Fatalf("cut: %v %q", r.err, r.events)
	}
	if got := string(r.reply.Failure(nil, chat.Error{Message: "it broke"})); !strings.Contains(got, `"sequence_number":9}`) {
		t.Errorf("%s", got)
	}
}

// A response that the gateway made is never asked of a provider, though it is kept no more, or was never kept in this process.
func TestOwnResponsesStayHere(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	store := upstream.NewStored(1<<20, patience)
	p := compatible(t, f, store)
	native := provider(t, f.url(), func(c *upstream.Config) { c.Endpoints, c.Stored = conversations(), store })
	id := stored(t, p)
	if r := attempt(t, p, at(t, "responses.delete", "", id, ""), ""); r.err != nil {
		t.Fatal(r.err)
	}
	f.forget()
	refused := func(x *gateway.Exchange, status int, code, param string) {
		t.Helper()
		e := gateway.AsError(attempt(t, native, x, "m").err)
		if e.Status != status || e.Code != code || e.Param != param {
			t.Errorf("%+v", e)
		}
	}
	for _, id := range []string{id, gateway.ResponseID("req_before_the_restart"), id + "~fake"} {
		refused(at(t, "responses.retrieve", "", id, ""), 404, "not_found", "id")
		refused(at(t, "responses.delete", "", id, ""), 404, "not_found", "id")
		refused(at(t, "responses.create", `{"model":"m","input":"two","previous_response_id":"`+id+`"}`, "", ""),
			400, "previous_response_not_found", "previous_response_id")
	}
	if n := len(f.seen()); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
	// Unless the provider is a gateway of this kind, and made it.
	store.Note("t", id, "fake")
	if r := attempt(t, native, at(t, "responses.retrieve", "", id, ""), ""); r.err != nil || len(f.seen()) != 1 {
		t.Errorf("%v, %d requests", r.err, len(f.seen()))
	}
}

// Where a provider has several keys, ids say by which one things were made: also those of responses, which else stay as
// they are.
func TestKeysInIDs(t *testing.T) {
	response := func(id string) string {
		return `{"id":"` + id + `","object":"response","previous_response_id":"resp_0` + id[len("resp_1"):] + `","output":[{"id":"msg_1","type":"message"}]}`
	}
	one := []string{
		`{"type":"response.created","sequence_number":0,"response":` + response("resp_1") + `}`,
		`{"type":"response.output_text.delta","sequence_number":1,"item_id":"msg_1","delta":"\"response\":{\"id\":\"x\"}"}`,
		`{"type":"response.completed","sequence_number":2,"response":` + response("resp_1") + `}`,
	}
	list := `{"object":"list","data":[{"id":"msg_1"}],"first_id":"msg_1","last_id":"msg_1"}`
	f := newFake(t, nil, func(c net.Conn, n int) bool {
		replies := [...]string{
			whole("200 OK", `{"id":"file-1","object":"file"}`), whole("200 OK", response("resp_1")), named(one...) + last,
			whole("200 OK", response("resp_1")), whole("200 OK", list), whole("404 Not Found", `{"error":{"id":"resp_1"}}`),
			whole("200 OK", `{"id":"resp_1","object":"response","deleted":true}`),
		}
		return say(replies[n])(c, n)
	})
	store := upstream.NewStored(1<<20, patience)
	p := provider(t, f.url(), func(c *upstream.Config) { c.Endpoints, c.Stored = append(others(), conversations()[1:]...), store })
	holder := gateway.Holder("fake", "spare")
	ask := func(x *gateway.Exchange, line string, want ...string) {
		t.Helper()
		r := pull(x, &gateway.Target{Provider: "fake", Key: "spare", Holder: holder, Model: x.Request.Model(), Via: p.WithKey("k")})
		if r.err != nil || !slices.Equal(r.events, want) {
			t.Errorf("%s: %v\n got %q\nwant %q", line, r.err, r.events, want)
		}
		if got := f.seen()[len(f.seen())-1]; !strings.HasPrefix(got.head, line+" HTTP/1.1\r\n") || strings.Contains(got.body, "~") {
			t.Errorf("sent %s\n%s", got.head, got.body)
		}
	}
	held := "resp_1~" + holder
	ask(pass(t, "files.create", "application/json", &body{[]byte(`{}`)}, "", ""), "POST /v1/files", `{"id":"file-1~`+holder+`","object":"file"}`)
	ask(at(t, "responses.create", `{"model":"m","input":"hi"}`, "", ""), "POST /v1/responses", response(held))
	many := slices.Clone(one)
	for _, i := range []int{0, 2} {
		many[i] = strings.Replace(one[i], response("resp_1"), response(held), 1)
	}
	ask(at(t, "responses.create", `{"model":"m","input":"hi","stream":true,"previous_response_id":"resp_0~`+holder+`"}`, "", ""), "POST /v1/responses", many...)
	ask(at(t, "responses.retrieve", "", held, ""), "GET /v1/responses/resp_1", response(held))
	ask(at(t, "responses.input_items", "", held, "after=msg_0"), "GET /v1/responses/resp_1/input_items?after=msg_0", list)
	ask(at(t, "responses.retrieve", "", held, ""), "GET /v1/responses/resp_1", `{"error":{"id":"resp_1"}}`)
	ask(at(t, "responses.delete", "", held, ""), "DELETE /v1/responses/resp_1", `{"id":"`+held+`","object":"response","deleted":true}`)

	// Whose it is, is known by the provider's own id.
	x := at(t, "responses.retrieve", "", held, "")
	x.Caller.Tenant = &gateway.Tenant{ID: "other"}
	if r := attempt(t, p, x, ""); r.err == nil || gateway.AsError(r.err).Status != 404 {
		t.Errorf("another tenant sees %q", r.events)
	}
}

// What is made of a large reply is counted as long as it is there.
func TestKeysInLargeReply(t *testing.T) {
	large := `{"id":"resp_1","output":"` + strings.Repeat("x", 100_000) + `"}`
	f := newFake(t, nil, say(whole("200 OK", large)))
	for most, good := range map[int64]bool{1 << 20: true, 150_000: false} {
		budget := upstream.NewBudget(most)
		p := provider(t, f.url(), func(c *upstream.Config) { c.Endpoints, c.Budget = conversations(), budget })
		r := pull(at(t, "responses.retrieve", "", "resp_1", ""), &gateway.Target{Provider: "fake", Holder: "fake.0a1b2c3d", Via: p.WithKey("k")})
		if (r.err == nil) != good || good && !strings.HasPrefix(r.events[0], `{"id":"resp_1~fake.0a1b2c3d",`) {
			t.Errorf("with %d bytes: %v", most, r.err)
		}
	}
}

// Answers of the Responses API are kept for a provider that has none: another request goes on from them.
func TestStoredResponses(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	p := compatible(t, f, upstream.NewStored(1<<20, patience))
	first := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one","instructions":"be brief"}`, "", ""), "m")
	if first.err != nil {
		t.Fatal(first.err)
	}
	var id string
	_ = json.Unmarshal([]byte(field(t, first.events[0], "id")), &id)
	second := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"two","previous_response_id":"`+id+`"}`, "", ""), "m")
	if second.err != nil || field(t, second.events[0], "previous_response_id") != `"`+id+`"` {
		t.Fatalf("%v %q", second.err, second.events)
	}
	sent := f.seen()[1].body
	if one, hi, two := strings.Index(sent, `"one"`), strings.Index(sent, `"hi"`), strings.Index(sent, `"two"`); one < 0 || hi < one || two < hi || strings.Contains(sent, "brief") {
		t.Errorf("the continuation was %s", sent)
	}
	ask := func(endpoint string) result { return attempt(t, p, at(t, endpoint, "", id, ""), "") }
	if r := ask("responses.retrieve"); r.err != nil || r.events[0] != first.events[0] {
		t.Errorf("retrieved %v %q", r.err, r.events)
	}
	if r := ask("responses.input_items"); r.err != nil || !strings.Contains(r.events[0], `"text":"one"`) {
		t.Errorf("input %v %q", r.err, r.events)
	}
	if r := ask("responses.cancel"); r.err == nil || gateway.AsError(r.err).Status != 400 {
		t.Errorf("cancelled %v", r.err)
	}
	if r := ask("responses.delete"); r.err != nil || field(t, r.events[0], "deleted") != "true" {
		t.Errorf("deleted %v %q", r.err, r.events)
	}
	if r := ask("responses.retrieve"); r.err == nil || gateway.AsError(r.err).Status != 404 {
		t.Errorf("retrieved %v after it was deleted", r.err)
	}
}

// An item may be given by its id alone, if it is one of a stored response.
func TestItemReference(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	p := compatible(t, f, upstream.NewStored(1<<20, patience))
	first := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one"}`, "", ""), "m")
	if first.err != nil {
		t.Fatal(first.err)
	}
	var id string
	peek.Elements([]byte(field(t, first.events[0], "output")), func(v []byte) bool {
		id, _ = peek.String(peek.Find(v, []byte(`"id"`)))
		return true
	})
	ask := `{"model":"m","input":[{"type":"item_reference","id":"` + id + `"},{"role":"user","content":"two"}]}`
	if r := attempt(t, p, at(t, "responses.create", ask, "", ""), "m"); r.err != nil || !strings.Contains(f.seen()[1].body, `"hi"`) {
		t.Errorf("%v %s", r.err, f.seen()[1].body)
	}
	ask = strings.Replace(ask, id, "msg_none", 1)
	if r := attempt(t, p, at(t, "responses.create", ask, "", ""), "m"); r.err == nil || gateway.AsError(r.err).Param != "input[0].id" {
		t.Errorf("%v", r.err)
	}
}

// A stream is kept, too, once it is complete; and one tenant never finds another's.
func TestStoredStream(t *testing.T) {
	f := newFake(t, nil, say(sseHead+events(hello, finish, usage, done)+last))
	store := upstream.NewStored(1<<20, patience)
	p := compatible(t, f, store)
	r := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one","stream":true}`, "", ""), "m")
	if r.err != nil {
		t.Fatal(r.err)
	}
	completed := r.events[len(r.events)-1]
	var id string
	_ = json.Unmarshal([]byte(field(t, completed, "response.id")), &id)
	if got, kept := store.Holder("t", id); got != "fake" || !kept {
		t.Errorf("held by %q", got)
	}
	if got, _ := store.Holder("other", id); got != "" {
		t.Errorf("another tenant finds it at %q", got)
	}
	got := attempt(t, p, at(t, "responses.retrieve", "", id, ""), "")
	if got.err != nil || got.events[0] != field(t, completed, "response") {
		t.Errorf("%v %q", got.err, got.events)
	}
	none := attempt(t, p, at(t, "responses.create", `{"model":"m","input":"one","stream":true,"store":false}`, "", ""), "m")
	_ = json.Unmarshal([]byte(field(t, none.events[len(none.events)-1], "response.id")), &id)
	if got := attempt(t, p, at(t, "responses.retrieve", "", id, ""), ""); none.err != nil || got.err == nil {
		t.Errorf("it was not to be stored: %q", got.events)
	}
}

// What a provider keeps for one tenant is not another's, who may share the account; what nobody remembers, the provider
// decides.
func TestForeignResponse(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", `{"id":"resp_1","object":"response","status":"completed","output":[]}`)))
	store := upstream.NewStored(1<<20, patience)
	p := provider(t, f.url(), func(c *upstream.Config) { c.Endpoints, c.Stored = conversations(), store })
	ask := func(who tenant.ID, endpoint, body, id string) error {
		x := at(t, endpoint, body, id, "")
		x.Caller.Tenant = &gateway.Tenant{ID: who}
		return attempt(t, p, x, "m").err
	}
	if err := ask("one", "responses.create", `{"model":"m","input":"hi"}`, ""); err != nil {
		t.Fatal(err)
	}
	for who, good := range map[tenant.ID]bool{"one": true, "two": false} {
		for _, err := range []error{
			ask(who, "responses.retrieve", "", "resp_1"), ask(who, "responses.delete", "", "resp_1"),
			ask(who, "responses.create", `{"model":"m","input":"hi","previous_response_id":"resp_1"}`, ""),
		} {
			if (err == nil) != good || !good && gateway.AsError(err).Status != 404 {
				t.Errorf("%s: %v", who, err)
			}
		}
	}
	if err := ask("two", "responses.retrieve", "", "resp_of_nobody"); err != nil {
		t.Error(err)
	}
}
