package answer

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// version is that of the format. What another version has written is read as damaged: it is only a cache.
const version = 1

// ErrDamaged says that bytes are no answer, or one of another version.
var ErrDamaged = errors.New("answer: the bytes are damaged, or of another version")

// checksum is CRC-32C, for which processors have an instruction.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Append adds the answer as bytes: the version, the values in the order of the fields, and a CRC-32C of all that.
func (a *Answer) Append(dst []byte) []byte {
	e := encoder{dst}
	from := len(dst)
	e.b = append(e.b, version)
	e.str(a.ID)
	e.time(a.At)
	e.time(a.Expires)
	e.str(string(a.Tenant))
	e.str(a.User)
	e.str(a.Model)
	e.str(a.Provider)
	e.str(a.Name)
	e.b = append(e.b, a.Of[:]...)
	e.int(int64(a.Took))
	e.count(len(a.Tags))
	for _, t := range a.Tags {
		e.str(t)
	}
	e.reply(&a.Reply)
	return binary.BigEndian.AppendUint32(e.b, checksum(e.b[from:]))
}

// Decode reads what Append wrote. The answer does not keep the bytes alive.
func Decode(b []byte) (*Answer, error) {
	n := len(b) - crc32.Size
	if n < 1 || b[0] != version || checksum(b[:n]) != binary.BigEndian.Uint32(b[n:]) {
		return nil, ErrDamaged
	}
	d := decoder{b: b[1:n]}
	a := &Answer{ID: d.str(), At: d.time(), Expires: d.time()}
	a.Tenant, a.User, a.Model = tenant.ID(d.str()), d.str(), d.str()
	a.Provider, a.Name = d.str(), d.str()
	if id := d.take(len(ledger.ID{})); id != nil {
		a.Of = ledger.ID(id)
	}
	a.Took = time.Duration(d.int())
	for range d.count() {
		a.Tags = append(a.Tags, d.str())
	}
	d.reply(&a.Reply)
	if d.bad || len(d.b) > 0 {
		return nil, ErrDamaged
	}
	return a, nil
}

type encoder struct{ b []byte }

func (e *encoder) int(n int64) { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) count(n int) { e.int(int64(n)) }

func (e *encoder) str(s string) {
	e.count(len(s))
	e.b = append(e.b, s...)
}

// raw writes bytes of which nil is not the same as none.
func (e *encoder) raw(v []byte) {
	if v == nil {
		e.count(-1)
		return
	}
	e.str(string(v))
}

func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.int(0)
	} else {
		e.int(t.UnixMilli())
	}
}

func (e *encoder) has(is bool) bool {
	if is {
		e.int(1)
	} else {
		e.int(0)
	}
	return is
}

func (e *encoder) reply(r *chat.Reply) {
	e.str(r.ID)
	e.str(r.Model)
	e.int(r.Created)
	e.count(len(r.Choices))
	for i := range r.Choices {
		c := &r.Choices[i]
		e.count(c.Index)
		e.str(string(c.Finish))
		e.str(c.Stop)
		m := &c.Message
		e.str(string(m.Role))
		e.str(m.Name)
		e.str(m.CallID)
		e.has(m.Failed)
		e.str(string(m.Cache))
		e.count(m.At)
		e.count(len(m.Parts))
		for k := range m.Parts {
			e.part(&m.Parts[k])
		}
	}
	u := &r.Usage
	for _, n := range counts(u) {
		e.int(*n)
	}
	e.int(int64(u.Duration))
	e.count(int(u.Provenance))
	e.str(u.Tier)
	e.str(r.ServiceTier)
}

// counts are the numbers of tokens, in their order in the format.
func counts(u *chat.Usage) [10]*int64 {
	return [...]*int64{
		&u.Input, &u.CacheRead, &u.CacheWrite, &u.CacheWriteHour, &u.InputAudio, &u.InputImage,
		&u.Output, &u.Reasoning, &u.OutputAudio, &u.OutputImage,
	}
}

func (e *encoder) part(p *chat.Part) {
	e.count(int(p.Kind))
	e.str(p.Text)
	e.str(p.Signature)
	e.str(string(p.Owner))
	e.str(p.ID)
	if e.has(p.Media != nil) {
		e.str(p.Media.Data)
		e.str(p.Media.Type)
		e.str(p.Media.URL)
		e.str(p.Media.ID)
		e.str(p.Media.Name)
		e.str(p.Media.Detail)
	}
	if e.has(p.Call != nil) {
		e.str(p.Call.ID)
		e.count(int(p.Call.Kind))
		e.str(p.Call.Name)
		e.str(p.Call.Arguments)
	}
	e.count(len(p.Citations))
	for i := range p.Citations {
		c := &p.Citations[i]
		e.str(c.URL)
		e.str(c.Title)
		e.str(c.Quote)
		e.count(c.Start)
		e.count(c.End)
	}
	e.raw(p.Logprobs)
	e.raw(p.Raw)
	e.str(string(p.Cache))
}

// decoder reads values until one is bad; from then on all are zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count is a number of things that follow, each of at least one byte.
func (d *decoder) count() int {
	n := d.int()
	if n < 0 || n > int64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.b) {
		d.bad = true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) str() string { return string(d.take(d.count())) }

func (d *decoder) raw() []byte {
	n := d.int()
	if n == -1 || d.bad {
		return nil
	}
	if n < 0 || n > int64(len(d.b)) {
		d.bad = true
		return nil
	}
	return append([]byte{}, d.take(int(n))...)
}

func (d *decoder) time() time.Time {
	if n := d.int(); n != 0 {
		return time.UnixMilli(n).UTC()
	}
	return time.Time{}
}

func (d *decoder) reply(r *chat.Reply) {
	r.ID, r.Model, r.Created = d.str(), d.str(), d.int()
	for range d.count() {
		c := chat.Choice{Index: int(d.int()), Finish: chat.FinishReason(d.str()), Stop: d.str()}
		m := &c.Message
		m.Role, m.Name, m.CallID = chat.Role(d.str()), d.str(), d.str()
		m.Failed, m.Cache, m.At = d.int() == 1, chat.Cache(d.str()), int(d.int())
		for range d.count() {
			m.Parts = append(m.Parts, d.part())
		}
		r.Choices = append(r.Choices, c)
	}
	u := &r.Usage
	for _, n := range counts(u) {
		*n = d.int()
	}
	u.Duration, u.Provenance = time.Duration(d.int()), chat.Provenance(d.int()) //nolint:gosec // as it was written
	u.Tier, r.ServiceTier = d.str(), d.str()
}

func (d *decoder) part() chat.Part {
	p := chat.Part{Kind: chat.PartKind(d.int()), Text: d.str(), Signature: d.str()} //nolint:gosec // as it was written
	p.Owner, p.ID = chat.Owner(d.str()), d.str()
	if d.int() == 1 {
		p.Media = &chat.Media{Data: d.str(), Type: d.str(), URL: d.str(), ID: d.str(), Name: d.str(), Detail: d.str()}
	}
	if d.int() == 1 {
		p.Call = &chat.ToolCall{ID: d.str(), Kind: chat.ToolKind(d.int()), Name: d.str(), Arguments: d.str()} //nolint:gosec // as it was written
	}
	for range d.count() {
		p.Citations = append(p.Citations, chat.Citation{URL: d.str(), Title: d.str(), Quote: d.str(), Start: int(d.int()), End: int(d.int())})
	}
	p.Logprobs, p.Raw, p.Cache = d.raw(), d.raw(), chat.Cache(d.str())
	return p
}
