package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/ledger"
)

func newLedger() *cobra.Command {
	return group(&cobra.Command{
		Use:   "ledger",
		Short: "Read, check and export the ledger",
		Example: `  sluice ledger tail --follow
  sluice ledger verify --since 30d --config configs/sluice.yaml
  sluice ledger export --tenant acme --since 2027-01-01 --until 2027-02-01 > acme.csv`,
	}, newLedgerTail(), newLedgerVerify(), newLedgerExport())
}

// rowFilter chooses rows.
type rowFilter struct{ tenant, key, user, model, provider, request, outcome string }

func (f *rowFilter) flags() map[string]*string {
	return map[string]*string{
		"tenant": &f.tenant, "key": &f.key, "user": &f.user, "model": &f.model, "provider": &f.provider, "request": &f.request, "outcome": &f.outcome,
	}
}

func (f *rowFilter) add(c *cobra.Command) {
	help := map[string]string{
		"tenant": "only of this `tenant`", "key": "only of the key of this `name`", "user": "only of this end `user`", "model": "only of this `model`",
		"provider": "only of this `provider`", "request": "only of the request of this `id` (x-request-id)",
		"outcome": "only with this `outcome`: complete, refused, failed, unsent, timeout, cut, gone, late, drained, lost, spent, unknown",
	}
	for name, value := range f.flags() {
		c.Flags().StringVar(value, name, "", help[name])
	}
}

func (f *rowFilter) query() url.Values {
	q := url.Values{}
	for name, value := range f.flags() {
		if *value != "" {
			q.Set(name, *value)
		}
	}
	return q
}

func newLedgerTail() *cobra.Command {
	var f adminFlags
	var which rowFilter
	var lines int
	var follow bool
	c := &cobra.Command{
		Use:   "tail",
		Short: "Show the last rows of the ledger, and those that come",
		Long: `Show the last rows of the ledger, the newest at the end: one for each attempt at a provider, and for each answer
from the cache. With --follow it goes on with those that come, until it is interrupted.

A row is in the store a second or so after its request has ended, and keeps the place of its beginning: --follow looks
back a minute, so that what took longer than that is not shown by it.
` + whereHelp + `

With -o json each row is one line of JSON, as GET /admin/v1/ledger has it.`,
		Example: `  sluice ledger tail -n 50 --tenant acme
  sluice ledger tail --follow --outcome failed -o json`,
		Args: cobra.NoArgs,
	}
	f.add(c, "table", "json", "csv")
	which.add(c)
	c.Flags().IntVarP(&lines, "lines", "n", 20, "`number` of rows to begin with, at most 1000")
	c.Flags().BoolVar(&follow, "follow", false, "go on with rows that come")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if lines < 1 || lines > 1000 {
			return wrongUse("--lines: %d is not from 1 to 1000", lines)
		}
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		t := tail{api: api, query: which.query(), out: c.OutOrStdout(), output: f.output, seen: map[string]time.Time{}}
		t.query.Set("limit", strconv.Itoa(lines))
		if err := t.first(c.Context()); err != nil || !follow {
			return err
		}
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return t.follow(ctx)
	}
	return c
}

// tail shows rows as they come.
type tail struct {
	api    *adminClient
	query  url.Values
	out    io.Writer
	output string
	seen   map[string]time.Time // rows that were shown, by their ids
	headed bool
}

// Times of --follow.
const (
	tailEvery = time.Second
	tailBack  = time.Minute
)

func (t *tail) first(ctx context.Context) error {
	rows, _, err := ask[[]ledger.Line](ctx, t.api, errand{http.MethodGet, "ledger", t.query, nil})
	if err != nil {
		return err
	}
	slices.Reverse(rows)
	return t.show(rows)
}

// follow asks again and again for what began in the last minute, and shows what it has not shown.
func (t *tail) follow(ctx context.Context) error {
	ticker := time.NewTicker(tailEvery)
	defer ticker.Stop()
	t.query.Set("order", "oldest")
	t.query.Set("limit", "1000")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := t.poll(ctx, time.Now().Add(-tailBack)); err != nil || ctx.Err() != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was interrupted
			}
			return err
		}
	}
}

// poll shows what began after a time and was not shown.
func (t *tail) poll(ctx context.Context, back time.Time) error {
	t.query.Set("from", back.UTC().Format(time.RFC3339))
	t.query.Del("after")
	for {
		rows, next, err := ask[[]ledger.Line](ctx, t.api, errand{http.MethodGet, "ledger", t.query, nil})
		if err != nil {
			return err
		}
		if err := t.show(rows); err != nil {
			return err
		}
		if next == "" {
			break
		}
		t.query.Set("after", next)
	}
	for id, at := range t.seen {
		if at.Before(back.Add(-tailBack)) {
			delete(t.seen, id)
		}
	}
	return nil
}

