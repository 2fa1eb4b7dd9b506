package main

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/sim"
)

func newSim() *cobra.Command {
	var o config.Sim
	o.SetDefaults()
	jitter, errorRate := float64(o.Jitter), float64(o.ErrorRate)
	var listen, key, faults, to string
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run the simulated provider as a server",
		Long: `Run the simulated provider as an HTTP server that speaks OpenAI's chat completions and Responses and
Anthropic's Messages, for tests and benchmarks of gateways and clients. GET /stats shows what has happened. It ends at
SIGTERM or SIGINT.

The model's name chooses what goes wrong: sim-chat answers; sim-fast answers without delay; sim-long-500 with 500
tokens; sim-429, sim-503 refuse; sim-cut-10 breaks off after 10 events; sim-stall-5 falls silent after 5. Words
combine: sim-fast-long-1000-cut-500.

What goes wrong by time, whatever the model's name, is the schedule of --faults; then each request is a line of the
output. With --to there is no simulated provider behind it, but a server of yours, which must speak plain HTTP.

` + sim.ScheduleHelp,
		Example: `  sluice sim
  sluice sim --listen :8000 --first-token 50ms --tokens-per-second 200 --error-rate 0.05
  sluice sim --faults "10s refuse; 20s 429 retry 2s 50%; 30s latency 20ms, latency 380ms 5%; 60s repeat"
  sluice sim --listen :8001 --to vllm:8000 --faults "30s ok; 10s blackhole; repeat"
  sluice chat --url http://127.0.0.1:8000/v1 -m sim-fast Hello`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8000", "`address` to listen at")
	f.StringVar(&key, "require-key", "", "refuse clients that do not send this `key` as bearer token")
	f.DurationVar(&o.FirstToken, "first-token", o.FirstToken, "time until the first token")
	f.Float64Var(&o.TokensPerSecond, "tokens-per-second", o.TokensPerSecond, "speed afterwards; 0: all at once")
	f.Float64Var(&jitter, "jitter", jitter, "by which `share` of themselves these times vary, from 0 to 1")
	f.Float64Var(&errorRate, "error-rate", errorRate, "`share` of requests that fail, from 0 to 1")
	f.Int64Var(&o.Seed, "seed", o.Seed, "other seeds give other answers and timing")
	f.StringVar(&faults, "faults", "", "what goes wrong when: a `schedule`, see above")
	f.StringVar(&to, "to", "", "`address` of a server, host:port, to which all is passed on; then only --listen and --faults mean something")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if jitter < 0 || jitter > 1 || errorRate < 0 || errorRate > 1 {
			return wrongUse("--jitter and --error-rate are shares, from 0 to 1")
		}
		if o.TokensPerSecond < 0 || o.FirstToken < 0 {
			return wrongUse("--tokens-per-second and --first-token cannot be negative")
		}
		schedule, err := sim.ParseSchedule(cmp.Or(faults, "ok"))
		if err != nil {
			return wrongUse("--faults: %v", err)
		}
		if _, _, err := net.SplitHostPort(to); to != "" && err != nil {
			return wrongUse("--to: %v; write host:port", err)
		}
		l, err := net.Listen("tcp", listen)
		if err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
		if faults != "" || to != "" {
			l = spoiled(c, l, schedule, o.Seed)
		}
		if to != "" {
			return relay(c, l, to)
		}
		return simulate(c, l, &sim.Server{Key: key, Options: sim.Options{
			FirstToken: o.FirstToken, TokensPerSecond: o.TokensPerSecond, Jitter: jitter, ErrorRate: errorRate, Seed: o.Seed,
		}})
	}
	return c
}

// spoiled is a listener whose connections go wrong, and which prints the requests.
func spoiled(c *cobra.Command, l net.Listener, s sim.Schedule, seed int64) net.Listener {
	f := sim.NewFaultListener(l, s, seed)
	began := time.Now()
	f.Notice = func(a sim.Arrival) {
		late := ""
		if a.Late > 0 {
			late = ", " + a.Late.String() + " late"
		}
		c.Printf("%.3fs %q %q: %s%s\n", a.At.Sub(began).Seconds(), a.Target, a.Model, a.Fault, late)
	}
	return f
}

// relay passes connections on until a signal.
func relay(c *cobra.Command, l net.Listener, to string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	stop := sim.Relay(l, to)
	c.Printf("what comes to http://%s goes to %s\n", reachable(l.Addr().String()), to)
	<-signals
	stop()
	return nil
}

// simulate serves until a signal.
func simulate(c *cobra.Command, l net.Listener, s *sim.Server) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	c.Printf("simulated provider at http://%s/v1, what happens at /stats\n", reachable(l.Addr().String()))
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-signals:
	}
	if err := s.Close(); err != nil {
		return err
	}
	return <-failed
}
