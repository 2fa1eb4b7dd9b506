package socket

import "github.com/sluice-ai/sluice/gateway/internal/buf"

// record is what an exchange has said, as frames one behind the other. They are numbered from 1 on.
type record struct {
	b     *[]byte // lent; nil if empty
	ends  []int   // of each frame in b
	first int64   // number of the first that is there
}

// next is the number of the frame that comes next.
func (r *record) next() int64 { return r.first + int64(len(r.ends)) }

// add adds a frame, whose payload has about so many bytes and is appended by text.
func (r *record) add(size int, text func(b []byte) []byte) {
	need := size + longHeader
	switch {
	case r.b == nil:
		r.b = buf.Get(need)
	case len(*r.b)+need > cap(*r.b):
		r.b = buf.Grow(r.b, len(*r.b)+need)
	}
	at := len(*r.b)
	*r.b = seal(text(append(*r.b, make([]byte, mediumHeader)...)), at)
	r.ends = append(r.ends, len(*r.b))
}

// undo takes the last frame back.
func (r *record) undo() {
	r.ends = r.ends[:len(r.ends)-1]
	*r.b = (*r.b)[:r.from(r.next())]
}

// from is where the frame with that number begins, which is there or next.
func (r *record) from(number int64) int {
	if number <= r.first {
		return 0
	}
	return r.ends[number-r.first-1]
}

// size is how many bytes there are from that frame on.
func (r *record) size(number int64) int {
	if r.b == nil {
		return 0
	}
	return len(*r.b) - r.from(number)
}

// some are frames from that number on: as many as fit into most bytes, but one at least if there is one. behind is the number of
// the frame behind them.
func (r *record) some(number int64, most int) (frames []byte, behind int64) {
	if number >= r.next() {
		return nil, number
	}
	from := r.from(number)
	behind = number + 1
	for behind < r.next() && r.from(behind+1)-from <= most {
		behind++
	}
	return (*r.b)[from:r.from(behind)], behind
}

// drop forgets the frames before that number.
func (r *record) drop(number int64) {
	n := r.from(number)
	if n == 0 {
		return
	}
	*r.b = (*r.b)[:copy(*r.b, (*r.b)[n:])]
	gone := int(number - r.first)
	r.ends = r.ends[:copy(r.ends, r.ends[gone:])]
	for i := range r.ends {
		r.ends[i] -= n
	}
	r.first = number
}

// capacity is how many bytes are lent.
func (r *record) capacity() int64 {
	if r.b == nil {
		return 0
	}
	return int64(cap(*r.b))
}

// free gives the bytes back. The numbers go on.
func (r *record) free() {
	r.first = r.next()
	buf.Put(r.b)
	r.b, r.ends = nil, nil
}
