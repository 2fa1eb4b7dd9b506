package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"unsafe"
)

// tailName is the file of a journal's tail.
const tailName = "tail"

// tail is memory, mapped from a file, that stands for the end of the segment that is written to, at the same offsets. A record
// in it survives the process as one in the segment's file does, but costs no call to the system. Every few milliseconds what is
// new is copied to the segment, which is what is synced, shipped and read. To sync memory that is mapped is dear: each page is
// made read-only again, on all processors, and faults when it is next written.
//
// What is behind the last record is of segments before. It is no record of this one, because its key is another.
type tail struct {
	file *os.File
	mem  []byte

	reached func(point string) // nil but in tests
}

// createTail makes the tail of segments of a size. All of its room on the disk is taken.
func createTail(dir string, size int64) (_ *tail, err error) {
	t := &tail{}
	if t.file, err = os.OpenFile(filepath.Join(dir, tailName), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil { //nolint:gosec // in the journal's own directory
		return nil, err
	}
	if err = fill(t.file, size); err == nil {
		t.mem, err = mapFile(t.file, size)
	}
	if err != nil {
		return nil, errors.Join(err, t.remove())
	}
	populate(t.mem)
	return t, nil
}

// put writes a record: all but its first word, and then that, in one go.
func (t *tail) put(at int64, word, sum uint32, payload []byte) (err error) {
	defer faulted(debug.SetPanicOnFault(true), &err)
	b := t.mem[at:]
	first := (*uint32)(unsafe.Pointer(&b[0])) //nolint:gosec // aligned to 64 bytes
	atomic.StoreUint32(first, 0)
	copy(b[recordHead:], payload)
	binary.LittleEndian.PutUint32(b[4:], sum)
	binary.LittleEndian.PutUint64(b[8:], 0)
	if t.reached != nil {
		t.reached(pointCopied)
	}
	atomic.StoreUint32(first, word)
	return nil
}

// note writes the second word of a record.
func (t *tail) note(at int64, word uint64) (err error) {
	defer faulted(debug.SetPanicOnFault(true), &err)
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&t.mem[at+8])), word) //nolint:gosec // aligned
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

// close gives the memory and the file back.
func (t *tail) close() error {
	var err error
	if t.mem != nil {
		err = unmapFile(t.mem)
	}
	return errors.Join(err, t.file.Close())
}

// remove deletes the tail.
func (t *tail) remove() error { return errors.Join(t.close(), os.Remove(t.file.Name())) }

// restore copies to the segments what an earlier process has left in the tail, and deletes it.
func (j *Journal) restore() error {
	path := filepath.Join(j.dir, tailName)
	b, err := os.ReadFile(path) //nolint:gosec // in the journal's own directory
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range j.segments {
		if err := s.takeOver(b); err != nil {
			return err
		}
	}
	return os.Remove(path)
}

// takeOver copies the records of a tail that the segment does not have, and what the tail knows better of those that it has.
// After a failure of power either may have more: the tail is never synced.
func (s *segment) takeOver(b []byte) error {
	if len(b) < recordHead {
		return nil
	}
	if payload, _ := s.recordAt(b, 0); payload == nil {
		return nil // it begins with another segment's
	}
	have, err := s.read(0, s.size)
	if err != nil {
		return err
	}
	for r := range s.records(b[:min(len(b), len(have))], 0) {
		switch old, _ := s.recordAt(have[r.at:], r.at); {
		case old == nil:
			_, err = s.file.WriteAt(b[r.at:r.at+recordHead+int64(len(r.payload))], r.at)
		case noteAt(b, r.at) > noteAt(have, r.at):
			_, err = s.file.WriteAt(b[r.at+8:r.at+recordHead], r.at+8)
		}
		if err != nil {
			return err
		}
	}
	s.unsynced = true
	return nil
}

// noteAt is how many tokens are noted in the record at an offset.
func noteAt(b []byte, at int64) int64 { return tokens(binary.LittleEndian.Uint64(b[at+8:])) }

// dropTail has the segment do without its tail, as far as that can be read.
func (j *Journal) dropTail() error {
	if j.tail == nil {
		return nil
	}
	if j.active != nil {
		if err := j.active.keep(); err != nil {
			return errors.Join(err, j.tail.close())
		}
		j.active.tail = nil
	}
	return j.tail.remove()
}
