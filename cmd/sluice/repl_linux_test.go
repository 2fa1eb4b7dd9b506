package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a program on a pseudo-terminal.
type terminal struct {
	t       *testing.T
	keys    *os.File
	process *process
}

// openTerminal starts a program whose standard streams are a terminal of its own.
func openTerminal(t *testing.T, env []string, program string, args ...string) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	p := newProcess(cmd)
	p.silent = make(chan struct{})
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.signal("KILL"); <-p.exited })
	go func() { // until the last of the terminal's users has closed it
		defer close(p.silent)
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			if err != nil {
				return
			}
			_, _ = p.out.Write(buf[:n])
		}
	}()
	return &terminal{t, keys, p}
}

// sees waits until the screen shows something, and forgets what it showed up to then.
func (m *terminal) sees(pattern string) {
	m.t.Helper()
	what := regexp.MustCompile(pattern)
	if err := m.process.wait(what); err != nil {
		m.t.Fatal(err)
	}
	m.process.mu.Lock()
	defer m.process.mu.Unlock()
	m.process.out.text.Next(what.FindIndex(m.process.out.text.Bytes())[1])
}

func (m *terminal) types(keys string) {
	m.t.Helper()
	if _, err := m.keys.WriteString(keys); err != nil {
		m.t.Fatal(err)
	}
}

func TestConversation(t *testing.T) {
	sim := newProcess(exec.Command("sluice", "sim", "--listen", "127.0.0.1:0", "--first-token", "0s"))
	if err := sim.start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sim.signal("TERM")
		if code, err := sim.code(); err != nil || code != success {
			t.Errorf("sim: exit code %d, %v", code, err)
		}
	}()
	address := regexp.MustCompile(`http://[^/]+/v1`)
	if err := sim.wait(address); err != nil {
		t.Fatal(err)
	}
	text, _ := sim.output()
	base := address.FindString(text)

	const ctrlC, ctrlD = "\x03", "\x04"
	m := openTerminal(t, []string{"NO_COLOR=1"}, "sluice", "chat", "--url", base, "-m", "sim-fast")
	m.sees(`sim-fast at http://[^/]+/v1 · Ctrl-C stops an answer, Ctrl-D ends\r\n> `)
	m.types("What is 6*7?\r")
	m.sees(`\b42\b`)
	m.sees(`first token \d+ ms · \d+ tokens · [^\r]*\r\n> `)
	m.types("And this is" + ctrlC) // the line is thrown away, and the conversation goes on
	m.types("\r> What is 6*8?\r")
	m.sees(`\b48\b`)
	m.sees(`first token .*\r\n> `)
	m.types(ctrlD)
	if code, err := m.process.code(); err != nil || code != success {
		t.Errorf("exit code %d, %v", code, err)
	}

	m = openTerminal(t, []string{"TERM=xterm", "NO_COLOR="}, "sluice", "chat", "--url", base, "-m", "sim-fast-stall-5")
	m.sees("> ")
	m.types("Tell me about locks\r")
	m.sees(`\r\n\w+`)
	m.types(ctrlC)
	m.sees("\x1b\\[2mstopped · first token .*\x1b\\[0m\r\n> ")
	m.types("\x1b[A\r") // the line before, from the history
	m.sees(`Tell me about locks\r\n\w+`)
	m.types(ctrlC)
	m.sees(`stopped · .*\r\n> `)
	m.types(ctrlD)
	if code, err := m.process.code(); err != nil || code != success {
		t.Errorf("exit code %d, %v", code, err)
	}
}

// What a model says, or a gateway, does not steer the terminal.
func TestHostileAnswer(t *testing.T) {
	evil := `"\u001b]0;owned\u0007cl\u009b2Jean\ttext\nend"`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Sluice-Provider", "some\u009b31mwhere")
		w.Header().Set("X-Sluice-Attempts", "3")
		_, _ = w.Write([]byte(`data: {"choices":[{"delta":{"content":` + evil + "}}]}\n\ndata: [DONE]\n\n"))
	}))
	defer s.Close()
	m := openTerminal(t, []string{"NO_COLOR=1"}, "sluice", "chat", "--url", s.URL, "-m", "x", "hello")
	m.sees(`^\]0;ownedcl2Jean\ttext\r\nend\r\nfirst token \d+ ms · about 1 token · some31mwhere x · 3 attempts\r\n`)
	if code, err := m.process.code(); err != nil || code != success {
		t.Errorf("exit code %d, %v", code, err)
	}
}
