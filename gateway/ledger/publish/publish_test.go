package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/ledger/publish"
)

// behind is the sink that rows are for.
type behind struct {
	rows, prices int
	err          error
}

func (b *behind) Insert(_ context.Context, rows []ledger.Row) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.rows += len(rows)
	return len(rows), nil
}

func (b *behind) InsertPrices(_ context.Context, prices []ledger.Price) error {
	b.prices += len(prices)
	return nil
}

func TestPublish(t *testing.T) {
	server := servers.StartRedis(t)
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr()}, DisableCache: true, DisableRetry: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	lost, b := 0, &behind{}
	s := publish.New(b, c, publish.Options{Stream: "sluice:rows", Keep: 2000, Timeout: 200 * time.Millisecond, Lost: func(n int, err error) {
		if lost += n; err == nil {
			t.Error("rows are lost without a reason")
		}
	}})
	list := make([]ledger.Row, 1000)
	for i := range list {
		list[i] = ledger.Row{ID: ledger.NewID(time.Now()), Tenant: "acme", Charge: int64(i)}
	}
	insert := func(rows []ledger.Row, want error) {
		t.Helper()
		if n, err := s.Insert(t.Context(), rows); !errors.Is(err, want) || err == nil && n != len(rows) {
			t.Errorf("%d, %v", n, err)
		}
	}
	insert(list[:2], nil)
	if n := server.Do("XLEN", "sluice:rows"); n != "2" || b.rows != 2 || lost != 0 {
		t.Errorf("%s entries of %d rows, %d lost", n, b.rows, lost)
	}
	for i, line := range strings.Split(server.Do("XRANGE", "sluice:rows", "-", "+"), "\n") {
		switch text, err := json.Marshal(list[i/5].Line()); {
		case err != nil:
			t.Fatal(err)
		case i%5 == 2 && line != list[i/5].ID.String(), i%5 == 4 && line != string(text):
			t.Errorf("%d: %s", i, line)
		}
	}
	b.err = errors.New("the store is away")
	insert(list, b.err)
	if n := server.Do("XLEN", "sluice:rows"); n != "2" {
		t.Errorf("%s entries, though the store has taken none", n)
	}
	b.err = nil
	for range 5 {
		insert(list, nil)
	}
	if n := server.Do("XLEN", "sluice:rows"); len(n) != 4 || n >= "3000" || lost != 0 {
		t.Errorf("%s entries are kept", n)
	}
	if err := s.InsertPrices(t.Context(), make([]ledger.Price, 3)); err != nil || b.prices != 3 {
		t.Errorf("%d prices, %v", b.prices, err)
	}
	server.Kill()
	insert(list, nil)
	if lost != 1000 || b.rows != 6002 {
		t.Errorf("%d lost, and the store has %d", lost, b.rows)
	}
}

// plain is a sink without prices.
type plain struct{ ledger.Sink }

func TestNoPrices(t *testing.T) {
	s := publish.New(plain{&behind{}}, nil, publish.Options{})
	if err := s.InsertPrices(t.Context(), make([]ledger.Price, 1)); err != nil {
		t.Error(err)
	}
}
