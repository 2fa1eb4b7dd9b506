package sim_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/sim"
)

func schedule(t testing.TB, text string) sim.Schedule {
	t.Helper()
	s, err := sim.ParseSchedule(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pipes is a listener without a network, for tests with a time of their own.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn, 16), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// answerOf is what a client gets for a request on a new connection, until it has waited too long.
type answerOf struct {
	status int
	header http.Header
	body   string
	took   time.Duration // until the head came
	err    error         // of the body, or instead of an answer
}

func askOn(c net.Conn, patience time.Duration, request string) (a answerOf) {
	begin := time.Now()
	_ = c.SetDeadline(begin.Add(patience))
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	if _, a.err = io.WriteString(c, head+"Content-Length: "+strconv.Itoa(len(request))+"\r\n\r\n"+request); a.err != nil {
		return a
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	a.took = time.Since(begin)
	if err != nil {
		a.err = err
		return a
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return answerOf{r.StatusCode, r.Header, string(b), a.took, err}
}

// bubble runs a test with a time of its own, a server behind a schedule, and a way to reach it.
func bubble(t *testing.T, text string, test func(t *testing.T, l *sim.FaultListener, dial func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		l := sim.NewFaultListener(p, schedule(t, text), 1)
		l.Record = true
		s := &sim.Server{Options: sim.Options{TokensPerSecond: 100}}
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		test(t, l, p.dial)
		_ = s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// What goes wrong is what the time says.
func TestFaultListenerByTime(t *testing.T) {
	bubble(t, "0s ok; 5s 500; 10s latency 2s; 15s 429 retry 1500ms; 20s repeat", func(t *testing.T, l *sim.FaultListener, dial func() net.Conn) {
		begin := time.Now()
		c := dial()
		defer c.Close()
		at := func(when time.Duration, status int, late time.Duration, retry string) {
			t.Helper()
			<-time.After(time.Until(begin.Add(when + time.Millisecond))) // when the period has begun for certain
			a := askOn(c, time.Minute, ask("sim-fast", "hi", ""))
			if a.err != nil || a.status != status || a.took != late || a.header.Get("Retry-After") != retry {
				t.Errorf("at %v: %+v", when, a)
			}
		}
		at(0, 200, 0, "")
		at(4990*time.Millisecond, 200, 0, "")
		at(5*time.Second, 500, 0, "")
		at(9990*time.Millisecond, 500, 0, "")
		at(10*time.Second, 200, 2*time.Second, "")
		at(15*time.Second, 429, 0, "2")
		at(20*time.Second, 200, 0, "")
		at(25*time.Second, 500, 0, "")
		l.Set(schedule(t, "529; 1s ok"))
		at(25*time.Second, 529, 0, "")
		at(27*time.Second, 200, 0, "")
		var faults []string
		for _, a := range l.Requests() {
			if a.Target != "POST /v1/chat/completions" || a.Model != "sim-fast" || a.Stream || a.Connection != 1 || a.First.Sub(a.At) != a.Late {
				t.Errorf("%+v", a)
			}
			faults = append(faults, a.Fault+" "+strconv.Itoa(a.Status))
		}
		want := []string{"ok 200", "ok 200", "500 500", "500 500", "ok 200", "429 retry 1.5s 429", "ok 200", "500 500", "529 529", "ok 200"}
		if !slices.Equal(faults, want) {
			t.Errorf("the log has %q, want %q", faults, want)
		}
	})
}

// Every fault of a request is what it says, for a stream and for a whole answer; long is an answer of many tokens, 10 ms
// apart.
func TestFaultListenerFaults(t *testing.T) {
	const long = "sim-long-50"
	f := func(text string, stream bool, check func(t *testing.T, a answerOf, seen sim.Arrival)) {
		t.Helper()
		more := ""
		if stream {
			more = streaming
		}
		t.Run(text+" "+more, func(t *testing.T) {
			bubble(t, text, func(t *testing.T, l *sim.FaultListener, dial func() net.Conn) {
				c := dial()
				defer c.Close()
				a := askOn(c, time.Minute, ask(long, "hi", more))
				seen := l.Requests()
				if len(seen) != 1 || seen[0].Fault != text || seen[0].Stream != stream {
					t.Fatalf("the log has %+v", seen)
				}
				check(t, a, seen[0])
			})
		})
	}
	timedOut := func(t *testing.T, a answerOf, seen sim.Arrival) {
		if !errors.Is(a.err, os.ErrDeadlineExceeded) || a.status != 0 || seen.Status != 0 || a.took != time.Minute {
			t.Errorf("%+v, %+v", a, seen)
		}
	}
	f("silent", true, timedOut)
	f("silent", false, timedOut)

	none := func(t *testing.T, a answerOf, seen sim.Arrival) {
		if !errors.Is(a.err, io.ErrUnexpectedEOF) || a.status != 0 || seen.Status != 0 || !seen.First.IsZero() {
			t.Errorf("%+v, %+v", a, seen)
		}
	}
	f("reset", true, none)
	f("reset", false, none)
	f("cut", true, none)
	f("cut", false, none)

	broken := func(events int, end string) func(t *testing.T, a answerOf, seen sim.Arrival) {
		return func(t *testing.T, a answerOf, seen sim.Arrival) {
			if a.err == nil || a.status != 200 || strings.Count(a.body, "\n\n") != events || seen.Events != events || !strings.HasSuffix(a.body, end) {
				t.Errorf("%+v, %+v", a, seen)
			}
		}
	}
	f("reset 3 events", true, broken(3, "\n\ndata: {"))
	f("cut 0 events", true, broken(0, "data: {"))
	f("cut 5 events", true, broken(5, "\n\ndata: {"))
	f("reset 3 events", false, broken(0, "{"))
	f("cut 3 events", false, broken(0, "{"))
	f("cut 20 bytes", false, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if a.err == nil || len(a.body) != 20 || seen.Status != 200 {
			t.Errorf("%+v, %+v", a, seen)
		}
	})
	f("reset 0 bytes", false, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if a.err == nil || a.body != "" || seen.Status != 200 {
			t.Errorf("%+v, %+v", a, seen)
		}
	})

	f("heartbeats 1s", true, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if a.status != 200 || strings.ReplaceAll(a.body, ": keep-alive\n\n", "") != "" || len(a.body) < 50*14 || seen.Events != 0 {
			t.Errorf("%+v, %+v", a, seen)
		}
	})
	f("heartbeats 20ms", false, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if a.status != 200 || strings.TrimSpace(a.body) != "" || len(a.body) < 2900 {
			t.Errorf("%+v, %+v", a, seen)
		}
	})

	f("badjson", true, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if a.err != nil || !strings.HasPrefix(a.body, "data: [") || strings.Count(a.body, "data: {") != seen.Events-2 {
			t.Errorf("%+v, %+v", a, seen)
		}
	})
	f("badjson 2 events", true, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if parts := strings.SplitN(a.body, "\n\n", 4); a.err != nil || !strings.HasPrefix(parts[2], "data: [") || strings.Contains(parts[3], "data: [\"") {
			t.Errorf("%+v, %+v", a, seen)
		}
	})
	f("badjson", false, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if a.err != nil || !strings.HasPrefix(a.body, "[") {
			t.Errorf("%+v, %+v", a, seen)
		}
	})

	f("drip 10", true, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if !errors.Is(a.err, os.ErrDeadlineExceeded) || a.took < 10*time.Second || seen.Bytes < 300 || seen.Bytes > 600 {
			t.Errorf("%+v, %+v", a, seen)
		}
	})
	f("drip 1000", false, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if a.err != nil || seen.Bytes < 500 || int64(len(a.body)) != seen.Bytes {
			t.Errorf("%+v, %+v", a, seen)
		}
	})
	f("503", true, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if a.err != nil || a.status != 503 || seen.Status != 503 || !strings.Contains(a.body, `{"error":{`) || a.header.Get("Retry-After") != "" || a.took != 0 {
			t.Errorf("%+v, %+v", a, seen)
		}
	})
	f("429 retry 200ms", false, func(t *testing.T, a answerOf, seen sim.Arrival) {
		if a.status != 429 || a.header.Get("Retry-After") != "1" || a.header.Get("Retry-After-Ms") != "200" {
			t.Errorf("%+v, %+v", a, seen)
		}
	})
}

