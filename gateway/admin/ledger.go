package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Row is a row of the ledger: one attempt, or one answer from the cache.
type Row struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	At       time.Time `json:"at"`
	Node     string    `json:"node"`
	Tenant   tenant.ID `json:"tenant"`
	Key      string    `json:"key,omitempty"`
	User     string    `json:"user,omitempty"`
	Request  string    `json:"request"`
	Endpoint string    `json:"endpoint"`
	Dialect  string    `json:"dialect,omitempty"`

	Asked    string `json:"asked,omitempty"` // as the caller wrote it
	Model    string `json:"model,omitempty"`
	Provider string `json:"provider,omitempty"`
	Account  string `json:"account,omitempty"`  // name of the provider's key
	Target   string `json:"target,omitempty"`   // as the provider calls the model
	Upstream string `json:"upstream,omitempty"` // the provider's own id of the request
	Of       string `json:"of,omitempty"`       // the row that was paid for, of an answer from the cache

	Attempt int      `json:"attempt,omitempty"`
	Flags   []string `json:"flags,omitempty"`
	Outcome string   `json:"outcome"`
	Status  int      `json:"status,omitempty"`
	Waited  float64  `json:"waited_ms"`
	First   float64  `json:"first_ms,omitempty"`
	Total   float64  `json:"total_ms,omitempty"`

	Input          int64  `json:"input_tokens"`
	CacheRead      int64  `json:"cache_read_tokens,omitempty"`
	CacheWrite     int64  `json:"cache_write_tokens,omitempty"`
	CacheWriteHour int64  `json:"cache_write_hour_tokens,omitempty"`
	InputAudio     int64  `json:"input_audio_tokens,omitempty"`
	InputImage     int64  `json:"input_image_tokens,omitempty"`
	Output         int64  `json:"output_tokens"`
	Reasoning      int64  `json:"reasoning_tokens,omitempty"`
	OutputAudio    int64  `json:"output_audio_tokens,omitempty"`
	OutputImage    int64  `json:"output_image_tokens,omitempty"`
	Provenance     string `json:"provenance"`
	Tier           string `json:"tier,omitempty"`

	Price    string `json:"price,omitempty"`    // version of the prices
	Cost     string `json:"cost_usd,omitempty"` // left out if it is not known
	Reserved string `json:"reserved_usd"`
	Charge   string `json:"charge_usd"`
	Saved    string `json:"saved_usd,omitempty"`
}

func rowOf(r *ledger.Row) Row {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	u := &r.Usage
	row := Row{
		ID: r.ID.String(), Kind: r.Kind.String(), At: r.At.UTC(), Node: r.Node, Tenant: r.Tenant, Key: r.Key, User: r.User, Request: r.Request,
		Endpoint: r.Endpoint, Dialect: r.Dialect, Asked: r.Asked, Model: r.Model, Provider: r.Provider, Account: r.Account, Target: r.Target, Upstream: r.Upstream,
		Attempt: int(r.Attempt), Flags: r.Flags.Names(), Outcome: r.Outcome.String(), Status: r.Status,
		Waited: ms(r.Waited), First: ms(r.First), Total: ms(r.Total),
		Input: u.Input, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite, CacheWriteHour: u.CacheWriteHour, InputAudio: u.InputAudio, InputImage: u.InputImage,
		Output: u.Output, Reasoning: u.Reasoning, OutputAudio: u.OutputAudio, OutputImage: u.OutputImage, Provenance: u.Provenance.String(), Tier: u.Tier,
		Reserved: usd(r.Reserved), Charge: usd(r.Charge),
	}
	if !r.Of.IsZero() {
		row.Of = r.Of.String()
	}
	if r.Price != 0 {
		row.Price = strconv.FormatUint(r.Price, 16)
	}
	if r.Cost.Known {
		row.Cost = usd(r.Cost.Picodollars)
	}
	if r.Saved != 0 {
		row.Saved = usd(r.Saved)
	}
	return row
}

