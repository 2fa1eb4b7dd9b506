package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
)

// added is what the tests below add.
const added = `{name: new, digest: "sha256:1"}`

func TestWriteKey(t *testing.T) {
	// f adds a key to a tenant's file and compares the file then. ADDED stands for the new entry.
	f := func(before, after string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "acme.yaml")
		if err := os.WriteFile(path, []byte(before), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := writeKey(path, entry{name: "new", digest: "sha256:1"}); err != nil {
			t.Error(err)
			return
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.ReplaceAll(after, "ADDED", added); string(got) != want {
			t.Errorf("of\n%s\ncame\n%s\nnot\n%s", before, got, want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
			t.Errorf("%d files, %v", len(files), err)
		}
	}
	// Below the last entry, and nothing else changes.
	f("keys:\n  - {name: ci,  digest: d}   # of CI\n\n# models\nmodels:  {}\n",
		"keys:\n  - {name: ci,  digest: d}   # of CI\n  - ADDED\n\n# models\nmodels:  {}\n")
	f("keys:\n- name: ci\n  digest: d\n  # expires: never\n# more\n- name: web\n  digest: e\nid: acme\n",
		"keys:\n- name: ci\n  digest: d\n  # expires: never\n# more\n- name: web\n  digest: e\n- ADDED\nid: acme\n")
	f("keys:\n  - name: ci\n    digest: d\n    # expires: never\n  # the next\nid: acme\n",
		"keys:\n  - name: ci\n    digest: d\n    # expires: never\n  - ADDED\n  # the next\nid: acme\n")
	f("keys:\n  - name: ci\n    digest: d", "keys:\n  - name: ci\n    digest: d\n  - ADDED\n")
	f("id: acme\r\nkeys:\r\n  - {name: ci, digest: d}\r\nname: A\r\n", "id: acme\r\nkeys:\r\n  - {name: ci, digest: d}\r\n  - ADDED\r\nname: A\r\n")

	// No keys yet.
	f("id: acme # the id\n\nname: A\n", "id: acme # the id\n\nname: A\nkeys:\n  - ADDED\n")
	f("id: acme", "id: acme\nkeys:\n  - ADDED\n")

	f("keys:\nid: acme\n", "keys:\n  - ADDED\nid: acme\n")

	// A list in brackets.
	f("keys: []\nname: A\n", "keys: [ADDED]\nname: A\n")
	f("keys: [{name: ci, digest: d}] # [1]\nid: acme\n", "keys: [{name: ci, digest: d}, ADDED] # [1]\nid: acme\n")
	f("keys: [ # [1]\n  {name: '[]', digest: d},\n]\nid: acme\n", "keys: [ # [1]\n  {name: '[]', digest: d},\nADDED]\nid: acme\n")
}

func TestWriteKeyRefuses(t *testing.T) {
	// f tries to add a key to a file, which must stay as it is.
	f := func(text, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "acme.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := writeKey(path, entry{name: "new", digest: "sha256:1"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("of %q came %q, %v", text, got, err)
		}
	}
	f("", "not a tenant file")
	f("# nothing\n", "acme.yaml: ")
	f("- id", "not a tenant file")
	f("keys: [", "acme.yaml: ")
	f("keys: {name: ci}", "acme.yaml: ")
	f("{id: acme}", "paste the line")
	f("keys:\n  - name: ci\n    digest: >-\n      d\nid: acme\n", "paste the line")
	f("id: acme\n---\nid: other\n", "acme.yaml: ")
}

func TestWriteKeyFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "acme.yaml")
	if err := os.WriteFile(filepath.Join(dir, "real"), []byte("id: acme\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", path); err != nil {
		t.Fatal(err)
	}
	if err := writeKey(path, entry{name: "new", digest: "sha256:1", expires: "2999-01-31"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "real"))
	if want := "id: acme\nkeys:\n  - {name: new, digest: \"sha256:1\", expires: 2999-01-31}\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	if to, err := os.Readlink(path); err != nil || to != "real" {
		t.Errorf("the link became %q, %v", to, err)
	}
}

