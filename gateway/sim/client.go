package sim

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

const (
	maxBody   = 64 << 20
	maxHead   = 16 << 10
	pipelined = 4        // requests read ahead
	batchMost = 32 << 10 // bytes of events that are due written at once
)

// client is one connection. One goroutine reads requests, another answers them, so that an end of the connection is seen
// while an answer waits for its time.
type client struct {
	s        *Server
	c        net.Conn
	ended    bool          // reading has met the end of the connection
	gone     chan struct{} // closed then
	requests chan request
	out      []byte // not yet sent
	event    []byte
	timer    *time.Timer
}

// request is one that has been read, or the reason why it could not be.
type request struct {
	r   *fasthttp.Request
	err error
}

func newClient(s *Server, c net.Conn) *client {
	return &client{s: s, c: c, gone: make(chan struct{}), requests: make(chan request, pipelined), timer: time.NewTimer(0)}
}

// Read tells the end of the connection from requests that make no sense.
func (k *client) Read(b []byte) (int, error) {
	n, err := k.c.Read(b)
	k.ended = err != nil
	return n, err
}

// read reads requests until the client leaves or makes no sense.
func (k *client) read() {
	defer k.s.running.Done()
	defer close(k.requests)
	in := bufio.NewReaderSize(k, maxHead)
	for {
		r := fasthttp.AcquireRequest()
		err := r.ReadLimitBody(in, maxBody)
		if err == nil && r.MayContinue() {
			if _, err = k.c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err == nil {
				err = r.ContinueReadBody(in, maxBody)
			}
		}
		if k.ended {
			close(k.gone)
			return
		}
		k.requests <- request{r, err}
		if err != nil {
			return
		}
	}
}

// serve answers requests until one says that it is the last.
func (k *client) serve() {
	defer k.s.running.Done()
	for q := range k.requests {
		more := k.answer(q)
		fasthttp.ReleaseRequest(q.r)
		if q.err != nil {
			k.linger()
		}
		if !more {
			break
		}
	}
	_ = k.c.Close()
	k.timer.Stop()
	k.s.remove(k)
	for range k.requests { // lets the reader end
	}
}

// linger takes what the client is still sending, for a while: closing with unread bytes would reset the connection, and
// the client could lose the answer that says what is wrong.
func (k *client) linger() {
	if c, ok := k.c.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		_ = k.c.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.CopyN(io.Discard, k.c, maxBody)
	}
}

// answer says whether the connection goes on.
func (k *client) answer(q request) bool {
	switch {
	case errors.Is(q.err, fasthttp.ErrBodyTooLarge):
		return k.refuse(413, "request_too_large", "The simulator reads bodies of up to 64 MiB.", false)
	case q.err != nil:
		return k.refuse(400, "", "This is not a valid HTTP/1.1 request.", false)
	}
	h := &q.r.Header
	keep := !h.ConnectionClose() && h.IsHTTP11()
	c := &call{
		engine: k.s.engine, method: string(h.Method()), path: string(q.r.URI().Path()), query: string(q.r.URI().QueryString()), body: q.r.Body(),
		contentType: string(h.ContentType()), version: string(h.Peek("anthropic-version")), dialect: wire.OpenAI,
	}
	if d := talks(strings.TrimPrefix(c.path, "/v1")); d != nil {
		c.dialect = d
	} else if c.version != "" {
		c.dialect = wire.Anthropic
	}
	var a answer
	switch {
	case !k.s.admits(h.Peek("Authorization"), h.Peek("x-api-key")):
		a = c.refuse(401, chat.Error{Type: gateway.TypeInvalidRequest, Code: "invalid_api_key", Message: "Incorrect API key provided."})
	case talks(strings.TrimPrefix(c.path, "/v1")) != nil && c.method == "POST":
		if a = c.lacksVersion(); a.status != 0 {
			break
		}
		k.s.requests.Add(1)
		k.s.record(q.r)
		return k.chat(k.s.engine.script(asked{dialect: c.dialect, body: c.body, version: c.version}), keep, h.IsHTTP11())
	case c.path == "/stats" && c.method == "GET":
		a = c.json(k.s.Stats())
	default:
		a = c.answer()
	}
	return k.whole(&a, keep)
}

// admits says whether a request has the key, in OpenAI's header or in Anthropic's.
func (s *Server) admits(authorization, key []byte) bool {
	return s.Key == "" || subtle.ConstantTimeCompare(authorization, []byte("Bearer "+s.Key)) == 1 ||
		subtle.ConstantTimeCompare(key, []byte(s.Key)) == 1
}

func (s *Server) record(r *fasthttp.Request) {
	if s.Record {
		s.mu.Lock()
		s.head, s.body = bytes.Clone(r.Header.RawHeaders()), bytes.Clone(r.Body())
		s.mu.Unlock()
	}
}

// refuse answers what is no request.
func (k *client) refuse(status int, code, message string, keep bool) bool {
	c := call{dialect: wire.OpenAI}
	a := c.refuse(status, chat.Error{Type: gateway.TypeInvalidRequest, Code: code, Message: message})
	return k.whole(&a, keep)
}

