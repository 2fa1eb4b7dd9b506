package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	path, err := writeGateway(dir, "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003")
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
	if p := c.Providers[0]; p.BaseURL != "http://127.0.0.1:1003/v1" || p.Keys[0].Key.Reveal() != "sk-bench" {
		t.Errorf("%+v", p)
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
