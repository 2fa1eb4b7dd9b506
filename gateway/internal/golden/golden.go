// Package golden compares what a test gets with what was recorded, in archives of testdata.
package golden

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Run runs f on the first file of each archive in a folder of testdata, and compares the sections it writes with the
// others; with update it writes them.
func Run(t *testing.T, folder string, update bool, f func(t *testing.T, in []byte, out func(section, text string))) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no archives in %s: %v", folder, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Comment: a.Comment, Files: slices.Clone(a.Files[:1])}
			f(t, slices.Clone(a.Files[0].Data), func(section, text string) {
				got.Files = append(got.Files, txtar.File{Name: section, Data: []byte(text)})
			})
			if update {
				if err := os.WriteFile(path, txtar.Format(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if g, w := string(txtar.Format(got)), string(txtar.Format(a)); g != w {
				t.Errorf("got\n%s\nwant\n%s", g[len(txtar.Format(&txtar.Archive{Comment: a.Comment, Files: a.Files[:1]})):], w)
			}
		})
	}
}
