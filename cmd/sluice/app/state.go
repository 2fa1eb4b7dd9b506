package app

import (
	"reflect"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
)

// state is what readiness tells.
type state struct {
	mu     sync.Mutex
	reason string // why not ready; "" if ready
	began  bool
	faults []string // of the last reload
	store  []string // of the tenants in the store
}

// setReason says why the gateway is not ready; "" if it is.
func (s *state) setReason(reason string) {
	s.mu.Lock()
	s.began, s.reason = true, reason
	s.mu.Unlock()
}

// loaded notes how a reload went.
func (s *state) loaded(problems config.Problems, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	for _, p := range problems {
		s.faults = append(s.faults, p.String())
	}
	if err != nil {
		s.faults = append(s.faults, err.Error())
	}
}

// merged notes what is wrong with tenants of the store, and says whether that is news.
func (s *state) merged(faults []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := !slices.Equal(s.store, faults)
	s.store = faults
	return news
}

func (s *state) health() admin.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return admin.Health{Ready: s.began && s.reason == "", Reason: s.reason, Faults: slices.Concat(s.faults, s.store)}
}

type metrics struct {
	success  prometheus.Gauge
	problems prometheus.Gauge
	reloads  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, version string) metrics {
	m := metrics{
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_config_reload_success", Help: "Whether the last reload of the configuration was applied (1) or refused (0).",
		}),
		problems: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_config_tenant_problems", Help: "Mistakes in tenant files whose last good version is in use.",
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_config_reloads_total", Help: "Reloads of the configuration, by result.",
		}, []string{"result"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_build_info", Help: "1, with the version as a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.success.Set(1)
	r.MustRegister(m.success, m.problems, m.reloads, info)
	return m
}

func (m metrics) reloaded(ok bool, problems int) {
	result := "refused"
	m.success.Set(0)
	if ok {
		result = "applied"
		m.success.Set(1)
	}
	m.problems.Set(float64(problems))
	m.reloads.WithLabelValues(result).Inc()
}

// sameServer says whether what cannot change without a restart is the same; origins can.
func sameServer(a, b config.Server) bool {
	a.CORS, b.CORS = config.CORS{}, config.CORS{}
	return reflect.DeepEqual(a, b)
}
