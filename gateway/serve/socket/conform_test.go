package socket_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
)

// refusedMessage is what the gateway says to a text that is no message: it shows that the text arrived.
const refusedMessage = `text({"type":"error","status":400,"error":{"message":"A message is one JSON object.","type":"invalid_request_error","param":null,"code":"invalid_json"}})`

// TestConformance sends frames as the suite of Autobahn does, by its categories. What the library lets pass is noted as such.
func TestConformance(t *testing.T) {
	s := start(t, chunks(1, 1), func(u *setup) { u.options.MaxMessage = 64 << 10 })
	text := func(p string) []byte { return masked(0x81, []byte(p)) }
	closing := func(code int, reason string) []byte {
		return masked(0x88, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
	}
	f := func(name, want string, frames ...[]byte) {
		t.Helper()
		c := s.upgraded()
		for _, b := range frames {
			c.write(string(b))
		}
		end := masked(0x88, []byte{3, 232})
		if !strings.HasSuffix(" "+want, " end") { // it must be open: a ping is answered
			want += " pong(3) close(1000) end"
			c.write(string(masked(0x89, []byte("end"))) + string(end))
		}
		if got := c.frames(100); strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		_ = c.Close()
	}
	all := func(parts ...string) string { return strings.Join(parts, " ") }

	// 1 Framing
	f("1.1.1 empty text", refusedMessage, text(""))
	f("1.1.2 125 bytes", refusedMessage, text(strings.Repeat("*", 125)))
	f("1.1.3 126 bytes", refusedMessage, text(strings.Repeat("*", 126)))
	f("1.1.5 128 bytes", refusedMessage, text(strings.Repeat("*", 128)))
	f("1.1.6 65535 bytes", refusedMessage, text(strings.Repeat("*", 65535)))
	f("1.1.7 65536 bytes", refusedMessage, text(strings.Repeat("*", 65536)))
	f("1.2 binary", "close(1003) end", masked(0x82, []byte("x")), closing(1003, ""))
	f("over the limit", "close(1009) end", text(strings.Repeat("*", 65537)))
	f("64 bits of length, the first of them set", "end", append([]byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1}, 1, 2, 3, 4))
	f("no mask", "close(1002) end", []byte{0x81, 2, 'h', 'i'})
	f("a length in more bytes than it needs (the library lets it pass)", refusedMessage, []byte{0x81, 0xfe, 0, 2, 1, 2, 3, 4, 'h' ^ 1, 'i' ^ 2})

	// 2 Pings and pongs
	f("2.1 ping", "pong(0)", masked(0x89, nil))
	f("2.3 ping with 125 bytes", "pong(125)", masked(0x89, make([]byte, 125)))
	f("2.5 ping with 126 bytes", "close(1002) end", masked(0x89, make([]byte, 126)))
	f("2.7 unsolicited pong", "", masked(0x8a, nil))
	f("2.9 pong, then ping", "pong(1)", masked(0x8a, []byte("x")), masked(0x89, []byte("y")))
	f("2.10 ten pings", all("pong(1)", "pong(1)", "pong(1)", "pong(1)", "pong(1)", "pong(1)", "pong(1)", "pong(1)", "pong(1)", "pong(1)"),
		bytes.Repeat(masked(0x89, []byte("x")), 10))

	// 3 Reserved bits
	for _, bits := range []byte{0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70} {
		f(fmt.Sprintf("3 reserved bits %x", bits), "close(1002) end", masked(0x81|bits, []byte("x")))
		f(fmt.Sprintf("3 reserved bits %x in a ping", bits), "close(1002) end", masked(0x89|bits, nil))
	}

	// 4 Opcodes
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		f(fmt.Sprintf("4 opcode %d", op), "close(1002) end", masked(0x80|op, nil))
	}

	// 5 Fragmentation
	f("5.1 fragmented ping", "close(1002) end", masked(0x09, []byte("a")), masked(0x80, []byte("b")))
	f("5.3 two fragments", refusedMessage, masked(0x01, []byte("a")), masked(0x80, []byte("b")))
	f("5.6 ping in between", all("pong(1)", refusedMessage), masked(0x01, []byte("a")), masked(0x89, []byte("p")), masked(0x80, []byte("b")))
	f("5.9 continuation of nothing", "close(1002) end", masked(0x80, []byte("b")))
	f("5.12 continuation of nothing, not final", "close(1002) end", masked(0x00, []byte("b")))
	f("5.18 another message in between", "close(1002) end", masked(0x01, []byte("a")), masked(0x81, []byte("b")))
	f("5.19 five fragments, pings in between", all("pong(1)", "pong(1)", refusedMessage),
		masked(0x01, []byte("a")), masked(0x00, []byte("b")), masked(0x89, []byte("p")), masked(0x00, nil), masked(0x89, []byte("p")), masked(0x80, []byte("c")))
	f("fragments that are too large together", "close(1009) end", masked(0x01, make([]byte, 40<<10)), masked(0x80, make([]byte, 40<<10)))

	// 6 UTF-8
	for _, good := range []string{"Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\U0010ffff", "\x00", "\ufffe\uffff", "\ufeff"} {
		f("6 valid UTF-8", refusedMessage, text(good))
	}
	for _, bad := range []string{
		"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", "\xf4\x90\x80\x80", "\x80", "\xbf", "\xc0\xaf", "\xe0\x80\xaf", "\xf8\x88\x80\x80\x80",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xfe", "\xff", "\xc3", "\xe1\xbd", "\xf0\x9f\x8c",
	} {
		f("6 invalid UTF-8", "close(1007) end", text(bad), closing(1007, ""))
	}
	f("6.2 a character in two fragments", refusedMessage, masked(0x01, []byte{0xce}), masked(0x80, []byte{0xba}))
	f("6.4 invalid in the second fragment", "close(1007) end", masked(0x01, []byte("\xce\xba")), masked(0x80, []byte("\xff")), closing(1007, ""))

	// 7 The end
	f("7.1.1 a message, then the end", all(refusedMessage, "close(1000) end"), text("x"), closing(1000, ""))
	f("7.1.2 twice", "close(1000) end", closing(1000, ""), closing(1000, ""))
	f("7.1.3 a ping behind it", "close(1000) end", closing(1000, ""), masked(0x89, nil))
	f("7.3.1 no code", "close(0) end", masked(0x88, nil))
	f("7.3.2 half a code (the library lets it pass)", "close(0) end", masked(0x88, []byte{3}))
	f("7.3.5 a reason of 123 bytes", "close(1000) end", closing(1000, strings.Repeat("*", 123)))
	f("7.3.6 a reason of 124 bytes", "close(1002) end", closing(1000, strings.Repeat("*", 124)))
	f("7.5.1 a reason that is not UTF-8", "close(1002) end", closing(1000, "\xce\xba\xff"))
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		f(fmt.Sprint("7.7 code ", code), fmt.Sprintf("close(%d) end", code), closing(code, ""))
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535} {
		f(fmt.Sprint("7.9 code ", code), "close(1002) end", closing(code, ""))
	}

	// 9 Limits: an answer of four megabytes, and one byte at a time
	c := s.upgraded()
	for _, b := range text(`{"type":"chat.create","id":"a","request":{"model":"m"}}`) {
		c.write(string([]byte{b}))
	}
	if got := c.frames(2); !strings.HasPrefix(got, `text({"type":"chat.chunk"`) {
		t.Error(got)
	}

	// 12, 13 Compression is offered and not taken, see TestNoCompression.
}

