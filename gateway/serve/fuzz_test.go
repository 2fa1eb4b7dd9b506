package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
)

// heard is a request as it has reached the chain.
type heard struct {
	method, path, param string
	query               string
	bearer, key         string // credentials
	body                []byte
	readable            bool // the body could be read to its end, if the endpoint has one
}

// ear is the chain behind a fuzzed server: it answers everything and remembers what it was asked, by request id.
type ear struct {
	directory *gateway.Directory
	mu        sync.Mutex
	heard     map[string]heard
}

func (e *ear) Acquire() serve.Generation     { return e }
func (e *ear) Release()                      {}
func (e *ear) Directory() *gateway.Directory { return e.directory }

func (e *ear) Serve(x *gateway.Exchange) error {
	q := &x.Request
	err := q.Open()
	h := heard{
		method: q.Endpoint.Method, path: q.Endpoint.Path, param: q.Param, query: q.Query,
		bearer: string(q.Header.Get("Authorization")), key: string(q.Header.Get("X-Api-Key")),
		body: bytes.Clone(q.Body()),
	}
	var known *gateway.Error
	switch {
	case q.Endpoint.Body == gateway.NoBody:
	case err == nil && q.Rest() != nil:
		var rest []byte
		rest, err = io.ReadAll(q.Rest())
		h.body, h.readable = append(h.body, rest...), err == nil
	default:
		h.readable = err == nil || q.ContentType() == "" && errors.As(err, &known) && (known.Code == "invalid_json" || known.Code == "invalid_value")
	}
	e.mu.Lock()
	e.heard[x.ID] = h
	e.mu.Unlock()
	if err != nil {
		return err
	}
	x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Stream: gateway.Once([]byte(`{"answer":1}`))}
	if q.Stream() {
		x.Reply.Kind, x.Reply.ContentType = gateway.Events, "text/event-stream"
	}
	x.Commit()
	return nil
}

// fetch gives what was heard under an id, once.
func (e *ear) fetch(id string) (h heard, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h, ok = e.heard[id]
	delete(e.heard, id)
	return h, ok
}

// wanted is a request as net/http reads it.
type wanted struct {
	*http.Request
	body []byte
	err  error // of the body
}

// cutBehindChunk are the errors of net/http for bodies that may have ended between two chunks, or inside the trailer.
var cutBehindChunk = regexp.MustCompile("unexpected EOF|suspiciously long trailer")

// requests reads with net/http what a client sent, up to the last request that a server would answer. more says that it
// might then wait for another.
func requests(sent []byte) (list []wanted, more bool) {
	r := bufio.NewReader(bytes.NewReader(sent))
	for {
		for b, _ := r.Peek(1); string(b) == "\r" || string(b) == "\n"; b, _ = r.Peek(1) { // RFC 9112, section 2.2
			_, _ = r.Discard(1)
		}
		q, err := http.ReadRequest(r)
		if err != nil {
			return list, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		}
		w := wanted{Request: q}
		w.body, w.err = io.ReadAll(q.Body)
		if q.ContentLength < 0 && w.err != nil && cutBehindChunk.MatchString(w.err.Error()) {
			w.err, q.Close = nil, true // fasthttp does not tell a client that left between two chunks from the end
		}
		list = append(list, w)
		if w.err != nil || q.Close {
			return list, w.err != nil
		}
	}
}

// response is one response, read to its end.
type response struct {
	*http.Response
	body []byte
}

// responses reads what a server sent; rest is what is no complete response.
func responses(got []byte, to []wanted) (list []response, rest []byte) {
	for {
		method := http.MethodGet
		if len(list) < len(to) {
			method = to[len(list)].Method
		}
		src := bytes.NewReader(got)
		r := bufio.NewReader(src)
		p, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return list, got
		}
		body, err := io.ReadAll(p.Body)
		if err != nil || p.ContentLength < 0 && len(p.TransferEncoding) == 0 {
			return list, got
		}
		got = got[len(got)-src.Len()-r.Buffered():]
		if method == http.MethodHead && p.Close { // fasthttp gives what it could not read a body even so
			got = nil
		}
		if p.StatusCode/100 > 1 {
			list = append(list, response{p, body})
		}
	}
}

