package form_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/form"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// scan reads a form in pieces of a size.
func scan(s *form.Scanner, text string, size int) error {
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := io.WriteString(s, text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return s.Close()
}

// part is one part with its boundary in front.
func part(head, value string) string { return "--b\r\n" + head + "\r\n\r\n" + value + "\r\n" }

func field(name, value string) string {
	return part(`Content-Disposition: form-data; name="`+name+`"`, value)
}

const end = "--b--\r\n"

func TestFields(t *testing.T) {
	f := func(text, model string, stream bool) {
		t.Helper()
		for _, size := range []int{1, 2, 3, 7, len(text)} {
			s := form.New("b")
			if err := scan(s, text, size); err != nil {
				t.Errorf("in pieces of %d: %v\n%q", size, err, text)
				return
			}
			got := s.Fields()
			if !s.Ended() || got.Model != model || got.Stream != stream || text[got.ModelAt:got.ModelEnd] != model {
				t.Errorf("in pieces of %d: %+v of %q", size, got, text)
			}
		}
	}
	file := part("Content-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg", "\x00-\r\n--\r\n-\xff\r")
	f(field("model", "whisper-1")+file+end, "whisper-1", false)
	f(file+field("stream", "true")+field("model", "whisper-1")+"--b--", "whisper-1", true)
	f(field("model", "m")+field("stream", "false")+end, "m", false)
	f(field("prompt", "")+field("model[]", "x")+end, "", false)
	f("--b--", "", false)

	// What clients write differently.
	f(part("content-disposition:form-data;name=model", "m")+end, "m", false)
	f(part("Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model", "m")+end, "m", false) // .NET
	f(part("Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: 8bit", "é")+end, "é", false)     // Java
	f(part("Content-Disposition: Form-Data ; name=\"file\" ; FileName=\"C:\\a\\b.mp3\"", "")+field("model", "m")+end, "m", false)
	f(part(`Content-Disposition: form-data; name="file"; filename="say \"hi\".mp3"; filename*=UTF-8''say%20hi.mp3`, "")+field("model", "m")+end, "m", false)
	f(part("Content-Disposition: form-data; name=\"file\"; filename=\"\xe9.mp3\"", "")+field("model", "m")+end, "m", false)
	f(field("file", strings.Repeat("x", 100_000))+field("model", "m")+end, "m", false)
}

// TestRefusals are forms that somebody may read in another way, or that nobody can read.
func TestRefusals(t *testing.T) {
	f := func(text string, kind peek.Kind, param, reason string) {
		t.Helper()
		for _, size := range []int{1, 5, len(text) + 1} {
			s := form.New("b")
			err := scan(s, text, size)
			e, ok := errors.AsType[*peek.Error](err)
			if !ok || e.Kind != kind || e.Field != param || e.Reason != reason || e.Offset > len(text) {
				t.Errorf("in pieces of %d: %+v\n%q", size, e, text)
			}
			if _, again := s.Write([]byte("x")); again != err {
				t.Errorf("the error does not stay: %v", again)
			}
		}
	}
	syntax := func(text, reason string) { t.Helper(); f(text, peek.Syntax, "", "invalid form: "+reason) }
	const (
		cut     = "it ends in the middle"
		begins  = "it must begin with the boundary that its content type names"
		behind  = "there is more behind its end"
		inside  = "the boundary stands inside of a value"
		tail    = "a boundary must end its line, or the form with two hyphens"
		nothing = "a part has no Content-Disposition"
		bad     = "a part's Content-Disposition has a malformed parameter"
	)
	m := field("model", "m")
	syntax("", cut)
	syntax("--", cut)
	syntax("--b", cut)
	syntax("--b\r", cut)
	syntax("--b\r\nContent-Disp", cut)
	syntax(m, cut)
	syntax(m+"--b-", cut)
	syntax(m+"--b--\r", cut)
	syntax("preamble\r\n"+m+end, begins)
	syntax("\r\n"+m+end, begins)
	syntax("{}", begins)
	syntax(m+end+"x", behind)
	syntax(m+end+"\r\n", behind)
	syntax(m+"--b--x", behind)
	syntax("--b \r\n", tail)
	syntax("--b\n", tail)
	syntax("--bc\r\n", tail)
	syntax(m+field("x", "1\r\n--b--c"), behind)
	syntax(m+field("x", "1\r\n--b2"), tail)

	// A second reading of where a part begins: a bare line feed, or none.
	syntax(m+field("x", "1\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nn")+end, inside)
	syntax(m+field("x", "1--b")+end, inside)
	syntax("--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n--b--", inside)
	syntax("--b\r\nContent-Disposition: form-data; name=\"x\"\r\n--b: y\r\n\r\n", "the boundary stands inside of a head")

	syntax("--b\r\n\r\nx\r\n--b--", nothing)
	syntax(part("Content-Type: text/plain", "x")+end, nothing)
	syntax(part("Content-Disposition", "x")+end, "a line in the head of a part is not a field")
	syntax(part("Content-Disposition: form-data; name=x\r\n ; filename=y", "x")+end, "a line in the head of a part is not a field")
	syntax(part("Content-Disposition : form-data; name=x", "x")+end, "a line in the head of a part is not a field")
	syntax(part("Content-Disposition: form-data; name=\"x\nmodel\"", "x")+end, "the head of a part contains a control character")
	syntax(part("Content-Disposition: attachment; name=x", "x")+end, "a part's Content-Disposition is not form-data")
	syntax(part("Content-Disposition: form-data", "x")+end, "a part has no name")
	syntax(part("Content-Disposition: form-data; name=\"\"", "x")+end, "a part has no name")
	syntax(part("Content-Disposition: form-data; name=x; name=model", "x")+end, "a part's Content-Disposition has a parameter twice")
	syntax(part("Content-Disposition: form-data; name=x; NAME=model", "x")+end, "a part's Content-Disposition has a parameter twice")
	syntax(part("Content-Disposition: form-data; name*=UTF-8''model", "x")+end, "a part's name is encoded")
	syntax(part("Content-Disposition: form-data; name=\"x", "x")+end, bad)
	syntax(part("Content-Disposition: form-data; name=\"x\" model", "x")+end, bad)
	syntax(part("Content-Disposition: form-data; name=\"x\";", "x")+end, bad)
	syntax(part("Content-Disposition: form-data; name", "x")+end, bad)
	syntax(part("Content-Disposition: form-data; name=", "x")+end, bad)
	syntax(part("Content-Disposition: form-data; name=\"mo\\del\"", "x")+end, bad)
	syntax(part("Content-Disposition: form-data; name=x; filename=\"a\\\"; y=\"z\"", "x")+end, bad)
	syntax(part("Content-Disposition: form-data; name=x\r\nContent-Transfer-Encoding: quoted-printable", "x")+end,
		"a part is encoded, which forms do not allow")
	f(part("Content-Disposition: form-data; name=x\r\nContent-Disposition: form-data; name=model", "x")+end, peek.Duplicate, "",
		"invalid form: a part has two Content-Dispositions")

	steers := func(text string, kind peek.Kind, param, reason string) {
		t.Helper()
		f(text+end, kind, param, `"`+param+`" `+reason)
	}
	steers(m+m, peek.Duplicate, "model", "stands twice in one form")
	steers(field("stream", "false")+field("stream", "true"), peek.Duplicate, "stream", "stands twice in one form")
	steers(field("Model", "m"), peek.Spelling, "model", "must be written in lower case")
	steers(m+field("STREAM", "true"), peek.Spelling, "stream", "must be written in lower case")
	steers(part(`Content-Disposition: form-data; name="model"; filename="m"`, "m"), peek.Type, "model", "must be a plain field, not a file")
	steers(part("Content-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain; charset=utf-16", "m"), peek.Type, "model", "must be in UTF-8")
	steers(field("model", ""), peek.Type, "model", "must not be empty")
	for _, v := range []string{" m", "m\n", "m\r\nn", "\x00", "\xff", "m "} {
		steers(field("model", v), peek.Type, "model", "must be a name in UTF-8, without line breaks and without blanks around it")
	}
	steers(field("model", strings.Repeat("m", 513)), peek.Type, "model", "is longer than 512 bytes")
	for _, v := range []string{"", "True", "1", "true "} {
		steers(field("stream", v), peek.Type, "stream", `must be "true" or "false"`)
	}

	f(strings.Repeat(field("x", ""), 513)+end, peek.Limit, "", "invalid form: it has more than 512 parts")
	f(part("Content-Disposition: form-data; name="+strings.Repeat("x", 4096), "")+end, peek.Limit, "", "invalid form: the head of a part is longer than 4096 bytes")
}

// TestSeal makes sure that nothing steers what is on its way.
func TestSeal(t *testing.T) {
	f := func(late, want string) {
		t.Helper()
		s := form.New("b")
		if _, err := io.WriteString(s, field("model", "m")+"--b\r\n"); err != nil {
			t.Fatal(err)
		}
		if s.Ended() {
			t.Error("more is to come")
		}
		s.Seal()
		err := scan(s, strings.TrimPrefix(late, "--b\r\n")+end, 3)
		if got := fmt.Sprint(err); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s", late, got)
		}
	}
	f(field("prompt", "x"), "<nil>")
	f(field("stream", "false"), "<nil>")
	f(field("stream", "true"), `"stream" must come before large files`)
	f(field("model", "n"), `"model" stands twice in one form`)
}

