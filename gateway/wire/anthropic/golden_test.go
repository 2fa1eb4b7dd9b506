package anthropic_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/internal/golden"
	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

var update = flag.Bool("update", false, "write what is got into testdata")

// seeds adds the first file of each archive in a folder of testdata to a fuzz target's corpus.
func seeds(f *testing.F, folder string) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no archives in %s: %v", folder, err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data)
	}
}

// target is a newer model: told an effort, and taking system messages everywhere.
var target = chat.Target{Model: "claude-opus-5-5", MaxOutput: 64000, Adaptive: true, MidSystem: true}

// TestRequests decodes recorded requests, and encodes them again for a newer model and for an old one.
func TestRequests(t *testing.T) {
	golden.Run(t, "requests", *update, func(t *testing.T, in []byte, out func(section, text string)) {
		q, err := anthropic.DecodeRequest(in)
		if err != nil {
			out("error", err.Error()+"\n")
			return
		}
		out("neutral", render(t, q))
		encode := func(section string, target chat.Target) {
			body, dropped, err := anthropic.AppendRequest(nil, q, &target)
			if err != nil {
				out(section, err.Error()+"\n")
				return
			}
			text := indent(t, body)
			for _, name := range dropped {
				text += "dropped " + name + "\n"
			}
			out(section, text)
		}
		encode("encoded", target)
		encode("for an old model", chat.Target{Model: "claude-sonnet-4-5"})
	})
}

// TestReplies decodes recorded bodies of status 200, and encodes them again.
func TestReplies(t *testing.T) {
	golden.Run(t, "replies", *update, func(t *testing.T, in []byte, out func(section, text string)) {
		var u chat.Usage
		out("signs", cmp.Or(anthropic.LookWhole(in, &u).String(), "-")+"\n")
		out("usage", usageText(&u))
		r, err := anthropic.DecodeReply(in)
		if err != nil {
			out("error", errorText(err))
			return
		}
		want := r.Usage
		if want.Tier = chat.ServedTier([]byte(r.ServiceTier)); want != u {
			t.Errorf("decoded usage %+v, read in passing %+v", want, u)
		}
		out("neutral", render(t, r))
		out("encoded", unrandom(indent(t, anthropic.AppendReply(nil, nil, r))))
	})
}

// TestStreams reads recorded streams: the signs of each event, the usage at the end, the reply that the pieces make, and
// the stream that is made of them again.
func TestStreams(t *testing.T) {
	golden.Run(t, "streams", *update, func(t *testing.T, in []byte, out func(section, text string)) {
		var u chat.Usage
		var signs, failure strings.Builder
		var joined chat.Collector
		d, e := anthropic.NewDecoder(), anthropic.NewEncoder(nil)
		var batch chat.Batch
		for _, ev := range events(t, in) {
			s, _ := anthropic.Look(ev.Name, ev.Data, &u)
			fmt.Fprintf(&signs, "%s", cmp.Or(s.String(), "-"))
			if anthropic.Finished(ev.Data) != 0 {
				signs.WriteString(" (1)")
			}
			if anthropic.Ends(ev.Name, ev.Data) {
				signs.WriteString(" ends")
			}
			signs.WriteString("\n")
			pieces, err := d.Decode(nil, ev.Name, ev.Data)
			for i := range pieces {
				joined.Add(&pieces[i])
				e.Encode(&batch, &pieces[i])
			}
			if err != nil {
				failure.WriteString(errorText(err))
			}
			if failed := new(chat.Error); errors.As(err, &failed) {
				e.Fail(&batch, failed)
			}
		}
		out("signs", signs.String())
		out("usage", usageText(&u))
		if failure.Len() > 0 {
			out("error", failure.String())
		}
		out("neutral", render(t, joined.Reply()))
		out("encoded", unrandom(frames(&batch)))
	})
}

// unrandom replaces the ids that were made up.
func unrandom(s string) string { return madeUp.ReplaceAllString(s, "${1}_RANDOM") }

var madeUp = regexp.MustCompile(`(msg|toolu)_[A-Z2-7]{26}`)

func events(t testing.TB, stream []byte) []sse.Event {
	t.Helper()
	var list []sse.Event
	r := sse.NewReader(bytes.NewReader(stream), 1<<20)
	for {
		ev, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, sse.Event{Name: ev.Name, Data: bytes.Clone(ev.Data)})
	}
}

// frames is what a batch holds, as it is sent.
func frames(b *chat.Batch) string {
	var out []byte
	for {
		name, data, ok := b.Next()
		if !ok {
			return string(out)
		}
		out = sse.Append(out, name, data)
	}
}

func usageText(u *chat.Usage) string {
	return fmt.Sprintf("%s: input %d, read %d, written %d and %d, output %d, reasoning %d\n",
		u.Provenance, u.Input, u.CacheRead, u.CacheWrite, u.CacheWriteHour, u.Output, u.Reasoning)
}

func errorText(err error) string {
	if e := new(chat.Error); errors.As(err, &e) {
		return fmt.Sprintf("message %s\ntype %s\nparam %s\ncode %s\n", e.Message, e.Type, e.Param, e.Code)
	}
	return err.Error() + "\n"
}

func indent(t *testing.T, body []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", " "); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return b.String() + "\n"
}

// render is v without what is empty.
func render(t *testing.T, v any) string {
	t.Helper()
	full, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(full, &tree); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(prune(tree), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if m = prune(m); m == nil || m == "" || m == 0.0 && k != "Temperature" && k != "MaxTokens" || m == false && k != "Parallel" {
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
