package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/gateway/admin"
)

// span is a time that commands ask for.
type span struct{ since, until string }

func (s *span) add(c *cobra.Command, since string) {
	c.Flags().StringVar(&s.since, "since", since, "beginning: a `time` ago such as 7d or 12h, a day (2027-01-31), or a moment as RFC 3339")
	c.Flags().StringVar(&s.until, "until", "", "end, which is not included, in the same `form`; left out: now")
}

// query puts the span into a query, in whole units.
func (s *span) query(q url.Values, now time.Time, unit time.Duration) error {
	for _, x := range []struct{ flag, text, name string }{{"--since", s.since, "from"}, {"--until", s.until, "to"}} {
		if x.text == "" {
			continue
		}
		t, err := parseTime(x.text, now)
		if err != nil {
			return wrongUse("%s: %q is no time; write 7d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z", x.flag, x.text)
		}
		q.Set(x.name, t.UTC().Truncate(unit).Format(time.RFC3339))
	}
	return nil
}

// parseTime reads a time ago (7d, 12h), a day, or a moment.
func parseTime(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.UTC().AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text)
}

// day is when something ends, for tables.
func day(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// usageFlags are those of "sluice usage".
type usageFlags struct {
	adminFlags
	span
	tenant, by           string
	key, model, provider string
}

func newUsage() *cobra.Command {
	var f usageFlags
	c := &cobra.Command{
		Use:   "usage",
		Short: "Sum up what was asked for, and what it cost",
		Long: `Sum up the ledger: attempts, tokens, what they cost the operator and what the tenants are charged. --by says
into what the sums are divided: hour, day or all (the whole time in one), and any of tenant, key, model and provider.
Days and hours are those of UTC; the first and the last count as a whole. Rows of the last seconds may still be on
their way from a gateway's journal to the store.
` + whereHelp + `

With -o json: [{"at", "tenant", "key", "model", "provider", "attempts", "cached", "failed", "input_tokens",
"cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "cost_usd", "charge_usd",
"unpriced"}]; amounts are exact decimals, as texts.`,
		Example: `  sluice usage --since 7d --by day,tenant --config configs/sluice.yaml
  sluice usage --tenant acme --since 2027-01-01 --by model -o csv
  sluice usage --since 24h --by hour,provider -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.adminFlags.add(c, "table", "json", "csv")
	f.span.add(c, "7d")
	c.Flags().StringVar(&f.tenant, "tenant", "", "only of this `tenant`")
	c.Flags().StringVar(&f.by, "by", "day", "`words` with commas: hour, day or all; tenant, key, model, provider")
	c.Flags().StringVar(&f.key, "key", "", "only of the key of this `name`")
	c.Flags().StringVar(&f.model, "model", "", "only of this `model`")
	c.Flags().StringVar(&f.provider, "provider", "", "only of this `provider`")
	return c
}

func (f *usageFlags) run(c *cobra.Command) error {
	unit := 24 * time.Hour
	words := map[string]bool{}
	for word := range strings.SplitSeq(f.by, ",") {
		switch word = strings.TrimSpace(word); word {
		case "hour":
			unit = time.Hour
		case "day", "all", "tenant", "key", "model", "provider":
		default:
			return wrongUse("--by: %q is none of hour, day, all, tenant, key, model, provider", word)
		}
		words[word] = true
	}
	if count := btoi(words["hour"]) + btoi(words["day"]) + btoi(words["all"]); count > 1 {
		return wrongUse("--by: only one of hour, day and all")
	} else if count == 0 {
		words["all"] = true // --by model: one line for each
		f.by += ",all"
	}
	query := url.Values{"by": {strings.ReplaceAll(f.by, " ", "")}}
	if err := f.query(query, time.Now(), unit); err != nil {
		return err
	}
	for name, value := range map[string]string{"tenant": f.tenant, "key": f.key, "model": f.model, "provider": f.provider} {
		if value != "" {
			query.Set(name, value)
		}
	}
	api, err := f.open(c)
	if err != nil {
		return err
	}
	defer api.close()
	list, _, err := ask[[]admin.Usage](c.Context(), api, errand{http.MethodGet, "usage", query, nil})
	if err != nil {
		return err
	}
	s := usageSheet(list, words)
	return s.write(c.OutOrStdout(), f.output, list)
}

func usageSheet(list []admin.Usage, words map[string]bool) *sheet {
	s := &sheet{}
	for _, x := range []struct{ word, head string }{
		{"hour", "HOUR"}, {"day", "DAY"}, {"tenant", "TENANT"}, {"key", "KEY"}, {"model", "MODEL"}, {"provider", "PROVIDER"},
	} {
		if words[x.word] {
			s.head = append(s.head, x.head)
		}
	}
	s.head = append(s.head, "ATTEMPTS", "FAILED", "CACHED", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", "REASONING", "COST USD", "CHARGE USD", "UNPRICED")
	for i := range list {
		u := &list[i]
		var cells []string
		if words["hour"] && u.At != nil {
			cells = append(cells, u.At.UTC().Format("2006-01-02T15:04Z"))
		}
		if words["day"] && u.At != nil {
			cells = append(cells, u.At.UTC().Format(time.DateOnly))
		}
		for _, x := range []struct{ word, cell string }{{"tenant", string(u.Tenant)}, {"key", u.Key}, {"model", u.Model}, {"provider", u.Provider}} {
			if words[x.word] {
				cells = append(cells, x.cell)
			}
		}
		for _, n := range []int64{u.Attempts, u.Failed, u.Cached, u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning} {
			cells = append(cells, strconv.FormatInt(n, 10))
		}
		s.add(append(cells, u.Cost, u.Charge, strconv.FormatInt(u.Unpriced, 10))...)
	}
	return s
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
