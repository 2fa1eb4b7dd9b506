package sim

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

// Options say how fast the simulator answers and how often it fails. The zero value answers at once and never fails.
type Options struct {
	FirstToken      time.Duration // until the first token
	TokensPerSecond float64       // afterwards; 0: all at once
	Jitter          float64       // by which share of themselves these times vary, from 0 to 1
	ErrorRate       float64       // share of requests, from 0 to 1, that are answered by 429, 500 or 503
	Seed            int64         // other seeds give other answers and timing

	// Beat is how often a Provider calls Exchange.Idle while it waits; 0: never.
	Beat time.Duration
}

// chatPath is the only thing that the simulator answers, beside the list of its models.
const chatPath = "/chat/completions"

// engine makes scripts. Requests are numbered, so that a repeated request does not fail again and again.
type engine struct {
	o     Options
	count atomic.Uint64
}

// script is what happens to one request.
type script struct {
	behaviour
	requestID string
	refused   chat.Error // for a status that is not 200
	reply     chat.Reply

	stream, usage bool // the caller asked for events, and for usage in them
	first, gap    time.Duration
	jitter        float64
	digest        uint64
}

// script decides what happens to a request. path is below /v1; model is the name to go by, "" for the one in the body.
func (e *engine) script(path string, body []byte, model string) *script {
	n := e.count.Add(1)
	chance := source(uint64(e.o.Seed), chanceFailure^n) //nolint:gosec // any bits do
	s := &script{behaviour: healthy, requestID: "req_" + serial(chance, 32)}
	if path != chatPath {
		s.status, s.refused = 404, unknownPath("/v1"+path)
		return s
	}
	r, err := openai.DecodeRequest(body)
	if err != nil {
		s.status, s.refused = 400, badRequest(err)
		return s
	}
	if model != "" {
		r.Model = model
	}
	s.stream, s.usage = r.Stream, r.Stream && r.IncludeUsage
	b, known := parse(r.Model)
	s.behaviour = b
	switch {
	case !known:
		s.status, s.refused = 404, unknownModel(r.Model)
	case b.quota:
		s.refused = quotaSpent()
	case b.status != 0:
		s.refused = refusal(b.status)
	case !b.faulty() && chance.Float64() < e.o.ErrorRate:
		s.status, s.retryAfter = [...]int{429, 500, 503}[chance.IntN(3)], 1
		s.refused = refusal(s.status)
	default:
		s.answer(r, e.o)
	}
	s.pace(e.o)
	return s
}

// answer composes a reply with status 200.
func (s *script) answer(r *chat.Request, o Options) {
	if !s.stream && s.fail != never {
		s.inBand = true
	}
	s.status, s.digest = 200, digest(r, o.Seed)
	if s.inBand || s.empty {
		return
	}
	s.reply = compose(r, s.behaviour, s.digest)
	s.reply.Created = time.Now().Unix()
}

// pace sets the timing. Errors come at once, unless the model's name asks for a delay.
func (s *script) pace(o Options) {
	s.jitter = o.Jitter
	if s.status == 200 && !s.fast {
		s.first = o.FirstToken
		if o.TokensPerSecond > 0 {
			s.gap = time.Duration(min(float64(time.Second)/o.TokensPerSecond, math.MaxInt32*float64(time.Millisecond)))
		}
	}
	if s.slow >= 0 {
		s.first = s.slow
	}
}

// contentType is that of the reply.
func (s *script) contentType() string {
	switch {
	case s.html && s.status != 200:
		return "text/html"
	case s.events():
		return "text/event-stream; charset=utf-8"
	default:
		return "application/json"
	}
}

// events says whether the reply is a stream of events.
func (s *script) events() bool { return s.status == 200 && s.stream && !s.inBand }

// mute says whether not even the head of a reply comes.
func (s *script) mute() bool { return s.cut == 0 || s.stall == 0 }

// retry is the value of Retry-After, "" for none.
func (s *script) retry() string {
	if s.retryAfter == 0 || s.status < 400 {
		return ""
	}
	return strconv.Itoa(s.retryAfter)
}

// body is that of a reply that is no stream.
func (s *script) body() []byte {
	switch {
	case s.status != 200 && s.html:
		return []byte(htmlPage)
	case s.status != 200:
		return openai.AppendError(nil, s.refused)
	case s.inBand:
		return openai.AppendError(nil, broken())
	case s.empty:
		return nil
	}
	b := openai.AppendReply(nil, nil, &s.reply)
	if s.garble != never {
		b = append(b[:len(b)/2], `"]`...) // neither ends nor fits
	}
	return b
}

// wait is how long a reply that is no stream takes: as long as a stream would.
func (s *script) wait() time.Duration {
	p := s.play()
	var total time.Duration
	for more := true; more; {
		var after time.Duration
		after, more = p.advance()
		total += after
	}
	return total
}

// varied is d with its jitter.
func (s *script) varied(d time.Duration, rng *rand.Rand) time.Duration {
	if s.jitter == 0 || d == 0 {
		return d
	}
	return time.Duration(float64(d) * (1 + s.jitter*(2*rng.Float64()-1)))
}
