package main

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/cmd/sluice/app"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/runtime"
)

// verdict is what validate -o json writes.
type verdict struct {
	Valid bool   `json:"valid"`
	File  string `json:"file"`
	// How many there are, if valid.
	Providers int              `json:"providers,omitempty"`
	Models    int              `json:"models,omitempty"`
	Tenants   int              `json:"tenants,omitempty"`
	Problems  []config.Problem `json:"problems"` // empty if valid
	Warnings  []config.Problem `json:"warnings"`
}

func newValidate() *cobra.Command {
	var path, output string
	c := &cobra.Command{
		Use:   "validate",
		Short: "Find all mistakes in a configuration",
		Long: `Read a configuration as serve would, with the environment laid over it, and report all mistakes in it and
its tenants' files at once. The exit code is 3 if there are any.

With -o json the result is one object on standard output:
  {"valid": bool, "file": path, "providers": n, "models": n, "tenants": n,
   "problems": [{"file", "line", "column", "path", "message", "hint", "source"}], "warnings": [the same]}`,
		Example: `  sluice validate --config configs/sluice.yaml
  sluice validate --config configs/sluice.yaml -o json`,
		Args: cobra.NoArgs,
	}
	configFlag(c, &path)
	outputFlag(c, &output, "text")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if path == "" {
			return wrongUse("no configuration is named: use --config or SLUICE_CONFIG")
		}
		loader := config.NewLoader(config.Options{Path: path, Plugins: app.Prototypes(), Endpoints: app.Endpoints(), Check: runtime.Check})
		cfg, err := loader.Load()
		if err == nil {
			err = app.Check(cfg)
		}
		if output == "json" {
			return writeVerdict(c, verdict{File: path, Warnings: loader.Warnings()}, cfg, err)
		}
		printWarnings(c, loader.Warnings())
		if err != nil {
			return err
		}
		c.Println("configuration is valid: " + counts(cfg))
		return nil
	}
	return c
}

// writeVerdict completes a verdict by what loading gave, and writes it.
func writeVerdict(c *cobra.Command, v verdict, cfg *config.Config, err error) error {
	v.Valid, v.Problems, v.Warnings = err == nil, []config.Problem{}, append([]config.Problem{}, v.Warnings...)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		v.Problems = problems
	case err != nil:
		return err
	default:
		v.Providers, v.Models, v.Tenants = len(cfg.Providers), len(cfg.Models), len(cfg.Tenants.List)
	}
	if err := writeJSON(c.OutOrStdout(), v); err != nil {
		return err
	}
	if !v.Valid {
		return errMistakes
	}
	return nil
}

// printWarnings tells of what is allowed but better otherwise.
func printWarnings(c *cobra.Command, warnings config.Problems) {
	for i := range warnings {
		c.PrintErr("warning: " + warnings[i].Text())
	}
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// writeLine writes a value as one line of JSON.
func writeLine(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
