package app

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/gateway/sim"
)

var update = flag.Bool("update", false, "write gateway/METRICS.md anew")

const metricsPage = "../../../gateway/METRICS.md"

// metric is a row of the page.
type metric struct{ kind, labels, help string }

// The page of metrics has all that there are. -update writes it anew.
func TestMetricsPage(t *testing.T) {
	_, up := simulate(t, sim.Options{TokensPerSecond: 1e6, Seed: 1})
	s := start(t, gatewayFile("least_latency", up)+
		"plugins: {cache: {exact: {ttl: 1h}, semantic: {mode: verified}}, telemetry: {traces: {otlp: \"http://127.0.0.1:1\"}}}\n")
	defer s.stop()
	c := client(t)
	for _, body := range []string{unary("sim-chat"), streamed("sim-chat"), unary("sim-chat")} {
		if a := s.ask(c, body); a.status != 200 {
			t.Fatalf("%+v", a)
		}
	}
	all := s.described(t)
	families, err := prometheus.Gatherers{s.registry, s.runtime}.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if m, ok := all[f.GetName()]; ok {
			m.kind = strings.ToLower(f.GetType().String())
		}
	}
	var b strings.Builder
	b.WriteString("# Metrics\n\nWhat `/metrics` of the operators' listener tells; `go test ./cmd/sluice/app -run TestMetricsPage -update` writes this page.\n" +
		"Besides, there are those of Go's runtime (`go_…`) and of the process (`process_…`). Which tenants have series of their own, `plugins.telemetry.max_tenants`\n" +
		"bounds; models and providers are those of the configuration. Times name the traces of exchanges whose spans are sent (exemplars).\n\n" +
		"| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, "sluice_") {
			continue
		}
		m := all[name]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, m.kind, m.labels, strings.ReplaceAll(m.help, "|", "\\|"))
	}
	if *update {
		if err := os.WriteFile(metricsPage, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if page, err := os.ReadFile(metricsPage); err != nil || !bytes.Equal(page, []byte(b.String())) {
		t.Errorf("%v: gateway/METRICS.md is stale: run go test ./cmd/sluice/app -run TestMetricsPage -update", err)
	}
}

var described = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), (?:unit: .*, )?constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

var constant = regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)

// described are the metrics that are registered, whether or not there is a sample of them yet. Without one a name tells a counter,
// and what is none is taken for a gauge: the histograms all have samples here.
func (s *site) described(t *testing.T) map[string]*metric {
	t.Helper()
	list := make(chan *prometheus.Desc, 1000)
	s.registry.Describe(list)
	s.runtime.Describe(list)
	close(list)
	all := map[string]*metric{}
	for d := range list {
		parts := described.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("%s reads differently", d)
		}
		name, _ := strconv.Unquote(parts[1])
		help, _ := strconv.Unquote(parts[2])
		kind := "gauge"
		if strings.HasSuffix(name, "_total") {
			kind = "counter"
		}
		labels := strings.FieldsFunc(parts[4], func(r rune) bool { return r == ',' })
		for _, l := range constant.FindAllStringSubmatch(parts[3], -1) {
			labels = append(labels, l[1])
		}
		slices.Sort(labels)
		all[name] = &metric{kind, strings.Join(labels, ", "), help}
	}
	return all
}
