package serve_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

const (
	formType   = "Content-Type: multipart/form-data; boundary=b"
	modelField = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n"
	aForm      = modelField + "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n12345\r\n--b--\r\n"
	upload     = "/v1/audio/transcriptions"
)

// file is the end of a form with a file of that size.
func file(size int) string {
	return "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" + strings.Repeat("x", size) + "\r\n--b--\r\n"
}

// inChunks frames a body.
func inChunks(body string, size int) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// opened is what a handler saw of a form.
type opened struct {
	loaded, rest int
	size         int64
	err          error
}

// swallow opens a form, reads all of it and answers with its length.
func swallow(saw chan<- opened) gateway.HandlerFunc {
	return func(x *gateway.Exchange) error {
		var o opened
		if o.err = x.Request.Open(); o.err == nil {
			o.loaded, o.size = len(x.Request.Body()), x.Request.Size()
			if r := x.Request.Rest(); r != nil {
				var rest bytes.Buffer
				_, o.err = rest.ReadFrom(r)
				o.rest = rest.Len()
			}
		}
		saw <- o
		if o.err != nil {
			return o.err
		}
		x.Reply = &gateway.Reply{Status: 200, ContentType: "text/plain", Stream: gateway.Once([]byte(itoa(o.loaded + o.rest)))}
		x.Commit()
		return nil
	}
}

func TestForms(t *testing.T) {
	for name, change := range map[string]func(*setup){
		"epoll": func(*setup) {}, "background read": func(u *setup) { u.background = true }, "TLS": func(u *setup) { u.tls = true },
	} {
		t.Run(name, func(t *testing.T) {
			saw := make(chan opened, 1)
			s := start(t, swallow(saw), change, func(u *setup) { u.options.MaxForm = 8 << 20 })
			c := s.dial()
			f := func(body string, chunked, streams bool) {
				t.Helper()
				if chunked {
					c.send("POST " + upload + " HTTP/1.1\r\nHost: x\r\n" + formType + "\r\nTransfer-Encoding: chunked\r\n\r\n" + inChunks(body, 10_000))
				} else {
					c.send(request("POST", upload, body, formType))
				}
				r, got := c.response() // on one connection
				o := <-saw
				if r.StatusCode != 200 || got != itoa(len(body)) || o.err != nil {
					t.Fatalf("%d %s, %v; sent %d bytes", r.StatusCode, got, o.err, len(body))
				}
				if (o.rest > 0) != streams || streams && (o.loaded < 256<<10 || o.loaded > 512<<10) {
					t.Errorf("%d bytes loaded, %d behind them", o.loaded, o.rest)
				}
				if want := int64(len(body)); o.size != want && !(chunked && streams && o.size == -1) {
					t.Errorf("size %d, want %d", o.size, want)
				}
				if end := s.waitEnd(); end.err != nil {
					t.Error(end.err)
				}
			}
			for _, chunked := range []bool{false, true} {
				f(aForm, chunked, false)
				f(modelField+file(100_000), chunked, false)
				f(modelField+file(4<<20), chunked, true)
				f(strings.TrimSuffix(file(900_000), "--b--\r\n")+modelField+"--b--", chunked, false) // the model comes last
			}
		})
	}
}

