package text_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// lemmas are the lemmas of the tokens with weight.
func lemmas(t *text.Text) string {
	var out []string
	for _, k := range t.Tokens {
		out = append(out, k.Lemma)
	}
	return strings.Join(out, " ")
}

func TestWordings(t *testing.T) {
	// All texts of a call have the same tokens.
	f := func(want string, texts ...string) {
		t.Helper()
		for _, s := range texts {
			if got := lemmas(text.Parse(s)); got != want {
				t.Errorf("%q is read as %q, want %q", s, got, want)
			}
		}
	}
	f("howto boil egg", "How do I boil an egg?", "how to boil eggs", "What is the best way to boil eggs?", "what's the best way to boil an egg",
		"Can you please tell me how to boil an egg? Thanks!", "how can one boil eggs", "What are some good ways to boil eggs?", "HOW DO I BOIL EGGS??")
	f("why sky blue", "Why is the sky blue?", "why the sky is blue", "What is the reason the sky is blue", "How come the sky is blue?")
	f("what capital of norway", "What is the capital of Norway?", "whats the capital of norway",
		"Good morning, I was wondering what the capital of Norway is?", "Which is the capital of Norway?")
	f("difference tcp udp", "What is the difference between TCP and UDP?", "whats teh diference between tcp and udp",
		"For my exam tomorrow, what is the difference between TCP and UDP?")
	f("howto lose weight", "How can I lose weight?", "how do i reduce weight", "How do people shed pounds?", "What is the best way to lose weight")
	f("what advantage disadvantage of remote work", "What are the pros and cons of remote work?", "What are the benefits and drawbacks of remote work?")
	f("howlong take learn german", "How long does it take to learn German?", "How much time does it take to learn German?")
	f("howmuch cost iphone", "What is the price of an iPhone", "cost of an iphone", "what's the average cost of iphones?")
	f("cafe in munchen", "café in münchen", "Café in München")
}

func TestDifferences(t *testing.T) {
	f := func(a, b string) {
		t.Helper()
		if x := lemmas(text.Parse(a)); x == lemmas(text.Parse(b)) {
			t.Errorf("%q and %q are both read as %q", a, b, x)
		}
	}
	f("How do I turn on dark mode?", "How do I turn off dark mode?")
	f("What is HTTP?", "What is HTTPS?")
	f("Why do cats purr?", "How do cats purr?")
	f("What is the cheapest way to travel?", "What is the fastest way to travel?")
	f("How many hours are in a week?", "How many minutes are in a week?")
	f("Should I learn Go?", "How can I learn Go?")
	f("What does rm -r do?", "What does rm -i do?")
}

func TestQuantities(t *testing.T) {
	f := func(s string, value float64, unit string) {
		t.Helper()
		q := text.Parse(s).Quantities
		if len(q) != 1 {
			t.Fatalf("%q has the quantities %v, want one", s, q)
		}
		if !q[0].Equal(text.Quantity{Value: value, Unit: unit, Count: q[0].Count}) || q[0].Unit != unit {
			t.Errorf("%q has %g %s, want %g %s", s, q[0].Value, q[0].Unit, value, unit)
		}
	}
	f("within 14 days", 1209600, "s")
	f("within two weeks", 1209600, "s")
	f("all three hundred and fifty pages", 350, "")
	f("twenty five people", 25, "")
	f("5 km from here", 5000, "m")
	f("bake at 400F", 477.594, "K")
	f("bake at 400 degrees Fahrenheit", 477.594, "K")
	f("20 °C water", 293.15, "K")
	f("$1,500 laptop", 1500, "USD")
	f("1500 dollars laptop", 1500, "USD")
	f("laptop under Rs 15000", 15000, "INR")
	f("reach 100k users", 100000, "")
	f("2 lakh salary", 200000, "")
	f("a 15 percent tip", 15, "%")
	f("a 15% tip", 15, "%")
	f("a 4 GB file", 4e9, "B")
	f("meet at 3pm", 900, "clock")
	f("meet at 15:00", 900, "clock")
	f("World Cup in 2014", 2014, "year")
	f("open on Sundays", 7, "weekday")
	f("hotels in December", 12, "month")
	f("a week in Rome", 604800, "s")
	f("one week in Rome", 604800, "s")
	f("3 years of work", 36, "mo")
	if q := text.Parse("Which one is it, may I ask? No one knows.").Quantities; len(q) != 0 {
		t.Errorf("a pronoun and a modal verb are read as %v", q)
	}
}

func TestQuantityEqual(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		x, y := text.Parse(a).Quantities, text.Parse(b).Quantities
		if len(x) != 1 || len(y) != 1 {
			t.Fatalf("%q has %v and %q has %v, want one each", a, x, b, y)
		}
		if x[0].Equal(y[0]) != want || y[0].Equal(x[0]) != want {
			t.Errorf("%q and %q: equal is not %t", a, b, want)
		}
	}
	f("14 days", "two weeks", true)
	f("30 days", "a month", true)
	f("24 months", "2 years", true)
	f("1000 g", "1 kg", true)
	f("0 °C", "32 °F", true)
	f("12 pm", "12:00", true)
	f("boy of 10", "10 years", true)
	f("2016", "in 2016", true)
	f("14 days", "15 days", false)
	f("5 km", "5 miles", false)
	f("5 kg", "5 lb", false)
	f("$5", "5 euros", false)
	f("3 am", "3 pm", false)
	f("Java 17", "Java 21", false)
	f("Python 3.1", "Python 3.10", false)
}

