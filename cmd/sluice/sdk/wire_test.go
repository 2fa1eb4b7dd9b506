package sdk

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What no client shows, but each relies on: the bytes of a stream.
func TestWire(t *testing.T) {
	s := start(t)
	stream := func(model, options string) string {
		t.Helper()
		prompt, err := json.Marshal("repeat after me: " + said)
		if err != nil {
			t.Fatal(err)
		}
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.baseURL+"/chat/completions", strings.NewReader(
			`{"model":"`+model+`","stream":true,`+options+`"messages":[{"role":"user","content":`+string(prompt)+`}]}`))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+key)
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body) // what is cut is cut without an end of the framing
		if got := r.Header.Get("Content-Type"); r.StatusCode != 200 || !strings.HasPrefix(got, "text/event-stream") {
			t.Errorf("%s: %d %s", model, r.StatusCode, got)
		}
		return string(body)
	}
	// Between two blank lines there is one line, of data or a heartbeat: ids, pings and retries make some clients fail.
	clean := func(model, text string) {
		t.Helper()
		for block := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
			if block != ": keep-alive" && (!strings.HasPrefix(block, "data: ") || strings.Contains(block, "\n")) {
				t.Errorf("%s: %q", model, block)
			}
		}
	}
	whole := func(model, options string, want ...string) {
		t.Helper()
		text := stream(model, options)
		clean(model, text)
		events := regexp.MustCompile(`(?m)^data: (.*)$`).FindAllString(text, -1)
		if !strings.HasSuffix(text, "\n\ndata: [DONE]\n\n") || strings.Count(text, "[DONE]") != 1 || strings.Contains(text, `"error"`) {
			t.Errorf("%s: %s", model, text)
		}
		if last := events[len(events)-2]; slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(last, w) }) {
			t.Errorf("%s: %s before [DONE], want %q", model, last, want)
		}
		if usage := strings.Contains(text, `"usage":{`); usage != (options != "") {
			t.Errorf("%s: usage %t: %s", model, usage, text)
		}
	}
	const asked = `"stream_options":{"include_usage":true},`
	for _, model := range []string{"sim-fast", "sim-nodone", "builtin/sim-fast"} {
		whole(model, "", `"finish_reason":"stop"`)
		whole(model, asked, `"choices":[]`, `"usage":{`)
	}
	whole("odd", "", `"finish_reason":"stop"`)

	broken := func(model string) {
		t.Helper()
		text := stream(model, "")
		clean(model, text)
		last := text[strings.LastIndex(strings.TrimSuffix(text, "\n\n"), "\n\n")+2:]
		if !strings.HasPrefix(last, `data: {"error":{"message":"`) || strings.Contains(text, "[DONE]") {
			t.Errorf("%s: %s", model, text)
		}
	}
	broken("sim-fast-cut-5")
	broken("sim-fast-error-5")
	broken("sim-fast-badjson-5")
	broken("sim-fast-nofinish")
	broken("builtin/sim-fast-cut-5")

	text := stream("pausing", "")
	clean("pausing", text)
	if n, due := strings.Count(text, ": keep-alive\n\n"), int(2*silence/beat); n < due/4 {
		t.Errorf("%d heartbeats, %d were due: %s", n, due, text)
	}
}
