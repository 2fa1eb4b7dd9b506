package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/cmd/sluice/desk"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/plugins/auth"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

func newKeys() *cobra.Command {
	return group(&cobra.Command{
		Use:   "keys",
		Short: "Make, list, rotate and revoke API keys of tenants, and make tokens of operators",
		Example: `  sluice keys create acme --name ci --write --config configs/sluice.yaml
  sluice keys list acme --config configs/sluice.yaml
  sluice keys rotate acme ci --grace 24h --admin 127.0.0.1:9090`,
	}, newKeysCreate(), newKeysList(), newKeysRotate(), newKeysRevoke(), newKeysToken())
}

// creation is what keys create was asked for.
type creation struct {
	tenant, name, expires string
	at                    adminFlags
	write                 bool
}

// created is what keys create -o json writes.
type created struct {
	Tenant  string `json:"tenant"`
	Name    string `json:"name"`
	Key     string `json:"key"`
	Digest  string `json:"digest"`
	Expires string `json:"expires,omitempty"`
	File    string `json:"file,omitempty"` // of the tenant, if a configuration was named
	Written bool   `json:"written"`        // whether the digest is in the file
}

func newKeysCreate() *cobra.Command {
	var k creation
	c := &cobra.Command{
		Use:   "create TENANT",
		Short: "Make an API key",
		Long: `Make an API key and print it. It is shown only this once: what is kept is its digest, in the tenant's file.
Without --write, the line to paste there, under keys, is printed too. With --write it is added, and a running
gateway accepts the key within a second; with a file that is mounted read-only, paste the line where it is made.

Standard output has the key on its first line, so that KEY=$(sluice keys create … --write) works.

With --admin, for a tenant of the store, the key is made by the gateway there (token in SLUICE_ADMIN_TOKEN) and works
at once; so it is with --write for a tenant that is in no file of the configuration.

The digest is an HMAC with the configured pepper (plugins.auth.pepper), or a SHA-256 if there is none or no
configuration is named. Other secrets of the configuration are not needed.

With -o json: {"tenant", "name", "key", "digest", "expires", "file", "written": bool}.`,
		Example: `  sluice keys create acme
  sluice keys create acme --name ci --expires 2027-01-31 --write --config configs/sluice.yaml
  sluice keys create acme --admin https://gateway.internal:9090`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			k.tenant = args[0]
			return k.run(c)
		},
	}
	k.at.add(c, "text", "json")
	f := c.Flags()
	f.StringVar(&k.name, "name", "", "`name` of the key, for logs and metrics; left out: key-1, key-2, …")
	f.StringVar(&k.expires, "expires", "", "`date` from which on the key does not work: 2027-01-31, or a moment as RFC 3339")
	f.BoolVar(&k.write, "write", false, "add the digest to the tenant's file")
	return c
}

func (k *creation) run(c *cobra.Command) error {
	if err := k.checkExpiry(time.Now()); err != nil {
		return err
	}
	if k.at.address != "" {
		return k.ask(c)
	}
	if k.write && k.at.path == "" {
		return wrongUse("--write needs a configuration: use --config or SLUICE_CONFIG")
	}
	tenant, pepper, err := k.ofFile()
	if errors.Is(err, errNotFiled) && k.write { // it may be one of the store
		if asked := k.ask(c); !isMissing(asked) {
			return asked
		}
	}
	if err != nil {
		return err
	}
	if err := k.chooseName(tenant); err != nil {
		return err
	}
	secret, err := key.New(label(k.tenant))
	if err != nil {
		return err
	}
	out := created{
		Tenant: k.tenant, Name: k.name, Key: secret, Digest: key.Text(desk.Digest(secret, pepper)), Expires: k.expires,
		File: tenant.File, Written: k.write,
	}
	if k.write {
		if err := writeKey(tenant.File, entry{name: out.Name, digest: out.Digest, expires: out.Expires}); err != nil {
			return err
		}
	}
	return out.print(c, k.at.output)
}

// ofFile is the tenant of the configuration, if one is named, and what digests are made with there.
func (k *creation) ofFile() (*config.Tenant, config.Secret, error) {
	if k.at.path == "" {
		return &config.Tenant{ID: k.tenant}, config.Secret{}, nil
	}
	cfg, err := loadUnresolved(k.at.path)
	if err != nil {
		return nil, config.Secret{}, err
	}
	t, err := findTenant(cfg, k.tenant)
	if err != nil {
		return nil, config.Secret{}, err
	}
	pepper, err := findPepper(cfg)
	return t, pepper, err
}

