package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/sluice-ai/sluice/config"
)

const healthTimeout = 3 * time.Second

func newHealthcheck() *cobra.Command {
	var address, path, url string
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask whether the gateway on this machine is ready",
		Long: `Ask the gateway on this machine whether it is ready, and print what it says. The exit code is 0 if it is, and
1 if not, within three seconds. It is for containers, whose image has no other program.

The address is that of the admin listener: --admin-listen, else SLUICE_SERVER_ADMIN_LISTEN, else what the
gateway file says, else 127.0.0.1:9090. Of the file nothing else is looked at: a mistake in it does not make a
running gateway less ready.`,
		Example: `  sluice healthcheck
  sluice healthcheck --config /etc/sluice/sluice.yaml
  sluice healthcheck --url http://gateway:9090/readyz`,
		Args: cobra.NoArgs,
	}
	configFlag(c, &path)
	c.Flags().StringVar(&address, "admin-listen", "", "`address` of the admin listener (server.admin_listen)")
	c.Flags().StringVar(&url, "url", "", "`URL` to ask instead")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if url == "" {
			at, err := adminAddress(address, path)
			if err != nil {
				return err
			}
			url = "http://" + reachable(at) + "/readyz"
		}
		return checkHealth(c, url)
	}
	return c
}

func checkHealth(c *cobra.Command, url string) error {
	request, err := http.NewRequestWithContext(c.Context(), http.MethodGet, url, nil)
	if err != nil {
		return wrongUse("--url: %s", err)
	}
	reply, err := (&http.Client{Timeout: healthTimeout}).Do(request)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(io.LimitReader(reply.Body, 4096))
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	text := visible(strings.TrimSpace(string(body)))
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", reply.Status, text)
	}
	c.Println(text)
	return nil
}

// adminAddress finds the address of the admin listener without reading the configuration as a whole.
func adminAddress(flag, path string) (string, error) {
	var defaults config.Config
	defaults.SetDefaults()
	address := defaults.Server.AdminListen
	if path != "" {
		text, err := os.ReadFile(path) //nolint:gosec // the operator names it
		if err != nil {
			return "", err
		}
		var file struct {
			Server struct {
				AdminListen *string `yaml:"admin_listen"`
			}
		}
		if err := yaml.Load(text, &file); err != nil {
			return "", fmt.Errorf("%s: %w; name the address with --admin-listen", path, err)
		}
		if file.Server.AdminListen != nil {
			address = *file.Server.AdminListen
		}
	}
	if env := os.Getenv(config.EnvName("server.admin_listen")); env != "" {
		address = env
	}
	if flag != "" {
		address = flag
	}
	if address == "" || address == "off" {
		return "", errors.New("there is no admin listener (server.admin_listen is off) that could tell; use --url")
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return "", fmt.Errorf("server.admin_listen: %w; name the address with --admin-listen", err)
	}
	return address, nil
}
