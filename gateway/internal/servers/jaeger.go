package servers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec" //nolint:depguard // a gateway starts no programs; its tests do
	"path/filepath"
	"slices"
	"testing"
)

// Jaeger is a Jaeger that keeps traces in memory.
type Jaeger struct {
	HTTP, GRPC string // where it takes in OTLP, as http://host:port
	query      string
}

// JaegerSpan is a span as Jaeger gives it out.
type JaegerSpan struct {
	ID     string         `json:"spanID"`
	Name   string         `json:"operationName"`
	Start  int64          `json:"startTime"` // microseconds since 1970
	Took   int64          `json:"duration"`  // microseconds
	Parent string         `json:"-"`         // "": none
	Tags   map[string]any `json:"-"`
	Events []string       `json:"-"`

	References []struct {
		SpanID string `json:"spanID"`
	} `json:"references"`
	RawTags []tag `json:"tags"`
	Logs    []struct {
		Fields []tag `json:"fields"`
	} `json:"logs"`
}

type tag struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// StartJaeger starts a Jaeger, which make builds in bin/.tools.
func StartJaeger(t testing.TB) *Jaeger {
	t.Helper()
	address := func() string { return Local(FreePort(t)) }
	http, grpc, query, admin := address(), address(), address(), address()
	j := &Jaeger{HTTP: "http://" + http, GRPC: "http://" + grpc, query: "http://" + query}
	Start(t, Command{
		Path: tool(t, "jaeger"), Dir: t.TempDir(),
		Args: []string{
			"--collector.otlp.http.host-port=" + http, "--collector.otlp.grpc.host-port=" + grpc, "--query.http-server.host-port=" + query,
			"--admin.http.host-port=" + admin, "--query.grpc-server.host-port=" + address(), "--collector.grpc-server.host-port=" + address(),
			"--collector.http-server.host-port=" + address(), "--http-server.host-port=" + address(),
			"--processor.jaeger-binary.server-host-port=" + address(), "--processor.jaeger-compact.server-host-port=" + address(),
			"--processor.zipkin-compact.server-host-port=" + address(),
		},
		Up: func(ctx context.Context) error { return fetch(ctx, "http://"+admin, nil) },
	})
	return j
}

// tool is the path of a program that make builds, in the version of its Makefile.
func tool(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("this test runs within the repository")
		}
	}
	found, _ := filepath.Glob(filepath.Join(dir, "bin", ".tools", name+"-v*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("this test needs a real %s: run make %s", name, name)
	}
	path, err := exec.LookPath(slices.Max(found))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Trace is the trace of an id, by start, once it has so many spans.
func (j *Jaeger) Trace(t testing.TB, id string, spans int) []JaegerSpan {
	t.Helper()
	var list []JaegerSpan
	Await(t, "a trace with all of its spans", func(ctx context.Context) error {
		var answer struct {
			Data []struct {
				Spans []JaegerSpan `json:"spans"`
			} `json:"data"`
		}
		if err := fetch(ctx, j.query+"/api/traces/"+id, &answer); err != nil {
			return err
		}
		if list = answer.Data[0].Spans; len(list) < spans {
			return fmt.Errorf("it has %d of %d spans", len(list), spans)
		}
		return nil
	})
	for i := range list {
		s := &list[i]
		if len(s.References) > 0 {
			s.Parent = s.References[0].SpanID
		}
		s.Tags = map[string]any{}
		for _, t := range s.RawTags {
			s.Tags[t.Key] = t.Value
		}
		for _, l := range s.Logs {
			for _, f := range l.Fields {
				s.Events = append(s.Events, fmt.Sprint(f.Value))
			}
		}
	}
	slices.SortStableFunc(list, func(a, b JaegerSpan) int { return cmp.Compare(a.Start, b.Start) })
	return list
}

// fetch gets a JSON document into v, or only asks for it.
func fetch(ctx context.Context, url string, v any) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, r.Status)
	}
	if v == nil {
		return nil
	}
	return json.NewDecoder(r.Body).Decode(v)
}
