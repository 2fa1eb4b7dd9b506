package upstream

import (
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/health"
)

// told are the values of the rate limit headers of one head, as they came:
//
//	x-ratelimit-{limit,remaining,reset}-{requests,tokens}               OpenAI and those who imitate it
//	anthropic-ratelimit-{requests,tokens,input-tokens}-{limit,remaining,reset}
//
// Anthropic's "tokens" is the limit that is nearest, whichever that is.
type told struct {
	requests, tokens, input toldLimit
	some                    bool
}

type toldLimit struct{ limit, remaining, reset string }

// take takes one header field; false if it is none of a rate limit.
func (t *told) take(name, value string) bool {
	var of, what string
	switch {
	case hasPrefix(name, "x-ratelimit-"):
		what, of, _ = strings.Cut(name[len("x-ratelimit-"):], "-")
	case hasPrefix(name, "anthropic-ratelimit-"):
		of = name[len("anthropic-ratelimit-"):]
		if i := strings.LastIndexByte(of, '-'); i >= 0 {
			of, what = of[:i], of[i+1:]
		}
	default:
		return false
	}
	var l *toldLimit
	switch {
	case strings.EqualFold(of, "requests"):
		l = &t.requests
	case strings.EqualFold(of, "tokens"):
		l = &t.tokens
	case strings.EqualFold(of, "input-tokens"):
		l = &t.input
	default:
		return true
	}
	t.some = true
	switch {
	case strings.EqualFold(what, "limit"):
		l.limit = value
	case strings.EqualFold(what, "remaining"):
		l.remaining = value
	case strings.EqualFold(what, "reset"):
		l.reset = value
	}
	return true
}

// limits reads the values. What cannot be read was not said.
func (t *told) limits(now gateway.Instant) health.Limits {
	if t.tokens == (toldLimit{}) {
		t.tokens = t.input
	}
	return health.Limits{Requests: t.requests.read(now), Tokens: t.tokens.read(now)}
}

func (l *toldLimit) read(now gateway.Instant) health.Limit {
	if *l == (toldLimit{}) {
		return health.Limit{}
	}
	read := health.Limit{Remaining: -1, Reset: resetAt(l.reset, now), Refills: true}
	if n, ok := count(l.remaining); ok {
		read.Remaining = n
	}
	if n, ok := count(l.limit); ok {
		read.Max = n
	}
	return read
}

func count(value string) (int64, bool) {
	if value == "" { // for which ParseInt would make an error
		return 0, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	return n, err == nil && n >= 0
}

// longestReset is more than any rate limit lasts, and little enough to be added to any instant.
const longestReset = 24 * time.Hour

// resetAt reads when a limit is full again: as a time from now on ("6m0s", "59.7s", Groq's and OpenAI's; some write seconds
// without a unit), as a point in time (RFC 3339, Anthropic's), or as one in Unix seconds or milliseconds. 0 if it is none of
// these, or over.
func resetAt(value string, now gateway.Instant) gateway.Instant {
	if value == "" {
		return 0
	}
	var d time.Duration
	if last := value[len(value)-1]; last >= '0' && last <= '9' {
		n, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case n >= 1e12:
			d = time.Until(time.UnixMilli(int64(min(n, 1e15))))
		case n >= 1e9:
			d = time.Until(time.Unix(int64(n), 0))
		default:
			d = time.Duration(min(n, longestReset.Seconds()) * float64(time.Second))
		}
	} else if len(value) > 10 && value[4] == '-' {
		if at, err := time.Parse(time.RFC3339, value); err == nil {
			d = time.Until(at)
		}
	} else if parsed, err := time.ParseDuration(value); err == nil {
		d = parsed
	}
	if d <= 0 {
		return 0
	}
	return now.Add(min(d, longestReset))
}