func TestEdits(t *testing.T) {
	f := func(text, name, want string) {
		t.Helper()
		s := form.New("b")
		if err := scan(s, text, 10); err != nil {
			t.Fatal(err)
		}
		edits := s.Edits(nil, name)
		got := string(peek.Append(nil, []byte(text), edits))
		if got != want {
			t.Errorf("%q: %q", name, got)
		}
		again := form.New("b")
		if err := scan(again, got, 10); err != nil || name != "" && len(edits) > 0 && again.Fields().Model != strings.Trim(name, "\r\n") {
			t.Errorf("%q: %+v, %v", name, again.Fields(), err)
		}
	}
	text := field("prompt", "p") + field("model", "m") + end
	f(text, "", text)
	f(text, "m", text)
	f(text, "openai/whisper", field("prompt", "p")+field("model", "openai/whisper")+end)
	f(text, "x\r\n", field("prompt", "p")+field("model", "x")+end)
	f(field("prompt", "p")+end, "m", field("model", "m")+field("prompt", "p")+end)
	f(end, "m", field("model", "m")+end)
}

func TestBoundary(t *testing.T) {
	f := func(contentType, want, canonical string) {
		t.Helper()
		if !form.Is(contentType) {
			t.Errorf("%q is no form", contentType)
		}
		got, err := form.Boundary(contentType)
		if err != nil || got != want || form.ContentType(got) != canonical {
			t.Errorf("%q: %q, %v, %s", contentType, got, err, form.ContentType(got))
		}
	}
	f("multipart/form-data; boundary=b", "b", "multipart/form-data; boundary=b")
	f("Multipart/Form-Data ; Boundary=\"----WebKit'1\"", "----WebKit'1", "multipart/form-data; boundary=----WebKit'1")
	f(`multipart/form-data; charset=utf-8; boundary="a b:c"`, "a b:c", `multipart/form-data; boundary="a b:c"`)

	bad := func(contentType string) {
		t.Helper()
		if b, err := form.Boundary(contentType); err == nil {
			t.Errorf("%q: %q", contentType, b)
		}
	}
	bad("multipart/form-data")
	bad("multipart/form-data; boundary=")
	bad(`multipart/form-data; boundary="b "`)
	bad("multipart/form-data; boundary=\"b\r\nX: y\"")
	bad("multipart/form-data; boundary=a; boundary=b")
	bad(`multipart/form-data; boundary="` + strings.Repeat("b", 71) + `"`)
	bad(`multipart/form-data; boundary="é"`)
	if form.Is("application/json") || form.Is("multipart/mixed; boundary=b") || form.Is("multipart/form-data2") {
		t.Error("what is no form is one")
	}
}

