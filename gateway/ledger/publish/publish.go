// Package publish tells other systems of rows, by a stream of Redis.
//
// A store comes first, and a Redis that is away neither holds up what it is given nor fills the disk: rows that cannot be
// published are left out, and counted. Whoever reads the stream can tell rows that come again by their ids, and gets those
// that are missing from the ledger itself.
package publish

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/sluice-ai/sluice/gateway/ledger"
)

// Options say where rows go.
type Options struct {
	Stream  string        // the stream's key
	Keep    int64         // entries that it keeps at least; Redis drops older ones; 0: it keeps all
	Timeout time.Duration // of publishing a batch; 0: a second
	// Lost hears of rows that were not published; nil: nobody does.
	Lost func(rows int, err error)
}

// Sink is a [ledger.Sink] that publishes what another one has taken. Each entry of the stream has an id, the row's, and a row,
// which is a [ledger.Line] in JSON.
type Sink struct {
	ledger.Sink
	client rueidis.Client
	o      Options
}

var (
	_ ledger.Sink      = (*Sink)(nil)
	_ ledger.PriceSink = (*Sink)(nil)
)

// New makes a sink in front of another. The client remains the caller's.
func New(behind ledger.Sink, c rueidis.Client, o Options) *Sink {
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	return &Sink{behind, c, o}
}

// Insert implements [ledger.Sink]. Its errors are those of the sink behind.
func (s *Sink) Insert(ctx context.Context, rows []ledger.Row) (inserted int, err error) {
	if inserted, err = s.Sink.Insert(ctx, rows); err != nil {
		return inserted, err
	}
	if err := s.publish(ctx, rows); err != nil && s.o.Lost != nil {
		s.o.Lost(len(rows), err)
	}
	return inserted, nil
}

// InsertPrices implements [ledger.PriceSink], if the sink behind does.
func (s *Sink) InsertPrices(ctx context.Context, prices []ledger.Price) error {
	if p, keeps := s.Sink.(ledger.PriceSink); keeps {
		return p.InsertPrices(ctx, prices)
	}
	return nil
}

// publish appends rows to the stream, in one round trip.
func (s *Sink) publish(ctx context.Context, rows []ledger.Row) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	commands := make(rueidis.Commands, len(rows))
	for i := range rows {
		text, err := json.Marshal(rows[i].Line())
		if err != nil {
			return err
		}
		c := s.client.B().Arbitrary("XADD").Keys(s.o.Stream)
		if s.o.Keep > 0 {
			c = c.Args("MAXLEN", "~", strconv.FormatInt(s.o.Keep, 10))
		}
		commands[i] = c.Args("*", "id", rows[i].ID.String(), "row", string(text)).Build()
	}
	for _, result := range s.client.DoMulti(ctx, commands...) {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}
