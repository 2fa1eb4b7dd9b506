package config_test

import (
	"errors"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/sluice-ai/sluice/config"
)

// flags returns flags of several types, by the path of their setting, of which args are given.
func flags(t *testing.T, args ...string) map[string]*pflag.Flag {
	t.Helper()
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	set.String("listen", "127.0.0.1:1", "")
	set.Duration("drain", time.Hour, "")
	set.Int("retries", 9, "")
	set.String("max-body", "1KiB", "")
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return map[string]*pflag.Flag{
		"server.listen": set.Lookup("listen"), "server.drain_timeout": set.Lookup("drain"),
		"retries.max": set.Lookup("retries"), "server.max_body": set.Lookup("max-body"),
	}
}

func TestOverlay(t *testing.T) {
	t.Setenv("SLUICE_SERVER_LISTEN", ":2")
	t.Setenv("SLUICE_SERVER_ADMIN_LISTEN", "off")
	t.Setenv("SLUICE_SERVER_DRAIN_TIMEOUT", "7s")
	t.Setenv("SLUICE_SERVER_HEARTBEAT", "") // empty is not set
	t.Setenv("SLUICE_RETRIES_BUDGET", "5%")
	t.Setenv("SLUICE_RETRIES_BACKOFF", "1s..2s")
	t.Setenv("SLUICE_TELEMETRY_LOG_LEVEL", "debug")
	t.Setenv("SLUICE_PLUGINS_CACHE_EXACT_SIZE", "3MiB")
	t.Setenv("SLUICE_PLUGINS_CACHE_EXACT_KEY", canary)
	t.Setenv("SLUICE_SERVER_LISTN", "x")
	t.Setenv("SLUICE_PORT_8080_TCP", "tcp://10.0.0.1:8080") // Kubernetes, for a service called sluice
	folder(t, "gateway.yaml", base+"server: {listen: ':1', heartbeat: 3s, max_body: 1MiB}\nretries: {max: 1}\n", "tenants/acme", "")
	cfg := loaded(t, config.Options{Plugins: plugins(), Flags: flags(t, "--drain=9s", "--retries=3", "--max-body", "2MiB")})

	cache := cfg.Plugins["cache"].(*strict)
	for _, c := range []struct{ what, got, want any }{
		{"env over file", cfg.Server.Listen, ":2"},
		{"env over default", cfg.Server.AdminListen, ""},
		{"flag over env", cfg.Server.DrainTimeout, 9 * time.Second},
		{"flag over file", cfg.Retries.Max, 3},
		{"flag with a unit", cfg.Server.MaxBody, config.Bytes(2 << 20)},
		{"file alone", cfg.Server.Heartbeat, 3 * time.Second},
		{"share", cfg.Retries.Budget, config.Percent(0.05)},
		{"range", cfg.Retries.Backoff, config.Range{Min: time.Second, Max: 2 * time.Second}},
		{"word", cfg.Telemetry.Log.Level, "debug"},
		{"plugin", cache.Exact.Size, config.Bytes(3 << 20)},
		{"plugin's secret", cache.Exact.Key.Reveal(), canary},
		{"origin of env", cfg.Origins["server.listen"], "env SLUICE_SERVER_LISTEN"},
		{"origin of flag", cfg.Origins["server.drain_timeout"], "flag --drain"},
		{"origin of file", cfg.Origins["server.heartbeat"], ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	expect(t, cfg.Warnings.Error(), `environment variable SLUICE_SERVER_LISTN: no setting has this name; did you mean "SLUICE_SERVER_LISTEN"?`)
}

func TestOverlayMistakes(t *testing.T) {
	f := func(name, value, want string, args ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			folder(t, "gateway.yaml", base+"chain: [cache, auth, routing]\n")
			_, err := load(config.Options{Plugins: plugins(), Flags: flags(t, args...)})
			var p config.Problems
			if !errors.As(err, &p) {
				t.Fatalf("no problems: %v", err)
			}
			expect(t, p.Text(), want)
		})
	}
	f("SLUICE_SERVER_HEARTBEAT", "soon", `environment variable SLUICE_SERVER_HEARTBEAT: server.heartbeat: "soon" is not a duration; write a number with a unit, such as 500ms, 30s or 10m`)
	f("SLUICE_RETRIES_MAX", "11", `environment variable SLUICE_RETRIES_MAX: retries.max: "11" is more than 10`)
	f("SLUICE_TELEMETRY_LOG_FORMAT", "jsn", `environment variable SLUICE_TELEMETRY_LOG_FORMAT: telemetry.log.format: "jsn" is not one of auto, json, console; did you mean "json"?`)
	f("SLUICE_SERVER_LISTEN", "nowhere", `environment variable SLUICE_SERVER_LISTEN: server.listen: "nowhere" is not an address; write host:port, such as 127.0.0.1:8080 or :8080`)
	f("SLUICE_PLUGINS_CACHE_EXACT_SIZE", "0", `environment variable SLUICE_PLUGINS_CACHE_EXACT_SIZE: plugins.cache.exact.size: is nothing; write more`)
	f("SLUICE_TENANTS_ANONYMOUS", "acme", `environment variable SLUICE_TENANTS_ANONYMOUS: tenants.anonymous: "acme" is not defined; tenants: deny`)
	f("SLUICE_SERVER_TLS_CERT", "none.pem", `
		environment variable SLUICE_SERVER_TLS_CERT: server.tls.cert: "none.pem" cannot be read: no such file or directory
		gateway.yaml:1:1: server.tls needs both cert and key
		 1 | version: 1
		   | ^`)
	f("SLUICE_SERVER_LISTEN", ":1", `flag --listen: server.listen: "here" is not an address; write host:port, such as 127.0.0.1:8080 or :8080`, "--listen", "here")
	f("SLUICE_SERVER_MAX_BODY", "1", `flag --max-body: server.max_body: "big" is not a size; write a number with a unit, such as 32MiB, or a number of bytes`, "--max-body=big")
}

// A path in the file is relative to the file, one from the environment to where the command runs.
func TestRelativePaths(t *testing.T) {
	folder(t, "conf/gateway.yaml", base+"tenants: {dir: ../here}\n", "here/a.yaml", "version: 1\nid: a\n", "there/b.yaml", "version: 1\nid: b\n", "conf/tenants/c.yaml", "version: 1\nid: c\n")
	f := func(want string) {
		t.Helper()
		cfg, err := config.NewLoader(config.Options{Path: "conf/gateway.yaml"}).Load()
		if err != nil {
			t.Fatal(err)
		}
		if len(cfg.Tenants.List) != 1 || cfg.Tenants.List[0].ID != want {
			t.Errorf("tenants of %s: %v, want %s", cfg.Tenants.Dir, cfg.Tenants.List, want)
		}
	}
	f("a")
	write(t, "conf/gateway.yaml", base)
	f("c")
	t.Setenv("SLUICE_TENANTS_DIR", "there")
	f("b")
}

func TestEnvName(t *testing.T) {
	if got := config.EnvName("plugins.my-cache.exact.max_size"); got != "SLUICE_PLUGINS_MY_CACHE_EXACT_MAX_SIZE" {
		t.Error(got)
	}
}
