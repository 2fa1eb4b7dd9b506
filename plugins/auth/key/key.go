// Package key makes the keys by which callers identify themselves, and the digests that are stored of them.
//
// A key is "sluice_", perhaps a label and "_", 30 random base62 digits and six more that are a checksum of all before
// them:
//
//	sluice_3fKq0Zt8VbXn5LwR1mYc7HsD2pJg9e14qzIp
//	sluice_demo_3fKq0Zt8VbXn5LwR1mYc7HsD2pJg9e1J6pTA
//
// The form is GitHub's: people recognise it, secret scanners find it, and the checksum tells a mistyped key from a wrong
// one without a look at any list.
package key

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"

	"github.com/sluice-ai/sluice/gateway"
)

const (
	prefix    = "sluice_"
	digits    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	random    = 30 // base62 digits: 178 bits
	checksum  = 6  // base62 digits: enough for 32 bits
	longLabel = 32
)

// ErrLabel is returned for a label that cannot be part of a key.
var ErrLabel = errors.New("a label has up to 32 lower-case letters and digits")

// New makes a key of 178 random bits. The label says what it is for, to people; it may be empty.
func New(label string) (string, error) {
	b := make([]byte, 0, len(prefix)+longLabel+1+random+checksum)
	b = append(b, prefix...)
	if label != "" {
		if !isLabel([]byte(label)) {
			return "", ErrLabel
		}
		b = append(append(b, label...), '_')
	}
	b = appendRandom(b)
	return string(appendSum(b, b)), nil
}

// appendRandom adds uniformly distributed digits: bytes beyond the largest multiple of 62 are thrown away.
func appendRandom(b []byte) []byte {
	end := len(b) + random
	for len(b) < end {
		var some [random]byte
		_, _ = rand.Read(some[:]) // never fails
		for _, c := range some {
			if c < 4*62 && len(b) < end {
				b = append(b, digits[c%62])
			}
		}
	}
	return b
}

// appendSum adds the CRC-32 (IEEE) of text in base62, with leading zeros.
func appendSum(b, text []byte) []byte {
	var sum [checksum]byte
	v := crc32.ChecksumIEEE(text)
	for i := checksum - 1; i >= 0; i-- {
		sum[i] = digits[v%62]
		v /= 62
	}
	return append(b, sum[:]...)
}

// Ours says whether a key claims to be in the form of this package.
func Ours(key []byte) bool { return len(key) >= len(prefix) && string(key[:len(prefix)]) == prefix }

// Wellformed says whether a key is in the form of this package, and complete: its checksum is right. It says nothing of
// whether anybody has that key.
func Wellformed(key []byte) bool {
	if !Ours(key) {
		return false
	}
	secret := key[len(prefix):]
	if i := bytes.LastIndexByte(secret, '_'); i >= 0 {
		if !isLabel(secret[:i]) {
			return false
		}
		secret = secret[i+1:]
	}
	if len(secret) != random+checksum {
		return false
	}
	for _, c := range secret {
		if !isLower(c) && (c < 'A' || c > 'Z') {
			return false
		}
	}
	var room [checksum]byte
	return bytes.HasSuffix(key, appendSum(room[:0], key[:len(key)-checksum]))
}

func isLabel(label []byte) bool {
	for _, c := range label {
		if !isLower(c) {
			return false
		}
	}
	return len(label) > 0 && len(label) <= longLabel
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// Digest is what is stored of a key without a pepper: its SHA-256. That is enough for keys of New, which cannot be
// guessed; it needs no salt and no slow hash.
func Digest(key []byte) gateway.Digest {
	return gateway.Digest{Kind: gateway.SHA256, Sum: sha256.Sum256(key)}
}

// Text is a digest as a tenant file has it and gateway.ParseDigest reads it.
func Text(d gateway.Digest) string {
	kind := "sha256:"
	if d.Kind == gateway.HMACSHA256 {
		kind = "hmac-sha256:"
	}
	return kind + hex.EncodeToString(d.Sum[:])
}

// Pepper makes digests that are worth nothing without the server's secret.
type Pepper struct{ inner, outer [sha256.BlockSize]byte }

// NewPepper prepares a secret. It takes any; one of 32 random bytes is as good as they get.
func NewPepper(secret string) *Pepper {
	var p Pepper
	k := []byte(secret)
	if len(k) > sha256.BlockSize {
		sum := sha256.Sum256(k)
		k = sum[:]
	}
	copy(p.inner[:], k)
	copy(p.outer[:], k)
	for i := range p.inner {
		p.inner[i] ^= 0x36
		p.outer[i] ^= 0x5c
	}
	return &p
}

// Digest is the HMAC-SHA-256 (RFC 2104) of a key. It is written out, because crypto/hmac allocates four times, and for
// keys up to 192 bytes nothing is allocated here.
func (p *Pepper) Digest(key []byte) gateway.Digest {
	var room [sha256.BlockSize + 192]byte
	copy(room[:], p.inner[:])
	inner := sha256.Sum256(append(room[:sha256.BlockSize], key...))
	var text [sha256.BlockSize + sha256.Size]byte
	copy(text[:], p.outer[:])
	copy(text[sha256.BlockSize:], inner[:])
	return gateway.Digest{Kind: gateway.HMACSHA256, Sum: sha256.Sum256(text[:])}
}

const refresh = "slr_"

// NewRefresh makes a refresh token of 178 random bits. It names whose it is, so that it can be looked for there.
func NewRefresh(tenant string) string {
	b := make([]byte, 0, len(refresh)+len(tenant)+1+random+checksum)
	b = appendRandom(append(append(append(b, refresh...), tenant...), '_'))
	return string(appendSum(b, b))
}

// RefreshTenant is whose a refresh token says that it is. It is false for what is not in the form of NewRefresh.
func RefreshTenant(token []byte) (tenant string, ok bool) {
	const tail = 1 + random + checksum
	n := len(token) - tail
	if n <= len(refresh) || string(token[:len(refresh)]) != refresh || token[n] != '_' {
		return "", false
	}
	var room [checksum]byte
	if !bytes.HasSuffix(token, appendSum(room[:0], token[:len(token)-checksum])) {
		return "", false
	}
	return string(token[len(refresh):n]), true
}
