package fleet

import (
	"context"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// Bounds of the log.
const (
	mostLogged = 100_000 // entries that it keeps, about
	mostRead   = 500     // at once
	rereading  = time.Second
)

// Append writes an entry into the log. It does not wait.
func (f *Fleet) Append(entry []byte) {
	s := f.seal.Load()
	if s == nil {
		return // nobody shares anything with this node yet
	}
	sealed := s.Close(f.logKey(), entry)
	f.queue.add(op{size: len(sealed), log: true, commands: func(c rueidis.Client) rueidis.Completed {
		return c.B().Xadd().Key(f.logKey()).Maxlen().Almost().Threshold(strconv.Itoa(mostLogged)).Id("*").
			FieldValue().FieldValue("n", string(f.name[:])).FieldValue("e", sealed).Build()
	}}, f.o.Dropped)
}

// Note writes an entry into the log and keeps it apart for some time, in the place of what was noted before under the same name: also
// nodes that start later hear of it.
func (f *Fleet) Note(name string, entry []byte, keep time.Duration) {
	s := f.seal.Load()
	if s == nil {
		return
	}
	until := uint64(time.Now().Add(keep).UnixMilli())
	kept := string(binary.BigEndian.AppendUint64(nil, until)) + s.Close(f.notesKey(), entry)
	f.queue.add(op{size: len(kept), commands: func(c rueidis.Client) rueidis.Completed {
		return c.B().Hset().Key(f.notesKey()).FieldValue().FieldValue(s.field(name), kept).Build()
	}}, f.o.Dropped)
	f.Append(entry)
}

func (f *Fleet) logKey() string   { return f.prefix + "log" }
func (f *Fleet) notesKey() string { return f.prefix + "notes" }

// grow has the log read.
func (f *Fleet) grow() {
	select {
	case f.grown <- struct{}{}:
	default:
	}
}

// read reads the log as it grows.
func (f *Fleet) read(ctx context.Context) {
	var of *Seal
	last := "0"
	tick := time.NewTicker(rereading)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.grown:
		case <-tick.C: // in case that word of it got lost
		}
		c, s := f.o.Client(), f.seal.Load()
		if c == nil || s == nil {
			continue
		}
		if of != s { // it is another fleet's now
			if !f.readNotes(ctx, c, s) {
				f.grow()
				if !pause(ctx, again) {
					return
				}
				continue
			}
			of, last = s, "0"
			f.noted.Store(s)
		}
		last = f.readFrom(ctx, c, s, last)
	}
}

// readFrom reads what stands behind an entry, and gives the last one's id.
func (f *Fleet) readFrom(ctx context.Context, c rueidis.Client, s *Seal, last string) string {
	for ctx.Err() == nil {
		in, cancel := context.WithTimeout(ctx, 4*f.longest)
		streams, err := c.Do(in, c.B().Xread().Count(mostRead).Streams().Key(f.logKey()).Id(last).Build()).AsXRead()
		cancel()
		if err != nil {
			return last
		}
		entries := streams[f.logKey()]
		for i := range entries {
			e := &entries[i]
			last = e.ID
			if e.FieldValues["n"] == string(f.name[:]) {
				continue
			}
			if plain, err := s.Open(f.logKey(), e.FieldValues["e"]); err == nil {
				f.o.Node.Heard(plain)
			}
		}
		if len(entries) < mostRead {
			return last
		}
	}
	return last
}

// readNotes reads all notes, and deletes those that hold no more.
func (f *Fleet) readNotes(ctx context.Context, c rueidis.Client, s *Seal) bool {
	ctx, cancel := context.WithTimeout(ctx, 4*f.longest)
	defer cancel()
	notes, err := c.Do(ctx, c.B().Hgetall().Key(f.notesKey()).Build()).AsStrMap()
	if err != nil {
		return false
	}
	now := time.Now().UnixMilli()
	for name, kept := range notes {
		if len(kept) < 8 || int64(binary.BigEndian.Uint64([]byte(kept[:8]))) < now { //nolint:gosec // as it was written
			_ = c.Do(ctx, c.B().Hdel().Key(f.notesKey()).Field(name).Build()) // some other time, then
			continue
		}
		if plain, err := s.Open(f.notesKey(), kept[8:]); err == nil {
			f.o.Node.Heard(plain)
		}
	}
	return true
}
