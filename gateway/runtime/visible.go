package runtime

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// tenantsKey is the label of all tenants' own keys together: there may be thousands.
const tenantsKey = "tenant"

// visible is what metrics tell of targets, limiters and probes. Its labels are names from the configuration: what a
// wildcard stands for in requests is counted with the wildcard.
type visible struct {
	s       *standing
	offered atomic.Pointer[[]*gateway.Model] // of the present generation
	changes *prometheus.CounterVec
	cools   *prometheus.CounterVec
	probes  *prometheus.CounterVec

	usable                                *prometheus.Desc
	state, disabled, cooling, outstanding *prometheus.Desc
	p95, wholeP95                         *prometheus.Desc
	limit, inUse, waiting, refused        *prometheus.Desc
}

func newVisible(s *standing) *visible {
	target := []string{"provider", "key", "model"}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_"+name, help, labels, nil)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_" + name, Help: help}, labels)
	}
	return &visible{
		s:       s,
		changes: counter("target_changes_total", "Changes of a target's state, by the state that it changed to; without a model all targets of the key.", append(target, "to")...),
		cools:   counter("target_cooldowns_total", "Times for which a target is left alone because the provider asked for it, or a quota is spent; without a model all targets of the key.", target...),
		probes:  counter("probes_total", "Active probes, by result: ok, failed, limited, refused, or unclear if the answer says nothing.", "provider", "result"),
		usable:  desc("model_targets_usable", "How many of a model's own targets may be asked now; with 0 only its fallbacks can answer.", "model"),
		state: desc("target_state", "State of a target: 0 healthy, 1 suspect, 2 half open, 3 open, 4 disabled; of several behind a wildcard the worst that is not "+
			"disabled.", target...),
		disabled:    desc("target_disabled", "How many targets are not used, by why: an operator's word, or the provider refuses the key or the model.", append(target, "why")...),
		cooling:     desc("target_cooling_seconds", "For how long a target is left alone yet because the provider asked for it.", target...),
		outstanding: desc("target_outstanding", "Attempts that run at a target.", target...),
		p95:         desc("target_first_event_p95_seconds", "Time in which 95 of 100 of a target's streams began.", target...),
		wholeP95:    desc("target_whole_p95_seconds", "Time in which 95 of 100 of a target's whole answers came.", target...),
		limit:       desc("admission_limit", "How many attempts may run at a provider at present; none where there is no limit.", "provider", "reason"),
		inUse:       desc("admission_in_use", "Attempts that run at a provider.", "provider"),
		waiting:     desc("admission_waiting", "Requests that wait for their turn at a provider, by priority.", "provider", "priority"),
		refused:     desc("admission_refused_total", "Requests that a provider's queue refused, because it was full, or they would have waited too long; or that left it.", "provider", "reason"),
	}
}

// Describe implements prometheus.Collector.
func (v *visible) Describe(to chan<- *prometheus.Desc) {
	v.changes.Describe(to)
	v.cools.Describe(to)
	v.probes.Describe(to)
	for _, d := range []*prometheus.Desc{v.usable, v.state, v.disabled, v.cooling, v.outstanding, v.p95, v.wholeP95, v.limit, v.inUse, v.waiting, v.refused} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (v *visible) Collect(to chan<- prometheus.Metric) {
	v.changes.Collect(to)
	v.cools.Collect(to)
	v.probes.Collect(to)
	now := clock.Now()
	all := map[health.ID]*figures{}
	for _, s := range v.s.targets.All(now) {
		id := v.s.shown(s.ID)
		if all[id] == nil {
			all[id] = &figures{state: health.Disabled}
		}
		all[id].add(&s, now.Time())
	}
	for id, f := range all {
		gauge := func(d *prometheus.Desc, value float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, id.Provider, id.Key, id.Model)
		}
		gauge(v.state, float64(f.state))
		gauge(v.cooling, f.cooling.Seconds())
		gauge(v.outstanding, float64(f.outstanding))
		if f.p95 > 0 {
			gauge(v.p95, f.p95/1000)
		}
		if f.wholeP95 > 0 {
			gauge(v.wholeP95, f.wholeP95/1000)
		}
		for why, n := range f.disabled {
			to <- prometheus.MustNewConstMetric(v.disabled, prometheus.GaugeValue, float64(n), id.Provider, id.Key, id.Model, why)
		}
	}
	if offered := v.offered.Load(); offered != nil {
		for _, m := range *offered {
			to <- prometheus.MustNewConstMetric(v.usable, prometheus.GaugeValue, float64(usable(m, now)), string(m.Name))
		}
	}
	v.collectAdmission(to)
}

// usable counts the targets of a model that may be asked.
func usable(m *gateway.Model, now clock.Instant) (n int) {
	for _, step := range m.Steps {
		for _, t := range step {
			if t.Health.Wait(now) == 0 {
				n++
			}
		}
	}
	return n
}

