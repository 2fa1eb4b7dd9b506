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
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"
)

// The form of a segment. Its file is as large as it will ever be from the beginning, and full of zeros: what is written to it
// later needs no room on the disk. Its name has its number and a random key. Records stand at multiples of 64 bytes:
//
//	0  uint32  length of the payload, and the kind in the highest byte; 0: there is no record (yet)
//	4  uint32  CRC-32C of the payload, begun with the segment's key, the record's offset and the word before
//	8  uint64  of an intent: how much of the answer has passed, see [noted]
//	16 payload
//
// In memory that is mapped, the first word is stored last, in one go: a process that is killed has written a record or has
// not. After a failure of power any of it may be missing; the CRC tells. The key keeps texts in a row from being taken for
// a record where one is torn.
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
	mem    []byte // all of it, mapped; nil: it is written with WriteAt

	reached func(point string) // nil but in tests

	// Guarded by the journal's mutex.
	used  int64 // behind the last record
	open  int   // intents in it that have no seal
	dirty span  // written since it was last synced

	// Guarded by the journal's lock for reading.
	shipped int64 // behind the last record that was shipped
	closed  bool
}

// span is a part of a segment; if to is 0, it is empty.
type span struct{ from, to int64 }

// add makes the span reach over another.
func (s *span) add(from, to int64) {
	if s.to == 0 {
		s.from = from
	}
	s.from, s.to = min(s.from, from), max(s.to, to)
}

// record is what a segment has at an offset.
type record struct {
	kind    byte
	at, end int64
	payload []byte // in the segment's own memory
}

// createSegment makes a segment and fills it with zeros, so that all of its room on the disk is taken.
func createSegment(dir string, number uint64, size int64, mapped bool) (_ *segment, err error) {
	s := &segment{number: number, key: rand.Uint64(), size: size} //nolint:gosec // forgery would need a guess in time
	s.path = filepath.Join(dir, fmt.Sprintf("%016x-%016x", s.number, s.key)+segmentSuffix)
	if s.file, err = os.OpenFile(s.path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(), os.Remove(s.path+newSuffix))
		}
	}()
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := s.file.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return nil, err
		}
	}
	if err := s.file.Sync(); err != nil {
		return nil, err
	}
	if mapped {
		if s.mem, err = mapFile(s.file, size); err != nil {
			return nil, err
		}
		populate(s.mem)
	}
	if err := os.Rename(s.path+newSuffix, s.path); err != nil {
		return nil, err
	}
	return s, syncDir(dir)
}

// openSegment opens what an earlier process left, of whatever size; nil if its name is not that of a segment.
func openSegment(path string, mapped bool) (_ *segment, err error) {
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
		if mapped && s.size > 0 {
			s.mem, err = mapFile(s.file, s.size)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close gives the file and its memory back. Nobody uses them any more.
func (s *segment) close() error {
	var err error
	s.closed = true
	if s.mem != nil {
		err = unmapFile(s.mem)
		s.mem = nil
	}
	return errors.Join(err, s.file.Close())
}

// remove deletes the segment.
func (s *segment) remove() error { return errors.Join(s.close(), os.Remove(s.path)) }

// sync makes a part of the segment durable.
func (s *segment) sync(part span) error {
	if s.mem != nil {
		return syncMemory(s.mem, part.from, part.to)
	}
	return syncFile(s.file)
}

// free is how much room is left.
func (s *segment) free() int64 { return s.size - s.used }

// sum is the CRC of a record's payload, which begins with what else the record is made of.
func (s *segment) sum(payload []byte, at int64, word uint32) uint32 {
	seed := ((s.key^uint64(at))*0x9e3779b97f4a7c15 ^ uint64(word)) * 0xff51afd7ed558ccd //nolint:gosec // not negative
	return crc32.Update(uint32(seed>>32), crc32.MakeTable(crc32.Castagnoli), payload)   // the polynomial that processors have an instruction for
}

// put writes a record at used; there is room.
func (s *segment) put(kind byte, payload []byte) (err error) {
	at := s.used
	word := uint32(len(payload)) | uint32(kind)<<24 //nolint:gosec // bounded
	s.used += recordLength(len(payload))
	s.dirty.add(at, s.used)
	sum := s.sum(payload, at, word)
	if s.mem == nil {
		b := make([]byte, recordHead, recordHead+len(payload))
		binary.LittleEndian.PutUint32(b, word)
		binary.LittleEndian.PutUint32(b[4:], sum)
		_, err := s.file.WriteAt(append(b, payload...), at)
		return err
	}
	defer faulted(debug.SetPanicOnFault(true), &err)
	b := s.mem[at:]
	copy(b[recordHead:], payload)
	binary.LittleEndian.PutUint32(b[4:], sum)
	if s.reached != nil {
		s.reached(pointCopied)
	}
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b[0])), word) //nolint:gosec // aligned to 64 bytes
	return nil
}

// faulted makes an error of the fault that a page causes which the disk does not give or take. It is deferred by whoever has
// asked for a panic then.
func faulted(before bool, err *error) {
	debug.SetPanicOnFault(before)
	switch r := recover().(type) {
	case nil:
	case interface {
		error
		Addr() uintptr
	}:
		*err = fmt.Errorf("the disk fails under memory that is mapped: %w", r)
	default:
		panic(r)
	}
}

// note notes in an intent how many tokens of the answer have passed.
func (s *segment) note(at, said int64) (err error) {
	word := noted(said)
	s.dirty.add(at, at+recordHead)
	if s.mem == nil {
		_, err := s.file.WriteAt(binary.LittleEndian.AppendUint64(nil, word), at+8)
		return err
	}
	defer faulted(debug.SetPanicOnFault(true), &err)
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&s.mem[at+8])), word) //nolint:gosec // aligned
	return nil
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

// read is the part of the segment between two offsets. Mapped, it is the segment's own memory.
func (s *segment) read(from, to int64) ([]byte, error) {
	switch {
	case to <= from:
		return nil, nil
	case s.mem != nil:
		return s.mem[from:to:to], nil
	}
	b := make([]byte, to-from)
	_, err := s.file.ReadAt(b, from)
	return b, err
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
