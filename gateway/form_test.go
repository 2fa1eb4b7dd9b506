package gateway_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// streamed is a body that comes in pieces of 1000 bytes, and need not be loaded to its end.
type streamed struct {
	body
	rest   *strings.Reader
	size   int64
	cut    error // instead of io.EOF
	loaded int
}

func (s *streamed) LoadUntil(enough func([]byte) bool) ([]byte, error) {
	s.loads++
	text := []byte(s.text)
	for s.loaded < len(text) {
		s.loaded = min(s.loaded+1000, len(text))
		if enough(text[:s.loaded]) {
			break
		}
	}
	return text[:s.loaded], s.err
}

func (s *streamed) Rest() io.Reader {
	if s.loaded == len(s.text) {
		return nil
	}
	s.rest = strings.NewReader(s.text[s.loaded:])
	if s.cut != nil {
		return io.MultiReader(s.rest, iotest.ErrReader(s.cut))
	}
	return s.rest
}

func (s *streamed) Size() int64 { return s.size }

type contentType string

func (c contentType) Get(name string) []byte {
	if name != "Content-Type" {
		return nil
	}
	return []byte(c)
}

const aForm = "multipart/form-data; boundary=b"

func asked(e gateway.Endpoint, ct contentType, b gateway.Body) *gateway.Exchange {
	x := &gateway.Exchange{}
	x.Init("req_1", &e, ct, b)
	return x
}