// errNotFiled is for a tenant that no file defines.
var errNotFiled = errors.New("there is no tenant")

// isMissing says whether the admin API does not know what it was asked for, or has no store that would.
func isMissing(err error) bool {
	refused, ok := errors.AsType[*refusedError](err)
	return ok && (refused.status == http.StatusNotFound || refused.status == http.StatusServiceUnavailable)
}

// ask has the key made by the admin API, for a tenant of the store.
func (k *creation) ask(c *cobra.Command) error {
	order := map[string]string{}
	if k.name != "" {
		order["name"] = k.name
	}
	if k.expires != "" {
		t, err := parseTime(k.expires, time.Now())
		if err != nil {
			return err
		}
		order["expires"] = t.Format(time.RFC3339)
	}
	api, err := k.at.open(c)
	if err != nil {
		return err
	}
	defer api.close()
	made, _, err := ask[admin.NewKey](c.Context(), api, errand{http.MethodPost, "tenants/" + url.PathEscape(k.tenant) + "/keys", nil, order})
	if err != nil {
		return err
	}
	return printMade(c, k.at.output, k.tenant, &made)
}

func (k *creation) checkExpiry(now time.Time) error {
	if k.expires == "" {
		return nil
	}
	t, err := time.Parse(time.DateOnly, k.expires)
	if err != nil {
		t, err = time.Parse(time.RFC3339, k.expires)
	}
	if err != nil {
		return wrongUse("--expires: %q is not a date; write it as 2027-01-31 or 2027-01-31T12:00:00Z", k.expires)
	}
	if !t.After(now) {
		return wrongUse("--expires: %s is in the past", k.expires)
	}
	return nil
}

// chooseName checks that the name is free, or finds one that is.
func (k *creation) chooseName(t *config.Tenant) error {
	taken := map[string]bool{}
	for _, key := range t.Keys {
		taken[key.Name] = true
	}
	if taken[k.name] {
		return fmt.Errorf("tenant %s has a key %q already; choose another --name", t.ID, k.name)
	}
	for n := 1; k.name == ""; n++ {
		if name := fmt.Sprintf("key-%d", n); !taken[name] {
			k.name = name
		}
	}
	return nil
}

func findTenant(cfg *config.Config, id string) (*config.Tenant, error) {
	ids := make([]string, len(cfg.Tenants.List))
	for i, t := range cfg.Tenants.List {
		if t.ID == id {
			return t, nil
		}
		ids[i] = t.ID
	}
	const most = 20
	if n := len(ids); n == 0 || n > most {
		return nil, fmt.Errorf("%w %q among the %d in %s", errNotFiled, id, n, cfg.Tenants.Dir)
	}
	return nil, fmt.Errorf("%w %q; there are: %s", errNotFiled, id, strings.Join(ids, ", "))
}

// findPepper is what digests are made with, or nothing. Of all secrets it alone must be known here.
func findPepper(cfg *config.Config) (config.Secret, error) {
	settings, ok := cfg.Plugins["auth"].(*auth.Config)
	if !ok {
		return config.Secret{}, nil
	}
	for _, w := range cfg.Warnings {
		if w.Path == "plugins.auth.pepper" && strings.Contains(settings.Pepper.Reveal(), "${") {
			return config.Secret{}, config.Problems{w}
		}
	}
	return settings.Pepper, nil
}

// label is what of a tenant's id can be in a key: small letters and digits.
func label(tenant string) string {
	keep := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}
	s := strings.Map(keep, tenant)
	return s[:min(len(s), 32)]
}

func (k *created) print(c *cobra.Command, output string) error {
	if output == "json" {
		return writeJSON(c.OutOrStdout(), k)
	}
	c.Println(k.Key)
	if k.Written {
		c.PrintErrf("\nThe key %q of %s is shown only now. Its digest is in %s.\n", k.Name, k.Tenant, k.File)
		return nil
	}
	line, err := entry{name: k.Name, digest: k.Digest, expires: k.Expires}.line()
	if err != nil {
		return err
	}
	file := k.File
	if file == "" {
		file = "the tenant's file"
	}
	c.PrintErrf("\nThe key %q of %s is shown only now. It works once this stands under keys in %s:\n\n", k.Name, k.Tenant, file)
	c.Print("  - " + line)
	return nil
}

// apiKey is the key that a client command uses.
func apiKey(flag string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv("SLUICE_API_KEY")
}
