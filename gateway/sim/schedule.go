package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
)

// Schedule says what goes wrong with a provider at which time after the beginning. The zero
// value has none: nothing ever goes wrong. ParseSchedule has the grammar.
type Schedule struct {
	periods []period
	repeat  time.Duration // after which it begins again; 0: the last period lasts for ever
}

// period is what goes wrong from a time on.
type period struct {
	from   time.Duration
	faults []fault
}

// fault is one thing that goes wrong.
type fault struct {
	kind   faultKind
	share  float64       // of the requests, in percent, above 0
	after  amount        // reset, cut, badjson: what comes before
	wait   time.Duration // latency: before the answer; heartbeats: between two; status: for Retry-After, 0: none
	rate   int           // drip: bytes a second
	status int
}

// amount is of an answer. The zero amount is none of it, not even its head.
type amount struct {
	n     int
	bytes bool // of its body; otherwise events
	given bool
}

type faultKind uint8

// What goes wrong. The first three concern connections, the others requests.
const (
	faultNone faultKind = iota
	faultRefuse
	faultBlackhole
	faultSilent
	faultReset
	faultCut
	faultDrip
	faultLatency
	faultHeartbeats
	faultBadJSON
	faultStatus
)

// faultNames are the words for the kinds; a status is its own.
var faultNames = [...]string{
	"ok", "refuse", "blackhole", "silent", "reset", "cut", "drip", "latency", "heartbeats", "badjson",
}

const (
	defaultBeat = time.Second
	mostAmount  = 1_000_000_000 // events, bytes, or bytes a second
)

// ScheduleHelp is the grammar of schedules, for people.
const ScheduleHelp = `A schedule is a list of periods, separated by ";". Each is a time from the beginning and what goes wrong from
then on, until the next. A time may be left out at the front, where it is 0s. "TIME repeat" as the last period begins
the schedule again. Several faults of a period are separated by ",": latencies add up, of the others the first that
meets a request decides.

  ok                   nothing goes wrong
  refuse               connections are refused; those that are open are reset, as if the process had been killed
  blackhole            connections are neither accepted nor refused; nothing comes or goes on those that are open
  silent               requests are read and never answered
  reset [N events]     the connection is reset (RST): before the answer, or in the middle of the event after N
  cut [N events]       the same, but it is closed (FIN)
  drip N               answers come slowly: N bytes a second
  latency D            answers come later by a duration
  heartbeats [D]       nothing comes but a comment each second, or each D; spaces, if no stream was asked for
  badjson [N events]   the event after N is no JSON; without a stream: the body
  429 [retry D]        this status, from 400 to 599, is the answer, with Retry-After

"N bytes" may stand for "N events". A fault that concerns requests may end with the share of them that it meets: 5%.`

// ParseSchedule reads a schedule, in the grammar of ScheduleHelp; "5s refuse; 10s ok" for example. Times increase. The
// error is a *ScheduleError.
func ParseSchedule(text string) (Schedule, error) {
	p := scheduleParser{text: text}
	s, err := p.schedule()
	if err != nil {
		return Schedule{}, err
	}
	return s, nil
}

// ScheduleError is the first mistake in a schedule.
type ScheduleError struct {
	Column int    // of the first wrong character, counted in bytes from 1
	Reason string // a sentence without a full stop
}

// Error returns the mistake with its place: "column 4: …".
func (e *ScheduleError) Error() string { return "column " + strconv.Itoa(e.Column) + ": " + e.Reason }

// scheduleParser reads a schedule, word by word.
type scheduleParser struct {
	text     string
	at, next int    // where the word begins, and where the one after it is to be looked for
	word     string // "" at the end
}

// advance goes on to the next word; ";" and "," are words of their own.
func (p *scheduleParser) advance() {
	for p.next < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.next]) >= 0 {
		p.next++
	}
	p.at = p.next
	rest := p.text[p.at:]
	switch end := strings.IndexAny(rest, " \t\r\n;,"); {
	case end < 0:
		p.word = rest
	case end == 0:
		p.word = rest[:1]
	default:
		p.word = rest[:end]
	}
	p.next = p.at + len(p.word)
}

// ends says whether a fault ends where the word stands.
func (p *scheduleParser) ends() bool { return p.word == "" || p.word == ";" || p.word == "," }

