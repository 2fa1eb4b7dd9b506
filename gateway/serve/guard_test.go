package serve_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
)

// While memory is short no body is read, of those who matter least first.
func TestShortOfMemory(t *testing.T) {
	var used atomic.Int64
	registry := prometheus.NewRegistry()
	priority := admission.Low
	f := func(share int64, p admission.Priority, refused bool) {
		t.Helper()
		used.Store(share)
		priority = p
		// A guard looks every so often: a new one looks now.
		s := start(t, func(x *gateway.Exchange) error {
			x.Caller.Tenant = &gateway.Tenant{ID: "acme", Priority: priority}
			if err := x.Request.Open(); err != nil {
				return err
			}
			x.Reply = &gateway.Reply{Status: 200, ContentType: "application/json", Stream: gateway.Once([]byte("{}"))}
			return nil
		}, func(u *setup) {
			registry = prometheus.NewRegistry()
			u.options.Metrics = registry
			u.options.Guard = admission.NewGuard(func() (bytes, limit uint64) { return uint64(used.Load()), 100 })
		})
		reply, err := http.Post("http://"+s.l.Addr().String()+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		body, _ := io.ReadAll(reply.Body)
		http.DefaultClient.CloseIdleConnections()
		if !refused {
			if reply.StatusCode != 200 || counted(t, registry, p) != 0 {
				t.Errorf("%d %% and %s: %d %s", share, p, reply.StatusCode, body)
			}
			return
		}
		if reply.StatusCode != 503 || !strings.Contains(string(body), gateway.CodeBusy) || reply.Header.Get("Retry-After") != "1" || counted(t, registry, p) != 1 {
			t.Errorf("%d %% and %s: %d %v %s", share, p, reply.StatusCode, reply.Header, body)
		}
	}
	f(50, admission.Low, false)
	f(90, admission.Low, true)
	f(90, admission.Normal, false)
	f(95, admission.Normal, true)
	f(95, admission.High, false)
	f(99, admission.High, true)
	f(99, admission.Critical, false)
}

// counted is how often a priority was refused.
func counted(t *testing.T, g prometheus.Gatherer, p admission.Priority) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "sluice_memory_refused_total" && m.GetLabel()[0].GetValue() == p.String() {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatal("there is no such metric")
	return 0
}
