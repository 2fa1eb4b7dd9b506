package ledger_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
)

// doubtful is a store whose first answer is lost on its way.
type doubtful struct {
	*sqlite.Store
	asked int
}

func (d *doubtful) Insert(ctx context.Context, rows []ledger.Row) (int, error) {
	n, err := d.Store.Insert(ctx, rows)
	if d.asked++; d.asked == 1 && err == nil {
		return 0, errors.New("it is not known whether it was committed")
	}
	return n, err
}

// What is shipped to a store twice, because its answer or the process was lost, is in it once, and so are its sums.
func TestStoreTwice(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir, want := t.TempDir(), int64(0)
	j, _ := open(t, dir, small())
	for range 100 {
		want += pass(t, j).Charge
	}
	left := row()
	if err := j.Intend(&left, each); err != nil {
		t.Fatal(err)
	}
	if err := j.Flush(t.Context(), &doubtful{Store: s}); err == nil {
		t.Error("the answer was not lost")
	}
	for range 3 { // the attempt that is open keeps the segment, and so its rows
		shut(t, j)
		j, _ = open(t, dir, small())
		flush(t, j, s)
	}
	list, _, err := s.Rows(t.Context(), store.Only("acme"), store.RowQuery{Limit: 500})
	if err != nil || len(list) != 101 {
		t.Errorf("%d rows, %v", len(list), err)
	}
	r, err := s.Verify(t.Context(), store.Only("acme"), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil || len(r.Wrong) != 0 || r.Unknown != 1 || int64(r.Charge) != want+left.Charge {
		t.Errorf("%v: %+v", err, r)
	}
}
