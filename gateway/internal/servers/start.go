// Package servers starts real servers for tests, redis-server and PostgreSQL, each in a temporary folder of its own and on
// free ports of 127.0.0.1, and does to them what the world does to servers: it pauses, kills, cuts off and restarts them.
// They die with the test binary. A server that is not installed fails the test with a word on what to install.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec" //nolint:depguard // a gateway starts no programs; its tests do
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a server may take to come up, and whatever a test waits for to come about.
const Patience = 20 * time.Second

// Find is the path of a server's program: in one of the folders, else in $PATH. Without it the test fails and says which
// Debian packages to install.
func Find(t testing.TB, program, install string, folders ...string) string {
	t.Helper()
	for _, folder := range folders {
		if path, err := exec.LookPath(filepath.Join(folder, program)); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("this test needs a real %s: install it (Debian, Ubuntu: apt-get install %s)", program, install)
	}
	return path
}

// FreePort is a TCP port of 127.0.0.1 on which nobody listens. It is below those that the kernel gives to outgoing
// connections, so that it is still free after a server was killed and before it is restarted.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 12000 + rand.IntN(20000) //nolint:gosec // a collision is no attack
		l, err := net.Listen("tcp", Local(port))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port between 12000 and 32000")
	return 0
}

// Local is a port's address on 127.0.0.1.
func Local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Await waits until a condition holds, asking every few milliseconds; if it does not within Patience, the test fails with
// the condition's last error.
func Await(t testing.TB, what string, holds func(context.Context) error) {
	t.Helper()
	if err := await(t.Context(), Patience, holds); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func await(ctx context.Context, d time.Duration, holds func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		err := holds(ctx)
		if err == nil || errors.Is(err, errFinal) {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

// errFinal is wrapped by what will not change by waiting.
var errFinal = errors.New("there is no point in waiting")

// Command is a server that can be started, and started again.
type Command struct {
	Path string                      // of the program, see Find
	Args []string                    // without the program's name
	Dir  string                      // where it runs, and where its output goes
	User *syscall.Credential         // who it runs as; nil: who runs the test
	Up   func(context.Context) error // whether it serves
}

// Process is a server that runs. Its methods fail the test if they cannot do what they say.
type Process struct {
	t       testing.TB
	command Command
	running *running
}

// running is one life of a Process.
type running struct {
	process *os.Process
	over    chan struct{} // closed when it has ended
}

// Start starts a server and waits until it is up. It is killed at the test's end.
func Start(t testing.TB, c Command) *Process {
	t.Helper()
	p, err := start(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// start is Start for who has another try.
func start(t testing.TB, c Command) (*Process, error) {
	p := &Process{t: t, command: c}
	t.Cleanup(p.kill)
	return p, p.run()
}

func (p *Process) run() error {
	output, err := os.OpenFile(p.output(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()                  // the server has its own
	cmd := exec.Command(p.command.Path, p.command.Args...) //nolint:gosec,noctx // a test's own server; it outlives any context
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.command.Dir, output, output
	cmd.SysProcAttr = diesWithParent()
	cmd.SysProcAttr.Credential = p.command.User
	if err := cmd.Start(); err != nil {
		return err
	}
	p.running = &running{cmd.Process, make(chan struct{})}
	go func(r *running) {
		_ = cmd.Wait()
		close(r.over)
	}(p.running)
	err = await(p.t.Context(), Patience, func(ctx context.Context) error {
		select {
		case <-p.running.over:
			return fmt.Errorf("it ended with %s: %w", cmd.ProcessState, errFinal)
		default:
			return p.command.Up(ctx)
		}
	})
	if err != nil {
		p.kill()
		return fmt.Errorf("%s does not come up: %w\n%s", p.command.Path, err, p.tail())
	}
	return nil
}

func (p *Process) output() string { return filepath.Join(p.command.Dir, "output.log") }

// tail is the end of what the server said.
func (p *Process) tail() []byte {
	b, err := os.ReadFile(p.output())
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(b[max(0, len(b)-2000):])
}

// Pause stops the server as it is, with its connections open: it hangs (SIGSTOP).
func (p *Process) Pause() { p.t.Helper(); p.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on (SIGCONT).
func (p *Process) Resume() { p.t.Helper(); p.signal(syscall.SIGCONT) }

func (p *Process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.running.process.Signal(s); err != nil {
		p.t.Fatalf("%s: %s: %v", p.command.Path, s, err)
	}
}

// Kill ends the server at once (SIGKILL).
func (p *Process) Kill() { p.kill() }

// Stop asks the server to end and waits until it has (SIGTERM; SIGKILL after Patience).
func (p *Process) Stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.running.over:
	case <-time.After(Patience):
		p.kill()
		p.t.Fatalf("%s does not end\n%s", p.command.Path, p.tail())
	}
}

func (p *Process) kill() {
	if p.running == nil {
		return
	}
	_ = p.running.process.Kill() // it may have ended
	<-p.running.over
}

// Restart starts a server that was killed or stopped, with what it has left in its folder, and waits until it is up.
func (p *Process) Restart() {
	p.t.Helper()
	if err := p.run(); err != nil {
		p.t.Fatal(err)
	}
}
