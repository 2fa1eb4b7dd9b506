package socket_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/sluice-ai/sluice/gateway"
)

// TestResume breaks the connection and goes on with the same exchange on another.
func TestResume(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out))
	c := s.chat()
	c.create("a")
	e := <-out
	e.feed <- "1"
	e.feed <- "2"
	c.expect(`{"type":"chat.chunk","id":"a","seq":1,"chunk":1}`)
	c.expect(`{"type":"chat.chunk","id":"a","seq":2,"chunk":2}`)
	_ = c.NetConn().Close()
	e.feed <- "3"
	d := s.chat()
	d.send(`{"type":"chat.resume","id":"a","after":1}`)
	d.expect(`{"type":"chat.chunk","id":"a","seq":2,"chunk":2}`)
	d.expect(`{"type":"chat.chunk","id":"a","seq":3,"chunk":3}`)
	e.feed <- "4"
	d.expect(`{"type":"chat.chunk","id":"a","seq":4,"chunk":4}`)
	d.send(`{"type":"chat.resume","id":"a","after":9}`)
	d.fails("a", "invalid_value")
	d.send(`{"type":"chat.resume","id":"a","after":2}`) // again, where it is
	d.expect(`{"type":"chat.chunk","id":"a","seq":3,"chunk":3}`)
	d.expect(`{"type":"chat.chunk","id":"a","seq":4,"chunk":4}`)
	e.feed <- io.EOF
	d.expect(`{"type":"chat.done","id":"a","seq":5`)
	_ = d.NetConn().Close()
	f := s.chat() // who lost the end gets it
	f.send(`{"type":"chat.resume","id":"a","after":3}`)
	f.expect(`{"type":"chat.chunk","id":"a","seq":4,"chunk":4}`)
	f.expect(`{"type":"chat.done","id":"a","seq":5`)
	f.send(`{"type":"chat.resume","id":"a","after":5}`) // nothing is missing, and nothing comes
	f.create("b")
	e = <-out
	e.feed <- io.EOF
	f.expect(`{"type":"chat.done","id":"b","seq":1`)
	if n := len(s.ended()); n != 2 && n != 1 {
		t.Errorf("%d exchanges", n)
	}
	if n := s.value("sluice_socket_resumed_total"); n != 4 {
		t.Errorf("%v were resumed", n)
	}
}

// TestLateResume: what a client has asked for on a connection that it gave up is read behind what it asks for on the next.
func TestLateResume(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out))
	first, second, third := s.chat(), s.chat(), s.chat()
	first.create("a")
	e := <-out
	e.feed <- "1"
	first.expect(`{"type":"chat.chunk","id":"a","seq":1`)
	third.send(`{"type":"chat.resume","id":"a"}`)
	third.expect(`{"type":"chat.chunk","id":"a","seq":1`)
	second.send(`{"type":"chat.resume","id":"a"}`)
	second.fails("a", "resumed_elsewhere")
	e.feed <- "2"
	third.expect(`{"type":"chat.chunk","id":"a","seq":2`)
	e.feed <- io.EOF
	third.expect(`{"type":"chat.done"`)
}

// TestResumeByOthers is asked by callers who are not the one whose exchange it is.
func TestResumeByOthers(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out), func(u *setup) {
		u.who = func(credential string) (gateway.Caller, error) {
			switch credential {
			case "same key, other tenant":
				return gateway.Caller{Tenant: &gateway.Tenant{ID: "other"}, Key: "ci"}, nil
			case "other key":
				return gateway.Caller{Tenant: &gateway.Tenant{ID: "acme"}, Key: "cd"}, nil
			case "nobody":
				return gateway.Caller{Tenant: &gateway.Tenant{ID: "acme"}}, nil
			}
			return somebody(credential)
		}
	})
	c := s.chat()
	c.create("a")
	e := <-out
	e.feed <- "1"
	c.expect(`{"type":"chat.chunk"`)
	for _, credential := range []string{"same key, other tenant", "other key", "nobody", "token:u1"} {
		other, _, err := s.dial(chatPath, "Authorization", "Bearer "+credential)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"resume", "cancel"} {
			other.send(`{"type":"chat.` + kind + `","id":"a"}`)
			other.fails("a", "unknown_exchange")
		}
	}
	e.feed <- io.EOF
	c.expect(`{"type":"chat.done"`)
}