const (
	// pieceWait is how long the second piece of what is sent waits for the first to be read.
	pieceWait = 100 * time.Microsecond
	// answerWait is how long a client waits for answers to what net/http takes for requests and the server may not.
	answerWait = 5 * time.Millisecond
)

// converse sends bytes in two pieces, waits for the answers, leaves if the server does not close first, and gives all that
// it said.
func converse(t *testing.T, addr string, sent []byte, split int, want []wanted, more bool) (got []byte, left bool) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := nc.(*net.TCPConn)
	buffer := make([]byte, 16<<10)
	// read reads until the end, or until so many responses are there, or until the time is over.
	read := func(d time.Duration, enough int) (ended bool) {
		_ = c.SetReadDeadline(time.Now().Add(d))
		for {
			if list, _ := responses(got, want); len(list) >= enough {
				return false
			}
			n, err := c.Read(buffer)
			got = append(got, buffer[:n]...)
			if err != nil {
				return !isTimeout(err)
			}
		}
	}
	const all = 1 << 30
	_, err = c.Write(sent[:split])
	if split < len(sent) && err == nil {
		if split > 0 && read(pieceWait, all) {
			return got, false
		}
		_, err = c.Write(sent[split:])
	}
	enough := all
	if more {
		enough = len(want)
	}
	if read(answerWait, enough) || err != nil {
		return got, false
	}
	_ = c.CloseWrite()
	if !read(patience, all) {
		t.Errorf("the server does not close the connection; it said %q", got)
	}
	return got, true
}

// agree fails unless the request that was answered is the one that net/http reads.
func agree(t *testing.T, h heard, w wanted) {
	t.Helper()
	path, query, _ := strings.Cut(w.RequestURI, "?")
	if u, err := url.Parse(path); err == nil && u.IsAbs() {
		path = u.EscapedPath()
	}
	served := h.path
	if before, behind, ok := strings.Cut(strings.Replace(h.path, "{id...}", "{id}", 1), "{id}"); ok {
		param := strings.TrimSuffix(strings.TrimPrefix(path, before), behind)
		served = before + param + behind
		if decoded, err := url.PathUnescape(param); err != nil || decoded != h.param {
			t.Errorf("parameter %q, net/http: %q", h.param, path)
		}
	}
	if h.method != w.Method || served != path || h.query != query {
		t.Errorf("taken for %s %s, net/http: %s %s", h.method, h.path, w.Method, w.RequestURI)
	}
	credential := func(name, got string) {
		if all := w.Header.Values(name); len(all) > 1 || got != strings.Join(all, "") {
			t.Errorf("%s is %q, net/http: %q", name, got, all)
		}
	}
	credential("Authorization", h.bearer)
	credential("X-Api-Key", h.key)
	if h.readable && h.method == http.MethodPost && (w.err != nil || !bytes.Equal(h.body, w.body)) {
		t.Errorf("body %q, net/http: %q, %v", h.body, w.body, w.err)
	}
}

