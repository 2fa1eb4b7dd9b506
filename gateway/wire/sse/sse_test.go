package sse_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// standard is the event stream algorithm of WHATWG HTML 9.2.6, written down naively: lines first, then fields. It
// differs in what this package says it does: events without data are dropped. whole is false if something follows the
// last blank line.
func standard(stream string) (events []sse.Event, whole bool) {
	stream = strings.TrimPrefix(stream, "\xef\xbb\xbf")
	stream = strings.ReplaceAll(stream, "\r\n", "\n")
	stream = strings.ReplaceAll(stream, "\r", "\n")
	lines := strings.Split(stream, "\n")
	tail := lines[len(lines)-1]
	name, data := "", ""
	open := false
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if data = strings.TrimSuffix(data, "\n"); data != "" {
				events = append(events, sse.Event{Name: name, Data: []byte(data)})
			}
			name, data, open = "", "", false
			continue
		}
		open = true
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "data":
			data += value + "\n"
		case "event":
			name = value
		}
	}
	return events, !open && tail == ""
}

// splitting reads a stream as the gateway does: it adds pieces to a buffer and takes blocks off.
func splitting(t *testing.T, stream string, pieces func() int) []sse.Event {
	t.Helper()
	var events []sse.Event
	var buf []byte
	from := 0
	for rest := stream; ; {
		for {
			block, n, next := sse.Split(buf, from)
			if next < from && n == 0 || next > len(buf) || n < 0 || n > len(buf) || len(block) > n {
				t.Fatalf("Split(%q, %d) = %q, %d, %d", buf, from, block, n, next)
			}
			if n == 0 {
				from = next
				break
			}
			after := string(buf[n:])
			end := string(buf[len(block):n])
			if ev, ok := sse.Parse(block); ok {
				events = append(events, sse.Event{Name: ev.Name, Data: bytes.Clone(ev.Data)})
			}
			if string(buf[n:]) != after || string(buf[len(block):n]) != end {
				t.Fatalf("Parse wrote past its block, of %q", stream)
			}
			buf, from = buf[n:], 0
		}
		if rest == "" {
			return events
		}
		n := min(pieces(), len(rest))
		buf = append(buf, rest[:n]...)
		rest = rest[n:]
	}
}

func reading(r io.Reader, limit int) (events []sse.Event, err error) {
	rd := sse.NewReader(r, limit)
	for {
		ev, err := rd.Next()
		if err != nil {
			return events, err
		}
		events = append(events, sse.Event{Name: ev.Name, Data: bytes.Clone(ev.Data)})
	}
}

func same(a, b []sse.Event) bool {
	return slices.EqualFunc(a, b, func(a, b sse.Event) bool { return a.Name == b.Name && bytes.Equal(a.Data, b.Data) })
}

func TestStreams(t *testing.T) {
	f := func(stream string, want ...sse.Event) {
		t.Helper()
		if got, _ := standard(stream); !same(got, want) {
			t.Fatalf("the test's own oracle on %q: %q", stream, got)
		}
		for size := 1; size <= len(stream); size++ {
			if got := splitting(t, strings.TrimPrefix(stream, "\xef\xbb\xbf"), func() int { return size }); !same(got, want) {
				t.Errorf("split %q by %d: got %q, want %q", stream, size, got, want)
			}
		}
		got, err := reading(iotest.OneByteReader(strings.NewReader(stream)), 1<<20)
		if !same(got, want) || err != io.EOF {
			t.Errorf("read %q: got %q, %v; want %q", stream, got, err, want)
		}
	}
	data := func(s string) sse.Event { return sse.Event{Data: []byte(s)} }

	f("data: {}\n\n", data("{}"))
	f("data:{}\n\n", data("{}"))
	f("data:  {}\n\n", data(" {}"))
	f("data: a\r\n\r\ndata: b\r\n\r\n", data("a"), data("b"))
	f("data: a\r\rdata: b\r\r", data("a"), data("b"))
	f("data: a\n\r\ndata: b\r\n\ndata: c\r\n\rdata: d\r\r\n", data("a"), data("b"), data("c"), data("d"))
	f("data: a\n\r", data("a"))
	f("\n\n\r\n\rdata: a\n\n\n\n", data("a"))
	f("\xef\xbb\xbfdata: a\n\n", data("a"))
	f("data: \xef\xbb\xbf\n\n\xef\xbb\xbfdata: a\n\n", data("\xef\xbb\xbf")) // only the first is a mark
	f("event: ping\ndata: {}\n\n", sse.Event{Name: "ping", Data: []byte("{}")})
	f("data: {}\nevent:mine\n\n", sse.Event{Name: "mine", Data: []byte("{}")})
	f("event: a\nevent: b\ndata: 1\n\ndata: 2\n\n", sse.Event{Name: "b", Data: []byte("1")}, data("2"))
	f("event: a\nevent\ndata: 1\n\n", data("1"))
	f("data: a\ndata:b\ndata\ndata:  c\n\n", data("a\nb\n\n c"))
	f("data\ndata\n\n", data("\n"))
	f("data: a\r\ndata: b\rdata: c\n\n", data("a\nb\nc"))
	f("data: a\nevent: x\n: no\ndata: b\n\n", sse.Event{Name: "x", Data: []byte("a\nb")})
	f("id: 7\nretry: 100\ndata: a\n\n", data("a"))
	f("Data: no\n data: no\ndatax: no\ndat: no\n\n")

	// what is no event
	f(": OPENROUTER PROCESSING\n\n:\n\n")
	f("event: ping\n\n")
	f("data:\n\n")
	f("data\n\n")
	f("data: \r\n\r\n")
	f("id: 7\n\nretry: 100\n\n")
	f("")
}

