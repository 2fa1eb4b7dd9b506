package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	leaveMost  = 20.0                   // ms that a p99 may be
	leaveTries = 3                      // as often is a combination tried until it is less; the best counts
	leaveEvery = time.Millisecond       // between two clients that leave
	leaveGap   = 100 * time.Millisecond // of silence before they do, where a stream is silent
	leaveChunk = 50 * time.Millisecond  // between two chunks where it is not
	leaveWait  = 10 * time.Second       // for whatever must happen
)

// behind begins the user of a request that stands behind another one.
const behind = "behind "

// When clients leave, on which connections, and how: all combinations are tested.
var (
	moments     = [...]string{"headers", "stream", "gap"} // before any, while events come, while none comes
	connections = [...]string{"plain", "tls", "pipelined"}
	ways        = [...]string{"close", "reset"}
)

// departure is one combination, and how long after a client left the upstream's connection was closed, in ms.
type departure struct {
	Moment     string  `json:"moment"`
	Connection string  `json:"connection"`
	Way        string  `json:"way"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	Max        float64 `json:"max_ms"`
}

// leaveFigures are the worse p99 of the two ways to leave, for each moment and connection, and what is worst of all.
func leaveFigures() []figure {
	worst := func(of func(departure) float64, which func(departure) bool) func(row) float64 {
		return func(r row) float64 {
			most := math.Inf(-1)
			for _, d := range r.Departures {
				if which(d) {
					most = max(most, of(d))
				}
			}
			if math.IsInf(most, -1) {
				return math.NaN() // it came to nothing
			}
			return most
		}
	}
	all := func(departure) bool { return true }
	figures := []figure{
		{"leave.p50", "worst p50, ms", worst(func(d departure) float64 { return d.P50 }, all), limit{}},
		{"leave.max", "worst, ms", worst(func(d departure) float64 { return d.Max }, all), limit{}},
	}
	for _, moment := range moments {
		for _, connection := range connections {
			figures = append(figures, figure{
				"leave." + moment + "." + connection, "p99, ms",
				worst(func(d departure) float64 { return d.P99 }, func(d departure) bool { return d.Moment == moment && d.Connection == connection }),
				limit{most: leaveMost},
			})
		}
	}
	return figures
}

// leave lets clients go away in every combination, and measures how long the gateway goes on working for nobody.
func leave(ctx context.Context, b *bench, t test, s subject) (r row, err error) {
	if err := writeCertificate(b.dir); err != nil {
		return r, err
	}
	for _, connection := range connections {
		if err := b.leaveFrom(ctx, t, s, connection, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// leaveFrom goes through the moments and ways on one kind of connection, with a fresh gateway. What goes wrong ends it.
func (b *bench) leaveFrom(ctx context.Context, t test, s subject, connection string, r *row) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	up := &witness{l: l, arrived: make(chan string, 2*t.clients), gone: make(chan sighting, 2*t.clients)}
	up.work.Go(up.accept)
	defer up.stop()
	tested, g, took, err := b.startSubject(ctx, s, site{upstreams: []string{l.Addr().String()}, tls: connection == "tls"})
	if err != nil {
		return err
	}
	defer tested.stop()
	r.Start = took.Seconds() * 1000
	for _, moment := range moments {
		for _, way := range ways {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d, err := b.departures(t.clients, g, up, departure{Moment: moment, Connection: connection, Way: way})
			if err != nil {
				r.Failed = append(r.Failed, fmt.Sprintf("%s, %s, %s: %v", moment, connection, way, err))
				return nil
			}
			r.Departures = append(r.Departures, d)
		}
	}
	return nil
}

// departures lets n clients leave in one way, again while that takes too long, and gives the best.
func (b *bench) departures(n int, g site, up *witness, d departure) (best departure, err error) {
	for try := range leaveTries {
		delays, err := b.depart(n, g, up, d)
		if err != nil {
			return best, err
		}
		d.P50, d.P99, d.Max = delays[(n-1)/2], delays[(n*99+99)/100-1], delays[n-1]
		fmt.Fprintf(b.progress, "leave    %-10s %-8s %-6s p50 %.2f ms  p99 %.2f ms  max %.2f ms\n", d.Connection, d.Moment, d.Way, d.P50, d.P99, d.Max)
		if try == 0 || d.P99 < best.P99 {
			best = d
		}
		if best.P99 <= leaveMost {
			break
		}
	}
	return best, nil
}

// depart lets n clients come and leave, and gives the delays in ms, sorted.
func (b *bench) depart(n int, g site, up *witness, d departure) (delays []float64, err error) {
	var clients []*leaver
	defer func() {
		for _, c := range clients {
			c.end()
		}
	}()
	for i := range n {
		c, err := b.come(g, d, i)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	if err := begun(up, clients, d.Moment); err != nil {
		return nil, err
	}
	left := make(map[string]time.Time, n)
	for i, c := range clients {
		left[strconv.Itoa(i)] = time.Now()
		c.leave(d.Way)
		time.Sleep(leaveEvery)
	}
	for range clients {
		s, err := receive(up.gone, "the end of an upstream connection")
		if err != nil {
			return nil, err
		}
		at, known := left[s.user]
		if !known || s.at.Before(at) {
			return nil, fmt.Errorf("an upstream connection has ended before client %q left", s.user)
		}
		delays = append(delays, float64(s.at.Sub(at))/float64(time.Millisecond))
	}
	slices.Sort(delays)
	return delays, nil
}

// begun waits until all clients are where they leave.
func begun(up *witness, clients []*leaver, moment string) error {
	for range clients {
		user, err := receive(up.arrived, "a request that arrives")
		if err != nil {
			return err
		}
		if strings.HasPrefix(user, behind) {
			return errors.New("a request was begun after its client had left")
		}
	}
	for _, c := range clients {
		if moment != "headers" {
			if _, err := receive(c.begun, "the first event"); err != nil {
				return err
			}
		}
	}
	if moment == "gap" {
		time.Sleep(leaveGap)
	}
	return nil
}

// receive waits for something for as long as it may take.
func receive[T any](from <-chan T, what string) (v T, err error) {
	select {
	case v = <-from:
		return v, nil
	case <-time.After(leaveWait):
		return v, errors.New("waited in vain for " + what)
	}
}

// leaver is a client that will not wait for its answer.
type leaver struct {
	net.Conn
	socket *net.TCPConn
	begun  chan struct{} // the first event has come
	work   sync.WaitGroup
}

// come connects a client and lets it ask; behind its request there may be another one.
func (b *bench) come(g site, d departure, i int) (*leaver, error) {
	nc, err := net.DialTimeout("tcp", g.listen, leaveWait)
	if err != nil {
		return nil, err
	}
	c := &leaver{Conn: nc, begun: make(chan struct{}, 1)}
	c.socket, _ = nc.(*net.TCPConn)
	if g.tls {
		c.Conn = tls.Client(nc, trusting())
	}
	text := b.question(d.Moment, strconv.Itoa(i))
	if d.Connection == "pipelined" {
		text += b.question(d.Moment, behind+strconv.Itoa(i))
	}
	_ = c.SetDeadline(time.Now().Add(2 * leaveWait))
	if _, err := io.WriteString(c.Conn, text); err != nil {
		_ = nc.Close()
		return nil, err
	}
	c.work.Go(c.read)
	return c, nil
}

// question is a request whose user tells the witness whose it is.
func (b *bench) question(moment, user string) string {
	body := fmt.Sprintf(`{"model":"mock-%s","stream":true,"user":%q,"messages":[{"role":"user","content":"hi"}]}`, moment, user)
	return "POST " + chatPath + " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Bearer " + b.key +
		"\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// read takes what comes, so that nothing unread makes a reset of what is meant to be a close.
func (c *leaver) read() {
	buffer := make([]byte, 4<<10)
	for {
		n, err := c.Conn.Read(buffer)
		if strings.Contains(string(buffer[:n]), "data:") {
			select {
			case c.begun <- struct{}{}:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

// leave ends the connection, with a word or without.
func (c *leaver) leave(way string) {
	if way == "reset" {
		_ = c.socket.SetLinger(0)
		_ = c.socket.Close()
	} else {
		_ = c.Conn.Close()
	}
}

func (c *leaver) end() {
	_ = c.socket.Close()
	c.work.Wait()
}

// sighting is the end of an upstream connection.
type sighting struct {
	user string
	at   time.Time
}

// witness is an upstream that sees its connections end. The model's name says how far it answers.
type witness struct {
	l       net.Listener
	arrived chan string // users whose requests have arrived
	gone    chan sighting
	work    sync.WaitGroup
}

// stop ends the witness, when the gateway is gone and with it all connections.
func (w *witness) stop() {
	_ = w.l.Close()
	w.work.Wait()
}

func (w *witness) accept() {
	for {
		c, err := w.l.Accept()
		if err != nil {
			return
		}
		w.work.Go(func() {
			defer c.Close()
			r := bufio.NewReader(c)
			for w.answer(c, r) {
			}
		})
	}
}

const (
	witnessWhole = `{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`
	witnessEvent = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n"
	witnessHead  = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)

// answer serves one request; false if the connection is over.
func (w *witness) answer(c net.Conn, r *bufio.Reader) bool {
	request, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	var asked struct{ Model, User string }
	if err := json.NewDecoder(request.Body).Decode(&asked); err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, request.Body)
	if asked.Model == "mock" { // the first reply, by which the runner knows that the gateway is up
		_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(witnessWhole), witnessWhole)
		return err == nil
	}
	w.arrived <- asked.User
	over := make(chan struct{})
	var talk sync.WaitGroup
	if asked.Model != "mock-headers" {
		talk.Go(func() { speak(c, asked.Model == "mock-stream", over) })
	}
	_, _ = r.ReadByte() // nothing more is asked on this connection: it ends
	w.gone <- sighting{asked.User, time.Now()}
	close(over)
	talk.Wait()
	return false
}

// speak begins a stream, and goes on with it or is silent.
func speak(c net.Conn, on bool, over <-chan struct{}) {
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(witnessEvent), witnessEvent)
	_, err := io.WriteString(c, witnessHead+chunk)
	tick := time.NewTicker(leaveChunk)
	defer tick.Stop()
	for on && err == nil {
		select {
		case <-tick.C:
			_, err = io.WriteString(c, chunk)
		case <-over:
			return
		}
	}
}