// read is a form as mime/multipart reads it: the values of its fields in order.
func read(text []byte, boundary string) (parts [][2]string, err error) {
	r := multipart.NewReader(bytes.NewReader(text), boundary)
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		value, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		parts = append(parts, [2]string{p.FormName(), string(value)})
	}
}

// FuzzScan compares with mime/multipart: what the scanner accepts, both must read alike, and however it comes in pieces.
func FuzzScan(f *testing.F) {
	add := func(text string) {
		f.Add([]byte(text), "b", uint8(3))
		f.Add([]byte(strings.ReplaceAll(text, "--b", "------WebKit")), "----WebKit", uint8(11))
	}
	m := field("model", "m")
	add(m + end)
	add(field("file", "-\r\n--\r\n-") + m + field("stream", "true") + "--b--")
	add(part("Content-Disposition: form-data; name=\"file\"; filename=\"a\\\"b\"\r\nContent-Type: audio/mpeg", "\x00") + m + end)
	add(part("content-disposition: form-data; name=model\r\nContent-Transfer-Encoding: 8bit", "é") + end)
	add("preamble\r\n" + m + end + "epilogue")
	add(m + field("x", "1\n--b\nContent-Disposition: form-data; name=\"model\"\n\nn") + end)
	add("--b \r\n" + m)
	add("--b\n" + strings.ReplaceAll(m, "\r\n", "\n"))
	f.Fuzz(func(t *testing.T, text []byte, boundary string, size uint8) {
		if b, err := form.Boundary(form.ContentType(boundary)); err != nil || b != boundary {
			return
		}
		whole, pieces := form.New(boundary), form.New(boundary)
		err, other := scan(whole, string(text), len(text)+1), scan(pieces, string(text), int(size)+1)
		if (err == nil) != (other == nil) || *whole.Fields() != *pieces.Fields() {
			t.Fatalf("at once %+v, %v; in pieces %+v, %v", whole.Fields(), err, pieces.Fields(), other)
		}
		if err != nil {
			return
		}
		got := whole.Fields()
		if string(text[got.ModelAt:got.ModelEnd]) != got.Model {
			t.Fatalf("the model's position is wrong: %+v", got)
		}
		parts, err := read(text, boundary)
		if err != nil {
			t.Fatalf("mime/multipart does not read it: %v", err)
		}
		var models, streams []string
		for _, p := range parts {
			switch {
			case strings.EqualFold(p[0], "model"):
				models = append(models, p[1])
			case strings.EqualFold(p[0], "stream"):
				streams = append(streams, p[1])
			}
		}
		if len(models) > 1 || len(streams) > 1 || strings.Join(models, "") != got.Model || (strings.Join(streams, "") == "true") != got.Stream {
			t.Fatalf("%+v; mime/multipart reads models %q, streams %q", got, models, streams)
		}
	})
}
