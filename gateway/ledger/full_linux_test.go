package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sluice-ai/sluice/gateway/ledger"
)

// A disk on which no more segments can be made: what is under way is sealed, what is new is refused as long as that lasts, and
// what is there is shipped.
func TestDiskFull(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(n uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: before.Max}); err != nil {
			t.Error(err)
		}
	}
	defer limit(before.Cur)
	dir, m := t.TempDir(), &memory{}
	j, _ := open(t, dir, small())
	begun := row()
	if err := j.Intend(&begun, each); err != nil { // it makes a spare segment
		t.Fatal(err)
	}
	all := []ledger.Row{pass(t, j)}
	limit(1<<20 - 1) // less than a segment
	err := error(nil)
	for err == nil {
		r := row()
		if err = j.Intend(&r, each); err == nil {
			r = done(r)
			j.Seal(&r)
			all = append(all, r)
		}
	}
	if s := j.Standing(); !errors.Is(err, ledger.ErrFull) || !s.Full || !errors.Is(s.Disk, syscall.EFBIG) || len(all) < 500 {
		t.Errorf("%v after %d attempts: %+v", err, len(all), s)
	}
	begun = done(begun)
	j.Seal(&begun)
	flush(t, j, m)
	expect(t, m, append(all, begun)...)
	shut(t, j)

	left := row()
	limit(before.Cur)
	j, _ = open(t, dir, small())
	if err := j.Intend(&left, each); err != nil {
		t.Fatal(err)
	}
	shut(t, j)
	limit(1<<20 - 1) // it is full from the beginning
	j, r := open(t, dir, small())
	next := row()
	if err := j.Intend(&next, each); !errors.Is(err, ledger.ErrFull) || r.Unknown != 1 || !j.Standing().Full {
		t.Errorf("%v, %+v, %+v", err, r, j.Standing())
	}
	flush(t, j, m)
	limit(before.Cur)
	for err := j.Intend(&next, each); err != nil; err = j.Intend(&next, each) { // it notices within a second
		if !errors.Is(err, ledger.ErrFull) {
			t.Fatal(err)
		}
	}
	j.Void(next.ID)
	flush(t, j, m)
	if got := m.rows[left.ID]; got.Outcome != ledger.Unknown || got.Charge != left.Charge {
		t.Errorf("%+v", got)
	}
}

// A disk that fails under memory that is mapped makes the journal refuse attempts, and does not end the process.
func TestDiskFails(t *testing.T) {
	dir, o := t.TempDir(), small()
	o.Sync = ledger.SyncOff
	j, _ := open(t, dir, o)
	r := row()
	if err := j.Intend(&r, each); err != nil {
		t.Fatal(err)
	}
	// Memory behind the end of a file faults as if the disk were gone.
	if err := os.Truncate(filepath.Join(dir, "tail"), 0); err != nil {
		t.Fatal(err)
	}
	next := row()
	if err := j.Intend(&next, each); err == nil || errors.Is(err, ledger.ErrFull) {
		t.Error(err)
	}
	r = done(r)
	if j.Seal(&r) {
		t.Error("a row is said to be written")
	}
	j.Said(r.ID, 1)
	if err := j.Flush(t.Context(), &memory{}); err == nil {
		t.Error("nothing is read, and nobody complains")
	}
	if s := j.Standing(); s.Disk == nil || !s.Full || s.Open != 1 {
		t.Errorf("%+v", s)
	}
	if err := j.Close(); err == nil {
		t.Error("what was written is gone, and nobody complains")
	}
}
