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
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

var update = flag.Bool("update", false, "write what is got into testdata")

// golden runs f on the first file of each archive in a folder of testdata, and compares the sections it writes with the
// others.
func golden(t *testing.T, folder string, f func(t *testing.T, in []byte, out func(section, text string))) {
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no archives in %s: %v", folder, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Comment: a.Comment, Files: slices.Clone(a.Files[:1])}
			f(t, slices.Clone(a.Files[0].Data), func(section, text string) {
				got.Files = append(got.Files, txtar.File{Name: section, Data: []byte(text)})
			})
			if *update {
				if err := os.WriteFile(path, txtar.Format(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if g, w := string(txtar.Format(got)), string(txtar.Format(a)); g != w {
				t.Errorf("got\n%s\nwant\n%s", g[len(txtar.Format(&txtar.Archive{Comment: a.Comment, Files: a.Files[:1]})):], w)
			}
		})
	}
}

func usageText(u chat.Usage) string {
	text := fmt.Sprintf("%s: input %d, read %d, written %d, output %d, reasoning %d",
		u.Provenance, u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning)
	if u.InputAudio+u.InputImage+u.OutputAudio+u.OutputImage > 0 {
		text += fmt.Sprintf(", audio %d and %d, images %d and %d", u.InputAudio, u.OutputAudio, u.InputImage, u.OutputImage)
	}
	if u.Duration > 0 {
		text += ", lasting " + u.Duration.String()
	}
	return text + "\n"
}

// TestStreams reads recorded streams: the signs of each event, the usage at the end, and what a client makes of it.
func TestStreams(t *testing.T) {
	golden(t, "streams", func(t *testing.T, in []byte, out func(section, text string)) {
		var u chat.Usage
		var signs strings.Builder
		said := transcript{}
		r := sse.NewReader(strings.NewReader(string(in)), 1<<20)
		for {
			ev, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			s := openai.Look(ev.Name, ev.Data, &u)
			signs.WriteString(cmp.Or(s.String(), "-"))
			if n := bits.OnesCount64(openai.Finished(ev.Data)); n > 0 {
				fmt.Fprintf(&signs, " (%d)", n)
			}
			if !s.Has(chat.Malformed) {
				signs.WriteString(cleaned(t, bytes.Clone(ev.Data)))
			}
			signs.WriteString("\n")
			said.add(openai.DecodeChunk(ev.Data))
		}
		out("signs", signs.String())
		out("usage", usageText(u))
		out("client", said.text())
	})
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

// transcript joins deltas as a client does, by choice and by call.
type transcript map[string]string

func (s transcript) add(c chat.Chunk, err error) {
	var failed *chat.Error
	switch {
	case err == io.EOF:
		s["9 done"] = "yes"
	case errors.As(err, &failed):
		s["8 error"] += fmt.Sprintf("%s|%s|%s|%s;", failed.Message, failed.Type, failed.Param, failed.Code)
	case err != nil:
		s["8 error"] += err.Error() + ";"
	}
	if c.ID != "" {
		s["0 head"] = fmt.Sprintf("%s %s %d", c.ID, c.Model, c.Created)
	}
	for _, d := range c.Choices {
		add := func(what, text string) {
			if text != "" {
				s[fmt.Sprintf("%d %s", d.Index+1, what)] += text
			}
		}
		if d.Role != "" {
			s[fmt.Sprintf("%d role", d.Index+1)] = string(d.Role)
		}
		add("text", d.Text)
		add("refusal", d.Refusal)
		add("reasoning", d.Reasoning)
		add("finish", string(d.Finish))
		for _, call := range d.Calls {
			at := fmt.Sprintf("call %d ", call.Index)
			add(at+"id", call.ID)
			add(at+"name", call.Name)
			add(at+"arguments", call.Arguments)
			if call.Kind == chat.Custom && call.Name != "" {
				add(at+"kind", "custom")
			}
		}
	}
	if c.Usage.Provenance != chat.Unknown {
		s["7 usage"] = strings.TrimSuffix(usageText(c.Usage), "\n")
	}
}

func (s transcript) text() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s: %s\n", k[2:], s[k])
	}
	return b.String()
}

// TestReplies reads recorded bodies of status 200.
func TestReplies(t *testing.T) {
	golden(t, "replies", func(_ *testing.T, in []byte, out func(section, text string)) {
		var u chat.Usage
		s := openai.LookWhole(in, &u)
		out("signs", cmp.Or(s.String(), "-")+"\n")
		out("usage", usageText(u))
		if e, ok := openai.DecodeError(in); ok {
			out("error", fmt.Sprintf("message %s\ntype %s\nparam %s\ncode %s\n", e.Message, e.Type, e.Param, e.Code))
		}
	})
}

// TestRequests decodes recorded requests.
func TestRequests(t *testing.T) {
	golden(t, "requests", func(t *testing.T, in []byte, out func(section, text string)) {
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
func render(t *testing.T, r *chat.Request) string {
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
