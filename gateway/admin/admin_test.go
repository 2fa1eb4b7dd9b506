package admin_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPages(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_pages_total", Help: "For the test."}))
	health := admin.Health{Ready: true, Detail: map[string]string{"generation": "3"}, Faults: []string{"tenants/acme.yaml:1:1: broken"}}
	s := admin.New(admin.Options{Metrics: registry, Health: func() admin.Health { return health }})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	check := func(path string, status int, contains string) {
		t.Helper()
		r, err := client.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		if r.StatusCode != status || !strings.Contains(string(b), contains) {
			t.Errorf("%s: %d %s", path, r.StatusCode, b)
		}
	}
	check("/livez", 200, "alive")
	check("/readyz", 200, "ready")
	check("/readyz?verbose", 200, `"generation": "3"`)
	check("/readyz?verbose", 200, "acme.yaml:1:1: broken")
	check("/metrics", 200, "sluice_pages_total 0")
	check("/debug/pprof/goroutine?debug=1", 200, "goroutine profile")
	check("/v1/models", 404, "/readyz")

	health = admin.Health{Reason: "draining"}
	check("/readyz", 503, "not ready: draining")
	check("/readyz?verbose", 503, `"reason": "draining"`)
	check("/livez", 200, "alive")

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
