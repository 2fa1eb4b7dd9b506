package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// Each file in testdata is a refresh: the four lists, then the models and the report that must come of them.
func TestRefresh(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files in testdata, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			dir, out := t.TempDir(), filepath.Join(t.TempDir(), "models.json")
			args := []string{"-out", out, "-date", "2026-11-23"}
			want := map[string]string{}
			for _, f := range ar.Files {
				if name, ok := strings.CutSuffix(f.Name, ".json"); ok && name != "models" {
					if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
						t.Fatal(err)
					}
					args = append(args, "-"+name, "1.0="+filepath.Join(dir, f.Name))
				}
				want[f.Name] = string(f.Data)
			}
			var report bytes.Buffer
			if err := run(args, &report); err != nil {
				t.Fatal(err)
			}
			if report.String() != want["report"] {
				t.Errorf("report:\n%swant:\n%s", report.String(), want["report"])
			}
			text, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			_, models, _ := strings.Cut(string(text), "\"models\": [\n")
			models, _, _ = strings.Cut(models, `  {"provider":"sim"`) // which is always there, and last here
			if models != want["models.json"] {
				t.Errorf("models:\n%swant:\n%s", models, want["models.json"])
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	list := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "1=" + path
	}
	fine := []string{"-litellm", list("a", "{}"), "-genaiprices", list("b", "[]"), "-modelsdev", list("c", "{}"), "-llmgateway", list("d", "[]")}
	f := func(want string, args ...string) {
		t.Helper()
		args = append(append([]string{"-out", filepath.Join(dir, "out")}, fine...), args...)
		err := run(args, &bytes.Buffer{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	f("")
	f("-litellm version=file is needed", "-litellm", "")
	f("no such file", "-litellm", "1=/nowhere")
	f("parsing time", "-date", "tomorrow")
	f("unexpected end", "-modelsdev", list("e", "{"))
	f("not a whole number", "-litellm", list("f", `{"gpt":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":1e-14}}`))
	f("out of range", "-litellm", list("g", `{"gpt":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":-1}}`))
	f("another form", "-litellm", list("h", `{"ds":{"litellm_provider":"deepseek","mode":"chat","off_peak_pricing":{"windows":[{"hours_utc":"00:00-04:00"}]}}}`))
}

// The embedded file is as this program writes it: sorted, one model a line.
func TestFileIsWrittenHere(t *testing.T) {
	text, err := os.ReadFile("../models.json")
	if err != nil {
		t.Fatal(err)
	}
	var f catalog.File
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	again, err := encode(&f)
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("../models.json was not written by refresh (%v)", err)
	}
	for i := 1; i < len(f.Models); i++ {
		a, b := &f.Models[i-1], &f.Models[i]
		if a.Provider > b.Provider || a.Provider == b.Provider && a.Name >= b.Name {
			t.Errorf("%s/%s stands before %s/%s", a.Provider, a.Name, b.Provider, b.Name)
		}
	}
}
