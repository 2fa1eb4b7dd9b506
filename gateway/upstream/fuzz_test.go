package upstream_test

import (
	"bufio"
	"bytes"
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
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/internal/watch"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// turn is what the player does in one run of the fuzz function.
type turn struct {
	bytes    []byte        // the answer to the first request
	split    int           // where it is written in two pieces
	hold     bool          // leave the connection open behind it: it says that it is complete and the connection good
	ended    chan struct{} // the first attempt has ended
	sent     chan struct{} // all is written that the first request is answered with
	requests atomic.Int32
}

// player is a provider that answers the first request of each turn with the fuzzer's bytes, every other one with
// second.
type player struct {
	l    net.Listener
	turn atomic.Pointer[turn]
	work sync.WaitGroup
}

const (
	// pieceWait is how long the second piece of an answer waits for the first to be read.
	pieceWait = 100 * time.Microsecond
	second    = `{"second":true,"choices":[{"message":{}}]}`
)

func newPlayer(f *testing.F) *player {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	p := &player{l: l}
	p.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.serve(c) })
		}
	})
	f.Cleanup(func() { _ = l.Close(); p.work.Wait() })
	return p
}

func (p *player) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		q, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			return
		}
		if t := p.turn.Load(); t.requests.Add(1) > 1 {
			_, _ = io.WriteString(c, whole("200 OK", second, "Connection: close"))
			return
		} else if !t.play(c) {
			return
		}
	}
}

// play answers; false if the connection ends behind it.
func (t *turn) play(c net.Conn) bool {
	defer close(t.sent)
	if _, err := c.Write(t.bytes[:t.split]); err != nil {
		return false
	}
	if t.split < len(t.bytes) {
		if t.split > 0 {
			t.wait(pieceWait)
		}
		if _, err := c.Write(t.bytes[t.split:]); err != nil {
			return false
		}
	}
	return t.hold && t.wait(patience)
}

// wait waits until the attempt has ended; false if it has not within d.
func (t *turn) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.ended:
		return true
	case <-timer.C:
		return false
	}
}

// reading is how net/http reads an answer.
type reading struct {
	err    error // of the head
	status int
	events bool
	body   []byte
	cut    error // why the body did not end; nil if it is well framed
	keep   bool  // the connection may be used again
	strict bool  // every line of the head ends with CRLF
}

// read reads an answer with net/http. HTTP/1.0 is read as HTTP/1.1, because there net/http takes a chunked body for one
// that is not.
func read(answer []byte) (r reading) {
	for range 10 {
		now := bytes.Clone(answer)
		old := bytes.HasPrefix(now, []byte("HTTP/1.0"))
		if old {
			now[7] = '1'
		}
		src := bytes.NewReader(now)
		br := bufio.NewReader(src)
		p, err := http.ReadResponse(br, &http.Request{Method: http.MethodPost})
		if err != nil {
			return reading{err: err}
		}
		head := answer[:len(answer)-src.Len()-br.Buffered()]
		r.strict = bytes.Count(head, []byte("\n")) == bytes.Count(head, []byte("\r\n"))
		if p.StatusCode/100 == 1 {
			answer = answer[len(head):]
			continue
		}
		r.status, r.keep = p.StatusCode, !p.Close && !old
		r.events = r.status < 300 && strings.HasPrefix(strings.ToLower(p.Header.Get("Content-Type")), "text/event-stream")
		r.body, r.cut = io.ReadAll(p.Body)
		return r
	}
	return reading{err: errors.New("too many informational replies")}
}

// sseEvents reads a body of events line by line.
func sseEvents(body []byte) (data []string) {
	text := strings.ReplaceAll(strings.ReplaceAll(string(body), "\r\n", "\n"), "\r", "\n")
	text = strings.TrimPrefix(text, "\ufeff")
	var lines []string
	for {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			return data // the last block has no blank line behind it: it is incomplete
		}
		text = rest
		name, value, _ := strings.Cut(line, ":")
		switch {
		case line != "" && name == "data":
			lines = append(lines, strings.TrimPrefix(value, " "))
		case line == "":
			if d := strings.Join(lines, "\n"); d != "" {
				data = append(data, d)
			}
			lines = nil
		}
	}
}

// finishes notes the choices that an event finishes, by index.
func finishes(t *testing.T, data string, finished map[int64]bool) {
	var e map[string]json.RawMessage
	if err := json.Unmarshal([]byte(data), &e); err != nil || !utf8.ValidString(data) {
		t.Errorf("%q passed as an event: %v", data, err)
	}
	var choices []map[string]json.RawMessage
	_ = json.Unmarshal(e["choices"], &choices)
	for _, c := range choices {
		var reason string
		var index int64
		_ = json.Unmarshal(c["index"], &index)
		if json.Unmarshal(c["finish_reason"], &reason) == nil && reason != "" {
			finished[max(index, 0)] = true
		}
	}
}

