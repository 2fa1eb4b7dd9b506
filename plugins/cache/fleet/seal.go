package fleet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
)

// version is that of all that is sealed. What another version has written is damaged to this one: it is only a cache.
const version = 1

// most is how many bytes one thing may have when it is unsealed.
const most = 64 << 20

// errDamaged says that bytes are not what a node with this secret has sealed for this place.
var errDamaged = errors.New("fleet: the bytes are damaged, of another version, or of another secret")

// Seal seals with AES-256-GCM. Every process has a key of its own, made of the secret and of its salt, and counts: no number
// is used twice under a key, however much is written.
type Seal struct {
	secret []byte
	salt   Name
	own    cipher.AEAD
	count  atomic.Uint64
}

// NewSeal makes what seals with a secret. No two that seal with the same one have the same salt; who only opens needs none.
func NewSeal(secret [32]byte, salt Name) *Seal {
	s := &Seal{secret: secret[:], salt: salt}
	s.own = s.of(salt)
	return s
}

// of is what a process seals with.
func (s *Seal) of(salt Name) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, s.secret, salt[:], "sluice cache", 32)
	if err != nil {
		panic(err) // only for keys that are too long
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for other lengths
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only for other blocks
	}
	return a
}

const (
	nonceSize = 12
	headSize  = 1 + len(Name{}) + nonceSize
)

// Close seals bytes for a place: nowhere else can they be opened.
func (s *Seal) Close(place string, plain []byte) string {
	b := make([]byte, headSize, headSize+len(plain)+32)
	b[0] = version
	copy(b[1:], s.salt[:])
	nonce := b[headSize-nonceSize : headSize]
	binary.BigEndian.PutUint64(nonce[nonceSize-8:], s.count.Add(1))
	return string(s.own.Seal(b, nonce, s2.Encode(nil, plain), []byte(place)))
}

// Open is what was sealed for a place.
func (s *Seal) Open(place, sealed string) ([]byte, error) {
	if len(sealed) < headSize || sealed[0] != version {
		return nil, errDamaged
	}
	b := []byte(sealed)
	salt := Name(b[1 : 1+len(Name{})])
	plain, err := s.of(salt).Open(b[headSize:headSize], b[headSize-nonceSize:headSize], b[headSize:], []byte(place))
	if err != nil {
		return nil, errDamaged
	}
	if n, err := s2.DecodedLen(plain); err != nil || n > most {
		return nil, errDamaged
	}
	return s2.Decode(nil, plain)
}

// field is how a note's name is written.
func (s *Seal) field(name string) string {
	h := hmac.New(sha256.New, s.secret)
	_, _ = h.Write([]byte(name)) // never fails
	return string(h.Sum(nil))
}
