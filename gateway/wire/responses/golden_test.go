package responses_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/internal/golden"
	"github.com/sluice-ai/sluice/gateway/internal/openapi"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

var update = flag.Bool("update", false, "write what is got into testdata")

// TestRequests decodes recorded requests and writes them again.
func TestRequests(t *testing.T) {
	golden.Run(t, "requests", *update, func(t *testing.T, in []byte, out func(section, text string)) {
		q, err := responses.DecodeRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		q.Dialect = "responses"
		out("decoded", render(t, q))
		body, dropped, err := responses.AppendRequest(nil, q, &chat.Target{Model: q.Model, CacheMarks: "prompt_cache_breakpoint"})
		if err != nil {
			t.Fatal(err)
		}
		fits(t, "CreateResponse", body)
		out("written", indent(t, body))
		if dropped != nil {
			out("dropped", strings.Join(dropped, " ")+"\n")
		}
	})
}

// TestReplies reads recorded bodies of status 200 and writes them again.
func TestReplies(t *testing.T) {
	golden.Run(t, "replies", *update, func(t *testing.T, in []byte, out func(section, text string)) {
		var u chat.Usage
		signs := responses.LookWhole(in, &u)
		out("signs", cmp.Or(signs.String(), "-")+"\n"+usageText(u))
		if e, ok := responses.DecodeError(in); ok {
			out("says", errorText(&e))
		}
		r, err := responses.DecodeReply(in)
		if err != nil {
			out("error", failure(err))
			return
		}
		want := r.Usage
		if want.Tier = chat.ServedTier([]byte(r.ServiceTier)); want != u {
			t.Errorf("usage %+v, looked %+v", want, u)
		}
		out("decoded", render(t, r))
		body := responses.AppendReply(nil, nil, r)
		fits(t, "Response", body)
		out("written", indent(t, body))
	})
}

// TestStreams reads recorded streams, and writes again what was read.
func TestStreams(t *testing.T) {
	golden.Run(t, "streams", *update, func(t *testing.T, in []byte, out func(section, text string)) {
		var u chat.Usage
		var signs, pieces strings.Builder
		var all chat.Collector
		d, e := responses.NewDecoder(), responses.NewEncoder(nil)
		var batch chat.Batch
		var list []chat.Piece
		eachEvent(t, in, func(ev sse.Event) {
			s, _ := responses.Look(ev.Name, ev.Data, &u)
			fmt.Fprintf(&signs, "%s%s\n", cmp.Or(s.String(), "-"), ending(ev))
			var err error
			list, err = d.Decode(list[:0], ev.Name, ev.Data)
			for i := range list {
				pieces.WriteString(pieceText(&list[i]))
				all.Add(&list[i])
				e.Encode(&batch, &list[i])
			}
			if err != nil {
				pieces.WriteString(failure(err))
				said, ok := errors.AsType[*chat.Error](err)
				if !ok {
					said = &chat.Error{Message: err.Error()}
				}
				e.Fail(&batch, said)
			}
		})
		out("signs", signs.String()+usageText(u))
		out("pieces", pieces.String())
		out("written", eventsText(t, &batch))
	})
}

func ending(ev sse.Event) string {
	text := ""
	if responses.Ends(ev.Name, ev.Data) {
		text += " [ends]"
	}
	if responses.Finished(ev.Data) == 1 {
		text += " [finished]"
	}
	return text
}

func eachEvent(t *testing.T, stream []byte, f func(ev sse.Event)) {
	t.Helper()
	r := sse.NewReader(bytes.NewReader(stream), 1<<20)
	for {
		ev, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		f(ev)
	}
}

// eventsText is what was written, an event a line; each is checked against its schema.
func eventsText(t *testing.T, b *chat.Batch) string {
	t.Helper()
	var text strings.Builder
	for sequence := 0; ; sequence++ {
		name, data, ok := b.Next()
		if !ok {
			return text.String()
		}
		checkEvent(t, name, data, sequence)
		text.WriteString(string(short(data)) + "\n")
	}
}

// short leaves out what a response repeats of its request: the replies have it.
func short(data []byte) []byte {
	if from := bytes.Index(data, []byte(`,"service_tier"`)); from > 0 {
		return append(bytes.Clone(data[:from]), ",…}}"...)
	}
	return data
}

// checkEvent checks an event against its schema, and that it has the name and the number that it should have.
func checkEvent(t *testing.T, name string, data []byte, sequence int) {
	t.Helper()
	schema, ok := openapi.Events[name]
	if !ok {
		t.Fatalf("no schema for %s", name)
	}
	fits(t, schema, data)
	var has struct {
		Type     string
		Sequence int `json:"sequence_number"`
	}
	if err := json.Unmarshal(data, &has); err != nil || has.Type != name || has.Sequence != sequence {
		t.Fatalf("%s, number %d: %s, %v", name, sequence, data, err)
	}
}

func pieceText(p *chat.Piece) string {
	kinds := [...]string{
		"?", "begin", "text", "refusal", "reasoning", "signature", "redacted", "citation", "call", "arguments", "finish", "usage", "end",
		"image",
	}
	text := kinds[p.Kind]
	switch p.Kind {
	case chat.PieceBegin:
		text += fmt.Sprintf(" %s %s %d", p.Head.ID, p.Head.Model, p.Head.Created)
	case chat.PieceCitation:
		text += fmt.Sprintf(" %+v", *p.Citation)
	case chat.PieceCall:
		text += fmt.Sprintf(" %d %+v", p.Index, *p.Call)
	case chat.PieceArguments:
		text += fmt.Sprintf(" %d", p.Index)
	case chat.PieceFinish:
		text += " " + string(p.Finish)
	case chat.PieceUsage:
		text += " " + strings.TrimSpace(usageText(*p.Usage))
	}
	if len(p.Text) > 0 {
		text += fmt.Sprintf(" %q", p.Text)
	}
	if p.Logprobs != nil {
		text += " " + string(p.Logprobs)
	}
	return text + "\n"
}

func usageText(u chat.Usage) string {
	return fmt.Sprintf("%s: input %d, read %d, written %d, output %d, reasoning %d\n",
		u.Provenance, u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning)
}

func errorText(e *chat.Error) string {
	return fmt.Sprintf("message %s\ntype %s\nparam %s\ncode %s\n", e.Message, e.Type, e.Param, e.Code)
}

func failure(err error) string {
	if e, ok := errors.AsType[*chat.Error](err); ok {
		return "failure\n" + errorText(e)
	}
	return err.Error() + "\n"
}

// render is v without what is empty.
func render(t *testing.T, v any) string {
	t.Helper()
	full, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var loose any
	if err := json.Unmarshal(full, &loose); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(prune(loose), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			if member = prune(member); member == nil || member == false || member == "" || member == 0.0 {
				delete(v, k)
			} else {
				v[k] = member
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

func indent(t *testing.T, body []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", " "); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return b.String() + "\n"
}

// member is the value of a member of an object.
func member(t *testing.T, object []byte, name string) json.RawMessage {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return all[name]
}
