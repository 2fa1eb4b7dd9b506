package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/cmd/sluice/desk"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
)

func newTenants() *cobra.Command {
	return group(&cobra.Command{
		Use:   "tenants",
		Short: "Show tenants, and add, change, disable or delete those of the store",
		Example: `  sluice tenants list --config configs/sluice.yaml
  sluice tenants show acme
  sluice tenants set acme --file acme.yaml`,
	}, newTenantsList(), newTenantsShow(), newTenantsAdd(), newTenantsSet(), newTenantsDisable(), newTenantsEnable(), newTenantsDelete())
}

func newTenantsDisable() *cobra.Command {
	return newTenantsSwitch(true, &cobra.Command{
		Use:   "disable TENANT",
		Short: "Refuse all keys and tokens of a tenant of the store",
		Long: `Refuse all keys and tokens of a tenant of the store, within a second on all nodes, until it is enabled again. Nothing
of it is deleted. A tenant of a file is disabled there, with disabled: true.
` + whereHelp,
		Example: `  sluice tenants disable acme --config configs/sluice.yaml
  sluice tenants disable acme --admin 127.0.0.1:9090`,
	})
}

func newTenantsEnable() *cobra.Command {
	return newTenantsSwitch(false, &cobra.Command{
		Use:   "enable TENANT",
		Short: "Take a tenant back that was disabled",
		Long: `Take a tenant of the store back that was disabled: its keys work again.
` + whereHelp,
		Example: `  sluice tenants enable acme --config configs/sluice.yaml
  sluice tenants enable acme --admin 127.0.0.1:9090`,
	})
}

// newTenantsSwitch completes a command that disables a tenant, or enables it.
func newTenantsSwitch(disable bool, c *cobra.Command) *cobra.Command {
	var f adminFlags
	c.Args = cobra.ExactArgs(1)
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		path := "tenants/" + url.PathEscape(args[0]) + "/disabled"
		if _, _, err := ask[admin.Tenant](c.Context(), api, errand{http.MethodPut, path, nil, disable}); err != nil {
			return err
		}
		state := "enabled"
		if disable {
			state = "disabled"
		}
		c.PrintErrf("The tenant %s is %s.\n", args[0], state)
		return nil
	}
	return c
}

func newTenantsList() *cobra.Command {
	var f adminFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List the tenants of files and of the store",
		Long: `List the tenants, where each is defined, and its name. A tenant that is both in a file and in the store is the
file's; the other has no effect.
` + whereHelp + `

With -o json: [{"id", "name", "disabled": bool, "origin": "file" or "store", "file", "revision", "twice": bool}].`,
		Example: `  sluice tenants list --config configs/sluice.yaml
  SLUICE_ADMIN_TOKEN=… sluice tenants list --admin https://gateway.internal:9090 -o json`,
		Args: cobra.NoArgs,
	}
	f.add(c, "table", "json", "csv")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		list := []admin.TenantLine{}
		for query := (url.Values{"limit": {"1000"}}); ; {
			page, next, err := ask[[]admin.TenantLine](c.Context(), api, errand{http.MethodGet, "tenants", query, nil})
			if err != nil {
				return err
			}
			if list = append(list, page...); next == "" {
				break
			}
			query.Set("after", next)
		}
		s := sheet{head: []string{"ID", "NAME", "STATE", "ORIGIN"}}
		for _, t := range list {
			state := "active"
			if t.Disabled {
				state = "disabled"
			}
			origin := cmp.Or(t.File, t.Origin)
			if t.Twice {
				origin += " (and the store)"
			}
			s.add(string(t.ID), t.Name, state, origin)
		}
		return s.write(c.OutOrStdout(), f.output, list)
	}
	return c
}

func newTenantsShow() *cobra.Command {
	var f adminFlags
	c := &cobra.Command{
		Use:   "show TENANT",
		Short: "Show a tenant with its keys, limits and budgets",
		Long: `Show a tenant as JSON: where it is defined, what its file or the store says of it, and its keys. No secret is
in it. With the output budgets or limits it shows how those stand instead: what is spent, reserved and left.
` + whereHelp,
		Example: `  sluice tenants show acme --config configs/sluice.yaml
  sluice tenants show acme -o budgets --admin 127.0.0.1:9090`,
		Args: cobra.ExactArgs(1),
	}
	f.add(c, "json", "budgets", "limits")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		path := "tenants/" + url.PathEscape(args[0])
		switch f.output {
		case "budgets":
			b, _, err := ask[admin.BudgetsNow](c.Context(), api, errand{http.MethodGet, path + "/budgets", nil, nil})
			if err != nil {
				return err
			}
			s := sheet{head: []string{"OF", "PER", "USD", "SPENT", "RESERVED", "HELD", "REMAINING", "UNTIL"}}
			for i := range b.Now {
				n := &b.Now[i]
				s.add(n.Of, n.Per, n.USD, n.Spent, n.Reserved, n.Held, n.Remaining, day(n.Until))
			}
			return s.write(c.OutOrStdout(), "table", b)
		case "limits":
			l, _, err := ask[admin.LimitsNow](c.Context(), api, errand{http.MethodGet, path + "/limits", nil, nil})
			if err != nil {
				return err
			}
			s := sheet{head: []string{"OF", "WHAT", "LIMIT", "REMAINING"}}
			for _, n := range l.Now {
				s.add(n.Of, n.What, strconv.FormatInt(n.Limit, 10), strconv.FormatInt(n.Remaining, 10))
			}
			return s.write(c.OutOrStdout(), "table", l)
		}
		t, _, err := ask[admin.Tenant](c.Context(), api, errand{http.MethodGet, path, nil, nil})
		if err != nil {
			return err
		}
		return writeJSON(c.OutOrStdout(), t)
	}
	return c
}

