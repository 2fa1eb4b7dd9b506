package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Sync is how long a record may be in memory that a failure of power takes away. What a process wrote that was killed is
// never lost, whatever it is.
type Sync time.Duration

// SyncAlways makes each intent durable before its attempt, and SyncOff leaves it to the system when.
const (
	SyncAlways Sync = 0
	SyncOff    Sync = -1
)

// Options are how a journal is kept. The zero value is not valid, see [Defaults].
type Options struct {
	Segment int64  // size of a segment in bytes, 1 MiB at least
	MaxSize int64  // of all segments, three at least: as much waits for a store that is away
	Sync    Sync   // how long records may wait to be durable; most are written in groups
	Map     bool   // write through memory, for which a file of a segment's size is kept; only on Linux, and only on a disk of this machine
	Node    string // in each row; "": a name that is kept in the directory, and made once

	// Every is how long rows wait to be shipped together, and Timeout how long a store may take for them.
	Every, Timeout time.Duration

	reached func(point string) // nil but in tests
}

// Defaults are 16 MiB for a segment, which is some 20,000 attempts, 1 GiB for all of them, 5 ms until records are durable,
// and a second until rows are shipped, for which a store may take 30.
func Defaults() Options {
	return Options{
		Segment: 16 << 20, MaxSize: 1 << 30, Sync: Sync(5 * time.Millisecond), Map: canMap,
		Every: time.Second, Timeout: 30 * time.Second,
	}
}

// Errors of a journal.
var (
	ErrFull   = errors.New("ledger: there is no room for another attempt in the journal")
	ErrLocked = errors.New("ledger: another process uses the journal")
	ErrClosed = errors.New("ledger: the journal is closed")
	ErrNobody = errors.New("ledger: a row without a tenant")
)

// Points that tests stop at.
const (
	pointCopied  = "copied"  // a record is written but for its first word
	pointIntent  = "intent"  // an intent is written
	pointSeal    = "seal"    // a seal is written
	pointSwitch  = "switch"  // the next segment is begun
	pointMade    = "made"    // a segment is made
	pointSynced  = "synced"  // records are durable
	pointRead    = "read"    // rows are about to be inserted
	pointInsert  = "insert"  // they were inserted
	pointCarried = "carried" // an intent is in another segment as well
	pointRemoved = "removed" // a segment is deleted
	pointRecover = "recover" // some of the intents that were left are sealed
)

// Journal is where rows are until a store has them. What is written there survives the process, and, once it is synced, the
// machine. All methods may be called from any goroutine.
type Journal struct {
	dir  string
	o    Options
	lock *os.File

	mu       sync.Mutex
	changed  sync.Cond  // spares, synced and failed
	segments []*segment // oldest first; the last is written to, if active is set
	active   *segment   // nil while there is no room for one
	tail     *tail      // of active; nil if it is written without
	spares   []*segment // ready to be written to
	making   bool       // of another spare, or it begins at once
	next     uint64     // number of the next segment
	buf      []byte     // of the record that is being written
	open     map[ID]place
	left     map[ID]struct{} // those of open that an earlier process left
	prices   map[uint64]struct{}
	written  uint64 // records so far
	synced   uint64 // of them, durable
	sealed   int64  // rows that were not shipped yet
	failed   error  // the disk does not take what is written any more
	noRoom   error  // why the last spare could not be made
	shipping error  // why the last rows could not be shipped
	waiting  time.Time
	closed   bool

	flushing sync.Mutex // one ships at a time
	read     []byte     // by who ships; both are there again for the next batch
	rows     []Row
	reading  sync.RWMutex  // of segments, against their being closed
	ship     chan struct{} // many rows wait
	dirty    chan struct{} // something is to be synced
	now      chan struct{} // without a wait
	make     chan struct{} // spares are to be made
	stop     chan struct{}
	work     sync.WaitGroup
}

// place is where an intent is.
type place struct {
	in *segment
	at int64
}

// Intend writes down that an attempt is about to be made, and sets room aside for its seal. If nothing more is heard of it, the row
// holds as it is, with what each token adds that [Journal.Said] has told of. An error prevents the attempt: [ErrFull] if there is
// no room, [ErrClosed], [ErrNobody], or what the disk says. With [SyncAlways] it returns when the intent is durable. The row's Node
// is the journal's.
func (j *Journal) Intend(r *Row, each Each) error {
	if r.Tenant == "" {
		return ErrNobody
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.await(mostRecord, 1); err != nil {
		return err
	}
	r.Node = j.o.Node
	j.buf = each.append(r.Append(j.buf[:0]))
	at := j.append(intentRecord, j.buf)
	if j.failed != nil {
		return j.failed
	}
	j.open[r.ID] = at
	at.in.open++
	j.reach(pointIntent)
	if j.o.Sync != SyncAlways {
		return nil
	}
	if err := j.durable(); err != nil {
		j.void(r.ID)
		return err
	}
	return nil
}

// Said notes how many tokens of the answer to an attempt that was intended have passed by now. It is one word that is stored, so
// a stream may tell of itself every now and then.
func (j *Journal) Said(id ID, tokens int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p, is := j.open[id]
	if !is || j.closed || j.failed != nil {
		return
	}
	if j.fail(p.in.note(p.at, tokens)); j.failed == nil {
		j.touched()
	}
}

// Seal writes down how an attempt that was intended ended. There is room for it. Of one that was not intended, or is sealed,
// nothing is written. It says whether the row is written.
func (j *Journal) Seal(r *Row) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seal(r)
}

