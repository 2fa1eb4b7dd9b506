package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sluice-ai/sluice/gateway"
)

// Host is a gateway.Host whose log and metrics can be read and whose clock is set by hand.
type Host struct {
	Logs     *observer.ObservedLogs
	Registry *prometheus.Registry

	// Asked answers what a plugin asks through the gateway; nil: nothing is answered.
	Asked func(ctx context.Context, endpoint string, c gateway.Caller, h gateway.Header, body []byte) ([]byte, error)

	log  *zap.Logger
	ctx  context.Context //nolint:containedctx // the life of the background work
	stop context.CancelFunc
	work sync.WaitGroup
	mu   sync.Mutex
	now  time.Time
}

var _ gateway.Host = (*Host)(nil)

// NewHost makes a host whose clock stands at 2026-01-01 00:00 UTC. Close it.
func NewHost() *Host {
	core, logs := observer.New(zap.DebugLevel)
	h := &Host{
		Logs: logs, Registry: prometheus.NewRegistry(), log: zap.New(core),
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// Log implements gateway.Host.
func (h *Host) Log() *zap.Logger { return h.log }

// Metrics implements gateway.Host.
func (h *Host) Metrics() prometheus.Registerer { return h.Registry }

// Now implements gateway.Host.
func (h *Host) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// SetNow sets the clock.
func (h *Host) SetNow(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = t
}

// Go implements gateway.Host.
func (h *Host) Go(work func(context.Context)) { h.work.Go(func() { work(h.ctx) }) }

// Ask implements gateway.Host.
func (h *Host) Ask(ctx context.Context, endpoint string, c gateway.Caller, head gateway.Header, body []byte) ([]byte, error) {
	if h.Asked == nil {
		return nil, errNobodyAnswers
	}
	return h.Asked(ctx, endpoint, c, head, body)
}

var errNobodyAnswers = errors.New("nobody answers what the plugin asks")

// Close ends the background work and waits for it.
func (h *Host) Close() {
	h.stop()
	h.work.Wait()
}

// Values are the metrics by name and labels, as Prometheus writes them: sluice_requests_total{code="200"}. Of a histogram
// it has the _count and the _sum.
func (h *Host) Values() (map[string]float64, error) {
	families, err := h.Registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := labels(m)
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				values[f.GetName()+labels] = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				values[f.GetName()+labels] = m.GetGauge().GetValue()
			default:
				values[f.GetName()+"_count"+labels] = float64(m.GetHistogram().GetSampleCount())
				values[f.GetName()+"_sum"+labels] = m.GetHistogram().GetSampleSum()
			}
		}
	}
	return values, nil
}

func labels(m *dto.Metric) string {
	pairs := make([]string, 0, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		pairs = append(pairs, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	if len(pairs) == 0 {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// Build makes a plugin; config is nil for the defaults. Plugin and host are closed when the test ends.
func Build(t testing.TB, spec gateway.Spec, config any) (gateway.Plugin, *Host) {
	t.Helper()
	h := NewHost()
	t.Cleanup(h.Close)
	p, err := build(h, spec, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closePlugin(h, p); err != nil {
			t.Error(err)
		}
	})
	return p, h
}

func build(h *Host, spec gateway.Spec, config any) (gateway.Plugin, error) {
	if config == nil {
		config = spec.Defaults()
	}
	p, err := spec.Build(h, config)
	if err == nil && p == nil {
		err = errors.New("the constructor returned neither a plugin nor an error")
	}
	return p, err
}

// closePlugin closes a plugin in the order of the gateway: first its background work, then itself.
func closePlugin(h *Host, p gateway.Plugin) error {
	h.Close()
	if c, ok := p.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
