package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/benchmarks/internal/proc"
	"github.com/sluice-ai/sluice/benchmarks/internal/report"
)

// Names of the two subjects.
const (
	floorName   = "floor"
	gatewayName = "gateway"
)

// row is one run of one test against one subject.
type row struct {
	Round   int          `json:"round"`
	Subject string       `json:"subject"`
	Start   float64      `json:"start_ms"`   // from the start of the process to the first good reply
	Idle    int64        `json:"idle_bytes"` // RSS, some time after that reply
	Load    *report.Load `json:"load,omitempty"`

	Departures []departure             `json:"departures,omitempty"` // of test leave
	Resets     map[string]*report.Load `json:"resets,omitempty"`     // of test reset, by what the first upstream does
	Values     map[string]float64      `json:"values,omitempty"`     // of the tests after it, by the names of figures
	Loads      map[string]*report.Load `json:"loads,omitempty"`      // which they made
	Failed     []string                `json:"failed,omitempty"`     // what tests of Sluice alone found wrong
}

// faults says what went wrong in a row; empty if nothing did.
func (r row) faults(t test) string {
	wrong := slices.Clone(r.Failed)
	if r.Load != nil && r.Load.Errors > 0 {
		wrong = append(wrong, fmt.Sprintf("%d errors: %v", r.Load.Errors, r.Load.ErrorKinds))
	}
	if t.streams > 0 && r.Load.Streams.Alive != t.streams {
		wrong = append(wrong, fmt.Sprintf("%d of %d streams alive", r.Load.Streams.Alive, t.streams))
	}
	return strings.Join(wrong, "; ")
}

// bench runs tests.
type bench struct {
	dir      string    // temporary; holds the programs, the tenants and the configuration
	key      string    // of the caller
	subjects []subject // floor and gateway
	rounds   int
	settle   time.Duration // between the first reply and the first measurement
	output   *os.File      // of the subjects; nil: discarded
	progress io.Writer     // a line for each row

	observe func(context.Context, site) error // runs beside the load; nil: nobody looks
}

// run runs one test: rounds times, each round all subjects, in an order that alternates.
func (b *bench) run(ctx context.Context, t test) ([]row, error) {
	if t.run != nil {
		return b.runAlone(ctx, t)
	}
	var rows []row
	order := slices.Clone(b.subjects)
	for round := range b.rounds {
		for _, s := range order {
			r, err := b.once(ctx, t, s)
			if err != nil {
				return rows, fmt.Errorf("%s, round %d, %s: %w", t.name, round, s.name, err)
			}
			r.Round, r.Subject = round, s.name
			rows = append(rows, r)
			b.tell(t, r)
		}
		slices.Reverse(order)
	}
	return rows, nil
}

// runAlone runs a test that is Sluice's alone, once. What it measures is far from its limits unless something is wrong or
// the machine is busy with something else: against the second it repeats itself, because noise only ever adds.
func (b *bench) runAlone(ctx context.Context, t test) ([]row, error) {
	at := slices.IndexFunc(b.subjects, subject.isSluice)
	if at < 0 {
		return nil, fmt.Errorf("%s can measure nothing but Sluice", t.name)
	}
	r, err := t.run(ctx, b, t, b.subjects[at])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	r.Subject = gatewayName
	b.tell(t, r)
	return []row{r}, nil
}

func (b *bench) tell(t test, r row) {
	fmt.Fprintf(b.progress, "%-16s round %d %-8s", t.name, r.Round, r.Subject)
	for _, f := range t.figures {
		fmt.Fprintf(b.progress, "  %s %.1f %s", f.name, f.of(r), f.unit)
	}
	fmt.Fprintln(b.progress, " ", r.faults(t))
}

