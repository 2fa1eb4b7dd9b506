// Package publish tells other systems of rows, by a stream of Redis.
//
// A store comes first, and a Redis that is away neither holds up what it is given nor fills the disk: rows that cannot be
// published are left out. Whoever reads the stream can tell rows that come again by their ids, and gets those that are missing
// from the ledger itself.
package publish

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/sluice-ai/sluice/gateway/ledger"
)

// timeout is how long a batch may take.
const timeout = time.Second

// Stream is where rows go: a key of Redis, and how many entries it keeps at least; older ones are dropped there. With a Keep of
// 0 it keeps all.
type Stream struct {
	Name string
	Keep int64
}

// Add appends rows to the stream, in one round trip, and in a second at most. Each entry has an id, the row's, and a row, which
// is a [ledger.Line] in JSON. After an error some may be there.
func (s Stream) Add(ctx context.Context, c rueidis.Client, rows []ledger.Row) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	commands := make(rueidis.Commands, len(rows))
	for i := range rows {
		text, err := json.Marshal(rows[i].Line())
		if err != nil {
			return err
		}
		add := c.B().Arbitrary("XADD").Keys(s.Name)
		if s.Keep > 0 {
			add = add.Args("MAXLEN", "~", strconv.FormatInt(s.Keep, 10))
		}
		commands[i] = add.Args("*", "id", rows[i].ID.String(), "row", string(text)).Build()
	}
	for _, result := range c.DoMulti(ctx, commands...) {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}