// Of many requests a fault meets its share, and latencies add up.
func TestFaultListenerShares(t *testing.T) {
	bubble(t, "latency 20ms, latency 380ms 5%, 429 10%, 500 50%", func(t *testing.T, l *sim.FaultListener, dial func() net.Conn) {
		c := dial()
		defer c.Close()
		const n = 4000
		slow, status := 0, map[int]int{}
		for range n {
			a := askOn(c, time.Minute, ask("sim-fast", "hi", ""))
			status[a.status]++
			switch a.took {
			case 20 * time.Millisecond:
			case 400 * time.Millisecond:
				slow++
			default:
				t.Fatalf("%+v", a)
			}
		}
		near := func(what string, got, want int) {
			t.Helper()
			if got < want*8/10 || got > want*12/10 {
				t.Errorf("%d of %d %s; want about %d", got, n, what, want)
			}
		}
		near("are slow", slow, n/20)
		near("are refused by 429", status[429], n/10)
		near("are refused by 500", status[500], n*45/100)
		near("are answered", status[200], n*45/100)
	})
}

// In a black hole nothing comes and nothing goes; afterwards everything goes on.
func TestBlackholeOfOpenConnections(t *testing.T) {
	bubble(t, "0s ok; 1s blackhole; 30s ok", func(t *testing.T, l *sim.FaultListener, dial func() net.Conn) {
		idle, busy := dial(), dial()
		defer idle.Close()
		defer busy.Close()
		if a := askOn(idle, time.Minute, ask("sim-fast", "hi", "")); a.status != 200 {
			t.Errorf("%+v", a)
		}
		stream := make(chan answerOf, 1)
		go func() { stream <- askOn(busy, time.Minute, ask("sim-long-200", "hi", streaming)) }()
		<-time.After(1500 * time.Millisecond)
		before := l.Requests()[1].Events
		if before < 50 || before > 150 {
			t.Errorf("%d events before the black hole", before)
		}
		begin := time.Now()
		if a := askOn(idle, time.Minute, ask("sim-fast", "hi", "")); a.status != 200 || time.Since(begin) != 28500*time.Millisecond {
			t.Errorf("after %v: %+v", time.Since(begin), a)
		}
		if a := <-stream; a.err != nil || !strings.HasSuffix(a.body, "[DONE]\n\n") {
			t.Errorf("%+v", a)
		}
		if n := len(l.Requests()); n != 3 {
			t.Errorf("%d requests", n)
		}
	})
}

