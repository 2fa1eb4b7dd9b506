package forward_test

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/forward"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// saying is a target that says pieces of a text, after a while, and ends well or with an error.
type saying struct {
	pieces []string
	end    error // nil: it says that it is done
	usage  chat.Usage
	after  time.Duration
	asked  []string
}

// Send implements gateway.Sender.
func (s *saying) Send(x *gateway.Exchange, _ *gateway.Target, a *gateway.Attempt) (*gateway.Reply, error) {
	s.asked = append(s.asked, string(x.Request.Body()))
	pauseFor(s.after)
	a.Status, a.First = 200, 1
	return &gateway.Reply{Status: 200, Kind: gateway.Events, Stream: &said{saying: s, x: x, a: a}}, nil
}

// said is the stream of a saying. Its bytes are spoilt by the next event.
type said struct {
	*saying
	x   *gateway.Exchange
	a   *gateway.Attempt
	n   int
	buf []byte
}

// Next implements gateway.Stream.
func (s *said) Next() (gateway.Event, error) {
	clear(s.buf)
	n := s.n
	s.n++
	switch {
	case n < len(s.pieces):
		finish := "null"
		if s.end == nil && n == len(s.pieces)-1 {
			finish = `"stop"`
		}
		s.buf = append(s.buf[:0], `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":`+
			strconv.Quote(s.pieces[n])+`},"finish_reason":`+finish+`}]}`...)
		return gateway.Event{Data: s.buf}, nil
	case s.end != nil:
		s.a.Err = s.end
		return gateway.Event{}, s.end
	case n == len(s.pieces):
		return gateway.Event{Data: []byte("[DONE]")}, nil
	}
	return gateway.Event{}, io.EOF
}

// Ready implements gateway.Stream.
func (s *said) Ready() bool { return true }

// Close implements gateway.Stream.
func (s *said) Close() error {
	s.x.Usage, s.a.Usage = s.usage, s.usage
	return nil
}

// heard is what a caller was told.
type heard struct {
	text, finish string
	err          error
}

// hear reads a stream as a transport does, and fails if one that says it is ready makes it wait.
func hear(t *testing.T, x *gateway.Exchange) (h heard) {
	t.Helper()
	x.Idle = func() error { return nil }
	for {
		ready, began := x.Reply.Stream.Ready(), time.Now()
		ev, err := x.Reply.Stream.Next()
		if took := time.Since(began); ready && took > 0 {
			t.Errorf("it was ready, and made its caller wait for %v", took)
		}
		if errors.Is(err, io.EOF) {
			return h
		}
		if h.err = err; err != nil {
			return h
		}
		data := string(ev.Data)
		for x.Reply.Stream.Ready() && string(ev.Data) != data {
			t.Error("a look at the next event has spoilt the last")
			break
		}
		_, rest, _ := strings.Cut(data, `"content":"`)
		piece, _, _ := strings.Cut(rest, `"`)
		h.text += piece
		if _, rest, ok := strings.Cut(data, `"finish_reason":"`); ok {
			h.finish, _, _ = strings.Cut(rest, `"`)
		}
	}
}

// What the caller is told of an answer that one target begins and another goes on with: one text, without waiting for the second
// before he has what the first had said; one usage, with his prompt once; and no more than he asked for.
func TestRecover(t *testing.T) {
	cut := errors.New("upstream: the answer broke off")
	const tokens = chat.Reported
	long := strings.Repeat("many words here ", 200) + "x"
	f := func(name string, limit int, one, two *saying, want heard, usage chat.Usage, lowered string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			one.end, two.after = cut, 3*time.Second
			fleet := newFleet(one, two)
			o := options()
			o.Recover = true
			x := fleet.ask(`{"model":"m","stream":true,"max_tokens":` + strconv.Itoa(limit) + `,"messages":[{"role":"user","content":"hi"}]}`)
			if err := forward.New(o).Serve(x); err != nil {
				t.Fatal(err)
			}
			if got := hear(t, x); got != want {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
			_ = x.Reply.Stream.Close()
			if usage.Provenance == chat.Unknown {
				usage.Provenance = chat.Estimated
			}
			if x.Usage != usage {
				t.Errorf("%s: %+v, want %+v", name, x.Usage, usage)
			}
			if lowered == "" && len(two.asked) > 0 || lowered != "" && (len(two.asked) != 1 || !strings.Contains(two.asked[0], `"max_tokens":`+lowered+",")) {
				t.Errorf("%s: asked %.100q", name, two.asked)
			}
			x.End(nil)
		})
	}
	say := func(u chat.Usage, pieces ...string) *saying { return &saying{pieces: pieces, usage: u} }
	rest := chat.Usage{Input: 30, Output: 3, Provenance: tokens}
	f("by the rest", 1000, say(chat.Usage{}, "Hello ", "wor"), say(rest, "ld", "!"),
		heard{text: "Hello world!", finish: "stop"}, chat.Usage{Input: 28, Output: 5}, "998")
	f("by the first", 1000, say(chat.Usage{Input: 20, CacheRead: 4, Output: 2, Provenance: tokens}, "Hello ", "wor"), say(rest, "ld", "!"),
		heard{text: "Hello world!", finish: "stop"}, chat.Usage{Input: 20, CacheRead: 4, Output: 5, Provenance: tokens}, "998")
	f("by nobody", 1000, say(chat.Usage{}, "Hello ", "wor"), say(chat.Usage{}, "ld", "!"),
		heard{text: "Hello world!", finish: "stop"}, chat.Usage{Input: 22, Output: 2}, "998")
	f("in large pieces", 1000, say(chat.Usage{}, long), say(chat.Usage{Input: 830, Output: 3, Provenance: tokens}, "ld", "!"),
		heard{text: long + "ld!", finish: "stop"}, chat.Usage{Input: 30, Output: 803}, "600")
	f("all is said", 2, say(chat.Usage{}, "Hello ", "wor"), say(rest, "ld", "!"),
		heard{text: "Hello wor", finish: "length"}, chat.Usage{Input: 21, Output: 2}, "")
	f("white space at the break", 1000, say(chat.Usage{}, "Hello", " "), say(rest, " world", "!"),
		heard{text: "Hello world!", finish: "stop"}, chat.Usage{Input: 28, Output: 5}, "998")
}
