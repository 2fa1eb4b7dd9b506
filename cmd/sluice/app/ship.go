package app

import (
	"context"
	"errors"
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
	pool, _ := s.pool.(*redis.Pool)
	return &shipped{Store: s.store, pool: pool, o: publish.Options{Stream: s.config.Publish, Keep: published, Lost: s.lost}, log: s.log}
}

// published is how many rows a stream keeps.
const published = 1_000_000

func (s *stores) lost(rows int, err error) {
	s.log.Warn("rows were not published; the ledger has them", zap.Int("rows", rows), zap.Error(err))
}

// shipped is a store that is told when keys were last used, and whose rows are published once it has them, as far as Redis can
// be reached.
type shipped struct {
	store.Store
	pool *redis.Pool // nil without Redis
	o    publish.Options
	log  *zap.Logger
}

var errUnreached = errors.New("redis was not reached yet")

// Insert implements ledger.Sink.
func (s *shipped) Insert(ctx context.Context, rows []ledger.Row) (n int, err error) {
	if s.pool == nil || s.o.Stream == "" {
		n, err = s.Store.Insert(ctx, rows)
	} else {
		n, err = s.insertAndPublish(ctx, rows)
	}
	if err == nil {
		s.touch(ctx, rows)
	}
	return n, err
}

func (s *shipped) insertAndPublish(ctx context.Context, rows []ledger.Row) (int, error) {
	if c := s.pool.Client(); c != nil {
		return publish.New(s.Store, c, s.o).Insert(ctx, rows)
	}
	n, err := s.Store.Insert(ctx, rows)
	if err == nil {
		s.o.Lost(len(rows), errUnreached)
	}
	return n, err
}

// touch tells when keys were last used. It is no row: that it fails costs nothing.
func (s *shipped) touch(ctx context.Context, rows []ledger.Row) {
	used := map[tenant.ID]map[string]time.Time{}
	for i := range rows {
		r := &rows[i]
		if r.Key == "" {
			continue
		}
		of := used[r.Tenant]
		if of == nil {
			of = map[string]time.Time{}
			used[r.Tenant] = of
		}
		if r.At.After(of[r.Key]) {
			of[r.Key] = r.At
		}
	}
	for id, of := range used {
		if err := s.TouchKeys(ctx, id, of); err != nil {
			s.log.Warn("when keys were last used could not be noted", zap.Error(err))
			return
		}
	}
}

// InsertPrices implements ledger.PriceSink.
func (s *shipped) InsertPrices(ctx context.Context, prices []ledger.Price) error {
	if keeps, ok := s.Store.(ledger.PriceSink); ok {
		return keeps.InsertPrices(ctx, prices)
	}
	return nil
}
