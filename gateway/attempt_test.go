package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/health"
)

type phase string

func (p phase) Error() string { return "too late" }
func (p phase) Phase() string { return string(p) }

func TestWhy(t *testing.T) {
	f := func(want string, status int, err error) {
		t.Helper()
		a := gateway.Attempt{Status: status, Err: err}
		if got := a.Why(); got != want {
			t.Errorf("%d, %v: %q, want %q", status, err, got, want)
		}
	}
	from := func(code string, inner error) error {
		return &gateway.Error{Code: code, Err: inner, Origin: gateway.OriginUpstream}
	}
	dial := func(err error) error {
		return from(gateway.CodeUnreachable, &net.OpError{Op: "dial", Err: fmt.Errorf("secret address: %w", err)})
	}
	f("", 200, nil)
	f("http 503", 503, nil)
	f("connection refused", 0, dial(syscall.ECONNREFUSED))
	f("connection reset", 0, dial(syscall.ECONNRESET))
	f("no route to it", 0, dial(syscall.EHOSTUNREACH))
	f("its name is not found", 0, dial(&net.DNSError{Name: "secret.example"}))
	f("no connection", 0, dial(io.EOF))
	f("timeout: connecting", 0, from(gateway.CodeUnreachable, phase("connecting")))
	f("timeout: the reply's head", 0, from(gateway.CodeTimeout, phase("the reply's head")))
	f("timeout", 0, from(gateway.CodeTimeout, nil))
	f("cut", 0, from(gateway.CodeCut, io.EOF))
	f("bad response", 200, from(gateway.CodeBadResponse, nil))
	f("error inside a 200: server_error", 200, from("server_error", nil))
	f("error inside a 200: ?", 200, from("words of the prompt", nil))
	f("timeout: the next event", 200, phase("the next event"))
	f("cut", 200, errors.New("upstream: secret"))
	f("gateway_busy", 0, &gateway.Error{Code: gateway.CodeBusy})
}

// What an attempt holds is given back once, whoever says that it is over, and how often.
func TestHold(t *testing.T) {
	target := health.New(health.Options{}).Target(health.ID{Provider: "p"}, health.Settings{})
	l := admission.New(admission.Settings{})
	begin := func(x *gateway.Exchange) *gateway.Attempt {
		a := x.Attempting(&gateway.Target{Provider: "p"})
		if !l.TryEnter() || !target.Begin(a.Start, 7) {
			t.Fatal("no place")
		}
		a.Hold(target, l, 7, true)
		return a
	}
	check := func(name string, held int64) {
		t.Helper()
		n, tokens := target.Outstanding()
		if n != held || tokens != 7*held || l.Snapshot().InUse != int(held) {
			t.Errorf("%s: %d attempts, %d tokens, %+v", name, n, tokens, l.Snapshot())
		}
	}
	x := exchange(nil)
	a, b, c := begin(x), begin(x), begin(x)
	check("three run", 3)
	a.Release()
	a.Release()
	check("one was released twice", 2)
	b.Report(gateway.Now(), health.Outcome{Verdict: health.OK}, admission.Signal{First: time.Second})
	b.Report(gateway.Now(), health.Outcome{Verdict: health.Failed}, admission.Signal{}) // says nothing new
	check("a report ends nothing", 2)
	x.Over(b)
	check("one is over", 1)
	x.End(nil)
	x.End(nil)
	x.Over(c)
	check("the exchange has ended", 0)
	if s := target.Snapshot(gateway.Now()); s.Window.Requests != 1 || s.Window.Failed != 0 {
		t.Errorf("%+v", s.Window)
	}
	(&gateway.Attempt{}).Release() // held nothing
	check("of another", 0)
}

func TestAnswered(t *testing.T) {
	x := exchange(nil)
	var all []*gateway.Attempt
	for range 3 {
		all = append(all, x.Attempting(&gateway.Target{Provider: "p"}))
	}
	x.Answered(all[2])
	x.Answered(all[0])
	if got := x.Attempts(); len(got) != 3 || got[0] != all[1] || got[1] != all[2] || got[2] != all[0] {
		t.Error("the one that answered is not the last, or others have changed places")
	}
}

// A fork is cancelled alone, or with the exchange that it was made of.
func TestFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := exchange(nil)
		x.SetDeadline(gateway.Now().Add(time.Hour))
		one, two := x.Fork(), x.Fork()
		if one.ID != x.ID || one.Request.Endpoint != x.Request.Endpoint || one.Deadline() != x.Deadline() {
			t.Errorf("%+v", one)
		}
		conn := &interrupted{}
		if !two.Attach(conn) {
			t.Fatal("it cannot be interrupted")
		}
		one.Cancel(gateway.ErrLost)
		if !errors.Is(one.Cause(), gateway.ErrLost) || two.Err() != nil || x.Err() != nil {
			t.Errorf("%v, %v, %v", one.Cause(), two.Err(), x.Err())
		}
		one.Close()
		x.Cancel(gateway.ErrGone)
		if !errors.Is(two.Cause(), gateway.ErrGone) || conn.n != 1 {
			t.Errorf("%v, interrupted %d times", two.Cause(), conn.n)
		}
		two.Close()
		late := x.Fork()
		if !errors.Is(late.Cause(), gateway.ErrGone) {
			t.Errorf("of one that was cancelled: %v", late.Cause())
		}
		late.Close()
		x.End(nil)
	})
}