// TestLongEvents has frames of each form of length.
func TestLongEvents(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out))
	c := s.chat()
	c.SetReadLimit(8 << 20)
	c.create("a")
	e := <-out
	for _, n := range []int{0, 1, 40, 60, 70, 80, 100, 65400, 65450, 65480, 65490, 65500, 65536, 100_000, 4 << 20} {
		want := strings.Repeat("x", n)
		e.feed <- `"` + want + `"`
		if f := c.next(); string(f.Chunk) != `"`+want+`"` {
			t.Fatalf("%d bytes became %.100s", n, f.raw)
		}
	}
	e.feed <- io.EOF
	c.expect(`{"type":"chat.done"`)
}

func TestNoCompression(t *testing.T) {
	s := start(t, chunks(1, 1))
	for _, offer := range []string{"permessage-deflate", "permessage-deflate; client_max_window_bits", "x-webkit-deflate-frame"} {
		c := s.raw()
		c.write(strings.Replace(upgradeText, "Host:", "Sec-WebSocket-Extensions: "+offer+"\r\nHost:", 1))
		if h := c.answered(); h.Get("Sec-WebSocket-Extensions") != "" {
			t.Errorf("%s: %v", offer, h)
		}
	}
}

// TestBodies: the bytes of messages count like those of requests, and there may be too many.
func TestBodies(t *testing.T) {
	hold := make(chan struct{})
	s := start(t, func(x *gateway.Exchange) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		x.Reply = &gateway.Reply{Status: 200, Kind: gateway.Events, Stream: &held{hold}}
		return nil // without a commit: the body is kept
	}, func(u *setup) { u.server.MaxInFlight = 300 << 10 })
	c := s.chat()
	large := strings.Repeat(" ", 200<<10)
	c.send(`{"type":"chat.create","id":"a","request":{"model":"m"` + large + `}}`)
	c.fails("a", gateway.CodeBusy) // as it came, and as the chain gets it: both are 256 KiB
	if _, held := s.s.Live(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
	c.send(`{"type":"chat.create","id":"a","request":{"model":"m"` + large[:50<<10] + `}}`)
	until(t, "it is held", func() bool { _, n := s.s.Live(); return n == 64<<10 })
	c.send(`{"type":"chat.create","id":"b","request":{"model":"m"` + large + `}}`)
	c.fails("", gateway.CodeBusy)
	close(hold)
	c.expect(`{"type":"chat.done","id":"a"`)
}