func TestSplit(t *testing.T) {
	f := func(b string, from int, block string, n, next int) {
		t.Helper()
		gb, gn, gnext := sse.Split([]byte(b), from)
		if string(gb) != block || gn != n || gnext != next {
			t.Errorf("Split(%q, %d) = %q, %d, %d; want %q, %d, %d", b, from, gb, gn, gnext, block, n, next)
		}
	}
	f("", 0, "", 0, 0)
	f("data: a", 0, "", 0, 7)
	f("data: a\n", 7, "", 0, 8)
	f("data: a\n\nx", 8, "data: a", 9, 0)
	f("data: a\r", 0, "", 0, 7) // the LF may follow
	f("data: a\r\n", 7, "", 0, 9)
	f("data: a\r\n\r", 9, "data: a", 10, 0) // a CR ends the blank line
	f("data: a\r\n\r\n", 9, "data: a", 11, 0)
	f("\n", 0, "", 1, 0)
	f("\r\n\n", 0, "", 2, 0)
	f("a\nb\n\n", 0, "a\nb", 5, 0)
	long := strings.Repeat("x", 5000)
	f(long+"\n\n", 0, long, 5002, 0)
	f(long+"\r\r"+long+"\n\n", 0, long, 5002, 0)
}

func TestAppend(t *testing.T) {
	f := func(name, data, want string) {
		t.Helper()
		if got := string(sse.Append([]byte("!"), name, []byte(data))); got != "!"+want {
			t.Errorf("Append(%q, %q) = %q, want %q", name, data, got, want)
		}
	}
	f("", "{}", "data: {}\n\n")
	f("ping", "{}", "event: ping\ndata: {}\n\n")
	f("", "a\nb\r\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n\n")
	f("", "a\n", "data: a\ndata: \n\n")
	f("", "", "")
	f("ping", "", "")
	f("a\ndata: injected\n\n", "{}", "event: a\ndata: {}\n\n")
}