func TestReplaceAndDisable(t *testing.T) {
	// f replaces the digest d of a file by e, and disables the key with d. "" is a refusal.
	f := func(before, replaced, off string) {
		t.Helper()
		if got, err := replaceDigest([]byte(before), "sha256:d", "sha256:e"); string(got) != replaced || (err == nil) != (replaced != "") {
			t.Errorf("of\n%s\ncame\n%s\n%v", before, got, err)
		}
		if got, err := disableKey([]byte(before), "sha256:d"); string(got) != off || (err == nil) != (off != "") {
			t.Errorf("of\n%s\ncame\n%s\n%v", before, got, err)
		}
	}
	f("keys:\n  - {name: ci, digest: \"sha256:d\"} # of CI\n", "keys:\n  - {name: ci, digest: \"sha256:e\"} # of CI\n",
		"keys:\n  - {name: ci, disabled: true, digest: \"sha256:d\"} # of CI\n")
	f("keys:\n  - name: ci\n    digest: sha256:d\nid: acme\n", "keys:\n  - name: ci\n    digest: sha256:e\nid: acme\n",
		"keys:\n  - name: ci\n    disabled: true\n    digest: sha256:d\nid: acme\n")
	f("keys:\n- digest: sha256:d\n  name: ci\n", "keys:\n- digest: sha256:e\n  name: ci\n", "keys:\n- disabled: true\n  digest: sha256:d\n  name: ci\n")
	f("# digest: sha256:d\nkeys: [{name: x, digest: hmac-sha256:d}, {name: ci, digest: sha256:d}]\n",
		"# digest: sha256:d\nkeys: [{name: x, digest: hmac-sha256:d}, {name: ci, digest: sha256:e}]\n",
		"# digest: sha256:d\nkeys: [{name: x, digest: hmac-sha256:d}, {name: ci, disabled: true, digest: sha256:d}]\n")

	f("keys:\n  - {name: ci, digest: \"sha256:\\x64\"}\n", "", "") // an escape
	f("keys: []\n", "", "")
	f("keys: [\n", "", "")
	f("keys:\n  - {name: ci, disabled: false, digest: sha256:d}\n", "keys:\n  - {name: ci, disabled: false, digest: sha256:e}\n", "")
}

// In its grace a key may do no more than before.
func TestRotateInFileKeepsRestrictions(t *testing.T) {
	// f rotates the key of a file, and says what stands there of the old one beside its name, digest and end.
	f := func(rest, want string) {
		t.Helper()
		dir, before := t.TempDir(), "sha256:"+strings.Repeat("a", 64)
		path := filepath.Join(dir, "tenants", "acme.yaml")
		gateway := filepath.Join(dir, "gateway.yaml")
		read := func() *config.Config {
			t.Helper()
			cfg, err := config.NewLoader(config.Options{Path: gateway}).Load()
			if err != nil {
				t.Fatal(err)
			}
			return cfg
		}
		if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700),
			os.WriteFile(gateway, []byte("version: 1\nproviders: [{name: sim, type: sim}]\nmodels: [{name: demo, targets: [{provider: sim}]}]\n"), 0o600),
			os.WriteFile(path, []byte("version: 1\nid: acme\nname: &a 'cheap-*'\nkeys:\n  - name: ci\n    digest: "+before+"\n"+rest), 0o600)); err != nil {
			t.Fatal(err)
		}
		cfg := read()
		was := cfg.Tenants.List[0].Keys[0]
		if _, err := rotateInFile(cfg, cfg.Tenants.List[0], &was, time.Hour, time.Now()); err != nil {
			t.Fatal(err)
		}
		keys := read().Tenants.List[0].Keys
		if len(keys) != 2 || keys[0].Digest == before || keys[1].Digest != before || keys[1].Expires.IsZero() {
			t.Fatalf("%+v", keys)
		}
		for _, k := range keys {
			if !slices.Equal(k.Models, was.Models) || k.Limits != was.Limits {
				t.Errorf("%+v; want what %+v had", k, was)
			}
		}
		text, err := os.ReadFile(path)
		if _, after, _ := strings.Cut(string(text), "expires: "); err != nil || after[strings.IndexAny(after, ",}"):] != want {
			t.Errorf("%s\n%v", text, err)
		}
	}
	f("", "}\n")
	f("    models: [*a, other]\n    limits: {requests_per_minute: 5}\n", ", models: [cheap-*, other], limits: {requests_per_minute: 5}}\n")
	f("    limits:\n      concurrent: 2\n      tokens_per_minute: 1000\n", ", limits: {tokens_per_minute: 1000, concurrent: 2}}\n")
}
