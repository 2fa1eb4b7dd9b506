package telemetry

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Values of labels in place of a name.
const (
	none    = "none"    // not known yet: before auth, before the body was read, before an attempt
	unknown = "unknown" // a model that is not configured: callers write what they like, labels are bounded
	other   = "other"   // a tenant beyond Config.MaxTenants
	aborted = "aborted" // as a code: a reply that had begun and was cut short, not by the caller
)

// tokenTypes are the classes of chat.Usage, those that most replies have first.
var tokenTypes = [...]string{
	"input", "cache_read", "output", "reasoning",
	"cache_write", "cache_write_hour", "input_audio", "input_image", "output_audio", "output_image",
}

// common is how many of them have series whether or not they are used.
const common = 4

func counts(u *chat.Usage) [len(tokenTypes)]int64 {
	return [...]int64{
		u.Input, u.CacheRead, u.Output, u.Reasoning,
		u.CacheWrite, u.CacheWriteHour, u.InputAudio, u.InputImage, u.OutputAudio, u.OutputImage,
	}
}

// metrics are what is counted. Labels are resolved once for each series: afterwards an exchange costs one lookup.
type metrics struct {
	requests, tokens, attempts *prometheus.CounterVec
	cost, uncounted, hedges    *prometheus.CounterVec
	duration, first            *prometheus.HistogramVec
	overhead                   prometheus.Histogram
	failovers                  prometheus.Counter
	streams, exchanges         prometheus.Gauge

	series sync.Map // seriesKey -> *series

	mu      sync.Mutex
	most    int
	tenants map[string]struct{} // that have series of their own
}

// seriesKey says which series an exchange belongs to. code is a status, or 0 for aborted.
type seriesKey struct {
	tenant, model, provider string
	code                    int
	why                     int // the last attempt's cost is not known: a catalog.Why, plus 1; 0 if it is
}

// series are the metrics of one seriesKey. Those below duration are nil if no attempt was made.
type series struct {
	tenant   string // as a label
	requests prometheus.Counter
	duration prometheus.Observer
	first    prometheus.Observer
	ok       prometheus.Counter // attempts
	tokens   *[common]prometheus.Counter
	cost     prometheus.Counter // of the last attempt
	unknown  prometheus.Counter // likewise; nil if it is known
}

// newMetrics makes the metrics. The buckets of the first two histograms are those of OpenTelemetry's conventions for
// generative AI (gen_ai.client.operation.duration, gen_ai.server.time_to_first_token), with minutes on top for reasoning.
func newMetrics(most int, native bool) *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	seconds := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(histogram(name, help, buckets, native), []string{"model", "provider"}) // not by tenant: buckets multiply
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	return &metrics{
		most: most, tenants: map[string]struct{}{},
		requests: counters("sluice_requests_total",
			`Exchanges that ended, by what the caller saw: a status, 499 if the caller left, or "aborted".`,
			"tenant", "model", "provider", "code"),
		tokens: counters("sluice_tokens_total", "Tokens of delivered replies, in disjoint classes.",
			"tenant", "model", "provider", "type"),
		cost: counters("sluice_cost_usd_total", "Known costs of attempts, in US dollars, by the provider of each.",
			"tenant", "model", "provider"),
		uncounted: counters("sluice_cost_unknown_total", "Attempts whose cost is not known, and so in no sum, by why it is not.",
			"model", "provider", "reason"),
		attempts: counters("sluice_attempts_total", "Attempts at providers, by how they ended.", "provider", "outcome"),
		hedges: counters("sluice_hedges_total",
			`Second attempts beside one that was late, by whose answer was delivered: "won", "lost", or "failed" if it was neither's.`,
			"provider", "outcome"),
		duration: seconds("sluice_request_duration_seconds", "From a request's headers to the last byte of its reply.",
			[]float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68}),
		first: seconds("sluice_time_to_first_token_seconds",
			"From a request's headers to the first event of its streamed reply, failed attempts included.",
			[]float64{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30}),
		overhead: prometheus.NewHistogram(histogram("sluice_overhead_seconds",
			"What remains of an exchange's duration without its attempts: reading the request, the plugins, waits before retries.",
			[]float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 0.5, 1, 2.5}, native)),
		failovers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_failovers_total", Help: "Attempts at another target than the one before, in the same exchange.",
		}),
		streams:   gauge("sluice_streams_active", "Streamed replies under way."),
		exchanges: gauge("sluice_exchanges_active", "Exchanges under way."),
	}
}

// histogram describes one of the classic buckets, with native ones behind them: those cost an allocation for each observation.
func histogram(name, help string, buckets []float64, native bool) prometheus.HistogramOpts {
	o := prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}
	if native { // each bucket a tenth wider than the one before
		o.NativeHistogramBucketFactor, o.NativeHistogramMaxBucketNumber, o.NativeHistogramMinResetDuration = 1.1, 160, time.Hour
	}
	return o
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.requests, m.tokens, m.attempts, m.cost, m.uncounted, m.hedges, m.duration, m.first, m.overhead, m.failovers, m.streams, m.exchanges,
	}
}

