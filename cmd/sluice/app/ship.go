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
	return &shipped{Store: s.store, publish: s.publish, log: s.log}
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
	publish func(context.Context, []ledger.Row) error // nil: nobody is told
	log     *zap.Logger
}

// Insert implements ledger.Sink.
func (s *shipped) Insert(ctx context.Context, rows []ledger.Row) (int, error) {
	n, err := s.Store.Insert(ctx, rows)
	if err != nil {
		return n, err
	}
	if s.publish != nil {
		if err := s.publish(ctx, rows); err != nil {
			s.log.Warn("rows were not published; the ledger has them", zap.Int("rows", len(rows)), zap.Error(err))
		}
	}
	s.touch(ctx, rows)
	return n, nil
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