// held is a stream that ends when it is told to.
type held struct{ hold chan struct{} }

func (h *held) Next() (gateway.Event, error) { <-h.hold; return gateway.Event{}, io.EOF }
func (h *held) Ready() bool                  { return false }
func (h *held) Close() error                 { return nil }

// TestFailures: whatever goes wrong in an exchange costs it alone.
func TestFailures(t *testing.T) {
	f := func(code string, status int, handler gateway.HandlerFunc) {
		t.Helper()
		s := start(t, handler)
		c := s.chat()
		c.create("a")
		if f := c.fails("a", code); f.Status != status || f.Seq == 0 || f.RequestID == "" {
			t.Error(f.raw)
		}
		c.send("?")
		c.fails("", "invalid_json")
		until(t, "it has ended", func() bool { return len(s.ended()) == 1 && s.ended()[0] != nil })
	}
	reply := func(r gateway.Reply) gateway.HandlerFunc {
		return func(x *gateway.Exchange) error {
			x.Reply = &r
			return x.Request.Open()
		}
	}
	f("internal_error", 500, func(*gateway.Exchange) error { panic("at once") })
	f("internal_error", 500, func(*gateway.Exchange) error { return errors.New("secret") })
	f("no_reply", 500, func(*gateway.Exchange) error { return nil })
	f("upstream_stream_error", 0, reply(gateway.Reply{Status: 200, Kind: gateway.Events, Stream: broken{}}))
	f("upstream_bad_response", 502, reply(gateway.Reply{Status: 200, Stream: gateway.Once([]byte(`{}`))}))
	f("theirs", 418, reply(gateway.Reply{Status: 418, Stream: gateway.Once([]byte(`{"error":{"message":"m","type":"t","param":"p","code":"theirs"}}`))}))
}

type broken struct{}

func (broken) Next() (gateway.Event, error) { return gateway.Event{}, io.ErrUnexpectedEOF }
func (broken) Ready() bool                  { return false }
func (broken) Close() error                 { return nil }

var _ serve.Generations = (*server)(nil)
