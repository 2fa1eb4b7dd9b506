package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/configs"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

func newConfig() *cobra.Command {
	return group(&cobra.Command{
		Use:   "config",
		Short: "Write, show or describe a configuration",
		Example: `  sluice config init
  sluice config show --config configs/sluice.yaml
  sluice config schema > sluice.schema.json`,
	}, newConfigInit(), newConfigShow(), newConfigSchema())
}

func newConfigInit() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write an example configuration",
		Long: `Write a commented example into a folder (configs, if none is named): the gateway file, one tenant with a
fresh key, and the JSON Schemas by which editors complete and check both. Existing files are left alone unless
--force is given.`,
		Example: `  sluice config init
  sluice config init /etc/sluice
  sluice config init --force configs`,
		Args: cobra.MaximumNArgs(1),
	}
	c.Flags().BoolVar(&force, "force", false, "overwrite existing files")
	c.RunE = func(c *cobra.Command, args []string) error {
		dir := "configs"
		if len(args) == 1 {
			dir = args[0]
		}
		return initConfig(c, dir, force)
	}
	return c
}

func initConfig(c *cobra.Command, dir string, force bool) error {
	secret, err := key.New("acme")
	if err != nil {
		return err
	}
	// The example's key is known to everybody: it is not to work anywhere.
	digest := regexp.MustCompile(`(hmac-)?sha256:[0-9a-f]{64}`)
	tenant := digest.ReplaceAllLiteralString(configs.Tenant, key.Text(key.Digest([]byte(secret))))
	files := []struct{ name, text string }{
		{"sluice.yaml", configs.Gateway},
		{filepath.Join("tenants", "acme.yaml"), tenant},
		{filepath.Join("schema", "sluice.schema.json"), configs.GatewaySchema},
		{filepath.Join("schema", "tenant.schema.json"), configs.TenantSchema},
	}
	var existing []string
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); !errors.Is(err, fs.ErrNotExist) {
			existing = append(existing, filepath.Join(dir, f.name))
		}
	}
	if len(existing) > 0 && !force {
		return fmt.Errorf("already there: %s; --force overwrites", strings.Join(existing, ", "))
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // no secrets in it
			return err
		}
		if err := writeFile(path, []byte(f.text)); err != nil {
			return err
		}
		c.Println("wrote " + path)
	}
	file := quote(filepath.Join(dir, "sluice.yaml"))
	c.Printf(`
The tenant acme has one key. It is shown only now:

  export SLUICE_API_KEY=%s

Next:

  export OPENAI_API_KEY=…          # or remove the provider openai from %s
  sluice validate --config %s
  sluice serve --config %s
  sluice chat -m demo Hello        # in another terminal
`, secret, file, file, file)
	return nil
}

func newConfigShow() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "show",
		Short: "Show the effective configuration",
		Long: `Show the configuration as YAML with everything that the file leaves out, and beside each value that does not
come from the file itself where it comes from. Secrets show as ***; what refers to a variable or a file that is
missing here is a warning. Without --config it is the demonstration's.`,
		Example: `  sluice config show --config configs/sluice.yaml
  SLUICE_SERVER_LISTEN=:8080 sluice config show`,
		Args: cobra.NoArgs,
	}
	configFlag(c, &path)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := loadUnresolved(path)
		if err != nil {
			return err
		}
		printWarnings(c, cfg.Warnings)
		text, err := cfg.Effective()
		if err != nil {
			return err
		}
		c.Print(string(text))
		return nil
	}
	return c
}

func newConfigSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [gateway|tenant]",
		Short: "Print the JSON Schema of the gateway file or of a tenant's",
		Example: `  sluice config schema > schema/sluice.schema.json
  sluice config schema tenant > schema/tenant.schema.json`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"gateway", "tenant"},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "tenant" {
				c.Print(configs.TenantSchema)
			} else {
				c.Print(configs.GatewaySchema)
			}
			return nil
		},
	}
}
