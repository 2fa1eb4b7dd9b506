package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/cmd/sluice/desk"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

func newKeysList() *cobra.Command {
	var f adminFlags
	c := &cobra.Command{
		Use:   "list TENANT",
		Short: "List a tenant's API keys",
		Long: `List a tenant's API keys: their names, never the keys themselves. A name with ~ is a key that was rotated, and
works until its grace is over. When a key was used last is known of those in the store.
` + whereHelp + `

With -o json: [{"name", "created", "expires", "used", "models": [], "limits": {}}].`,
		Example: `  sluice keys list acme --config configs/sluice.yaml
  sluice keys list acme --admin 127.0.0.1:9090 -o json`,
		Args: cobra.ExactArgs(1),
	}
	f.add(c, "table", "json", "csv")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		list, _, err := ask[[]admin.Key](c.Context(), api, errand{http.MethodGet, "tenants/" + url.PathEscape(args[0]) + "/keys", nil, nil})
		if err != nil {
			return err
		}
		s := sheet{head: []string{"NAME", "CREATED", "EXPIRES", "USED", "MODELS"}}
		for i := range list {
			k := &list[i]
			s.add(k.Name, day(k.Created), day(k.Expires), day(k.Used), strings.Join(k.Models, ", "))
		}
		return s.write(c.OutOrStdout(), f.output, list)
	}
	return c
}

func newKeysRotate() *cobra.Command {
	var f adminFlags
	var grace time.Duration
	c := &cobra.Command{
		Use:   "rotate TENANT KEY",
		Short: "Replace an API key by a new one; the old one works on for a while",
		Long: `Make a new API key under the name of an old one, and print it. It is shown only this once. The old key works on
until the grace is over, under the name of then. With --config the key may be one of a tenant's file: then the file is
changed, and a running gateway takes that over within a second.
` + whereHelp + `

Standard output has the key on its first line.
With -o json: {"name", "secret", "expires", "old": {"name", "expires"}}.`,
		Example: `  sluice keys rotate acme ci --grace 24h --config configs/sluice.yaml
  sluice keys rotate acme ci --grace 0s --admin 127.0.0.1:9090`,
		Args: cobra.ExactArgs(2),
	}
	f.add(c, "text", "json")
	c.Flags().DurationVar(&grace, "grace", time.Hour, "how `long` the old key still works; 0s: not at all")
	c.RunE = func(c *cobra.Command, args []string) error {
		if grace < 0 {
			return wrongUse("--grace: %s is negative", grace)
		}
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		path := "tenants/" + url.PathEscape(args[0]) + "/keys/" + url.PathEscape(args[1]) + "/rotate"
		made, _, err := ask[admin.NewKey](c.Context(), api, errand{http.MethodPost, path, nil, map[string]string{"grace": grace.String()}})
		if t, k := api.filed(err, args[0], args[1]); k != nil {
			made, err = rotateInFile(api.config, t, k, grace, time.Now())
		}
		if err != nil {
			return err
		}
		return printMade(c, f.output, args[0], &made)
	}
	return c
}

// filed is the key of a tenant's file that the admin API has refused to change, if it is one of the files here.
func (a *adminClient) filed(err error, id, name string) (*config.Tenant, *config.TenantKey) {
	refused, ok := errors.AsType[*refusedError](err)
	if !ok || refused.code != "file_owned" || a.config == nil {
		return nil, nil
	}
	for _, t := range a.config.Tenants.List {
		if i := slices.IndexFunc(t.Keys, func(k config.TenantKey) bool { return k.Name == name }); t.ID == id && i >= 0 {
			return t, &t.Keys[i]
		}
	}
	refused.text = fmt.Sprintf("the tenant %s has no key %q", id, name)
	return nil, nil
}

// rotateInFile puts a new key's digest in the place of an old one's, which goes on under another name.
func rotateInFile(cfg *config.Config, t *config.Tenant, k *config.TenantKey, grace time.Duration, now time.Time) (made admin.NewKey, err error) {
	pepper, err := findPepper(cfg)
	if err != nil {
		return made, err
	}
	if !k.Expires.IsZero() && !k.Expires.After(now) || k.Disabled {
		return made, fmt.Errorf("the key %q of %s does not work any more; make another", k.Name, t.ID)
	}
	secret, err := key.New(label(t.ID))
	if err != nil {
		return made, err
	}
	made = admin.NewKey{Key: admin.Key{Name: k.Name, Models: k.Models}, Secret: secret}
	if !k.Expires.IsZero() {
		made.Expires = &k.Expires
	}
	end := now.Add(grace).UTC().Truncate(time.Second)
	if !k.Expires.IsZero() && k.Expires.Before(end) {
		end = k.Expires
	}
	old := entry{name: tenant.Replaced(k.Name, now), digest: k.Digest, expires: end.Format(time.RFC3339)}
	if old.more, err = restrictions(k); err != nil {
		return made, err
	}
	err = editKeys(t.File, func(text []byte) ([]byte, error) {
		with, err := replaceDigest(text, k.Digest, key.Text(desk.Digest(secret, pepper)))
		if err != nil || grace == 0 {
			return with, err
		}
		return addKey(with, old)
	})
	if grace > 0 {
		made.Old = &admin.Key{Name: old.name, Expires: &end}
	}
	return made, err
}