func TestReaderEnds(t *testing.T) {
	broken := errors.New("broken")
	f := func(r io.Reader, limit, events int, want error) {
		t.Helper()
		rd := sse.NewReader(r, limit)
		for range events {
			if _, err := rd.Next(); err != nil {
				t.Fatalf("got %v, want an event", err)
			}
		}
		for range 2 { // it stays
			if _, err := rd.Next(); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	}
	s := func(s string) io.Reader { return strings.NewReader(s) }
	f(s(""), 9, 0, io.EOF)
	f(s("\xef\xbb\xbf"), 9, 0, io.EOF)
	f(s("\xef"), 9, 0, io.ErrUnexpectedEOF)
	f(s("data: a\n\n: x\n\n"), 9, 1, io.EOF)
	f(s("data: a\n\ndata: b\n"), 9, 1, io.ErrUnexpectedEOF)
	f(s("data: a\n\ndata: b\r"), 9, 1, io.ErrUnexpectedEOF)
	f(s("data: a\n\n:"), 9, 1, io.ErrUnexpectedEOF)
	f(io.MultiReader(s("data: a\n\n"), iotest.ErrReader(broken)), 9, 1, broken)
	f(io.MultiReader(s("data: a"), iotest.ErrReader(broken)), 9, 0, broken)
	f(iotest.DataErrReader(s("data: a\n\ndata: b\n\n")), 9, 2, io.EOF)
	f(nothing{}, 9, 0, io.ErrNoProgress)

	// the limit is the block's, whatever its ends and however it arrives
	for _, end := range []string{"\n\n", "\r\r", "\r\n\r\n"} {
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader} {
			f(wrap(s("data: 67"+end+"data: 67"+end)), 8, 2, io.EOF)
			f(wrap(s("data: 678"+end)), 8, 0, sse.ErrTooLong)
			f(wrap(s("data: 67"+end+"data: 678"+end)), 8, 1, sse.ErrTooLong)
		}
	}
	f(s("data: "+strings.Repeat("x", 1<<20)), 1<<16, 0, sse.ErrTooLong)
	f(s("data: "+strings.Repeat("x", 1<<20)+"\n\n"), 1<<30, 1, io.EOF)
	f(s("d\n\n"), -1, 0, io.EOF)
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

// TestSplitIsLinear feeds a long line bit by bit: a search that began anew each time would need minutes.
func TestSplitIsLinear(t *testing.T) {
	b := make([]byte, 0, 64<<20)
	from := 0
	for len(b) < cap(b) {
		b = append(b, "0123456789abcdef"...)
		_, n, next := sse.Split(b, from)
		if n != 0 || next != len(b) {
			t.Fatalf("at %d: %d, %d", len(b), n, next)
		}
		from = next
	}
	for b = append(b[:0], strings.Repeat("d:\r\r", 1<<20)...); len(b) > 0; {
		_, n, _ := sse.Split(b, 0)
		if n != 4 {
			t.Fatalf("a block of %d bytes", n)
		}
		b = b[n:]
	}
}

func FuzzStream(f *testing.F) {
	for _, s := range []string{
		"data: {\"choices\":[]}\n\ndata: [DONE]\n\n",
		"event: message_start\r\ndata: {}\r\n\r\n: ping\r\n\r\n",
		"data: a\rdata: b\r\rdata\r\n\n\r",
		"\xef\xbb\xbfdata: a\n\ndata: b",
		"event: x\nevent\ndata\ndata: \ndata:  c\nid: 7\n\n",
	} {
		f.Add(s, uint64(1))
	}
	f.Fuzz(func(t *testing.T, stream string, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		piece := func() int { return 1 + rnd.IntN(9) }
		want, whole := standard(stream)
		wantErr := io.EOF
		if !whole {
			wantErr = io.ErrUnexpectedEOF
		}
		limit := len(stream) + 1
		got, err := reading(strings.NewReader(stream), limit)
		if !same(got, want) || err != wantErr {
			t.Fatalf("whole %q: got %q, %v; want %q, %v", stream, got, err, want, wantErr)
		}
		got, err = reading(&pieces{stream, piece}, limit)
		if !same(got, want) || err != wantErr {
			t.Fatalf("in pieces %q: got %q, %v; want %q, %v", stream, got, err, want, wantErr)
		}
		if got = splitting(t, strings.TrimPrefix(stream, "\xef\xbb\xbf"), piece); !same(got, want) {
			t.Fatalf("split %q: got %q, want %q", stream, got, want)
		}
		// a limit must bite at the same place however the bytes arrive
		small := 1 + rnd.IntN(limit)
		got, err = reading(strings.NewReader(stream), small)
		again, errAgain := reading(&pieces{stream, piece}, small)
		if !same(got, again) || err != errAgain {
			t.Fatalf("limit %d on %q: %q, %v whole; %q, %v in pieces", small, stream, got, err, again, errAgain)
		}
	})
}

// pieces is a reader that gives a few bytes at a time.
type pieces struct {
	s    string
	size func() int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.s == "" {
		return 0, io.EOF
	}
	n := copy(b, p.s[:min(p.size(), len(p.s))])
	p.s = p.s[n:]
	return n, nil
}

func FuzzAppend(f *testing.F) {
	f.Add("ping", []byte(`{"a":1}`))
	f.Add("", []byte("a\n\nb\r\n c"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		b := sse.Append(nil, name, data)
		if len(data) == 0 {
			if len(b) != 0 {
				t.Fatalf("Append without data: %q", b)
			}
			return
		}
		block, n, _ := sse.Split(b, 0)
		if n != len(b) {
			t.Fatalf("Append(%q, %q) = %q is not one block", name, data, b)
		}
		ev, _ := sse.Parse(block)
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
		name, _, _ = strings.Cut(strings.ReplaceAll(name, "\r", "\n"), "\n")
		if ev.Name != name || string(ev.Data) != want {
			t.Fatalf("Append(%q, %q) arrives as %q, %q", name, data, ev.Name, ev.Data)
		}
	})
}
