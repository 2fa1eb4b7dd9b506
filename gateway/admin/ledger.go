package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/store"
)

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
	a := Answer[[]ledger.Line]{Data: make([]ledger.Line, len(list)), Next: next}
	for i := range list {
		a.Data[i] = list[i].Line()
	}
	return c.json(http.StatusOK, a)
}

// rows is a page of what the caller may see.
func (c *call) rows(q store.RowQuery) ([]ledger.Row, string, error) {
	whose, err := c.whose()
	if err != nil {
		return nil, "", err
	}
	s, err := c.store()
	if err != nil {
		return nil, "", err
	}
	ctx, stop := context.WithTimeout(c.r.Context(), storeTimeout) // each page's own
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
	return c.json(http.StatusOK, Answer[ledger.Line]{Data: list[0].Line()})
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
	t, err := c.newTable(ledger.Line{}, "ledger.csv")
	control := http.NewResponseController(c.w)
	for err == nil {
		_ = control.SetWriteDeadline(time.Now().Add(time.Minute)) // for a page; in tests there is none
		for i := range list {
			if err = t.add(list[i].Line()); err != nil {
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
	Unknown int64      `json:"unknown"` // rows that were written after a crash, in place of what was lost: an estimate
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
	s, err := c.store()
	if err != nil {
		return err
	}
	report, err := s.Verify(c.r.Context(), whose, from, to)
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
