package verify_test

import (
	"math"
	"testing"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/guard"
	"github.com/sluice-ai/sluice/plugins/cache/pairs"
	"github.com/sluice-ai/sluice/plugins/cache/text"
	"github.com/sluice-ai/sluice/plugins/cache/verify"
)

func cosine(a, b *text.Text) float32 {
	x, y := make([]float32, embed.BuiltinDim), make([]float32, embed.BuiltinDim)
	embed.Builtin{}.EmbedText(a, x)
	embed.Builtin{}.EmbedText(b, y)
	var sum float32
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

func score(a, b string) float64 {
	x, y := text.Parse(a), text.Parse(b)
	return verify.Score(x, y, cosine(x, y))
}

func TestScoreOrdersPairs(t *testing.T) {
	// The first text is more likely to be served by the answer to the second one than by that to the third.
	f := func(question, same, different string) {
		t.Helper()
		if p, q := score(question, same), score(question, different); p <= q {
			t.Errorf("%q: %q has %.3f, but %q has %.3f", question, same, p, different, q)
		}
	}
	f("How do I boil an egg?", "What is the best way to boil eggs?", "How do I fry an egg?")
	f("How can I lose weight quickly?", "how do i reduce weight fast", "How can I gain weight quickly?")
	f("What is the capital of Norway?", "norway capital city", "What is the population of Norway?")
	f("Why is the sky blue?", "What makes the sky appear blue?", "Why is the sea salty?")
	f("How do I undo the last commit in git?", "git undo last commit", "How do I see the last commit in git?")
	f("How long should I boil potatoes?", "what is the boiling time for potatoes", "How long should I boil rice?")
	f("How do I install numpy with pip?", "how do i instal numpy wiht pip", "How do I install pandas with pip?")
	f("Which laptop is best for students?", "best laptops for a student", "Which laptop is best for gamers?")
	f("What should I eat before a marathon?", "What food should I eat before running a marathon?", "What should I wear at a marathon?")
	f("How do I deploy a Rails app?", "what's the way to deploy rails apps", "How do I deploy a Rails app on Heroku?")
}

func TestScoreIsAProbability(t *testing.T) {
	texts := []string{
		"", "?", "the", "How do I boil an egg?", "how to boil eggs", "What is 25 times 16?", "日本の首都はどこですか",
		"Solve for x: 2x + 3 = 11", "What does `git reset --hard` do?", "\xff\xfe",
	}
	for _, a := range texts {
		for _, b := range texts {
			p := score(a, b)
			if math.IsNaN(p) || p < 0 || p > 1 {
				t.Errorf("%q and %q: %v", a, b, p)
			}
			if q := score(b, a); p != q {
				t.Errorf("%q and %q: %v, the other way round %v", a, b, p, q)
			}
		}
	}
}

func TestSameTextIsSure(t *testing.T) {
	for _, s := range []string{"How do I boil an egg?", "What is the capital of Norway?", "Can dogs eat grapes and raisins?"} {
		if p := score(s, s); p < .9 {
			t.Errorf("%q has %.3f with itself", s, p)
		}
	}
}

// More of what speaks for one answer must never lower the score, nor more of what speaks against it raise it.
func TestModelObeysSigns(t *testing.T) {
	a, b := text.Parse("How do I boil an egg in a microwave?"), text.Parse("what is a good way to cook eggs in microwaves")
	e := verify.Extract(a, b, cosine(a, b))
	m, err := verify.Default()
	if err != nil {
		t.Fatal(err)
	}
	for i := range verify.FeatureCount {
		last := 0.
		for step := range 41 {
			g := e
			g.Features[i] = float32(step-10) / 5
			p := m.Probability(&g)
			if s := verify.Sign(i); step > 0 && s != 0 && float64(s)*(p-last) < -1e-9 {
				t.Fatalf("feature %d of sign %d: %v at %v after %v", i, s, p, g.Features[i], last)
			}
			last = p
		}
	}
}

// The development part of the corpus is not learnt from. The limits are below what is reached, so that they fail when
// something breaks and not when a pair is added.
func TestDevelopmentPairs(t *testing.T) {
	all, err := pairs.Load(pairs.Files)
	if err != nil {
		t.Fatal(err)
	}
	const sure = .8
	var same, different, served, wrong int
	for _, p := range all {
		if pairs.Split(p.Group) != pairs.Dev {
			continue
		}
		x, y := text.Parse(p.A), text.Parse(p.B)
		hit := guard.Check(x, y) == "" && verify.Score(x, y, cosine(x, y)) >= sure
		switch {
		case p.Same:
			same++
			served += one(hit)
		default:
			different++
			wrong += one(hit)
		}
	}
	t.Logf("served %d of %d same pairs and %d of %d different ones", served, same, wrong, different)
	if served*100 < same*12 {
		t.Errorf("only %d of %d same pairs are sure", served, same)
	}
	if wrong*100 > different*2 {
		t.Errorf("%d of %d different pairs are sure", wrong, different)
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestModelBinary(t *testing.T) {
	m, err := verify.Default()
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back verify.Model
	if err := back.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	x, y := text.Parse("How do I fry an egg?"), text.Parse("how do i boil a free-range egg")
	e := verify.Extract(x, y, .5)
	for i := range e.Features {
		e.Features[i] = float32(i%3) / 2
	}
	if x, y := m.Probability(&e), back.Probability(&e); x != y {
		t.Errorf("%v after it was written and read, before %v", y, x)
	}
	for _, broken := range [][]byte{nil, b[:len(b)-1], append([]byte{255}, b[1:]...), append(b, 0)} {
		if err := new(verify.Model).UnmarshalBinary(broken); err == nil {
			t.Errorf("%d broken bytes are read", len(broken))
		}
	}
	feature := append([]byte(nil), b...)
	feature[40] = 255
	if err := new(verify.Model).UnmarshalBinary(feature); err == nil {
		t.Error("a feature that does not exist is read")
	}
}

func BenchmarkScore(b *testing.B) {
	x := text.Parse("How do I transfer photos from my iPhone to a Windows PC without losing quality?")
	y := text.Parse("What's the best way to move pictures off an iPhone onto a computer with no loss?")
	c := cosine(x, y)
	b.ReportAllocs()
	for b.Loop() {
		verify.Score(x, y, c)
	}
}
