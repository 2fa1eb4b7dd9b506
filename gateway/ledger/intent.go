package ledger

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Each is what each token of an answer adds to the row of an attempt of which nothing more is heard than that it passed, in
// picodollars: to its Cost, if that is known, and to its Charge.
type Each struct{ Cost, Charge int64 }

// mostEach is what append writes at most, in bytes.
const mostEach = 2 * binary.MaxVarintLen64

// append writes it behind the row of an intent.
func (e Each) append(b []byte) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, e.Cost), e.Charge)
}

// eachOf reads what append wrote; nothing, if there is none.
func eachOf(rest string) Each {
	d := decoder{b: []byte(rest)}
	e := Each{d.varint(), d.varint()}
	if d.bad {
		return Each{}
	}
	return e
}

// add adds so many tokens to a row. Money stops at the most that it can be.
func (e Each) add(r *Row, tokens int64) {
	if tokens == 0 {
		return
	}
	r.Usage.Output += tokens
	if cost, ok := times(tokens, e.Cost); ok {
		r.Cost = r.Cost.Plus(catalog.Cost{Picodollars: cost, Known: true})
	} else {
		r.Cost = r.Cost.Plus(catalog.Cost{Why: catalog.OutOfRange})
	}
	charge, ok := times(tokens, e.Charge)
	if !ok {
		charge = math.MaxInt64
	}
	r.Charge = int64(tenant.USD(r.Charge).Plus(tenant.USD(charge)))
}

// times is a product; not ok if it is too large, or one of the two is negative.
func times(tokens, each int64) (product int64, ok bool) {
	hi, lo := bits.Mul64(uint64(tokens), uint64(each)) //nolint:gosec // a product of what is negative is too large
	return int64(lo), hi == 0 && lo <= math.MaxInt64   //nolint:gosec // bounded
}