// cutShort are net/http's errors for a body that is right as far as it goes.
var cutShort = regexp.MustCompile("unexpected EOF|suspiciously long trailer")

// checkStream compares a stream that passed as complete with what net/http and a plain reading of its lines make of it.
func checkStream(t *testing.T, got []string, r reading, choices int) {
	t.Helper()
	var want []string
	finished, terminated := map[int64]bool{}, false
	for _, data := range sseEvents(r.body) {
		want = append(want, string(wire.OpenAI.Clean([]byte(data))))
		if terminated = strings.TrimSpace(data) == done; terminated {
			break
		}
		finishes(t, data, finished)
	}
	if !terminated { // it was made: only the word may be missing, and the end of the framing
		want = append(want, done)
		if len(finished) < choices {
			t.Errorf("complete, but %d of %d choices have finished", len(finished), choices)
		}
		if r.cut != nil && !cutShort.MatchString(r.cut.Error()) {
			t.Errorf("complete, but: %v", r.cut)
		}
	}
	if g, w := strings.Join(got, "\n\n"), strings.Join(want, "\n\n"); g != w {
		t.Errorf("complete as\n%q, want\n%q", g, w)
	}
}

// checkWhole does the same with a whole reply.
func checkWhole(t *testing.T, got []string, r reading) {
	t.Helper()
	body := strings.Join(got, "")
	want := string(r.body)
	said, ok := wire.OpenAI.DecodeError(r.body)
	if ok && r.status >= 300 && !bytes.HasPrefix(peek.Find(r.body, []byte(`"error"`)), []byte("{")) {
		said.Status = r.status // of another shape, or with bytes that are no text
		want = string(wire.OpenAI.AppendError(nil, said))
	}
	if r.cut != nil || body != want {
		t.Errorf("complete as %q, not %q; net/http: %v", body, want, r.cut)
	}
	if r.status < 300 && !json.Valid(r.body) {
		t.Errorf("%q passed as an answer", r.body)
	}
}

// framed is data as a chunked stream of events, in chunks of the size.
func framed(data []byte, size int) []byte {
	b := []byte(sseHead)
	for len(data) > 0 {
		n := min(size, len(data))
		b = append(b, chunk(string(data[:n]))...)
		data = data[n:]
	}
	return append(b, last...)
}

// Bits of the fuzz function's mode.
const (
	asStream   = 1 << iota // the request asks for a stream
	twoChoices             // and for two choices
	isBody                 // the bytes are the events, and split is the size of the chunks they are put into
)

// FuzzReply lets a provider answer with any bytes, in two writes, and then close, or hold the connection open if
// net/http takes the answer for one after which it may be used again. Whatever passes for complete must be that to
// net/http, too, byte for byte; every connection is closed in the end; and nothing that is left of one answer becomes
// part of the next.
func FuzzReply(f *testing.F) {
	player := newPlayer(f)
	p := fuzzed(f, "http://"+player.l.Addr().String()+"/v1")
	seedReplies(f)
	f.Fuzz(func(t *testing.T, data []byte, split uint16, mode uint8) {
		ask, choices := askWhole, 1
		if mode&asStream != 0 {
			ask = askStream
			if mode&twoChoices != 0 {
				ask, choices = `{"model":"m","stream":true,"n":2}`, 2
			}
		}
		now := &turn{bytes: data, split: min(int(split), len(data)), ended: make(chan struct{}), sent: make(chan struct{})}
		if mode&isBody != 0 {
			now.bytes, now.split = framed(data, int(split)+1), 0
		}
		r := read(now.bytes)
		now.hold = r.err == nil && r.cut == nil && r.keep && r.strict
		player.turn.Store(now)

		got := attempt(t, p, exchange(t, ask, nil), "m")
		close(now.ended)
		<-now.sent
		if codeOf(got.err) == timeout {
			t.Errorf("waits for more than a complete answer: %v", got.err)
		}
		if outcome(got) == complete {
			switch {
			case r.err != nil || got.reply.Status != r.status:
				t.Errorf("complete with status %d; net/http: %d, %v", got.reply.Status, r.status, r.err)
			case r.events:
				checkStream(t, got.events, r, choices)
			default:
				checkWhole(t, got.events, r)
			}
		}
		if now.hold { // the next answer is the next answer, whatever is left of this one
			if got := attempt(t, p, exchange(t, askWhole, nil), "m"); outcome(got) != complete || strings.Join(got.events, "") != second {
				t.Errorf("the answer behind it: %v, %q", got.err, got.events)
			}
		}
		allClosed(t, p)
	})
}

