package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ai/sluice/benchmarks/internal/report"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

func TestCommandLine(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		_, err := parse(args)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
	f("at least 5 rounds", "-rounds", "4")
	f("must be positive", "-rounds", "0", "-limits", "off")
	f("must not be negative", "-tenants", "-1")
	f("want on or off", "-limits", "maybe")
	f(`no test "fast"`, "-tests", "max,fast")
	f(`no test ""`, "-tests", "")

	f("nothing but Sluice", "-gateway", "x {listen}", "-tests", "max,leave")
	if o, err := parse([]string{"-gateway", "x {listen}"}); err != nil || len(o.tests) != len(suite())-13 {
		t.Errorf("%+v, %v", o, err)
	}

	o, err := parse([]string{"-tests", "start, max", "-rounds", "1", "-limits", "off"})
	if err != nil || len(o.tests) != 2 || o.tests[0].name != "max" || o.tests[1].name != "start" || o.limits {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parse(nil); err != nil || len(o.tests) != len(suite()) || !o.limits || o.rounds != 5 {
		t.Errorf("by default: %+v, %v", o, err)
	}
}

func TestGatewayCommand(t *testing.T) {
	f := func(flag string, want ...string) {
		t.Helper()
		s := subject{gatewayName, gatewayCommand(flag)}
		if d := cmp.Diff(want, s.argv("/tmp/c.yaml", "127.0.0.1:1", "127.0.0.1:2")); d != "" {
			t.Errorf("%s: (-want +got)\n%s", flag, d)
		}
	}
	f("/opt/my sluice", "/opt/my sluice", "serve", "--config", "/tmp/c.yaml")
	f("proxy -l {listen} --to=http://{upstream}/v1", "proxy", "-l", "127.0.0.1:1", "--to=http://127.0.0.1:2/v1")
}

// TestConfiguration loads what the gateway will read.
func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	caller, err := writeTenants(dir, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeCertificate(dir); err != nil {
		t.Fatal(err)
	}
	upstreams := []string{"127.0.0.1:1003", "127.0.0.1:1004"}
	path, err := site{
		dir: dir, listen: "127.0.0.1:1001", admin: "127.0.0.1:1002", upstreams: upstreams, tls: true,
		provider: "timeouts: {connect: 1s}", model: "hedge: {budget: 5%}",
	}.write()
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.NewLoader(config.Options{Path: path}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 0 || c.Server.Listen != "127.0.0.1:1001" || c.Server.AdminListen != "127.0.0.1:1002" {
		t.Errorf("%v, %+v", c.Warnings, c.Server)
	}
	for i, p := range c.Providers {
		if p.BaseURL != "http://"+upstreams[i]+"/v1" || p.Keys[0].Key.Reveal() != "sk-bench" {
			t.Errorf("%+v", p)
		}
	}
	if m := c.Models[0]; m.Strategy != "ordered" || len(m.Targets) != 2 || m.Targets[1].Provider != "mock1" || m.Hedge == nil || c.Providers[1].Timeouts.Connect != time.Second {
		t.Errorf("%+v", m)
	}
	if _, err := tls.LoadX509KeyPair(c.Server.TLS.Cert, c.Server.TLS.Key); err != nil {
		t.Error(err)
	}
	if len(c.Tenants.List) != 4 || c.Tenants.List[0].ID != "bench" {
		t.Fatalf("%d tenants", len(c.Tenants.List))
	}
	if got := c.Tenants.List[0].Keys[0].Digest; got != key.Text(key.Digest([]byte(caller))) {
		t.Errorf("the caller's digest is %s", got)
	}
}

func TestFreeAddressesDiffer(t *testing.T) {
	addrs, err := freeAddrs(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range addrs {
		seen[a] = true
	}
	if len(seen) != 20 {
		t.Errorf("%v", addrs)
	}
}

func TestRowFaults(t *testing.T) {
	f := func(r row, streams int64, want string) {
		t.Helper()
		if got := r.faults(test{streams: streams}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(row{}, 0, "")
	f(row{Load: &report.Load{}}, 0, "")
	f(row{Load: &report.Load{Errors: 3, ErrorKinds: map[string]int64{"status 502": 3}}}, 0, "3 errors: map[status 502:3]")
	f(row{Load: &report.Load{Streams: &report.Streams{Alive: 5000}}}, 5000, "")
	f(row{Load: &report.Load{Streams: &report.Streams{Alive: 4999}}}, 5000, "4999 of 5000 streams alive")
}

func TestMemoryPerStream(t *testing.T) {
	r := row{Idle: 10 << 20, Load: &report.Load{RSS: 30 << 20, Streams: &report.Streams{Alive: 1024}}}
	if got := memoryPerStream(r); got != 20 {
		t.Errorf("got %g KiB", got)
	}
}

// TestSmoke runs every program for a moment, the floor in both roles, and reads the files that come out.
func TestSmoke(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	if err := build(t.Context(), dir, "benchmarks/mock", "benchmarks/load", "benchmarks/floor"); err != nil {
		t.Fatal(err)
	}
	floor := filepath.Join(dir, "floor") + " -addr {listen} -upstream {upstream}"
	b := &bench{
		dir: dir, rounds: 2, progress: io.Discard,
		subjects: []subject{{floorName, gatewayCommand(floor)}, {gatewayName, gatewayCommand(floor)}},
	}
	short := func(name string, args ...string) test {
		all, err := choose(suite(), name)
		if err != nil {
			t.Fatal(err)
		}
		all[0].load = args
		return all[0]
	}
	streams := short("mem1000", "-stream", "-c", "3", "-warm", "300ms", "-d", "100ms")
	streams.streams = 3
	o := options{out: out, tenants: 1, tests: []test{
		short("max", "-c", "2", "-warm", "50ms", "-d", "100ms"),
		short("stream", "-stream", "-c", "2", "-warm", "100ms", "-d", "200ms"),
		streams,
		short("start"),
	}}
	var table strings.Builder
	if err := runAll(t.Context(), b, o, &table); err != nil {
		t.Fatalf("%v\n%s", err, &table)
	}
	if !strings.Contains(table.String(), "mem1000") {
		t.Errorf("table:\n%s", &table)
	}
	for _, test := range o.tests {
		checkResult(t, out, test)
	}
}

// TestAlone runs the tests that are Sluice's alone, small, against Sluice.
func TestAlone(t *testing.T) {
	dir := t.TempDir()
	if err := build(t.Context(), dir, "benchmarks/mock", "benchmarks/load", "cmd/sluice"); err != nil {
		t.Fatal(err)
	}
	callerKey, err := writeTenants(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: dir, key: callerKey, progress: io.Discard, subjects: []subject{{gatewayName, gatewayCommand(filepath.Join(dir, "sluice"))}}}
	run := func(name string, change func(*test)) row {
		t.Helper()
		all, err := choose(suite(), name)
		if err != nil {
			t.Fatal(err)
		}
		change(&all[0])
		rows, err := b.run(t.Context(), all[0])
		if err != nil {
			t.Fatal(err)
		}
		last := rows[len(rows)-1]
		if wrong := last.faults(all[0]); wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
		for _, f := range all[0].figures {
			if v := f.of(last); math.IsNaN(v) && strings.Contains(f.name, all[0].only) {
				t.Errorf("%s was not measured", f.name)
			}
		}
		return last
	}
	r := run("leave", func(t *test) { t.clients = 5 })
	if len(r.Departures) != len(moments)*len(connections)*len(ways) {
		t.Errorf("%d combinations", len(r.Departures))
	}
	for _, d := range r.Departures {
		if d.P50 <= 0 || d.P99 < d.P50 || d.Max < d.P99 {
			t.Errorf("%+v", d)
		}
	}
	r = run("reset", func(t *test) { t.load = []string{"-c", "20", "-warm", "200ms", "-d", "500ms", "-rate", "100"} })
	for _, how := range []string{noReset, resetOnAccept, resetOnRequest} {
		if load := r.Resets[how]; load == nil || load.Requests < 10 {
			t.Errorf("%s: %+v", how, load)
		}
	}
	r = run("outage", func(t *test) {
		t.only, t.tries, t.load = "kill", 1, []string{"-c", "50", "-warm", "200ms", "-d", "6s", "-rate", "100"}
	})
	if load := r.Loads["kill"]; load.Again.Count == 0 || r.Values["outage.kill.detected"] < 0 || r.Values["outage.kill.recovered"] < 0 {
		t.Errorf("%+v, %+v", r.Values, load)
	}
	r = run("hedge", func(t *test) {
		t.tries, t.load = 1, []string{"-c", "50", "-warm", "1s", "-d", "1s", "-rate", "50", "-stream"}
	})
	if r.Values["off.p50"] < 100 || r.Values["extra"] < 0 {
		t.Errorf("%+v", r.Values)
	}
	r = run("balance", func(t *test) {
		t.only, t.tries, t.load = "429", 1, []string{"-c", "50", "-warm", "200ms", "-d", "1s", "-rate", "50"}
	})
	if len(r.Loads) != len(strategies) || r.Values["429.share"] <= 0 {
		t.Errorf("%+v", r.Values)
	}
	r = run("collapse", func(t *test) { t.load = []string{"-c", "500", "-warm", "200ms", "-d", "1s", "-refusals"} })
	if r.Loads["direct"].Refused == 0 || r.Values["rate"] <= 0 || r.Loads["small"].Asked == 0 {
		t.Errorf("%+v", r.Values)
	}
}

// A gateway that goes on working for those who have left, or that hands an upstream's resets on, is found out.
func TestAloneFinds(t *testing.T) {
	worse := row{
		Departures: []departure{
			{Moment: "gap", Connection: "tls", Way: "close", P50: 1, P99: 2, Max: 3},
			{Moment: "gap", Connection: "tls", Way: "reset", P50: 2, P99: 21, Max: 30},
		},
		Resets: map[string]*report.Load{
			noReset:        {LatencyLess: report.Distribution{P50: 1000, P99: 2000}},
			resetOnAccept:  {LatencyLess: report.Distribution{P50: 1500, P99: 17_100}},
			resetOnRequest: {LatencyLess: report.Distribution{P50: 900, P99: 1900}},
		},
	}
	f := func(figures []figure, name string, want float64, over bool) {
		t.Helper()
		at := slices.IndexFunc(figures, func(f figure) bool { return f.name == name })
		got := figures[at].of(worse)
		worse.Subject = gatewayName
		if s := summarize(figures[at], []row{worse}); math.Abs(got-want) > 1e-9 || s.Over != over {
			t.Errorf("%s: %g, over: %v", name, got, s.Over)
		}
	}
	f(leaveFigures(), "leave.p50", 2, false)
	f(leaveFigures(), "leave.max", 30, false)
	f(leaveFigures(), "leave.gap.tls", 21, true)
	f(resetFigures(), "reset.accept.p50", 0.5, false)
	f(resetFigures(), "reset.accept.p99", 15.1, true)
	f(resetFigures(), "reset.request.p99", -0.1, false)
}

func checkResult(t *testing.T, dir string, want test) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "????-??-??-"+want.name+".json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: files %v, %v", want.name, files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Test != want.name || r.Machine.Cores < 1 || r.Machine.Go == "" || r.Gateway != "floor -addr {listen} -upstream {upstream}" {
		t.Errorf("%s: %+v", want.name, r)
	}
	var order []string
	for _, row := range r.Rows {
		order = append(order, row.Subject)
		if row.Start <= 0 || row.Idle < 1<<20 {
			t.Errorf("%s: %+v", want.name, row)
		}
		if want.model == "" {
			continue
		}
		if row.Load.Errors != 0 || row.Load.RSS < 1<<20 || row.Load.Seconds <= 0 {
			t.Errorf("%s: %+v", want.name, row.Load)
		}
		if want.name == "max" && (row.Load.Requests == 0 || row.Load.Latency.P50 < row.Load.LatencyLess.P50) {
			t.Errorf("%s: %+v", want.name, row.Load)
		}
		if want.name == "stream" && (row.Load.Streams.Chunks == 0 || row.Load.Streams.ChunkDelay.P50 <= 0) {
			t.Errorf("%s: %+v", want.name, row.Load.Streams)
		}
	}
	if d := cmp.Diff([]string{floorName, gatewayName, gatewayName, floorName}, order); d != "" {
		t.Errorf("%s: order of rows (-want +got)\n%s", want.name, d)
	}
	if len(r.Summary) != len(want.figures) || r.Summary[0].Figure != want.figures[0].name {
		t.Errorf("%s: %+v", want.name, r.Summary)
	}
}

// TestFailures runs subjects that give no good reply.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	if err := build(t.Context(), dir, "benchmarks/mock", "benchmarks/floor"); err != nil {
		t.Fatal(err)
	}
	f := func(ctx context.Context, command string, want string) {
		t.Helper()
		b := &bench{dir: dir, rounds: 1, progress: io.Discard, subjects: []subject{{gatewayName, gatewayCommand(command)}}}
		_, err := b.run(ctx, suite()[0])
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", command, err, want)
		}
	}
	f(t.Context(), filepath.Join(dir, "nothing"), "no such file")
	f(t.Context(), filepath.Join(dir, "floor")+" -unknown {listen}", "ended by itself: exit status 2")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := 0 // one request at a time, so that it needs no lock
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 2 {
			cancel()
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer upstream.Close()
	f(ctx, filepath.Join(dir, "floor")+" -addr {listen} -upstream "+upstream.Listener.Addr().String(), "status 418")
}

func TestErrorsFail(t *testing.T) {
	// Errors fail the run although limits are off.
	dir := t.TempDir()
	if err := build(t.Context(), dir, "benchmarks/mock", "benchmarks/load", "benchmarks/floor"); err != nil {
		t.Fatal(err)
	}
	floor := filepath.Join(dir, "floor") + " -addr {listen} -upstream {upstream}"
	b := &bench{dir: dir, rounds: 1, progress: io.Discard, subjects: []subject{{gatewayName, gatewayCommand(floor)}}}
	broken := suite()[0]
	broken.model, broken.load = "mock-e503", []string{"-c", "1", "-warm", "50ms", "-d", "100ms"}
	var out strings.Builder
	err := runAll(t.Context(), b, options{tests: []test{broken}}, &out)
	if !errors.Is(err, errShort) || !strings.Contains(out.String(), "status 503") {
		t.Errorf("%v\n%s", err, &out)
	}
}