func (j *Journal) seal(r *Row) bool {
	if _, is := j.open[r.ID]; !is || j.closed {
		return false
	}
	if j.appendSeal(r); j.failed != nil {
		return false // the intent remains, for the next process
	}
	j.close(r.ID)
	j.count()
	j.reach(pointSeal)
	return true
}

// Void takes an intent back: the attempt was not made.
func (j *Journal) Void(id ID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.void(id)
}

func (j *Journal) void(id ID) {
	if _, is := j.open[id]; is && !j.closed {
		j.buf = append(j.buf[:0], id[:]...)
		j.append(voidRecord, j.buf)
		j.close(id)
	}
}

// Put writes a row for which there was no intent: of an answer that cost nothing. The errors are those of Intend.
func (j *Journal) Put(r *Row) error {
	if r.Tenant == "" {
		return ErrNobody
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.await(mostRecord, 0); err != nil {
		return err
	}
	if j.appendSeal(r); j.failed != nil {
		return j.failed
	}
	j.count()
	return nil
}

// Price writes down what rows of a version are worked out with, unless it has already. It returns [ErrFormat] if the rates
// are too long, and otherwise the errors of Intend.
func (j *Journal) Price(p Price) error {
	if len(p.Rates) > MostRates {
		return ErrFormat
	}
	payload := p.append(nil)
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, known := j.prices[p.Version]; known {
		return nil
	}
	if err := j.await(recordLength(len(payload)), 0); err != nil {
		return err
	}
	if j.append(priceRecord, payload); j.failed != nil {
		return j.failed
	}
	j.prices[p.Version] = struct{}{}
	return nil
}

// Sync waits until all that was written is durable, or ctx ends.
func (j *Journal) Sync(ctx context.Context) error {
	defer context.AfterFunc(ctx, j.changed.Broadcast)()
	j.mu.Lock()
	defer j.mu.Unlock()
	until := j.written
	j.wake(j.now)
	j.wake(j.dirty)
	for j.synced < until && j.failed == nil && !j.closed && ctx.Err() == nil {
		j.changed.Wait()
	}
	if j.synced >= until {
		return nil
	}
	return errors.Join(j.failed, ctx.Err())
}

// Node is the name of this node in rows.
func (j *Journal) Node() string { return j.o.Node }

// Standing is how a journal is.
type Standing struct {
	Segments int       // files that it has, those made ahead included
	Room     int64     // bytes that are left for new attempts, in the segments that there are
	Open     int       // attempts that are under way
	Waiting  int64     // rows that the store does not have yet
	Oldest   time.Time // when the oldest of them was written, if they are being shipped; else zero
	Full     bool      // new attempts are refused
	Disk     error     // the disk's last error; nil if all is well
	Store    error     // the store's last error; nil if it takes rows
}

// Standing is how the journal is at the moment.
func (j *Journal) Standing() Standing {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Standing{
		Segments: len(j.segments) + len(j.spares),
		Room:     max(j.room()-j.aside(), 0),
		Open:     len(j.open),
		Waiting:  j.sealed,
		Oldest:   j.waiting,
		Full:     j.failed != nil || !j.making && !j.fits(mostRecord, 1),
		Disk:     errors.Join(j.failed, j.noRoom),
		Store:    j.shipping,
	}
}

// Close gives the journal up. What is intended and not sealed by then is found by the next process. If all rows were shipped,
// nothing remains in the directory but the node's name.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	close(j.stop)
	j.changed.Broadcast()
	j.work.Wait()
	var errs []error
	if j.o.Sync != SyncOff {
		_, err := j.sync()
		errs = append(errs, err)
	}
	j.reading.Lock() // whoever ships has read what he has
	defer j.reading.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	errs = append(errs, j.dropTail())
	for _, s := range j.spares {
		errs = append(errs, s.remove())
	}
	for _, s := range j.segments {
		if j.sealed == 0 && len(j.open) == 0 {
			errs = append(errs, s.remove())
		} else {
			errs = append(errs, s.close())
		}
	}
	j.segments, j.spares, j.active = nil, nil, nil
	return errors.Join(append(errs, j.lock.Close())...)
}

