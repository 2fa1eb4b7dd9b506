package openai_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/internal/golden"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

var update = flag.Bool("update", false, "write what is got into testdata")

func usageText(u chat.Usage) string {
	text := fmt.Sprintf("%s: input %d, read %d, written %d, output %d, reasoning %d",
		u.Provenance, u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning)
	if u.InputAudio+u.InputImage+u.OutputAudio+u.OutputImage > 0 {
		text += fmt.Sprintf(", audio %d and %d, images %d and %d", u.InputAudio, u.OutputAudio, u.InputImage, u.OutputImage)
	}
	if u.Duration > 0 {
		text += ", lasting " + u.Duration.String()
	}
	if u.Tier != "" {
		text += ", served as " + u.Tier
	}
	return text + "\n"
}

// TestStreams reads recorded streams: the signs of each event, the usage at the end, what a decoder makes of it, and what
// an encoder makes of that, which must say the same.
func TestStreams(t *testing.T) {
	golden.Run(t, "streams", *update, func(t *testing.T, in []byte, out func(section, text string)) {
		var u chat.Usage
		var signs strings.Builder
		events := readEvents(t, in)
		for _, ev := range events {
			s, _ := openai.Look(ev.Name, ev.Data, &u)
			signs.WriteString(cmp.Or(s.String(), "-"))
			if n := bits.OnesCount64(openai.Finished(ev.Data)); n > 0 {
				fmt.Fprintf(&signs, " (%d)", n)
			}
			if !s.Has(chat.Malformed) {
				signs.WriteString(cleaned(t, bytes.Clone(ev.Data)))
			}
			signs.WriteString("\n")
		}
		out("signs", signs.String())
		out("usage", usageText(u))
		encoder := openai.NewEncoder(&chat.Request{IncludeUsage: true})
		said, again := decoded(events, encoder)
		out("pieces", said.text())
		said.complete()
		if back, _ := decoded(again, nil); said["9 done"] != "" && !said.failed() && back.text() != said.text() {
			t.Errorf("encoded\n%s\nit says\n%s", eventsText(again), back.text())
		}
		out("encoded", eventsText(again))
	})
}

func readEvents(t *testing.T, in []byte) []sse.Event {
	t.Helper()
	var events []sse.Event
	r := sse.NewReader(bytes.NewReader(in), 1<<20)
	for {
		ev, err := r.Next()
		if err == io.EOF {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, sse.Event{Name: ev.Name, Data: bytes.Clone(ev.Data)})
	}
}

// decoded is what a decoder makes of events, and an encoder of its pieces, if there is one.
func decoded(events []sse.Event, encoder chat.Encoder) (transcript, []sse.Event) {
	said := transcript{}
	decoder := openai.NewDecoder()
	var pieces []chat.Piece
	var again []sse.Event
	var batch chat.Batch
	for _, ev := range events {
		var err error
		pieces, err = decoder.Decode(pieces[:0], ev.Name, ev.Data)
		said.fail(err)
		for i := range pieces {
			p := &pieces[i]
			if said.add(p); p.Head != nil && p.Head.ID == "" { // or an encoder makes up what is missing
				p.Head.ID, p.Head.Created = "none", 1
			}
			if encoder != nil {
				encoder.Encode(&batch, &pieces[i])
			}
		}
		for {
			name, data, ok := batch.Next()
			if !ok {
				break
			}
			again = append(again, sse.Event{Name: name, Data: bytes.Clone(data)})
		}
		batch.Reset()
	}
	return said, again
}

func eventsText(events []sse.Event) string {
	var b []byte
	for _, ev := range events {
		b = append(append(b, ev.Data...), '\n')
	}
	return string(b)
}

// cleaned checks that Clean takes nothing but error:null away.
func cleaned(t *testing.T, data []byte) string {
	t.Helper()
	before, after := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if json.Unmarshal(data, &before) != nil { // [DONE]
		return ""
	}
	data = openai.Clean(data)
	if err := json.Unmarshal(data, &after); err != nil {
		t.Fatalf("Clean makes %s: %v", data, err)
	}
	v, had := before["error"]
	if had && string(v) == "null" {
		delete(before, "error")
	}
	if !maps.EqualFunc(before, after, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
		t.Fatalf("Clean makes %s", data)
	}
	if had && string(v) == "null" {
		return " [cleaned]"
	}
	return ""
}

// transcript joins pieces as a client does, by choice and by call.
type transcript map[string]string

// complete gives calls without arguments those that an encoder gives them.
func (s transcript) complete() {
	for k := range s {
		if of, ok := strings.CutSuffix(k, "name"); ok && s[of+"arguments"] == "" {
			s[of+"arguments"] = "{}"
		}
	}
}

