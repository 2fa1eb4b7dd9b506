package sim

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Raw serves the connections of l with a script until stop is called, which closes everything and waits. For each
// request, head and body as they arrived, the script may do with the connection whatever it likes; afterwards the next
// request is read, if the connection is still open. It is for tests of clients.
func Raw(l net.Listener, script func(c net.Conn, request []byte)) (stop func()) {
	var (
		mu      sync.Mutex
		closed  bool
		conns   = map[net.Conn]struct{}{}
		running sync.WaitGroup
	)
	serve := func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			request, err := readRequest(in)
			if err != nil {
				break
			}
			script(c, request)
		}
		mu.Lock()
		delete(conns, c)
		mu.Unlock()
		_ = c.Close()
	}
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if closed {
				_ = c.Close()
			} else {
				conns[c] = struct{}{}
				running.Go(func() { serve(c) })
			}
			mu.Unlock()
		}
	})
	return func() {
		_ = l.Close()
		mu.Lock()
		closed = true
		for c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	}
}

// readRequest reads a request as it is on the wire, or as much of it as can be read.
func readRequest(in *bufio.Reader) (request []byte, err error) {
	length, chunked := 0, false
	line := func() (text []byte, err error) {
		text, err = in.ReadSlice('\n')
		request = append(request, text...)
		if err == nil && len(request) > maxBody {
			err = errTooMuch
		}
		return bytes.TrimSpace(text), err
	}
	body := func(n int) error {
		if n < 0 || n > maxBody-len(request) {
			return errTooMuch
		}
		at := len(request)
		request = append(request, make([]byte, n)...)
		n, err := io.ReadFull(in, request[at:])
		request = request[:at+n]
		return err
	}
	for {
		field, err := line()
		if err != nil {
			return request, err
		}
		name, value, _ := bytes.Cut(field, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case len(field) == 0 && !chunked:
			err = body(length)
			return request, err
		case len(field) == 0:
			err = readChunks(line, body)
			return request, err
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return request, errors.New("sim: bad Content-Length")
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
}

var errTooMuch = errors.New("sim: a request of more than 64 MiB")

// readChunks reads a chunked body (RFC 9112, section 7.1) with two functions that read a line, and so many bytes.
func readChunks(line func() ([]byte, error), body func(n int) error) error {
	for {
		text, err := line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(text, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil {
			return err
		}
		if n == 0 {
			for len(text) > 0 && err == nil { // the trailer
				text, err = line()
			}
			return err
		}
		if err := body(int(n) + len("\r\n")); err != nil {
			return err
		}
	}
}

// Play sends a dialogue over a connection: plain text with directives, lines of the form "-- name argument --" in the
// manner of txtar. It returns early when the client leaves, or when the dialogue closes the connection.
//
//	-- head --             the lines below, each with CRLF, and an empty line; {date+30s} stands for a date from now
//	-- event --            the lines below as one event in one chunk
//	-- events 3 --         three events with a word of text each, each in its own chunk
//	-- finish --           the event with the finish reason
//	-- done --             the event [DONE]
//	-- end --              the last chunk
//	-- chunk "…" --        a Go string as one chunk
//	-- bytes "…" --        a Go string as it is
//	-- fill 1000 --        the letter x, so many times, as it is
//	-- dribble 1ms --      from here on each byte in a packet of its own, after a pause, which may be 0s
//	-- pause 50ms --       silence for a time
//	-- heartbeats 20ms --  a comment each time, until the client leaves
//	-- silence --          until the client leaves
//	-- cut --              close the connection (FIN)
//	-- reset --            abort it (RST)
func Play(c net.Conn, dialogue string) error {
	p := dialoguePlayer{c: c}
	for dialogue != "" {
		var directive, text string
		directive, dialogue, _ = strings.Cut(dialogue, "\n")
		if i := strings.Index("\n"+dialogue, "\n-- "); i >= 0 {
			text, dialogue = dialogue[:i], dialogue[i:]
		} else {
			text, dialogue = dialogue, ""
		}
		name, argument, err := parseDirective(directive)
		if err == nil {
			err = p.do(name, argument, text)
		}
		if err != nil || p.closed {
			return err
		}
	}
	return nil
}

func parseDirective(line string) (name, argument string, err error) {
	inner, ok := strings.CutPrefix(line, "-- ")
	if ok {
		inner, ok = strings.CutSuffix(inner, " --")
	}
	if !ok {
		return "", "", fmt.Errorf("sim: %q is no directive", line)
	}
	name, argument, _ = strings.Cut(inner, " ")
	if strings.HasPrefix(argument, `"`) {
		argument, err = strconv.Unquote(argument)
	}
	return name, argument, err
}

type dialoguePlayer struct {
	c        net.Conn
	bytewise bool
	dribble  time.Duration // before each byte
	closed   bool
}

const (
	wordEvent   = `{"id":"chatcmpl-fault","object":"chat.completion.chunk","created":1767225600,"model":"fault","choices":[{"index":0,"delta":{"content":"word "},"logprobs":null,"finish_reason":null}]}`
	finishEvent = `{"id":"chatcmpl-fault","object":"chat.completion.chunk","created":1767225600,"model":"fault","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}`
)

func (p *dialoguePlayer) do(name, argument, text string) error {
	switch name {
	case "head":
		return p.head(text)
	case "event":
		return p.chunk(text + "\n")
	case "events":
		return p.times(argument, func() error { return p.chunk("data: " + wordEvent + "\n\n") })
	case "finish":
		return p.chunk("data: " + finishEvent + "\n\n")
	case "done":
		return p.chunk("data: [DONE]\n\n")
	case "end":
		return p.send("0\r\n\r\n")
	case "chunk":
		return p.chunk(argument)
	case "bytes":
		return p.send(argument)
	case "fill":
		n, err := strconv.Atoi(argument)
		if err != nil {
			return err
		}
		return p.send(strings.Repeat("x", n))
	}
	return p.doNothing(name, argument)
}

// doNothing carries out what sends nothing of an answer.
func (p *dialoguePlayer) doNothing(name, argument string) error {
	switch name {
	case "dribble", "pause", "heartbeats":
		d, err := time.ParseDuration(argument)
		if err != nil {
			return err
		}
		switch name {
		case "dribble":
			p.bytewise, p.dribble = true, d
		case "pause":
			p.silence(d)
		default:
			for !p.silence(d) {
				if err := p.chunk(": keep-alive\n\n"); err != nil {
					return err
				}
			}
		}
		return nil
	case "silence":
		for !p.silence(time.Minute) {
		}
		return nil
	case "reset":
		if t, ok := p.c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
	case "cut":
	default:
		return fmt.Errorf("sim: unknown directive %q", name)
	}
	p.closed = true
	return p.c.Close()
}

func (p *dialoguePlayer) head(text string) error {
	for {
		before, rest, ok := strings.Cut(text, "{date+")
		if !ok {
			break
		}
		span, after, _ := strings.Cut(rest, "}")
		d, err := time.ParseDuration(span)
		if err != nil {
			return err
		}
		text = before + time.Now().Add(d).UTC().Format(http.TimeFormat) + after
	}
	return p.send(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")
}

func (p *dialoguePlayer) times(argument string, f func() error) error {
	n, err := strconv.Atoi(argument)
	for range n {
		if err == nil {
			err = f()
		}
	}
	return err
}

func (p *dialoguePlayer) chunk(data string) error {
	return p.send(strconv.FormatInt(int64(len(data)), 16) + "\r\n" + data + "\r\n")
}

func (p *dialoguePlayer) send(data string) error {
	if !p.bytewise {
		_, err := io.WriteString(p.c, data)
		return err
	}
	for i := range len(data) {
		if p.dribble > 0 && p.silence(p.dribble) {
			return nil
		}
		if _, err := io.WriteString(p.c, data[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// silence waits; true if the client left meanwhile.
func (p *dialoguePlayer) silence(d time.Duration) bool {
	_ = p.c.SetReadDeadline(time.Now().Add(d))
	var b [1]byte
	_, err := p.c.Read(b[:])
	_ = p.c.SetReadDeadline(time.Time{})
	var timeout net.Error
	p.closed = p.closed || err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
	return p.closed
}
