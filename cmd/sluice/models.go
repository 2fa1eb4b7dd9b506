package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/runtime"
)

// modelRow is one element of what models -o json writes. From a gateway's URL only its name and owner are known.
type modelRow struct {
	Name     string      `json:"name"`
	OwnedBy  string      `json:"owned_by"`
	Aliases  []string    `json:"aliases,omitempty"`
	Strategy string      `json:"strategy,omitempty"`
	Targets  []targetRow `json:"targets,omitempty"`
	Fallback []string    `json:"fallback,omitempty"`
}

type targetRow struct {
	Provider string `json:"provider"`
	Model    string `json:"model"` // "": as the caller named it
	Weight   int    `json:"weight"`

	Known *knownRow `json:"known,omitempty"`
}

// knownRow is what the catalogue knows of a target's model. What is left out is not known.
type knownRow struct {
	Context  int64           `json:"context,omitempty"`
	Output   int64           `json:"output,omitempty"`
	Can      []string        `json:"can,omitempty"`
	Cannot   []string        `json:"cannot,omitempty"`
	Sampling string          `json:"sampling,omitempty"`
	Thinking string          `json:"thinking,omitempty"`
	Efforts  []string        `json:"efforts,omitempty"`
	Retires  string          `json:"retires,omitempty"`
	Prices   []catalog.Price `json:"prices,omitempty"`
}

func newModels() *cobra.Command {
	var path, base, key, output string
	c := &cobra.Command{
		Use:   "models",
		Short: "List the models of a configuration, or of a running gateway",
		Long: `List the models that a configuration defines and where they lead, or with --url those that a running gateway
offers to a key. Without either it is the demonstration's.

Of each target's model it shows what the catalogue knows: its window and the most tokens of an answer, what a
million ordinary tokens cost, and what it can do. The configuration's section catalog adds to that.

With -o json: [{"name", "owned_by", "aliases": [], "strategy", "targets": [{"provider", "model", "weight", "known":
{"context", "output", "can": [], "cannot": [], "sampling", "thinking", "efforts": [], "retires", "prices": [{"tier",
"above", "hours", "until", and what each class of usage costs in USD}]}}], "fallback": []}]; what is not known is left
out, and from a gateway there are only name and owned_by.`,
		Example: `  sluice models --config configs/sluice.yaml
  SLUICE_API_KEY=sluice_… sluice models --url http://127.0.0.1:8080/v1
  sluice models -o json`,
		Args: cobra.NoArgs,
	}
	configFlag(c, &path)
	c.Flags().StringVar(&base, "url", "", "ask the gateway whose API begins at this `URL`")
	keyFlag(c, &key)
	outputFlag(c, &output, "table")
	c.RunE = func(c *cobra.Command, _ []string) error {
		rows, err := modelRows(c, path, base, key)
		if err != nil {
			return err
		}
		if output == "json" {
			return writeJSON(c.OutOrStdout(), rows)
		}
		return writeModels(c.OutOrStdout(), rows, base != "")
	}
	return c
}

func modelRows(c *cobra.Command, path, base, key string) ([]modelRow, error) {
	rows := []modelRow{}
	if base == "" {
		cfg, err := loadUnresolved(path)
		if err != nil {
			return nil, err
		}
		all, err := runtime.Catalog(cfg)
		if err != nil {
			return nil, err
		}
		known := runtime.Known(cfg, all)
		for i := range cfg.Models {
			rows = append(rows, configuredModel(&cfg.Models[i], known))
		}
		return rows, nil
	}
	if c.Flags().Changed("config") {
		return nil, wrongUse("--config and --url exclude each other")
	}
	api, err := newClient(base, key)
	if err != nil {
		return nil, err
	}
	list, err := api.models(c.Context())
	for _, m := range list {
		rows = append(rows, modelRow{Name: visible(m.ID), OwnedBy: visible(m.OwnedBy)})
	}
	return rows, err
}

func configuredModel(m *config.Model, known func(provider, model string) *catalog.Model) modelRow {
	row := modelRow{Name: m.Name, OwnedBy: m.OwnedBy, Aliases: m.Aliases, Strategy: m.Strategy, Fallback: m.Fallback}
	for _, t := range m.Targets {
		if t.Disabled {
			continue
		}
		name := t.Model
		if name == "" && !strings.Contains(m.Name, "*") {
			name = m.Name
		}
		row.Targets = append(row.Targets, targetRow{t.Provider, t.Model, t.Weight, describe(known(t.Provider, name))})
	}
	return row
}

// describe is nil for a model of which nothing is known.
func describe(m *catalog.Model) *knownRow {
	if m == nil {
		return nil
	}
	row := &knownRow{
		Context: m.Context, Output: m.Output, Sampling: m.Sampling.String(), Thinking: m.Thinking.String(), Efforts: m.Efforts, Retires: m.Retires,
	}
	row.Can, row.Cannot = m.Abilities()
	for i := range m.Tariffs {
		p := m.Tariffs[i].Price()
		for _, field := range p.Fields() {
			if *field == unknownPrice {
				*field = ""
			}
		}
		row.Prices = append(row.Prices, p)
	}
	return row
}

const unknownPrice = "unknown"

func writeModels(w io.Writer, rows []modelRow, remote bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	if remote {
		fmt.Fprintln(t, "NAME\tOWNED BY")
	} else {
		fmt.Fprintln(t, "NAME\tALIASES\tSTRATEGY\tFALLBACK\tTARGET\tCONTEXT\tOUTPUT\tUSD/M\tCAN")
	}
	for _, m := range rows {
		if remote {
			fmt.Fprintf(t, "%s\t%s\n", m.Name, m.OwnedBy)
			continue
		}
		head := []string{m.Name, orDash(m.Aliases), m.Strategy, orDash(m.Fallback)}
		for _, target := range m.Targets {
			fmt.Fprintln(t, strings.Join(append(head, target.cells(m)...), "\t"))
			head = []string{"", "", "", ""}
		}
	}
	return t.Flush()
}

// cells are what a line of the table says of a target.
func (t targetRow) cells(m modelRow) []string {
	k := t.Known
	if k == nil {
		return []string{t.text(m), "-", "-", "-", "-"}
	}
	tokens := func(n int64) string {
		if n == 0 {
			return "-"
		}
		return strconv.FormatInt(n, 10)
	}
	return []string{t.text(m), tokens(k.Context), tokens(k.Output), k.price(), orDash(k.Can)}
}

// price is what ordinary tokens of a short prompt cost, in and out.
func (k *knownRow) price() string {
	i := slices.IndexFunc(k.Prices, func(p catalog.Price) bool {
		return (p.Tier == "" || p.Tier == "*") && p.Above == 0 && p.Hours == ""
	})
	if i < 0 {
		return "-"
	}
	p := &k.Prices[i]
	text := cmp.Or(p.Input, "-") + " in"
	if p.CacheRead != "" && p.CacheRead != p.Input {
		text += ", " + p.CacheRead + " cached"
	}
	if p.Output != "" {
		text += ", " + p.Output + " out"
	}
	return text
}

// text is the target as "provider: model", with its weight where that matters. Names of models have slashes.
func (t targetRow) text(m modelRow) string {
	s := t.Provider + ": " + t.Model
	if t.Model == "" {
		s = t.Provider
	}
	if m.Strategy == config.Weighted {
		s += fmt.Sprintf(" (%d)", t.Weight)
	}
	return s
}

func orDash(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, ", ")
}
