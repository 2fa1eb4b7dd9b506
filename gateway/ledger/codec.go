package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Bounds of the texts in a row, in bytes.
const (
	boundWord  = 24 // a dialect, a service tier
	boundLabel = 48 // an endpoint
	boundID    = 64 // ids, and names that the operator gives
	boundModel = 96
)

// MostRow is the longest row in bytes, as [Row.Append] writes it.
const MostRow = 1152

// MostRates is the longest text of a [Price]'s rates in bytes.
const MostRates = 4096

// rowVersion begins each row. What a later version adds stands behind what is known here, so it changes only if something
// known here is left out, or means something else.
const rowVersion = 1

// ErrFormat is returned for bytes that are no row, or no price.
var ErrFormat = errors.New("ledger: not a row of a known version")

// Append writes the row at the end of b, in [MostRow] bytes at most. Texts that are longer than a row's bounds are cut, and
// what is no UTF-8, or a zero byte, becomes U+FFFD: no store takes those.
func (r *Row) Append(b []byte) []byte {
	b = append(b, rowVersion, byte(r.Kind), byte(r.Outcome), r.Attempt)
	b = binary.LittleEndian.AppendUint16(b, uint16(r.Flags))
	b = append(append(b, r.ID[:]...), r.Of[:]...)
	at := int64(0)
	if !r.At.IsZero() {
		at = r.At.UnixNano()
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(at))
	b = binary.LittleEndian.AppendUint64(b, r.Price)
	b = binary.AppendVarint(b, int64(r.Status))
	b = binary.AppendVarint(b, int64(r.Waited))
	b = binary.AppendVarint(b, int64(r.First))
	b = binary.AppendVarint(b, int64(r.Total))
	b = binary.AppendVarint(b, r.Reserved)
	b = binary.AppendVarint(b, r.Charge)
	b = binary.AppendVarint(b, r.Saved)
	b = append(b, known(r.Cost.Known), byte(r.Cost.Why), byte(r.Cost.Class))
	b = binary.AppendVarint(b, r.Cost.Picodollars)
	b = appendUsage(b, &r.Usage)
	b = appendText(b, r.Node, boundID)
	b = appendText(b, string(r.Tenant), boundID)
	b = appendText(b, r.Key, boundID)
	b = appendText(b, r.User, boundID)
	b = appendText(b, r.Request, boundID)
	b = appendText(b, r.Endpoint, boundLabel)
	b = appendText(b, r.Dialect, boundWord)
	b = appendText(b, r.Asked, boundModel)
	b = appendText(b, r.Model, boundModel)
	b = appendText(b, r.Provider, boundID)
	b = appendText(b, r.Account, boundID)
	b = appendText(b, r.Target, boundModel)
	b = appendText(b, r.Upstream, boundID)
	return appendText(b, r.Usage.Tier, boundWord)
}

// Decode reads what Append wrote; what a later version wrote behind it is left out. The error is [ErrFormat].
func (r *Row) Decode(b []byte) error {
	_, err := r.decode(b)
	return err
}

// decode says as well what stands behind the row.
func (r *Row) decode(b []byte) (rest string, err error) {
	*r = Row{}
	d := decoder{b: b}
	if d.byte() != rowVersion {
		return "", ErrFormat
	}
	*r = Row{Kind: Kind(d.byte()), Outcome: Outcome(d.byte()), Attempt: d.byte()}
	r.Flags = Flags(binary.LittleEndian.Uint16(d.take(2)))
	copy(r.ID[:], d.take(len(r.ID)))
	copy(r.Of[:], d.take(len(r.Of)))
	if at := int64(binary.LittleEndian.Uint64(d.take(8))); at != 0 { //nolint:gosec // the same bits
		r.At = time.Unix(0, at).UTC()
	}
	r.Price = binary.LittleEndian.Uint64(d.take(8))
	r.Status = int(d.varint())
	r.Waited, r.First, r.Total = time.Duration(d.varint()), time.Duration(d.varint()), time.Duration(d.varint())
	r.Reserved, r.Charge, r.Saved = d.varint(), d.varint(), d.varint()
	r.Cost.Known = d.byte() == 1
	r.Cost.Why = min(catalog.Why(d.byte()), catalog.CutShort)
	r.Cost.Class = min(catalog.Class(d.byte()), catalog.Characters)
	r.Cost.Picodollars = d.varint()
	d.usage(&r.Usage)
	d.rest = string(d.b) // once for all texts
	r.Node, r.Tenant, r.Key, r.User = d.text(boundID), tenant.ID(d.text(boundID)), d.text(boundID), d.text(boundID)
	r.Request, r.Endpoint, r.Dialect = d.text(boundID), d.text(boundLabel), d.text(boundWord)
	r.Asked, r.Model = d.text(boundModel), d.text(boundModel)
	r.Provider, r.Account, r.Target, r.Upstream = d.text(boundID), d.text(boundID), d.text(boundModel), d.text(boundID)
	r.Usage.Tier = d.text(boundWord)
	if d.bad {
		*r = Row{}
		return "", ErrFormat
	}
	return d.rest, nil
}