// TestRevoked: who is no caller any more does not get what he has asked for.
func TestRevoked(t *testing.T) {
	var revoked atomic.Bool
	s := start(t, chunks(3, 10), func(u *setup) {
		u.who = func(credential string) (gateway.Caller, error) {
			if revoked.Load() {
				return somebody("")
			}
			return somebody(credential)
		}
	})
	c, d := s.chat(), s.chat()
	c.create("a")
	c.expect(`{"type":"chat.chunk"`)
	revoked.Store(true)
	d.send(`{"type":"chat.resume","id":"a"}`)
	d.fails("a", "invalid_api_key")
	d.create("b")
	d.fails("b", "invalid_api_key")
}

// TestGrace: nobody comes back, and the provider is not asked for more.
func TestGrace(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out), func(u *setup) { u.options.Grace = 50 * time.Millisecond })
	c := s.chat()
	c.create("a")
	e := <-out
	e.feed <- "1"
	c.expect(`{"type":"chat.chunk"`)
	_ = c.NetConn().Close()
	select {
	case <-e.done:
	case <-time.After(patience):
		t.Fatal("the exchange goes on without anybody")
	}
	until(t, "it has ended", func() bool { return len(s.ended()) == 1 })
	d := s.chat()
	d.send(`{"type":"chat.resume","id":"a","after":1}`)
	d.fails("a", "unknown_exchange")
	until(t, "nothing is kept", func() bool { return s.value("sluice_socket_recorded_bytes") == 0 })

	d.create("b") // what has ended is kept as long, and no longer
	e = <-out
	e.feed <- io.EOF
	d.expect(`{"type":"chat.done"`)
	until(t, "it is forgotten", func() bool {
		d.send(`{"type":"chat.resume","id":"b","after":1}`)
		d.create("probe")
		(<-out).feed <- io.EOF
		if f := d.next(); f.ID == "b" {
			d.next()
			return f.Error.Code == "unknown_exchange"
		}
		return false
	})
	until(t, "nothing is kept", func() bool { return s.value("sluice_socket_recorded_bytes") == 0 })
}

// TestGap asks for what is not kept any more.
func TestGap(t *testing.T) {
	out := make(chan *events, 1)
	s := start(t, streaming(out), func(u *setup) { u.options.Keep = 10 << 10 })
	c := s.chat()
	c.create("a")
	e := <-out
	for i := range 100 {
		e.feed <- chunk(i, 1000)
		c.expect(fmt.Sprintf(`{"type":"chat.chunk","id":"a","seq":%d,`, i+1))
	}
	if n := s.value("sluice_socket_recorded_bytes"); n > 16<<10 {
		t.Errorf("%v bytes are kept", n)
	}
	c.send(`{"type":"chat.resume","id":"a","after":1}`)
	c.fails("a", "resume_gap")
	c.send(`{"type":"chat.resume","id":"a","after":98}`)
	c.expect(`{"type":"chat.chunk","id":"a","seq":99,`)
	c.expect(`{"type":"chat.chunk","id":"a","seq":100,`)
	e.feed <- io.EOF
	c.expect(`{"type":"chat.done"`)
}

// TestAwayForLong: while the client is away no more is pulled than is kept, and nothing is lost.
func TestAwayForLong(t *testing.T) {
	const n, keep = 1000, 20 << 10
	out := make(chan *events, 1)
	s := start(t, streaming(out), func(u *setup) { u.options.Keep = keep })
	c := s.chat()
	c.create("a")
	e := <-out
	_ = c.NetConn().Close()
	until(t, "the client is gone", func() bool { return s.value("sluice_sockets") == 0 })
	for i := range n {
		e.feed <- chunk(i, 1000)
	}
	e.feed <- io.EOF
	until(t, "as much is kept as may be", func() bool { return len(e.feed) < n-keep/1100 })
	d := s.chat()
	for range 2 { // twice as far as that it is there: it does not go on by itself
		d.send(`{"type":"chat.cancel","id":"nobody"}`)
		d.fails("nobody", "unknown_exchange")
	}
	if left := len(e.feed); left < n-3*keep/1000 {
		t.Errorf("%d were pulled", n-left)
	}
	d.send(`{"type":"chat.resume","id":"a","after":0}`)
	for i := range n {
		d.expect(fmt.Sprintf(`{"type":"chat.chunk","id":"a","seq":%d,"chunk":{"n":%d,`, i+1, i))
	}
	d.expect(`{"type":"chat.done","id":"a","seq":1001`)
}

