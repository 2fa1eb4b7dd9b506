//go:build !race

package browser

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is with a whole script.
const patience = 3 * time.Minute

// TestConsole runs the scripts, one after the other because they share a gateway.
func TestConsole(t *testing.T) {
	node := installed(t, "SLUICE_BROWSER_NODE")
	modules := filepath.Join(node, "node_modules")
	chromium := installed(t, "SLUICE_BROWSER")
	scripts, err := filepath.Glob(filepath.Join("testdata", "*.test.cjs"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%v: no scripts in testdata", err)
	}
	pictures := os.Getenv("SLUICE_PICTURES")
	if pictures == "" {
		pictures = t.ArtifactDir()
	}
	s := start(t)
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".test.cjs"), func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), patience)
			defer stop()
			// A script that is run as a program runs its tests; the browser ends with it.
			c := exec.CommandContext(ctx, filepath.Join(modules, ".bin", "node"), script)
			c.Env = append(os.Environ(), "NODE_PATH="+modules, "NO_PROXY=*", "NODE_OPTIONS=", "CHROMIUM="+chromium, "PICTURES="+pictures,
				"CONSOLE="+s.console, "API="+s.api, "API_KEY="+key)
			c.WaitDelay = time.Second
			if said, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, said)
			} else {
				t.Logf("%s", said)
			}
		})
	}
}

// installed is what the Makefile says of where something is.
func installed(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: `make test-browser` installs what these tests need and runs them; `make browser` only installs it", variable)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v: run `make browser`", variable, err)
	}
	return path
}