// specHelp says in help pages what a file may say of a tenant of the store.
const specHelp = `
The file, or with "-" standard input, holds what a tenant file says, in YAML or JSON, but for keys, credentials and
references to the environment or to files. Mistakes are told with line and column (exit code 3).
`

func newTenantsAdd() *cobra.Command {
	var f adminFlags
	var name, file string
	c := &cobra.Command{
		Use:   "add TENANT",
		Short: "Add a tenant to the store",
		Long: `Add a tenant to the store. To make a tenant of a file, write tenants/ID.yaml instead.
` + specHelp + whereHelp + `

It prints what tenants show prints.`,
		Example: `  sluice tenants add acme --name "Acme Corp" --config configs/sluice.yaml
  sluice tenants add acme --file acme.yaml --admin 127.0.0.1:9090`,
		Args: cobra.ExactArgs(1),
	}
	f.add(c, "json")
	c.Flags().StringVar(&name, "name", "", "`name` for people")
	c.Flags().StringVarP(&file, "file", "f", "", "`file` with what a tenant file says, or -")
	c.RunE = func(c *cobra.Command, args []string) error {
		spec := map[string]json.RawMessage{}
		if file != "" {
			var err error
			if spec, err = readSpec(c, args[0], file); err != nil {
				return err
			}
		}
		spec["id"] = text(args[0])
		if name != "" {
			spec["name"] = text(name)
		}
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		t, _, err := ask[admin.Tenant](c.Context(), api, errand{http.MethodPost, "tenants", nil, spec})
		if err != nil {
			return err
		}
		return writeJSON(c.OutOrStdout(), t)
	}
	return c
}

func newTenantsSet() *cobra.Command {
	var f adminFlags
	var file string
	c := &cobra.Command{
		Use:   "set TENANT --file FILE",
		Short: "Make a tenant of the store what a file says",
		Long: `Make a tenant of the store what a file says: it is added, or all that was said of it is replaced, limits and budgets
too. Its keys stay, and so does whether it is disabled, unless the file says it.
` + specHelp + whereHelp + `

It prints what tenants show prints.`,
		Example: `  sluice tenants set acme --file acme.yaml --config configs/sluice.yaml
  sluice tenants set acme --file - --admin 127.0.0.1:9090 < acme.yaml`,
		Args: cobra.ExactArgs(1),
	}
	f.add(c, "json")
	c.Flags().StringVarP(&file, "file", "f", "", "`file` with what a tenant file says, or -")
	c.RunE = func(c *cobra.Command, args []string) error {
		if file == "" {
			return wrongUse("say in --file what the tenant is to be")
		}
		spec, err := readSpec(c, args[0], file)
		if err != nil {
			return err
		}
		spec["id"] = text(args[0])
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		t, _, err := ask[admin.Tenant](c.Context(), api, errand{http.MethodPut, "tenants/" + url.PathEscape(args[0]), nil, spec})
		if refused, ok := errors.AsType[*refusedError](err); ok && refused.status == http.StatusNotFound {
			t, _, err = ask[admin.Tenant](c.Context(), api, errand{http.MethodPost, "tenants", nil, spec})
		}
		if err != nil {
			return err
		}
		return writeJSON(c.OutOrStdout(), t)
	}
	return c
}

func newTenantsDelete() *cobra.Command {
	var f adminFlags
	c := &cobra.Command{
		Use:   "delete TENANT",
		Short: "Delete a tenant of the store, with its keys",
		Long: `Delete what the store has of a tenant, with its keys and refresh tokens. It cannot be undone: what it used stays
in the ledger under its id, so the store never gives that id again. To refuse its keys for a while, disable it.

Of a tenant that a file defines as well, the file's stays, and is no longer there twice. One of a file alone is
deleted by removing the file.
` + whereHelp,
		Example: `  sluice tenants delete acme --config configs/sluice.yaml
  sluice tenants delete acme --admin 127.0.0.1:9090`,
		Args: cobra.ExactArgs(1),
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		path := "tenants/" + url.PathEscape(args[0])
		t, _, err := ask[admin.Tenant](c.Context(), api, errand{http.MethodGet, path, nil, nil})
		if err != nil {
			return err
		}
		if _, _, err := ask[admin.Done](c.Context(), api, errand{http.MethodDelete, path, nil, nil}); err != nil {
			return err
		}
		c.PrintErrf("The tenant %s is deleted from the store, with its keys.\n", args[0])
		if t.Twice {
			c.PrintErrf("The one of %s stays.\n", t.File)
		}
		return nil
	}
	return c
}

func text(s string) json.RawMessage {
	b, _ := json.Marshal(s) // of a text: it does not fail
	return b
}

// readSpec reads the members of a tenant of the store from a file. The error is of type config.Problems if there are mistakes in it.
func readSpec(c *cobra.Command, id, file string) (spec map[string]json.RawMessage, err error) {
	var body []byte
	if file == "-" {
		file = "standard input"
		body, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 1<<20))
	} else {
		body, err = os.ReadFile(file) //nolint:gosec // the operator names it
	}
	if err != nil {
		return nil, err
	}
	if _, err := config.ParseTenant(id, file, body); err != nil {
		return nil, err
	}
	if body, err = desk.FromYAML(body); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return spec, json.Unmarshal(body, &spec)
}