// TestKeepAll bounds what all exchanges keep together: what has ended goes first, oldest first.
func TestKeepAll(t *testing.T) {
	s := start(t, chunks(50, 1000), func(u *setup) { u.options.Keep, u.options.KeepAll = 100<<10, 300<<10 })
	c := s.chat()
	for i := range 20 {
		c.create(fmt.Sprint("x", i))
		for c.next().Type != "chat.done" {
		}
	}
	if n := s.value("sluice_socket_recorded_bytes"); n > 300<<10 {
		t.Errorf("%v bytes are kept", n)
	}
	c.send(`{"type":"chat.resume","id":"x0"}`)
	c.fails("x0", "unknown_exchange")
	c.send(`{"type":"chat.resume","id":"x19","after":50}`)
	c.expect(`{"type":"chat.done","id":"x19","seq":51`)
}

// TestRandomDisconnects: a thousand connections break at random moments, and every answer arrives whole, and once.
func TestRandomDisconnects(t *testing.T) {
	const clients, breaks, events = 20, 50, 600
	var asked atomic.Int64
	s := start(t, func(x *gateway.Exchange) error {
		asked.Add(1)
		if err := x.Request.Open(); err != nil {
			return err
		}
		x.Reply = &gateway.Reply{Status: 200, Kind: gateway.Events, Stream: &paced{x: x, left: events}}
		x.Commit()
		return nil
	})
	var want strings.Builder
	for i := range events {
		want.WriteString(pacedChunk(i))
	}
	var work sync.WaitGroup
	var broken atomic.Int64
	for k := range clients {
		work.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(k)))
			id := fmt.Sprint("client-", k)
			got, n := s.patient(id, r, breaks, events)
			broken.Add(int64(n))
			if got != want.String() {
				t.Errorf("%s got %d bytes of %d, or others", id, len(got), want.Len())
			}
		})
	}
	work.Wait()
	if asked.Load() != clients {
		t.Errorf("the provider was asked %d times for %d answers", asked.Load(), clients)
	}
	if broken.Load() != clients*breaks {
		t.Errorf("%d connections broke", broken.Load())
	}
}

// patient asks, breaks its connection so often, at random places, and puts the answer together.
func (s *server) patient(id string, r *rand.Rand, breaks, events int) (answer string, broken int) {
	places := make([]int, breaks)
	for i := range places {
		places[i] = 1 + r.IntN(events)
	}
	slices.Sort(places)
	var got strings.Builder
	seq := int64(0)
	for first := true; ; first = false {
		c := s.chat()
		if first {
			c.create(id)
		} else {
			c.send(fmt.Sprintf(`{"type":"chat.resume","id":%q,"after":%d}`, id, seq))
		}
		for {
			if broken < breaks && int(seq) >= places[broken] {
				broken++
				if r.IntN(2) == 0 {
					_ = c.NetConn().(*net.TCPConn).SetLinger(0)
				}
				_ = c.NetConn().Close()
				break
			}
			f, err := c.receive()
			switch {
			case err != nil:
				s.t.Error(err)
				return got.String(), broken
			case f.Type == "chat.chunk" && f.Seq == seq+1:
				got.Write(f.Chunk)
				seq = f.Seq
			case f.Type == "chat.done" && f.Seq == seq+1 && broken == breaks:
				_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
				return got.String(), broken
			case f.Type == "chat.done": // the last breaks come behind the end
				broken++
				_ = c.NetConn().Close()
			default:
				s.t.Errorf("behind %d came %s", seq, f.raw)
				return got.String(), broken
			}
			if f.Type == "chat.done" {
				break
			}
		}
	}
}

// paced is a stream that takes a little time for each event.
type paced struct {
	x    *gateway.Exchange
	i    int
	left int
}

func pacedChunk(i int) string { return fmt.Sprintf(`{"n":%d,"text":"%x"}`, i, i*i) }

func (p *paced) Next() (gateway.Event, error) {
	if p.left == 0 {
		return gateway.Event{}, io.EOF
	}
	timer := time.NewTimer(200 * time.Microsecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.x.Context().Done():
		return gateway.Event{}, p.x.Cause()
	}
	p.left--
	p.i++
	return gateway.Event{Data: []byte(pacedChunk(p.i - 1))}, nil
}

func (p *paced) Ready() bool  { return false }
func (p *paced) Close() error { return nil }
