package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway/catalog"
	rows "github.com/sluice-ai/sluice/gateway/ledger"
)

// prices are the versions of the models' prices of one generation.
type prices struct{ sync.Map } // *catalog.Model -> uint64

// tariff is one of a model's as it is written down; amounts are picodollars.
type tariff struct {
	Tier  string           `json:"tier,omitempty"`
	Above int64            `json:"above,omitempty"`
	Hours string           `json:"hours,omitempty"`
	Until *time.Time       `json:"until,omitempty"`
	Least time.Duration    `json:"least,omitempty"`
	Rates map[string]int64 `json:"rates"`
}

// version is that of a model's prices, which are written down when it is first seen; 0 if there are none.
func (w *witness) version(m *catalog.Model) uint64 {
	if m == nil || len(m.Tariffs) == 0 {
		return 0
	}
	if v, known := w.prices.Load(m); known {
		return v.(uint64) //nolint:forcetypeassert // nothing else is in there
	}
	p := priceOf(m)
	if err := w.journal.Price(p); err != nil {
		w.log.Warn("the prices of a model are not in the ledger", zap.String("model", m.Name), zap.Error(err))
		return p.Version
	}
	w.prices.Store(m, p.Version)
	return p.Version
}

// priceOf is what a model costs.
func priceOf(m *catalog.Model) rows.Price {
	list := make([]tariff, len(m.Tariffs))
	for i := range m.Tariffs {
		t := &m.Tariffs[i]
		list[i] = tariff{Tier: t.Tier, Above: t.Above, Hours: t.Hours.String(), Least: t.Least, Rates: map[string]int64{}}
		if !t.Until.IsZero() {
			list[i].Until = &t.Until
		}
		for class, r := range t.Rates {
			if r.Known {
				list[i].Rates[catalog.Class(class).String()] = r.Picodollars
			}
		}
	}
	rates, _ := json.Marshal(list) // nothing in it can fail
	sum := sha256.Sum256(append([]byte(m.Provider+"/"+m.Name+"\n"), rates...))
	return rows.Price{Version: max(binary.BigEndian.Uint64(sum[:]), 1), Provider: m.Provider, Model: m.Name, Rates: rates}
}
