package answer_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
)

// fill gives every field a value of its own, so that a field which the codec forgets, or takes for another, shows.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMilli(*n).UTC()))
			return
		}
		for _, field := range v.Fields() {
			fill(field, n)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(fmt.Append(nil, *n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(*n & 0xff))
		}
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(*n)
	case reflect.Uint8:
		v.SetUint(uint64(*n & 0xff))
	default:
		panic(v.Kind().String())
	}
}

func full() *answer.Answer {
	var a answer.Answer
	n := int64(0)
	fill(reflect.ValueOf(&a).Elem(), &n)
	return &a
}

// Whatever an answer has comes back, also what is added to the neutral form some day.
func TestCodec(t *testing.T) {
	for _, a := range []*answer.Answer{full(), {}, {Reply: *said("Hello.")}} {
		b := a.Append([]byte("before"))
		got, err := answer.Decode(b[6:])
		if err != nil || cmp.Diff(a, got) != "" {
			t.Errorf("%v\n%s", err, cmp.Diff(a, got))
		}
	}
}

// Whatever happens to the bytes, they are an answer or damaged, and never another one.
func TestDamaged(t *testing.T) {
	whole := full().Append(nil)
	for i := range whole {
		if _, err := answer.Decode(whole[:i]); !errors.Is(err, answer.ErrDamaged) {
			t.Errorf("cut at %d: %v", i, err)
		}
		b := append([]byte(nil), whole...)
		b[i] ^= 0x10
		if _, err := answer.Decode(b); !errors.Is(err, answer.ErrDamaged) {
			t.Errorf("changed at %d: %v", i, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(full().Append(nil))
	f.Add((&answer.Answer{Reply: *said("Hello.")}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := answer.Decode(b)
		if err != nil {
			return
		}
		again, err := answer.Decode(a.Append(nil))
		if err != nil || cmp.Diff(a, again) != "" {
			t.Errorf("%v\n%s", err, cmp.Diff(a, again))
		}
	})
}

func TestFresh(t *testing.T) {
	at := time.UnixMilli(1_000_000)
	a := answer.Answer{At: at, Expires: at.Add(time.Minute)}
	f := func(after, most time.Duration, want bool) {
		t.Helper()
		if got := a.Fresh(at.Add(after), most); got != want {
			t.Errorf("after %s with at most %s: %t", after, most, got)
		}
	}
	f(0, -1, true)
	f(-time.Second, 0, true) // clocks differ
	f(59*time.Second, -1, true)
	f(60*time.Second, -1, false)
	f(10*time.Second, 10*time.Second, true)
	f(11*time.Second, 10*time.Second, false)
	a.Expires = time.Time{}
	f(1e6*time.Second, -1, true)
}

func said(text string) *chat.Reply {
	return of(chat.FinishStop, chat.Part{Text: text})
}

func of(finish chat.FinishReason, parts ...chat.Part) *chat.Reply {
	return &chat.Reply{
		Head:    chat.Head{ID: "a1", Model: "m-1", Created: 7},
		Choices: []chat.Choice{{Message: chat.Message{Role: chat.RoleAssistant, Parts: parts}, Finish: finish}},
		Usage:   chat.Usage{Input: 11, Output: 22, Provenance: chat.Reported},
	}
}

func TestKept(t *testing.T) {
	call := chat.Part{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "c", Name: "f", Arguments: "{}"}}
	text := chat.Part{Text: "Hello."}
	f := func(r *chat.Reply, want, withCalls bool) {
		t.Helper()
		if plain, calls := answer.Kept(r, false), answer.Kept(r, true); plain != want || calls != withCalls {
			t.Errorf("%+v: %t, with calls %t", r.Choices, plain, calls)
		}
	}
	f(of(chat.FinishStop, text), true, true)
	f(of(chat.FinishStop, chat.Part{Kind: chat.PartReasoning, Text: "Hm."}, text), true, true)
	f(of(chat.FinishStop, chat.Part{Kind: chat.PartReasoning, Text: "Hm."}), false, false)
	f(of(chat.FinishStop), false, false)
	f(of(chat.FinishLength, text), false, false)
	f(of(chat.FinishFilter, text), false, false)
	f(of("", text), false, false)
	f(of("pause_turn", text), false, false)
	f(of(chat.FinishStop, chat.Part{Kind: chat.PartRefusal, Text: "No."}), false, false)
	f(of(chat.FinishStop, text, chat.Part{Kind: chat.PartImage, Media: &chat.Media{URL: "u"}}), false, false)
	f(of(chat.FinishCalls, text, call), false, true)
	f(of(chat.FinishLength, text, call), false, false)
	two := said("Hello.")
	two.Choices = append(two.Choices, two.Choices[0])
	f(two, false, false)
}

// An answer that is said again, in whatever dialect, whole or as a stream, is read as the same answer.
func TestSaidAgain(t *testing.T) {
	f := func(r *chat.Reply, dialects ...*wire.Dialect) {
		t.Helper()
		for _, d := range dialects {
			q := &chat.Request{Dialect: d.Name, Model: "m", Stream: true, IncludeUsage: true, Messages: []chat.Message{{Role: chat.RoleUser, Parts: []chat.Part{{Text: "?"}}}}}
			whole, err := d.DecodeReply(answer.Whole(d, q, r))
			if err != nil {
				t.Errorf("%s: %v", d.Name, err)
				continue
			}
			same(t, d.Name+", whole", r, whole)
			for _, size := range []int{1, 5, 64, 1 << 20} {
				same(t, fmt.Sprint(d.Name, ", pieces of ", size), r, collect(t, d, q, r, size))
			}
		}
	}
	all := []*wire.Dialect{wire.OpenAI, wire.Anthropic, wire.Responses}
	f(said("Hello."), all...)
	f(said("A \"quoted\" text,\nof two lines with ünïcödé 漢字 and 😀 emoji \u2028\x01."), all...)
	f(said(strings.Repeat("word ", 500)), all...)
	f(of(chat.FinishStop, chat.Part{Kind: chat.PartReasoning, Text: "Let me see.", Signature: "c2ln", Owner: chat.Anthropic}, chat.Part{Text: "Hello."}), wire.Anthropic)
	f(of(chat.FinishStop, chat.Part{Kind: chat.PartReasoning, Text: "Let me see."}, chat.Part{Text: "Hello."}), wire.OpenAI, wire.Responses)
	f(of(chat.FinishCalls, chat.Part{Text: "I look."}, chat.Part{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "c1", Name: "f", Arguments: `{"a":"b c"}`}},
		chat.Part{Kind: chat.PartCall, Call: &chat.ToolCall{ID: "c2", Name: "g", Arguments: `{}`}}), all...)
	f(of(chat.FinishStop, chat.Part{Text: "See there.", Citations: []chat.Citation{{URL: "https://x.example/", Title: "X", Start: 4, End: 9}}}), wire.OpenAI, wire.Responses)
}

func collect(t *testing.T, d *wire.Dialect, q *chat.Request, r *chat.Reply, size int) *chat.Reply {
	t.Helper()
	var c chat.Collector
	decoder := d.NewDecoder()
	events := answer.Events(d, q, r, size)
	for i, ev := range events {
		pieces, err := decoder.Decode(nil, ev.Name, ev.Data)
		if err != nil {
			t.Errorf("%s: event %d %s %s: %v", d.Name, i, ev.Name, ev.Data, err)
		}
		for k := range pieces {
			c.Add(&pieces[k])
		}
		if ends := d.Ends(ev.Name, ev.Data); ends != (i == len(events)-1) {
			t.Errorf("%s: event %d of %d ends the stream: %t", d.Name, i, len(events), ends)
		}
	}
	return c.Reply()
}

// same compares what dialects agree on.
func same(t *testing.T, how string, want, got *chat.Reply) {
	t.Helper()
	brief := func(r *chat.Reply) string {
		var b strings.Builder
		for i := range r.Choices {
			c := &r.Choices[i]
			for k := range c.Message.Parts {
				p := &c.Message.Parts[k]
				fmt.Fprintf(&b, "%d %q %q %v", p.Kind, p.Text, p.Signature, p.Citations)
				if p.Call != nil {
					fmt.Fprintf(&b, " %+v", *p.Call)
				}
			}
			fmt.Fprintf(&b, " %s", c.Finish)
		}
		fmt.Fprintf(&b, " %d+%d %s", r.Usage.Prompt(), r.Usage.Completion(), r.Model)
		return b.String()
	}
	if a, b := brief(want), brief(got); a != b {
		t.Errorf("%s:\n got %s\nwant %s", how, b, a)
	}
}

// Who reads slowly, or not to the end, hears no more.
func TestPiecesStop(t *testing.T) {
	n := 0
	for range answer.Pieces(said(strings.Repeat("a", 100)), 1) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d pieces", n)
	}
}
