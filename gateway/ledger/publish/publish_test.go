package publish_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/ledger/publish"
)

func TestPublish(t *testing.T) {
	server := servers.StartRedis(t)
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr()}, DisableCache: true, DisableRetry: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	stream := publish.Stream{Name: "sluice:rows", Keep: 2000}
	list := make([]ledger.Row, 1000)
	for i := range list {
		list[i] = ledger.Row{ID: ledger.NewID(time.Now()), Tenant: "acme", Charge: int64(i)}
	}
	add := func(rows []ledger.Row) {
		t.Helper()
		if err := stream.Add(t.Context(), c, rows); err != nil {
			t.Error(err)
		}
	}
	add(list[:2])
	if n := server.Do("XLEN", "sluice:rows"); n != "2" {
		t.Errorf("%s entries", n)
	}
	for i, line := range strings.Split(server.Do("XRANGE", "sluice:rows", "-", "+"), "\n") {
		switch text, err := json.Marshal(list[i/5].Line()); {
		case err != nil:
			t.Fatal(err)
		case i%5 == 2 && line != list[i/5].ID.String(), i%5 == 4 && line != string(text):
			t.Errorf("%d: %s", i, line)
		}
	}
	for range 5 {
		add(list)
	}
	if n := server.Do("XLEN", "sluice:rows"); len(n) != 4 || n >= "3000" {
		t.Errorf("%s entries are kept", n)
	}
	server.Kill()
	if err := stream.Add(t.Context(), c, list); err == nil {
		t.Error("nobody took them")
	}
}