// FuzzRequest sends any bytes. The server must answer with responses that are well formed, or close; and a request that
// it serves must be the one that net/http reads at that place: two readings of one connection are how requests are
// smuggled.
func FuzzRequest(f *testing.F) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	e := &ear{directory: gateway.NewDirectory(gateway.Entries{Origins: []string{"https://app.example"}}), heard: map[string]heard{}}
	s := serve.New(e, l, serve.Options{
		MaxHead: 4 << 10, MaxBody: 1 << 16, MaxInFlight: 1 << 20, ReadTimeout: patience, IdleTimeout: patience, WriteTimeout: patience,
		Log: zap.NewNop(), Metrics: prometheus.NewRegistry(),
	})
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	f.Cleanup(func() {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		s.Drain(ctx)
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	seedRequests(f)
	f.Fuzz(func(t *testing.T, sent []byte, split uint16) {
		want, more := requests(sent)
		got, left := converse(t, l.Addr().String(), sent, min(int(split), len(sent)), want, more)
		list, rest := responses(got, want)
		if len(rest) > 0 && !left { // those who leave get no more
			t.Errorf("no response: %q", rest)
		}
		for i, r := range list {
			if r.StatusCode >= 400 && len(r.body) > 0 && !json.Valid(r.body) {
				t.Errorf("an error is %q", r.body)
			}
			h, ok := e.fetch(r.Header.Get("X-Request-Id"))
			switch {
			case !ok: // refused before the chain
			case i < len(want):
				agree(t, h, want[i])
			case h.readable:
				t.Errorf("%s %s is served: %q; net/http reads %d requests", h.method, h.path, h.body, len(want))
			}
		}
		for limit := time.Now().Add(patience); ; runtime.Gosched() {
			connections, held := s.Live()
			if connections == 0 && held == 0 {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("%d connections and %d bytes are left", connections, held)
			}
		}
		e.mu.Lock()
		clear(e.heard)
		e.mu.Unlock()
	})
}

func seedRequests(f *testing.F) {
	const chat = "/v1/chat/completions"
	add := func(raw ...string) {
		for _, r := range raw {
			f.Add([]byte(r), uint16(0))
			f.Add([]byte(r), uint16(len(r)/2))
		}
	}
	models := request("GET", "/v1/models", "")
	chunked := func(rest string, fields ...string) string {
		return "POST " + chat + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(append(fields, "Transfer-Encoding: chunked\r\n\r\n"), "\r\n") + rest
	}
	whole := chunked("d\r\n" + minimal + "\r\n0\r\n\r\n")
	add(
		post(minimal), post(`{"model":"m","stream":true}`), post(minimal)+post(minimal)+models, whole, whole+models,
		models, request("GET", "/v1/models/a%2Fb?x=y#z", ""), request("GET", "/v1/files/file-1~openai/content?after=x%20y", ""),
		request("POST", "/v1/batches/b/cancel", "{}")+models, request("DELETE", "/v1/responses/r", "", "Anthropic-Version: 2023-06-01")+models,
		request("POST", "/v1/files", aForm, formType)+models, request("POST", "/v1/audio/transcriptions", aForm, formType)+models,
		request("POST", "/v1/images/edits", minimal, "Content-Type: application/json")+models, request("GET", "http://h/v1/models/m", ""), request("OPTIONS", chat, ""),
		request("HEAD", "/v1/models", "")+models, request("GET", "/v1/models", "{}")+models, request("POST", "/nope", minimal)+models,
		request("DELETE", "/v1/models/m", minimal)+models, post(`{"model":`)+models, post(minimal, "Connection: close")+models,
		post(minimal, "Expect: 100-continue")+models, post(minimal, "Authorization: Bearer a", "X-Api-Key: b"),
		post(minimal, "Content-Encoding: gzip")+models, post(minimal, "X-Large: "+strings.Repeat("x", 5000)),
		post(minimal, "Authorization: Bearer a", "authorization: Bearer b"), "HELO there\r\n\r\n", "\r\n\r\n"+models, strings.ReplaceAll(post(minimal), "\r\n", "\n"),
		"POST "+chat+" HTTP/1.0\r\nContent-Length: 13\r\n\r\n"+minimal, "POST "+chat+" HTTP/2.0\r\nHost: x\r\nContent-Length: 13\r\n\r\n"+minimal,
		"POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{", "POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"+minimal,
		chunked("0\r\n\r\n", "Content-Length: 13")+models, chunked("d;a=b\r\n"+minimal+"\r\n0\r\nA: b\r\n\r\n")+models,
		chunked("0xd\r\n"+minimal+"\r\n0\r\n\r\n")+models, chunked("d\n"+minimal+"\n0\n\n")+models, chunked("fffffffffffffffff\r\n")+models,
		chunked("d\r\n"+minimal+"\r\n0\r\n\r\n", "Transfer-Encoding: chunked")+models, strings.Replace(whole, "chunked", "xchunked", 1)+models,
		"POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\nContent-Length: 14\r\n\r\n"+minimal, "POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length: +13\r\n\r\n"+minimal,
		"POST "+chat+" HTTP/1.1\r\nHost: x\r\nContent-Length : 13\r\n\r\n"+minimal, "POST "+chat+" HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c: d\r\nContent-Length: 13\r\n\r\n"+minimal,
		"POST "+chat+" HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 13\r\n\r\n"+minimal, "POST "+chat+" HTTP/1.1\r\nContent-Length: 13\r\n\r\n"+minimal,
	)
}
