package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 30 * time.Second
	stopLimit  = 10 * time.Second
	retryAfter = time.Millisecond // between two attempts to reach a process that starts
)

// process is a child. Call stop, always.
type process struct {
	command *exec.Cmd
	exited  chan struct{} // closed when it has ended
}

// start runs a command until stop, or until ctx ends. What it says goes to output; nil discards it without a pipe, so
// that logging costs the process a write and us nothing.
func start(ctx context.Context, output *os.File, argv []string) (*process, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env = environment()
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = stopLimit // then it is killed
	if output != nil {
		command.Stdout, command.Stderr = output, output
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{command: command, exited: make(chan struct{})}
	go func() {
		_ = command.Wait() // it ends by our signal, which is an error to Wait
		close(p.exited)
	}()
	return p, nil
}

// environment is ours without Sluice's variables: they would change the configuration that is measured.
func environment() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SLUICE_") {
			kept = append(kept, v)
		}
	}
	return kept
}

func (p *process) pid() int { return p.command.Process.Pid }

// stop asks the process to end, and kills it if it does not. It returns when the process is gone.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopLimit):
		_ = p.command.Process.Kill()
		<-p.exited
	}
}

// ended says whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// firstReply asks the process for a chat completion until it gives a good reply.
func (p *process) firstReply(ctx context.Context, base, key string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: trusting()}
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	last := errors.New("it was not asked")
	for {
		err := chat(ctx, client, base, key)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err // otherwise it only says that time is up, and the process ends because of that
			if p.ended() {
				return fmt.Errorf("%s ended by itself: %v; run with -v to see why", p.command.Path, p.command.ProcessState)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no good reply from %s: %w; run with -v to see why", p.command.Path, last)
		case <-time.After(retryAfter):
		}
	}
}

// chat asks for one chat completion. Anything but status 200 is an error.
func chat(ctx context.Context, client *http.Client, base, key string) error {
	body := []byte(`{"model":"mock","messages":[{"role":"user","content":"hi"}]}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+chatPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %.300s", response.StatusCode, answer)
	}
	return nil
}

// freeAddrs finds n loopback addresses that nobody listens on. All are open at once, so that they differ.
func freeAddrs(n int) (addrs []string, err error) {
	var open []net.Listener
	defer func() {
		for _, l := range open {
			err = errors.Join(err, l.Close())
		}
	}()
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		open = append(open, l)
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}
