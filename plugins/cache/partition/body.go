package partition

import (
	"crypto/sha256"
	"hash"
	"sync"

	"github.com/sluice-ai/sluice/gateway/tenant"
)

// hasher is lent for one key.
type hasher struct {
	h      hash.Hash
	before writer
	sum    [sha256.Size]byte
}

var hashers = sync.Pool{New: func() any { return &hasher{h: sha256.New()} }} //nolint:gochecknoglobals // nothing of a request stays in it

// Body is the key of a request as its bytes came: who sends the same again means the same. dialect tells how they are read. It
// allocates nothing.
func (k *Keys) Body(of tenant.ID, s *Setting, dialect string, body []byte) Key {
	h := hashers.Get().(*hasher) //nolint:forcetypeassert // nothing else is in there
	defer hashers.Put(h)
	h.h.Reset()
	w := &h.before
	w.b = append(append(w.b[:0], k.secret[:]...), ofBody)
	w.str(string(of))
	w.setting(s)
	w.str(dialect)
	_, _ = h.h.Write(w.b)  // never fails
	_, _ = h.h.Write(body) // the last, so it needs no length
	h.h.Sum(h.sum[:0])
	return h.sum
}
