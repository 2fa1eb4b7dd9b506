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

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
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

func BenchmarkInsert(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "ledger.db"))
	for b.Loop() {
		if _, err := s.Insert(b.Context(), rows(1000)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
