package cache

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/plugins/cache/answer"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/cache/partition"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
)

// disk keeps answers, the index and purges in a file, over restarts. The file is a list of parts, each with its length in front, sealed
// for its place in it; a part is a list of notes. It is only a cache: what is damaged, or of another version, is left.
type disk struct {
	p       *Plugin
	path    string
	most    int           // bytes
	seal    [32]byte      // what the file is sealed with: without a secret it is nobody's, and finds damage
	changes atomic.Uint64 // since the start

	mu     sync.Mutex // of the file, and of:
	secret [32]byte   // of the keys
	purges int
	read   bool // the file, if it was there
}

const (
	diskEvery   = 5 * time.Minute // how much at most is lost with the process
	diskVersion = "1"
	partSize    = 1 << 20
	mostPart    = 65 << 20
)

// newDisk finds the folder's file; nil if nothing is to be kept there.
func newDisk(p *Plugin, folder string, secret [32]byte) *disk {
	switch {
	case p.c.Snapshot <= 0:
		return nil
	case folder == "":
		p.log.Warn("snapshot is set, but there is no folder for it: it needs ledger in the chain")
		return nil
	}
	d := &disk{p: p, path: filepath.Join(folder, "cache-answers.bin"), most: int(p.c.Snapshot), secret: secret}
	d.seal = sha256.Sum256([]byte("sluice cache snapshot " + p.c.Secret.Reveal()))
	return d
}

// changed notes that there is something new to write. A nil disk keeps nothing.
func (d *disk) changed() {
	if d != nil {
		d.changes.Add(1)
	}
}

// agree says which secret keys are made with from now on, and takes in what was kept with it.
func (d *disk) agree(secret [32]byte) {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.secret = secret
	first := !d.read
	d.read = true
	d.mu.Unlock()
	if first {
		d.restore(&secret)
	}
}

// purged takes the file away: what was purged must not come back.
func (d *disk) purged() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.purges++
	d.changes.Add(1)
	if err := os.Remove(d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.p.log.Error("what was purged is still in a file, until that is written again", zap.Error(err))
	}
}

// run writes the file from time to time, and at last.
func (d *disk) run(ctx context.Context) {
	t := time.NewTicker(diskEvery)
	defer t.Stop()
	var written uint64
	for ended := false; !ended; {
		select {
		case <-t.C:
		case <-ctx.Done():
			ended = true
		}
		now := d.changes.Load()
		if now == written {
			continue
		}
		if err := d.write(); err != nil {
			d.p.log.Warn("what is in the cache cannot be written down", zap.Error(err))
			continue
		}
		written = now
	}
}

// Kinds of notes, the first byte of each.
const (
	noteHead   = 'h' // the first
	notePurge  = 'p'
	noteAnswer = 'a' // its exact key, and its bytes
	noteChange = 'c'
)

// diskHead is what must fit for the rest to be of use.
type diskHead struct {
	Versions string `json:"versions"`
	Secret   []byte `json:"secret"` // of the keys
}

func (d *disk) versions() string { return diskVersion + " " + d.p.versions }

// write replaces the file.
func (d *disk) write() error {
	d.mu.Lock()
	purges, secret := d.purges, d.secret
	d.mu.Unlock()
	next := d.path + ".new"
	file, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // in the operator's folder
	if err != nil {
		return err
	}
	var salt fleet.Name
	_, _ = rand.Read(salt[:]) // never fails
	w := &diskWriter{to: file, seal: fleet.NewSeal(d.seal, salt), left: d.most}
	if err := errors.Join(d.fill(w, secret), file.Close()); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.purges != purges { // the next time, without what was purged
		return os.Remove(next)
	}
	return os.Rename(next, d.path)
}

// fill writes what is in memory: the answers that are given most, and what leads to them.
func (d *disk) fill(w *diskWriter, secret [32]byte) error {
	p := d.p
	w.json(noteHead, diskHead{d.versions(), secret[:]})
	p.purges.mu.Lock()
	purges := maps.Clone(p.purges.at)
	p.purges.mu.Unlock()
	for what, at := range purges {
		w.json(notePurge, purge{what, at})
	}
	written := map[uint64]bool{}
	for _, i := range p.store.hottest(w.left) {
		if w.note(noteAnswer, i.of.key[:], i.data) {
			written[i.of.id] = true
		}
	}
	if p.meaning != nil {
		p.meaning.Snapshot(func(c semantic.Change) bool {
			return !written[c.Entry.Answer] || w.json(noteChange, changeOf(c))
		})
	}
	return w.flush()
}

// hottest are the answers that are given most, of about so many bytes.
func (s *store) hottest(most int) (list []*item) {
	for e := range s.items.Hottest() {
		if i := e.Value; i.data != nil && !i.of.dropped.Load() {
			if most -= len(i.data); most < 0 {
				break
			}
			list = append(list, i)
		}
	}
	return list
}

