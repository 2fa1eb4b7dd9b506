package serve

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
)

// rateNames are the headers that tell of one limit, in the canonical form that fasthttp writes without looking at them.
type rateNames struct{ limit, remaining, reset []byte }

// Of the dialects, those that OpenAI's clients read (platform.openai.com/docs/guides/rate-limits) and Anthropic's
// (platform.claude.com, "Rate limits").
var (
	openAIRequests = rateNames{
		[]byte("X-Ratelimit-Limit-Requests"), []byte("X-Ratelimit-Remaining-Requests"), []byte("X-Ratelimit-Reset-Requests"),
	}
	openAITokens = rateNames{
		[]byte("X-Ratelimit-Limit-Tokens"), []byte("X-Ratelimit-Remaining-Tokens"), []byte("X-Ratelimit-Reset-Tokens"),
	}
	anthropicRequests = rateNames{
		[]byte("Anthropic-Ratelimit-Requests-Limit"), []byte("Anthropic-Ratelimit-Requests-Remaining"), []byte("Anthropic-Ratelimit-Requests-Reset"),
	}
	anthropicTokens = rateNames{
		[]byte("Anthropic-Ratelimit-Tokens-Limit"), []byte("Anthropic-Ratelimit-Tokens-Remaining"), []byte("Anthropic-Ratelimit-Tokens-Reset"),
	}
)

// tellRates says what is left of the caller's limits.
func (k *call) tellRates(h *fasthttp.ResponseHeader) {
	if k.Rates == (gateway.Rates{}) {
		return
	}
	if k.dialect == wire.Anthropic {
		k.tellRate(h, anthropicRequests, k.Rates.Requests)
		k.tellRate(h, anthropicTokens, k.Rates.Tokens)
	} else {
		k.tellRate(h, openAIRequests, k.Rates.Requests)
		k.tellRate(h, openAITokens, k.Rates.Tokens)
	}
}

func (k *call) tellRate(h *fasthttp.ResponseHeader, names rateNames, r gateway.Rate) {
	if r.Limit <= 0 {
		return
	}
	var b [40]byte
	h.SetCanonical(names.limit, strconv.AppendInt(b[:0], r.Limit, 10))
	h.SetCanonical(names.remaining, strconv.AppendInt(b[:0], max(r.Remaining, 0), 10))
	reset := max(r.Reset, 0)
	if k.dialect != wire.Anthropic {
		h.SetCanonical(names.reset, appendReset(b[:0], reset))
		return
	}
	at := time.Now().Add(reset + time.Second - 1).UTC() // rounded up: what is full then is full
	h.SetCanonical(names.reset, at.AppendFormat(b[:0], time.RFC3339))
}

// appendReset writes a time from now as OpenAI does: 120ms, 1s, 6m0s, 2h0m5s. It is rounded up, to milliseconds where it is
// less than a second, else to seconds.
func appendReset(b []byte, d time.Duration) []byte {
	if d < time.Second {
		if ms := int64((d + time.Millisecond - 1) / time.Millisecond); ms < 1000 {
			return append(strconv.AppendInt(b, ms, 10), "ms"...)
		}
	}
	s := int64((d + time.Second - 1) / time.Second)
	if s >= 3600 {
		b = append(strconv.AppendInt(b, s/3600, 10), 'h')
	}
	if s >= 60 {
		b = append(strconv.AppendInt(b, s/60%60, 10), 'm')
	}
	return append(strconv.AppendInt(b, s%60, 10), 's')
}

// concernsUs says whether a header that a provider has sent is about the limits of the gateway's account there.
func concernsUs(name string) bool {
	for _, prefix := range [...]string{"x-ratelimit-", "anthropic-ratelimit-"} {
		if len(name) > len(prefix) && asciiFold([]byte(name[:len(prefix)]), prefix) {
			return true
		}
	}
	return false
}