func (t *tail) show(rows []ledger.Line) error {
	s := sheet{head: []string{"AT", "TENANT", "KEY", "MODEL", "PROVIDER", "OUTCOME", "STATUS", "INPUT", "OUTPUT", "COST USD", "CHARGE USD", "TOTAL MS", "ID"}}
	for i := range rows {
		r := &rows[i]
		if _, shown := t.seen[r.ID]; shown {
			continue
		}
		t.seen[r.ID] = r.At
		if t.output == "json" {
			if err := writeLine(t.out, r); err != nil {
				return err
			}
			continue
		}
		s.add(r.At.UTC().Format("2006-01-02T15:04:05.000Z"), string(r.Tenant), r.Key, r.Model, r.Provider, r.Outcome, strconv.Itoa(r.Status),
			strconv.FormatInt(r.Input, 10), strconv.FormatInt(r.Output, 10), r.Cost, r.Charge, strconv.FormatFloat(r.Total, 'f', 0, 64), r.ID)
	}
	if t.output == "json" || t.headed && len(s.rows) == 0 {
		return nil
	}
	var text strings.Builder
	if err := s.write(&text, t.output, nil); err != nil {
		return err
	}
	lines := text.String()
	if t.headed {
		_, lines, _ = strings.Cut(lines, "\n")
	}
	t.headed = true
	_, err := io.WriteString(t.out, lines)
	return err
}

func newLedgerVerify() *cobra.Command {
	var f adminFlags
	var when span
	var tenant string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check the ledger's sums against its rows, and the chain of the audit",
		Long: `Work out again, from every row, what the sums of usage and of spending must be, and compare. Without --tenant the
audit is followed as well, from its first entry to its last. It reads everything in that time, day by day; of days
whose rows have been deleted (stores.retention) nothing can be said. The exit code is 1 if anything differs.
` + whereHelp + `

With -o json: {"from", "to", "rows", "unknown", "charge_usd", "wrong": [words], "entries"}.`,
		Example: `  sluice ledger verify --config configs/sluice.yaml
  sluice ledger verify --tenant acme --since 30d -o json`,
		Args: cobra.NoArgs,
	}
	f.add(c, "text", "json")
	when.add(c, "")
	c.Flags().StringVar(&tenant, "tenant", "", "only of this `tenant`, and not the audit")
	c.RunE = func(c *cobra.Command, _ []string) error {
		query := url.Values{}
		if tenant != "" {
			query.Set("tenant", tenant)
		}
		if err := when.query(query, time.Now(), 24*time.Hour); err != nil {
			return err
		}
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		r, _, err := ask[admin.Report](c.Context(), api, errand{http.MethodGet, "ledger/verify", query, nil})
		if err != nil {
			return err
		}
		return writeReport(c, f.output, &r)
	}
	return c
}

func writeReport(c *cobra.Command, output string, r *admin.Report) error {
	if output == "json" {
		if err := writeJSON(c.OutOrStdout(), r); err != nil {
			return err
		}
	} else {
		c.Printf("%s, charges of %s USD, %d unknown after a crash (estimated)", count(int(r.Rows), "row"), r.Charge, r.Unknown)
		if r.From != nil && r.To != nil {
			c.Printf(", from %s to %s", r.From.UTC().Format(time.DateOnly), r.To.UTC().AddDate(0, 0, -1).Format(time.DateOnly))
		}
		c.Printf("\n")
		for _, w := range r.Wrong {
			c.Println("wrong: " + visible(w))
		}
		if len(r.Wrong) == 0 {
			c.Println("all sums are right")
		}
	}
	if len(r.Wrong) > 0 {
		return errTold
	}
	return nil
}

func newLedgerExport() *cobra.Command {
	var f adminFlags
	var which rowFilter
	var when span
	c := &cobra.Command{
		Use:   "export",
		Short: "Write rows of the ledger as CSV",
		Long: `Write rows of the ledger to standard output as CSV, the oldest first, with every column there is. A text that
a spreadsheet would take for a formula begins with an apostrophe. The exit code is 1 if it broke off; what was written
until then is right, but not all.
` + whereHelp,
		Example: `  sluice ledger export --tenant acme --since 2027-01-01 --until 2027-02-01 > acme.csv
  sluice ledger export --since 24h --outcome failed --config configs/sluice.yaml`,
		Args: cobra.NoArgs,
	}
	f.add(c)
	which.add(c)
	when.add(c, "")
	c.RunE = func(c *cobra.Command, _ []string) error {
		query := which.query()
		if err := when.query(query, time.Now(), time.Second); err != nil {
			return err
		}
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		reply, err := api.do(c.Context(), errand{http.MethodGet, "ledger.csv", query, nil})
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		if _, err := io.Copy(c.OutOrStdout(), reply.Body); err != nil {
			return fmt.Errorf("it broke off: %w", err)
		}
		return nil
	}
	return c
}
