package catalog

import (
	"math"
	"math/bits"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Class is something that is counted and has a price of its own.
type Class uint8

// Classes: first the disjoint ones of [chat.Usage] in its order, counted in tokens, then what else providers count.
const (
	Input Class = iota
	CacheRead
	CacheWrite
	CacheWriteHour
	InputAudio
	InputImage
	Output
	ReasoningOutput
	OutputAudio
	OutputImage
	Recording  // hours of sound
	Images     // pictures, where they are charged by number
	Characters // of a text to speak, where it is charged by them
	classes
	tokens = Recording // number of classes that are counted in tokens
)

var classNames = [classes]string{
	"input", "cache_read", "cache_write", "cache_write_hour", "input_audio", "input_image",
	"output", "reasoning", "output_audio", "output_image", "hour", "image", "characters",
}

// String is the name of the class as in a [Price].
func (c Class) String() string { return classNames[c] }

// Rate is the price of one unit. The zero value is an unknown price, not a free one.
type Rate struct {
	Picodollars int64
	Known       bool
}

// Tariff is what is charged for one request of a tier with a prompt of some length.
type Tariff struct {
	Tier  string        // batch, flex, priority; "" is the standard one, "*" any
	Above int64         // holds for prompts of more tokens than this, cached ones included, and for all of the request
	Hours Hours         // holds in these only, and before one without; zero: always
	Until time.Time     // holds before this; zero: no end is known
	Rates [classes]Rate // for one token, hour, image or character
	Least time.Duration // a shorter recording is charged as this
}

// Cost is what a request cost, in picodollars. The zero value is an unknown cost.
type Cost struct {
	Picodollars int64 // 0 unless Known
	Known       bool
	Why         Why   // it is not known
	Class       Class // that has no price, if Why is NoRate
}

// AppendUSD appends the cost as a decimal of USD, exactly; "unknown" if it is not known.
func (c Cost) AppendUSD(b []byte) []byte {
	if !c.Known {
		return append(b, "unknown"...)
	}
	return AppendUSD(b, c.Picodollars)
}

// USD is the cost as a decimal of USD, exactly; "unknown" if it is not known.
func (c Cost) USD() string { return string(c.AppendUSD(nil)) }

// Why a cost is not known.
type Why uint8

// Reasons.
const (
	NoModel    Why = iota // nothing is known of the model
	NoUsage               // nobody counted
	NoPrice               // the model has no price: sources differ, or have none
	NoTier                // none for the tier
	NoRate                // none for one class of usage
	Expired               // the price ended, and what followed it is not known
	OutOfRange            // usage is negative, or the sum is more than 9.2 million dollars
	CutShort              // the reply broke off before all of it was counted
)

var whyNames = [...]string{
	"model unknown", "no usage", "no price", "no price for the service tier", "no price for a class of usage",
	"price expired", "out of range", "reply cut short",
}

// Plus is the sum of two costs: unknown if one of them is, for the reason of the first such.
func (c Cost) Plus(d Cost) Cost {
	switch {
	case !c.Known:
		return c
	case !d.Known:
		return d
	}
	return c.add(0, uint64(d.Picodollars)) //nolint:gosec // never negative
}

// String says it in words for a log.
func (w Why) String() string { return whyNames[w] }

// Cost is what a request cost: its usage, by the service tier that served it (what the reply says; "", default and
// standard are the same) and at the time it was made. It never saturates: a sum that overflows is unknown.
func (m *Model) Cost(u chat.Usage, tier string, at time.Time) Cost {
	if m == nil {
		return Cost{Why: NoModel}
	}
	switch u.Provenance {
	case chat.Unknown:
		return Cost{Why: NoUsage}
	case chat.Aborted:
		return Cost{Why: CutShort}
	}
	counts := [tokens]int64{
		u.Input, u.CacheRead, u.CacheWrite, u.CacheWriteHour, u.InputAudio, u.InputImage,
		u.Output, u.Reasoning, u.OutputAudio, u.OutputImage,
	}
	var prompt int64
	for class, n := range counts {
		if n < 0 || n > math.MaxInt64/int64(tokens) {
			return Cost{Why: OutOfRange}
		}
		if class < int(Output) {
			prompt += n
		}
	}
	t, why := m.tariff(tier, prompt, at)
	if t == nil {
		return Cost{Why: why}
	}
	c := Cost{Known: true}
	for class, n := range counts {
		c = c.plus(t, Class(class), n)
	}
	return c.plusTime(t, u.Duration)
}

// Refused is what a request cost that was answered with an error: nothing where the status says that nothing was
// generated, else unknown. Azure charges for a prompt that its filter refuses, which is a 400 as well, and for a 408.
func (m *Model) Refused(status int) Cost {
	switch {
	case status == 400 && m != nil && m.Provider == "azure", status == 408, status >= 500 && status != 503 && status != 529:
		return Cost{Why: NoUsage}
	default:
		return Cost{Known: true}
	}
}

// CostOf is what a number of [Images] or [Characters] cost, which no usage counts.
func (m *Model) CostOf(class Class, n int64, tier string, at time.Time) Cost {
	if m == nil {
		return Cost{Why: NoModel}
	}
	t, why := m.tariff(tier, 0, at)
	switch {
	case t == nil:
		return Cost{Why: why}
	case n < 0 || class >= classes:
		return Cost{Why: OutOfRange}
	}
	return Cost{Known: true}.plus(t, class, n)
}

// tariff finds the tariff of a tier for a prompt. The standard one says where long prompts begin: another tier that does
// not quote for them has no price for them.
func (m *Model) tariff(tier string, prompt int64, at time.Time) (*Tariff, Why) {
	if tier = plainTier(tier); tier == auto {
		tier = ""
	}
	var above int64
	for i := range m.Tariffs {
		if t := &m.Tariffs[i]; (t.Tier == "" || t.Tier == "*") && prompt > t.Above {
			above = max(above, t.Above)
		}
	}
	var found *Tariff
	for i := range m.Tariffs {
		t := &m.Tariffs[i]
		if t.Above == above && (t.Tier == tier || t.Tier == "*") && t.Hours.hold(at) && (found == nil || t.Hours.spans != "") {
			found = t
		}
	}
	switch {
	case found == nil && len(m.Tariffs) > 0:
		return nil, NoTier
	case found == nil:
		return nil, NoPrice
	case !found.Until.IsZero() && !at.Before(found.Until):
		return nil, Expired
	}
	return found, 0
}

func (c Cost) plus(t *Tariff, class Class, n int64) Cost {
	r := t.Rates[class]
	switch {
	case n == 0 || !c.Known:
		return c
	case !r.Known:
		return Cost{Why: NoRate, Class: class}
	}
	return c.add(bits.Mul64(uint64(r.Picodollars), uint64(n))) //nolint:gosec // neither is negative
}

// plusTime rounds to the nearest picodollar, half up.
func (c Cost) plusTime(t *Tariff, d time.Duration) Cost {
	r := t.Rates[Recording]
	switch {
	case d == 0 || !c.Known:
		return c
	case d < 0:
		return Cost{Why: OutOfRange}
	case !r.Known:
		return Cost{Why: NoRate, Class: Recording}
	}
	hi, lo := bits.Mul64(uint64(r.Picodollars), uint64(max(d, t.Least))) //nolint:gosec // neither is negative
	lo, carry := bits.Add64(lo, uint64(time.Hour/2), 0)
	if hi += carry; hi >= uint64(time.Hour) {
		return Cost{Why: OutOfRange}
	}
	q, _ := bits.Div64(hi, lo, uint64(time.Hour))
	return c.add(0, q)
}

func (c Cost) add(hi, lo uint64) Cost {
	sum, carry := bits.Add64(uint64(c.Picodollars), lo, 0) //nolint:gosec // never negative
	if hi != 0 || carry != 0 || sum > math.MaxInt64 {
		return Cost{Why: OutOfRange}
	}
	return Cost{Picodollars: int64(sum), Known: true}
}
