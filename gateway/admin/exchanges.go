package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// mostLatest is how many exchanges an answer has if nobody says how many.
const mostLatest = 100

// Latest is the answer to GET /admin/v1/exchanges.
type Latest struct {
	Exchanges []Exchange `json:"exchanges"` // oldest first
	Next      string     `json:"next"`      // what ?after= is next time, for what has come until then
}

// Exchange is one that has ended, with the names that the log has, too. What is not there is left out; times are in milliseconds.
type Exchange struct {
	Time        time.Time `json:"time"` // when it began
	ID          string    `json:"id"`
	Endpoint    string    `json:"endpoint"`
	Tenant      tenant.ID `json:"tenant,omitempty"`
	Key         string    `json:"key,omitempty"`
	User        string    `json:"user,omitempty"`
	Model       string    `json:"model,omitempty"`
	Provider    string    `json:"provider,omitempty"` // of the attempt that decided
	TargetModel string    `json:"target_model,omitempty"`
	Upstream    string    `json:"upstream_request_id,omitempty"`
	Resent      bool      `json:"resent,omitempty"`
	Waited      float64   `json:"waited_ms,omitempty"`
	Status      int       `json:"status"`
	Aborted     bool      `json:"aborted,omitempty"` // the reply had begun, and was cut short
	Stream      bool      `json:"stream,omitempty"`
	Cache       string    `json:"cache,omitempty"`
	Client      string    `json:"client,omitempty"`
	ErrorCode   string    `json:"error_code,omitempty"`
	ErrorOrigin string    `json:"error_origin,omitempty"`
	Error       string    `json:"error,omitempty"`
	First       float64   `json:"first_ms,omitempty"`
	Total       float64   `json:"total_ms"`

	Usage        string  `json:"usage,omitempty"` // reported, estimated …; without it no tokens are known
	Input        int64   `json:"input_tokens,omitempty"`
	CacheRead    int64   `json:"cache_read_tokens,omitempty"`
	CacheWrite   int64   `json:"cache_write_tokens,omitempty"`
	CacheHour    int64   `json:"cache_write_hour_tokens,omitempty"`
	InputAudio   int64   `json:"input_audio_tokens,omitempty"`
	InputImage   int64   `json:"input_image_tokens,omitempty"`
	Output       int64   `json:"output_tokens,omitempty"`
	Reasoning    int64   `json:"reasoning_tokens,omitempty"`
	OutputAudio  int64   `json:"output_audio_tokens,omitempty"`
	OutputImage  int64   `json:"output_image_tokens,omitempty"`
	Recording    float64 `json:"recording_ms,omitempty"`
	Tier         string  `json:"service_tier,omitempty"`
	CostUSD      float64 `json:"cost_usd,omitempty"`
	Cost         string  `json:"cost,omitempty"` // unknown
	CostReason   string  `json:"cost_reason,omitempty"`
	AttemptCount int     `json:"attempts,omitempty"`

	Tries []Try  `json:"tries,omitempty"` // every attempt
	Steps []Step `json:"steps,omitempty"` // of all exchanges while somebody looks on, and of some else
}

// Try is one attempt of an exchange.
type Try struct {
	Provider    string  `json:"provider"`
	Key         string  `json:"key,omitempty"`
	TargetModel string  `json:"target_model,omitempty"`
	Outcome     string  `json:"outcome"`
	Status      int     `json:"status,omitempty"`
	Resent      bool    `json:"resent,omitempty"`
	Hedged      bool    `json:"hedged,omitempty"`
	Waited      float64 `json:"waited_ms,omitempty"`
	At          float64 `json:"at_ms"` // from the beginning of the exchange
	First       float64 `json:"first_ms,omitempty"`
	Error       string  `json:"error,omitempty"`
	Total       float64 `json:"total_ms"`
	CostUSD     float64 `json:"cost_usd,omitempty"`
	Cost        string  `json:"cost,omitempty"`
	CostReason  string  `json:"cost_reason,omitempty"`
}

// Step is when an exchange came to a plugin; forward is what carries the plan out.
type Step struct {
	Name string  `json:"name"`
	At   float64 `json:"at_ms"`
}

// exchanges answers GET /admin/v1/exchanges: the latest that this node remembers, as a list, or those and all that follow as a
// stream, if the client accepts text/event-stream. Who asks is taken for somebody who looks on: for two minutes all are remembered.
func (c *call) exchanges() error {
	if err := c.asks("tenant", "after", "limit"); err != nil {
		return err
	}
	if id := tenant.ID(c.query.Get("tenant")); id != "" && !c.by.sees(id) {
		return noTenant(id)
	}
	limit := mostLatest
	if c.query.Has("limit") {
		var err error
		if limit, err = strconv.Atoi(c.query.Get("limit")); err != nil || limit < 1 || limit > 1000 {
			return &apiError{http.StatusBadRequest, "invalid_query", "limit is a number from 1 to 1000."}
		}
	}
	var memory gateway.Recent
	if c.s.o.Recent != nil {
		memory = c.s.o.Recent()
	}
	if memory == nil {
		return &apiError{http.StatusServiceUnavailable, "exchanges_unavailable", "No exchange is remembered: put telemetry into the chain."}
	}
	if accepts(c.r.Header.Get("Accept")) {
		c.followExchanges(memory, limit)
		return nil
	}
	list, next, _ := c.latest(memory, c.s.lastOf(c.query.Get("after")), limit)
	a := Latest{Exchanges: make([]Exchange, len(list)), Next: c.s.id(next)}
	for i := range list {
		if err := json.Unmarshal(list[i].Line, &a.Exchanges[i]); err != nil {
			return fmt.Errorf("exchange %d: %w", list[i].Seq, err) // the plugin wrote it
		}
	}
	return c.json(http.StatusOK, a)
}

// latest are those of the exchanges after one that the caller may see and has asked for, no more than limit, and the number of the
// last that he has not to ask for again.
func (c *call) latest(memory gateway.Recent, after uint64, limit int) (list []gateway.Ended, last uint64, news <-chan struct{}) {
	all, news := memory.Recent(after)
	one := tenant.ID(c.query.Get("tenant"))
	for _, e := range all {
		after = e.Seq
		if one == "" && c.by.sees(e.Tenant) || one != "" && e.Tenant == one {
			list = append(list, e)
		}
	}
	return list[max(len(list)-limit, 0):], after, news
}

// followExchanges streams them: events "exchange" whose data is what the list has. A reload may put another memory in the place of
// the one that is followed, whose numbers begin anew.
func (c *call) followExchanges(memory gateway.Recent, limit int) {
	after := c.s.lastOf(c.r.Header.Get("Last-Event-ID"))
	c.s.pour(c.w, c.r, func() (text []byte, news <-chan struct{}) {
		if now := c.s.o.Recent(); now != nil && now != memory {
			memory, after = now, 0
		}
		list, last, news := c.latest(memory, after, limit)
		after = last
		for _, e := range list {
			text = fmt.Appendf(text, "id: %s\nevent: exchange\ndata: %s\n\n", c.s.id(e.Seq), e.Line)
		}
		return text, news
	})
}
