// Command benchmarks measures what Sluice costs, against the floor: a bare reverse proxy on the same library that parses
// nothing, authenticates nobody and logs nothing.
//
//	go run ./benchmarks                                # everything, five rounds, alarms on
//	go run ./benchmarks -tests max,stream -rounds 1 -limits off
//
// It builds the gateway, the floor, a mock upstream and a load generator, runs them on loopback, and writes a table and,
// for each test, a file with every row. It exits with 1 if a limit is exceeded or any request failed, with 2 if it could
// not run. README.md says what the figures mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// leastRounds is how many rounds a minimum needs before an alarm may rest on it.
const leastRounds = 5

// settle is the time between the first reply and the first measurement.
const settle = time.Second

// options are what the command line says.
type options struct {
	tests   []test
	rounds  int
	out     string
	gateway string
	tenants int
	limits  bool
	verbose bool
	profile string
}

// errShort says that the figures are not good enough; what is wrong has been printed.
var errShort = errors.New("not within the limits")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errShort):
		os.Exit(1)
	case errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(2)
	}
}

func command(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := build(ctx, dir, "benchmarks/mock", "benchmarks/load", "benchmarks/floor"); err != nil {
		return err
	}
	if o.gateway == "" {
		if err := build(ctx, dir, "cmd/sluice"); err != nil {
			return err
		}
		o.gateway = filepath.Join(dir, "sluice")
	}
	callerKey, err := writeTenants(dir, o.tenants)
	if err != nil {
		return err
	}
	b := &bench{
		dir: dir, key: callerKey,
		subjects: []subject{
			{floorName, []string{filepath.Join(dir, "floor"), "-addr", "{listen}", "-upstream", "{upstream}"}},
			{gatewayName, gatewayCommand(o.gateway)},
		},
		rounds: o.rounds, settle: settle, progress: progress,
	}
	if o.verbose {
		b.output = os.Stderr
	}
	if o.profile != "" {
		return b.profile(ctx, o.tests, o.profile)
	}
	return runAll(ctx, b, o, out)
}

func parse(args []string) (options, error) {
	var o options
	var names, limits string
	set := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	set.StringVar(&names, "tests", "max,billed,fleet,hit,r500,fleet500,stream,translate,translate-stream,mem1000,mem5000,idle,start,leave,reset,outage,hedge,balance,sockets,collapse", "which tests to run")
	set.IntVar(&o.rounds, "rounds", leastRounds, "how often each is run")
	set.StringVar(&o.out, "out", filepath.Join("benchmarks", "results"), "folder for the results; empty: none are written")
	set.StringVar(&o.gateway, "gateway", "", "program to measure, or a command with {config}, {listen} and {upstream}; "+
		"empty: ./cmd/sluice, built as it is released")
	set.IntVar(&o.tenants, "tenants", 100, "tenants beside the one that calls")
	set.StringVar(&limits, "limits", "on", "on: exceeding a limit is a failure; off: it is only shown")
	set.StringVar(&o.profile, "profile", "", "measure nothing, but write the gateway's CPU profile in the tests to this file")
	set.BoolVar(&o.verbose, "v", false, "show what the gateway, the floor and the mock say; costs them time")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	switch limits {
	case "on":
		o.limits = true
	case "off":
	default:
		return o, fmt.Errorf("-limits %s: want on or off", limits)
	}
	if o.rounds < 1 || o.tenants < 0 {
		return o, errors.New("-rounds must be positive, -tenants must not be negative")
	}
	if o.limits && o.rounds < leastRounds {
		return o, fmt.Errorf("limits need at least %d rounds: say -rounds %d or -limits off", leastRounds, leastRounds)
	}
	if o.profile != "" && !isSet(set, "tests") {
		names = profiled
	}
	var err error
	if o.tests, err = choose(suite(), names); err != nil {
		return o, err
	}
	return o, o.leaveOut(set)
}

// leaveOut takes out the tests that need Sluice's configuration if something else is measured, unless they were named.
func (o *options) leaveOut(set *flag.FlagSet) error {
	if (subject{gatewayName, gatewayCommand(o.gateway)}).isSluice() {
		return nil
	}
	named := isSet(set, "tests")
	kept := slices.DeleteFunc(slices.Clone(o.tests), func(t test) bool { return t.run != nil || t.speaks != "" || t.billed || t.cached })
	if named && len(kept) < len(o.tests) {
		return errors.New("-tests: leave and the tests after it, billed, fleet, hit and the translations can measure nothing but Sluice")
	}
	o.tests = kept
	return nil
}

// isSet says whether a flag was given.
func isSet(set *flag.FlagSet, name string) bool {
	given := false
	set.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
