package admin

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
)

// Purged says how many answers were taken out of this node's cache.
type Purged struct {
	Answers int `json:"answers"`
}

// purge is what a body says: which answers.
type purge struct {
	Model string `json:"model"` // canonical name
	Tag   string `json:"tag"`
	ID    string `json:"id"` // of one answer, as x-sluice-cache-id has it
}

// cache is the present generation's, if there is one.
func (c *call) cache() (gateway.Cache, error) {
	if c.s.o.Cache != nil {
		if cache := c.s.o.Cache(); cache != nil {
			return cache, nil
		}
	}
	return nil, &apiError{http.StatusServiceUnavailable, "cache_unavailable", "There is no cache: put cache into the chain."}
}

func (c *call) explain() error {
	cache, err := c.cache()
	if err != nil {
		return err
	}
	d, ok := cache.Explain(c.tenant(), c.r.PathValue("exchange"))
	if !ok {
		return c.noDecision()
	}
	return c.json(http.StatusOK, Answer[gateway.CacheDecision]{Data: d})
}

func (c *call) noDecision() error {
	return &apiError{http.StatusNotFound, "not_found", "This node knows of no decision about " + strconv.Quote(c.r.PathValue("exchange")) +
		". It remembers the last ten thousand; a request whose very bytes came before is always a hit."}
}

func (c *call) rejectAnswer() error {
	cache, err := c.cache()
	if err != nil {
		return err
	}
	exchange := c.r.PathValue("exchange")
	if !cache.Reject(c.tenant(), exchange) {
		return c.noDecision()
	}
	c.noteCache(exchange, "")
	return c.json(http.StatusOK, Answer[Done]{Data: Done{Done: true}})
}

func (c *call) purgeCache() error {
	cache, err := c.cache()
	if err != nil {
		return err
	}
	var p purge
	if err := c.optionalBody(&p); err != nil {
		return err
	}
	n := cache.Purge(gateway.CachePurge{Tenant: c.tenant(), Model: p.Model, Tag: p.Tag, ID: p.ID})
	var which []string
	for _, part := range [][2]string{{"model", p.Model}, {"tag", p.Tag}, {"id", p.ID}} {
		if part[1] != "" {
			which = append(which, part[0]+"="+part[1])
		}
	}
	if which == nil {
		which = []string{"all"}
	}
	c.noteCache(strings.Join(which, " "), strconv.Itoa(n)+" answers")
	return c.json(http.StatusOK, Answer[Purged]{Data: Purged{Answers: n}})
}

// noteCache writes the audit's entry of what was done to a tenant's cache, which is not in the store.
func (c *call) noteCache(object, after string) {
	c.s.o.Log.Info("admin change", zap.String("action", c.route.action), zap.String("tenant_id", string(c.tenant())), zap.String("object", object),
		zap.String("who", c.by.name), zap.String("remote_addr", c.r.RemoteAddr))
	if c.s.o.Store == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(c.r.Context()), noteTimeout)
	defer stop()
	e := c.entry(object, "", after)
	e.Tenant = c.tenant()
	if err := c.s.o.Store.Note(ctx, e); err != nil {
		c.s.o.Log.Error("a change of the cache is not in the audit", zap.String("action", e.Action), zap.String("object", object), zap.Error(err))
	}
}

// CacheFigures are what the cache of this node has done since it began, for all tenants.
type CacheFigures struct {
	Mode     string  `json:"mode"`                // of the semantic tier: off, shadow, verified
	MaxWrong float64 `json:"max_wrong,omitempty"` // how much of what it serves may be wrong

	Requests  []Count `json:"requests"`  // exact, semantic, coalesced, stale, miss, bypass
	Bypass    []Count `json:"bypass"`    // by the reason
	Decisions []Count `json:"decisions"` // questions that were compared to others
	Judged    []Count `json:"judged"`    // answers that the judge was to look at, by the verdict
	Entries   int64   `json:"entries"`
	Bytes     int64   `json:"bytes"`
	Saved     string  `json:"saved_usd"`
	SavedTime float64 `json:"saved_ms"`
}

// Count is how often something came.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// CachePolicy is what the operator lets the semantic cache do.
type CachePolicy struct {
	Mode     string
	MaxWrong float64 // share of what is served
}

// cacheFigures answers GET /admin/v1/cache.
func (c *call) cacheFigures() error {
	if err := c.asks(); err != nil {
		return err
	}
	f, err := c.s.gather()
	if err != nil {
		return err
	}
	a := CacheFigures{
		Mode:     "off",
		Requests: f.counts("sluice_cache_requests_total", "result"), Bypass: f.counts("sluice_cache_bypass_total", "reason"),
		Decisions: f.counts("sluice_cache_semantic_total", "decision"), Judged: f.counts("sluice_cache_judged_total", "verdict"),
		Entries: int64(f.sum("sluice_cache_entries")), Bytes: int64(f.sum("sluice_cache_bytes")),
		Saved: dollars(f.sum("sluice_cache_saved_usd_total")), SavedTime: f.sum("sluice_cache_saved_seconds_total") * 1000,
	}
	if c.s.o.CachePolicy != nil {
		p := c.s.o.CachePolicy()
		a.Mode, a.MaxWrong = p.Mode, p.MaxWrong
	}
	return c.json(http.StatusOK, Answer[CacheFigures]{Data: a})
}