func TestFormLimits(t *testing.T) {
	saw := make(chan opened, 1)
	s := start(t, swallow(saw), func(u *setup) { u.options.MaxForm = 4 << 20 }) // 1 MiB of it may be held
	f := func(body string, chunked bool, fields []string, status int, want, param string, reached bool) {
		t.Helper()
		c := s.dial()
		if chunked {
			c.send("POST " + upload + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(append(fields, "Transfer-Encoding: chunked\r\n\r\n"), "\r\n") + inChunks(body, 100_000))
		} else {
			c.send(request("POST", upload, body, fields...))
		}
		r, got := c.response()
		if r.StatusCode != status || code(t, got) != want || !strings.Contains(got, `"param":`+param+",") {
			t.Errorf("%d %s, want %d %s", r.StatusCode, got, status, want)
		}
		if reached {
			if o := <-saw; o.err == nil {
				t.Error("all was read")
			}
		}
	}
	typed := []string{formType}
	late := strings.TrimSuffix(file(2<<20), "--b--\r\n") + modelField + "--b--"
	f(late, false, typed, 413, "request_too_large", `"model"`, true)
	f(late, true, typed, 413, "request_too_large", `"model"`, true)
	f(modelField+file(5<<20), false, typed, 413, "request_too_large", "null", true)
	f(modelField+file(5<<20), true, typed, 413, "request_too_large", "null", true)
	f(aForm, false, nil, 415, "unsupported_media_type", "null", true)
	f("", false, typed, 400, "invalid_form", "null", true)
	f("{}", false, typed, 400, "invalid_form", "null", true)
	f(modelField+modelField+"--b--", false, typed, 400, "invalid_value", `"model"`, true)
	f(modelField+strings.Replace(file(2<<20), "--b--", modelField+"--b--", 1), false, typed, 400, "invalid_value", `"model"`, true)
	f(aForm, false, append(typed, "Content-Encoding: gzip"), 415, "unsupported_encoding", "null", true)
}

func TestFormExpectContinue(t *testing.T) {
	saw := make(chan opened, 1)
	s := start(t, swallow(saw), func(u *setup) { u.options.MaxForm = 8 << 20; u.options.MaxInFlight = 2 << 20 })
	head := func(size int) string {
		return "POST " + upload + " HTTP/1.1\r\nHost: x\r\n" + formType + "\r\nExpect: 100-continue\r\nContent-Length: " + itoa(size) + "\r\n\r\n"
	}
	c := s.dial()
	body := modelField + file(4<<20) // more than all bodies together may hold: it streams
	c.send(head(len(body)))
	if r, err := http.ReadResponse(c.r, nil); err != nil || r.StatusCode != 100 {
		t.Fatalf("%v %v", r, err)
	}
	c.send(body)
	if r, got := c.response(); r.StatusCode != 200 || got != itoa(len(body)) {
		t.Errorf("%d %s", r.StatusCode, got)
	}
	<-saw
	c = s.dial()
	c.send(head(9 << 20))
	if r, got := c.response(); r.StatusCode != 413 || code(t, got) != "request_too_large" || !c.closed() {
		t.Errorf("%d %s", r.StatusCode, got)
	}
}