func TestLiterals(t *testing.T) {
	f := func(s string, want ...string) {
		t.Helper()
		got := text.Parse(s).Literals
		if !slices.Equal(got, want) {
			t.Errorf("%q has the literals %q, want %q", s, got, want)
		}
	}
	f("How do I center a div?")
	f(`What does "carpe diem" mean?`, "carpe diem")
	f("What does “carpe diem” mean?", "carpe diem")
	f("What does `git rebase -i` do?", "git rebase -i", "-i")
	f("Is https://example.com/a?b=c safe?", "https://example.com/a?b=c")
	f("mail me@example.com, please", "me@example.com")
	f("Why is user_id null?", "user_id")
	f("== or === in JavaScript", "==", "===")
	f("ping 10.0.0.1", "10.0.0.1")
	f("open /etc/passwd", "/etc/passwd")
	f("an unclosed \" quote")
}

func TestTraits(t *testing.T) {
	f := func(s string, q text.Question, negations int) {
		t.Helper()
		x := text.Parse(s)
		if x.Question != q || x.Negations != negations {
			t.Errorf("%q: question %d with %d negations, want %d with %d", s, x.Question, x.Negations, q, negations)
		}
	}
	f("What is Go?", text.What, 0)
	f("How do I learn Go?", text.How, 0)
	f("Why can't I log in?", text.Why, 1)
	f("What causes rain?", text.Why, 0)
	f("Who invented the telephone?", text.Who, 0)
	f("When did the war end?", text.When, 0)
	f("In what year did the war end?", text.When, 0)
	f("Where can I buy stamps?", text.Where, 0)
	f("How many planets are there?", text.HowMany, 0)
	f("How much does it cost?", text.HowMuch, 0)
	f("How long does it take?", text.HowLong, 0)
	f("Is it safe to eat raw eggs?", text.YesNo, 0)
	f("Can dogs eat grapes?", text.YesNo, 0)
	f("Convert 5 km to miles", text.Order, 0)
	f("pizza dough without yeast and no salt", text.Other, 2)
	f("I dont have an account", text.Other, 1)
}

func TestPersonal(t *testing.T) {
	f := func(s string, want bool) {
		t.Helper()
		if text.Parse(s).Personal != want {
			t.Errorf("%q: personal is not %t", s, want)
		}
	}
	f("Where is my order?", true)
	f("My mail is jane.doe@example.com", true)
	f("call me at +49 30 901820", true)
	f("call 030-901-8200 now", true)
	f("charge 4111 1111 1111 1111", true)
	f("charge 4111111111111112 units", false) // no valid check digit
	f("How do I reset my password?", false)   // the same for all
	f("What is the population of 1,000,000 cities?", false)
	f("the years 1990 2000 2010", false)
	f("What is an order?", false)
}

func TestFresh(t *testing.T) {
	f := func(s string, want bool) {
		t.Helper()
		if text.Parse(s).Fresh != want {
			t.Errorf("%q: fresh is not %t", s, want)
		}
	}
	f("What is the weather in Chicago?", true)
	f("Who won today?", true)
	f("latest version of Go", true)
	f("bitcoin price", true)
	f("Who won the World Cup in 2014?", false)
	f("How do I boil an egg?", false)
}

func TestSelfContained(t *testing.T) {
	f := func(s string, want bool) {
		t.Helper()
		if text.Parse(s).SelfContained != want {
			t.Errorf("%q: self-contained is not %t", s, want)
		}
	}
	f("How do I boil an egg?", true)
	f("What is the capital of Norway?", true)
	f("Is it possible to learn German in a month?", true)
	f("What does it cost?", false)
	f("And in Python?", false)
	f("How do I fix that?", false)
	f("How do I install it on Ubuntu?", false)
	f("Why?", false)
	f("their capital city?", false)
	f("", false)
}

func TestLanguage(t *testing.T) {
	f := func(s string, script text.Script, language string) {
		t.Helper()
		x := text.Parse(s)
		if x.Script != script || x.Language != language {
			t.Errorf("%q: script %d, language %q, want %d and %q", s, x.Script, x.Language, script, language)
		}
	}
	f("What is the capital of Norway?", text.Latin, "en")
	f("Wie ist das Wetter und was kann ich tun?", text.Latin, "de")
	f("Comment faire une tarte pour les enfants", text.Latin, "fr")
	f("Какая столица Норвегии?", text.Cyrillic, "ru")
	f("挪威的首都是什么", text.Han, "zh")
	f("ノルウェーのしゅとは", text.Kana, "ja")
	f("노르웨이의 수도는", text.Hangul, "ko")
	f("25 * 16", text.NoScript, "")
	f("python list reverse", text.Latin, "")
}

