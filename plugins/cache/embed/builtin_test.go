package embed_test

import (
	"math"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

func vectors(t *testing.T, texts ...string) [][]float32 {
	t.Helper()
	out, err := embed.Builtin{}.Embed(t.Context(), texts)
	if err != nil || len(out) != len(texts) {
		t.Fatalf("%d vectors for %d texts: %v", len(out), len(texts), err)
	}
	return out
}

func dot(x, y []float32) float64 {
	var sum float64
	for i := range x {
		sum += float64(x[i]) * float64(y[i])
	}
	return sum
}

func TestBuiltinVectors(t *testing.T) {
	b := embed.Builtin{}
	texts := []string{"How do I boil an egg?", "x", "日本の首都", "what is 25 * 16", "How do I boil an egg?"}
	v := vectors(t, texts...)
	for i := range v {
		if len(v[i]) != b.Dim() {
			t.Fatalf("%q has %d numbers, want %d", texts[i], len(v[i]), b.Dim())
		}
		if n := dot(v[i], v[i]); math.Abs(n-1) > 1e-5 {
			t.Errorf("%q has length %v, want 1", texts[i], n)
		}
	}
	if !slices.Equal(v[0], v[4]) {
		t.Error("a text has two vectors")
	}
	one := make([]float32, embed.BuiltinDim)
	one[3] = 7 // what was there does not matter
	b.EmbedText(text.Parse(texts[0]), one)
	if !slices.Equal(v[0], one) {
		t.Error("EmbedText and Embed differ")
	}
	if z := vectors(t, "")[0]; dot(z, z) != 0 {
		t.Error("nothing has a vector")
	}
	if v := vectors(t); len(v) != 0 {
		t.Errorf("%d vectors of no texts", len(v))
	}
}

func TestBuiltinNearness(t *testing.T) {
	f := func(question, near, far string) {
		t.Helper()
		v := vectors(t, question, near, far)
		if x, y := dot(v[0], v[1]), dot(v[0], v[2]); x < y+.1 {
			t.Errorf("%q is as near to %q (%.2f) as to %q (%.2f)", question, near, x, far, y)
		}
	}
	f("How do I boil an egg?", "what's the best way to boil eggs", "How do I renew a passport?")
	f("How can I lose weight?", "tips for reducing weight", "How can I lose my accent?")
	f("buy a cheap car", "purchase an inexpensive automobile", "bake a chocolate cake")
	f("What are the symptoms of dehydration?", "symtoms of dehidration", "What are the laws of motion?")
	f("return within 14 days", "returns within two weeks", "deliver within 5 hours")
}

func BenchmarkEmbedText(b *testing.B) {
	t := text.Parse("How do I transfer photos from my iPhone to a Windows PC without losing quality?")
	dst := make([]float32, embed.BuiltinDim)
	b.ReportAllocs()
	for b.Loop() {
		embed.Builtin{}.EmbedText(t, dst)
	}
}
