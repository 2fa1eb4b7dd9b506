package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every command says what it does, what its flags mean, and shows how it is used.
func TestHelp(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "_"), func(t *testing.T) {
			if c.Short == "" || strings.HasSuffix(c.Short, ".") {
				t.Errorf("the summary is %q", c.Short)
			}
			if c.Example == "" && !strings.Contains(c.Long, "sluice completion ") { // cobra's own say it there
				t.Error("there is no example")
			}
			for line := range strings.SplitSeq(c.Long+"\n"+c.Example, "\n") {
				if n := len([]rune(line)); n > 118 {
					t.Errorf("%d characters are too many for a line: %s", n, line)
				}
			}
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" {
					t.Errorf("--%s is not explained", f.Name)
				}
			})
			for line := range strings.SplitSeq(c.Example, "\n") {
				if !parses(line) {
					t.Errorf("the example does not work: %s", line)
				}
			}
		})
		for _, child := range c.Commands() {
			if child.Name() != "completion" {
				walk(child)
			}
		}
	}
	walk(newRoot())
}

// parses reports whether the command line in an example names a command and flags that exist.
func parses(example string) bool {
	_, line, found := strings.Cut(" "+example, " sluice ")
	if !found {
		return strings.TrimSpace(example) == "" || strings.HasPrefix(example, "  export ") || strings.HasSuffix(example, " sluice")
	}
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, " >")
	c, rest, err := newRoot().Find(strings.Fields(line))
	return err == nil && c.ParseFlags(rest) == nil
}
