package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// The page about providers is made of the table of endpoints, the table of providers, and of what becomes of requests that
// are sent to each of them: `go test ./gateway/wire -run TestProvidersPage -update`.
func TestProvidersPage(t *testing.T) {
	path := filepath.Join("..", "PROVIDERS.md")
	got := providersPage(t)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run this test with -update\n%s", path, got)
	}
}

func providersPage(t *testing.T) []byte {
	var b bytes.Buffer
	b.WriteString(`# What Sluice can do with which provider

Made from the tables of endpoints and providers and from requests that are sent to each; a test fails when this page is
stale (` + "`go test ./gateway/wire -run TestProvidersPage -update`" + ` writes it).

## Endpoints

*native*: passed on as it is; *translated*: through another endpoint of the provider, by way of the neutral form; –: answered
with 400 and the names of providers that can. A configuration may name other endpoints for a provider (` + "`endpoints`" + `).
Responses that are translated are kept by Sluice, where it is configured to, so that a later request can go on from them.
Messages with functions for OpenAI's models from GPT-5.4 on go to its Responses, for chat completions refuse them there.
`)
	names, ours := endpointNames()
	for _, group := range [][]string{{"chat", "messages"}, {"responses"}, {"completions", "embeddings", "moderations", "images", "audio"}, {"files", "batches"}} {
		var members []string
		for _, name := range names {
			if first, _, _ := strings.Cut(name, "."); slices.Contains(group, first) {
				members = append(members, name)
			}
		}
		b.WriteString("\n")
		writeTable(&b, "provider", members, upstream.Kinds(), func(k *upstream.Kind, name string) string {
			switch native, served := k.Serves()[name]; {
			case native:
				return "native"
			case served:
				return "translated"
			}
			return "–"
		})
	}
	fmt.Fprintf(&b, "\nSluice itself answers %s.\n", strings.Join(ours, " and "))
	b.WriteString(`
## What becomes of a request

*yes*: it is sent, in the provider's words; *dropped*: it is left out, and the header ` + "`x-sluice-dropped`" + ` names it (or, with
` + "`drop_params: false`" + `, the request is refused); *refused*: 400, because without it the request would mean something else;
*not sent*: a hint that the provider cannot be given. What a model cannot do is not in these tables: the catalogue knows it,
and the provider has the last word.
`)
	for _, caller := range callers {
		fmt.Fprintf(&b, "\n### From %s\n\n", caller.name)
		columns := map[string][]string{} // of the same cells, the providers
		var order []string
		for _, k := range upstream.Kinds() {
			if _, served := k.Serves()[caller.endpoint]; !served {
				continue
			}
			var cells []string
			for _, p := range caller.probes {
				cells = append(cells, fate(t, &k, caller.endpoint, caller.request(p), p.shows))
			}
			key := strings.Join(cells, "|")
			if columns[key] == nil {
				order = append(order, key)
			}
			columns[key] = append(columns[key], k.Name)
		}
		b.WriteString("| |")
		for _, key := range order {
			b.WriteString(" " + strings.Join(columns[key], ", ") + " |")
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(order)) + "\n")
		for i, p := range caller.probes {
			b.WriteString("| " + p.feature + " |")
			for _, key := range order {
				b.WriteString(" " + strings.Split(key, "|")[i] + " |")
			}
			b.WriteString("\n")
		}
	}
	return b.Bytes()
}

// endpointNames are those of the callers' endpoints that reach providers, in order, and those that Sluice answers itself.
func endpointNames() (names, ours []string) {
	served := map[string]bool{}
	for _, k := range upstream.Kinds() {
		for name := range k.Serves() {
			served[name] = true
		}
	}
	for _, e := range serve.Endpoints() {
		switch list := &names; {
		case e.Policy != gateway.Callers:
			continue
		case !served[e.Name]:
			list = &ours
			fallthrough
		default:
			if name := e.Name; !slices.Contains(*list, name) {
				*list = append(*list, name)
			}
		}
	}
	return names, ours
}

