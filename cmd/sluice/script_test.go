package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for what should come at once.
const patience = 30 * time.Second

// process is a command in the background, and what it has said so far.
type process struct {
	cmd      *exec.Cmd
	out, err said
	mu       sync.Mutex
	spoke    chan struct{} // closed and replaced when more was said
	exited   chan struct{}
	silent   chan struct{} // closed when there is no more to read, where that is not for exec.Cmd to know; else nil
}

// said is one of its outputs.
type said struct {
	p    *process
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	close(s.p.spoke)
	s.p.spoke = make(chan struct{})
	return s.text.Write(b)
}

func newProcess(cmd *exec.Cmd) *process {
	p := &process{cmd: cmd, spoke: make(chan struct{}), exited: make(chan struct{})}
	p.out.p, p.err.p = p, p
	return p
}

// start starts it; outputs that lead nowhere yet are kept.
func (p *process) start() error {
	if p.cmd.Stdout == nil {
		p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState tells
		if p.silent != nil {
			<-p.silent
		}
		close(p.exited)
	}()
	return nil
}

// output is what was said on both outputs, and a channel that is closed when there is more.
func (p *process) output() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.text.String() + p.err.text.String(), p.spoke
}

// wait waits until the process has said something.
func (p *process) wait(what *regexp.Regexp) error {
	late := time.After(patience)
	for {
		text, more := p.output()
		if what.MatchString(text) {
			return nil
		}
		select {
		case <-more:
		case <-p.exited:
			if text, _ = p.output(); what.MatchString(text) {
				return nil
			}
			return errors.New("ended without having said " + what.String() + ":\n" + text)
		case <-late:
			return errors.New("has not said " + what.String() + ":\n" + text)
		}
	}
}

func (p *process) signal(name string) error {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt, "KILL": os.Kill, "HUP": syscall.SIGHUP}
	return p.cmd.Process.Signal(signals[name])
}

// code waits for the end of the process, and is its exit code.
func (p *process) code() (int, error) {
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		_ = p.signal("KILL")
		text, _ := p.output()
		return 0, errors.New("has not ended:\n" + text)
	}
}

func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"WORK=" + ts.Getenv("WORK")}
	for name := range strings.FieldsSeq("PATH HOME TMPDIR GOCOVERDIR SLUICE_CONFIG SLUICE_API_KEY SLUICE_ADMIN_TOKEN SLUICE_SERVER_LISTEN " +
		"SLUICE_SERVER_ADMIN_LISTEN SLUICE_SERVER_DRAIN_TIMEOUT OPENAI_API_KEY LEAKS_ALLOWED GORACE") {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

// exits CODE PROGRAM ARG… runs a program and checks its exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	p := newProcess(command(ts, args[1:]))
	ts.Check(p.start())
	finish(ts, p, want)
}

// begin NAME PATTERN PROGRAM ARG… runs a program in the background and waits until it has said something. Named groups
// of the pattern become variables.
func begin(ts *testscript.TestScript, _ bool, args []string) {
	p := newProcess(command(ts, args[2:]))
	ts.Check(p.start())
	ts.Defer(func() {
		_ = p.signal("KILL")
		<-p.exited
	})
	processes(ts).Store(args[0], p)
	await(ts, p, args[1])
}

func await(ts *testscript.TestScript, p *process, pattern string) {
	what := regexp.MustCompile(pattern)
	ts.Check(p.wait(what))
	text, _ := p.output()
	found := what.FindStringSubmatch(text)
	for i, name := range what.SubexpNames() {
		if name != "" {
			ts.Setenv(name, found[i])
		}
	}
}

// bannerPattern finds in the banner what scripts want to know.
const bannerPattern = `API +(?P<API>(?P<HOST>\S+://(?P<ADDRESS>\S+))/v1)( +key (?P<KEY>\S+))?\n(.*Metrics +http://(?P<ADMIN>\S+)/metrics\n)?(?s:.*)Try +(?P<TRY>.*)\n`

// gateway ARG… begins "sluice serve" on ports that are free, and sets API, HOST, ADDRESS, KEY, ADMIN and TRY to what its banner says.
func gatewayBegin(ts *testscript.TestScript, _ bool, args []string) {
	begin(ts, false, append([]string{
		"gateway", bannerPattern, "sluice", "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
	}, args...))
	text, _ := named(ts, "gateway").output()
	_, _ = io.WriteString(ts.Stdout(), text)
}

// says NAME PATTERN waits until a program in the background has said something.
func says(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, named(ts, args[0]), args[1])
}

// signal NAME SIGNAL sends a signal: TERM, INT, HUP or KILL.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(named(ts, args[0]).signal(args[1]))
}

// end NAME CODE waits for the end of a program in the background and checks its exit code.
func end(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	finish(ts, named(ts, args[0]), want)
}

func finish(ts *testscript.TestScript, p *process, want int) {
	code, err := p.code()
	ts.Check(err)
	_, _ = ts.Stdout().Write(p.out.text.Bytes())
	_, _ = ts.Stderr().Write(p.err.text.Bytes())
	if code != want {
		ts.Fatalf("exit code %d, not %d:\n%s%s", code, want, &p.out.text, &p.err.text)
	}
}

// shell LINE runs a line as it would be pasted into a shell. Where curl is missing, its part is played here.
func shell(ts *testscript.TestScript, _ bool, args []string) {
	line := args[0]
	if _, err := exec.LookPath("curl"); err == nil {
		cmd := command(ts, []string{"sh", "-c", strings.Replace(line, "curl ", "curl -sS ", 1)})
		cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
		ts.Check(cmd.Run())
		return
	}
	words, err := command(ts, []string{"sh", "-c", "printf '%s\\0' " + line}).Output()
	ts.Check(err)
	ts.Check(curl(ts.Stdout(), strings.Split(string(words), "\x00")))
}

// curl does what curl does with a URL, -H and -d.
func curl(out io.Writer, args []string) error {
	method, url, body, header := http.MethodGet, "", "", http.Header{}
	for i := 1; i < len(args); i++ {
		switch args[i] {
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header.Set(name, value)
		case "-d":
			i++
			method, body = http.MethodPost, args[i]
			header.Set("Content-Type", "application/x-www-form-urlencoded")
		default:
			url += args[i]
		}
	}
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header, request.Close = header, true
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // of a test's own making
	reply, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	_, err = io.Copy(out, reply.Body)
	return err
}

// get URL [KEY] prints what is there.
func get(ts *testscript.TestScript, _ bool, args []string) {
	args = append(args, "")
	ts.Check(curl(ts.Stdout(), []string{"curl", args[0], "-H", "Authorization: Bearer " + args[1]}))
}

// processesKey is the key of a script's background programs among its values.
type processesKey struct{}

func processes(ts *testscript.TestScript) *sync.Map {
	m, ok := ts.Value(processesKey{}).(*sync.Map)
	if !ok {
		ts.Fatalf("no processes")
	}
	return m
}

func named(ts *testscript.TestScript, name string) *process {
	p, ok := processes(ts).Load(name)
	if !ok {
		ts.Fatalf("no program %s was begun", name)
	}
	return p.(*process) //nolint:forcetypeassert // begin stores nothing else
}

// setup gives a script room for its background programs.
func setup(e *testscript.Env) error {
	e.Values[processesKey{}] = &sync.Map{}
	e.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise each program takes a second to end
	return nil
}
