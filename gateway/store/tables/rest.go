package tables

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// appendRest writes what of a row has no column, as an object. What is zero, or the first of its kind, is left out. Times are in
// microseconds, money is in picodollars.
func appendRest(b []byte, r *ledger.Row) []byte {
	o := object(append(b, '{'))
	if r.Kind != ledger.Attempt {
		o.text("kind", r.Kind.String())
	}
	o.text("node", r.Node)
	o.text("endpoint", r.Endpoint)
	o.text("dialect", r.Dialect)
	o.text("asked", r.Asked)
	o.text("account", r.Account)
	o.text("target", r.Target)
	o.text("upstream", r.Upstream)
	if !r.Of.IsZero() {
		o.text("of", r.Of.String())
	}
	o.number("attempt", int64(r.Attempt))
	o.number("flags", int64(r.Flags))
	o.number("status", int64(r.Status))
	o.number("waited_us", r.Waited.Microseconds())
	o.number("first_us", r.First.Microseconds())
	o.number("total_us", r.Total.Microseconds())
	u := &r.Usage
	if u.Provenance != chat.Unknown {
		o.text("provenance", u.Provenance.String())
	}
	o.text("tier", u.Tier)
	o.number("input", u.Input)
	o.number("cache_read", u.CacheRead)
	o.number("cache_write", u.CacheWrite)
	o.number("cache_write_hour", u.CacheWriteHour)
	o.number("input_audio", u.InputAudio)
	o.number("input_image", u.InputImage)
	o.number("output", u.Output)
	o.number("reasoning", u.Reasoning)
	o.number("output_audio", u.OutputAudio)
	o.number("output_image", u.OutputImage)
	o.number("recorded_us", u.Duration.Microseconds())
	o.number("price", int64(r.Price)) //nolint:gosec // a digest: all bits count, as in the table of prices
	o.number("cost_why", int64(r.Cost.Why))
	o.number("cost_class", int64(r.Cost.Class))
	o.number("reserved", r.Reserved)
	o.number("saved", r.Saved)
	return append(o, '}')
}

// object is the beginning of a JSON object.
type object []byte

// name begins a member.
func (o *object) name(name string) {
	b := *o
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	*o = append(append(append(b, '"'), name...), `":`...)
}

func (o *object) number(name string, n int64) {
	if n != 0 {
		o.name(name)
		*o = strconv.AppendInt(*o, n, 10)
	}
}

// text adds a text, which is UTF-8.
func (o *object) text(name, s string) {
	if s == "" {
		return
	}
	o.name(name)
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' {
			quoted, _ := json.Marshal(s) // of a text it cannot fail
			*o = append(*o, quoted...)
			return
		}
	}
	*o = append(append(append(*o, '"'), s...), '"')
}

// rest is what appendRest writes. What a later version adds is passed over.
type rest struct {
	Kind, Node, Endpoint, Dialect, Asked, Account, Target, Upstream, Of, Provenance, Tier string

	Attempt                uint8
	Flags                  ledger.Flags
	Status                 int
	Waited                 int64 `json:"waited_us"`
	First                  int64 `json:"first_us"`
	Total                  int64 `json:"total_us"`
	Price, Reserved, Saved int64
	Why                    catalog.Why   `json:"cost_why"`
	Class                  catalog.Class `json:"cost_class"`
	Input, Output          int64
	Reasoning              int64
	CacheRead              int64 `json:"cache_read"`
	CacheWrite             int64 `json:"cache_write"`
	CacheWriteHour         int64 `json:"cache_write_hour"`
	InputAudio             int64 `json:"input_audio"`
	InputImage             int64 `json:"input_image"`
	OutputAudio            int64 `json:"output_audio"`
	OutputImage            int64 `json:"output_image"`
	Recorded               int64 `json:"recorded_us"`
}

// readRest reads what appendRest wrote.
func readRest(b []byte, r *ledger.Row) error {
	var v rest
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("the ledger's row %s: %w", r.ID, err)
	}
	if v.Kind != "" {
		r.Kind = named[ledger.Kind](v.Kind)
	}
	if v.Of != "" {
		of, err := ledger.ParseID(v.Of)
		if err != nil {
			return fmt.Errorf("the ledger's row %s: %w", r.ID, err)
		}
		r.Of = of
	}
	r.Node, r.Endpoint, r.Dialect, r.Asked, r.Account, r.Target, r.Upstream = v.Node, v.Endpoint, v.Dialect, v.Asked, v.Account, v.Target, v.Upstream
	r.Attempt, r.Flags, r.Status, r.Reserved, r.Saved = v.Attempt, v.Flags, v.Status, v.Reserved, v.Saved
	r.Price, r.Cost.Why, r.Cost.Class = uint64(v.Price), v.Why, v.Class //nolint:gosec // all bits, as they were written
	r.Waited, r.First, r.Total = micro(v.Waited), micro(v.First), micro(v.Total)
	r.Usage = chat.Usage{
		Input: v.Input, CacheRead: v.CacheRead, CacheWrite: v.CacheWrite, CacheWriteHour: v.CacheWriteHour,
		InputAudio: v.InputAudio, InputImage: v.InputImage, Output: v.Output, Reasoning: v.Reasoning,
		OutputAudio: v.OutputAudio, OutputImage: v.OutputImage, Duration: micro(v.Recorded), Tier: v.Tier,
	}
	if v.Provenance != "" {
		r.Usage.Provenance = named[chat.Provenance](v.Provenance)
	}
	return nil
}

func micro(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
