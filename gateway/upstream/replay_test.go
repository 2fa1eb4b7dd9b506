package upstream_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// What is kept here is told as a stream to who asks for one, from any event on: openai-python's
// responses.retrieve(id, stream=True, starting_after=n).
func TestReplay(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	budget := upstream.NewBudget(1 << 20)
	p := provider(t, f.url(), func(c *upstream.Config) {
		c.Kind, _ = upstream.KindOf("groq")
		c.Endpoints, c.Stored, c.Budget = conversations(), upstream.NewStored(1<<20, patience), budget
	})
	id := stored(t, p)
	get := func(query string) result { return attempt(t, p, at(t, "responses.retrieve", "", id, query), "") }
	object := get("stream=false").events[0]

	all := get("stream=true")
	if all.err != nil || all.reply.Kind != gateway.Events || all.reply.ContentType != "text/event-stream" || budget.Held() != 0 {
		t.Fatalf("%v %+v, %d bytes are counted", all.err, all.reply, budget.Held())
	}
	n := len(all.events) - 1
	if !strings.HasPrefix(all.events[0], `{"type":"response.created","sequence_number":0,`) || !strings.HasPrefix(all.events[n], `{"type":"response.completed",`) ||
		field(t, all.events[n], "response") != object {
		t.Errorf("%q", all.events)
	}
	if r := get("starting_after=1&stream=true"); r.err != nil || !slices.Equal(r.events, all.events[2:]) {
		t.Errorf("%v %q", r.err, r.events)
	}
	wrong := func(x *gateway.Exchange, status int, param string) {
		t.Helper()
		if e := gateway.AsError(attempt(t, p, x, "").err); e.Status != status || e.Param != param {
			t.Errorf("%+v", e)
		}
	}
	wrong(at(t, "responses.retrieve", "", id, "stream=true&starting_after=-1"), 400, "starting_after")
	old := at(t, "responses.retrieve", "", id, "stream=true") // HTTP/1.0
	old.Request.NoStream = &gateway.Error{Status: 400, Param: "stream"}
	wrong(old, 400, "stream")
}

// Without room for its events it is refused.
func TestReplayWithoutRoom(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	p := provider(t, f.url(), func(c *upstream.Config) {
		c.Kind, _ = upstream.KindOf("groq")
		c.Endpoints, c.Stored, c.Budget = conversations(), upstream.NewStored(1<<20, patience), upstream.NewBudget(4000)
	})
	id := stored(t, p)
	if r := attempt(t, p, at(t, "responses.retrieve", "", id, ""), ""); r.err != nil {
		t.Error(r.err)
	}
	if r := attempt(t, p, at(t, "responses.retrieve", "", id, "stream=true"), ""); codeOf(r.err) != gateway.CodeBusy {
		t.Errorf("%v %q", r.err, r.events)
	}
}