// wrong is a mistake in the word.
func (p *scheduleParser) wrong(format string, args ...any) error {
	shown := strconv.Quote(p.word)
	if p.word == "" {
		shown = "the end"
	}
	return &ScheduleError{Column: p.at + 1, Reason: shown + " " + fmt.Sprintf(format, args...)}
}

func (p *scheduleParser) schedule() (s Schedule, err error) {
	p.advance()
	for {
		from, err := p.time(len(s.periods) == 0)
		switch {
		case err != nil:
			return s, err
		case len(s.periods) > 0 && from.d <= s.periods[len(s.periods)-1].from:
			return s, &ScheduleError{from.at + 1, strconv.Quote(from.word) + " is not later than the period before"}
		case p.word == "repeat" && len(s.periods) > 0:
			s.repeat = from.d
			if p.advance(); p.word != "" {
				return s, p.wrong("stands behind \"repeat\", which is the end")
			}
			return s, nil
		}
		f, err := p.faults()
		if err != nil {
			return s, err
		}
		s.periods = append(s.periods, period{from.d, f})
		if p.word == "" {
			return s, nil
		}
		p.advance() // over the ";"
	}
}

// scheduleTime is when a period begins, and what stands there.
type scheduleTime struct {
	d    time.Duration
	at   int
	word string
}

// time reads when a period begins. The first one need not say so.
func (p *scheduleParser) time(first bool) (t scheduleTime, err error) {
	t = scheduleTime{at: p.at, word: p.word}
	d, derr := time.ParseDuration(p.word)
	switch {
	case derr == nil && d < 0:
		return t, p.wrong("is before the beginning")
	case derr == nil:
		t.d = d
		p.advance()
		return t, nil
	case first:
		return t, nil
	default:
		return t, p.wrong("is no time; a period begins with one, such as 5s or 1m30s")
	}
}

// faults reads what goes wrong in a period, up to the ";" or the end.
func (p *scheduleParser) faults() ([]fault, error) {
	var list []fault
	for {
		at, name := p.at, p.word
		f, err := p.fault()
		if err != nil {
			return nil, err
		}
		if list = append(list, f); len(list) > 1 && (alone(f) || alone(list[0])) {
			return nil, &ScheduleError{at + 1, strconv.Quote(name) + " and " + strconv.Quote(list[0].name()) +
				" cannot be together: of ok, refuse and blackhole each fills a period"}
		}
		if p.word != "," {
			return list, nil
		}
		p.advance()
	}
}

// alone says whether a fault leaves room for no other.
func alone(f fault) bool { return f.kind <= faultBlackhole }

// fault reads one, with all that belongs to it.
func (p *scheduleParser) fault() (f fault, err error) {
	f.share = 100
	if f.kind, f.status, err = p.kind(); err != nil {
		return f, err
	}
	p.advance()
	switch f.kind {
	case faultReset, faultCut, faultBadJSON:
		f.after, err = p.amount()
	case faultDrip:
		f.rate, err = p.count("bytes a second")
	case faultLatency:
		f.wait, err = p.duration("a latency")
	case faultHeartbeats:
		f.wait = defaultBeat
		if !p.ends() && !strings.HasSuffix(p.word, "%") {
			f.wait, err = p.duration("the time between two heartbeats")
		}
	case faultStatus:
		if p.word == "retry" {
			p.advance()
			f.wait, err = p.duration("the time for Retry-After")
		}
	}
	if err == nil && strings.HasSuffix(p.word, "%") {
		err = p.share(&f)
	}
	if err == nil && !p.ends() {
		err = p.wrong("does not belong to %q", f.name())
	}
	return f, err
}

// kind reads the name of a fault, or a status.
func (p *scheduleParser) kind() (k faultKind, status int, err error) {
	if i := slices.Index(faultNames[:], p.word); i >= 0 {
		return faultKind(i), 0, nil //nolint:gosec // there are ten
	}
	if n, ok := number(p.word); ok {
		if n < 400 || n > 599 || len(p.word) != 3 {
			return 0, 0, p.wrong("is no status of an error, from 400 to 599")
		}
		return faultStatus, n, nil
	}
	if p.ends() {
		return 0, 0, p.wrong("stands where a fault should: one of %s, or a status", strings.Join(faultNames[:], ", "))
	}
	near := slices.MinFunc(faultNames[:], nearer(p.word[:min(len(p.word), 32)]))
	if levenshtein.ComputeDistance(near, p.word[:min(len(p.word), 32)]) <= 2 {
		return 0, 0, p.wrong("is no fault; do you mean %q?", near)
	}
	return 0, 0, p.wrong("is no fault; there are %s, and statuses", strings.Join(faultNames[:], ", "))
}

