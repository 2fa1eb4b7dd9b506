package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
	"github.com/sluice-ai/sluice/gateway/store"
)

// Bounds of what an operator may send.
const (
	maxOrder  = 4 << 10 // bytes
	maxReason = 200     // characters

	noteTimeout = 2 * time.Second
)

// Targets is the answer to GET /admin/v1/targets, and to an order, of the targets that it was for.
type Targets struct {
	Targets []health.Snapshot `json:"targets"`
	Orders  []health.Order    `json:"orders,omitempty"` // of operators, that hold; also for targets that are not there yet
}

// targets answers GET /admin/v1/targets. provider, key and model in the query choose; what is left out stands for all.
func (c *call) targets() error {
	found, err := c.s.chosen(c.r)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, Targets{found, c.s.o.Targets.Orders()})
}

// ordering gives an operator's word to the targets that a request chooses, as GET does, but for the provider, which it must name.
func ordering(word health.Word) func(*call) error {
	return func(c *call) error {
		why, err := reason(http.MaxBytesReader(c.w, c.r.Body, maxOrder))
		if err != nil {
			return err
		}
		if c.query.Get("provider") == "" {
			return &apiError{http.StatusBadRequest, "missing_provider", "Name the provider: ?provider=NAME, and key and model if not all of its targets are meant."}
		}
		if _, err := c.s.chosen(c.r); err != nil { // what is wrong with the query
			return err
		}
		named := func(name string) *string {
			if !c.query.Has(name) {
				return nil
			}
			value := c.query.Get(name)
			return &value
		}
		order := health.Order{Provider: c.query.Get("provider"), Key: named("key"), Model: named("model"), Word: word, Reason: why}
		if !c.s.o.Targets.Order(clock.Now(), order) {
			return &apiError{http.StatusNotFound, "no_such_target", "No target has this provider, key and model. GET /admin/v1/targets lists them."}
		}
		found, _ := c.s.chosen(c.r)
		c.s.o.Log.Info("admin order", zap.String("order", string(word)), zap.String("provider", order.Provider), zap.Stringp("key", order.Key),
			zap.Stringp("model", order.Model), zap.String("reason", why), zap.String("who", c.by.name), zap.String("remote_addr", c.r.RemoteAddr), zap.Int("targets", len(found)))
		c.note(c.query.Encode(), why)
		return c.json(http.StatusOK, Targets{found, c.s.o.Targets.Orders()})
	}
}

// note writes the audit's entry of what is no change of the store. A store that is away does not hold it up: an outage is when
// targets must be taken out of service.
func (c *call) note(object, after string) {
	if c.s.o.Store == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(c.r.Context()), noteTimeout)
	defer stop()
	e := c.entry(object, "", after)
	e.Tenant = store.Operator
	if err := c.s.o.Store.Note(ctx, e); err != nil {
		c.s.o.Log.Error("an order is not in the audit", zap.String("order", e.Action), zap.String("targets", object), zap.Error(err))
	}
}

// chosen are the targets that the query names.
func (s *Server) chosen(r *http.Request) ([]health.Snapshot, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &apiError{http.StatusBadRequest, "invalid_query", "The query is not valid: " + err.Error()}
	}
	for name, values := range query {
		if !slices.Contains([]string{"provider", "key", "model"}, name) || len(values) > 1 {
			return nil, &apiError{http.StatusBadRequest, "invalid_query", "The query may have provider, key and model, each once; not " + name + "."}
		}
	}
	found := []health.Snapshot{}
	for _, t := range s.o.Targets.All(clock.Now()) {
		fits := func(name, value string) bool { return !query.Has(name) || query.Get(name) == value }
		if fits("provider", t.Provider) && fits("key", t.Key) && fits("model", t.Model) {
			found = append(found, t)
		}
	}
	return found, nil
}

// reason reads {"reason": "…"}; an empty body has none.
func reason(body io.Reader) (string, error) {
	var order struct {
		Reason string `json:"reason"`
	}
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&order); err != nil && !errors.Is(err, io.EOF) {
		return "", &apiError{http.StatusBadRequest, "invalid_json", "The body may be empty, or {\"reason\": \"…\"} of at most 4 KiB: " + err.Error()}
	}
	clean := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(order.Reason)))
	return string(clean[:min(len(clean), maxReason)]), nil
}
