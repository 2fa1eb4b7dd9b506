package openai

import (
	"encoding/json"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// writer writes JSON member by member and knows where a comma goes.
type writer struct {
	b    []byte
	more bool // something stands before, in the same object or list
}

func (w *writer) next() {
	if w.more {
		w.b = append(w.b, ',')
	}
	w.more = true
}

// key begins a member; its value is to follow.
func (w *writer) key(name string) {
	w.next()
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

// open begins an object or list, as a member's value or as an element.
func (w *writer) open(c byte) { w.b, w.more = append(w.b, c), false }

// shut ends it.
func (w *writer) shut(c byte) { w.b, w.more = append(w.b, c), true }

// object begins a member that is an object.
func (w *writer) object(name string) {
	w.key(name)
	w.open('{')
}

// list begins a member that is a list.
func (w *writer) list(name string) {
	w.key(name)
	w.open('[')
}

// element begins an object in a list.
func (w *writer) element() {
	w.next()
	w.open('{')
}

func (w *writer) str(name, s string) {
	w.key(name)
	w.b = shape.AppendString(w.b, s)
}

// text is str, unless s is empty.
func (w *writer) text(name, s string) {
	if s != "" {
		w.str(name, s)
	}
}

// raw writes a value as it is, unless there is none.
func (w *writer) raw(name string, v json.RawMessage) {
	if len(v) > 0 {
		w.key(name)
		w.b = append(w.b, v...)
	}
}

func (w *writer) whole(name string, n *int64) {
	if n != nil {
		w.int(name, *n)
	}
}

func (w *writer) int(name string, n int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *writer) number(name string, f *float64) {
	if f != nil {
		w.key(name)
		w.b = strconv.AppendFloat(w.b, *f, 'g', -1, 64)
	}
}

func (w *writer) bool(name string, b *bool) {
	if b != nil {
		w.key(name)
		w.b = strconv.AppendBool(w.b, *b)
	}
}
