package tape_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/tape"
)

func text(s string) *chat.Piece { return &chat.Piece{Kind: chat.PieceText, Text: []byte(s)} }

// read is all that a reader gets now, texts in brackets.
func read(r *tape.Reader) string {
	var b strings.Builder
	for p := r.Read(); p != nil; p = r.Read() {
		fmt.Fprintf(&b, "%d[%s]", p.Kind, p.Text)
	}
	return b.String()
}

func TestReaders(t *testing.T) {
	tp := tape.New(1 << 20)
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	early := tp.Reader()
	f(read(early), "")
	tp.Add(&chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "x"}})
	tp.Add(text("one "))
	f(read(early), "1[]2[one ]")
	tp.Add(text("two "))
	tp.Add(text("three"))
	f(read(early), "2[two three]")
	f(read(tp.Reader()), "1[]2[one two three]")
	tp.Add(&chat.Piece{Kind: chat.PieceCall, Call: &chat.ToolCall{Name: "f"}})
	tp.Add(&chat.Piece{Kind: chat.PieceArguments, Text: []byte("{")})
	tp.Add(&chat.Piece{Kind: chat.PieceArguments, Index: 1, Text: []byte("[")})
	tp.Add(&chat.Piece{Kind: chat.PieceArguments, Text: []byte("}")})
	tp.Add(&chat.Piece{Kind: chat.PieceText, Text: []byte("a"), Logprobs: []byte(`[1]`)})
	tp.Add(text("b"))
	f(read(early), "8[]9[{]9[[]9[}]2[a]2[b]")
	if over, _ := early.Over(); over {
		t.Error("it is over before its end")
	}
	tp.Add(&chat.Piece{Kind: chat.PieceFinish, Finish: chat.FinishStop})
	tp.End(nil)
	if over, _ := early.Over(); over {
		t.Error("it is over before all was read")
	}
	f(read(early), "10[]")
	if over, err := early.Over(); !over || err != nil {
		t.Errorf("%t, %v", over, err)
	}
	if tp.Add(text("late")) {
		t.Error("something was added behind the end")
	}
	f(read(tp.Reader()), "1[]2[one two three]8[]9[{]9[[]9[}]2[a]2[b]10[]")
}

// What was lent does not change while more comes.
func TestLent(t *testing.T) {
	tp := tape.New(1 << 20)
	tp.Add(text("abc"))
	p := tp.Reader().Read()
	lent := p.Text
	for range 1000 {
		tp.Add(text("xyz"))
	}
	if string(lent) != "abc" || cap(lent) != 3 {
		t.Errorf("%s", lent)
	}
	if tp.Runs() != 1 {
		t.Errorf("%d runs", tp.Runs())
	}
	if got := read(tp.Reader()); len(got) != 3003+3 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestTooLong(t *testing.T) {
	tp := tape.New(1000)
	r := tp.Reader()
	tp.Add(text(strings.Repeat("a", 500)))
	if tp.Add(text(strings.Repeat("a", 500))) {
		t.Error("it takes more than it may")
	}
	read(r)
	if over, err := r.Over(); !over || !errors.Is(err, tape.ErrTooLong) {
		t.Errorf("%t, %v", over, err)
	}
	tp.End(nil) // it has ended already
	if _, err := r.Over(); !errors.Is(err, tape.ErrTooLong) {
		t.Error(err)
	}
	many := tape.New(10_000)
	n := 0
	for many.Add(&chat.Piece{Kind: chat.PieceCitation, Citation: &chat.Citation{}}) {
		n++
	}
	if n > 50 {
		t.Errorf("%d pieces without a text count for nothing", n)
	}
}

// Whoever reads, whenever, reads the same answer.
func TestSame(t *testing.T) {
	kinds := []chat.PieceKind{chat.PieceText, chat.PieceReasoning, chat.PieceRefusal, chat.PieceCitation}
	rapid.Check(t, func(t *rapid.T) {
		tp := tape.New(1 << 20)
		var direct, followed chat.Collector
		r := tp.Reader()
		follow := func() {
			for p := r.Read(); p != nil; p = r.Read() {
				followed.Add(p)
			}
		}
		for range rapid.IntRange(0, 20).Draw(t, "pieces") {
			p := &chat.Piece{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Choice: rapid.IntRange(0, 1).Draw(t, "choice"), Citation: &chat.Citation{URL: "u"}}
			p.Text = []byte(rapid.StringMatching(`[a-z]{0,4}`).Draw(t, "text"))
			direct.Add(p)
			tp.Add(p)
			if rapid.Bool().Draw(t, "reads") {
				follow()
			}
		}
		tp.End(nil)
		follow()
		if d := cmp.Diff(direct.Reply(), followed.Reply()) + cmp.Diff(direct.Reply(), tp.Reply()); d != "" {
			t.Fatal(d)
		}
		if over, err := r.Over(); !over || err != nil {
			t.Fatalf("%t, %v", over, err)
		}
	})
}

// Readers wait for what comes, and hear beats.
func TestWaiting(t *testing.T) {
	tp := tape.New(1 << 20)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			r, got := tp.Reader(), ""
			for {
				got += read(r)
				if over, err := r.Over(); over {
					if !errors.Is(err, errBroken) || strings.ReplaceAll(got, "]2[", "") != "2["+strings.Repeat("ab", 100)+"]" {
						t.Errorf("%v, %s", err, got)
					}
					return
				}
				if c := r.Waits(); c != nil {
					<-c
				}
			}
		})
	}
	for range 100 {
		tp.Add(text("ab"))
		tp.Beat()
	}
	tp.End(errBroken)
	all.Wait()
	r := tp.Reader()
	if !r.Beaten() || r.Beaten() {
		t.Error("beats are heard once")
	}
	if tp.Reader().Waits() != nil {
		t.Error("nothing comes any more, and it waits")
	}
}

var errBroken = errors.New("broken")

// A copy that is made of pieces as they come, some of them twice and some not at first, is the same tape.
func TestCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := tape.New(1<<20), tape.New(1<<20)
		kinds := []chat.PieceKind{chat.PieceText, chat.PieceText, chat.PieceText, chat.PieceReasoning, chat.PieceCall, chat.PieceUsage}
		r := from.Reader()
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			for range rapid.IntRange(0, 4).Draw(t, "pieces") {
				p := &chat.Piece{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
				if p.Kind == chat.PieceText || p.Kind == chat.PieceReasoning {
					p.Text = []byte(rapid.StringMatching("[a-z]{0,3}").Draw(t, "text"))
				}
				from.Add(p)
			}
			lost := rapid.IntRange(0, 3).Draw(t, "lost") == 0
			for p := r.Read(); p != nil; p = r.Read() {
				if lost {
					continue
				}
				if before := to.Next(); !to.AddAt(p, r.Place()) {
					if to.Next() != before {
						t.Fatal("something was added behind a gap")
					}
					lost = true
				}
			}
			if lost { // it is told again from there
				r = from.ReaderAt(to.Next())
			}
		}
		r = from.ReaderAt(tape.Place{})
		for p := r.Read(); p != nil; p = r.Read() {
			if !to.AddAt(p, r.Place()) {
				t.Fatalf("%+v does not fit at %+v", p, r.Place())
			}
		}
		if got, want := read(to.Reader()), read(from.Reader()); got != want || to.Next() != from.Next() {
			t.Fatalf("%s is a copy of %s", got, want)
		}
	})
}
