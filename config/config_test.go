package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/config"
)

// base is a gateway file without a mistake. Its three lines leave room for more.
const base = `version: 1
providers: [{name: sim, type: sim}]
models: [{name: demo, targets: [{provider: sim}]}]
`

// digest returns a digest that differs for every letter.
func digest(letter string) string { return "sha256:" + strings.Repeat(letter, 64) }

// folder makes a fresh folder the working one and writes files into it: name, content, name, content.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, files...)
	return dir
}

func write(t *testing.T, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		if err := os.MkdirAll(filepath.Dir(files[i]), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files[i], []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// load loads gateway.yaml in the working folder.
func load(opt config.Options) (*config.Config, error) {
	opt.Path = "gateway.yaml"
	return config.NewLoader(opt).Load()
}

// loaded is load for a configuration without a mistake.
func loaded(t *testing.T, opt config.Options) *config.Config {
	t.Helper()
	cfg, err := load(opt)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// mistakes loads a gateway file, and more files, and returns the problems, one a line.
func mistakes(t *testing.T, gateway string, more ...string) string {
	t.Helper()
	folder(t, append([]string{"gateway.yaml", gateway}, more...)...)
	_, err := load(config.Options{})
	if err == nil {
		return ""
	}
	var p config.Problems
	if !errors.As(err, &p) {
		t.Fatalf("error of type %T: %v", err, err)
	}
	return p.Error()
}

// expect compares text without regard to indentation and blank ends.
func expect(t *testing.T, got, want string) {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(want), "\n") {
		lines = append(lines, strings.TrimLeft(line, "\t"))
	}
	if want := strings.Join(lines, "\n"); strings.TrimSpace(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
