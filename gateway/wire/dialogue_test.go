package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/internal/openapi"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

var update = flag.Bool("update", false, "write what is got into testdata")

// TestDialogues plays recorded dialogues between a caller and a provider that speak different dialects. The sections of an
// archive are, in order and as often as it takes:
//
//	request DIALECT            what a caller asks
//	sent DIALECT [OPTION]...   what a provider of that dialect gets; see options
//	reply DIALECT              what a provider answers, whole
//	stream DIALECT             what a provider answers, event by event; [DONE] is written, other ends too
//	error DIALECT STATUS       what a provider answers with another status than 200
//	got DIALECT                what a caller gets who speaks this dialect and asked the last request
//
// The test writes what is sent and got.
func TestDialogues(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "dialogues", "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Comment: a.Comment, Files: slices.Clone(a.Files)}
			var d dialogue
			for i := range got.Files {
				if f := &got.Files[i]; !d.said(t, f) {
					f.Data = d.answer(t, f.Name)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			for i := range got.Files {
				if g, w := string(got.Files[i].Data), string(a.Files[i].Data); g != w {
					t.Errorf("%s: got\n%s\nwant\n%s", got.Files[i].Name, g, w)
				}
			}
		})
	}
}

// dialogue is how far a dialogue has come.
type dialogue struct {
	q      *chat.Request
	reply  *chat.Reply // the last answer: one of these
	stream *stream
	failed *chat.Error
}

// said takes in a section that somebody has written; false if it is one for the test to write.
func (d *dialogue) said(t *testing.T, f *txtar.File) bool {
	t.Helper()
	words := strings.Fields(f.Name)
	by := wire.ByName(words[1])
	switch words[0] {
	case "request":
		q, err := by.DecodeRequest(f.Data)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		q.Dialect = by.Name
		d.q = q
	case "reply":
		if d.reply, d.stream, d.failed = decodeReply(t, by, f.Data), nil, nil; d.reply == nil {
			t.Fatalf("%s: no reply", f.Name)
		}
	case "stream":
		d.reply, d.stream, d.failed = nil, decodeStream(t, by, f.Data), nil
	case "error":
		e, ok := by.DecodeError(f.Data)
		if !ok {
			t.Fatalf("%s: no error", f.Name)
		}
		e.Status, _ = strconv.Atoi(words[2])
		d.reply, d.stream, d.failed = nil, nil, &e
	case "sent", "got":
		return false
	default:
		t.Fatalf("a section %q", f.Name)
	}
	return true
}

// answer writes a section.
func (d *dialogue) answer(t *testing.T, section string) []byte {
	t.Helper()
	words := strings.Fields(section)
	by := wire.ByName(words[1])
	if words[0] == "sent" {
		return d.sent(t, by, words[2:])
	}
	switch {
	case d.failed != nil:
		body := by.AppendError(nil, *d.failed)
		if by != wire.Anthropic {
			fits(t, "ErrorResponse", body)
		}
		return indent(t, body)
	case d.reply != nil:
		body := by.AppendReply(nil, d.q, d.reply)
		checkReply(t, by, body)
		return short(indent(t, body))
	case d.stream != nil:
		events := eventsOf(d.stream.encode(by, d.q))
		checkStream(t, by, d.q, events)
		var text []byte
		for _, ev := range events {
			text = sse.Append(text, ev.Name, short(ev.Data))
		}
		return text
	}
	t.Fatal("nobody has answered yet")
	return nil
}

// options are what a provider may be like, see chat.Target.
var options = map[string]func(t *chat.Target, value string){
	"model":      func(t *chat.Target, v string) { t.Model = v },
	"max":        func(t *chat.Target, v string) { t.MaxOutput, _ = strconv.ParseInt(v, 10, 64) },
	"adaptive":   func(t *chat.Target, _ string) { t.Adaptive = true },
	"always":     func(t *chat.Target, _ string) { t.AlwaysThinks = true },
	"nosampling": func(t *chat.Target, _ string) { t.NoSampling = true },
	"mid":        func(t *chat.Target, _ string) { t.MidSystem = true },
	"refuse":     func(t *chat.Target, _ string) { t.Refuse = true },
	"oldmax":     func(t *chat.Target, _ string) { t.OldMaxTokens = true },
	"seed":       func(t *chat.Target, v string) { t.SeedName = v },
	"topk":       func(t *chat.Target, _ string) { t.TopK = true },
	"jointext":   func(t *chat.Target, _ string) { t.JoinText = true },
	"nodev":      func(t *chat.Target, _ string) { t.NoDeveloper = true },
	"sysfirst":   func(t *chat.Target, _ string) { t.SystemFirst = true },
	"nothoughts": func(t *chat.Target, _ string) { t.NoThoughts = true },
	"nocustom":   func(t *chat.Target, _ string) { t.NoCustomTools = true },
	"noallowed":  func(t *chat.Target, _ string) { t.NoAllowedTools = true },
	"nousage":    func(t *chat.Target, _ string) { t.NoUsageOption = true },
	"callid":     func(t *chat.Target, v string) { t.MaxCallID, _ = strconv.Atoi(v) },
	"marks":      func(t *chat.Target, v string) { t.CacheMarks = v },
	"thinking":   func(t *chat.Target, v string) { t.Thinking = v },
	"signer":     func(t *chat.Target, v string) { t.Signer = chat.Owner(v) },
}

func (d *dialogue) sent(t *testing.T, to *wire.Dialect, words []string) []byte {
	t.Helper()
	target := chat.Target{Model: "m", AskUsage: true}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		if options[name] == nil {
			t.Fatalf("an option %q", word)
		}
		options[name](&target, value)
	}
	body, dropped, err := to.AppendRequest(nil, d.q, &target)
	if e, ok := errors.AsType[*chat.Error](err); ok {
		return fmt.Appendf(nil, "refused: %s\nparam: %s\n", e.Message, e.Param)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := indent(t, body)
	switch to {
	case wire.OpenAI:
		fits(t, "CreateChatCompletionRequest", body)
	case wire.Responses:
		// The schema wants an id of thoughts. The API takes them without, as Codex sends them, but not with another's.
		fits(t, "CreateResponse", bytes.ReplaceAll(body, []byte(`{"type":"reasoning"`), []byte(`{"id":"rs_1","type":"reasoning"`)))
	}
	if len(dropped) > 0 {
		text = fmt.Appendf(text, "dropped: %s\n", strings.Join(dropped, ", "))
	}
	if _, err := to.DecodeRequest(body); err != nil {
		t.Errorf("what is sent cannot be read: %v", err)
	}
	return text
}

// fits checks what was written against a schema of OpenAI's.
func fits(t *testing.T, schema string, text []byte) {
	t.Helper()
	if err := openapi.Check(schema, text); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

func indent(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", " "); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

var (
	madeUp   = regexp.MustCompile(`\b(msg|toolu|chatcmpl|call)([_-])[A-Z2-7]{26}`)
	repeated = regexp.MustCompile(`(?s)(,\n?\s*)"instructions":.*"metadata":.*?\{\}(\n?\s*\})`)
	created  = regexp.MustCompile(`"created(_at)?":( ?)17\d{8}|"created(_at)?":( ?)18\d{8}`)
)

// short leaves out what a response repeats of its request, and what is different each time.
func short(text []byte) []byte {
	text = madeUp.ReplaceAll(text, []byte("${1}${2}RANDOM"))
	text = repeated.ReplaceAll(text, []byte("${1}…$2"))
	return created.ReplaceAll(text, []byte(`"created${1}${3}":${2}${4}NOW`))
}