// appendSeal writes a row as it will be for ever. There is room for it.
func (j *Journal) appendSeal(r *Row) {
	r.Node = j.o.Node
	j.buf = r.Append(j.buf[:0])
	j.append(sealRecord, j.buf)
}

// append writes a record that there is room for, and says where. If it fails, failed is set.
func (j *Journal) append(kind byte, payload []byte) place {
	n := recordLength(len(payload))
	if (j.active == nil || j.active.free() < n) && !j.begin() {
		j.fail(ErrFull) // what is written without asking has its room set aside
		return place{}
	}
	at := place{j.active, j.active.used}
	if err := j.active.put(kind, payload); err != nil {
		j.fail(err)
		return at
	}
	j.written++
	j.touched()
	return at
}

// begin makes a spare segment the one that is written to.
func (j *Journal) begin() bool {
	if len(j.spares) == 0 {
		return false
	}
	if j.active != nil {
		if err := j.active.keep(); err != nil {
			j.fail(err)
			return false
		}
		j.active.tail = nil
	}
	j.active, j.spares = j.spares[0], j.spares[1:]
	j.active.tail = j.tail
	j.segments = append(j.segments, j.active)
	j.reach(pointSwitch)
	return true
}

// touched has what was written synced.
func (j *Journal) touched() {
	if j.o.Sync != SyncOff {
		j.wake(j.dirty)
	}
}

// close forgets an intent.
func (j *Journal) close(id ID) {
	j.open[id].in.open--
	delete(j.open, id)
	delete(j.left, id)
}

// count counts a row that is to be shipped.
func (j *Journal) count() {
	if j.sealed++; j.sealed%batch == 0 {
		j.wake(j.ship)
	}
}

// durable waits until all that was written is.
func (j *Journal) durable() error {
	for until := j.written; j.synced < until && j.failed == nil; {
		if j.closed {
			return ErrClosed
		}
		j.changed.Wait()
	}
	return j.failed
}

// fail notes that the disk failed. After that nothing is written any more: what a disk has after an error nobody knows.
func (j *Journal) fail(err error) {
	if err != nil && j.failed == nil {
		j.failed = fmt.Errorf("ledger: %w", err)
		j.changed.Broadcast()
	}
}

// await waits for room for a record, and for the seals of so many more attempts. It waits only while a segment is being made.
func (j *Journal) await(n int64, attempts int) error {
	for {
		switch {
		case j.closed:
			return ErrClosed
		case j.failed != nil:
			return j.failed
		}
		fits := j.fits(n, attempts)
		if !j.making && j.short() && j.noRoom == nil && j.mayGrow() {
			j.making = true
			j.wake(j.make)
		}
		switch {
		case fits:
			return nil
		case !j.making:
			return ErrFull
		}
		j.changed.Wait()
	}
}

// fits says whether there is room for a record and for all that must be written later, with the seals of so many more attempts.
func (j *Journal) fits(n int64, attempts int) bool {
	return n+int64(attempts)*2*mostRecord+j.aside() <= j.room()
}

// room is how much can be written into the segments that there are.
func (j *Journal) room() int64 {
	n := int64(len(j.spares)) * j.o.Segment
	if j.active != nil {
		n += j.active.free()
	}
	return n
}

// aside is the part of the room that is for what must be written later: for each attempt its seal, and once more its intent, so
// that its segment can be deleted before it ends; and what is left over at the end of each segment.
func (j *Journal) aside() int64 {
	return int64(len(j.open))*2*mostRecord + j.tails()
}

// tails is what may be left over at the end of segments, because no record is parted.
func (j *Journal) tails() int64 {
	return int64(len(j.spares)+1) * (recordHead + mostPayload + recordAlign)
}

// short says whether less than a segment is left.
func (j *Journal) short() bool { return j.room()-j.aside() < j.o.Segment }

// mayGrow says whether the journal may have another segment.
func (j *Journal) mayGrow() bool {
	return int64(len(j.segments)+len(j.spares)+1)*j.o.Segment <= j.o.MaxSize
}

// wake tells one of the journal's goroutines that there is work.
func (j *Journal) wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (j *Journal) reach(point string) {
	if j.o.reached != nil {
		j.o.reached(point)
	}
}

// nodeName is the name that is kept in the directory, or a new one.
func nodeName(dir string) (string, error) {
	path := filepath.Join(dir, "node")
	b, err := os.ReadFile(path) //nolint:gosec // in the journal's own directory
	if err == nil && len(b) > 0 {
		return string(b), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	id := NewID(time.Now())
	name := "node-" + id.String()[len(prefix)+20:]
	if err := os.WriteFile(path+newSuffix, []byte(name), 0o600); err != nil {
		return "", err
	}
	return name, os.Rename(path+newSuffix, path)
}
