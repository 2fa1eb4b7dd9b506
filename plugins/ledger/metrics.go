package ledger

import (
	"github.com/prometheus/client_golang/prometheus"

	rows "github.com/sluice-ai/sluice/gateway/ledger"
)

// metrics are what was written to the journal, and what was not. How the journal is, its owner tells.
type metrics struct {
	rows       *prometheus.CounterVec
	outcomes   [rows.Spent + 1]prometheus.Counter
	refused    prometheus.Counter
	unrecorded prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_ledger_rows_total", Help: "Rows written to the journal, by how the attempt ended.",
		}, []string{"outcome"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_ledger_refused_total", Help: "Attempts that were not made, because they could not be written down.",
		}),
		unrecorded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_ledger_unrecorded_total", Help: "Free attempts and answers from the cache without a row, because there was no room.",
		}),
	}
	for o := range m.outcomes {
		m.outcomes[o] = m.rows.WithLabelValues(rows.Outcome(o).String())
	}
	return m
}

// count counts a row.
func (m *metrics) count(o rows.Outcome) { m.outcomes[o].Inc() }
