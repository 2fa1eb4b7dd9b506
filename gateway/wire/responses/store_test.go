package responses_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

func TestID(t *testing.T) {
	f := func(provider, want string) {
		t.Helper()
		if got := responses.ID(provider); got != want {
			t.Errorf("%s: got %s", provider, got)
		}
	}
	f("resp_1", "resp_1")
	f("chatcmpl-9aZ", "resp_chatcmpl-9aZ")
	f("msg_01/é?", "resp_msg_01---")
	if a, b := responses.ID(""), responses.ID(""); a == b || !strings.HasPrefix(a, "resp_") || len(a) < 25 {
		t.Errorf("%s, %s", a, b)
	}
}

func TestResponseOf(t *testing.T) {
	f := func(item, want string) {
		t.Helper()
		got, ok := responses.ResponseOf(item)
		if got != want || ok != (want != "") {
			t.Errorf("%s: got %s, %v", item, got, ok)
		}
	}
	f("msg_abc_0", "resp_abc")
	f("fc_msg_01-x_12", "resp_msg_01-x")
	f("rs_abc_in3", "resp_abc")
	f("msg_abc", "")
	f("msg__1", "")
	f("", "")
}

// Items of a reply are found by the ids that their response's id gave them.
func TestItemsAreFound(t *testing.T) {
	for seed := range uint64(200) {
		m := newMaker(seed)
		r := m.reply()
		for i := range r.Choices[0].Message.Parts {
			r.Choices[0].Message.Parts[i].ID = ""
		}
		r.ID = "chatcmpl-" + m.id("")
		body := responses.AppendReply(nil, nil, r)
		items := responses.OutputItems(body)
		if len(items) == 0 {
			t.Fatalf("%s has no items", body)
		}
		for _, v := range items {
			var it struct{ ID, Type string }
			if err := json.Unmarshal(v, &it); err != nil {
				t.Fatal(err)
			}
			if it.Type == "web_search_call" { // has an id of its own
				continue
			}
			if id, ok := responses.ResponseOf(it.ID); !ok || id != responses.ID(r.ID) {
				t.Fatalf("%s is of %s", it.ID, id)
			}
			if string(responses.Item(items, it.ID)) != string(v) {
				t.Fatalf("%s is %s", it.ID, responses.Item(items, it.ID))
			}
		}
		if v := responses.Item(items, "nobody"); v != nil {
			t.Fatalf("%s", v)
		}
	}
}

// A conversation that goes on over previous_response_id is the one that sends everything again.
func TestContinue(t *testing.T) {
	decode := func(body string) *chat.Request {
		t.Helper()
		q, err := responses.DecodeRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	first := decode(`{"model":"m","instructions":"one","input":"Weather?"}`)
	reply := &chat.Reply{Choices: []chat.Choice{{Message: chat.Message{Role: chat.RoleAssistant, Parts: []chat.Part{
		{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "c", Name: "f", Arguments: "{}"}},
	}}}}}
	second := decode(`{"model":"m","instructions":"two","previous_response_id":"resp_1","input":[{"type":"function_call_output","call_id":"c","output":"20"}]}`)
	got := responses.Continue(second, responses.Conversation(first, reply))
	want := decode(`{"model":"m","instructions":"two","input":[{"role":"user","content":"Weather?"},
		{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"20"}]}`)
	if at := got.Messages[1].At; at != chat.Unlisted {
		t.Errorf("what was said before is at %d of the input", at)
	}
	unplaced(got.Messages)
	unplaced(want.Messages)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s want %s", render(t, got), render(t, want))
	}
	if second.Previous != "resp_1" || len(second.Messages) != 2 {
		t.Error("the request was changed")
	}
	third := decode(`{"model":"m","previous_response_id":"resp_2","input":"Thanks"}`)
	got = responses.Continue(third, responses.Conversation(got, &chat.Reply{}))
	if got.Instructions || len(got.Messages) != 4 || got.Messages[0].Role != chat.RoleUser {
		t.Errorf("%+v", got)
	}
}

