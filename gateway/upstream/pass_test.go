package upstream_test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// The endpoints of this test's exchanges that are no conversations.
func others() []gateway.Endpoint {
	return []gateway.Endpoint{
		chatEndpoint,
		{Name: "embeddings", Method: "POST", Forward: "/embeddings", Dialect: "openai"},
		{Name: "audio.speech", Method: "POST", Forward: "/audio/speech", Dialect: "openai", Bytes: true},
		{Name: "audio.transcriptions", Method: "POST", Forward: "/audio/transcriptions", Dialect: "openai", Bytes: true, Body: gateway.Form},
		{Name: "images.generations", Method: "POST", Forward: "/images/generations", Dialect: "openai"},
		{Name: "files.create", Method: "POST", Forward: "/files", Dialect: "openai", Body: gateway.Form, Model: gateway.NoModel},
		{Name: "files.list", Method: "GET", Forward: "/files", Dialect: "openai", Model: gateway.NoModel},
		{Name: "files.delete", Method: "DELETE", Forward: "/files/{id}", Dialect: "openai", Model: gateway.NoModel},
		{Name: "files.content", Method: "GET", Forward: "/files/{id}/content", Dialect: "openai", Bytes: true, Model: gateway.NoModel},
		{Name: "batches.create", Method: "POST", Forward: "/batches", Dialect: "openai", Model: gateway.NoModel},
	}
}

// streamed is a body of which only the beginning is loaded.
type streamed struct {
	all   []byte
	first int   // bytes loaded
	size  int64 // as declared
	rest  io.Reader
}

func (s *streamed) Load() ([]byte, error) { return s.all, nil }
func (s *streamed) Free()                 {}
func (s *streamed) Size() int64           { return s.size }
func (s *streamed) Rest() io.Reader       { return s.rest }

func (s *streamed) LoadUntil(enough func(b []byte) bool) ([]byte, error) {
	n := min(s.first, len(s.all))
	for n < len(s.all) && !enough(s.all[:n]) {
		n = min(2*n, len(s.all))
	}
	if n == len(s.all) {
		enough(s.all)
		return s.all, nil
	}
	s.rest = bytes.NewReader(s.all[n:])
	return s.all[:n], nil
}

func pass(t *testing.T, endpoint, contentType string, b gateway.Body, param, query string) *gateway.Exchange {
	t.Helper()
	list := others()
	i := slices.IndexFunc(list, func(e gateway.Endpoint) bool { return e.Name == endpoint })
	x := &gateway.Exchange{}
	x.Init("req_test", &list[i], headers{"Content-Type": contentType}, b)
	x.Request.Param, x.Request.Query = param, query
	if err := x.Request.Open(); err != nil {
		t.Fatal(err)
	}
	x.Caller.Tenant = &gateway.Tenant{ID: "t"}
	x.Plan.Model = x.Request.Model()
	return x
}

func openai(t *testing.T, f *fake, change ...func(*upstream.Config)) *upstream.Provider {
	return provider(t, f.url(), append(change, func(c *upstream.Config) { c.Endpoints = others() })...)
}

func TestBytes(t *testing.T) {
	sound := strings.Repeat("\x00\xff\r\n", 50_000) // larger than a whole reply may be here
	f := newFake(t, nil, say("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: "+itoa(len(sound))+"\r\n\r\n"+sound))
	p := openai(t, f, func(c *upstream.Config) { c.MaxBody = 1000 })
	for range 2 {
		r := attempt(t, p, pass(t, "audio.speech", "", &body{[]byte(`{"model":"m","input":"hi","voice":"v"}`)}, "", ""), "tts")
		if r.err != nil || r.reply.Kind != gateway.Bytes || r.reply.ContentType != "audio/mpeg" || strings.Join(r.events, "") != sound {
			t.Fatalf("%v %+v, %d bytes", r.err, r.reply, len(strings.Join(r.events, "")))
		}
	}
	if n := f.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestBytesCut(t *testing.T) {
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 100\r\n\r\nsome")
		return false
	})
	r := attempt(t, openai(t, f), pass(t, "audio.speech", "", &body{[]byte(`{"model":"m"}`)}, "", ""), "m")
	if r.err == nil || strings.Join(r.events, "") != "some" {
		t.Errorf("%v %q", r.err, r.events)
	}
}