// A client that leaves ends what is going on for it, whatever that is.
func TestFaultListenerClientLeaves(t *testing.T) {
	for _, text := range []string{"silent", "latency 1h", "drip 1", "heartbeats 1h", "blackhole", "latency 1h, 500", "latency 1h, cut"} {
		t.Run(text, func(t *testing.T) {
			bubble(t, text, func(t *testing.T, l *sim.FaultListener, dial func() net.Conn) {
				c := dial()
				defer c.Close()
				if a := askOn(c, time.Second, ask("sim-fast", "hi", streaming)); a.err == nil {
					t.Errorf("%+v", a)
				}
			}) // the server's Close would never return
		})
	}
}

// tcp starts a server behind a schedule on the loopback interface.
func tcp(t *testing.T, text string) *sim.FaultListener {
	t.Helper()
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := sim.NewFaultListener(n, schedule(t, text), 1)
	l.Record = true
	s := &sim.Server{}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l
}

// Connections are refused, ignored or accepted by the system itself, and those that are open are reset, again and again.
func TestFaultListenerDoor(t *testing.T) {
	l := tcp(t, "ok")
	dial := func() (net.Conn, error) { return net.DialTimeout("tcp", l.Addr().String(), 100*time.Millisecond) }
	works := func() net.Conn {
		t.Helper()
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		if a := askOn(c, 10*time.Second, ask("sim-fast", "hi", "")); a.status != 200 {
			t.Fatalf("%+v", a)
		}
		return c
	}
	for range 3 {
		open := works()
		l.Set(schedule(t, "refuse"))
		_ = open.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := open.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("an open connection: %v", err)
		}
		open.Close()
		if c, err := dial(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("refused: %v, %v", c, err)
		}
		l.Set(schedule(t, "ok"))
		open = works()
		l.Set(schedule(t, "blackhole"))
		for range 2 {
			var e net.Error
			if c, err := dial(); !errors.As(err, &e) || !e.Timeout() {
				t.Errorf("into the black hole: %v, %v", c, err)
			}
		}
		if a := askOn(open, 100*time.Millisecond, ask("sim-fast", "hi", "")); !errors.Is(a.err, os.ErrDeadlineExceeded) {
			t.Errorf("on an open connection: %+v", a)
		}
		open.Close()
		l.Set(schedule(t, "refuse"))
		if c, err := dial(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("refused: %v, %v", c, err)
		}
		l.Set(schedule(t, "reset"))
		open, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		if a := askOn(open, 10*time.Second, ask("sim-fast", "hi", "")); !errors.Is(a.err, syscall.ECONNRESET) {
			t.Errorf("%+v", a)
		}
		open.Close()
		l.Set(schedule(t, "ok"))
		works().Close()
	}
	if n := len(l.Requests()); n != 3*5 {
		t.Errorf("%d requests arrived", n)
	}
}