func writeTable(b *bytes.Buffer, corner string, columns []string, rows []upstream.Kind, cell func(k *upstream.Kind, column string) string) {
	b.WriteString("| " + corner + " | " + strings.Join(columns, " | ") + " |\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for i := range rows {
		b.WriteString("| " + rows[i].Name + " |")
		for _, c := range columns {
			b.WriteString(" " + cell(&rows[i], c) + " |")
		}
		b.WriteString("\n")
	}
}

// fate is what becomes of a request for a provider of a kind: yes, dropped, refused or not sent.
func fate(t *testing.T, k *upstream.Kind, endpoint, request, shows string) string {
	t.Helper()
	sent := make(chan string, 1)
	p := providerAt(t, k.Name, func(w http.ResponseWriter, r *http.Request) {
		all, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent <- string(all)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"x","type":"invalid_request_error"}}`)
	}, func(*upstream.Config) {})
	x := exchangeAt(t, endpoint, request, "")
	defer x.End(nil)
	target := &gateway.Target{Provider: "p", Model: "m", Via: p}
	reply, err := p.Send(x, target, x.Attempting(target))
	if e, ok := errors.AsType[*gateway.Error](err); ok && e.Status == http.StatusBadRequest {
		return "refused"
	}
	if err != nil {
		t.Fatalf("%s: %s: %v", k.Name, request, err)
	}
	_ = reply.Stream.Close()
	for _, f := range reply.Header {
		if f.Name == "x-sluice-dropped" {
			return "dropped"
		}
	}
	if text := <-sent; !slices.ContainsFunc(strings.Split(shows, "|"), func(s string) bool { return strings.Contains(text, s) }) {
		return "not sent"
	}
	return "yes"
}

// caller is a kind of caller and what it may ask for.
type caller struct {
	name, endpoint string
	base           string // members of every request
	turn           string // the conversation, if a probe has none of its own
	key            string // of the conversation
	probes         []probe
}

// probe is a feature and the members of a request that ask for it. A hint is left out without a word by some: then something
// of shows, divided by |, is not in what is sent.
type probe struct{ feature, members, shows string }

func (c *caller) request(p probe) string {
	text := "{" + c.base + "," + p.members
	if !strings.Contains(p.members, `"`+c.key+`"`) {
		text += `,"` + c.key + `":` + c.turn
	}
	return text + "}"
}

const (
	chatTool  = `"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]`
	flatTool  = `"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]`
	claudeOwn = `"tools":[{"name":"f","input_schema":{"type":"object"}}]`
)

