package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/sluice-ai/sluice/benchmarks/internal/proc"
)

const (
	socketIdle   = 10_000 // sockets that say nothing
	socketActive = 1000   // sockets that stream
	socketWarm   = 3 * time.Second
	socketWindow = 6 * time.Second
)

// socketTest has the load generator's part for the floor.
func socketTest() test {
	return test{
		name: "sockets", model: "mock-n64-i40-d20", run: sockets,
		load: append(flags(socketActive, socketWarm, socketWindow), "-stream", "-ramp", "2500ms"),
		figures: []figure{
			{"sockets.idle", "KiB RSS/idle socket", value("idle"), limit{most: 10}},
			{"sockets.frame", "CPU µs/frame", value("frame"), limit{}},
			{"sockets.floor", "CPU µs/chunk of the floor's SSE", value("floor"), limit{}},
			{"sockets.ratio", "frame / chunk", value("ratio"), limit{most: 1}},
		},
	}
}

// sockets measures what WebSockets cost: memory of those that are idle, and CPU of those that stream beside the floor's SSE.
func sockets(ctx context.Context, b *bench, t test, s subject) (r row, err error) {
	r.Values = map[string]float64{}
	mock, address, err := b.startMock(ctx)
	if err != nil {
		return r, err
	}
	defer mock.stop()
	floor, at, _, err := b.startSubject(ctx, b.subjects[0], site{upstreams: []string{address}})
	if err != nil {
		return r, err
	}
	load, err := b.load(ctx, t, at.listen, floor.pid())
	floor.stop()
	if err != nil {
		return r, err
	}
	r.Values["floor"] = load.Streams.CPUPerChunk
	tested, at, _, err := b.startSubject(ctx, s, site{upstreams: []string{address}})
	if err != nil {
		return r, err
	}
	defer tested.stop()
	if r.Values["idle"], err = b.idleSockets(at.listen, tested.pid()); err != nil {
		return r, err
	}
	if r.Values["frame"], err = b.streamingSockets(ctx, t, at.listen, tested.pid()); err != nil {
		return r, err
	}
	r.Values["ratio"] = r.Values["frame"] / r.Values["floor"]
	return r, nil
}

// idleSockets is how many KiB the process grows for each socket that says nothing.
func (b *bench) idleSockets(listen string, pid int) (float64, error) {
	before, err := proc.RSS(pid)
	if err != nil {
		return 0, err
	}
	open := make([]net.Conn, 0, socketIdle)
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for range socketIdle {
		c, err := b.bareSocket(listen)
		if err != nil {
			return 0, err
		}
		open = append(open, c)
	}
	<-time.After(b.settle)
	after, err := proc.RSS(pid)
	return float64(after-before) / 1024 / socketIdle, err
}

// bareSocket opens a socket without a client's buffers.
func (b *bench) bareSocket(listen string) (net.Conn, error) {
	c, err := net.Dial("tcp4", listen)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(c, "GET "+chatPath+" HTTP/1.1\r\nHost: "+listen+"\r\nAuthorization: Bearer "+b.key+
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err == nil {
		err = upgraded(c)
	}
	if err != nil {
		_ = c.Close()
	}
	return c, err
}

func upgraded(c net.Conn) error {
	r, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("an upgrade was answered with %s", r.Status)
	}
	return nil
}

// streamingSockets is how much CPU the process takes for each event, in µs, while all sockets stream.
func (b *bench) streamingSockets(ctx context.Context, t test, listen string, pid int) (float64, error) {
	ctx, stop := context.WithTimeout(ctx, socketWarm+socketWindow)
	defer stop()
	var events, ended atomic.Int64
	var work sync.WaitGroup
	for i := range socketActive {
		work.Go(func() {
			if err := b.stream(ctx, listen, t.model, i, &events); err != nil && ctx.Err() == nil {
				ended.Add(1)
			}
		})
	}
	<-time.After(socketWarm)
	from := events.Load()
	before, err := proc.CPU(pid)
	if err != nil {
		return 0, err
	}
	<-ctx.Done()
	after, err := proc.CPU(pid)
	n := events.Load() - from
	work.Wait()
	if ended.Load() > 0 || n == 0 {
		return 0, errors.Join(err, fmt.Errorf("%d of %d sockets ended early, %d events", ended.Load(), socketActive, n))
	}
	return float64((after - before).Microseconds()) / float64(n), err
}

// stream asks for one answer after another on a socket, the i-th, and counts their events.
func (b *bench) stream(ctx context.Context, listen, model string, i int, events *atomic.Int64) error {
	<-time.After(time.Duration(i) * socketWarm / 2 / socketActive) // not all at once
	c, r, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+listen+chatPath, http.Header{"Authorization": {"Bearer " + b.key}})
	if err != nil {
		return err
	}
	_ = r.Body.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	for n := 0; ; n++ {
		ask := fmt.Sprintf(`{"type":"chat.create","id":"%d-%d","request":{"model":%q,"messages":[{"role":"user","content":"hi"}]}}`, i, n, model)
		if err := c.WriteMessage(websocket.TextMessage, []byte(ask)); err != nil {
			return err
		}
		for {
			_, event, err := c.ReadMessage()
			if err != nil {
				return err
			}
			if !bytes.HasPrefix(event, []byte(`{"type":"chat.chunk"`)) {
				if !bytes.HasPrefix(event, []byte(`{"type":"chat.done"`)) {
					return fmt.Errorf("%s", event)
				}
				break
			}
			events.Add(1)
		}
	}
}