// append writes the price at the end of b.
func (p *Price) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(append(b, rowVersion), p.Version)
	b = appendText(b, p.Provider, boundID)
	return append(appendText(b, p.Model, boundModel), p.Rates...)
}

// decode reads what append wrote.
func (p *Price) decode(b []byte) error {
	d := decoder{b: b}
	if d.byte() != rowVersion {
		return ErrFormat
	}
	p.Version = binary.LittleEndian.Uint64(d.take(8))
	d.rest = string(d.b)
	p.Provider, p.Model = d.text(boundID), d.text(boundModel)
	p.Rates = []byte(d.rest)
	if d.bad || len(p.Rates) > MostRates {
		return ErrFormat
	}
	return nil
}

func known(is bool) byte {
	if is {
		return 1
	}
	return 0
}

// appendUsage writes the counters that are not zero, with a bit for each.
func appendUsage(b []byte, u *chat.Usage) []byte {
	b = append(b, byte(u.Provenance), 0, 0)
	mask := b[len(b)-2:]
	bits, at := uint16(0), len(b)
	for i, n := range counters(u) {
		if *n != 0 {
			bits |= 1 << i
			b = binary.AppendVarint(b, *n)
		}
	}
	if u.Duration != 0 {
		bits |= 1 << 15
		b = binary.AppendVarint(b, int64(u.Duration))
	}
	mask = b[at-len(mask) : at] // b may have moved
	binary.LittleEndian.PutUint16(mask, bits)
	return b
}

// counters are those of a usage, in the order in which they are written.
func counters(u *chat.Usage) [10]*int64 {
	return [...]*int64{
		&u.Input, &u.CacheRead, &u.CacheWrite, &u.CacheWriteHour, &u.InputAudio, &u.InputImage,
		&u.Output, &u.Reasoning, &u.OutputAudio, &u.OutputImage,
	}
}

// appendText writes a text of so many bytes at most behind its length.
func appendText(b []byte, s string, most int) []byte {
	if len(s) > most || !plain(s) {
		s = bounded(s, most)
	}
	return append(append(b, byte(len(s))), s...) //nolint:gosec // bounded
}

// plain says whether a text is printable ASCII, as nearly all are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// bounded makes a text valid, and so long at most. Of a longer one, as much as there is room for remains, with a digest of all
// of it, so that two that differ behind the bound do not become one.
func bounded(s string, most int) string {
	whole := s
	s = strings.ReplaceAll(strings.ToValidUTF8(s, string(utf8.RuneError)), "\x00", string(utf8.RuneError))
	if len(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(whole))
	digest := "~" + hex.EncodeToString(sum[:4])
	keep := most - len(digest)
	for !utf8.RuneStart(s[keep]) {
		keep--
	}
	return s[:keep] + digest
}

// decoder reads a row. Behind the end there are zeros, and bad says so.
type decoder struct {
	b    []byte
	rest string // the part with the texts
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if len(d.b) < n {
		d.bad = true
		return make([]byte, n)
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte { return d.take(1)[0] }

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) usage(u *chat.Usage) {
	u.Provenance = chat.Provenance(d.byte())
	if u.Provenance > chat.Aborted {
		u.Provenance = chat.Unknown
	}
	bits := binary.LittleEndian.Uint16(d.take(2))
	for i, n := range counters(u) {
		if bits&(1<<i) != 0 {
			*n = d.varint()
		}
	}
	if bits&(1<<15) != 0 {
		u.Duration = time.Duration(d.varint())
	}
}

func (d *decoder) text(most int) string {
	if len(d.rest) == 0 || int(d.rest[0]) > most || int(d.rest[0]) >= len(d.rest) {
		d.bad, d.rest = true, ""
		return ""
	}
	end := int(d.rest[0]) + 1
	s := d.rest[1:end]
	d.rest = d.rest[end:]
	return s
}