// diskWriter writes notes until there is no room left.
type diskWriter struct {
	to   io.Writer
	seal *fleet.Seal
	left int // bytes
	part []byte
	n    int // of the part
	err  error
}

// json writes a value as a note, unless there is no room for it.
func (w *diskWriter) json(kind byte, v any) bool {
	text, err := json.Marshal(v)
	if err != nil { // numbers that are none
		return true
	}
	return w.note(kind, text, nil)
}

func (w *diskWriter) note(kind byte, b, more []byte) bool {
	size := 1 + len(b) + len(more)
	if size > w.left {
		return false
	}
	w.left -= size + binary.MaxVarintLen32
	w.part = binary.AppendUvarint(w.part, uint64(size))
	w.part = append(append(append(w.part, kind), b...), more...)
	if len(w.part) >= partSize {
		_ = w.flush() // flush says it again
	}
	return w.err == nil
}

func (w *diskWriter) flush() error {
	if w.err != nil || len(w.part) == 0 {
		return w.err
	}
	sealed := w.seal.Close(partName(w.n), w.part)
	_, w.err = w.to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(sealed))), sealed...)) //nolint:gosec // bounded by what an answer may have
	w.n, w.part = w.n+1, w.part[:0]
	return w.err
}

func partName(n int) string { return fmt.Sprint("snapshot ", n) }

// restore takes in what is in the file; only if its keys are made with a secret, unless that is nil.
func (d *disk) restore(secret *[32]byte) {
	file, err := os.Open(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	r := diskReader{d: d, secret: secret}
	if err == nil {
		err = errors.Join(r.all(bufio.NewReaderSize(file, partSize)), file.Close())
	}
	log := d.p.log.With(zap.Int("answers", r.answers), zap.Int("questions", r.questions))
	if err != nil {
		log.Warn("not all of what was in the cache can be read", zap.Error(err))
		return
	}
	log.Info("what was in the cache is there again")
}

// diskReader reads notes.
type diskReader struct {
	d                  *disk
	secret             *[32]byte
	begun              bool // the head fits
	answers, questions int
}

var (
	errDisk  = errors.New("the file is damaged")
	errOther = errors.New("the file is of another version, or another fleet's")
)

func (r *diskReader) all(in io.Reader) error {
	var none fleet.Name
	seal := fleet.NewSeal(r.d.seal, none)
	for n := 0; ; n++ {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil || binary.BigEndian.Uint32(size[:]) > mostPart {
			return errDisk
		}
		var sealed bytes.Buffer
		if _, err := io.CopyN(&sealed, in, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
			return errDisk
		}
		part, err := seal.Open(partName(n), sealed.String())
		if err != nil {
			return errDisk
		}
		for len(part) > 0 {
			size, k := binary.Uvarint(part)
			if k <= 0 || size == 0 || size > uint64(len(part)-k) { //nolint:gosec // not negative
				return errDisk
			}
			note := part[k : k+int(size)] //nolint:gosec // bounded above
			part = part[k+int(size):]     //nolint:gosec // as above
			if err := r.note(note[0], note[1:]); err != nil {
				return err
			}
		}
	}
}

func (r *diskReader) note(kind byte, b []byte) error {
	p := r.d.p
	if !r.begun {
		r.begun = true
		return r.head(kind, b)
	}
	switch kind {
	case notePurge:
		var w purge
		if json.Unmarshal(b, &w) == nil {
			p.purges.learn(w.What, w.At)
		}
	case noteAnswer:
		r.answer(b)
	case noteChange:
		var c change
		if json.Unmarshal(b, &c) == nil && p.hear(&c) {
			r.questions++
		}
	}
	return nil
}

// head makes the keys those of the file.
func (r *diskReader) head(kind byte, b []byte) error {
	var h diskHead
	if kind != noteHead || json.Unmarshal(b, &h) != nil || len(h.Secret) != len(r.d.secret) {
		return errDisk
	}
	secret := [32]byte(h.Secret)
	switch {
	case h.Versions != r.d.versions(), r.secret != nil && *r.secret != secret:
		return errOther
	case r.secret == nil:
		r.d.mu.Lock()
		r.d.secret = secret
		r.d.mu.Unlock()
		r.d.p.keys.Store(partition.New(secret))
	}
	return nil
}

func (r *diskReader) answer(b []byte) {
	p := r.d.p
	if len(b) < len(partition.Key{}) {
		return
	}
	k, data := partition.Key(b[:len(partition.Key{})]), bytes.Clone(b[len(partition.Key{}):])
	a, err := answer.Decode(data)
	if err != nil || !p.store.lasts(a, p.now()) || p.purges.covers(a) || p.store.find(k) != nil {
		return
	}
	of := p.store.put(k, a, data)
	if p.meaning != nil {
		p.store.link(of)
	}
	r.answers++
}
