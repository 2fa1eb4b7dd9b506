package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/gateway/admin"
)

func newAudit() *cobra.Command {
	var f adminFlags
	var when span
	var tenant, action string
	var lines int
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show who changed what, and when",
		Long: `Show the audit: an entry for each change that was made with the admin API or with these commands, the newest
first. What changes in files is not in it. sluice ledger verify makes sure that no entry was taken out or changed.
` + whereHelp + `

With -o json: [{"seq", "at", "tenant", "who", "role", "address", "action", "object", "before", "after", "revision"}].`,
		Example: `  sluice audit --since 30d --config configs/sluice.yaml
  sluice audit --tenant acme --action key.revoke -o csv`,
		Args: cobra.NoArgs,
	}
	f.add(c, "table", "json", "csv")
	when.add(c, "")
	c.Flags().StringVar(&tenant, "tenant", "", "only of this `tenant`")
	c.Flags().StringVar(&action, "action", "", "only this `action`: tenant.create, tenant.disabled, key.revoke, target.drain, …")
	c.Flags().IntVarP(&lines, "lines", "n", 100, "`number` of entries at most")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if lines < 1 {
			return wrongUse("--lines: %d is less than 1", lines)
		}
		query := url.Values{}
		for name, value := range map[string]string{"tenant": tenant, "action": action} {
			if value != "" {
				query.Set(name, value)
			}
		}
		if err := when.query(query, time.Now(), time.Second); err != nil {
			return err
		}
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		list, err := changes(c.Context(), api, query, lines)
		if err != nil {
			return err
		}
		s := sheet{head: []string{"AT", "WHO", "ROLE", "ADDRESS", "ACTION", "TENANT", "OBJECT"}}
		for i := range list {
			e := &list[i]
			s.add(e.At.UTC().Format(time.RFC3339), e.Who, e.Role, e.Address, e.Action, string(e.Tenant), e.Object)
		}
		return s.write(c.OutOrStdout(), f.output, list)
	}
	return c
}

// changes asks for entries, page after page.
func changes(ctx context.Context, api *adminClient, query url.Values, most int) ([]admin.Change, error) {
	list := []admin.Change{}
	for len(list) < most {
		query.Set("limit", strconv.Itoa(min(most-len(list), 1000)))
		page, next, err := ask[[]admin.Change](ctx, api, errand{http.MethodGet, "audit", query, nil})
		if err != nil {
			return nil, err
		}
		if list = append(list, page...); next == "" {
			break
		}
		query.Set("after", next)
	}
	return list, nil
}