// observe counts an exchange that has ended.
func (m *metrics) observe(r *record) {
	x, last := r.x, r.last()
	k := seriesKey{tenant: none, model: modelLabel(x), provider: none, code: r.status}
	if x.Caller.Tenant != nil {
		k.tenant = string(x.Caller.Tenant.ID)
	}
	if last != nil {
		k.provider = last.Provider
		if c := last.Cost; !c.Known {
			k.why = int(c.Why) + 1
		}
	}
	if r.aborted {
		k.code = 0
	}
	s := m.resolve(k)
	s.requests.Inc()
	r.seconds(s.duration, r.total)
	if last == nil {
		return
	}
	r.seconds(m.overhead, max(r.total-r.attempting(), 0))
	if r.streaming && r.first > 0 {
		r.seconds(s.first, r.first)
	}
	m.count(r, s)
	m.charge(x, s, &k)
	if x.Usage.Provenance == chat.Unknown {
		return
	}
	for i, n := range counts(&x.Usage) {
		switch {
		case n <= 0:
		case i < common:
			s.tokens[i].Add(float64(n))
		default:
			m.tokens.WithLabelValues(s.tenant, k.model, k.provider, tokenTypes[i]).Add(float64(n))
		}
	}
}

// seconds observes a time, with the trace as an example if its spans are sent.
func (r *record) seconds(o prometheus.Observer, d time.Duration) {
	if e, ok := o.(prometheus.ExemplarObserver); ok && r.traced != "" {
		e.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": r.traceID()})
		return
	}
	o.Observe(d.Seconds())
}

// charge counts what the attempts cost.
func (m *metrics) charge(x *gateway.Exchange, s *series, k *seriesKey) {
	all := x.Attempts()
	for i, a := range all {
		switch c := a.Cost; {
		case i == len(all)-1 && c.Known:
			s.cost.Add(usd(c))
		case i == len(all)-1:
			s.unknown.Inc()
		case c.Known && c.Picodollars > 0:
			m.cost.WithLabelValues(s.tenant, k.model, a.Provider).Add(usd(c))
		case !c.Known:
			m.uncounted.WithLabelValues(k.model, a.Provider, whyLabel(c.Why)).Inc()
		}
	}
}

// usd is a known cost as the nearest float.
func usd(c catalog.Cost) float64 { return float64(c.Picodollars) / 1e12 }

func whyLabel(w catalog.Why) string { return strings.ReplaceAll(w.String(), " ", "_") }

// count counts the attempts.
func (m *metrics) count(r *record, s *series) {
	all := r.x.Attempts()
	for i, a := range all {
		if o := r.outcome(a); o == "ok" && i == len(all)-1 {
			s.ok.Inc()
		} else {
			m.attempts.WithLabelValues(a.Provider, o).Inc()
		}
		if a.Hedged {
			m.hedges.WithLabelValues(a.Provider, hedge(a, i == len(all)-1)).Inc()
		}
	}
	m.failovers.Add(float64(r.failovers()))
}

// hedge is what came of a second attempt.
func hedge(a *gateway.Attempt, delivered bool) string {
	switch {
	case a.Lost:
		return "lost"
	case delivered && a.Err == nil && a.Status < 300:
		return "won"
	default:
		return "failed"
	}
}

// modelLabel is the model's configured name: canonical, or with its "*".
func modelLabel(x *gateway.Exchange) string {
	name := x.Request.Model()
	if name == "" {
		return none
	}
	if m, _, _ := x.Directory.Model(name); m != nil {
		return string(m.Name)
	}
	return unknown
}

// resolve finds the series, or makes them.
func (m *metrics) resolve(k seriesKey) *series {
	if s, ok := m.series.Load(k); ok {
		return s.(*series)
	}
	tenant, code := m.tenantLabel(k.tenant), strconv.Itoa(k.code)
	if k.code == 0 {
		code = aborted
	}
	s := &series{
		tenant:   tenant,
		requests: m.requests.WithLabelValues(tenant, k.model, k.provider, code),
		duration: m.duration.WithLabelValues(k.model, k.provider),
	}
	if k.provider != none {
		s.first = m.first.WithLabelValues(k.model, k.provider)
		s.ok = m.attempts.WithLabelValues(k.provider, "ok")
		s.tokens = new([common]prometheus.Counter)
		for i, t := range tokenTypes[:common] {
			s.tokens[i] = m.tokens.WithLabelValues(tenant, k.model, k.provider, t)
		}
		s.cost = m.cost.WithLabelValues(tenant, k.model, k.provider)
		if k.why > 0 {
			s.unknown = m.uncounted.WithLabelValues(k.model, k.provider, whyLabel(catalog.Why(k.why-1))) //nolint:gosec // it was one
		}
	}
	m.series.Store(k, s) // who comes second stores the same
	return s
}

// tenantLabel is a tenant's id, or "other" if too many tenants have series already.
func (m *metrics) tenantLabel(id string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.tenants[id]; known || id == none {
		return id
	}
	if len(m.tenants) >= m.most {
		return other
	}
	m.tenants[id] = struct{}{}
	return id
}
