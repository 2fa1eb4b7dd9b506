package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The form of a segment. Its file is as large as it will ever be from the beginning, and full of zeros: what is written to it
// later needs no room on the disk. Its name has its number and a random key. Records stand at multiples of 64 bytes:
//
//	0  uint32  length of the payload, and the kind in the highest byte; 0: there is no record (yet)
//	4  uint32  CRC-32C of the payload, begun with the segment's key, the record's offset and the word before
//	8  uint64  of an intent: how much of the answer has passed, see [noted]
//	16 payload
//
// In memory, see [tail], the first word is stored last, in one go: a process that is killed has written a record or has not.
// After a failure of power any of it may be missing; the CRC tells. The key keeps texts in a row from being taken for a record
// where one is torn.
const (
	segmentSuffix = ".wal"
	newSuffix     = ".new" // until it is as large as it will be
	recordAlign   = 64
	recordHead    = 16
	mostPayload   = 9 + 1 + boundID + 1 + boundModel + MostRates // of a price, the longest
	// mostRecord is the room that a row takes at most, also as an intent.
	mostRecord = (recordHead + MostRow + mostEach + recordAlign - 1) / recordAlign * recordAlign
)

// Kinds of record.
const (
	intentRecord byte = 1 + iota // a row, as it is before the attempt, and an Each
	sealRecord                   // the row as it is after it
	voidRecord                   // an id: the attempt was not made
	priceRecord
)

// segment is one file of the journal.
type segment struct {
	path   string
	number uint64
	key    uint64
	size   int64
	file   *os.File

	// Guarded by the journal's mutex.
	tail     *tail   // what is written to first; nil: the file
	used     int64   // behind the last record
	kept     int64   // behind the last record that is in the file as well, if there is a tail
	noted    []int64 // offsets before that of which the tail knows more
	unsynced bool    // the file was written since it was last synced
	open     int     // intents in it that have no seal

	// Guarded by the journal's lock for reading.
	shipped int64 // behind the last record that was shipped
	closed  bool
}

// record is what a segment has at an offset.
type record struct {
	kind    byte
	at, end int64
	payload []byte // in the buffer that it was read to
}

