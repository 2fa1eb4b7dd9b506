package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// FuzzMend: what is mended says the same to a decoder, which copes with all of it; is valid if it was valid before; and
// needs no more mending.
func FuzzMend(f *testing.F) {
	for _, body := range []string{
		`{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"x":[1,"\u00e9"]}}},{"function":{"name":"g","arguments":""}}]},"finish_reason":"stop"}]}`,
		` {"choices" : [ {"index" : 1 , "finish_reason" : "eos" , "message" : { "content" : "\"tool_calls\"" } } , {"finish_reason":"model_length","message":{"tool_calls":null}} ] } `,
		`{"choices":[{"message":{"tool_calls":[{},7,{"type":"custom","custom":{"name":"c","input":"i"}}]},"finish_reason":"stop"}]}`,
		`{"choices":[{"message":{},"finish_reason":"error"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var u chat.Usage
		signs := openai.LookWhole(body, &u)
		if signs.Has(chat.Malformed | chat.Failed) {
			return // it is never mended
		}
		before := slices.Clone(body)
		var m mender
		mended, broken := m.mend(body, true)
		if !bytes.Equal(body, before) {
			t.Fatal("the original was written to")
		}
		if !signs.Has(chat.Odd) && (broken != "" || !bytes.Equal(mended, body)) {
			t.Fatalf("%q is not called odd, and becomes %q", body, mended)
		}
		want, err := openai.DecodeReply(body)
		if broken != "" {
			if _, ok := errors.AsType[*chat.Error](err); !ok && err == nil {
				t.Fatalf("%q has not failed", body)
			}
			return
		}
		got, again := openai.DecodeReply(mended)
		withoutMadeIDs(got)
		withoutMadeIDs(want)
		if (err == nil) != (again == nil) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q\nbecomes\n%q\n%v\n%v", body, mended, err, again)
		}
		if json.Valid(body) && !json.Valid(mended) {
			t.Fatalf("%q\nbecomes\n%q", body, mended)
		}
		var second mender
		if twice, _ := second.mend(mended, true); !bytes.Equal(twice, mended) {
			t.Fatalf("%q\nbecomes\n%q\nbecomes\n%q", body, mended, twice)
		}
	})
}

// withoutMadeIDs takes away the ids of calls that have none, which each decoder makes up anew.
func withoutMadeIDs(r *chat.Reply) {
	if r == nil {
		return
	}
	for i := range r.Choices {
		for k := range r.Choices[i].Message.Parts {
			if c := r.Choices[i].Message.Parts[k].Call; c != nil && strings.HasPrefix(c.ID, "call_") {
				c.ID = ""
			}
		}
	}
}

// FuzzMendStream is FuzzMend for a stream: events, one a line.
func FuzzMendStream(f *testing.F) {
	for _, lines := range []string{
		`{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":""}}]}}]}
{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{}"}},{"index":0,"id":"b","function":{"name":"g","arguments":{"y":1}}}]}}]}
{"choices":[{"delta":{},"finish_reason":"stop"}]}`,
		`{"choices":[{"index":1,"delta":{"content":"tool_calls"},"finish_reason":"eos"},{"index":0,"delta":{"tool_calls":[{"index":3,"id":"x"},{}]},"finish_reason":"model_length"}]}`,
	} {
		f.Add([]byte(lines))
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		var m mender
		plain, mended := openai.NewDecoder(), openai.NewDecoder()
		var want, got chat.Collector
		for event := range bytes.SplitSeq(lines, []byte("\n")) {
			var u chat.Usage
			s, _ := openai.Look("", event, &u)
			if s.Has(chat.Malformed | chat.Failed) {
				return // the stream ends here, before it is mended
			}
			data, broken := m.mend(slices.Clone(event), s.Has(chat.Finish))
			pieces, err := plain.Decode(nil, "", event)
			if broken != "" {
				return
			}
			for i := range pieces {
				want.Add(&pieces[i])
			}
			pieces, again := mended.Decode(nil, "", data)
			for i := range pieces {
				got.Add(&pieces[i])
			}
			if (err == nil) != (again == nil) {
				t.Fatalf("%q\nbecomes\n%q\n%v\n%v", event, data, err, again)
			}
			if err != nil {
				return
			}
			if json.Valid(event) && !json.Valid(data) {
				t.Fatalf("%q\nbecomes\n%q", event, data)
			}
		}
		said, put := want.Reply(), got.Reply()
		withoutMadeIDs(said)
		withoutMadeIDs(put)
		if !reflect.DeepEqual(said, put) {
			t.Fatalf("%q\n%+v\n%+v", lines, said, put)
		}
	})
}
