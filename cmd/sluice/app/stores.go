package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/meter/redis"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/postgres"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins"
)

// stores are what outlives a generation: what was counted, and what was written down. They are opened from the inside out, the
// journal first, because what an earlier process left there is part of what was spent; and closed the other way round.
type stores struct {
	config  config.Stores
	log     *zap.Logger
	journal *ledger.Journal // nil without a ledger
	store   store.Store     // nil without a ledger
	pool    meter.Pool
	meters  *meter.Meters
	publish func(context.Context, []ledger.Row) error // tells others of rows; nil: nobody is told

	written   *flushes
	inquiries *inquiries
	used      *lastUsed

	work sync.WaitGroup
	stop context.CancelFunc
}

// openStores opens what the configuration asks for. That a database or Redis cannot be reached is no error.
func openStores(c *config.Config, log *zap.Logger) (s *stores, err error) {
	s = newStores(log)
	s.config = c.Stores
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	node := c.Stores.Node
	if slices.Contains(c.Chain, "ledger") {
		if err := s.openLedger(ctx); err != nil {
			return s, err
		}
		node = s.journal.Node()
	}
	if node == "" {
		node = "alone"
	}
	if s.pool, err = openPool(&c.Stores, node); err != nil {
		return s, err
	}
	if s.publish = s.publisher(); s.journal != nil {
		s.begin(ctx)
	}
	s.meters = meter.New(meter.Options{Pool: s.pool, Node: node, Spent: s.spent(), Fault: s.fault})
	if s.journal != nil {
		s.work.Go(func() { s.journal.Ship(ctx, s.sink()) })
		s.work.Go(func() { s.prune(ctx) })
	}
	return s, nil
}

// newStores are stores that are not open yet.
func newStores(log *zap.Logger) *stores {
	return &stores{log: log.Named("stores"), stop: func() {}, written: newFlushes(), inquiries: newInquiries(), used: &lastUsed{}}
}

// openLedger opens the journal and the store behind it.
func (s *stores) openLedger(ctx context.Context) error {
	o := ledger.Defaults()
	w := &s.config.WAL
	o.Segment, o.MaxSize, o.Node = int64(w.Segment), int64(w.MaxSize), s.config.Node
	o.Map = o.Map && w.Map
	switch w.Sync {
	case config.SyncAlways:
		o.Sync = ledger.SyncAlways
	case config.SyncOff:
		o.Sync = ledger.SyncOff
	default:
		d, _ := time.ParseDuration(w.Sync) // validated
		o.Sync = ledger.Sync(d)
	}
	journal, left, err := ledger.Open(w.Dir, o)
	if err != nil {
		return fmt.Errorf("stores.wal.dir: %s: %w; name a folder of this process alone that it may write to, or take ledger out of the chain", w.Dir, err)
	}
	s.journal = journal
	if left.Rows > 0 {
		s.log.Info("rows that an earlier process left are being shipped", zap.Int("rows", left.Rows), zap.Int("unknown", left.Unknown))
	}
	if s.store, err = openStore(ctx, s.config.Ledger); err != nil {
		return fmt.Errorf("stores.ledger: %w", concealed(err, s.config.Ledger))
	}
	return nil
}

// openStore opens the store of stores.ledger. With an error it is nil, and no interface that holds a nil.
func openStore(ctx context.Context, address string) (store.Store, error) {
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		s, err := sqlite.Open(ctx, filepath.Clean(path))
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := postgres.Open(address)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// catchingUp is how long a start waits for a store to take what an earlier process left.
const catchingUp = 2 * time.Second

// begin ships what an earlier process left. Those who are told of rows get these as well, if Redis is there.
func (s *stores) begin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, catchingUp)
	defer cancel()
	if pool, is := s.pool.(*redis.Pool); is && s.publish != nil && s.journal.Standing().Waiting > 0 {
		for begun := time.Now(); pool.Client() == nil && time.Since(begun) < catchingUp/2 && pause(ctx, 10*time.Millisecond); {
		}
	}
	if err := s.journal.Flush(ctx, s.sink()); err != nil {
		s.log.Warn("the ledger's store does not take rows yet; they wait in the journal", zap.Error(err))
	}
}

func openPool(c *config.Stores, node string) (meter.Pool, error) {
	if c.Shared == config.None {
		return meter.NewLocal(), nil
	}
	servers, err := redis.ParseURL(c.Shared)
	if err != nil {
		return nil, fmt.Errorf("stores.shared: %w", concealed(err, c.Shared))
	}
	pool, err := redis.Open(servers, redis.Options{Node: node})
	if err != nil {
		return nil, fmt.Errorf("stores.shared: %w", concealed(err, c.Shared))
	}
	return pool, nil
}

