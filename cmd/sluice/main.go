// Command sluice is a gateway for large language models: one binary that serves, checks its configuration, makes keys,
// and asks itself questions. Without arguments it starts a demonstration that needs no configuration and no network.
//
// Every command writes its data to standard output and everything else to standard error. It exits with 0 on success, 1
// on failure, 2 if it was called wrongly, and 3 if the configuration has mistakes.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/cmd/sluice/app"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/runtime"
)

// Exit codes.
const (
	success       = 0
	failure       = 1
	usage         = 2
	configuration = 3
)

func main() { os.Exit(run(os.Args[1:])) }

// run executes a command line and returns its exit code.
func run(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	began := false // an error before that is one of usage: cobra has no type for those
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	cmd, err := root.ExecuteC()
	if err == nil {
		return success
	}
	var problems config.Problems
	var wrong *usageError
	switch {
	case errors.As(err, &problems):
		cmd.PrintErr(problems.Text())
		cmd.PrintErrf("sluice: the configuration has %s\n", count(len(problems), "mistake"))
		return configuration
	case !began || errors.As(err, &wrong):
		cmd.PrintErrf("sluice: %s\nSee %s --help.\n", strings.TrimSpace(err.Error()), cmd.CommandPath())
		return usage
	case errors.Is(err, errMistakes):
		return configuration
	case errors.Is(err, errTold):
		return failure
	default:
		cmd.PrintErrf("sluice: %s\n", err)
		return failure
	}
}

// Failures that have been told already.
var (
	errTold     = errors.New("failed")
	errMistakes = errors.New("the configuration has mistakes")
)

// usageError is a command line that is wrong in a way that only the command can see.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func wrongUse(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

func newRoot() *cobra.Command {
	root := newServe()
	root.Use = "sluice"
	root.Short = "A gateway for large language models"
	root.Long = `Sluice stands between applications and providers of large language models.

Without a command it serves. Without a configuration it starts a demonstration: a simulated
provider, a fresh key, nothing that leaves this machine.

Exit codes: 0 success, 1 failure, 2 wrong use, 3 mistakes in the configuration.`
	root.Flags().Bool("version", false, "print the version")
	root.Version = buildVersion()
	root.SetVersionTemplate("sluice {{.Version}}\n")
	root.Example = `  sluice                                        # the demonstration
  sluice config init                            # write an example configuration into configs/
  sluice serve --config configs/sluice.yaml     # serve it
  sluice chat -m demo Hello                     # ask a question (key in SLUICE_API_KEY)
  sluice targets                                # how the providers behind a running gateway fare`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetOut(os.Stdout) // otherwise cobra prints to standard error
	plain := newServe()
	plain.Args = cobra.NoArgs // the root has none of its own: cobra then tells unknown commands
	root.AddCommand(
		plain, newValidate(), newConfig(), newTenants(), newKeys(), newUsage(), newLedger(), newAudit(), newMigrate(),
		newModels(), newTargets(), newCache(), newChat(), newSim(), newHealthcheck(), newVersion(),
	)
	root.InitDefaultCompletionCmd()
	return root
}

// group makes a command that only holds others: without one of them it shows its help.
func group(c *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	c.AddCommand(commands...)
	c.SuggestionsMinimumDistance = 2
	c.DisableFlagsInUseLine = true
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			text += "\n\nDid you mean this?\n\t" + strings.Join(near, "\n\t")
		}
		return wrongUse("%s", text)
	}
	return c
}

// configFlag adds the flag that names the gateway file. Empty stands for the demonstration.
func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "config", os.Getenv("SLUICE_CONFIG"), "gateway `file` (default $SLUICE_CONFIG)")
	c.Flags().Lookup("config").DefValue = "" // the help says it
}

// loadUnresolved reads a configuration for commands that need no secrets: variables and files that are missing are
// warnings. Path "" is the demonstration. The error is of type config.Problems if there are mistakes.
func loadUnresolved(path string) (*config.Config, error) {
	return config.NewLoader(config.Options{Path: path, Plugins: app.Prototypes(), Endpoints: app.Endpoints(), Check: runtime.Check, Unresolved: true}).Load()
}

// outputFlag adds the flag that chooses between what people and what programs read.
func outputFlag(c *cobra.Command, format *string, people string) {
	*format = people
	c.Flags().VarP(&choice{format, []string{people, "json"}}, "output", "o", people+" or json")
}

// choice is a flag whose value is one of a few words.
type choice struct {
	value *string
	words []string
}

func (c *choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c *choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		return fmt.Errorf("must be %s", strings.Join(c.words, " or "))
	}
	*c.value = s
	return nil
}

func (c *choice) Type() string { return "format" }

// count is a number of things in words: 1 mistake, 2 mistakes.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
