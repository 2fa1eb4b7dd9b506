package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/cmd/sluice/app"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/runtime"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

func newServe() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API (also what sluice does without a command)",
		Long: `Serve the API until SIGTERM or SIGINT, then let running requests end (server.drain_timeout); a second
signal stops at once. Changes of the configuration's files apply while it runs; SIGHUP is not needed, and does
nothing.

Without --config it starts a demonstration: a simulated provider, a fresh key, nothing that leaves this
machine; with OPENAI_API_KEY in the environment, OpenAI's models beside it.

Each setting outside a list is also an environment variable: SLUICE_SERVER_LISTEN for server.listen.
A flag wins over the variable, the variable over the file.`,
		Example: `  sluice serve
  sluice serve --config configs/sluice.yaml
  sluice serve --config configs/sluice.yaml --listen :8080 --log-format json`,
	}
	configFlag(c, &path)
	f := c.Flags()
	f.String("listen", "", "`address` of the API (server.listen)")
	f.String("admin-listen", "", "`address` of metrics and health, or \"off\" (server.admin_listen)")
	f.String("log-level", "", "debug, info, warn or error (telemetry.log.level)")
	f.String("log-format", "", "auto, json or console (telemetry.log.format)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return serve(c, config.Options{Path: path, Plugins: app.Prototypes(), Endpoints: app.Endpoints(), Check: runtime.Check, Flags: map[string]*pflag.Flag{
			"server.listen":        f.Lookup("listen"),
			"server.admin_listen":  f.Lookup("admin-listen"),
			"telemetry.log.level":  f.Lookup("log-level"),
			"telemetry.log.format": f.Lookup("log-format"),
		}})
	}
	return c
}

// serve runs the gateway until a signal, or until a listener fails.
func serve(c *cobra.Command, o config.Options) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	hangups := make(chan os.Signal, 1) // from who expects it to reload, which needs no signal, or from a terminal that closes
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	demoKey := ""
	if o.Path == "" {
		var err error
		if demoKey, err = key.New("demo"); err != nil {
			return err
		}
		o.DemoDigest = key.Text(key.Digest([]byte(demoKey)))
	}
	loader := config.NewLoader(o)
	cfg, err := loader.Load()
	for _, w := range loader.Warnings() {
		c.PrintErrln("warning: " + w.String())
	}
	if err != nil {
		return err
	}
	log, flush, err := app.NewLog(cfg.Telemetry.Log)
	if err != nil {
		return err
	}
	defer flush()
	tuneGC()
	a, err := app.Start(app.Options{Loader: loader, Config: cfg, Log: log, Version: buildVersion()})
	if err != nil {
		return inUse(err)
	}
	c.Print(banner(a, o.Path, demoKey))
	settle()

	for running := true; running; {
		select {
		case err := <-a.Failed():
			a.Drain()
			return err
		case <-hangups:
			log.Info("SIGHUP does nothing: changes of the configuration's files apply by themselves")
		case s := <-signals:
			log.Info("draining: running requests may end; another signal stops at once", zap.Stringer("signal", s))
			running = false
		}
	}
	drained := make(chan int, 1)
	go func() { drained <- a.Drain() }()
	select {
	case cut := <-drained:
		log.Info("stopped", zap.Int("requests_cut", cut))
		return nil
	case <-signals:
		return errors.New("stopped by a second signal before running requests had ended")
	}
}

// inUse says what to do about an address that another program has. The error begins with the setting.
func inUse(err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	flag := "--listen"
	if strings.HasPrefix(err.Error(), "server.admin_listen") {
		flag = "--admin-listen"
	}
	return fmt.Errorf("%w; another program listens there: stop it, or choose another address with %s", err, flag)
}
