package socket_test

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/sluice-ai/sluice/gateway"
)

// TestSlowReader: who does not read holds little, is told why he is closed once he reads, and can come back for the rest.
func TestSlowReader(t *testing.T) {
	const n, size = 2000, 2000 // four megabytes, more than the kernel takes
	out := make(chan *events, 1)
	s := start(t, streaming(out), func(u *setup) {
		u.options.WriteTimeout = time.Second
		u.options.Keep = 128 << 10
	})
	d := websocket.Dialer{NetDial: func(network, address string) (net.Conn, error) {
		c, err := net.Dial(network, address)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(8 << 10)
		}
		return c, err
	}}
	conn, _, err := d.Dial("ws://"+s.l.Addr().String()+chatPath, map[string][]string{"Authorization": {"Bearer key"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &client{t, conn}
	c.create("a")
	e := <-out
	for i := range n {
		e.feed <- chunk(i, size)
	}
	e.feed <- io.EOF
	most := 0.0
	until(t, "the gateway has had enough", func() bool {
		most = max(most, s.value("sluice_socket_recorded_bytes"))
		return len(e.feed) < n && s.value("sluice_socket_messages_total") == 1 && waitedLong(s)
	})
	if most > 256<<10 {
		t.Errorf("%v bytes were held", most)
	}
	seq := int64(0)
	for {
		f, err := c.receive()
		if e, ok := errors.AsType[*websocket.CloseError](err); ok {
			if e.Code != websocket.CloseTryAgainLater {
				t.Errorf("closed with %d", e.Code)
			}
			break
		}
		if err != nil || f.Seq != seq+1 {
			t.Fatalf("%v, %d behind %d", err, f.Seq, seq)
		}
		seq = f.Seq
	}
	if seq == 0 || seq >= n {
		t.Fatalf("%d events were read", seq)
	}
	again := s.chat()
	again.send(strings.Replace(`{"type":"chat.resume","id":"a","after":N}`, "N", itoa(seq), 1))
	for seq < n {
		f := again.next()
		if f.Seq != seq+1 {
			t.Fatal(f.raw[:100])
		}
		seq = f.Seq
	}
	again.expect(`{"type":"chat.done"`)
}

// waitedLong says whether a socket has been closed, in the gateway's mind.
func waitedLong(s *server) bool { return s.value("sluice_socket_slow_total") > 0 }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

var _ gateway.Stream = (*events)(nil)