func (v *visible) collectAdmission(to chan<- prometheus.Metric) {
	v.s.mu.Lock()
	own := map[string]*admission.Limiter{}
	for name, l := range v.s.limiters {
		if !strings.HasPrefix(name, tenantsKey+" ") { // nobody but the tenant waits there
			own[name] = l
		}
	}
	v.s.mu.Unlock()
	for provider, l := range own {
		s := l.Snapshot()
		if s.Limit > 0 {
			to <- prometheus.MustNewConstMetric(v.limit, prometheus.GaugeValue, float64(s.Limit), provider, s.Reason)
		}
		to <- prometheus.MustNewConstMetric(v.inUse, prometheus.GaugeValue, float64(s.InUse), provider)
		for i, n := range s.Waiting {
			to <- prometheus.MustNewConstMetric(v.waiting, prometheus.GaugeValue, float64(n), provider, (admission.Low + admission.Priority(i)).String())
		}
		for reason, n := range map[string]uint64{"full": s.Full, "late": s.Late, "left": s.Left} {
			to <- prometheus.MustNewConstMetric(v.refused, prometheus.CounterValue, float64(n), provider, reason)
		}
	}
}

// figures are those of the targets that share labels.
type figures struct {
	state       health.State
	cooling     time.Duration
	outstanding int64
	p95         float64        // milliseconds
	wholeP95    float64        // likewise
	disabled    map[string]int // by why
}

// add takes the worst. What is disabled stands aside: a name that the provider does not have disables only itself.
func (f *figures) add(s *health.Snapshot, now time.Time) {
	switch {
	case s.State == health.Disabled:
		why := s.Refuses
		if s.Operator != "" {
			why = "operator"
		}
		if f.disabled == nil {
			f.disabled = map[string]int{}
		}
		f.disabled[why]++
	case f.state == health.Disabled:
		f.state = s.State
	default:
		f.state = max(f.state, s.State)
	}
	if !s.CoolUntil.IsZero() {
		f.cooling = max(f.cooling, s.CoolUntil.Sub(now))
	}
	f.outstanding += s.Outstanding
	f.p95, f.wholeP95 = max(f.p95, s.P95MS), max(f.wholeP95, s.WholeP95MS)
}

// changed counts an event.
func (v *visible) changed(e health.Event) {
	id := v.s.shown(e.ID)
	switch {
	case coolDown(e):
		v.cools.WithLabelValues(id.Provider, id.Key, id.Model).Inc()
	case e.From != e.To:
		v.changes.WithLabelValues(id.Provider, id.Key, id.Model, e.To.String()).Inc()
	}
}

// applied is told of a new generation: what it offers, and the labels before and after it. What it does not name is counted no
// longer.
func (v *visible) applied(offered []*gateway.Model, before, after map[health.ID]bool) {
	v.offered.Store(&offered)
	for id := range before {
		if after[id] {
			continue
		}
		labels := prometheus.Labels{"provider": id.Provider, "key": id.Key, "model": id.Model}
		v.changes.DeletePartialMatch(labels)
		v.cools.DeletePartialMatch(labels)
		if !slices.ContainsFunc(slices.Collect(maps.Keys(after)), func(other health.ID) bool { return other.Provider == id.Provider }) {
			v.probes.DeletePartialMatch(prometheus.Labels{"provider": id.Provider})
		}
	}
}

func (v *visible) probed(provider string, verdict health.Verdict) {
	result := "unclear"
	switch verdict {
	case health.OK:
		result = "ok"
	case health.Failed, health.Broken:
		result = "failed"
	case health.Limited:
		result = "limited"
	case health.Refused, health.Denied, health.Spent:
		result = "refused"
	default:
	}
	v.probes.WithLabelValues(provider, result).Inc()
}

// labels are those of all configured targets, and of their keys.
func (s *standing) labels() map[health.ID]bool {
	s.mu.Lock()
	configured := s.configured
	s.mu.Unlock()
	labels := map[health.ID]bool{}
	for id := range configured {
		labels[s.shown(id)] = true
		labels[s.shown(health.ID{Provider: id.Provider, Key: id.Key})] = true
	}
	return labels
}

// shown is the configured target that an ID belongs to: of a name that a wildcard stands for it is the longest wildcard's,
// as where models are looked up.
func (s *standing) shown(id health.ID) health.ID {
	s.mu.Lock()
	wild := s.wild[health.ID{Provider: id.Provider, Key: id.Key}]
	exact := s.configured[id]
	s.mu.Unlock()
	if strings.HasPrefix(id.Key, tenantsKey+" ") {
		return health.ID{Provider: id.Provider, Key: tenantsKey}
	}
	if exact || id.Model == "" {
		return id
	}
	i := slices.IndexFunc(wild, func(p gateway.Pattern) bool { return p.Match(id.Model) })
	if i < 0 {
		return health.ID{Provider: id.Provider, Key: id.Key, Model: "*"} // it was configured a moment ago
	}
	id.Model = string(wild[i])
	return id
}
