package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// inserts is the variable that makes this program another one, which inserts into the store that it names until it is killed.
const inserts = "SLUICE_TEST_INSERTS"

const each = 20 // rows at a time

func TestMain(m *testing.M) {
	if path := os.Getenv(inserts); path != "" {
		fmt.Fprintln(os.Stderr, insertFor(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// insertFor prints a line after each batch.
func insertFor(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path)
	for err == nil {
		if _, err = s.Insert(ctx, rows(each)); err == nil {
			_, err = fmt.Println("inserted")
		}
	}
	return err
}

func rows(n int) []ledger.Row {
	list := make([]ledger.Row, n)
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for i := range list {
		list[i] = ledger.Row{ID: ledger.NewID(at), At: at, Tenant: "acme", Node: "n1", Key: fmt.Sprint("k", i%20), Model: "m", Charge: 1}
	}
	return list
}

// TestKilled kills who inserts, again and again: batches are there as a whole or not at all, and those that were answered are.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	answered := int64(0)
	for life := range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), inserts+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range life * 3 {
			lines.Scan()
			answered += each
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			answered += each
		}
		_ = cmd.Wait() // killed
		s := open(t, path)
		r, err := s.Verify(t.Context(), store.Everybody(), time.Time{}, time.Time{})
		if err != nil || len(r.Wrong) > 0 || r.Rows < answered || r.Rows > answered+int64(life+1)*each || r.Rows%each != 0 || int64(r.Charge) != r.Rows {
			t.Errorf("%d rows were answered: %+v, %v", answered, r, err)
		}
	}
	if answered < 21*3*each {
		t.Errorf("only %d rows were inserted", answered)
	}
}

// BenchmarkInsert inserts what a busy gateway ships together.
func BenchmarkInsert(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "ledger.db"))
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	list := make([]ledger.Row, 1000)
	for b.Loop() {
		for i := range list {
			at = at.Add(100 * time.Microsecond)
			list[i] = ledger.Row{
				ID: ledger.NewID(at), At: at, Node: "node-1a2b3c4d5e6f", Tenant: "acme", Key: "app", Request: "req_0123456789abcdef01234567",
				Endpoint: "chat.completions", Dialect: "openai", Asked: "mock-small", Model: "mock*", Provider: "mock0", Account: "default", Target: "mock-small",
				Attempt: 1, Flags: ledger.Delivered, Outcome: ledger.Complete, Status: 200, First: 900 * time.Microsecond, Total: time.Millisecond,
				Usage: chat.Usage{Input: 100, Output: 200, Provenance: chat.Reported}, Price: 1 << 63,
				Cost: catalog.Cost{Known: true, Picodollars: 500_000_000}, Reserved: 600_000_000, Charge: 500_000_000,
			}
		}
		if _, err := s.Insert(b.Context(), list); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "µs/row")
}
