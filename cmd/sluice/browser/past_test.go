//go:build !race

package browser

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const (
	rows  = 100_000 // in the ledger
	days  = 30      // over which they are spread, today among them
	batch = 2000    // inserted together
)

// past is who has asked for what, again and again: each line is as frequent as its weight.
var past = []struct {
	weight          int
	tenant          tenant.ID
	key             string
	model, provider string
	input, output   int64 // tokens
	dollars         float64
}{
	{9, "acme", "app", "gpt-4.1-mini", "openai", 900, 260, 0.0021},
	{4, "acme", "batch", "claude-sonnet-4-5", "backup", 2400, 700, 0.0117},
	{3, "acme", "app", "gpt-4.1", "openai", 1500, 420, 0.0064},
	{5, "globex", "support", "gpt-4.1-mini", "openai", 700, 180, 0.0016},
	{2, "globex", "search", "gpt-4.1", "openai", 1100, 90, 0.0029},
	{2, "initech", "reports", "claude-sonnet-4-5", "backup", 5200, 1400, 0.0258},
}

// remember fills a store with rows up to now, more of them by day than by night and on weekdays than at weekends.
func remember(t *testing.T, path string, now time.Time) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	chance := rand.New(rand.NewPCG(1, 2)) // the same each time
	hours := make([]float64, days*24)
	first, all := now.Truncate(time.Hour).Add(-time.Duration(len(hours)-1)*time.Hour), 0.0
	for i := range hours {
		at := first.Add(time.Duration(i) * time.Hour)
		hours[i] = (1.3 - math.Cos(float64(at.Hour())/24*2*math.Pi)) * (0.6 + float64(i)/float64(len(hours)) + 0.5*chance.Float64())
		if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
			hours[i] /= 3
		}
		all += hours[i]
	}
	list := make([]ledger.Row, 0, batch)
	flush := func() {
		if _, err := s.Insert(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		list = list[:0]
	}
	n, due := 0, 0.0
	for i, weight := range hours {
		begin, end := first.Add(time.Duration(i)*time.Hour), first.Add(time.Duration(i+1)*time.Hour)
		if end.After(now) {
			end = now
		}
		for due += weight / all * rows; float64(n) < due; n++ {
			list = append(list, occurrence(chance, n, begin.Add(time.Duration(chance.Float64()*float64(end.Sub(begin))))))
			if len(list) == batch {
				flush()
			}
		}
	}
	flush()
}

// occurrence is the n-th row.
func occurrence(chance *rand.Rand, n int, at time.Time) ledger.Row {
	weights := 0
	for i := range past {
		weights += past[i].weight
	}
	which, place := 0, chance.IntN(weights)
	for place >= past[which].weight {
		place -= past[which].weight
		which++
	}
	p := &past[which]
	size := 0.4 + 1.2*chance.Float64()
	picodollars := int64(p.dollars * size * 1e12)
	row := ledger.Row{
		ID: ledger.NewID(at), At: at, Node: "gateway-1", Tenant: p.tenant, Key: p.key, Request: "req_past" + strconv.Itoa(n),
		Endpoint: "chat.completions", Dialect: "openai", Asked: p.model, Model: p.model, Provider: p.provider, Account: "main", Target: p.model,
		Attempt: 1, Flags: ledger.Delivered | ledger.Stream, Outcome: ledger.Complete, Status: 200,
		First: 180 * time.Millisecond, Total: 2 * time.Second,
		Usage: chat.Usage{Input: int64(float64(p.input) * size), Output: int64(float64(p.output) * size), Provenance: chat.Reported}, Price: 1,
		Cost: catalog.Cost{Known: true, Picodollars: picodollars}, Charge: picodollars,
	}
	switch free := (catalog.Cost{Known: true}); {
	case chance.IntN(9) == 0:
		row.Kind, row.Attempt, row.Saved, row.Cost, row.Charge = ledger.Exact, 0, picodollars, free, 0
	case chance.IntN(80) == 0:
		row.Outcome, row.Status, row.Cost, row.Charge = ledger.Failed, 503, free, 0
	}
	return row
}