var callers = []caller{
	{
		name: "OpenAI's chat completions", endpoint: "chat.completions", base: `"model":"m"`, key: "messages", turn: `[{"role":"user","content":"x"}]`,
		probes: []probe{
			{feature: "stream with usage", members: `"stream":true,"stream_options":{"include_usage":true}`},
			{feature: "functions, parallel calls", members: chatTool + `,"parallel_tool_calls":true`},
			{feature: "one call at a time", members: chatTool + `,"parallel_tool_calls":false`},
			{feature: "a forced function", members: chatTool + `,"tool_choice":{"type":"function","function":{"name":"f"}}`},
			{feature: "allowed_tools", members: chatTool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}`},
			{feature: "custom tools", members: `"tools":[{"type":"custom","custom":{"name":"f"}}]`},
			{feature: "pictures by value", members: `"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]`},
			{feature: "pictures by URL", members: `"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]`},
			{feature: "PDF by value", members: `"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}}]}]`},
			{feature: "recordings", members: `"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]`},
			{feature: "spoken answers", members: `"modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}`},
			{feature: "JSON schema", members: `"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}`},
			{feature: "JSON mode", members: `"response_format":{"type":"json_object"}`},
			{feature: "reasoning_effort", members: `"reasoning_effort":"high"`},
			{feature: "verbosity", members: `"verbosity":"low"`},
			{feature: "stop", members: `"stop":["END"]`},
			{feature: "temperature", members: `"temperature":0.5`},
			{feature: "penalties", members: `"frequency_penalty":0.5`},
			{feature: "seed", members: `"seed":1`},
			{feature: "logit_bias", members: `"logit_bias":{"1":1}`},
			{feature: "logprobs", members: `"logprobs":true`},
			{feature: "several choices", members: `"n":2`},
			{feature: "prediction", members: `"prediction":{"type":"content","content":"x"}`},
			{feature: "cache marks", members: `"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]`, shows: "cache_control|prompt_cache_breakpoint"},
			{feature: "prompt_cache_key", members: `"prompt_cache_key":"k"`},
			{feature: "user", members: `"user":"u"`},
			{feature: "service_tier", members: `"service_tier":"flex"`},
			{feature: "metadata, store", members: `"store":true,"metadata":{"k":"v"}`},
			{feature: "signed thoughts", members: `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","thinking_blocks":[{"type":"thinking","thinking":"z","signature":"s"}]},{"role":"user","content":"x"}]`, shows: `"signature":"s"`},
		},
	},
	{
		name: "Anthropic's Messages", endpoint: "messages", base: `"model":"m","max_tokens":4000`, key: "messages", turn: `[{"role":"user","content":"x"}]`,
		probes: []probe{
			{feature: "stream", members: `"stream":true`},
			{feature: "tools", members: claudeOwn},
			{feature: "one call at a time", members: claudeOwn + `,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`},
			{feature: "a forced tool", members: claudeOwn + `,"tool_choice":{"type":"tool","name":"f"}`},
			{feature: "results with pictures, of failures", members: `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},
				{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}],` + claudeOwn},
			{feature: "Anthropic's own tools", members: `"tools":[{"type":"web_search_20250305","name":"web_search"}]`},
			{feature: "mcp_servers", members: `"mcp_servers":[{"type":"url","url":"https://example.com","name":"m"}]`},
			{feature: "documents", members: `"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}]`},
			{feature: "thinking with a budget", members: `"thinking":{"type":"enabled","budget_tokens":2000}`},
			{feature: "adaptive thinking, effort", members: `"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}`},
			{feature: "JSON schema", members: `"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}`},
			{feature: "system in the middle", members: `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"},{"role":"system","content":"z"},{"role":"user","content":"x"}]`},
			{feature: "cache marks", members: `"system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]`, shows: "cache_control|prompt_cache_breakpoint"},
			{feature: "stop_sequences", members: `"stop_sequences":["END"]`},
			{feature: "temperature, top_p", members: `"temperature":0.5,"top_p":0.9`},
			{feature: "top_k", members: `"top_k":5`},
			{feature: "metadata.user_id", members: `"metadata":{"user_id":"u"}`},
		},
	},
	{
		name: "OpenAI's Responses", endpoint: "responses.create", base: `"model":"m"`, key: "input", turn: `"x"`,
		probes: []probe{
			{feature: "stream", members: `"stream":true`},
			{feature: "instructions", members: `"instructions":"x"`},
			{feature: "functions", members: flatTool},
			{feature: "custom tools", members: `"tools":[{"type":"custom","name":"f"}]`},
			{feature: "grammar of a custom tool", members: `"tools":[{"type":"custom","name":"f","format":{"type":"grammar","syntax":"regex","definition":".*"}}]`},
			{feature: "OpenAI's own tools", members: `"tools":[{"type":"web_search"}]`},
			{feature: "pictures, files by value", members: `"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"auto"},{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}]}]`},
			{feature: "JSON schema", members: `"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}}`},
			{feature: "reasoning.effort", members: `"reasoning":{"effort":"high"}`},
			{feature: "reasoning.summary", members: `"reasoning":{"effort":"high","summary":"auto"}`},
			{feature: "encrypted thoughts", members: `"include":["reasoning.encrypted_content"],"store":false`},
			{feature: "logprobs", members: `"include":["message.output_text.logprobs"],"top_logprobs":2`},
			{feature: "max_tool_calls", members: `"max_tool_calls":3,` + flatTool},
			{feature: "truncation", members: `"truncation":"auto"`},
			{feature: "background", members: `"background":true`},
			{feature: "conversation, prompt", members: `"conversation":"conv_1"`},
		},
	},
}