// A relay behind a FaultListener is a proxy for any server, and what a client asks is passed on as it is.
func TestRelay(t *testing.T) {
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Reset()
		_, _ = got.ReadFrom(r.Body)
		_, _ = io.WriteString(w, `{"you":"said"}`)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(n) }()
	defer func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()

	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := sim.NewFaultListener(front, sim.Schedule{}, 1)
	stop := sim.Relay(l, n.Addr().String())
	defer stop()
	url, c := "http://"+front.Addr().String()+"/any", client(t)
	for _, body := range []io.Reader{strings.NewReader("a body"), io.MultiReader(strings.NewReader("a "), strings.NewReader("body"))} { // the second in chunks
		r, err := c.Post(url, "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || string(b) != `{"you":"said"}` || got.String() != "a body" {
			t.Errorf("%q, %v; the server got %q", b, err, &got)
		}
	}
	l.Set(schedule(t, "cut 3 bytes"))
	r, err := c.Post(url, "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); err == nil || string(b) != `{"y` {
		t.Errorf("%q, %v", b, err)
	}
}

// What is no request goes to the server as it is.
func TestFaultListenerGarbage(t *testing.T) {
	l := tcp(t, "429")
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 400 || len(l.Requests()) != 0 {
		t.Errorf("%d, %+v", r.StatusCode, l.Requests())
	}
}

// A latency comes on top of what the server needs itself.
func TestFaultListenerLatencyAdds(t *testing.T) {
	bubble(t, "latency 2s, latency 1s", func(t *testing.T, l *sim.FaultListener, dial func() net.Conn) {
		c := dial()
		defer c.Close()
		a := askOn(c, time.Minute, ask("sim-slow-5000", "hi", streaming))
		if seen := l.Requests(); a.took != 8*time.Second || seen[0].Late != 3*time.Second || a.err != nil {
			t.Errorf("%+v, %+v", a, seen)
		}
	})
}