// once starts a mock and a subject, both fresh, and makes the load of one test.
func (b *bench) once(ctx context.Context, t test, s subject) (r row, err error) {
	mock, mockAddr, err := b.startMock(ctx)
	if err != nil {
		return r, err
	}
	defer mock.stop()
	caller := b.key
	if t.billed {
		if caller, err = writeTenant(filepath.Join(b.dir, "tenants"), "billed", limits); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, os.Remove(filepath.Join(b.dir, "tenants", "billed.yaml"))) }()
	}
	g := site{upstreams: []string{mockAddr}, speaks: t.speaks, billed: t.billed, cached: t.cached}
	if t.fleet {
		with, err := b.startServers(ctx)
		defer func() { _ = with.stop() }() // they are temporary
		if err != nil {
			return r, err
		}
		g.ledger, g.shared = with.ledger, with.shared
	}
	tested, g, took, err := b.startSubject(ctx, s, g)
	if err != nil {
		return r, err
	}
	defer tested.stop()
	r.Start = took.Seconds() * 1000
	if t.fleet { // what a budget has spent elsewhere is not known at first
		if err := tested.firstReply(ctx, g.url(), caller); err != nil {
			return r, err
		}
	}
	select {
	case <-time.After(b.settle):
	case <-ctx.Done():
		return r, ctx.Err()
	}
	if r.Idle, err = proc.RSS(tested.pid()); err != nil || t.model == "" {
		return r, err
	}
	observed := make(chan error, 1)
	go func() {
		if b.observe == nil {
			observed <- nil
			return
		}
		observed <- b.observe(ctx, g)
	}()
	r.Load, err = b.generate(ctx, t, g.listen, tested.pid(), as(caller)...)
	return r, errors.Join(err, <-observed)
}

func (b *bench) startMock(ctx context.Context) (mock *process, addr string, err error) {
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, "", err
	}
	mock, err = start(ctx, b.output, []string{b.program("mock"), "-addr", addrs[0]})
	if err != nil {
		return nil, "", err
	}
	if err := mock.firstReply(ctx, "http://"+addrs[0], b.key); err != nil {
		mock.stop()
		return nil, "", err
	}
	return mock, addrs[0], nil
}

// startSubject starts a subject for the site's upstreams and waits for its first good reply, which took so long. It
// gives the site with the addresses.
func (b *bench) startSubject(ctx context.Context, s subject, g site) (tested *process, at site, took time.Duration, err error) {
	addrs, err := freeAddrs(2)
	if err != nil {
		return nil, g, 0, err
	}
	g.dir, g.listen, g.admin = b.dir, addrs[0], addrs[1]
	config, err := g.write()
	if err != nil {
		return nil, g, 0, err
	}
	if g.ledger != "" && s.isSluice() {
		if err := b.migrate(ctx, s, config); err != nil {
			return nil, g, 0, err
		}
	}
	begin := time.Now()
	tested, err = start(ctx, b.output, s.argv(config, g.listen, g.upstreams[0]))
	if err != nil {
		return nil, g, 0, err
	}
	if err := tested.firstReply(ctx, g.url(), b.key); err != nil {
		tested.stop()
		return nil, g, 0, err
	}
	return tested, g, time.Since(begin), nil
}

// load runs the load generator.
func (b *bench) load(ctx context.Context, t test, addr string, pid int) (*report.Load, error) {
	return b.generate(ctx, t, addr, pid, as(b.key)...)
}

// as is the flags of the load generator for the caller with a key.
func as(key string) []string { return []string{"-H", "Authorization: Bearer " + key} }

// generate runs the load generator with flags besides the test's.
func (b *bench) generate(ctx context.Context, t test, addr string, pid int, flags ...string) (*report.Load, error) {
	args := slices.Concat([]string{"-url", "http://" + addr + chatPath, "-model", t.model, "-pid", strconv.Itoa(pid)}, t.load, flags)
	command := exec.CommandContext(ctx, b.program("load"), args...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	r := &report.Load{}
	if err := json.Unmarshal(out, r); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return r, nil
}

func (b *bench) program(name string) string { return filepath.Join(b.dir, name) }

// build compiles programs of this module into dir. The gateway is built as it is released.
func build(ctx context.Context, dir string, packages ...string) error {
	for _, p := range packages {
		command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w",
			"-o", filepath.Join(dir, filepath.Base(p)), "github.com/sluice-ai/sluice/"+p)
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		command.Stdout, command.Stderr = os.Stderr, os.Stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("go build %s: %w", p, err)
		}
	}
	return nil
}
