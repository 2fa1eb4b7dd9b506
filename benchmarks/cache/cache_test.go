package main

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/plugins/cache/policy"
)

// toy is a stream of its own: every intent is asked in the same few frames.
func toy() []query {
	frames := []string{"how do I %", "what is the best way to %", "please tell me how to %", "% how", "can you explain how to %", "I want to %"}
	deeds := []string{
		"reset the router", "boil an egg", "renew a passport", "fix a flat tyre", "paint a wooden fence", "write a cover letter",
		"cancel the gym contract", "clean a carpet", "grow tomatoes", "learn to swim", "change a light bulb", "open a bank account",
	}
	var all []query
	for range 40 {
		for _, d := range deeds {
			for _, f := range frames {
				all = append(all, query{strings.ReplaceAll(f, "%", d), d})
			}
		}
	}
	return all
}

// Every contender hits the toy stream, none is wrong about it but by a rare chance, and the same seed gives the same.
func TestContenders(t *testing.T) {
	queries := toy()
	f := func(name string, least float64, make func() contender) {
		t.Helper()
		a, b := run(make(), queries, 3), run(make(), queries, 3)
		if a != b {
			t.Errorf("%s: %+v and %+v", name, a, b)
		}
		if percent(a.Hits, a.Queries) < least || percent(a.Wrong, a.Queries) > 1 {
			t.Errorf("%s: %+v", name, a)
		}
	}
	f("sluice", 80, func() contender {
		s, err := newSluice(policy.Bound{MaxWrong: 0.01, Offline: 0.9, Judged: true}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
	f("cosine", 80, func() contender { return &cosine{newNearest(), 0.9} })
	f("per entry", 3, func() contender { return newPerEntry(0.01, 1) })
}

// The curve of an entry goes where its observations are.
func TestFit(t *testing.T) {
	var seen []observation
	r := rand.New(rand.NewPCG(1, 1))
	for range 4000 {
		s := r.Float64()
		seen = append(seen, observation{s, r.Float64() < 1/(1+math.Exp(-20*(s-0.7)))})
	}
	c := fit(seen)
	if math.Abs(c.middle-0.7) > 0.02 || math.Abs(c.slope-20) > 3 || c.variance <= 0 || c.variance > 1e-3 {
		t.Errorf("%+v", c)
	}
}

// A threshold that is fixed on a set keeps its word on that set.
func TestFix(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	var all []scored
	for range 1000 {
		same := r.IntN(2) == 0
		s := r.Float64()
		if same {
			s = math.Sqrt(s)
		}
		all = append(all, scored{math.Round(s*100) / 100, same}) // with ties
	}
	for _, allowed := range []float64{0, 0.01, 0.05, 0.5, 1} {
		right, wrong, _ := apply(all, fix(all, allowed))
		if wrong.Share > 100*allowed+1e-9 {
			t.Errorf("%g allowed, %g wrong", allowed, wrong.Share)
		}
		if allowed >= 0.05 && right.Share == 0 {
			t.Errorf("%g allowed: nothing is served", allowed)
		}
	}
}

// Wilson's interval, by the figures of a table (Newcombe 1998, 81 of 263: 0.2553 to 0.3662).
func TestShareOf(t *testing.T) {
	i := shareOf(81, 263)
	if math.Abs(i.Low-25.53) > 0.01 || math.Abs(i.High-36.62) > 0.01 || shareOf(0, 0) != (interval{}) {
		t.Errorf("%+v", i)
	}
}

// The generated workloads are what they say.
func TestWorkloads(t *testing.T) {
	queries, err := repeats(500, rand.New(rand.NewPCG(3, 3)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, q := range queries {
		seen[q.text] = true
	}
	if len(queries) != 500 || len(seen) != 350 {
		t.Errorf("%d queries, %d distinct", len(queries), len(seen))
	}
	draw := rand.New(rand.NewPCG(4, 4))
	row, err := measureWorkload("", queries, 0.01, draw)
	if err != nil {
		t.Fatal(err)
	}
	if row.Exact.Share != 30 || row.Wrong != 0 || row.Saved < 20 {
		t.Errorf("%+v", row)
	}
	for range 1000 {
		if s := disguise("How do I reset my password?", draw); s == "" || !strings.Contains(strings.ToLower(s), "how d") && !strings.Contains(s, "oow") && len(s) < 27 {
			t.Errorf("%q", s)
		}
	}
}

func TestPairFile(t *testing.T) {
	f := func(name, content string, want ...pair) {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := pairFile(path)
		if (err != nil) != (want == nil) || len(got) != len(want) {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %v, not %v", name, got[i], want[i])
			}
		}
	}
	f("a.csv", "question1,question2,is_duplicate\n\"a, b\",c,1\nd,e,0\n", pair{"a, b", "c", true}, pair{"d", "e", false})
	f("b.tsv", "id\tlabel\ttext1\ttext2\n1\tsame\ta \"b\tc\n", pair{"a \"b", "c", true})
	f("c.csv", "x,y,z\n1,2,3\n")
	f("d.csv", "a,b,same\nq,r,maybe\n")
	f("e.csv", "a,b,same\n")
}

// The whole program, on data of its own.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	o := options{data: dir, out: dir, tests: "streams,speed,memory", seeds: 1, memory: 1000}
	if err := os.MkdirAll(filepath.Join(dir, "banking77"), 0o750); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("text,category\n")
	for i, q := range toy()[:300] {
		table.WriteString(q.text + " " + strconv.Itoa(i%3) + "," + q.intent + "\n")
	}
	for _, name := range []string{"train.csv", "test.csv"} {
		if err := os.WriteFile(filepath.Join(dir, "banking77", name), []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := measure(o); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*-cache.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(data), `"set": "BANKING77"`) || !strings.Contains(string(data), `"p99_us"`) {
		t.Errorf("%v: %.300s", err, data)
	}
}