// An endpoint with bytes may answer with JSON or events, and then they are what they are everywhere.
func TestBytesOrEvents(t *testing.T) {
	f := newFake(t, nil, func(c net.Conn, n int) bool {
		if n == 0 {
			return say(whole("200 OK", `{"text":"hello","usage":{"type":"duration","seconds":3}}`))(c, n)
		}
		return say(sseHead+events(`{"type":"transcript.text.delta","delta":"hel"}`, `{"type":"transcript.text.done","text":"hello"}`)+last)(c, n)
	})
	p := openai(t, f)
	for i, kind := range []gateway.Kind{gateway.Whole, gateway.Events} {
		form := "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x--\r\n"
		r := attempt(t, p, pass(t, "audio.transcriptions", "multipart/form-data; boundary=x", &body{[]byte(form)}, "", ""), "whisper-large")
		if r.err != nil || r.reply.Kind != kind || len(r.events) != i+1 {
			t.Errorf("%v %+v %q", r.err, r.reply, r.events)
		}
		if got := f.seen()[i]; got.body != strings.Replace(form, "\r\n\r\nm\r\n", "\r\n\r\nwhisper-large\r\n", 1) {
			t.Errorf("sent %q", got.body)
		}
	}
}

// A stream of images ends with the last of them.
func TestImages(t *testing.T) {
	partial, image := `{"type":"image_generation.partial_image","b64_json":"AA=="}`, `{"type":"image_generation.completed","b64_json":"AA==","usage":{"input_tokens":1,"output_tokens":2}}`
	check := func(n string, events_ []string, good bool) {
		t.Helper()
		f := newFake(t, nil, say(sseHead+events(events_...)+last))
		r := attempt(t, openai(t, f), pass(t, "images.generations", "", &body{[]byte(`{"model":"m","stream":true` + n + `}`)}, "", ""), "m")
		if (r.err == nil) != good || good && !slices.Equal(r.events, events_) {
			t.Errorf("n %q: %v %q", n, r.err, r.events)
		}
	}
	check("", []string{partial, image}, true)
	check(`,"n":2`, []string{partial, image, partial, image}, true)
	check(`,"n":2`, []string{partial, image}, false)
	check("", []string{partial}, false)
}

