package ledger

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"time"
)

// ID names one row for ever. It is minted here, never taken from a header, so that nobody can repeat somebody's charge. It
// is a UUID of version 7 (RFC 9562, section 5.7): ids sort by the time when they were minted, which keeps indexes small.
type ID [16]byte

// prefix begins the text of an id.
const prefix = "chg_"

// NewID mints an id at a time.
func NewID(at time.Time) ID {
	var id ID
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16|7<<12|uint64(rand.Uint32()&0xfff)) //nolint:gosec // unique, not secret
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()&(1<<62-1)|2<<62)                               //nolint:gosec // the same
	return id
}

// Time is when the id was minted, to the millisecond.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:]) >> 16))
}

// String is "chg_" and 32 hexadecimal digits.
func (id ID) String() string { return string(id.Append(nil)) }

// Append appends what String gives.
func (id ID) Append(b []byte) []byte { return hex.AppendEncode(append(b, prefix...), id[:]) }

// IsZero says whether it is no id.
func (id ID) IsZero() bool { return id == ID{} }

// ParseID reads what String gives.
func ParseID(s string) (ID, error) {
	var id ID
	digits, ok := strings.CutPrefix(s, prefix)
	if ok = ok && len(digits) == hex.EncodedLen(len(id)); ok {
		_, err := hex.Decode(id[:], []byte(digits))
		ok = err == nil
	}
	if !ok {
		return ID{}, errors.New("the id of a charge is \"chg_\" and 32 hexadecimal digits")
	}
	return id, nil
}
