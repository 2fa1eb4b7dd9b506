package app

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/ledger/publish"
	"github.com/sluice-ai/sluice/gateway/meter/redis"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// sink is where rows are shipped to: the store, and a stream behind it if that is configured.
func (s *stores) sink() ledger.Sink {
	return &shipped{Store: s.store, inquiries: s.inquiries, used: s.used, publish: s.publish, log: s.log}
}

// published is how many rows a stream keeps.
const published = 1_000_000

var errUnreached = errors.New("redis was not reached yet")

// publisher tells other systems of rows; nil if that is not configured.
func (s *stores) publisher() func(context.Context, []ledger.Row) error {
	pool, is := s.pool.(*redis.Pool)
	if !is || s.config.Publish == "" {
		return nil
	}
	stream := publish.Stream{Name: s.config.Publish, Keep: published}
	return func(ctx context.Context, rows []ledger.Row) error {
		if c := pool.Client(); c != nil {
			return stream.Add(ctx, c, rows)
		}
		return errUnreached
	}
}

// shipped is a store that is told when keys were last used, and whose rows are published once it has them, as far as Redis can
// be reached.
type shipped struct {
	store.Store
	inquiries *inquiries
	used      *lastUsed
	publish   func(context.Context, []ledger.Row) error // nil: nobody is told
	log       *zap.Logger
}

// Insert implements ledger.Sink.
func (s *shipped) Insert(ctx context.Context, rows []ledger.Row) (n int, err error) {
	err = s.inquiries.ship(ctx, rows, func() error {
		n, err = s.Store.Insert(ctx, rows)
		return err
	})
	if err != nil {
		return n, err
	}
	if s.publish != nil {
		if err := s.publish(ctx, rows); err != nil {
			s.log.Warn("rows were not published; the ledger has them", zap.Int("rows", len(rows)), zap.Error(err))
		}
	}
	// That is no row: that it fails costs nothing.
	if err := s.used.tell(ctx, s.Store, rows); err != nil {
		s.log.Warn("when keys were last used could not be noted", zap.Error(err))
	}
	return n, nil
}

// lastUsed tells a store when keys were last used: of each key once a minute.
type lastUsed struct {
	mu   sync.Mutex
	told map[tenant.ID]map[string]time.Time
	at   time.Time // the latest of them
}

const tellEvery = time.Minute

// tell tells what is new in rows.
func (l *lastUsed) tell(ctx context.Context, s store.Keys, rows []ledger.Row) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := map[tenant.ID]map[string]time.Time{}
	for i := range rows {
		if r := &rows[i]; r.Key != "" && r.At.Sub(l.told[r.Tenant][r.Key]) >= tellEvery && r.At.After(used[r.Tenant][r.Key]) {
			note(used, r.Tenant, r.Key, r.At)
		}
	}
	if len(used) == 0 {
		return nil
	}
	if err := s.TouchKeys(ctx, used); err != nil {
		return err
	}
	l.remember(used)
	return nil
}

// remember notes what was told, and forgets what need not be known any more.
func (l *lastUsed) remember(used map[tenant.ID]map[string]time.Time) {
	if l.told == nil {
		l.told = map[tenant.ID]map[string]time.Time{}
	}
	for id, keys := range used {
		for key, at := range keys {
			note(l.told, id, key, at)
			if at.After(l.at) {
				l.at = at
			}
		}
	}
	for id, keys := range l.told {
		maps.DeleteFunc(keys, func(_ string, at time.Time) bool { return l.at.Sub(at) >= tellEvery })
		if len(keys) == 0 {
			delete(l.told, id)
		}
	}
}

func note(in map[tenant.ID]map[string]time.Time, id tenant.ID, key string, at time.Time) {
	of := in[id]
	if of == nil {
		of = map[string]time.Time{}
		in[id] = of
	}
	of[key] = at
}

// InsertPrices implements ledger.PriceSink.
func (s *shipped) InsertPrices(ctx context.Context, prices []ledger.Price) error {
	if keeps, ok := s.Store.(ledger.PriceSink); ok {
		return keeps.InsertPrices(ctx, prices)
	}
	return nil
}
