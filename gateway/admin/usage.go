package admin

import (
	"net/http"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Usage is a line of sums. Costs are what the operator pays, charges what the tenant does.
type Usage struct {
	At         *time.Time `json:"at,omitempty"` // when the hour or day begins
	Tenant     tenant.ID  `json:"tenant,omitempty"`
	Key        string     `json:"key,omitempty"`
	Model      string     `json:"model,omitempty"`
	Provider   string     `json:"provider,omitempty"`
	Attempts   int64      `json:"attempts"`
	Cached     int64      `json:"cached"` // answers from the cache
	Failed     int64      `json:"failed"` // attempts that the provider, or the way to it, failed
	Input      int64      `json:"input_tokens"`
	CacheRead  int64      `json:"cache_read_tokens"`
	CacheWrite int64      `json:"cache_write_tokens"`
	Output     int64      `json:"output_tokens"`
	Reasoning  int64      `json:"reasoning_tokens"`
	Cost       string     `json:"cost_usd"`
	Charge     string     `json:"charge_usd"`
	Unpriced   int64      `json:"unpriced"` // attempts whose cost is not known; they are in no sum of money
}

func usageOf(u *store.Usage) Usage {
	return Usage{
		moment(u.At), u.Tenant, u.Key, u.Model, u.Provider, u.Attempts, u.Cached, u.Failed, u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning,
		u.Cost.String(), u.Charge.String(), u.Unpriced,
	}
}

// usage answers GET /admin/v1/usage: sums, ?by= hour, day (if neither is said) or all, and any of tenant, key, model and provider.
func (c *call) usage() error {
	q, err := c.usageQuery()
	if err != nil {
		return err
	}
	csv, err := c.wantsCSV()
	if err != nil {
		return err
	}
	whose, err := c.whose()
	if err != nil {
		return err
	}
	s, err := c.store()
	if err != nil {
		return err
	}
	list, err := s.Usage(c.ctx, whose, q)
	if err != nil {
		return err
	}
	if csv {
		t, err := c.newTable(Usage{}, "usage.csv")
		for i := range list {
			if err == nil {
				err = t.add(usageOf(&list[i]))
			}
		}
		if err == nil {
			err = t.end()
		}
		return c.broken(err)
	}
	a := Answer[[]Usage]{Data: make([]Usage, len(list))}
	for i := range list {
		a.Data[i] = usageOf(&list[i])
	}
	return c.json(http.StatusOK, a)
}

// broken ends the connection after an error in the middle of an answer, so that the client does not take it for a whole one.
func (c *call) broken(err error) error {
	if err != nil {
		panic(http.ErrAbortHandler) // it is what net/http has for that
	}
	return nil
}

func (c *call) usageQuery() (q store.UsageQuery, err error) {
	if err := c.asks("tenant", "from", "to", "by", "key", "model", "provider", "limit", "format"); err != nil {
		return q, err
	}
	if q.From, err = c.time("from"); err != nil {
		return q, err
	}
	if q.To, err = c.time("to"); err != nil {
		return q, err
	}
	q.Where = store.UsageFilter{Key: c.query.Get("key"), Model: c.query.Get("model"), Provider: c.query.Get("provider")}
	if c.query.Has("limit") {
		if q.Limit, err = c.pageOf(store.MostUsage); err != nil {
			return q, err
		}
	}
	q.By = store.Day
	buckets := 0
	for word := range strings.SplitSeq(c.query.Get("by"), ",") {
		switch word {
		case "":
		case "hour":
			q.By = store.Hour
			buckets++
		case "day":
			buckets++
		case "all":
			q.By = store.All
			buckets++
		case "tenant":
			q.Tenant = true
		case "key":
			q.Key = true
		case "model":
			q.Model = true
		case "provider":
			q.Provider = true
		default:
			buckets = 2
		}
	}
	if buckets > 1 {
		return q, &apiError{http.StatusBadRequest, "invalid_query", "by is one of hour, day and all, and any of tenant, key, model and provider, with commas: by=day,model."}
	}
	return q, nil
}

// time is a moment in the query: as RFC 3339, or a day, whose first moment in UTC is meant.
func (c *call) time(name string) (time.Time, error) {
	text := c.query.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, &apiError{http.StatusBadRequest, "invalid_query", name + " is a day such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z."}
}

// Change is an entry of the audit: who did what to what, and when.
type Change struct {
	Seq      int64     `json:"seq"`
	At       time.Time `json:"at"`
	Tenant   tenant.ID `json:"tenant,omitempty"`
	Who      string    `json:"who"`
	Role     string    `json:"role"`
	Address  string    `json:"address"`
	Action   string    `json:"action"`
	Object   string    `json:"object"`
	Before   string    `json:"before,omitempty"` // digests of what it was and became
	After    string    `json:"after,omitempty"`
	Revision int64     `json:"revision"`
}

// audit answers GET /admin/v1/audit: the newest entries first.
func (c *call) audit() error {
	err := c.asks("tenant", "from", "to", "action", "after", "limit")
	if err != nil {
		return err
	}
	q := store.EntryQuery{Action: c.query.Get("action"), After: c.query.Get("after")}
	if q.From, err = c.time("from"); err != nil {
		return err
	}
	if q.To, err = c.time("to"); err != nil {
		return err
	}
	if q.Limit, err = c.pageOf(store.MostRows); err != nil {
		return err
	}
	whose, err := c.whose()
	if err != nil {
		return err
	}
	s, err := c.store()
	if err != nil {
		return err
	}
	list, next, err := s.Entries(c.ctx, whose, q)
	if err != nil {
		return err
	}
	a := Answer[[]Change]{Data: make([]Change, len(list)), Next: next}
	for i, e := range list {
		a.Data[i] = Change{e.Seq, e.At.UTC(), e.Tenant, e.Who, e.Role, e.Address, e.Action, e.Object, e.Before, e.After, e.Revision}
	}
	return c.json(http.StatusOK, a)
}