func TestFormStreamsThrough(t *testing.T) {
	part := func(name, value string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	file := part(`file"; filename="a.wav`, strings.Repeat("0123456789", 100_000))
	for _, form := range []string{
		part("model", "m") + file + "--x--\r\n",
		part(`mask"; filename="b.wav`, strings.Repeat("x", 300_000)) + part("model", "m") + file + "--x--\r\n",
	} {
		streamsThrough(t, form)
	}
}

func streamsThrough(t *testing.T, form string) {
	t.Helper()
	want := strings.Replace(form, "\r\n\r\nm\r\n", "\r\n\r\nwhisper\r\n", 1)
	for _, declared := range []int64{int64(len(form)), -1} {
		f := newFake(t, nil, say(whole("200 OK", `{"text":"hello"}`)))
		x := pass(t, "audio.transcriptions", "multipart/form-data; boundary=x", &streamed{all: []byte(form), first: 1000, size: declared}, "", "")
		if x.Request.Rest() == nil {
			t.Fatal("all of it was loaded")
		}
		r := attempt(t, openai(t, f), x, "whisper")
		if r.err != nil || f.seen()[0].body != want {
			t.Errorf("declared %d: %v, %d bytes instead of %d", declared, r.err, len(f.seen()[0].body), len(want))
		}
		if !x.Request.Spent() {
			t.Error("it can be sent again")
		}
	}
}

// Ids of files and batches lead back to their provider.
func TestHeldIDs(t *testing.T) {
	f := newFake(t, nil, func(c net.Conn, n int) bool {
		replies := [...]string{
			whole("200 OK", `{"object":"list","data":[{"id":"file-1"}, {"id":"file-2"}],"first_id":"file-1","last_id":"file-2","has_more":false}`),
			whole("200 OK", `{"id":"batch_1","input_file_id":"file-1","output_file_id":null}`),
			whole("200 OK", `{"id":"file-1","object":"file","deleted":true}`),
			"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"a\"\r\nContent-Length: 4\r\n\r\nfile",
			whole("200 OK", answer),
		}
		return say(replies[n])(c, n)
	})
	p := openai(t, f)
	check := func(x *gateway.Exchange, model, line, sent, want string) {
		t.Helper()
		r := attempt(t, p, x, model)
		got := f.seen()[len(f.seen())-1]
		if r.err != nil || strings.Join(r.events, "") != want {
			t.Errorf("%v %q, want %q", r.err, r.events, want)
		}
		if !strings.HasPrefix(got.head, line+" HTTP/1.1\r\n") || got.body != sent {
			t.Errorf("sent %s\n%s", got.head, got.body)
		}
	}
	check(pass(t, "files.list", "", nil, "", "limit=2&after=file-0%7Efake&order=asc"), "", "GET /v1/files?limit=2&after=file-0&order=asc", "",
		`{"object":"list","data":[{"id":"file-1~fake"}, {"id":"file-2~fake"}],"first_id":"file-1~fake","last_id":"file-2~fake","has_more":false}`)
	check(pass(t, "batches.create", "", &body{[]byte(`{"input_file_id":"file-1~fake","endpoint":"/v1/embeddings"}`)}, "", ""), "", "POST /v1/batches",
		`{"input_file_id":"file-1","endpoint":"/v1/embeddings"}`, `{"id":"batch_1~fake","input_file_id":"file-1~fake","output_file_id":null}`)
	check(pass(t, "files.delete", "", nil, "file-1~fake", ""), "", "DELETE /v1/files/file-1", "", `{"id":"file-1~fake","object":"file","deleted":true}`)
	check(pass(t, "files.content", "", nil, "../models~fake", ""), "", "GET /v1/files/..%2Fmodels/content", "", "file")
	ask := `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1~fake"}},{"type":"text","text":"what is file-1~fake?"}]}]}`
	check(pass(t, "chat.completions", "", &body{[]byte(ask)}, "", ""), "m", "POST /v1/chat/completions", strings.Replace(ask, `"file-1~fake"`, `"file-1"`, 1), answer)
}

func TestDots(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", "{}")))
	for _, id := range []string{"..", ".", "", "..~fake"} {
		if r := attempt(t, openai(t, f), pass(t, "files.delete", "", nil, id, ""), ""); gateway.AsError(r.err).Status != 404 {
			t.Errorf("%q: %v", id, r.err)
		}
	}
	azure := openai(t, f, func(c *upstream.Config) { c.Kind, _ = upstream.KindOf("azure-classic") })
	for _, model := range []string{"..", "."} { // where a wildcard lets callers write it
		if r := attempt(t, azure, pass(t, "embeddings", "", &body{[]byte(`{"model":"m"}`)}, "", ""), model); gateway.AsError(r.err).Status != 404 {
			t.Errorf("deployment %q: %v", model, r.err)
		}
	}
	if f.connections() > 0 {
		t.Error("the provider was asked")
	}
}

// Files are nobody's JSON: what looks like an id in one stays as it is.
func TestFileStaysAsItIs(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", `{"id":"file-1","object":"file"}`)))
	form := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n" +
		`{"body":{"file_id":"file-abc~fake","messages":[{"role":"developer"}]}}` + "\r\n--x--\r\n"
	r := attempt(t, openai(t, f), pass(t, "files.create", "multipart/form-data; boundary=x", &body{[]byte(form)}, "", ""), "")
	if got := f.seen()[0].body; r.err != nil || got != form {
		t.Errorf("%v, sent %q", r.err, got)
	}
}

// A file may look like an error or like events, and may be empty: it is no reply of the provider's dialect.
func TestFileOfAnyType(t *testing.T) {
	check := func(contentType, file string) {
		t.Helper()
		f := newFake(t, nil, say("HTTP/1.1 200 OK\r\nContent-Type: "+contentType+"\r\nContent-Length: "+itoa(len(file))+"\r\n\r\n"+file))
		r := attempt(t, openai(t, f), pass(t, "files.content", "", nil, "file-1", ""), "")
		if r.err != nil || r.reply.Kind != gateway.Bytes || strings.Join(r.events, "") != file {
			t.Errorf("%s %q: %v %q", contentType, file, r.err, r.events)
		}
	}
	check("application/json", `{"error":{"message":"in a log"}}`)
	check("application/json", "{\"custom_id\":\"1\"}\n{\"custom_id\":\"2\"}\n")
	check("application/json; charset=utf-8", "")
	check("text/event-stream", "data: recorded\n\n")
	check("text/html", "<html>")
}

// A proxy's page is no recording.
func TestPageIsNoRecording(t *testing.T) {
	f := newFake(t, nil, say("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"))
	r := attempt(t, openai(t, f), pass(t, "audio.speech", "", &body{[]byte(`{"model":"m","input":"hi","voice":"v"}`)}, "", ""), "tts")
	if codeOf(r.err) != gateway.CodeBadResponse {
		t.Errorf("%v %q", r.err, r.events)
	}
}
