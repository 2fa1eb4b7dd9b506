package semantic_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/guard"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
	"github.com/sluice-ai/sluice/plugins/cache/text"
	"github.com/sluice-ai/sluice/plugins/cache/verify"
)

var update = flag.Bool("update", false, "write testdata/decisions.txt anew")

// What a version decides is written down: it must not change without the version, by which stored answers are found.
func TestVersionSaysWhatDecides(t *testing.T) {
	const file = "testdata/decisions.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	version := semantic.Version(embed.Builtin{})
	if !*update && lines[0] != version {
		t.Fatalf("the version was %q and is %q: write the decisions anew with -update", lines[0], version)
	}
	for i, line := range lines[1:] {
		_, pair, _ := strings.Cut(line, ": ")
		now := decision(pair)
		if !*update && !alike(line, now) {
			t.Errorf("decided %q, before %q, with the same version: raise that of what has changed, and use -update", now, line)
		}
		lines[1+i] = now
	}
	if *update {
		lines[0] = version
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// decision is a line for two questions with a bar between them: cosine, probability, and the guard that refuses.
func decision(pair string) string {
	first, second, _ := strings.Cut(pair, " | ")
	a, b := text.Parse(first), text.Parse(second)
	u, v := make([]float32, embed.BuiltinDim), make([]float32, embed.BuiltinDim)
	embed.Builtin{}.EmbedText(a, u)
	embed.Builtin{}.EmbedText(b, v)
	var cosine float32
	for k := range u {
		cosine += u[k] * v[k]
	}
	return fmt.Sprintf("%.4f %.4f %s: %s", cosine, verify.Score(a, b, cosine), guard.Check(a, b), pair)
}

// alike allows what processors differ by.
func alike(x, y string) bool {
	var a, b [2]float64
	if n, _ := fmt.Sscanf(x, "%f %f", &a[0], &a[1]); n < len(a) {
		return false
	}
	if n, _ := fmt.Sscanf(y, "%f %f", &b[0], &b[1]); n < len(b) {
		return false
	}
	return said(x) == said(y) && math.Abs(a[0]-b[0]) < .002 && math.Abs(a[1]-b[1]) < .002
}

// said is a line without its numbers.
func said(line string) string { return strings.Join(strings.SplitN(line, " ", 3)[2:], "") }
