package health

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter is how long a provider asks to be left alone by the header fields of a reply, of which get gives the values:
// retry-after-ms, else Retry-After as seconds or as a date (RFC 9110, section 10.2.3). It is 0 if they do not say, and a day at
// most: what is longer is nonsense.
func RetryAfter(get func(name string) string) time.Duration {
	if ms, err := strconv.ParseFloat(strings.TrimSpace(get("Retry-After-Ms")), 64); err == nil && ms > 0 {
		return bounded(ms / 1000)
	}
	v := strings.TrimSpace(get("Retry-After"))
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 {
		return bounded(s)
	}
	if t, err := http.ParseTime(v); err == nil {
		return bounded(time.Until(t).Seconds())
	}
	return 0
}

func bounded(seconds float64) time.Duration {
	return time.Duration(math.Ceil(min(max(seconds, 0), maxAfter.Seconds()) * float64(time.Second))) // rather too late
}