// Every input has items that fit the schema of the list, and reads back as what was sent.
func TestInputItems(t *testing.T) {
	for seed := range uint64(100) {
		m := newMaker(seed)
		q := m.request()
		items := responses.InputItems(q, "resp_abc")
		page, err := responses.AppendItems([]byte("!"), items, responses.Page{Limit: 100, Ascending: true})
		if err != nil {
			t.Fatal(err)
		}
		fits(t, "ResponseItemList", page[1:])
		seen := map[string]bool{}
		for _, v := range items {
			var it struct{ ID string }
			if err := json.Unmarshal(v, &it); err != nil || it.ID == "" || seen[it.ID] {
				t.Fatalf("%s: %v", v, err)
			}
			seen[it.ID] = true
		}
		body := append([]byte(`{"model":"m","previous_response_id":"r","input":`), member(t, page[1:], "data")...)
		back, err := responses.DecodeRequest(append(body, '}'))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		sent := q.Messages
		if q.Instructions {
			sent = sent[1:]
		}
		if a, b := render(t, bare(back.Messages)), render(t, bare(sent)); a != b {
			t.Fatalf("seed %d: got %s, want %s", seed, a, b)
		}
	}
}

// unplaced takes from messages where the caller wrote them.
func unplaced(list []chat.Message) {
	for i := range list {
		list[i].At = 0
	}
}

// bare is messages without ids and places.
func bare(list []chat.Message) []chat.Message {
	out := make([]chat.Message, len(list))
	for i, m := range list {
		out[i] = m
		out[i].At = 0
		out[i].Parts = make([]chat.Part, len(m.Parts))
		for k, p := range m.Parts {
			p.ID = ""
			out[i].Parts[k] = p
		}
	}
	return out
}

func TestAppendItems(t *testing.T) {
	var items []json.RawMessage
	for _, id := range []string{"a", "b", "c", "d"} {
		items = append(items, json.RawMessage(`{"id":"`+id+`"}`))
	}
	f := func(query, want string) {
		t.Helper()
		p, err := responses.ReadPage(query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := responses.AppendItems(nil, items, p)
		if err != nil {
			t.Fatal(err)
		}
		want = strings.ReplaceAll(want, "#", `"id":`)
		if string(got) != `{"object":"list",`+want+"}" {
			t.Errorf("%s: got %s", query, got)
		}
	}
	f("", `"data":[{#"d"},{#"c"},{#"b"},{#"a"}],"first_id":"d","last_id":"a","has_more":false`)
	f("order=asc&limit=2", `"data":[{#"a"},{#"b"}],"first_id":"a","last_id":"b","has_more":true`)
	f("order=asc&limit=2&after=b", `"data":[{#"c"},{#"d"}],"first_id":"c","last_id":"d","has_more":false`)
	f("after=b&order=desc", `"data":[{#"a"}],"first_id":"a","last_id":"a","has_more":false`)
	f("after=a", `"data":[],"first_id":"","last_id":"","has_more":false`)

	bad := func(query, param string) {
		t.Helper()
		p, err := responses.ReadPage(query)
		if err == nil {
			_, err = responses.AppendItems(nil, items, p)
		}
		if e, ok := errors.AsType[*chat.Error](err); !ok || e.Param != param || e.Type != "invalid_request_error" {
			t.Errorf("%s: %v", query, err)
		}
	}
	bad("limit=0", "limit")
	bad("limit=101", "limit")
	bad("limit=x", "limit")
	bad("order=up", "order")
	bad("after=z", "after")
	bad("a=%zz", "")
}

func TestSmallDocuments(t *testing.T) {
	if got := string(responses.AppendDeleted(nil, "resp_1")); got != `{"id":"resp_1","object":"response","deleted":true}` {
		t.Error(got)
	}
	got := responses.AppendInputTokens(nil, 11)
	fits(t, "TokenCountsResource", got)
	if string(got) != `{"object":"response.input_tokens","input_tokens":11}` {
		t.Errorf("%s", got)
	}
}