func (s transcript) failed() bool { return s["8 error"] != "" }

func (s transcript) fail(err error) {
	var failed *chat.Error
	switch {
	case errors.As(err, &failed):
		s["8 error"] += fmt.Sprintf("%s|%s|%s|%s;", failed.Message, failed.Type, failed.Param, failed.Code)
	case err != nil:
		s["8 error"] += err.Error() + ";"
	}
}

func (s transcript) add(p *chat.Piece) {
	add := func(what, text string) {
		if text != "" {
			s[fmt.Sprintf("%d %s", p.Choice+1, what)] += text
		}
	}
	said := func() string {
		text, ok := peek.String([]byte(`"` + string(p.Text) + `"`))
		if !ok {
			panic(fmt.Sprintf("%q is not the inside of a string", p.Text))
		}
		return text
	}
	at := fmt.Sprintf("call %d ", p.Index)
	switch p.Kind {
	case chat.PieceBegin:
		s["0 head"] += fmt.Sprintf("%s %s %d", p.Head.ID, p.Head.Model, p.Head.Created)
	case chat.PieceText:
		add("text", said())
		add("logprobs", string(p.Logprobs))
	case chat.PieceRefusal:
		add("refusal", said())
	case chat.PieceReasoning:
		add("reasoning", said())
	case chat.PieceSignature:
		if p.Call != nil {
			add(at+"signature", said())
		} else {
			add("reasoning", "<signed "+said()+">")
		}
	case chat.PieceRedacted:
		add("reasoning", "<redacted "+said()+">")
	case chat.PieceCitation:
		add("cited", fmt.Sprintf("%s %q %d-%d;", p.Citation.URL, p.Citation.Title, p.Citation.Start, p.Citation.End))
	case chat.PieceImage:
		add("images", "<"+said()+">")
	case chat.PieceCall:
		add(at+"id", p.Call.ID)
		add(at+"name", p.Call.Name)
		if p.Call.Kind == chat.Custom {
			add(at+"kind", "custom")
		}
	case chat.PieceArguments:
		add(at+"arguments", said())
	case chat.PieceFinish:
		add("finish", string(p.Finish))
	case chat.PieceUsage:
		s["7 usage"] = strings.TrimSuffix(usageText(*p.Usage), "\n")
	case chat.PieceEnd:
		s["9 done"] += "yes"
	}
}

func (s transcript) text() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s: %s\n", k[2:], s[k])
	}
	return b.String()
}

// TestReplies reads recorded bodies of status 200, and writes what it has read, which must say the same.
func TestReplies(t *testing.T) {
	golden.Run(t, "replies", *update, func(t *testing.T, in []byte, out func(section, text string)) {
		var u chat.Usage
		s := openai.LookWhole(in, &u)
		out("signs", cmp.Or(s.String(), "-")+"\n")
		out("usage", usageText(u))
		if e, ok := openai.DecodeError(in); ok {
			out("error", fmt.Sprintf("message %s\ntype %s\nparam %s\ncode %s\n", e.Message, e.Type, e.Param, e.Code))
		}
		r, err := openai.DecodeReply(in)
		if err != nil {
			out("decoded", "error: "+err.Error()+"\n")
			return
		}
		out("decoded", render(t, r))
		body := openai.AppendReply(nil, nil, r)
		out("encoded", string(body)+"\n")
		again, err := openai.DecodeReply(body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if a, b := render(t, r), render(t, again); a != b && !strings.Contains(t.Name(), "lossy") {
			t.Errorf("%s\nis read as\n%s", body, b)
		}
	})
}

// TestRequests decodes recorded requests.
func TestRequests(t *testing.T) {
	golden.Run(t, "requests", *update, func(t *testing.T, in []byte, out func(section, text string)) {
		r, err := openai.DecodeRequest(in)
		if err != nil {
			out("error", err.Error()+"\n")
			return
		}
		out("decoded", render(t, r))
		target := &chat.Target{CacheMarks: "cache_control", Thinking: "reasoning"}
		body, dropped, err := openai.AppendRequest(nil, r, target)
		if err != nil || len(dropped) > 0 {
			t.Fatalf("%v, dropped %q", err, dropped)
		}
		out("encoded", string(body)+"\n")
		again, err := openai.DecodeRequest(body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		same, _, err := openai.AppendRequest(nil, again, target)
		if err != nil || !bytes.Equal(same, body) {
			t.Errorf("%v\n%s\nbecomes\n%s", err, body, same)
		}
	})
}

// render is r without what is empty.
func render(t *testing.T, r any) string {
	t.Helper()
	full, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(full, &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(prune(v), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if m = prune(m); m == nil || m == "" || m == 0.0 && k != "Temperature" || m == false && k != "Parallel" {
				delete(v, k)
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
