package anthropic

import (
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// writer puts JSON together. What divides members and elements follows from the byte before.
type writer struct{ b []byte }

// raw adds text as it is.
func (w *writer) raw(s string) { w.b = append(w.b, s...) }

// next divides what follows from the member or element before.
func (w *writer) next() {
	if c := w.b[len(w.b)-1]; c != '{' && c != '[' {
		w.b = append(w.b, ',')
	}
}

// key begins a member. The name is plain.
func (w *writer) key(name string) {
	w.next()
	w.b = append(append(append(w.b, '"'), name...), `":`...)
}

// text adds a member with a string, json one with a value that is JSON already, number and switch_ one with theirs.
func (w *writer) text(name, s string) {
	w.key(name)
	w.b = shape.AppendString(w.b, s)
}

func (w *writer) json(name string, v []byte) {
	w.key(name)
	w.b = append(w.b, v...)
}

func (w *writer) whole(name string, n int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *writer) float(name string, f float64) {
	w.key(name)
	w.b = strconv.AppendFloat(w.b, f, 'g', -1, 64)
}

func (w *writer) bool(name string, b bool) {
	w.key(name)
	w.b = strconv.AppendBool(w.b, b)
}

// element begins an object in a list, of a type.
func (w *writer) element(kind string) {
	w.next()
	w.raw(`{"type":"`)
	w.raw(kind)
	w.raw(`"`)
}
