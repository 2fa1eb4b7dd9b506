package sim

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
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
	// Kept is told of each response that a Provider keeps for a tenant; nil: nobody is.
	Kept func(tenant, id string)
}

// talks says in which dialect a path below /v1 holds conversations; nil if it does not.
func talks(path string) *wire.Dialect {
	switch path {
	case "/chat/completions":
		return wire.OpenAI
	case "/responses":
		return wire.Responses
	case "/messages":
		return wire.Anthropic
	}
	return nil
}

// engine makes scripts. Requests are numbered, so that a repeated request does not fail again and again.
type engine struct {
	o       Options
	count   atomic.Uint64
	stored  shelf
	archive archive
}

// script is what happens to one request.
type script struct {
	behaviour
	dialect   *wire.Dialect
	request   *chat.Request // nil if it could not be read
	chance    *rand.Rand
	requestID string
	refused   chat.Error // for a status that is not 200
	reply     chat.Reply

	ready      *answer // what the reply is, if it is no conversation
	kept       bool    // the reply is stored
	stream     bool    // the caller asked for events
	first, gap time.Duration
	jitter     float64
	digest     uint64
}

// asked is a request for a conversation.
type asked struct {
	dialect *wire.Dialect
	body    []byte
	model   string // the name to go by; "" for the one in the body
	version string // the header anthropic-version, if there is one
	tenant  string // who asks, for what is kept
	most    int64  // tokens of the answer, if that is not 0
}

// script decides what happens to a request.
func (e *engine) script(a asked) *script {
	s := e.begin(a.dialect)
	decode := a.dialect.DecodeRequest
	if a.dialect == wire.Responses {
		decode = func(body []byte) (*chat.Request, error) {
			return responses.Decode(body, func(id string) []byte { return e.stored.item(a.tenant, id) })
		}
	}
	r, err := decode(a.body)
	if err != nil {
		s.status, s.refused = 400, badRequest(err)
		return s
	}
	if a.model != "" {
		r.Model = a.model
	}
	if a.most > 0 && (r.MaxTokens == nil || *r.MaxTokens > a.most) {
		r.MaxTokens = &a.most
	}
	r.Dialect = a.dialect.Name
	s.request, s.stream = r, r.Stream
	if e.refuses(s, r.Model) {
		return s
	}
	if d := &r.Sampling; a.version == anthropic.Version2026 && (d.Temperature != nil || d.TopP != nil || d.TopK != nil) {
		s.status, s.refused = 400, chat.Error{
			Type: gateway.TypeInvalidRequest, Message: "temperature, top_p, top_k: are not taken by version " + a.version + ".",
		}
		return s
	}
	if bad := unthought(r); bad != nil && a.dialect == wire.Anthropic {
		s.status, s.refused = 400, *bad
		return s
	}
	whole, err := e.stored.whole(a.tenant, r)
	if err != nil {
		s.status, s.refused = 400, badRequest(err)
		return s
	}
	s.answer(whole, e.o)
	s.pace(e.o)
	if s.dialect == wire.Responses && !s.inBand && !s.empty && (r.Store == nil || *r.Store) {
		s.kept = true
		e.stored.keep(a.tenant, &stored{request: whole, said: r, reply: &s.reply})
	}
	return s
}

func (e *engine) begin(d *wire.Dialect) *script {
	n := e.count.Add(1)
	chance := source(uint64(e.o.Seed), chanceFailure^n) //nolint:gosec // any bits do
	return &script{behaviour: healthy, dialect: d, chance: chance, requestID: "req_" + serial(chance, 32)}
}

// refuses says whether the model's name asks for an error, or chance does, and makes it.
func (e *engine) refuses(s *script, model string) bool {
	b, known := parse(model)
	s.behaviour = b
	switch {
	case !known:
		s.status, s.refused = 404, unknownModel(model)
	case b.quota:
		s.refused = quotaSpent()
	case b.status != 0:
		s.refused = refusal(b.status)
	case !b.faulty() && s.chance.Float64() < e.o.ErrorRate:
		s.status, s.retryAfter = [...]int{429, 500, 503}[s.chance.IntN(3)], 1
		s.refused = refusal(s.status)
	default:
		return false
	}
	s.pace(e.o)
	return true
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
	case s.ready != nil:
		return s.ready.contentType
	case s.html && s.status != 200:
		return "text/html"
	case s.events():
		return "text/event-stream; charset=utf-8"
	default:
		return "application/json"
	}
}

// events says whether the reply is a stream of events.
func (s *script) events() bool {
	if s.ready != nil {
		return s.ready.events != nil
	}
	return s.status == 200 && s.stream && !s.inBand
}

// mute says whether not even the head of a reply comes.
func (s *script) mute() bool { return s.cut == 0 || s.stall == 0 }

// retry is the value of Retry-After, "" for none.
func (s *script) retry() string {
	switch {
	case s.ready != nil:
		return s.ready.retry
	case s.retryAfter == 0 || s.status < 400:
		return ""
	}
	return strconv.Itoa(s.retryAfter)
}

// body is that of a reply that is no stream.
func (s *script) body() []byte {
	switch {
	case s.ready != nil:
		return s.ready.body
	case s.status != 200 && s.html:
		return []byte(htmlPage)
	case s.status != 200:
		return s.dialect.AppendError(nil, s.refused)
	case s.inBand:
		return s.dialect.AppendError(nil, broken())
	case s.empty:
		return nil
	}
	b := s.dialect.AppendReply(nil, s.request, &s.reply)
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
