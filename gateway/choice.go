package gateway

import (
	"bytes"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Strategy says how it is chosen among a model's targets. The others follow, for when the first cannot answer.
type Strategy uint8

// Strategies.
const (
	Ordered      Strategy = iota // the first of the list that works
	Weighted                     // at random, by weight
	LeastLatency                 // the one whose first event will probably come soonest
	LeastCost                    // the cheapest for the request, by the catalogue
)

var strategies = [...]string{"ordered", "weighted", "least_latency", "least_cost"}

// String is the name in the configuration.
func (s Strategy) String() string { return strategies[min(int(s), len(strategies)-1)] }

// ParseStrategy reads a strategy's name.
func ParseStrategy(name string) (Strategy, bool) {
	for i := range strategies {
		if name == strategies[i] {
			return Strategy(i), true
		}
	}
	return 0, false
}

// Hedge says when a second attempt is made beside one whose first event is late. Immutable.
type Hedge struct {
	After   time.Duration // without a first event; 0: what the target itself needs for 95 of 100
	Budget  float64       // share of second attempts to exchanges that may not be exceeded for long
	MaxCost int64         // what a second attempt may cost by its estimate, in picodollars; 0: anything
}

// Overrides are what a tenant's callers may decide for one request, by headers.
type Overrides uint8

// What may be decided, each by the header x-sluice- and its name.
const (
	OverrideProvider Overrides = 1 << iota
	OverrideStrategy
	OverrideHedge
	OverrideTimeout
	OverrideRetries
	OverrideFallback
)

var overrides = [...]string{"provider", "strategy", "hedge", "timeout", "retries", "fallback"}

// ParseOverride reads the name of one.
func ParseOverride(name string) (Overrides, bool) {
	for i := range overrides {
		if name == overrides[i] {
			return 1 << i, true
		}
	}
	return 0, false
}

// Begins is implemented by a Header that can be searched in one pass, without an allocation.
type Begins interface {
	// Begins says whether there is a field whose name begins with a prefix, in any case.
	Begins(prefix string) bool
}

// Joins is implemented by a Header that may hold several fields of one name.
type Joins interface {
	// Join is the values of all fields with that name in any case, in their order and with commas between them, which is what
	// they mean (RFC 9110, section 5.3); nil if there are none.
	Join(name string) []byte
}

// A token of ordinary text is about four bytes in all languages: few letters, or one character of three bytes. What is in
// base64 counts by the piece, as a picture of middling size does.
const (
	bytesPerToken = 4
	mediumTokens  = 1000
	medium        = mediumTokens * bytesPerToken // what is shorter counts like text
)

// Before what is in base64 in the dialects: a data URL, or a member.
var (
	dataURL    = []byte(";base64,")
	dataMember = []byte(`"data":"`)
)

// PromptTokens estimates how many tokens the body is; 0 before Open, after the last release, and for forms. It may be off by
// a half.
func (r *Request) PromptTokens() int64 {
	if r.form != nil {
		return 0
	}
	text, media := len(r.raw), 0
	if mayHaveMedia(r.raw) {
		for _, mark := range [...][]byte{dataURL, dataMember} {
			n, length := encoded(r.raw, mark)
			media, text = media+n, text-length
		}
	}
	return int64(max(text, 0)/bytesPerToken + media*mediumTokens) // a data URL in such a member was counted twice
}

// mayHaveMedia takes samples, so that ordinary text costs next to nothing: a medium is longer than the way from one to the
// next, and no text is so long without a space.
func mayHaveMedia(b []byte) bool {
	const long = 64
	for at := medium; at+long <= len(b); at += medium {
		if allBase64(b[at : at+long]) {
			return true
		}
	}
	return false
}

func allBase64(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '+' && c != '/' && c != '=' {
			return false
		}
	}
	return true
}

// encoded counts the long strings behind a mark, and their bytes.
func encoded(b, mark []byte) (n, length int) {
	for {
		i := bytes.Index(b, mark)
		if i < 0 {
			return n, length
		}
		b = b[i+len(mark):]
		end := bytes.IndexByte(b, '"')
		if end < 0 {
			return n, length
		}
		if end > medium {
			n, length = n+1, length+end
		}
		b = b[end:]
	}
}

// MostAnswer is more tokens than any answer has: what is beyond it is no limit, and would overflow when it is priced.
const MostAnswer = 1 << 32

// usualAnswer is how long an answer is taken for, in tokens, if the request does not bound it.
const usualAnswer = 500

// AnswerTokens is how long the request lets the answer be, MostAnswer at most; 0 if it does not say, before Open, and for
// forms. Ask before the last release.
func (r *Request) AnswerTokens() int64 {
	n := r.fields.MaxTokens
	if n == 0 && r.form == nil && r.Endpoint.Dialect == "responses" {
		n, _ = peek.Int(peek.Find(r.raw, []byte(`"max_output_tokens"`)))
	}
	return min(max(n, 0), MostAnswer)
}

// LikelyAnswer is how many tokens the answer is taken for before it is there: as many as the request lets it be, or those of a
// usual one; 0 where nothing is generated. Ask before the last release.
func (r *Request) LikelyAnswer() int64 {
	if !r.Endpoint.Generates() {
		return 0
	}
	if n := r.AnswerTokens(); n > 0 {
		return n
	}
	return usualAnswer
}

// User is whom the request says that it is for: "user" of OpenAI's APIs, "metadata.user_id" of Anthropic's. "" if it does
// not say, before Open, after the last release, and for forms.
func (r *Request) User() string {
	if r.Endpoint.Dialect != "anthropic" {
		return r.Member(`"user"`)
	}
	if r.form != nil {
		return ""
	}
	id, _ := peek.String(peek.Find(peek.Find(r.raw, []byte(`"metadata"`)), []byte(`"user_id"`)))
	return id
}