// What is streamed through is not held.
func TestFormIsNotHeld(t *testing.T) {
	reading, released := make(chan struct{}), make(chan struct{})
	s := start(t, func(x *gateway.Exchange) error {
		err := x.Request.Open()
		close(reading)
		<-released
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, x.Request.Rest()); err != nil {
			return err
		}
		return whole(`{}`)(x)
	}, func(u *setup) { u.options.MaxForm = 64 << 20 })
	c := s.dial()
	sent := make(chan error, 1)
	body := modelField + file(32<<20)
	go func() { _, err := io.WriteString(c.Conn, request("POST", upload, body, formType)); sent <- err }()
	<-reading
	if _, held := s.s.Live(); held > 1<<20 {
		t.Errorf("%d bytes are held", held)
	}
	close(released)
	if r, got := c.response(); r.StatusCode != 200 {
		t.Errorf("%d %s", r.StatusCode, got)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestFormIsCut(t *testing.T) {
	for _, background := range []bool{false, true} {
		saw := make(chan opened, 1)
		s := start(t, swallow(saw), func(u *setup) { u.background = background })
		body := modelField + file(900_000)
		raw := request("POST", upload, body, formType)
		raw = raw[:len(raw)-100_000]

		half := s.dial()
		half.send(raw)
		_ = half.tcp.CloseWrite()
		o := <-saw
		var known *gateway.Error
		if !errors.Is(o.err, gateway.ErrGone) && !(errors.As(o.err, &known) && known.Code == "incomplete_body") {
			t.Errorf("cut: %v", o.err)
		}
		if end := s.waitEnd(); end.err == nil {
			t.Error("half a form ended well")
		}

		gone := s.dial()
		gone.send(raw)
		_ = gone.tcp.SetLinger(0)
		_ = gone.Close()
		if o := <-saw; o.err == nil {
			t.Error("all of it was read")
		}
		if end := s.waitEnd(); end.err == nil {
			t.Error("half a form ended well")
		}
	}
}

// A rest that does not come in time ends with 408, although the provider may have begun.
func TestFormIsSlow(t *testing.T) {
	saw := make(chan opened, 1)
	s := start(t, func(x *gateway.Exchange) error {
		x.Start = gateway.Now().Add(-24 * time.Hour) // the client has used up the time of what it has sent
		return swallow(saw)(x)
	})
	c := s.dial()
	raw := request("POST", upload, modelField+file(900_000), formType)
	c.send(raw[:600_000])
	r, got := c.response()
	if o := <-saw; o.err == nil || r.StatusCode != 408 || code(t, got) != "request_timeout" {
		t.Errorf("%d %s", r.StatusCode, got)
	}
}

// An answer that does not wait for the end of a form reaches clients that send everything before they read.
func TestFormAnsweredEarly(t *testing.T) {
	for _, fails := range []bool{false, true} {
		s := start(t, func(x *gateway.Exchange) error {
			if err := x.Request.Open(); err != nil {
				return err
			}
			if fails {
				return &gateway.Error{Status: 403, Type: gateway.TypePermission, Code: "no", Message: "no"}
			}
			return whole(`{"early":1}`)(x)
		}, func(u *setup) { u.options.MaxForm = 64 << 20 })
		for _, size := range []int{300_000, 1_000_000, 16_000_000} {
			c := s.dial()
			c.send(request("POST", upload, modelField+file(size), formType))
			r, got := c.response()
			if fails && (r.StatusCode != 403 || code(t, got) != "no") || !fails && got != `{"early":1}` {
				t.Fatalf("%d %s", r.StatusCode, got)
			}
			_ = c.Close()
		}
	}
}

// chunks answers with bytes that the test feeds.
func chunks(out chan<- *events) gateway.HandlerFunc {
	return func(x *gateway.Exchange) error {
		e := newEvents(x)
		x.Reply = &gateway.Reply{
			Status: 200, ContentType: "audio/mpeg", Kind: gateway.Bytes, Stream: e,
			Header: []gateway.Field{{Name: "Content-Disposition", Value: `attachment; filename="a.mp3"`}},
		}
		x.Commit()
		out <- e
		return nil
	}
}

// Bytes come piece by piece and as they are, and a cut shows in the framing alone.
func TestBytes(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, chunks(out))
	c := s.dial()
	const ask = "/v1/files/file-1/content"
	for range 2 { // the connection is used again
		c.send(request("GET", ask, ""))
		e := <-out
		e.feed <- "\x00\xff"
		r := c.head()
		if r.Header.Get("Content-Type") != "audio/mpeg" || r.Header.Get("Content-Disposition") != `attachment; filename="a.mp3"` ||
			r.Header.Get("Cache-Control") != "" || r.Header.Get("X-Accel-Buffering") != "" || r.ContentLength != -1 {
			t.Errorf("%v", r.Header)
		}
		expect(t, r.Body, "\x00\xff") // a piece does not wait for the next
		e.feed <- "\ndata: x\n\n"
		e.feed <- ""
		e.feed <- strings.Repeat("y", 100_000)
		e.feed <- io.EOF
		rest, err := io.ReadAll(r.Body)
		if err != nil || string(rest) != "\ndata: x\n\n"+strings.Repeat("y", 100_000) {
			t.Errorf("%d bytes, %v", len(rest), err)
		}
		if end := s.waitEnd(); end.err != nil {
			t.Error(end.err)
		}
	}
	c.send(request("GET", ask, ""))
	e := <-out
	e.feed <- "abc"
	e.feed <- io.ErrUnexpectedEOF
	if all, err := io.ReadAll(c.head().Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(all) != "abc" {
		t.Errorf("%q, %v", all, err)
	}
	if end := s.waitEnd(); end.err == nil {
		t.Error("ended well")
	}

	// Without chunks a client of HTTP/1.0 could not tell a cut from the end.
	c = s.dial()
	c.send("GET " + ask + " HTTP/1.0\r\n\r\n")
	if r, body := c.response(); r.StatusCode != 400 || code(t, body) != "http_version" {
		t.Errorf("%d %s", r.StatusCode, body)
	}
}
