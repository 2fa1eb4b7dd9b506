package pairs_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluice-ai/sluice/plugins/cache/pairs"
)

func TestLoad(t *testing.T) {
	got, err := pairs.Load(fstest.MapFS{
		"b.txt":    file("= Q\n+ q1\n- x\n"),
		"a.txt":    file("# eggs\n= H\n+ h1\n+ h2\n# two steps\n- m1\n\n\n= H2\n+ s\n- d\n- e"),
		"notes.md": file("not a corpus"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []pairs.Pair{
		{"H", "h1", true, "H", "a"},
		{"H", "h2", true, "H", "a"},
		{"H", "m1", false, "H", "a"},
		{"h1", "h2", true, "H", "a"},
		{"h1", "m1", false, "H", "a"},
		{"h2", "m1", false, "H", "a"},
		{"H2", "s", true, "H2", "a"},
		{"H2", "d", false, "H2", "a"},
		{"H2", "e", false, "H2", "a"},
		{"s", "d", false, "H2", "a"},
		{"s", "e", false, "H2", "a"},
		{"Q", "q1", true, "Q", "b"},
		{"Q", "x", false, "Q", "b"},
		{"q1", "x", false, "Q", "b"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestLoadErrors(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := pairs.Load(fstest.MapFS{"x.txt": file(text)})
		if err == nil {
			t.Fatalf("%q: no error", text)
		}
		if got := err.Error(); got != strings.Join(want, "\n") {
			t.Errorf("%q: %s", text, got)
		}
	}
	const (
		format = "want a line that starts with '= ', '+ ', '- ' or '#', or an empty one"
		space  = "want one space after the mark, none at the end"
		pair   = "want at least one + and one - in a group"
	)
	f("= H\n+ a\n- b\n* c\n", "x.txt:4: "+format)
	f("= H\n+ a\n- b\n==\n", "x.txt:4: "+format)
	f("= H\n+ a\n- b\n+  c\n", "x.txt:4: "+space)
	f("= H\n+ a\n- b\n+ \n", "x.txt:4: "+space)
	f("= H\r\n", "x.txt:1: "+space)
	f("= H\n+ a\n- b\xff\n- c", "x.txt:3: not UTF-8")
	f("+ a\n- b\n", "x.txt:1: want the head of a group first", "x.txt:2: want the head of a group first")
	f("= H\n+ a\n- b\n= G\n+ c\n- d\n", "x.txt:4: want an empty line before a group")
	f("= H\n+ a\n- b\n\n= h?\n+ c\n- d\n", "x.txt:5: the same head as in x.txt:1")
	f("= H\n+ a\n+ a\n- b\n", "x.txt:3: twice in its group")
	f("= H\n+ H\n+ a\n- b\n", "x.txt:2: twice in its group")
	f("= H\n+ a b\n- A b?\n- c\n", "x.txt:3: both + and - in its group")
	f("= H\n+ a\n- h!\n- c\n", "x.txt:3: both + and - in its group")
	f("\n= H\n+ a\n\n= G\n- b\n", "x.txt:2: "+pair, "x.txt:5: "+pair)
}

// A head counts once over all files.
func TestLoadHeadsOverFiles(t *testing.T) {
	_, err := pairs.Load(fstest.MapFS{
		"a.txt": file("= H\n+ a\n- b\n"),
		"b.txt": file("= G\n+ a\n- b\n\n= H.\n+ a\n- b\n"),
	})
	if err == nil || err.Error() != "b.txt:5: the same head as in a.txt:1" {
		t.Errorf("got %v", err)
	}
}

// The corpus is sound, and each part of it has enough of each label to measure with.
func TestFiles(t *testing.T) {
	all, err := pairs.Load(pairs.Files)
	if err != nil {
		t.Fatal(err)
	}
	type part struct {
		split string
		same  bool
	}
	count := make(map[part]int)
	for _, p := range all {
		count[part{pairs.Split(p.Group), p.Same}]++
		if p.A == p.B {
			t.Errorf("%s: %q twice", p.Group, p.A)
		}
	}
	for _, split := range []string{pairs.Train, pairs.Dev, pairs.Test} {
		for _, same := range []bool{true, false} {
			n := count[part{split, same}]
			if n < 1000 {
				t.Errorf("%s, same %t: %d pairs", split, same, n)
			}
			t.Logf("%s, same %t: %d pairs", split, same, n)
		}
	}
}

// Where a group belongs is fixed: figures stay comparable.
func TestSplit(t *testing.T) {
	f := func(group, want string) {
		t.Helper()
		if got := pairs.Split(group); got != want {
			t.Errorf("%q: %s, want %s", group, got, want)
		}
	}
	f("How do I boil an egg?", pairs.Train)
	f("a", pairs.Test)
	f("b", pairs.Train)
	f("Is Rust faster than Go?", pairs.Dev)
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
