package upstream_test

import (
	"bufio"
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

var update = flag.Bool("update", false, "write what is got into testdata")

// TestQuirks plays recorded dialogues with each kind of provider. An archive has a section "provider" with its kind and
// settings, then sections
//
//   - reply: what the provider answers to all that follows, with its status and headers above an empty line;
//   - ask and the name of an endpoint: what a caller sends there;
//   - sent: what the provider got;
//   - got: what the caller got.
func TestQuirks(t *testing.T) {
	paths, err := filepath.Glob("testdata/quirks/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { playArchive(t, path) })
	}
}

func playArchive(t *testing.T, path string) {
	want, err := txtar.ParseFile(path)
	if err != nil || len(want.Files) < 3 || want.Files[0].Name != "provider" {
		t.Fatalf("%v, %d sections", err, len(want.Files))
	}
	got := &txtar.Archive{Comment: want.Comment}
	reply := ""
	for _, s := range want.Files {
		endpoint, ask := strings.CutPrefix(s.Name, "ask ")
		switch {
		case s.Name == "sent" || s.Name == "got":
			continue
		case s.Name == "reply":
			reply = recorded(string(s.Data))
		}
		got.Files = append(got.Files, s)
		if ask {
			sent, answer := dialogue(t, string(want.Files[0].Data), endpoint, strings.TrimSpace(string(s.Data)), reply)
			got.Files = append(got.Files, txtar.File{Name: "sent", Data: []byte(sent)}, txtar.File{Name: "got", Data: []byte(answer)})
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, s := range got.Files {
		if i >= len(want.Files) || s.Name != want.Files[i].Name || !bytes.Equal(s.Data, want.Files[i].Data) {
			t.Fatalf("section %d, %s:\n%s\nwant\n%s", i, s.Name, s.Data, want.Files[min(i, len(want.Files)-1)].Data)
		}
	}
}

// recorded is a reply as it stands on the wire: events in chunks of their own, bodies with their length.
func recorded(text string) string {
	head, body, _ := strings.Cut(text, "\n\n")
	status, fields, _ := strings.Cut(head, "\n")
	out := "HTTP/1.1 " + status + " \r\n"
	if fields != "" {
		out += strings.ReplaceAll(fields, "\n", "\r\n") + "\r\n"
	}
	if !strings.Contains(fields, "event-stream") {
		return out + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	out += "Transfer-Encoding: chunked\r\n\r\n"
	for e := range strings.SplitAfterSeq(body, "\n\n") {
		if e != "" {
			out += chunk(e)
		}
	}
	return out + last
}

// asked are the endpoints of the dialogues.
func asked() []gateway.Endpoint {
	list := []gateway.Endpoint{
		chatEndpoint,
		{Name: "completions", Method: "POST", Forward: "/completions", Dialect: "openai"},
		{Name: "embeddings", Method: "POST", Forward: "/embeddings", Dialect: "openai"},
		{Name: "responses.create", Method: "POST", Forward: "/responses", Dialect: "responses"},
		{Name: "messages", Method: "POST", Forward: "/messages", Dialect: "anthropic"},
		{Name: "messages.count_tokens", Method: "POST", Forward: "/messages/count_tokens", Dialect: "anthropic"},
	}
	for i := range list {
		if e := &list[i]; e.Name != "completions" && e.Name != "embeddings" {
			e.Decode = wire.ByName(e.Dialect).DecodeRequest
		}
	}
	return list
}

// dialogue asks a provider, and renders what it got and what it answered. Settings are lines: its kind, where its URL ends,
// its query, its key, the endpoints that it has itself, and whether drop_params is off (refuse).
func dialogue(t *testing.T, settings, endpoint, ask, reply string) (sent, got string) {
	t.Helper()
	set := map[string]string{"key": "secret", "path": "/v1"}
	for line := range strings.Lines(settings) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		set[name] = value
	}
	f := newFake(t, nil, say(reply))
	p := provider(t, strings.TrimSuffix(f.url(), "/v1")+set["path"], func(c *upstream.Config) {
		c.Endpoints, c.Query = asked(), set["query"]
		var ok bool
		if c.Kind, ok = upstream.KindOf(set["kind"]); !ok {
			t.Fatalf("no kind %q", set["kind"])
		}
		if native := set["native"]; native != "" {
			c.Kind.Native = strings.Fields(native)
		}
		c.Refuse = set["refuse"] != ""
	})
	list := asked()
	i := slices.IndexFunc(list, func(e gateway.Endpoint) bool { return e.Name == endpoint })
	if i < 0 {
		t.Fatalf("no endpoint %q", endpoint)
	}
	x := &gateway.Exchange{}
	x.Init("req_test", &list[i], headers{"Anthropic-Version": "2026-10-21"}, &body{[]byte(ask)})
	if err := x.Request.Open(); err != nil {
		t.Fatal(err)
	}
	x.Caller.Tenant = &gateway.Tenant{ID: "t"}
	x.Plan.Model = x.Request.Model()
	target := &gateway.Target{Provider: "fake", Model: cmp.Or(set["model"], "their-model"), Via: p.WithKey(set["key"]), Known: &catalog.Model{Output: 1000}}
	r := pull(x, target)
	if list := f.seen(); len(list) == 1 {
		sent = requestText(t, list[0])
	}
	return sent, resultText(&r)
}

// made is when a reply was, which a gateway says where the provider did not.
var made = regexp.MustCompile(`("created(?:_at)?":)(\d{10})`)

func requestText(t *testing.T, q request) string {
	t.Helper()
	h, err := http.ReadRequest(bufio.NewReader(strings.NewReader(q.head + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", h.Method, h.RequestURI)
	for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key", "Anthropic-Version"} {
		if v := h.Header.Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	return b.String() + "\n" + q.body + "\n"
}

func resultText(r *result) string {
	var b strings.Builder
	if r.sent {
		fmt.Fprintf(&b, "%d %s\n", r.reply.Status, r.reply.ContentType)
		for _, h := range r.reply.Header {
			fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
		}
		b.WriteByte('\n')
	}
	for _, e := range r.events {
		b.WriteString(made.ReplaceAllStringFunc(strings.TrimSuffix(e, "\n"), func(s string) string {
			if m := made.FindStringSubmatch(s); m[2] > "1770000000" { // not recorded
				return m[1] + `"now"`
			}
			return s
		}) + "\n")
	}
	if e, ok := r.err.(*gateway.Error); ok { //nolint:errorlint // bare, or the test fails
		fmt.Fprintf(&b, "failed with %d, type %s, code %s, param %s, origin %s: %s\n", e.Status, e.Type, e.Code, cmp.Or(e.Param, "-"), e.Origin, e.Message)
	} else if r.err != nil {
		fmt.Fprintf(&b, "failed: %v\n", r.err)
	}
	if u := r.x.Usage; u != (chat.Usage{}) {
		fmt.Fprintf(&b, "usage %s: input %d, read %d, written %d, output %d, reasoning %d\n", u.Provenance, u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning)
	}
	return b.String()
}

// Every kind has a dialogue, as far as it is not OpenAI itself.
func TestQuirksAreShown(t *testing.T) {
	shown := map[string]bool{"openai": true}
	paths, err := filepath.Glob("testdata/quirks/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(string(a.Files[0].Data), "kind "), "\n")
		shown[kind] = true
	}
	for _, k := range upstream.Kinds() {
		if !shown[k.Name] {
			t.Errorf("%s has no dialogue", k.Name)
		}
	}
}

// The table's endpoints exist, once each, and a kind that translates has the endpoint at which it does.
func TestKinds(t *testing.T) {
	for _, k := range upstream.Kinds() {
		if k.Auth == "" || !strings.HasSuffix(k.Auth, " ") {
			t.Errorf("%s: auth %q", k.Name, k.Auth)
		}
		if k.Speaks != "" && !slices.Contains(k.Native, k.Speaks) {
			t.Errorf("%s speaks %s and does not have it", k.Name, k.Speaks)
		}
		names := slices.Sorted(slices.Values(k.Native))
		if n := len(slices.Compact(slices.Clone(names))); n != len(names) {
			t.Errorf("%s has some endpoint twice: %v", k.Name, names)
		}
	}
	if _, ok := upstream.KindOf("nobody"); ok {
		t.Error("there is a kind that there is not")
	}
}

// OpenAI's models take marks of what to cache since they charge for it; what is known of others, or nothing, says no.
func TestBreakpoints(t *testing.T) {
	c, err := catalog.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(kind, model, endpoint, ask string, want int) {
		t.Helper()
		f := newFake(t, nil, say(whole("200 OK", `{"status":"completed","output":[],`+answer[1:])))
		known := c.Lookup(kind, model)
		r := pull(at(t, endpoint, ask, "", ""), &gateway.Target{Provider: "fake", Model: model, Via: speaker(t, f, kind, false).WithKey("k"), Known: known})
		if r.err != nil {
			t.Fatal(r.err)
		}
		if body := f.seen()[0].body; strings.Count(body, `"prompt_cache_breakpoint":{"mode":"explicit"}`) != want {
			t.Errorf("%s/%s: %s, want %d marks", kind, model, body, want)
		}
	}
	const ask = `{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],` +
		`"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}`
	check("openai", "gpt-6-sol", "messages", ask, 2)
	check("openai", "gpt-5.6", "messages", ask, 2)
	check("azure", "gpt-5.6", "messages", ask, 2)
	check("openai", "gpt-5.4", "messages", ask, 0)
	check("openai", "ours", "messages", ask, 0)
	check("together", "gpt-5.6", "messages", ask, 0)
}
