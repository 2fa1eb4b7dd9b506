package ledger

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	rows "github.com/sluice-ai/sluice/gateway/ledger"
)

// metrics are how the journal is, and what was written to it.
type metrics struct {
	journal    *rows.Journal
	rows       *prometheus.CounterVec
	outcomes   [rows.Spent + 1]prometheus.Counter
	refused    prometheus.Counter
	unrecorded prometheus.Counter

	waiting, oldest, open, room, segments, full *prometheus.Desc
}

var _ prometheus.Collector = (*metrics)(nil)

func newMetrics(j *rows.Journal) *metrics {
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_ledger_"+name, help, nil, nil)
	}
	m := &metrics{
		journal: j,
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_ledger_rows_total", Help: "Rows written to the journal, by how the attempt ended.",
		}, []string{"outcome"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_ledger_refused_total", Help: "Attempts that were not made, because they could not be written down.",
		}),
		unrecorded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_ledger_unrecorded_total", Help: "Free attempts and answers from the cache without a row, because there was no room.",
		}),
		waiting:  gauge("unshipped", "Rows in the journal that the store does not have yet."),
		oldest:   gauge("oldest_seconds", "Age of the oldest row that is being shipped; 0 if there is none."),
		open:     gauge("open", "Attempts that are under way."),
		room:     gauge("room_bytes", "Bytes that are left for new attempts in the segments that there are."),
		segments: gauge("segments", "Segments of the journal."),
		full:     gauge("full", "1 if new attempts are refused."),
	}
	for o := range m.outcomes {
		m.outcomes[o] = m.rows.WithLabelValues(rows.Outcome(o).String())
	}
	return m
}

// count counts a row.
func (m *metrics) count(o rows.Outcome) { m.outcomes[o].Inc() }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.waiting, m.oldest, m.open, m.room, m.segments, m.full} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(c chan<- prometheus.Metric) {
	s := m.journal.Standing()
	gauge := func(d *prometheus.Desc, v float64) { c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(m.waiting, float64(s.Waiting))
	age := 0.0
	if !s.Oldest.IsZero() {
		age = max(time.Since(s.Oldest).Seconds(), 0)
	}
	gauge(m.oldest, age)
	gauge(m.open, float64(s.Open))
	gauge(m.room, float64(s.Room))
	gauge(m.segments, float64(s.Segments))
	full := 0.0
	if s.Full {
		full = 1
	}
	gauge(m.full, full)
}