func TestRelate(t *testing.T) {
	word := func(s string) text.Word {
		t.Helper()
		for _, k := range text.Parse(s).Tokens {
			if k.Word != 0 {
				return k.Word
			}
		}
		t.Fatalf("the vocabulary does not have %q", s)
		return 0
	}
	f := func(a, b string, want ...text.Relation) {
		t.Helper()
		kind, strength := text.Relate(word(a), word(b))
		back, same := text.Relate(word(b), word(a))
		if kind != back || strength != same {
			t.Errorf("%s and %s: %d, but the other way round %d", a, b, kind, back)
		}
		if len(want) == 0 && strength != 0 || len(want) > 0 && (strength == 0 || !slices.Contains(want, kind)) {
			t.Errorf("%s and %s: %d with strength %g, want %d", a, b, kind, strength, want)
		}
	}
	f("buy", "purchase", text.Synonym, text.Alike)
	f("enable", "disable", text.Antonym, text.Opposite)
	f("happy", "unhappy", text.Antonym, text.Opposite)
	f("govern", "government", text.Derived, text.Synonym)
	f("movie", "film", text.Synonym, text.Alike)
	f("today", "tomorrow", text.Opposite)
	f("egg", "passport")
	if x, y := text.Near(word("guitar"), word("violin")), text.Near(word("guitar"), word("passport")); x < y+.2 {
		t.Errorf("a guitar is as near to a passport (%g) as to a violin (%g)", y, x)
	}
}

func TestAlign(t *testing.T) {
	f := func(a, b string, want ...text.Match) {
		t.Helper()
		x, y := text.Parse(a), text.Parse(b)
		var m, back text.Alignment
		m.Align(x, y)
		back.Align(y, x)
		if m.Opposed != back.Opposed {
			t.Errorf("%q and %q: opposed is %t, the other way round %t", a, b, m.Opposed, back.Opposed)
		}
		var got []text.Match
		for i := range x.Tokens {
			got = append(got, m.A[i].How)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q with %q: %v, want %v", a, b, got, want)
		}
	}
	f("banana bread", "bread banana", text.Equal, text.Equal)
	f("icecream recipe", "homemade icecream recipe", text.Equal, text.Equal)
	f("whiteboard cleaner", "white board cleaner", text.Joined, text.Equal)
	f("purchase bread", "buy bread", text.Meant, text.Equal)
	f("dehidration pills", "dehydration pills", text.Spelled, text.Equal)
	f("enable cookies", "disable cookies", text.Unmatched, text.Equal)
	f("Austria map", "Australia map", text.Unmatched, text.Equal)
	f("within 14 days", "within two weeks", text.Equal, text.Equal)
}

func TestLongTexts(t *testing.T) {
	long := strings.Repeat("word and another, ", 20_000)
	x := text.Parse(long)
	if x.Raw != long || len(x.Tokens) == 0 {
		t.Fatal("a long text is not read")
	}
	var m text.Alignment
	m.Align(x, x)
	if m.A[text.MaxTokens-1].To != text.MaxTokens-1 {
		t.Error("the last token that is compared is not matched with itself")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"How do I install Docker on Ubuntu 22.04?", "", "\xff\xfe", "\"", "``` x", "$", "$5", "° 5 °", "1:2:3", "3.10.", "--", "-x", "a'b'c''",
		"one", "two hundred thousand", "http://", "@", "a@b.c", "+49 30 12345678", "İ", "ﬀ", "日本語", "5% $ € 1e9 0x10 NaN", "in 1 week",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x := text.Parse(s)
		if x.Raw != s {
			t.Fatal("the raw text has changed")
		}
		var mass float32
		for _, k := range x.Tokens {
			mass += k.Weight
			if k.Start < 0 || k.End > len(s) || k.Start > k.End || k.Weight < 0 || k.Weight > 1 {
				t.Fatalf("token %+v of %q", k, s)
			}
		}
		if d := mass - x.Mass; d > 1e-3 || d < -1e-3 {
			t.Fatalf("mass is %g, the tokens have %g", x.Mass, mass)
		}
		for _, q := range x.Quantities {
			if q.Token < 0 || q.Token >= len(x.Tokens) {
				t.Fatalf("quantity %+v of %q", q, s)
			}
		}
		for _, l := range x.Literals {
			if !strings.Contains(s, l) {
				t.Fatalf("the literal %q is not in %q", l, s)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text.Parse("")
	b.ReportAllocs()
	for b.Loop() {
		text.Parse("How do I install Docker on Ubuntu 22.04 without losing my files?")
	}
}

func BenchmarkAlign(b *testing.B) {
	x := text.Parse("How do I transfer photos from my iPhone to a Windows PC without losing quality?")
	y := text.Parse("What's the best way to move pictures off an iPhone onto a computer with no loss?")
	var m text.Alignment
	b.ReportAllocs()
	for b.Loop() {
		m.Align(x, y)
	}
}
