package main

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version string // a variable, because the linker knows no other way

var madeUp = regexp.MustCompile(`[0-9]{14}-[0-9a-f]{12}|\+dirty$`)

// build is what version -o json writes.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"` // "" if it is not known; ends in +dirty if files had been changed
	Go       string `json:"go"`
	Platform string `json:"platform"` // operating system/processor
}

func newVersion() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version, the commit it was built from, the Go version and the platform.

With -o json: {"version", "commit", "go", "platform"}.`,
		Example: `  sluice version
  sluice version -o json`,
		Args: cobra.NoArgs,
	}
	outputFlag(c, &output, "text")
	c.RunE = func(c *cobra.Command, _ []string) error {
		b := build{buildVersion(), commit(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
		if output == "json" {
			return writeJSON(c.OutOrStdout(), b)
		}
		line := "sluice " + b.Version
		if b.Commit != "" {
			line += " (" + b.Commit + ")"
		}
		c.Println(line + " " + b.Go + " " + b.Platform)
		return nil
	}
	return c
}

// buildVersion is the version without a leading v; "dev" for what was not released.
func buildVersion() string {
	if version != "" {
		return strings.TrimPrefix(version, "v")
	}
	// A tag, in a clean checkout or of go install. Between tags Go makes up a version of a time and a commit.
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" || madeUp.MatchString(info.Main.Version) {
		return "dev"
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}

func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + dirty
}
