package ledger_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-ai/sluice/gateway/ledger"
)

// left is the segment that a journal has left, with what is known of it.
type left struct {
	name  string
	bytes []byte
	rows  map[ledger.ID]*fate
}

// fate is where a row's records are, and what they say. No end: there is none.
type fate struct {
	intent, seal   [2]int
	unknown, ended ledger.Row
}

// leave writes a segment with attempts that are over, and some that are not.
func leave(t testing.TB) *left {
	t.Helper()
	dir := t.TempDir()
	j, _ := open(t, dir, small())
	l := &left{rows: map[ledger.ID]*fate{}}
	var order []*[2]int
	seal := func(r ledger.Row) {
		r = done(r)
		f := l.rows[r.ID]
		f.ended = r
		order = append(order, &f.seal)
		j.Seal(&r)
	}
	var before ledger.Row
	for n := range 24 {
		r := row()
		if err := j.Intend(&r, each); err != nil {
			t.Fatal(err)
		}
		f := &fate{unknown: r}
		l.rows[r.ID] = f
		order = append(order, &f.intent)
		if n%3 != 0 {
			seal(r)
		}
		if n%6 == 3 {
			seal(before)
		}
		if n%3 == 0 {
			before = r
		}
	}
	shut(t, j)
	files, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	l.name = filepath.Base(files[0])
	if l.bytes, err = os.ReadFile(files[0]); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, place := range order {
		n := int(binary.LittleEndian.Uint32(l.bytes[at:]) & 0xffffff)
		*place = [2]int{at, at + 16 + n}
		at += (16 + n + 63) / 64 * 64
	}
	l.bytes = l.bytes[:at+4096] // zeros follow, which only take time
	return l
}

// whole says whether a record is as it was written, but for what had been said, which has a check of its own.
func (l *left) whole(now []byte, at [2]int) bool {
	if at[1] == 0 || at[1] > len(now) {
		return false
	}
	a, b := bytes.Clone(l.bytes[at[0]:at[1]]), bytes.Clone(now[at[0]:at[1]])
	clear(a[8:16])
	clear(b[8:16])
	return bytes.Equal(a, b)
}

// FuzzRecovery spoils a segment: what is whole in it is found, whatever is around it, and nothing is that was not written.
func FuzzRecovery(f *testing.F) {
	l := leave(f)
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0})                            // the first bit
	f.Add([]byte{0, 0, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0})    // lengths
	f.Add([]byte{1, 0, 3, 0, 0, 1, 3, 1})                // cut, and a bit
	f.Add([]byte{1, 0, 0, 0})                            // nothing is left
	f.Add([]byte{2, 0x02, 0x40, 0, 2, 0x04, 0, 0})       // holes
	f.Add([]byte{3, 0x02, 0x40, 0, 0, 0, 8, 0, 0, 8, 0}) // a record twice
	f.Fuzz(func(t *testing.T, ops []byte) {
		now := bytes.Clone(l.bytes)
		for ; len(ops) >= 4; ops = ops[4:] {
			at := int(binary.BigEndian.Uint16(ops[1:]))
			switch {
			case at >= len(now):
			case ops[0]%4 == 1:
				now = now[:at]
			case ops[0]%4 == 2:
				clear(now[at:min(at+64, len(now))])
			case ops[0]%4 == 3:
				copy(now[at:], now[:int(ops[3])])
			default:
				now[at] ^= 1 << (ops[3] & 7)
			}
		}
		l.check(t, now)
	})
}

func (l *left) check(t *testing.T, now []byte) {
	dir, m := t.TempDir(), &memory{}
	if err := os.WriteFile(filepath.Join(dir, l.name), now, 0o600); err != nil {
		t.Fatal(err)
	}
	o := small()
	o.Sync = ledger.SyncOff
	j, _ := open(t, dir, o)
	flush(t, j, m)
	for id, f := range l.rows {
		got, has := m.rows[id]
		switch {
		case l.whole(now, f.seal):
			if got != f.ended {
				t.Errorf("%t: %+v, want %+v", has, got, f.ended)
			}
		case l.whole(now, f.intent):
			if got != f.unknown {
				t.Errorf("%t: %+v, want %+v", has, got, f.unknown)
			}
		case has && got.Outcome != ledger.Unknown:
			t.Errorf("%+v is in no record", got)
		}
	}
	for id := range m.rows {
		if l.rows[id] == nil {
			t.Errorf("%s was never written", id)
		}
	}
}
