package partition_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/partition"
)

// leftOut are the fields of a request that change no answer.
var leftOut = []string{
	"Dialect", "Model", "Instructions", "Store", "Stream", "IncludeUsage", "User", "ServiceTier", "CacheKey", "Cache", "Metadata",
	"Messages.Cache", "Messages.At", "Messages.Parts.ID", "Messages.Parts.Cache", "Tools.Cache",
}

// Every field of a request is in the canonical form, unless it is on the list of those that are not: also one that is added to
// the neutral form some day.
func TestEveryFieldCounts(t *testing.T) {
	var plain chat.Request
	fill(reflect.ValueOf(&plain).Elem(), "", "")
	want := form(&plain)
	for _, path := range paths(reflect.TypeOf(plain), "") {
		var q chat.Request
		fill(reflect.ValueOf(&q).Elem(), "", path)
		if same := bytes.Equal(form(&q), want); same != slices.Contains(leftOut, path) {
			t.Errorf("%s: the form is the same: %t", path, same)
		}
	}
}

func form(q *chat.Request) []byte { return partition.Append(nil, "acme", &partition.Setting{}, q) }

// paths are all fields of a type that hold a value themselves.
func paths(t reflect.Type, at string) (list []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return []string{at}
	}
	for field := range t.Fields() {
		list = append(list, paths(field.Type, strings.TrimPrefix(at+"."+field.Name, "."))...)
	}
	return list
}

// fill gives every field a value, the one at other another than usual. Lists have two elements.
func fill(v reflect.Value, at, other string) {
	n := int64(2)
	if at == other && at != "" {
		n = 3
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), at, other)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), strings.TrimPrefix(at+"."+v.Type().Field(i).Name, "."), other)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(fmt.Appendf(nil, `{"n": %d}`, n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), at, other)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("s", n))
	case reflect.Bool:
		v.SetBool(n == 3)
	case reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.Int, reflect.Int64:
		v.SetInt(n)
	case reflect.Uint8:
		v.SetUint(uint64(n))
	default:
		panic(v.Kind().String())
	}
}

// Fields of the setting count too.
func TestEverySettingCounts(t *testing.T) {
	q := asked("", "hi")
	plain := partition.Append(nil, "acme", &partition.Setting{}, q)
	v := reflect.ValueOf(&partition.Setting{}).Elem()
	for i := range v.NumField() {
		var s partition.Setting
		f := reflect.ValueOf(&s).Elem().Field(i)
		if f.Kind() == reflect.String {
			f.SetString("x")
		} else {
			f.SetUint(1)
		}
		if bytes.Equal(plain, partition.Append(nil, "acme", &s, q)) {
			t.Errorf("%s does not count", v.Type().Field(i).Name)
		}
	}
	if bytes.Equal(plain, partition.Append(nil, "acm", &partition.Setting{User: "e"}, q)) {
		t.Error("a tenant's end is a user's beginning")
	}
}

// Distinct tuples have distinct forms, however their parts are cut.
func TestDistinct(t *testing.T) {
	word := rapid.StringMatching(`[ab]{0,3}`)
	type tuple struct {
		Tenant, User, Model string
		Messages            [][2]string
		Stop                []string
		Tools               []string
		Max                 int64
	}
	draw := rapid.Custom(func(t *rapid.T) tuple {
		v := tuple{Tenant: word.Draw(t, "tenant"), User: word.Draw(t, "user"), Model: word.Draw(t, "model"), Max: rapid.Int64Range(-1, 2).Draw(t, "max")}
		for range rapid.IntRange(0, 3).Draw(t, "turns") {
			v.Messages = append(v.Messages, [2]string{rapid.SampledFrom([]string{"user", "assistant", "system"}).Draw(t, "role"), word.Draw(t, "text")})
		}
		v.Stop = rapid.SliceOfN(word, 0, 2).Draw(t, "stop")
		v.Tools = rapid.SliceOfN(word, 0, 2).Draw(t, "tools")
		return v
	})
	form := func(v *tuple) []byte {
		q := &chat.Request{Stop: v.Stop}
		for _, m := range v.Messages {
			q.Messages = append(q.Messages, chat.Message{Role: chat.Role(m[0]), Parts: []chat.Part{{Text: m[1]}}})
		}
		for _, name := range v.Tools {
			q.Tools = append(q.Tools, chat.Tool{Name: name})
		}
		if v.Max >= 0 {
			q.MaxTokens = &v.Max
		}
		return partition.Append(nil, tenant.ID(v.Tenant), &partition.Setting{User: v.User, Model: v.Model}, q)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		fa, fb := form(&a), form(&b)
		for _, v := range []*tuple{&a, &b} {
			if n := len(v.Messages); n > 0 && v.Messages[n-1][0] == "user" {
				v.Messages[n-1][1] = ""
			}
		}
		if same := reflect.DeepEqual(text(a), text(b)); same != bytes.Equal(fa, fb) {
			t.Fatalf("%v and %v are the same: %t", a, b, same)
		}
	})
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(b), "null", "[]")
}