// amount reads "3 events" or "100 bytes", or nothing.
func (p *scheduleParser) amount() (a amount, err error) {
	if p.ends() || strings.HasSuffix(p.word, "%") {
		return a, nil
	}
	if a.n, err = p.count("events or bytes"); err != nil {
		return a, err
	}
	a.given = true
	switch p.word {
	case "event", "events":
	case "byte", "bytes":
		a.bytes = true
	default:
		return a, p.wrong("stands where \"events\" or \"bytes\" should")
	}
	p.advance()
	return a, nil
}

// count reads a number of something; drips are at least one byte.
func (p *scheduleParser) count(of string) (int, error) {
	n, err := strconv.ParseUint(p.word, 10, 32)
	if err != nil || n > mostAmount || n == 0 && strings.HasSuffix(of, "second") {
		return 0, p.wrong("is no number of %s", of)
	}
	p.advance()
	return int(n), nil
}

// duration reads one that is longer than nothing.
func (p *scheduleParser) duration(what string) (time.Duration, error) {
	d, err := time.ParseDuration(p.word)
	if err != nil || d <= 0 {
		return 0, p.wrong("is not %s, such as 200ms or 5s", what)
	}
	p.advance()
	return d, nil
}

// share reads which share of the requests a fault meets.
func (p *scheduleParser) share(f *fault) error {
	if alone(*f) {
		return p.wrong("is a share of requests, but %q concerns connections", f.name())
	}
	percent, err := strconv.ParseFloat(strings.TrimSuffix(p.word, "%"), 64)
	if err != nil || !(percent > 0 && percent <= 100) {
		return p.wrong("is no share: more than 0%%, at most 100%%")
	}
	f.share = percent
	p.advance()
	return nil
}

// String returns the schedule as ParseSchedule reads it.
func (s Schedule) String() string {
	if len(s.periods) == 0 {
		return faultNames[faultNone]
	}
	var b strings.Builder
	for i, p := range s.periods {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.from.String() + " " + p.String())
	}
	if s.repeat > 0 {
		b.WriteString("; " + s.repeat.String() + " repeat")
	}
	return b.String()
}

func (p period) String() string {
	list := make([]string, len(p.faults))
	for i, f := range p.faults {
		list[i] = f.String()
	}
	return cmp.Or(strings.Join(list, ", "), faultNames[faultNone])
}

func (f fault) name() string {
	if f.kind == faultStatus {
		return strconv.Itoa(f.status)
	}
	return faultNames[f.kind]
}

func (f fault) String() string {
	text := f.name()
	if f.after.given {
		unit := " events"
		if f.after.bytes {
			unit = " bytes"
		}
		text += " " + strconv.Itoa(f.after.n) + unit
	}
	switch {
	case f.kind == faultDrip:
		text += " " + strconv.Itoa(f.rate)
	case f.kind == faultStatus && f.wait > 0:
		text += " retry " + f.wait.String()
	case f.wait > 0:
		text += " " + f.wait.String()
	}
	if f.share != 100 {
		text += " " + strconv.FormatFloat(f.share, 'g', -1, 64) + "%"
	}
	return text
}

// at is what goes wrong when so much time has passed since the beginning, and how long it still does; 0: for ever.
func (s Schedule) at(elapsed time.Duration) (now period, left time.Duration) {
	if s.repeat > 0 {
		elapsed %= s.repeat
		left = s.repeat - elapsed
	}
	for _, p := range s.periods {
		if p.from > elapsed {
			return now, p.from - elapsed
		}
		now = p
	}
	return now, left
}

// door is the fault of the period that concerns connections, or faultNone.
func (p period) door() faultKind {
	if len(p.faults) > 0 && alone(p.faults[0]) {
		return p.faults[0].kind
	}
	return faultNone
}

// draw says what happens to one request: how much later it is answered, and what is wrong with the answer.
func (p period) draw(chance *rand.Rand) (late time.Duration, f fault) {
	for _, c := range p.faults {
		switch hit := c.share == 100 || 100*chance.Float64() < c.share; {
		case !hit:
		case c.kind == faultLatency:
			late += c.wait
		case f.kind == faultNone:
			f = c
		}
	}
	return late, f
}