// concealed is an error about an address, as it may be logged: without the passwords that stand in the address, before its host or
// as parameters.
func concealed(err error, address string) error {
	u, bad := url.Parse(address)
	if bad != nil {
		return errors.New("it is not a URL") // what else is known may be a part of a password
	}
	text := err.Error()
	hide := func(secret string) {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if secret != "" {
				text = strings.ReplaceAll(text, form, "***")
			}
		}
	}
	password, _ := u.User.Password()
	hide(password)
	for _, name := range []string{"password", "sslpassword"} {
		hide(u.Query().Get(name))
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

func (s *stores) fault(id tenant.ID, err error) {
	s.log.Error("a tenant is not counted as it should be", zap.String("tenant", string(id)), zap.Error(err))
}

// pruneEvery is how often it is looked whether there is something to prune.
const pruneEvery = 10 * time.Minute

// prune deletes what is past, again and again. One node of a fleet does so, as long as its lease lasts.
func (s *stores) prune(ctx context.Context) {
	for wait := time.Minute; pause(ctx, wait); {
		wait = pruneEvery
		end := time.Now().Add(pruneEvery)
		if mine, err := s.pool.Lease(ctx, "prune", pruneEvery); err != nil || !mine {
			continue
		}
		if s.pruneUntil(ctx, end) {
			wait = time.Until(end) // whoever comes first goes on
		}
	}
}

// pruneUntil deletes what is past, until nothing is or the time is over, and says whether there may be more.
func (s *stores) pruneUntil(ctx context.Context, end time.Time) (more bool) {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if _, err := store.Sweep(ctx, s.store, s.past(time.Now())); err != nil && ctx.Err() == nil {
		s.log.Warn("what is past could not be deleted from the store", zap.Error(err))
	}
	return ctx.Err() != nil
}

// pause waits, and says whether to go on after that.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// spendsFor is for how many days it is known what was spent on each: as long as rows are kept, so that the two can be compared, and
// longer than a month, the longest window of a budget that has an end. 0: for ever.
func spendsFor(rows int) int {
	if rows == 0 {
		return 0
	}
	return max(rows, 35)
}

// past is what need not be kept.
func (s *stores) past(now time.Time) store.Past {
	before := func(days int) time.Time {
		if days == 0 {
			return time.Time{}
		}
		return now.AddDate(0, 0, -days)
	}
	r := &s.config.Retention
	return store.Past{
		Rows: before(r.Rows), Hours: before(r.Hours), Days: before(r.Days), Entries: before(r.Audit), Families: now.AddDate(0, 0, -1),
		Spends: before(spendsFor(r.Rows)),
	}
}

// closing bounds how long a shutdown waits for stores.
const closing = 5 * time.Second

// close ships what there is, as far as that is possible, and closes everything. No exchange is under way any more.
func (s *stores) close() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	s.stop() // first, because what waits for a store that does not answer ends with it
	if s.meters != nil {
		s.meters.Close(ctx)
	}
	s.work.Wait()
	if s.journal != nil {
		if s.store != nil {
			if err := s.journal.Flush(ctx, s.sink()); err != nil {
				s.log.Warn("rows stay in the journal until the next start", zap.Error(err))
			}
		}
		errs = append(errs, s.journal.Close())
	}
	if s.pool != nil {
		errs = append(errs, s.pool.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}

// lent is what plugins have of the stores.
func (s *stores) lent() plugins.Lent {
	l := plugins.Lent{Meters: s.meters, Journal: s.journal}
	if s.journal != nil {
		l.Dir = s.config.WAL.Dir
	}
	if s.store != nil {
		l.Tokens = s.store
	}
	if p, ok := s.pool.(*redis.Pool); ok {
		l.Redis = p.Client
	}
	return l
}

// faults is what operators have to look at.
func (s *stores) faults() []string {
	if s.journal == nil {
		return nil
	}
	var list []string
	at := s.journal.Standing()
	if at.Full {
		list = append(list, "the journal of the ledger is full: what costs money is refused")
	}
	if at.Disk != nil {
		list = append(list, "the journal of the ledger: "+at.Disk.Error())
	}
	if at.Store != nil {
		list = append(list, fmt.Sprintf("the store of the ledger: %s; %d rows wait", at.Store, at.Waiting))
	}
	return list
}

// register adds what metrics tell of the stores.
func (s *stores) register(r prometheus.Registerer) {
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	number := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	gauge("sluice_pool_up", "Whether what nodes share can be asked (1); alone it always can.", func() float64 { return number(s.meters.Up()) })
	gauge("sluice_pool_nodes", "Nodes that share limits and budgets, this one among them.", func() float64 { return float64(s.pool.Nodes()) })
	if s.journal == nil {
		return
	}
	gauge("sluice_ledger_store_up", "Whether the store took the last rows (1).", func() float64 { return number(s.journal.Standing().Store == nil) })
}