// rowQuery is which rows the query asks for.
func (c *call) rowQuery(more ...string) (q store.RowQuery, err error) {
	if err := c.asks(append(more, "tenant", "from", "to", "key", "user", "model", "provider", "request", "outcome")...); err != nil {
		return q, err
	}
	if q.From, err = c.time("from"); err != nil {
		return q, err
	}
	if q.To, err = c.time("to"); err != nil {
		return q, err
	}
	q.Key, q.User, q.Model = c.query.Get("key"), c.query.Get("user"), c.query.Get("model")
	q.Provider, q.Request = c.query.Get("provider"), c.query.Get("request")
	if name := c.query.Get("outcome"); name != "" {
		o := ledger.Unknown
		for o < ledger.Spent && o.String() != name {
			o++
		}
		if o.String() != name {
			return q, &apiError{http.StatusBadRequest, "invalid_query", "There is no outcome of this name."}
		}
		q.Outcome = &o
	}
	return q, nil
}

// ledger answers GET /admin/v1/ledger: rows, the newest first, or with ?order=oldest the oldest.
func (c *call) ledger() error {
	q, err := c.rowQuery("after", "limit", "order")
	if err != nil {
		return err
	}
	q.After = c.query.Get("after")
	if q.Limit, err = c.pageOf(store.MostRows); err != nil {
		return err
	}
	switch c.query.Get("order") {
	case "", "newest":
	case "oldest":
		q.Oldest = true
	default:
		return &apiError{http.StatusBadRequest, "invalid_query", "order is newest or oldest."}
	}
	list, next, err := c.rows(q)
	if err != nil {
		return err
	}
	a := Answer[[]Row]{Data: make([]Row, len(list)), Next: next}
	for i := range list {
		a.Data[i] = rowOf(&list[i])
	}
	return c.json(http.StatusOK, a)
}

// rows is a page of what the caller may see.
func (c *call) rows(q store.RowQuery) ([]ledger.Row, string, error) {
	whose, err := c.whose()
	if err != nil {
		return nil, "", err
	}
	s, ctx, stop, err := c.store()
	if err != nil {
		return nil, "", err
	}
	defer stop()
	return s.Rows(ctx, whose, q)
}

// row answers GET /admin/v1/ledger/{id}.
func (c *call) row() error {
	if err := c.asks("tenant"); err != nil {
		return err
	}
	none := &apiError{http.StatusNotFound, "not_found", "There is no such row in the ledger."}
	id, err := ledger.ParseID(c.r.PathValue("id"))
	if err != nil {
		return none
	}
	list, _, err := c.rows(store.RowQuery{ID: id, Limit: 2})
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return none
	case len(list) > 1: // two tenants have it: a node's clock and its chance were those of another
		return &apiError{http.StatusBadRequest, "missing_tenant", "More than one tenant has a row of this id. Say which: ?tenant=ID."}
	}
	return c.json(http.StatusOK, Answer[Row]{Data: rowOf(&list[0])})
}

// export answers GET /admin/v1/ledger.csv: all rows that are asked for, the oldest first, a page at a time, so that any number of
// them takes little memory. It ends when the client has left, and in the middle of a line if the store fails.
func (c *call) export() error {
	q, err := c.rowQuery()
	if err != nil {
		return err
	}
	q.Oldest, q.Limit = true, store.MostRows
	list, next, err := c.rows(q) // what is wrong is answered as long as nothing has been
	if err != nil {
		return err
	}
	t, err := c.newTable(Row{}, "ledger.csv")
	control := http.NewResponseController(c.w)
	for err == nil {
		_ = control.SetWriteDeadline(time.Now().Add(time.Minute)) // for a page; in tests there is none
		for i := range list {
			if err = t.add(rowOf(&list[i])); err != nil {
				return c.broken(err)
			}
		}
		if err = t.end(); err != nil || next == "" {
			break
		}
		q.After = next
		list, next, err = c.rows(q)
	}
	_ = control.SetWriteDeadline(time.Time{})
	return c.broken(err)
}

