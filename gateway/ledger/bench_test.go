package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
)

// nowhere is a sink that takes everything.
type nowhere struct{}

func (nowhere) Insert(_ context.Context, rows []ledger.Row) (int, error) { return len(rows), nil }

// One attempt writes its rows without an allocation.
func TestAllocations(t *testing.T) {
	o := ledger.Defaults()
	o.Sync, o.Every, o.Node = ledger.SyncOff, time.Hour, "n1"
	j, _ := open(t, t.TempDir(), o)
	r := row()
	end := done(r)
	if n := testing.AllocsPerRun(200, func() {
		r.ID[15]++
		end.ID = r.ID
		if err := j.Intend(&r, each); err != nil {
			t.Fatal(err)
		}
		j.Said(r.ID, 7)
		j.Seal(&end)
	}); n != 0 {
		t.Errorf("%v allocations for an attempt", n)
	}
}

func BenchmarkAttempt(b *testing.B) {
	f := func(title string, sync ledger.Sync, mapped bool) {
		b.Run(title, func(b *testing.B) {
			o := ledger.Defaults()
			o.Sync, o.Map, o.Node = sync, mapped, "n1"
			o.Segment, o.Timeout = 64<<20, time.Minute
			j, _ := open(b, b.TempDir(), o)
			r := row()
			end := done(r)
			b.ReportAllocs()
			for b.Loop() {
				r.ID = ledger.NewID(r.At)
				end.ID = r.ID
				err := j.Intend(&r, each)
				for ; errors.Is(err, ledger.ErrFull); err = j.Intend(&r, each) { // the disk is another matter
					b.StopTimer()
					flush(b, j, nowhere{})
					b.StartTimer()
				}
				if err != nil {
					b.Fatal(err)
				}
				j.Seal(&end)
			}
		})
	}
	f("mapped", ledger.Sync(5*time.Millisecond), true)
	f("mapped, not synced", ledger.SyncOff, true)
	f("written", ledger.Sync(5*time.Millisecond), false)
	f("always", ledger.SyncAlways, true)
}

// BenchmarkSaid is what one note of a stream costs, among others that are open.
func BenchmarkSaid(b *testing.B) {
	o := ledger.Defaults()
	o.Node = "n1"
	j, _ := open(b, b.TempDir(), o)
	ids := make([]ledger.ID, 1000)
	for i := range ids {
		r := row()
		if err := j.Intend(&r, each); err != nil {
			b.Fatal(err)
		}
		ids[i] = r.ID
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		j.Said(ids[i%len(ids)], int64(i))
	}
}

func BenchmarkRow(b *testing.B) {
	r, buf := done(row()), make([]byte, 0, ledger.MostRow)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = r.Append(buf[:0])
		}
		b.ReportMetric(float64(len(buf)), "bytes")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := r.Decode(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