// whole sends an answer that is no conversation.
func (k *client) whole(a *answer, keep bool) bool {
	body, fields := a.body, ""
	for _, e := range a.events {
		body = sse.Append(body, e.name, e.data)
	}
	if a.retry != "" {
		fields = "Retry-After: " + a.retry + "\r\n"
	}
	k.head(a.status, a.contentType, fields+"Content-Length: "+strconv.Itoa(len(body))+"\r\n", keep)
	k.out = append(k.out, body...)
	return k.flush() && keep
}

// head begins a reply; fields are whole lines.
func (k *client) head(status int, contentType, fields string, keep bool) {
	if !keep {
		fields += "Connection: close\r\n"
	}
	k.out = strconv.AppendInt(append(k.out[:0], "HTTP/1.1 "...), int64(status), 10)
	k.out = append(append(append(k.out, ' '), fasthttp.StatusMessage(status)...), "\r\n"...)
	k.out = append(append(append(k.out, "Content-Type: "...), contentType...), "\r\n"...)
	k.out = append(append(k.out, fields...), "\r\n"...)
}

// flush sends what has been gathered; false if the client takes nothing any more.
func (k *client) flush() bool {
	if len(k.out) == 0 {
		return true
	}
	_, err := k.c.Write(k.out)
	k.out = k.out[:0]
	return err == nil
}

// until waits for a moment; false if the client leaves before.
func (k *client) until(t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		select {
		case <-k.gone:
			return false
		default:
			return true
		}
	}
	k.timer.Reset(d)
	select {
	case <-k.gone:
		return false
	case <-k.timer.C:
		return true
	}
}

// chat plays a script; it says whether the connection goes on.
func (k *client) chat(s *script, keep, chunked bool) bool {
	fields := "x-request-id: " + s.requestID + "\r\n"
	if s.dialect == wire.Anthropic {
		fields = "request-id: " + s.requestID + "\r\n"
	}
	if v := s.retry(); v != "" {
		fields += "Retry-After: " + v + "\r\n"
	}
	if s.events() {
		k.s.streams.Add(1)
		return k.events(s, fields, keep, chunked)
	}
	due := time.Now()
	after, what, e := s.play().next()
	if !k.until(due.Add(after)) {
		return k.lost(false)
	}
	if what == cut || what == stall {
		if !s.mute() {
			body := s.body()
			k.head(s.status, s.contentType(), fields+"Content-Length: "+strconv.Itoa(len(body))+"\r\n", keep)
			k.out = append(k.out, body[:len(body)/2]...)
		}
		return k.breakOff(what, !s.mute())
	}
	k.head(s.status, s.contentType(), fields+"Content-Length: "+strconv.Itoa(len(e.data))+"\r\n", keep)
	k.out = append(k.out, e.data...)
	return k.complete() && keep
}

// events streams: each event one chunk, those that are due at the same time in one write. The head goes with the first.
func (k *client) events(s *script, fields string, keep, chunked bool) bool {
	if chunked {
		fields += "Transfer-Encoding: chunked\r\n"
	}
	fields += "Cache-Control: no-cache\r\n"
	due, begun := time.Now(), false
	for p := s.play(); ; {
		after, what, e := p.next()
		due = due.Add(after)
		waits := after > 0 && time.Now().Before(due)
		if (waits || len(k.out) > batchMost) && !k.flush() || !k.until(due) {
			return k.lost(begun)
		}
		if !begun && !s.mute() {
			begun = true
			k.head(s.status, s.contentType(), fields, keep)
		}
		switch what {
		case emit:
			k.event = sse.Append(k.event[:0], e.name, e.data)
			k.out = appendChunk(k.out, k.event, chunked)
		case end:
			if chunked {
				k.out = append(k.out, "0\r\n\r\n"...)
			}
			return k.complete() && keep
		default:
			return k.breakOff(what, begun)
		}
	}
}

// complete sends the end of an answer. It is counted first, so that a client who has all of it finds it counted.
func (k *client) complete() bool {
	k.s.completed.Add(1)
	if !k.flush() {
		k.s.completed.Add(-1)
		return k.lost(true)
	}
	return true
}

// breakOff ends an answer as a fault prescribes; always false.
func (k *client) breakOff(what act, begun bool) bool {
	said := k.flush()
	if said && what == cut {
		k.s.broken.Add(1)
		return false
	}
	if said {
		<-k.gone
	}
	return k.lost(begun)
}

// lost counts a client that left, unless it is the server that closes; always false.
func (k *client) lost(begun bool) bool {
	count := &k.s.goneBefore
	if begun {
		count = &k.s.goneMid
	}
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	if !k.s.closed {
		count.Add(1)
	}
	return false
}

// appendChunk frames some bytes (RFC 9112, section 7.1).
func appendChunk(dst, data []byte, chunked bool) []byte {
	if !chunked {
		return append(dst, data...)
	}
	dst = strconv.AppendInt(dst, int64(len(data)), 16)
	dst = append(append(dst, "\r\n"...), data...)
	return append(dst, "\r\n"...)
}