// fuzzed is a provider for as long as a fuzz target runs.
func fuzzed(f *testing.F, base string) *upstream.Provider {
	u, err := url.Parse(base)
	if err != nil {
		f.Fatal(err)
	}
	w, err := watch.New()
	if err != nil {
		f.Fatal(err)
	}
	const limit = patience / 2
	p, err := upstream.New(upstream.Config{
		Name: "fuzz", BaseURL: u, Kind: openaiKind(), Endpoints: endpoints(), MaxIdle: 10, MaxBody: 1 << 20, MaxEvent: 1 << 20, Watch: w,
		Timeouts: upstream.Timeouts{Connect: limit, Headers: limit, FirstEvent: limit, Idle: limit, Answer: limit, Total: limit},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = p.Close(); _ = w.Close() })
	return p
}

// allClosed waits until no connection is open any more: all were closed from the other side, if not from ours.
func allClosed(t *testing.T, p *upstream.Provider) {
	t.Helper()
	for limit := time.Now().Add(patience); ; runtime.Gosched() {
		open, _ := p.Connections()
		if open == 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%d connections are left open", open)
		}
	}
}

// seedReplies adds the answers of the fault matrix, and some that are right.
func seedReplies(f *testing.F) {
	add := func(mode uint8, answers ...string) {
		for _, a := range answers {
			f.Add([]byte(a), uint16(0), mode)
			f.Add([]byte(a), uint16(len(a)/2), mode)
		}
	}
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	some := events(hello, hello)
	good := sseHead + some + events(finish, done) + last
	add(asStream,
		good, sseHead+events(hello, finish, usage, done)+last, sseHead+some, sseHead+some+last, sseHead+last, sseHead+some+events(finish)+last,
		sseHead+some+events(finish), sseHead+some+events(done)+last, sseHead+some+events(finish, done, hello)+last,
		sseHead+some+chunk("data: {\"choi"), sseHead+some+event(hello)[:20], sseHead+some+chunk(": ping\n\n")+events(finish, done)+last,
		sseHead+events(`{"choices":[`), sseHead+events(`{"error":{"message":"overloaded","code":529}}`),
		sseHead+some+events(`{"error":{"message":"overloaded"}}`)+last, sseHead+events("{\"a\":\"\xff\"}"),
		sseHead+events(`{"error":null,"choices":[{"delta":{},"finish_reason":"stop"}]}`)+last,
		sseHead+chunk("data: {\"choices\":[{\"delta\":{\"content\":\"\xe2\x82")+chunk("\xac\"}}]}\n\n")+events(finish, done)+last,
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: "+finish+"\n\ndata: [DONE]\n\n",
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 14\r\n\r\ndata: [DONE]\r\r",
		good+whole("200 OK", answer), "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
	)
	add(asStream|twoChoices, good, sseHead+events(finish, finish)+last)
	add(0,
		whole("200 OK", answer), whole("200 OK", answer)+whole("200 OK", `{"smuggled":true}`), whole("200 OK", answer)[:120], whole("200 OK", ""),
		whole("200 OK", `{"error":{"message":"overloaded"}}`), whole("429 Too Many Requests", `{"error":{"message":"slow"}}`, "Retry-After: 7"),
		whole("200 OK", answer, "Connection: keep-alive, close"), whole("200 OK", answer, "Content-Encoding: gzip"), whole("204 No Content", ""),
		"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"+answer, "HTTP/1.1 200 OK\r\n\r\n"+answer, "HTTP/1.0 200 OK\r\n\r\n"+answer,
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"+whole("200 OK", answer), chunked+chunk(answer[:30])+chunk(answer[30:])+last,
		chunked+"1;a=b\r\n{\r\n"+chunk(answer[1:])+"0;c\r\nTrailer: x\r\n\r\n", chunked+"0x2\r\n{}\r\n0\r\n\r\n", chunked+"ffffffffffffffff\r\n{}", chunked+"1\r\n{}\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
		"SSH-2.0-OpenSSH_9.6 and some more text\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
	)
	f.Add([]byte(whole("200 OK", answer)+whole("200 OK", `{"smuggled":true}`)), uint16(len(whole("200 OK", answer))), uint8(0))
	f.Add([]byte(good+whole("200 OK", `{"smuggled":true}`)), uint16(len(good)), uint8(asStream))
	text := "\ufeffdata: {}\n\nevent: message\r\ndata: " + hello + "\r\n\r\n: ping\n\nid: 7\ndata: {\"choices\":\ndata: []}\n\rdata: " + finish + "\n\ndata: [DONE]\n\n"
	for _, size := range []uint16{0, 1, 7, 100, 5000} {
		f.Add([]byte(text), size, uint8(asStream|isBody))
		f.Add([]byte("data: "+finish+"\n\n"+strings.Repeat("data: "+hello+"\n\n", 200)+"data: [DONE]\n\n"), size, uint8(asStream|isBody))
	}
}
