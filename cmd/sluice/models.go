package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/config"
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
}

func newModels() *cobra.Command {
	var path, base, key, output string
	c := &cobra.Command{
		Use:   "models",
		Short: "List the models of a configuration, or of a running gateway",
		Long: `List the models that a configuration defines and where they lead, or with --url those that a running gateway
offers to a key. Without either it is the demonstration's.

With -o json: [{"name", "owned_by", "aliases": [], "strategy", "targets": [{"provider", "model", "weight"}],
"fallback": []}]; from a gateway only name and owned_by.`,
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
		for i := range cfg.Models {
			rows = append(rows, configuredModel(&cfg.Models[i]))
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

func configuredModel(m *config.Model) modelRow {
	row := modelRow{Name: m.Name, OwnedBy: m.OwnedBy, Aliases: m.Aliases, Strategy: m.Strategy, Fallback: m.Fallback}
	for _, t := range m.Targets {
		row.Targets = append(row.Targets, targetRow{t.Provider, t.Model, t.Weight})
	}
	return row
}

func writeModels(w io.Writer, rows []modelRow, remote bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	if remote {
		fmt.Fprintln(t, "NAME\tOWNED BY")
	} else {
		fmt.Fprintln(t, "NAME\tALIASES\tSTRATEGY\tTARGETS\tFALLBACK")
	}
	for _, m := range rows {
		if remote {
			fmt.Fprintf(t, "%s\t%s\n", m.Name, m.OwnedBy)
			continue
		}
		targets := make([]string, len(m.Targets))
		for i, target := range m.Targets {
			targets[i] = target.text(m)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n",
			m.Name, orDash(m.Aliases), m.Strategy, strings.Join(targets, ", "), orDash(m.Fallback))
	}
	return t.Flush()
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
