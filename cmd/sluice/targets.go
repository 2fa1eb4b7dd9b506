package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/health"
)

// targetsFlags are those of "sluice targets" and of what stands below it.
type targetsFlags struct {
	address, path, output string
	provider, key, model  string
}

func newTargets() *cobra.Command {
	var f targetsFlags
	c := &cobra.Command{
		Use:   "targets",
		Short: "Show how the targets of a running gateway fare, or take one out of service",
		Long: `Show what the running gateway knows of its targets. A target is a model at a provider with one of its keys.

A target is healthy, suspect (it fails at times; only the strategy least_latency and hedging prefer others), open (it
fails, and is left alone for a while), half_open (it is being tried) or disabled (by an operator, or because the
provider refuses its key or the model). COOLING is for how long the provider itself wants to be left alone. P95 is the
time in which 95 of 100 streams began, or, of who never streams, whole answers came.

The address is that of the admin listener: --admin, else SLUICE_SERVER_ADMIN_LISTEN, else what the gateway file says,
else 127.0.0.1:9090; the token that it may ask for is in SLUICE_ADMIN_TOKEN. With -o json it prints what GET
/admin/v1/targets answers.`,
		Example: `  sluice targets
  sluice targets --admin 10.0.0.7:9090 --provider openai -o json
  sluice targets drain openai --key main --reason "maintenance until noon"
  sluice targets enable openai`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c, http.MethodGet, "", nil)
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.provider, "provider", "", "only those of this `provider`")
	c.AddCommand(
		newOrder("drain", "Give targets no new requests; those that run go on, and so do probes"),
		newOrder("disable", "Give targets neither requests nor probes"),
		newOrder("enable", "Take drain and disable back, and forget what is held against targets"),
	)
	return c
}

// newOrder makes a command that changes targets.
func newOrder(name, short string) *cobra.Command {
	var f targetsFlags
	var reason string
	c := &cobra.Command{
		Use:   name + " PROVIDER",
		Short: short,
		Long: short + `.

Without --key and --model it is for all targets of the provider. It holds until the gateway is restarted or told
otherwise, also for targets that a later configuration adds. The gateway's log says where it came from.`,
		Example: "  sluice targets " + name + " openai\n" +
			"  sluice targets " + name + " openai --key main --model gpt-4.1-mini --reason \"see ticket 42\"",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f.provider = args[0]
			body, err := json.Marshal(map[string]string{"reason": reason})
			if err != nil {
				return err
			}
			return f.run(c, http.MethodPost, "/"+name, body)
		},
	}
	f.add(c)
	c.Flags().StringVar(&reason, "reason", "", "`text` for the record: who wants it, and why")
	return c
}

func (f *targetsFlags) add(c *cobra.Command) {
	configFlag(c, &f.path)
	c.Flags().StringVar(&f.address, "admin", "", "`address` of the admin listener (server.admin_listen)")
	c.Flags().StringVar(&f.key, "key", "", "only those with the key of this `name`")
	c.Flags().StringVar(&f.model, "model", "", "only that of this `model`, as the provider calls it")
	outputFlag(c, &f.output, "table")
}

// run asks the admin API and prints the targets in its answer.
func (f *targetsFlags) run(c *cobra.Command, method, path string, body []byte) error {
	at, err := adminAddress(f.address, f.path)
	if err != nil {
		return errors.New(strings.NewReplacer("--admin-listen", "--admin", "; use --url", "").Replace(err.Error()))
	}
	query := url.Values{}
	for name, value := range map[string]string{"provider": f.provider, "key": f.key, "model": f.model} {
		if value != "" || c.Flags().Changed(name) {
			query.Set(name, value)
		}
	}
	base := "http://" + reachable(at)
	request, err := http.NewRequestWithContext(c.Context(), method, base+"/admin/v1/targets"+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return wrongUse("--admin: %s", err)
	}
	if token := os.Getenv("SLUICE_ADMIN_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	reply, err := (&http.Client{Timeout: healthTimeout}).Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no admin listener answers at %s; name its address with --admin", base)
	}
	if err != nil {
		return err
	}
	if reply.StatusCode != http.StatusOK {
		return refusal(reply)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return err
	}
	var found admin.Targets
	if err := json.Unmarshal(text, &found); err != nil {
		return fmt.Errorf("%s is no admin listener: %w", base, err)
	}
	if f.output == "json" {
		_, err = c.OutOrStdout().Write(text)
		return err
	}
	return writeTargets(c.OutOrStdout(), found.Targets, time.Now())
}

func writeTargets(w io.Writer, list []health.Snapshot, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "PROVIDER\tKEY\tMODEL\tSTATE\tSINCE\tCOOLING\tFAILED\tRUNNING\tP95\tNEXT TRIAL\tREASON")
	for i := range list {
		s := &list[i]
		p95 := "-"
		if ms := cmp.Or(s.P95MS, s.WholeP95MS); ms > 0 {
			p95 = strconv.FormatFloat(ms, 'f', 0, 64) + "ms"
		}
		cells := []string{
			s.Provider, cmp.Or(s.Key, "-"), cmp.Or(s.Model, "-"), s.State.String(), distance(now.Sub(s.Since)), "-",
			fmt.Sprintf("%d/%d", s.Window.Failed, s.Window.Requests), strconv.FormatInt(s.Outstanding, 10), p95, "-",
			cmp.Or(s.Reason, s.CoolReason, "-"),
		}
		if !s.CoolUntil.IsZero() {
			cells[5] = distance(s.CoolUntil.Sub(now))
		}
		if !s.NextProbe.IsZero() {
			cells[9] = distance(s.NextProbe.Sub(now))
		}
		fmt.Fprintln(t, visible(strings.ReplaceAll(strings.Join(cells, "\t"), "\n", " ")))
	}
	return t.Flush()
}

// distance is a time in whole seconds.
func distance(d time.Duration) string { return max(d, 0).Round(time.Second).String() }
