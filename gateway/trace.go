package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// SpanID is the id of a span in a distributed trace; zero: none.
type SpanID [8]byte

// IsZero says that there is none.
func (s SpanID) IsZero() bool { return s == SpanID{} }

// Trace is the place of an exchange in a distributed trace (W3C Trace Context, level 1). The zero value: it is in none.
type Trace struct {
	ID      [16]byte
	Parent  SpanID // of whoever calls the gateway; zero: the trace begins here
	Span    SpanID // of the exchange; zero: the gateway makes no spans, and providers are told of the caller's
	Sampled bool   // as its caller has decided, or the gateway: spans are recorded
}

// IsZero says that the exchange is in no trace.
func (t *Trace) IsZero() bool { return t.ID == [16]byte{} }

// NewSpanID draws the id of a span.
func NewSpanID() (s SpanID) {
	for s.IsZero() {
		binary.BigEndian.PutUint64(s[:], rand.Uint64()) //nolint:gosec // an id, no secret
	}
	return s
}

// NewTrace begins a trace that is not sampled yet, with a span of the exchange.
func NewTrace() (t Trace) {
	for t.IsZero() {
		binary.BigEndian.PutUint64(t.ID[:8], rand.Uint64()) //nolint:gosec // an id, no secret
		binary.BigEndian.PutUint64(t.ID[8:], rand.Uint64()) //nolint:gosec // an id, no secret
	}
	t.Span = NewSpanID()
	return t
}

// traceparent is the length of one of version 00: its version, the trace's id, the parent's and the flags.
const traceparent = 2 + 1 + 32 + 1 + 16 + 1 + 2

// ParseTraceparent reads the header traceparent; false if it is none, as most are, or not valid: then a tracestate counts for
// nothing, too. What versions to come put behind the flags is left out (W3C Trace Context, section 3.2).
func ParseTraceparent(v []byte) (t Trace, ok bool) {
	if len(v) < traceparent || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return Trace{}, false
	}
	var version, flags [1]byte
	if !unhex(version[:], v[:2]) || !unhex(t.ID[:], v[3:35]) || !unhex(t.Parent[:], v[36:52]) || !unhex(flags[:], v[53:55]) {
		return Trace{}, false
	}
	switch {
	case version[0] == 0xff, version[0] == 0 && len(v) > traceparent, len(v) > traceparent && v[traceparent] != '-':
		return Trace{}, false
	case t.IsZero(), t.Parent.IsZero():
		return Trace{}, false
	}
	t.Sampled = flags[0]&1 != 0
	return t, true
}

// unhex reads lower-case hexadecimal digits, the only ones that are allowed.
func unhex(into, digits []byte) bool {
	for _, c := range digits {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(into, digits)
	return err == nil
}

// AppendTraceparent adds to b what a provider is told of the trace: the attempt's own span, or the caller's if the gateway makes
// none. Nothing if the exchange is in no trace. It allocates nothing.
func (x *Exchange) AppendTraceparent(b []byte, a *Attempt) []byte {
	t := &x.Trace
	if t.IsZero() {
		return b
	}
	span := a.Span
	if span.IsZero() {
		span = t.Parent
	}
	b = hex.AppendEncode(append(b, "00-"...), t.ID[:])
	b = hex.AppendEncode(append(b, '-'), span[:])
	if t.Sampled {
		return append(b, "-01"...)
	}
	return append(b, "-00"...)
}
