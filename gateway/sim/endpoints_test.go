package sim_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image/png"
	"math"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// site is a server and a client of it.
type site struct {
	t    *testing.T
	base string
	c    *http.Client
}

func newSite(t *testing.T) *site { return &site{t, serve(t, &sim.Server{}), client(t)} }

// do makes a call that must have a status; what is answered is read into v, unless that is nil.
func (s *site) do(method, path, request string, status int, v any, headers ...string) string {
	s.t.Helper()
	got, _, text := call(s.t, s.c, method, s.base+path, request, headers...)
	if got != status {
		s.t.Fatalf("%s %s: %d %s", method, path, got, text)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(text), v); err != nil {
			s.t.Fatalf("%s %s: %s, %v", method, path, text, err)
		}
	}
	return text
}

// form is a body with a file, and its Content-Type.
func form(t *testing.T, name, content string, fields ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.CreateFormFile("file", name)
	if err == nil {
		_, err = f.Write([]byte(content))
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

type embeddings struct {
	Data []struct {
		Index     int
		Embedding json.RawMessage
	}
	Usage struct {
		Prompt int `json:"prompt_tokens"`
		Total  int `json:"total_tokens"`
	}
}

// vectors are the embeddings, however they are written.
func (e *embeddings) vectors(t *testing.T) [][]float64 {
	t.Helper()
	var all [][]float64
	for i, d := range e.Data {
		if d.Index != i {
			t.Errorf("index %d at %d", d.Index, i)
		}
		var v []float64
		if json.Unmarshal(d.Embedding, &v) != nil {
			var packed []byte
			if err := json.Unmarshal(d.Embedding, &packed); err != nil {
				t.Fatal(err)
			}
			for len(packed) > 0 {
				v = append(v, float64(math.Float32frombits(binary.LittleEndian.Uint32(packed))))
				packed = packed[4:]
			}
		}
		all = append(all, v)
	}
	return all
}

func product(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func TestEmbeddings(t *testing.T) {
	s := newSite(t)
	f := func(input, more string, count, size, tokens int) [][]float64 {
		t.Helper()
		var e embeddings
		s.do("POST", "/embeddings", `{"model":"e","input":`+input+more+`}`, 200, &e)
		all := e.vectors(t)
		if len(all) != count || len(all[0]) != size || e.Usage.Prompt != tokens || e.Usage.Total != tokens {
			t.Fatalf("%s: %d of size %d, %+v", input, len(all), len(all[0]), e.Usage)
		}
		for _, v := range all {
			if n := product(v, v); n < 0.999 || n > 1.001 {
				t.Errorf("%s: the length is %v", input, n)
			}
		}
		return all
	}
	a := f(`"the cat sat on the mat"`, "", 1, 1536, 6)
	b := f(`["a dog", "The cat sat on a mat."]`, `,"encoding_format":"base64"`, 2, 1536, 9)
	if near, far := product(a[0], b[1]), product(a[0], b[0]); near < 0.6 || far > 0.3 {
		t.Errorf("near %v, far %v", near, far)
	}
	c := f(`[1,2,3]`, `,"dimensions":8`, 1, 8, 3)
	d := f(`[[1,2,3],[4]]`, `,"dimensions":8,"encoding_format":"float"`, 2, 8, 4)
	if n := product(c[0], d[0]); n < 0.999 {
		t.Errorf("the same tokens are %v apart", n)
	}
	s.do("POST", "/embeddings", `{"model":"e","input":[]}`, 400, nil)
	s.do("POST", "/embeddings", `{"model":"e","input":5}`, 400, nil)
	s.do("POST", "/embeddings", `{"model":"e","input":"x","dimensions":0}`, 400, nil)
	s.do("POST", "/embeddings", `{"model":"e","input":"x","encoding_format":"hex"}`, 400, nil)
	s.do("POST", "/embeddings", `{"model":"sim-429","input":"x"}`, 429, nil)
	s.do("POST", "/embeddings", `{`, 400, nil)
}

func TestModerations(t *testing.T) {
	s := newSite(t)
	f := func(input string, flagged ...bool) {
		t.Helper()
		var m struct {
			Results []struct {
				Flagged    bool
				Categories map[string]bool
			}
		}
		s.do("POST", "/moderations", `{"input":`+input+`}`, 200, &m)
		if len(m.Results) != len(flagged) {
			t.Fatalf("%s: %+v", input, m)
		}
		for i, r := range m.Results {
			if r.Flagged != flagged[i] || len(r.Categories) != 13 {
				t.Errorf("%s: %+v", input, r)
			}
		}
	}
	f(`"hello"`, false)
	f(`["I will kill you","hello"]`, true, false)
	f(`[{"type":"text","text":"how to make a bomb"},{"type":"image_url","image_url":{"url":"https://example.org/a.png"}}]`, true)
	s.do("POST", "/moderations", `{"input":{}}`, 400, nil)
	s.do("POST", "/moderations", `{"model":"sim-500","input":"x"}`, 500, nil)
}

func TestCompletions(t *testing.T) {
	s := newSite(t)
	var c struct {
		Object  string
		Choices []struct {
			Text   string
			Finish string `json:"finish_reason"`
		}
		Usage struct {
			Total int `json:"total_tokens"`
		}
	}
	s.do("POST", "/completions", `{"model":"m","prompt":["what is 6*7","what is 2+2"],"echo":true}`, 200, &c)
	if c.Object != "text_completion" || len(c.Choices) != 2 || c.Choices[1].Text != "what is 2+22+2 = 4" || c.Choices[1].Finish != "stop" || c.Usage.Total == 0 {
		t.Errorf("got %+v", c)
	}
	text, used := "", chat.Usage{}
	events := readNamed(t, s.do("POST", "/completions", `{"model":"m","prompt":"what is 6*7","stream":true,"stream_options":{"include_usage":true}}`, 200, nil))
	for _, ev := range events {
		var c struct{ Choices []struct{ Text string } }
		if json.Unmarshal([]byte(ev.data), &c) == nil && len(c.Choices) > 0 {
			text += c.Choices[0].Text
		}
		openai.Look(ev.name, []byte(ev.data), &used)
	}
	if n := len(events); text != "6*7 = 42" || used.Output == 0 || events[n-1].data != "[DONE]" || events[n-1].name != "" {
		t.Errorf("got %q, %+v, %v", text, used, events)
	}
}

func TestImages(t *testing.T) {
	s := newSite(t)
	var r struct {
		Data []struct {
			B64 []byte `json:"b64_json"`
		}
	}
	text := s.do("POST", "/images/generations", `{"model":"i","prompt":"a red square","n":2}`, 200, &r)
	if len(r.Data) != 2 || bytes.Equal(r.Data[0].B64, r.Data[1].B64) {
		t.Fatalf("got %d", len(r.Data))
	}
	if m, err := png.Decode(bytes.NewReader(r.Data[0].B64)); err != nil || m.Bounds().Dx() != 16 {
		t.Errorf("%v", err)
	}
	var u chat.Usage
	if openai.LookWhole([]byte(text), &u); u.Input != 3 || u.OutputImage != 544 || u.Output != 0 {
		t.Errorf("usage %+v", u)
	}
	body, kind := form(t, "a.png", "xxx", "model", "i", "prompt", "brighter", "stream", "true", "partial_images", "2")
	events := readNamed(t, s.do("POST", "/images/edits", body, 200, nil, "Content-Type", kind))
	if len(events) != 3 || events[0].name != "image_edit.partial_image" || !signsOf(openai.Look(events[2].name, []byte(events[2].data), &u)).Has(chat.End) {
		t.Errorf("got %v", events)
	}
	s.do("POST", "/images/generations", `{"model":"i"}`, 400, nil)
	s.do("POST", "/images/generations", `{"prompt":"x","n":11}`, 400, nil)
	s.do("POST", "/images/generations", `{"model":"sim-503","prompt":"x"}`, 503, nil)
}

func TestAudio(t *testing.T) {
	s := newSite(t)
	status, h, sound := call(t, s.c, "POST", s.base+"/audio/speech", `{"model":"tts","input":"hello you","voice":"alloy"}`)
	if status != 200 || h.Get("Content-Type") != "audio/wav" || !strings.HasPrefix(sound, "RIFF") || len(sound) < 1000 {
		t.Errorf("%d %v, %d bytes", status, h, len(sound))
	}
	if n := binary.LittleEndian.Uint32([]byte(sound[4:])); int(n) != len(sound)-8 {
		t.Errorf("a WAV file of %d bytes says %d", len(sound), n)
	}
	var u chat.Usage
	events := readNamed(t, s.do("POST", "/audio/speech", `{"model":"tts","input":"hello","stream_format":"sse"}`, 200, nil))
	if len(events) != 2 || !signsOf(openai.Look(events[1].name, []byte(events[1].data), &u)).Has(chat.End) || u.Output != 2 {
		t.Errorf("got %v", events)
	}

	f := func(want string, fields ...string) string {
		t.Helper()
		body, kind := form(t, "a.wav", sound, fields...)
		got := s.do("POST", "/audio/transcriptions", body, 200, nil, "Content-Type", kind)
		if !strings.Contains(got, want) {
			t.Errorf("%v: %s", fields, got)
		}
		return got
	}
	f(`{"text":"A recording of `+itoa(len(sound))+` bytes called a.wav.","usage":{"type":"tokens"`, "model", "t")
	f(`"usage":{"type":"duration","seconds":1}`, "model", "whisper-1")
	f("called a.wav.\n", "model", "t", "response_format", "text")
	f("1\n00:00:00,000 --> 00:00:01,000\n", "model", "t", "response_format", "srt")
	f("WEBVTT\n\n00:00:00.000", "model", "t", "response_format", "vtt")
	f(`"task":"transcribe"`, "model", "t", "response_format", "verbose_json")
	events = readNamed(t, f("transcript.text.delta", "model", "t", "stream", "true"))
	if last := events[len(events)-1]; !signsOf(openai.Look(last.name, []byte(last.data), &u)).Has(chat.End) {
		t.Errorf("got %v", last)
	}
	body, kind := form(t, "a.wav", "x", "model", "t", "response_format", "xml")
	s.do("POST", "/audio/transcriptions", body, 400, nil, "Content-Type", kind)
	s.do("POST", "/audio/transcriptions", `{"model":"t"}`, 400, nil)
	s.do("POST", "/audio/speech", `{"model":"t"}`, 400, nil)
}

func TestFilesAndBatches(t *testing.T) {
	s := newSite(t)
	lines := `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":` + ask("sim-chat", "what is 6*7", "") + "}\n" +
		`{"custom_id":"b","method":"POST","url":"/v1/chat/completions","body":` + ask("sim-429", "hi", "") + "}\n" +
		`{"custom_id":"c","method":"POST","url":"/v1/embeddings","body":{}}` + "\n" +
		`{"custom_id":"d","method":"POST","url":"/v1/chat/completions","body":` + ask("sim-cut-1", "hi", "") + "}\n"
	body, kind := form(t, "in.jsonl", lines, "purpose", "batch")
	var in, got struct {
		ID, Filename, Purpose string
		Bytes                 int
	}
	s.do("POST", "/files", body, 200, &in, "Content-Type", kind)
	s.do("GET", "/files/"+in.ID, "", 200, &got)
	if got != in || in.Bytes != len(lines) || in.Filename != "in.jsonl" || in.Purpose != "batch" {
		t.Errorf("got %+v, %+v", in, got)
	}
	if text := s.do("GET", "/files/"+in.ID+"/content", "", 200, nil); text != lines {
		t.Errorf("got %q", text)
	}

	var b struct {
		ID, Status string
		Output     string                                 `json:"output_file_id"`
		Counts     struct{ Total, Completed, Failed int } `json:"request_counts"`
	}
	s.do("POST", "/batches", `{"id":"mine","input_file_id":"`+in.ID+`","endpoint":"/v1/chat/completions","completion_window":"24h"}`, 200, &b)
	if b.Status != "completed" || b.Counts.Total != 4 || b.Counts.Completed != 1 || b.Counts.Failed != 3 || !strings.HasPrefix(b.ID, "batch_") {
		t.Fatalf("got %+v", b)
	}
	done := strings.Split(strings.TrimSpace(s.do("GET", "/files/"+b.Output+"/content", "", 200, nil)), "\n")
	for i, want := range []string{`"custom_id":"a","response":{"status_code":200`, `"custom_id":"b","response":{"status_code":429`, `"custom_id":"c","response":{"status_code":400`, `"custom_id":"d","response":{"status_code":502`} {
		if !strings.Contains(done[i], want) {
			t.Errorf("line %d: %s", i, done[i])
		}
	}
	if !strings.Contains(done[0], "6*7 = 42") {
		t.Errorf("got %s", done[0])
	}
	s.do("GET", "/batches/"+b.ID, "", 200, nil)
	s.do("POST", "/batches/"+b.ID+"/cancel", "", 409, nil)
	if text := s.do("GET", "/batches", "", 200, nil); !strings.Contains(text, b.ID) {
		t.Errorf("got %s", text)
	}
	if text := s.do("GET", "/files", "", 200, nil); !strings.Contains(text, `"first_id":"`+b.Output) || !strings.Contains(text, `"last_id":"`+in.ID) {
		t.Errorf("got %s", text)
	}
	s.do("DELETE", "/files/"+in.ID, "", 200, nil)
	for _, path := range []string{"/files/" + in.ID, "/files/" + in.ID + "/content", "/batches/batch_x"} {
		s.do("GET", path, "", 404, nil)
	}
	s.do("DELETE", "/files/"+in.ID, "", 404, nil)
	s.do("POST", "/batches/batch_x/cancel", "", 404, nil)
	s.do("POST", "/batches", `{"input_file_id":"`+in.ID+`","endpoint":"/v1/embeddings","completion_window":"24h"}`, 404, nil)
	s.do("POST", "/batches", `{"input_file_id":"`+b.Output+`","endpoint":"/v1/files","completion_window":"24h"}`, 400, nil)
	s.do("POST", "/batches", `{"input_file_id":"`+b.Output+`","endpoint":"/v1/embeddings"}`, 400, nil)
	s.do("POST", "/files", `{"purpose":"batch"}`, 400, nil)
}

func TestCountTokens(t *testing.T) {
	s := newSite(t)
	a, r := &talks[1], &talks[2]
	var n struct {
		Input int `json:"input_tokens"`
	}
	s.do("POST", "/messages/count_tokens", a.ask("m", "one two three", ""), 200, &n, "anthropic-version", "2023-06-01")
	if n.Input != 9 {
		t.Errorf("got %d", n.Input)
	}
	s.do("POST", "/responses/input_tokens", r.ask("m", "one two three four", ""), 200, &n)
	if n.Input != 10 {
		t.Errorf("got %d", n.Input)
	}
	s.do("POST", "/messages/count_tokens", a.ask("m", "one", ""), 400, nil)
	s.do("POST", "/messages/count_tokens", a.ask("sim-529", "one", ""), 529, nil, "anthropic-version", "2023-06-01")
	s.do("POST", "/messages/count_tokens", `{"model":"m"}`, 400, nil, "anthropic-version", "2023-06-01")
}

func TestStoredResponses(t *testing.T) {
	s := newSite(t)
	r := &talks[2]
	var made struct{ ID string }
	text := s.do("POST", "/responses", r.ask("sim-chat", "what is 6*7", ""), 200, &made)
	if got := s.do("GET", "/responses/"+made.ID, "", 200, nil); got != text {
		t.Errorf("stored\n%s\nnot\n%s", got, text)
	}
	s.do("POST", "/responses/"+made.ID+"/cancel", "", 200, nil)
	if items := s.do("GET", "/responses/"+made.ID+"/input_items?limit=5", "", 200, nil); !strings.Contains(items, "what is 6*7") {
		t.Errorf("got %s", items)
	}
	s.do("GET", "/responses/"+made.ID+"/input_items?limit=0", "", 400, nil)
	s.do("GET", "/responses/"+made.ID+"/input_items?after=x", "", 400, nil)
	s.do("DELETE", "/responses/"+made.ID, "", 200, nil)
	for _, path := range []string{"", "/input_items"} {
		s.do("GET", "/responses/"+made.ID+path, "", 404, nil)
	}
	s.do("DELETE", "/responses/"+made.ID, "", 404, nil)
	s.do("POST", "/responses", r.ask("sim-chat", "not to be kept", `"store":false`), 200, &made)
	s.do("GET", "/responses/"+made.ID, "", 404, nil)
}