func field(name, value string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

func file(size int) string {
	return "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n" + strings.Repeat("x", size) + "\r\n"
}

var transcriptions = gateway.Endpoint{Name: "audio.transcriptions", Body: gateway.Form}

// TestForm opens forms: small ones are loaded whole, of large ones what is needed to know where they go.
func TestForm(t *testing.T) {
	const large = 1 << 20
	f := func(e gateway.Endpoint, text string, model string, stream bool, loaded int) {
		t.Helper()
		b := &streamed{body: body{text: text}, size: int64(len(text))}
		x := asked(e, aForm, b)
		q := &x.Request
		if err := q.Open(); err != nil {
			t.Error(err)
			return
		}
		_ = q.Open() // changes nothing
		if q.Model() != model || q.Stream() != stream || len(q.Body()) != loaded || q.Size() != int64(len(text)) || b.loads != 1 || q.Spent() {
			t.Errorf("model %q, stream %t, %d of %d bytes loaded", q.Model(), q.Stream(), len(q.Body()), q.Size())
		}
		if q.ContentType() != aForm {
			t.Errorf("content type %q", q.ContentType())
		}
		all := string(q.Body())
		if rest := q.Rest(); rest != nil {
			more, err := io.ReadAll(rest)
			if err != nil || !q.Spent() {
				t.Errorf("the rest: %v, spent %t", err, q.Spent())
			}
			all += string(more)
		}
		if all != text {
			t.Errorf("%d bytes of %d", len(all), len(text))
		}
		rest := q.Rest()
		x.End(nil)
		if q.Body() != nil || q.Rest() != nil || b.frees != 1 {
			t.Error("something is left behind the end")
		}
		if rest != nil {
			if _, err := rest.Read(make([]byte, 1)); err == nil {
				t.Error("the rest can be read behind the end")
			}
		}
	}
	const least = 263000 // 256 KiB in pieces of 1000 bytes
	small := field("model", "m") + field("stream", "true") + file(1000) + "--b--\r\n"
	f(transcriptions, small, "m", true, len(small))
	first := field("model", "m") + file(large) + field("stream", "false") + "--b--\r\n"
	f(transcriptions, first, "m", false, least)
	last := file(large) + field("model", "m") + field("stream", "true") + "--b--\r\n"
	f(transcriptions, last, "m", true, len(last))
	f(gateway.Endpoint{Name: "files.create", Body: gateway.Form, Model: gateway.NoModel},
		field("purpose", "batch")+file(large)+field("stream", "true")+"--b--\r\n", "", false, least)
	none := field("prompt", "p") + file(large) + "--b--\r\n"
	f(gateway.Endpoint{Name: "images.edits", Body: gateway.Form, Model: gateway.OptionalModel}, none, "", false, len(none))
}

func TestFormEdits(t *testing.T) {
	x := asked(transcriptions, aForm, &body{text: field("model", "m") + "--b--"})
	if err := x.Request.Open(); err != nil {
		t.Fatal(err)
	}
	edits := x.Request.Edits(nil, "whisper-1", true)
	if got := string(peek.Append(nil, x.Request.Body(), edits)); got != field("model", "whisper-1")+"--b--" {
		t.Errorf("%q", got)
	}
	if n := x.Request.Size(); n != int64(len(x.Request.Body())) || x.Request.Rest() != nil {
		t.Errorf("size %d", n)
	}
}

func TestFormRefusals(t *testing.T) {
	f := func(ct contentType, b gateway.Body, status int, code, param, message string) {
		t.Helper()
		x := asked(transcriptions, ct, b)
		err := x.Request.Open()
		if err == nil && x.Request.Rest() != nil {
			_, err = io.Copy(io.Discard, x.Request.Rest())
		}
		e, ok := errors.AsType[*gateway.Error](err)
		if !ok || e.Status != status || e.Code != code || e.Param != param || e.Message != message || e.Origin != gateway.OriginClient {
			t.Errorf("%v", err)
		}
		if again := x.Request.Open(); x.Request.Rest() == nil && again != err {
			t.Errorf("opened again: %v", again)
		}
	}
	text := func(s string) *streamed { return &streamed{body: body{text: s}, size: -1} }
	const noForm = "This endpoint takes a form. Send it as multipart/form-data."
	f("", text("x"), 415, "unsupported_media_type", "", noForm)
	f("text/plain", text("x"), 415, "unsupported_media_type", "", noForm)
	f("multipart/form-data", text("x"), 400, "invalid_content_type", "",
		"The Content-Type of the form is malformed: its boundary is not 1 to 70 characters of those that RFC 2046 allows.")
	const noModel = `The request has no "model". Name the model that should answer.`
	f(aForm, text(file(1)+"--b--"), 400, "missing_required_parameter", "model", noModel)
	f(aForm, &body{text: file(1) + "--b--"}, 400, "missing_required_parameter", "model", noModel)
	f("application/json", text("{}"), 400, "missing_required_parameter", "model", noModel)
	f("application/json; charset=utf-8", text(`{"model":"a","model":"b"}`), 400, "invalid_value", "model", `"model" stands twice in one object (at offset 13)`)
	f(aForm, text("{}"), 400, "invalid_form", "", "invalid form: it must begin with the boundary that its content type names")
	f(aForm, text(field("model", "m")), 400, "invalid_form", "", "invalid form: it ends in the middle")
	f(aForm, text(field("model", "m")+field("model", "n")+"--b--"), 400, "invalid_value", "model", `"model" stands twice in one form`)

	// What is already on its way is looked through as well.
	big := field("model", "m") + file(1<<20)
	f(aForm, text(big+field("model", "n")+"--b--"), 400, "invalid_value", "model", `"model" stands twice in one form`)
	f(aForm, text(big+field("stream", "true")+"--b--"), 400, "invalid_value", "stream", `"stream" must come before large files`)
	f(aForm, text(big), 400, "invalid_form", "", "invalid form: it ends in the middle")

	// The transport's own errors pass.
	late := &gateway.Error{Status: 408, Code: "request_timeout", Origin: gateway.OriginClient, Err: io.EOF}
	f(aForm, &streamed{body: body{err: late}}, 408, "request_timeout", "", "")
	f(aForm, &streamed{body: body{text: big + "--b--"}, cut: late}, 408, "request_timeout", "", "")
	x := asked(transcriptions, aForm, &streamed{body: body{text: field("model", "m") + field("stream", "true") + "--b--"}})
	x.Request.NoStream = late
	if err := x.Request.Open(); err != late {
		t.Errorf("a stream where none is possible: %v", err)
	}
}
