package ledger_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
)

// What a process leaves that is killed is in the tail, and what a machine leaves whose power fails in the segments: either is
// enough for what it is there for, and what is in both is there once.
func TestTail(t *testing.T) {
	dir, o := t.TempDir(), small()
	o.Sync = ledger.Sync(time.Hour)
	j, _ := open(t, dir, o)
	left := func(but ...string) string { // what the disk has now
		to := t.TempDir()
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		for _, name := range but {
			if err := os.Remove(filepath.Join(to, name)); err != nil {
				t.Fatal(err)
			}
		}
		return to
	}
	first, began := pass(t, j), row()
	if err := j.Intend(&began, each); err != nil {
		t.Fatal(err)
	}
	j.Said(began.ID, 5)
	early, old := left(), left()
	if err := j.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.Said(began.ID, 21)
	second := pass(t, j)

	f := func(dir string, said int64, rows ...ledger.Row) {
		t.Helper()
		for range 2 { // the second finds what the first has written
			after, _ := open(t, dir, o)
			shut(t, after)
		}
		m := &memory{}
		after, r := open(t, dir, o)
		if r.Rows != len(rows)+1 {
			t.Errorf("%+v", r)
		}
		flush(t, after, m)
		unknown := began
		unknown.Usage.Output, unknown.Cost.Picodollars, unknown.Charge = said, 900+said*20, 1_000+said*30
		expect(t, m, append(rows, unknown)...)
	}
	f(early, 5, first)
	f(left(), 21, first, second)
	f(left("tail"), 5, first) // after a failure of power
	if err := j.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := left("tail") // after another, which has left a tail that is old
	if err := os.Rename(filepath.Join(old, "tail"), filepath.Join(now, "tail")); err != nil {
		t.Fatal(err)
	}
	f(now, 21, first, second)
}
