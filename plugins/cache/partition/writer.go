package partition

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
)

// writer writes values so that where each ends is known before it begins.
type writer struct{ b []byte }

func (w *writer) count(n int) { w.int(int64(n)) }

func (w *writer) int(n int64) { w.b = binary.AppendVarint(w.b, n) }

func (w *writer) str(s string) {
	w.count(len(s))
	w.b = append(w.b, s...)
}

func (w *writer) strs(list []string) {
	w.count(len(list))
	for _, s := range list {
		w.str(s)
	}
}

func (w *writer) bool(is bool) {
	if is {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

func (w *writer) optBool(p *bool) {
	if w.bool(p != nil); p != nil {
		w.bool(*p)
	}
}

func (w *writer) optInt(p *int64) {
	if w.bool(p != nil); p != nil {
		w.int(*p)
	}
}

func (w *writer) optFloat(p *float64) {
	if w.bool(p != nil); p != nil {
		w.b = binary.BigEndian.AppendUint64(w.b, math.Float64bits(*p))
	}
}

// json writes JSON without its white space; numbers and the order of members stay as they are. What is not there is not
// an empty text.
func (w *writer) json(v json.RawMessage) {
	if w.bool(v != nil); v == nil {
		return
	}
	var compact bytes.Buffer
	if json.Compact(&compact, v) == nil {
		v = compact.Bytes()
	}
	w.count(len(v))
	w.b = append(w.b, v...)
}
