package shape

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Known is what a dialect's reader knows of an object, or of each object in a list. It finds what is there and has no place in
// the neutral form, so that the caller can be told.
type Known struct {
	// Path is where the object stands: tools.function. What is not known of an object without one is kept elsewhere.
	Path string
	// Kinds are the types of objects that are taken apart, beside those that have no type; nil: all. Others are kept whole.
	Kinds []string
	// Members are those that are read; each leads to what is known of it, nil if that is read as a whole or says nothing.
	Members map[string]*Known
	// Defaults are values of other members that say no more than none.
	Defaults map[string]string
}

// Lost names the members of a request that are not known: messages.content.citations. Those that say nothing are not meant.
// The body must be valid; it is read once.
func (k *Known) Lost(body []byte) []string {
	w := walk{b: body}
	w.value(k, w.space(0))
	return w.d.Names()
}

// walk goes over a request.
type walk struct {
	b []byte
	d chat.Dropped
}

func (w *walk) space(i int) int {
	for w.b[i] <= ' ' {
		i++
	}
	return i
}

// value looks at the value at i, and is the offset behind it.
func (w *walk) value(k *Known, i int) int {
	switch {
	case w.b[i] == '[':
		return w.each(i, func(i int) int { return w.value(k, i) })
	case w.b[i] == '{' && (len(k.Kinds) == 0 || k.takes(w.kind(i))):
		return w.each(i, func(i int) int { return w.member(k, i) })
	}
	return peek.Skip(w.b, i)
}

// each calls f for what is in the object or list at i, until it is below 0; f gives the offset behind it.
func (w *walk) each(i int, f func(i int) int) int {
	for i = w.space(i + 1); w.b[i] != '}' && w.b[i] != ']'; {
		if i = f(i); i < 0 {
			return i
		}
		if i = w.space(i); w.b[i] == ',' {
			i = w.space(i + 1)
		}
	}
	return i + 1
}

// key is that of the member at i, and the offset of its value.
func (w *walk) key(i int) ([]byte, int) {
	end := i + 1 + bytes.IndexByte(w.b[i+1:], '"')
	key := w.b[i+1 : end]
	if bytes.IndexByte(key, '\\') >= 0 {
		end = peek.Skip(w.b, i) - 1
		s, _ := peek.String(w.b[i : end+1])
		key = []byte(s)
	}
	return key, w.space(w.space(end+1) + 1)
}

func (w *walk) member(k *Known, i int) int {
	key, i := w.key(i)
	inner, known := k.Members[string(key)]
	if inner != nil {
		return w.value(inner, i)
	}
	end := peek.Skip(w.b, i)
	if !known && k.Path != "" && !k.nothing(string(key), w.b[i:end]) {
		w.d.Add(k.Path + "." + string(key))
	}
	return end
}

// kind is the type of the object at i, as it stands there, nil if it has none. Most begin with it.
func (w *walk) kind(i int) (kind []byte) {
	w.each(i, func(i int) int {
		key, i := w.key(i)
		end := peek.Skip(w.b, i)
		if string(key) == "type" {
			kind = w.b[i:end]
			return -1
		}
		return end
	})
	return kind
}

// takes says whether objects of a type are taken apart.
func (k *Known) takes(kind []byte) bool {
	inside, ok := Inside(kind)
	return !ok || slices.ContainsFunc(k.Kinds, func(s string) bool { return s == string(inside) })
}

// nothing says whether a value says no more than none.
func (k *Known) nothing(key string, v []byte) bool {
	switch string(v) {
	case "null", "false", `""`:
		return true
	}
	if v[0] != '{' && v[0] != '[' {
		return false
	}
	var b bytes.Buffer
	if json.Compact(&b, v) != nil {
		return false
	}
	s := b.String()
	return s == "{}" || s == "[]" || s == k.Defaults[key]
}
