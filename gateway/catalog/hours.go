package catalog

import (
	"errors"
	"strings"
	"time"
)

// Hours are the times of the week at which a tariff holds, in UTC. The zero value is always.
type Hours struct {
	spans string // as written; "" is always
	days  [7]bool
	from  [4]int // minutes of the day, of each span
	to    [4]int
	n     int
}

var errHours = errors.New(`not of the form "mon-fri 01:00-04:00 06:00-10:00", with days left out for all, and at most 4 spans that end on the day they begin`)

const dayNames = "sun mon tue wed thu fri sat"

// ParseHours reads hours as in a [Price]: perhaps days, then spans of the day, in UTC: mon-fri 01:00-04:00 06:00-10:00.
// A span holds from its first minute until before its last, which may be 24:00.
func ParseHours(s string) (Hours, error) {
	h := Hours{spans: s, days: [7]bool{true, true, true, true, true, true, true}}
	if s == "" {
		return Hours{}, nil
	}
	for i, field := range strings.Fields(s) {
		first, last, ok := strings.Cut(field, "-")
		if a, b := day(first), day(last); i == 0 && ok && a >= 0 && b >= 0 {
			h.days = [7]bool{}
			for ; a != b; a = (a + 1) % 7 {
				h.days[a] = true
			}
			h.days[b] = true
			continue
		}
		from, to := minute(first), minute(last)
		if !ok || from < 0 || to <= from || h.n == len(h.from) {
			return Hours{}, errHours
		}
		h.from[h.n], h.to[h.n] = from, to
		h.n++
	}
	if h.n == 0 {
		return Hours{}, errHours
	}
	return h, nil
}

// String is what ParseHours read.
func (h Hours) String() string { return h.spans }

func (h *Hours) hold(at time.Time) bool {
	if h.spans == "" {
		return true
	}
	at = at.UTC()
	minute := at.Hour()*60 + at.Minute()
	for i := range h.n {
		if minute >= h.from[i] && minute < h.to[i] {
			return h.days[at.Weekday()]
		}
	}
	return false
}

func day(s string) int {
	if i := strings.Index(dayNames, s); len(s) == 3 && i >= 0 && i%4 == 0 {
		return i / 4
	}
	return -1
}

// minute is the minute of the day that 06:30 is, or -1.
func minute(s string) int {
	if len(s) != 5 || s[2] != ':' || !digits(s[:2]) || !digits(s[3:]) {
		return -1
	}
	hour, min := int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
	if min > 59 || hour*60+min > 24*60 {
		return -1
	}
	return hour*60 + min
}