// A changed earlier turn or system prompt is another partition, whatever the last turn is; a changed last turn is another
// exact key of the same partition.
func TestConversations(t *testing.T) {
	keys := partition.New([32]byte{1})
	word := rapid.StringMatching(`[a-c ]{1,6}`)
	rapid.Check(t, func(t *rapid.T) {
		q := asked(word.Draw(t, "system"), "")
		for range rapid.IntRange(0, 4).Draw(t, "turns") {
			q.Messages = append(q.Messages, said(chat.RoleAssistant, word.Draw(t, "answer")), said(chat.RoleUser, word.Draw(t, "question")))
		}
		last := &q.Messages[len(q.Messages)-1].Parts[0]
		last.Text = word.Draw(t, "last")
		p, text, single, ok := keys.Partition("acme", &partition.Setting{}, q)
		if !ok || !single || text != last.Text {
			t.Fatalf("%t %t %q", ok, single, text)
		}
		exact := keys.Exact(p, text)
		last.Text += "!"
		again, text, _, _ := keys.Partition("acme", &partition.Setting{}, q)
		if again != p || keys.Exact(p, text) == exact {
			t.Fatal("the last turn decides the partition, or not the exact key")
		}
		i := rapid.IntRange(0, len(q.Messages)-2).Draw(t, "changed")
		q.Messages[i].Parts[0].Text += "!"
		if other, _, _, _ := keys.Partition("acme", &partition.Setting{}, q); other == p {
			t.Fatalf("turn %d does not count", i)
		}
	})
}

func asked(system, user string) *chat.Request {
	return &chat.Request{Messages: []chat.Message{said(chat.RoleSystem, system), said(chat.RoleUser, user)}}
}

func said(r chat.Role, text string) chat.Message {
	return chat.Message{Role: r, Parts: []chat.Part{{Text: text}}}
}

// The same conversation has the same key in every dialect, as a stream or whole.
func TestDialects(t *testing.T) {
	keys := partition.New([32]byte{1})
	f := func(d *wire.Dialect, body string) partition.Key {
		t.Helper()
		q, err := d.DecodeRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		p, text, single, _ := keys.Partition("acme", &partition.Setting{Model: "m"}, q)
		if !single || text != "And now?" {
			t.Errorf("%q, %t", text, single)
		}
		return p
	}
	want := f(wire.OpenAI, `{"model":"m","max_completion_tokens":99,"messages":[{"role":"system","content":"Be brief."},
		{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"},{"role":"user","content":"And now?"}]}`)
	for i, got := range []partition.Key{
		f(wire.OpenAI, `{"model":"alias","stream":true,"stream_options":{"include_usage":true},"user":"u","max_tokens":99,"messages":[{"role":"system","content":[{"type":"text","text":"Be brief."}]},
			{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"},{"role":"user","content":[{"type":"text","text":"And now?"}]}]}`),
		f(wire.Anthropic, `{"model":"m","max_tokens":99,"system":"Be brief.","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"},{"role":"user","content":"And now?"}]}`),
		f(wire.Responses, `{"model":"m","max_output_tokens":99,"instructions":"Be brief.","input":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"},{"role":"user","content":"And now?"}]}`),
	} {
		if got != want {
			t.Errorf("%d is another", i)
		}
	}
	if other := f(wire.OpenAI, `{"model":"m","max_tokens":99,"temperature":0,"messages":[{"role":"system","content":"Be brief."},
		{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"},{"role":"user","content":"And now?"}]}`); other == want {
		t.Error("the temperature does not count")
	}
}

func TestLast(t *testing.T) {
	f := func(want string, single bool, messages ...chat.Message) {
		t.Helper()
		if text, ok := partition.Last(&chat.Request{Messages: messages}); text != want || ok != single {
			t.Errorf("%q, %t", text, ok)
		}
	}
	f("", false)
	f("hi", true, said(chat.RoleUser, "hi"))
	f("", false, said(chat.RoleUser, "hi"), said(chat.RoleAssistant, "yes"))
	f("", false, chat.Message{Role: chat.RoleUser, Parts: []chat.Part{{Text: "a"}, {Text: "b"}}})
	f("", false, chat.Message{Role: chat.RoleUser, Parts: []chat.Part{{Kind: chat.PartImage, Media: &chat.Media{URL: "u"}}}})
}

func TestBody(t *testing.T) {
	a, b := partition.New([32]byte{1}), partition.New([32]byte{2})
	s := &partition.Setting{Model: "m"}
	k := a.Body("acme", s, "openai", []byte(`{}`))
	if a.Body("acme", s, "openai", []byte(`{}`)) != k {
		t.Error("the same body has another key")
	}
	for i, other := range []partition.Key{
		b.Body("acme", s, "openai", []byte(`{}`)),
		a.Body("umbrella", s, "openai", []byte(`{}`)),
		a.Body("acme", s, "responses", []byte(`{}`)),
		a.Body("acme", s, "openai", []byte(`{} `)),
		a.Body("acme", &partition.Setting{Model: "n"}, "openai", []byte(`{}`)),
	} {
		if other == k {
			t.Errorf("%d is the same", i)
		}
	}
	if _, _, _, ok := a.Partition("", s, asked("", "hi")); ok {
		t.Error("nobody has a partition")
	}
}
