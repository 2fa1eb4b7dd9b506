package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/config"
)

// Loading never panics; every problem is inside the file it names; a configuration without a problem prints as YAML that
// is one.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"../configs/sluice.yaml", "../configs/tenants/acme.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), string(text))
	}
	f.Add(base, tenant("a", "1"))
	f.Add("\ufeff"+base, "a: &a [*a]")
	f.Add(base+"server: &s {<<: *s, listen: \"${env:A:-${file:x}\"}", "version: 1\r\nid: a\rkeys:\u2028 - {name: é, x: \"a\n  b\"}\n")
	f.Add("providers: [{name: a, type: openai, keys: [{key: \"a\n\n  b\", x: |2\n", "id: >-\n  a\n\n  b # c\nx: 'it''s'")
	f.Fuzz(func(t *testing.T, gateway, tenantText string) {
		dir := t.TempDir()
		files := map[string]string{filepath.Join(dir, "gateway.yaml"): gateway, filepath.Join(dir, "tenants", "a.yaml"): tenantText}
		for name, text := range files {
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		opt := config.Options{Path: filepath.Join(dir, "gateway.yaml"), Plugins: plugins()}
		cfg, err := config.NewLoader(opt).Load()
		if err == nil {
			out, err := cfg.Effective()
			if err != nil || len(out) == 0 {
				t.Fatalf("printing: %v", err)
			}
			inside(t, files, cfg.Warnings)
			return
		}
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("not problems: %v", err)
		}
		inside(t, files, problems)
	})
}

func inside(t *testing.T, files map[string]string, problems config.Problems) {
	t.Helper()
	for _, p := range problems {
		text, ok := files[p.File]
		if !ok {
			if p.Line != 0 {
				t.Errorf("a place outside the files: %+v", p)
			}
			continue
		}
		lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text), "\n")
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1 {
			t.Errorf("%s is outside the file, which has %d lines", p, len(lines))
		}
		if p.Message == "" || !utf8.ValidString(p.Text()) {
			t.Errorf("%+v cannot be shown", p)
		}
	}
}

// Whatever follows in the file, and whether or not it is YAML: a secret that is written out is not in the problems.
func FuzzSecret(f *testing.F) {
	f.Add("", "")
	f.Add("}]", "x: 1")
	f.Add(", wait: 3}] # ", "chain: x")
	f.Add("\n   \"", "  x: [")
	f.Add("\"'|>", "---")
	f.Fuzz(func(t *testing.T, after, more string) {
		for _, gateway := range []string{
			"version: 1\nproviders:\n  - {name: a, keys: [{key: " + canary + after + "\n" + more,
			"version: 1\nproviders:\n  - name: a\n    api_key: |\n      " + canary + after + "\n" + more,
			"version: 1\nproviders:\n  - name: a\n    keys:\n      - key: \"" + canary + after + "\n" + more,
		} {
			path := filepath.Join(t.TempDir(), "gateway.yaml")
			if err := os.WriteFile(path, []byte(gateway), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.NewLoader(config.Options{Path: path}).Load()
			var problems config.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("no problems: %v", err)
			}
			clean(t, "a problem", problems.Text())
		}
	})
}

func BenchmarkLoad10kTenants(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gateway.yaml"), []byte(base), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tenants"), 0o700); err != nil {
		b.Fatal(err)
	}
	for i := range 10_000 {
		text := fmt.Sprintf("version: 1\nid: t%d\nname: Tenant %d\nkeys:\n  - {name: ci, digest: \"sha256:%064x\", expires: 2031-01-31}\n"+
			"  - {name: app, digest: \"sha256:%064x\"}\nmodels: {allow: [gpt-4.1-mini, \"claude-*\"]}\ncors: {origins: [\"https://t%d.example\"]}\n", i, i, 2*i, 2*i+1, i)
		if err := os.WriteFile(filepath.Join(dir, "tenants", fmt.Sprintf("t%d.yaml", i)), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	opt := config.Options{Path: filepath.Join(dir, "gateway.yaml")}
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if cfg, err := config.NewLoader(opt).Load(); err != nil || len(cfg.Tenants.List) != 10_000 {
				b.Fatal(err)
			}
		}
	})
	b.Run("reload", func(b *testing.B) {
		l := config.NewLoader(opt)
		if _, err := l.Load(); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if cfg, _, err := l.Reload(); err != nil || len(cfg.Tenants.List) != 10_000 {
				b.Fatal(err)
			}
		}
	})
}
