package servers_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
)

func TestPostgres(t *testing.T) {
	p := servers.StartPostgres(t)
	greets := func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", servers.Local(p.Port))
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			return err
		}
		if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil { // SSLRequest, which needs a child to answer
			return err
		}
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	servers.Await(t, "it answers", greets)

	p.Pause()
	if err := greets(t.Context()); err == nil {
		t.Error("it answers while it is paused")
	}
	p.Resume()
	servers.Await(t, "it answers again", greets)

	for _, end := range []func(){p.Kill, p.Stop} {
		end()
		if err := greets(t.Context()); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after its end: %v", err)
		}
		p.Restart()
		servers.Await(t, "it answers after a restart", greets)
	}
}