// Report is what came of checking the store's sums against its rows. It is right if wrong is empty.
type Report struct {
	From    *time.Time `json:"from,omitempty"` // what was looked at: whole days that have rows
	To      *time.Time `json:"to,omitempty"`
	Rows    int64      `json:"rows"`
	Unknown int64      `json:"unknown"` // rows that were written after a crash, in place of what was lost
	Charge  string     `json:"charge_usd"`
	Wrong   []string   `json:"wrong"`
	Entries int64      `json:"entries"` // of the audit that were looked at; 0 if it is for one tenant
}

// verify answers GET /admin/v1/ledger/verify. It reads every row, and takes as long as that takes.
func (c *call) verify() error {
	err := c.asks("tenant", "from", "to")
	if err != nil {
		return err
	}
	from, err := c.time("from")
	if err != nil {
		return err
	}
	to, err := c.time("to")
	if err != nil {
		return err
	}
	whose, err := c.whose()
	if err != nil {
		return err
	}
	if c.s.o.Store == nil {
		return errNoStore()
	}
	report, err := c.s.o.Store.Verify(c.r.Context(), whose, from, to)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, Answer[Report]{Data: ReportOf(&report)})
}

// ReportOf is what is shown of a store's report.
func ReportOf(r *store.Report) Report {
	return Report{moment(r.From), moment(r.To), r.Rows, r.Unknown, r.Charge.String(), append([]string{}, r.Wrong...), r.Entries}
}

// Stores is how what the gateway keeps is doing.
type Stores struct {
	Store   *StoreNow   `json:"store,omitempty"`   // left out if there is none
	Journal *JournalNow `json:"journal,omitempty"` // the same
	Nodes   int         `json:"nodes"`             // that share the counts of limits and budgets, as far as known
}

// StoreNow is how the store is doing.
type StoreNow struct {
	Ready  bool `json:"ready"`            // it answers, and its schema will do
	Schema int  `json:"schema,omitempty"` // that is there
	Wanted int  `json:"wanted,omitempty"` // that this version was made for: an older one wants sluice migrate, a newer one does
}

// JournalNow is how the journal is doing, which has what the store does not have yet.
type JournalNow struct {
	Segments int        `json:"segments"`
	Room     int64      `json:"room_bytes"`
	Open     int        `json:"open"`    // attempts on their way
	Waiting  int64      `json:"waiting"` // rows that the store does not have yet
	Oldest   *time.Time `json:"oldest,omitempty"`
	Full     bool       `json:"full"`
	Disk     string     `json:"disk_error,omitempty"`
	Store    string     `json:"store_error,omitempty"`
}

// stores answers GET /admin/v1/stores.
func (c *call) stores() error {
	if err := c.asks(); err != nil {
		return err
	}
	a := Stores{Nodes: 1}
	if c.s.o.Store != nil {
		ctx, stop := context.WithTimeout(c.r.Context(), noteTimeout)
		defer stop()
		have, want, err := c.s.o.Store.Version(ctx)
		a.Store = &StoreNow{Ready: err == nil && have >= want, Schema: have, Wanted: want}
	}
	if c.s.o.Journal != nil {
		j := c.s.o.Journal.Standing()
		a.Journal = &JournalNow{Segments: j.Segments, Room: j.Room, Open: j.Open, Waiting: j.Waiting, Oldest: moment(j.Oldest), Full: j.Full}
		if j.Disk != nil {
			a.Journal.Disk = j.Disk.Error()
		}
		if j.Store != nil {
			a.Journal.Store = "the store takes no rows; the gateway's log says why" // what databases say may have their address
		}
	}
	if c.s.o.Nodes != nil {
		a.Nodes = c.s.o.Nodes()
	}
	return c.json(http.StatusOK, Answer[Stores]{Data: a})
}
