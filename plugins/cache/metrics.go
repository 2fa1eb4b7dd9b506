package cache

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
)

// Results of exchanges beside those of [ledger.Kind].
const (
	missed   = int(ledger.Attempt)
	bypassed = int(ledger.Stale) + 1
)

// metrics are what the cache was good for.
type metrics struct {
	requests  *prometheus.CounterVec
	results   [bypassed + 1]prometheus.Counter
	bypasses  *prometheus.CounterVec
	renewals  *prometheus.CounterVec
	stored    prometheus.Counter
	unkept    prometheus.Counter
	saved     prometheus.Counter
	seconds   prometheus.Counter
	decisions *prometheus.CounterVec
	crowded   prometheus.Counter
	judged    *prometheus.CounterVec
	unshared  prometheus.Counter
	followed  prometheus.Gauge
	entries   prometheus.GaugeFunc
	bytes     prometheus.GaugeFunc
}

func newMetrics(s *store) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string, f func() float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_cache_requests_total", Help: "Exchanges that the cache has seen, by what came of it.",
		}, []string{"result"}),
		bypasses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_cache_bypass_total", Help: "Exchanges that the cache has kept out of, by the reason.",
		}, []string{"reason"}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_cache_renewals_total", Help: "Answers past their time that were asked for again, by what came of it.",
		}, []string{"result"}),
		stored:  counter("sluice_cache_stored_total", "Answers that were kept."),
		unkept:  counter("sluice_cache_unkept_total", "Answers that were not kept: incomplete, too large, refusals, calls of tools."),
		saved:   counter("sluice_cache_saved_usd_total", "What the answers from the cache would have cost, in USD."),
		seconds: counter("sluice_cache_saved_seconds_total", "How long the answers from the cache have taken when they were first given."),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_cache_semantic_total", Help: "Questions that were compared to others, by what was decided.",
		}, []string{"decision"}),
		crowded: counter("sluice_cache_semantic_evicted_total", "Questions that made room for others."),
		judged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_cache_judged_total", Help: "Answers that the judge was to look at, by its verdict.",
		}, []string{"verdict"}),
		unshared: counter("sluice_cache_unshared_total", "Answers and changes that other nodes were not told of: Redis was away for too long, or refused them."),
		followed: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_cache_followed", Help: "Answers that other nodes are told as they come."}),
		entries:  gauge("sluice_cache_entries", "Answers and their renderings in memory.", func() float64 { return float64(s.items.EstimatedSize()) }),
		bytes:    gauge("sluice_cache_bytes", "Memory that they take.", func() float64 { return float64(s.items.WeightedSize()) }),
	}
	for i, result := range [...]string{"miss", "exact", "semantic", "coalesced", "stale", "bypass"} {
		m.results[i] = m.requests.WithLabelValues(result)
	}
	return m
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.bypasses, m.renewals, m.stored, m.unkept, m.saved, m.seconds, m.decisions, m.crowded, m.judged, m.unshared, m.followed, m.entries, m.bytes}
}

// decided counts a comparison.
func (m *metrics) decided(d *semantic.Decision) {
	what := d.Reason
	if d.Serve() {
		what = "served"
	}
	m.decisions.WithLabelValues(what).Inc()
}

// hit counts an answer from the cache.
func (m *metrics) hit(how ledger.Kind, saved catalog.Cost, took time.Duration) {
	m.results[how].Inc()
	m.save(saved, took)
}

// save counts what an answer from the cache would have cost, and taken.
func (m *metrics) save(saved catalog.Cost, took time.Duration) {
	if saved.Known {
		m.saved.Add(float64(saved.Picodollars) / 1e12)
	}
	m.seconds.Add(took.Seconds())
}
