package servers

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// Prometheus is a Prometheus that scrapes one address every 200 ms.
type Prometheus struct{ url string }

// StartPrometheus starts a Prometheus that scrapes /metrics at host:port. It keeps exemplars, and asks for native histograms.
func StartPrometheus(t testing.TB, target string) *Prometheus {
	t.Helper()
	dir, listen := t.TempDir(), Local(FreePort(t))
	file := filepath.Join(dir, "prometheus.yml")
	text := "scrape_configs:\n  - {job_name: sluice, scrape_interval: 200ms, scrape_timeout: 200ms, static_configs: [{targets: [\"" + target + "\"]}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Prometheus{"http://" + listen}
	Start(t, Command{
		Path: Find(t, "prometheus", "prometheus"), Dir: dir,
		Args: []string{
			"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + listen,
			"--enable-feature=exemplar-storage,native-histograms",
		},
		Up: func(ctx context.Context) error { return fetch(ctx, p.url+"/-/ready", nil) },
	})
	return p
}

// Query asks an expression, for the value of each of its series, as Prometheus writes it; a native histogram's is its count.
func (p *Prometheus) Query(ctx context.Context, expression string) ([]string, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Value []any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := fetch(ctx, p.url+"/api/v1/query?query="+url.QueryEscape(expression), &answer); err != nil {
		return nil, err
	}
	var values []string
	for _, r := range answer.Data.Result {
		if len(r.Value) == 2 {
			if v, ok := r.Value[1].(string); ok {
				values = append(values, v)
			}
		}
	}
	return values, nil
}

// Exemplars are the traces that a metric's exemplars name.
func (p *Prometheus) Exemplars(ctx context.Context, metric string) ([]string, error) {
	var answer struct {
		Data []struct {
			Exemplars []struct {
				Labels map[string]string `json:"labels"`
			} `json:"exemplars"`
		} `json:"data"`
	}
	if err := fetch(ctx, p.url+"/api/v1/query_exemplars?start=0&end=99999999999&query="+url.QueryEscape(metric), &answer); err != nil {
		return nil, err
	}
	var ids []string
	for _, series := range answer.Data {
		for _, e := range series.Exemplars {
			ids = append(ids, e.Labels["trace_id"])
		}
	}
	return ids, nil
}