// printMade prints a key that was made for a tenant of the store, or rotated.
func printMade(c *cobra.Command, output, tenant string, k *admin.NewKey) error {
	if output == "json" {
		return writeJSON(c.OutOrStdout(), k)
	}
	c.Println(visible(k.Secret))
	c.PrintErrf("\nThe key %q of %s is shown only now.\n", visible(k.Name), tenant)
	if k.Old != nil {
		c.PrintErrf("The one before works until %s, as %q.\n", day(k.Old.Expires), visible(k.Old.Name))
	}
	return nil
}

func newKeysRevoke() *cobra.Command {
	var f adminFlags
	c := &cobra.Command{
		Use:   "revoke TENANT KEY",
		Short: "Take an API key away, and the refresh tokens that came from it",
		Long: `Take an API key away: gateways refuse it within a second. In the store the refresh tokens that came from it go
with it, and so do the keys that it has replaced and that would still work for a while. With --config the key may be
one of a tenant's file: then it is disabled there, and its entry stays.
` + whereHelp,
		Example: `  sluice keys revoke acme ci --config configs/sluice.yaml
  sluice keys revoke acme ci --admin 127.0.0.1:9090`,
		Args: cobra.ExactArgs(2),
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := f.open(c)
		if err != nil {
			return err
		}
		defer api.close()
		path := "tenants/" + url.PathEscape(args[0]) + "/keys/" + url.PathEscape(args[1]) + "/revoke"
		done, _, err := ask[admin.Done](c.Context(), api, errand{http.MethodPost, path, nil, nil})
		where := ""
		if t, k := api.filed(err, args[0], args[1]); k != nil {
			where = " in " + t.File
			done.Count, err = disableInFile(t, k)
		}
		if err != nil {
			return err
		}
		if n := done.Count - 1; n > 0 {
			where += fmt.Sprintf(", and %d that it had replaced", n)
		}
		c.PrintErrf("The key %q of %s is revoked%s.\n", args[1], args[0], where)
		return nil
	}
	return c
}

// disableInFile disables a key of a tenant's file, and those that it has replaced, and says how many these are.
func disableInFile(t *config.Tenant, k *config.TenantKey) (n int, err error) {
	err = editKeys(t.File, func(text []byte) ([]byte, error) {
		for i := range t.Keys {
			old := &t.Keys[i]
			if old != k && tenant.KeyName(old.Name) != k.Name || old.Disabled && old != k {
				continue
			}
			if n++; old.Disabled {
				continue
			}
			if text, err = disableKey(text, old.Digest); err != nil {
				return nil, err
			}
		}
		return text, nil
	})
	return n, err
}

// operatorToken is what keys token was asked for.
type operatorToken struct {
	role, expires, output string
	tenants               []string
}

func newKeysToken() *cobra.Command {
	var o operatorToken
	c := &cobra.Command{
		Use:   "token NAME",
		Short: "Make a token for an operator: for the admin API",
		Long: `Make a token for the admin API and print it. It is shown only this once. The line below it belongs into the
gateway file, under admin.tokens. A viewer sees; an operator also drains targets, and makes, rotates and revokes keys;
an admin also changes tenants. A token for some tenants is for nothing else.

With -o json: {"name", "token", "digest", "role", "tenants": [], "expires"}.`,
		Example: `  sluice keys token ops --role operator
  sluice keys token acme-billing --role viewer --tenant acme --expires 2027-01-31`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&o.role, "role", "", "`role`: viewer, operator or admin")
	c.Flags().StringArrayVar(&o.tenants, "tenant", nil, "`tenant` that it is for; may be given again. Left out: all, and the gateway itself")
	c.Flags().StringVar(&o.expires, "expires", "", "`date` from which on it does not work: 2027-01-31, or a moment as RFC 3339")
	outputFlag(c, &o.output, "text")
	c.RunE = func(c *cobra.Command, args []string) error { return o.run(c, args[0]) }
	return c
}

func (o *operatorToken) run(c *cobra.Command, name string) error {
	if _, err := admin.ParseRole(o.role); err != nil {
		return wrongUse("--role: %s", err)
	}
	k := creation{expires: o.expires}
	if err := k.checkExpiry(time.Now()); err != nil {
		return err
	}
	token, err := key.New("admin")
	if err != nil {
		return err
	}
	made := struct {
		Name    string   `json:"name"`
		Token   string   `json:"token"`
		Digest  string   `json:"digest"`
		Role    string   `json:"role"`
		Tenants []string `json:"tenants,omitempty"`
		Expires string   `json:"expires,omitempty"`
	}{name, token, key.Text(key.Digest([]byte(token))), o.role, o.tenants, o.expires}
	if o.output == "json" {
		return writeJSON(c.OutOrStdout(), made)
	}
	c.Println(made.Token)
	line := fmt.Sprintf("{name: %s, digest: %q, role: %s", text(name), made.Digest, o.role)
	if len(o.tenants) > 0 {
		var list []string
		for _, t := range o.tenants {
			list = append(list, string(text(t)))
		}
		line += ", tenants: [" + strings.Join(list, ", ") + "]"
	}
	if o.expires != "" {
		line += ", expires: " + o.expires
	}
	c.PrintErrf("\nThe token %q is shown only now: SLUICE_ADMIN_TOKEN=… for commands, \"Authorization: Bearer …\" for programs.\nIt works once this stands in the gateway file, under tokens of admin:\n\n", name)
	c.Println("  - " + line + "}")
	return nil
}
