package sim_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/sim"
)

// played is all that a client gets of a dialogue.
func played(t *testing.T, dialogue string) (string, error) {
	t.Helper()
	server, client := net.Pipe()
	failed := make(chan error, 1)
	go func() {
		failed <- sim.Play(server, dialogue)
		server.Close()
	}()
	b, err := io.ReadAll(client)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), <-failed
}

func TestPlay(t *testing.T) {
	f := func(dialogue, want string) {
		t.Helper()
		if got, err := played(t, dialogue); got != want || err != nil {
			t.Errorf("%q: got %q, %v", dialogue, got, err)
		}
	}
	f("", "")
	f("-- head --\nHTTP/1.1 200 OK\nA: b\n-- end --\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n0\r\n\r\n")
	f("-- event --\ndata: x\n-- event --\nevent: e\ndata: y\n", "9\r\ndata: x\n\n\r\n12\r\nevent: e\ndata: y\n\n\r\n")
	f("-- done --", "e\r\ndata: [DONE]\n\n\r\n")
	f("-- chunk \"a\\xffb\" --\n-- bytes \"raw\\r\\n\" --\n-- fill 3 --\n", "3\r\na\xffb\r\nraw\r\nxxx")
	f("-- dribble 0s --\n-- bytes \"slow\" --\n", "slow")
	f("-- dribble 1ms --\n-- bytes \"slow\" --\n", "slow")
	f("-- pause 1ms --\n-- bytes \"a\" --\n-- cut --\n-- bytes \"b\" --\n", "a")

	for _, dialogue := range []string{
		"bytes", "-- bytes --x", "-- unheard-of --", "-- fill many --", "-- events --", "-- pause long --", "-- dribble --", "-- bytes \"open --", "-- head --\n{date+soon}\n",
	} {
		if _, err := played(t, dialogue); err == nil {
			t.Errorf("%q is taken for a dialogue", dialogue)
		}
	}

	got, err := played(t, "-- head --\nD: {date+1h}\n")
	date, ok := strings.CutPrefix(strings.TrimSpace(got), "D: ")
	at, perr := http.ParseTime(date)
	if in := time.Until(at); err != nil || !ok || perr != nil || in < 59*time.Minute || in > 61*time.Minute {
		t.Errorf("%q, %v, %v", got, err, perr)
	}
}

// Raw must show requests as they came, keep connections, and end everything when it stops.
func TestRaw(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan string, 2)
	stop := sim.Raw(l, func(c net.Conn, request []byte) {
		requests <- string(request)
		if err := sim.Play(c, "-- bytes \"ok\" --\n"); err != nil {
			t.Error(err)
		}
	})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, request := range []string{"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody", "GET /next HTTP/1.1\r\n\r\n"} {
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		if got := <-requests; got != request {
			t.Errorf("got %q, want %q", got, request)
		}
		reply := make([]byte, 2)
		if _, err := io.ReadFull(c, reply); err != nil || string(reply) != "ok" {
			t.Errorf("%q, %v", reply, err)
		}
	}
	stop()
	if b, err := io.ReadAll(c); len(b) > 0 {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

// Every fault must have its name for itself, and a dialogue that can be read to its end or to where it waits.
func TestFaultNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range sim.Faults() {
		if seen[f.Name] || f.Name == "" {
			t.Errorf("the name %q occurs twice", f.Name)
		}
		seen[f.Name] = true
		if (f.Want.Status == 0) != (f.Want.Code != "") {
			t.Errorf("%s: an outcome is a reply or an error: %+v", f.Name, f.Want)
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d faults", len(seen))
	}
}
