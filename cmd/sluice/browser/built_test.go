//go:build !race

package browser

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuilt builds the console's pages anew, and holds them against those that are part of the program.
func TestBuilt(t *testing.T) {
	const console = "../../../gateway/console"
	modules := filepath.Join(installed(t, "SLUICE_CONSOLE_NODE"), "node_modules")
	dir := t.TempDir()
	err := filepath.WalkDir(console, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "dist"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, strings.TrimPrefix(path, console)), 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, strings.TrimPrefix(path, console)), b, 0o644)
	})
	if err == nil {
		err = os.Symlink(modules, filepath.Join(dir, "web", "node_modules"))
	}
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "npm", "run", "--silent", "build")
	c.Dir = filepath.Join(dir, "web")
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	built, err := os.ReadDir(filepath.Join(dir, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	known, err := os.ReadDir(filepath.Join(console, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	if len(built) != len(known) {
		t.Errorf("%v were built, and %v are there", built, known)
	}
	for _, file := range built {
		now, err := os.ReadFile(filepath.Join(dir, "dist", file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if then, err := os.ReadFile(filepath.Join(console, "dist", file.Name())); err != nil || !bytes.Equal(now, then) {
			t.Errorf("gateway/console/dist/%s is not what its sources make (%v): run `make console` and commit it", file.Name(), err)
		}
	}
}