// createSegment makes a segment and fills it with zeros, so that all of its room on the disk is taken.
func createSegment(dir string, number uint64, size int64) (_ *segment, err error) {
	s := &segment{number: number, key: rand.Uint64(), size: size} //nolint:gosec // forgery would need a guess in time
	s.path = filepath.Join(dir, fmt.Sprintf("%016x-%016x", s.number, s.key)+segmentSuffix)
	if s.file, err = os.OpenFile(s.path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	if err := fill(s.file, size); err != nil {
		return nil, errors.Join(err, s.close(), os.Remove(s.path+newSuffix))
	}
	if err := os.Rename(s.path+newSuffix, s.path); err != nil {
		return nil, errors.Join(err, s.close(), os.Remove(s.path+newSuffix))
	}
	return s, syncDir(dir)
}

// fill makes a file that size, of zeros that are on the disk.
func fill(f *os.File, size int64) error {
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// openSegment opens what an earlier process left, of whatever size; nil if its name is not that of a segment.
func openSegment(path string) (_ *segment, err error) {
	number, key, ok := strings.Cut(strings.TrimSuffix(filepath.Base(path), segmentSuffix), "-")
	s := &segment{path: path}
	var errs [2]error
	s.number, errs[0] = strconv.ParseUint(number, 16, 64)
	s.key, errs[1] = strconv.ParseUint(key, 16, 64)
	if !ok || errors.Join(errs[:]...) != nil {
		return nil, nil //nolint:nilnil // there is none
	}
	if s.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil { //nolint:gosec // in the journal's own directory
		return nil, err
	}
	info, err := s.file.Stat()
	if err == nil {
		s.size = info.Size()
		s.used = s.size
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close gives the file back. Nobody uses it any more.
func (s *segment) close() error {
	s.closed = true
	return s.file.Close()
}

// remove deletes the segment.
func (s *segment) remove() error { return errors.Join(s.close(), os.Remove(s.path)) }

// keep copies to the file what only the tail has.
func (s *segment) keep() error {
	if s.tail == nil {
		return nil
	}
	if s.kept < s.used {
		if _, err := s.file.WriteAt(s.tail.mem[s.kept:s.used], s.kept); err != nil {
			return err
		}
		s.kept, s.unsynced = s.used, true
	}
	for _, at := range s.noted {
		if _, err := s.file.WriteAt(s.tail.mem[at+8:at+recordHead], at+8); err != nil {
			return err
		}
		s.unsynced = true
	}
	s.noted = s.noted[:0]
	return nil
}

// free is how much room is left.
func (s *segment) free() int64 { return s.size - s.used }

// sum is the CRC of a record's payload, which begins with what else the record is made of.
func (s *segment) sum(payload []byte, at int64, word uint32) uint32 {
	seed := ((s.key^uint64(at))*0x9e3779b97f4a7c15 ^ uint64(word)) * 0xff51afd7ed558ccd //nolint:gosec // not negative
	return crc32.Update(uint32(seed>>32), crc32.MakeTable(crc32.Castagnoli), payload)   // the polynomial that processors have an instruction for
}

// put writes a record at used; there is room.
func (s *segment) put(kind byte, payload []byte) error {
	at := s.used
	word := uint32(len(payload)) | uint32(kind)<<24 //nolint:gosec // bounded
	s.used += recordLength(len(payload))
	sum := s.sum(payload, at, word)
	if s.tail != nil {
		return s.tail.put(at, word, sum, payload)
	}
	s.unsynced = true
	b := make([]byte, recordHead, recordHead+len(payload))
	binary.LittleEndian.PutUint32(b, word)
	binary.LittleEndian.PutUint32(b[4:], sum)
	_, err := s.file.WriteAt(append(b, payload...), at)
	return err
}

// note notes in an intent how many tokens of the answer have passed.
func (s *segment) note(at, said int64) error {
	word := noted(said)
	if s.tail != nil {
		if at < s.kept {
			s.noted = append(s.noted, at)
		}
		return s.tail.note(at, word)
	}
	s.unsynced = true
	_, err := s.file.WriteAt(binary.LittleEndian.AppendUint64(nil, word), at+8)
	return err
}

// noted puts a number of tokens and its check into one word, so that it is written in one go.
func noted(tokens int64) uint64 {
	n := uint64(min(max(tokens, 0), math.MaxUint32))
	return n<<32 | check(n)
}

// tokens is what noted made a word of; 0 if the word is another.
func tokens(word uint64) int64 {
	n := word >> 32
	if word&math.MaxUint32 != check(n) {
		return 0
	}
	return int64(n)
}

func check(n uint64) uint64 { return (n * 0x9e3779b97f4a7c15) >> 32 }

// read is the part of the file between two offsets.
func (s *segment) read(from, to int64) ([]byte, error) {
	b := make([]byte, to-from)
	_, err := s.file.ReadAt(b, from)
	return b, err
}

// Bounds of what is read at a time. A record that begins before the last mostLength bytes ends in them.
const (
	mostRead   = 1 << 20
	mostLength = (recordHead + mostPayload + recordAlign - 1) / recordAlign * recordAlign
)

// visit visits the valid records in the file between two offsets, as long as the visitor wants more. They are read into a
// buffer, which is returned, larger if need be.
func (s *segment) visit(buf []byte, from, to int64, f func(record) (more bool, err error)) ([]byte, error) {
	for from < to {
		n := min(to-from, mostRead)
		buf = slices.Grow(buf[:0], int(n))[:n]
		if _, err := s.file.ReadAt(buf, from); err != nil {
			return buf, err
		}
		next := from + n
		if next < to {
			next -= mostLength // what begins later is read again
		}
		end := next
		for r := range s.records(buf, from) {
			if r.at >= next {
				break
			}
			more, err := f(r)
			if err != nil || !more {
				return buf, err
			}
			end = max(end, r.end)
		}
		from = end
	}
	return buf, nil
}

// records are the valid records in b, which was read from an offset on. What is none is stepped over.
func (s *segment) records(b []byte, from int64) iter.Seq[record] {
	return func(yield func(record) bool) {
		for at := 0; at+recordHead <= len(b); {
			payload, kind := s.recordAt(b[at:], from+int64(at))
			if payload == nil {
				at += recordAlign
				continue
			}
			end := min(at+int(recordLength(len(payload))), len(b)) // what fills it up may be cut off
			if !yield(record{kind, from + int64(at), from + int64(end), payload}) {
				return
			}
			at = end
		}
	}
}

// recordAt is the payload of the record at the beginning of b; nil if there is no valid one.
func (s *segment) recordAt(b []byte, at int64) (payload []byte, kind byte) {
	word := binary.LittleEndian.Uint32(b)
	n := int(word & 0xffffff)
	if n == 0 || n > mostPayload || recordHead+n > len(b) {
		return nil, 0
	}
	payload = b[recordHead : recordHead+n : recordHead+n]
	if binary.LittleEndian.Uint32(b[4:]) != s.sum(payload, at, word) {
		return nil, 0
	}
	return payload, byte(word >> 24)
}

// recordLength is the room that a record with so many bytes takes.
func recordLength(payload int) int64 {
	return (recordHead + int64(payload) + recordAlign - 1) / recordAlign * recordAlign
}

// syncDir makes names in a directory durable, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the journal's own directory
	if err != nil {
		return err
	}
	_ = d.Sync() // not all systems sync a directory
	return d.Close()
}
