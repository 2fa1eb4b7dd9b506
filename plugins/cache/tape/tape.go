// Package tape records what is said in a reply while it is said, for any number of readers: who begins late reads at once what
// has passed, and then goes on as it comes. It keeps no more of a text than its bytes, however many pieces it came in.
package tape

import (
	"bytes"
	"errors"
	"sync"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// ErrTooLong ends a tape on which more was said than it takes.
var ErrTooLong = errors.New("tape: the answer is longer than what is kept of one")

// Tape is one reply. One goroutine writes it; any may read.
type Tape struct {
	most int

	mu      sync.Mutex
	runs    []run
	text    []byte // of all runs, one behind the other; never changed, so that it can be lent
	held    int    // bytes of what stands beside it
	over    bool
	err     error
	beats   int
	changed chan struct{} // closed at the next change; nil if nobody waits
}

// run is one piece, or several that make one text.
type run struct {
	piece    chat.Piece // its Text is empty
	from, to int        // in Tape.text
	texts    bool       // more may be added to it
}

// New makes a tape for an answer of at most so many bytes.
func New(most int) *Tape { return &Tape{most: most} }

// Add records a piece; it keeps nothing that is borrowed. It is false once there is too much, or the tape has ended: nothing is
// recorded any more.
func (t *Tape) Add(p *chat.Piece) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.over && t.add(p)
}

func (t *Tape) add(p *chat.Piece) bool {
	t.held += len(p.Logprobs) + perRun
	if len(t.text)+len(p.Text)+t.held > t.most {
		t.end(ErrTooLong)
		return false
	}
	from := len(t.text)
	t.text = append(t.text, p.Text...)
	if n := len(t.runs); n > 0 && t.runs[n-1].takes(p) {
		t.runs[n-1].to = len(t.text)
		t.held -= perRun
	} else {
		t.runs = append(t.runs, run{piece: kept(p), from: from, to: len(t.text), texts: isText(p)})
	}
	t.wake()
	return true
}

// Place is where something stands on a tape, and on every copy of it.
type Place struct {
	Run int // number of the piece
	At  int // bytes of text before it
}

// AddAt records a piece of another tape, of which this one is a copy, where it stands there; what is here already is left out. It is
// false if something is missing before it, see Next, or as Add is.
func (t *Tape) AddAt(p *chat.Piece, at Place) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.runs) - 1
	switch {
	case t.over || at.Run > last+1 || at.At > len(t.text):
		return false
	case at.Run > last:
		return at.At == len(t.text) && t.add(p)
	case at.Run < last || !t.runs[last].texts:
		return true
	}
	known := len(t.text) - at.At
	if known >= len(p.Text) {
		return true
	}
	more := *p
	more.Text = p.Text[known:]
	return t.add(&more)
}

// Next is where AddAt goes on.
func (t *Tape) Next() Place {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.runs)
	if n > 0 && t.runs[n-1].texts { // there may come more of it
		n--
	}
	return Place{n, len(t.text)}
}

// perRun is about how many bytes a piece takes beside its text.
const perRun = 200

// isText says whether a piece is one of those that a text comes in.
func isText(p *chat.Piece) bool {
	switch p.Kind {
	case chat.PieceText, chat.PieceRefusal, chat.PieceReasoning, chat.PieceArguments:
		return p.Logprobs == nil
	}
	return false
}

// takes says whether a piece goes on with the text of a run.
func (r *run) takes(p *chat.Piece) bool {
	return r.texts && isText(p) && r.piece.Kind == p.Kind && r.piece.Choice == p.Choice && r.piece.Index == p.Index
}

// kept is a piece that borrows nothing, without its text.
func kept(p *chat.Piece) chat.Piece {
	k := *p
	k.Text, k.Logprobs = nil, bytes.Clone(p.Logprobs)
	k.Head, k.Call, k.Citation, k.Usage = copied(p.Head), copied(p.Call), copied(p.Citation), copied(p.Usage)
	return k
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// End says that nothing comes any more: the answer is complete, or err says why not. Only the first call counts.
func (t *Tape) End(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(err)
}

func (t *Tape) end(err error) {
	if !t.over {
		t.over, t.err = true, err
		t.wake()
	}
}

// Beat tells who waits that the answer is still awaited.
func (t *Tape) Beat() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beats++
	t.wake()
}

func (t *Tape) wake() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// Reply is the answer as far as it was said.
func (t *Tape) Reply() *chat.Reply {
	var c chat.Collector
	r := t.Reader()
	for p := r.Read(); p != nil; p = r.Read() {
		c.Add(p)
	}
	return c.Reply()
}

// Runs is how many pieces are kept, for tests of what a tape takes.
func (t *Tape) Runs() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.runs)
}

// Reader reads from the beginning.
func (t *Tape) Reader() *Reader { return &Reader{t: t} }

// ReaderAt reads from a place, which Next has given of a copy.
func (t *Tape) ReaderAt(p Place) *Reader {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Reader{t: t}
	if p.Run >= 0 && p.Run < len(t.runs) {
		run := &t.runs[p.Run]
		r.run = p.Run
		if run.texts && p.At > run.from { // else the copy may know nothing of this piece
			r.begun, r.at = true, min(p.At, run.to)
		}
	} else if p.Run == len(t.runs) {
		r.run = p.Run
	}
	return r
}

// Reader is one reader of a tape; one goroutine uses it.
type Reader struct {
	t     *Tape
	run   int
	at    int // in Tape.text
	begun bool
	beats int
	piece chat.Piece
	place Place
}

// Place is where the piece stands that Read has given last.
func (r *Reader) Place() Place { return r.place }

// Read is what comes next, nil if there is nothing at present. It is valid until the next call.
func (r *Reader) Read() *chat.Piece {
	t := r.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for r.run < len(t.runs) {
		now := &t.runs[r.run]
		last := r.run == len(t.runs)-1
		if !r.begun {
			r.begun, r.at = true, now.from
		} else if r.at == now.to {
			if last && now.texts { // there may come more of it
				return nil
			}
			r.run, r.begun = r.run+1, false
			continue
		}
		r.piece, r.place = now.piece, Place{r.run, r.at}
		r.piece.Text = t.text[r.at:now.to:now.to]
		if r.at = now.to; !now.texts {
			r.run, r.begun = r.run+1, false
		}
		return &r.piece
	}
	return nil
}

// Waits gives a channel that is closed when there may be more to read; nil if there is some already, or if the tape has ended.
func (r *Reader) Waits() <-chan struct{} {
	t := r.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || r.more() {
		return nil
	}
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

// more says whether Read would give something.
func (r *Reader) more() bool {
	runs := r.t.runs
	switch {
	case r.run >= len(runs):
		return false
	case r.run < len(runs)-1, !r.begun:
		return true
	}
	return r.at < runs[r.run].to
}

// Over says whether all was read and nothing comes any more, and how the tape ended.
func (r *Reader) Over() (bool, error) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	return r.t.over && !r.more(), r.t.err
}

// Beaten says whether there was a beat since it was last asked.
func (r *Reader) Beaten() bool {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	was := r.beats
	r.beats = r.t.beats
	return was != r.beats
}
