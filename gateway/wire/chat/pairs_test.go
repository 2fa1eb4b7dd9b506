package chat_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// told is an encoder that writes what it is given.
type told struct{ said []string }

func (t *told) Encode(_ *chat.Batch, p *chat.Piece) {
	t.said = append(t.said, fmt.Sprintf("%d.%d.%d:%s", p.Kind, p.Choice, p.Index, p.Text))
}

func (t *told) Fail(_ *chat.Batch, e *chat.Error) { t.said = append(t.said, e.Message) }

func TestMendPairs(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		b := []byte(s)
		if chat.MendPairs(b); string(b) != want {
			t.Errorf("%s: got %s, want %s", s, b, want)
		}
	}
	f(``, ``)
	f(`{"a":"x\n\u00e9\ud7ff\ue000"}`, `{"a":"x\n\u00e9\ud7ff\ue000"}`)
	f(`{"a":"\ud83d\ude00"}`, `{"a":"\ud83d\ude00"}`)
	f(`{"a":"\ud800"}`, `{"a":"\ufffd"}`)
	f(`{"\uDFFF":"\ud83d\ud83d\uDE00\ude00\\ud800"}`, `{"\ufffd":"\ufffd\ud83d\uDE00\ufffd\\ud800"}`)
}

func TestCharacters(t *testing.T) {
	f := func(want int, pieces ...string) {
		t.Helper()
		n := 0
		for _, s := range pieces {
			n += chat.Characters([]byte(s))
		}
		if n != want {
			t.Errorf("%q: got %d, want %d", pieces, n, want)
		}
	}
	f(0, "")
	f(3, "abc")
	f(4, "é漢😀\u00e9")
	f(5, `\n\"\\\/\t`)
	f(2, `\ud83d\ude00`, `\uD83D`, `\uDE00`)
	f(7, `\\ud83d`, "\\") // nothing but a backslash and letters; and a cut that JSON does not allow
}

func TestJoinPairs(t *testing.T) {
	text := func(s string) chat.Piece { return chat.Piece{Kind: chat.PieceText, Text: []byte(s)} }
	end := chat.Piece{Kind: chat.PieceEnd}
	f := func(want string, pieces ...chat.Piece) {
		t.Helper()
		var got told
		e := chat.JoinPairs(&got)
		for i := range pieces {
			was := string(pieces[i].Text)
			if e.Encode(nil, &pieces[i]); string(pieces[i].Text) != was {
				t.Errorf("%s became %s", was, pieces[i].Text)
			}
		}
		if said := strings.Join(got.said, " "); said != want {
			t.Errorf("got  %s\nwant %s", said, want)
		}
	}
	f(`2.0.0:a 2.0.0:b`, text(`a`), text(`b`))
	f(`2.0.0:a 2.0.0:\ud83d\ude00b`, text(`a\ud83d`), text(`\ude00b`))
	f(`2.0.0:\uD83D\uDE00 12.0.0:`, text(`\uD83D`), text(`\uDE00`), end)
	f(`2.0.0:\ud83d\ude00`, text(`\ud83d\ude00`))
	// One after the other.
	f(`2.0.0:\ud83d\ude00 2.0.0:\ud83e\udd16`, text(`\ud83d`), text(`\ude00\ud83e`), text(`\udd16`))
	// No other half comes.
	f(`2.0.0:\ufffdb`, text(`\ud83d`), text(`b`))
	f(`2.0.0:\ufffd`, text(`\ud83d`), text(`\ud83d`))
	f(`2.0.0:a 2.0.0:\ufffd 12.0.0:`, text(`a\ud83d`), end)
	f(`2.0.0:\ufffd 4.0.0:b`, text(`\ud83d`), chat.Piece{Kind: chat.PieceReasoning, Text: []byte(`b`)})
	// What others say does not part the halves; what is half elsewhere stays apart.
	f(`2.1.0:b 11.0.0: 2.0.0:\ud83d\ude00`, text(`\ud83d`), chat.Piece{Kind: chat.PieceText, Choice: 1, Text: []byte(`b`)}, chat.Piece{Kind: chat.PieceUsage}, text(`\ude00`))
	arguments := func(index int, s string) chat.Piece {
		return chat.Piece{Kind: chat.PieceArguments, Index: index, Text: []byte(s)}
	}
	f(`9.0.1:\ufffd 9.0.0:\ufffd 12.0.0:`, arguments(0, `\ud83d`), arguments(1, `\ude00`), end)
	// Calls and choices interleave.
	f(`9.0.0:a 9.0.1:b 2.0.0:c 9.0.1:\ud83e\udd16 9.0.0:\ud83d\ude00`, arguments(0, `a\ud83d`), arguments(1, `b\ud83e`), text(`c`),
		arguments(1, `\udd16`), arguments(0, `\ude00`))
	f(`2.1.0:\ud83e\udd16 2.0.0:\ufffd 10.0.0: 10.1.0:`, text(`\ud83d`), chat.Piece{Kind: chat.PieceText, Choice: 1, Text: []byte(`\ud83e`)},
		chat.Piece{Kind: chat.PieceText, Choice: 1, Text: []byte(`\udd16`)}, chat.Piece{Kind: chat.PieceFinish}, chat.Piece{Kind: chat.PieceFinish, Choice: 1})
	// Sources do not part what they are of.
	f(`7.0.0: 2.0.0:\ud83d\ude00`, text(`\ud83d`), chat.Piece{Kind: chat.PieceCitation}, text(`\ude00`))
	// JSON in JSON, and what only looks like an escape.
	f(`9.0.0:\\ud83d 9.0.0:\\ude00`, chat.Piece{Kind: chat.PieceArguments, Text: []byte(`\\ud83d`)}, chat.Piece{Kind: chat.PieceArguments, Text: []byte(`\\ude00`)})
	f(`2.0.0:ud83d 2.0.0:\ud7ff 2.0.0:x`, text(`ud83d`), text(`\ud7ff`), text(`x`))
	// What is half, and not at the end.
	f(`2.0.0:\ufffd 2.0.0:a\ufffdb\ufffd\ud83d\ude00 2.0.0:\ufffdc`, text(`\ude00`), text(`a\ud83db\udc00\ud83d\ude00`), text(`\udc00c`))

	var got told
	e, half := chat.JoinPairs(&got), text(`\ud83d`)
	e.Encode(nil, &half)
	if e.Fail(nil, &chat.Error{Message: "broken"}); strings.Join(got.said, " ") != `2.0.0:\ufffd broken` {
		t.Errorf("got %s", got.said)
	}
}

// However texts are cut, and whatever comes between, each becomes what it is as a whole.
func TestJoinPairsAnyhow(t *testing.T) {
	m := rand.New(rand.NewPCG(3, 4))
	units := []string{`\ud83d`, `\ude00`, `\uD83E`, `\uDD16`, `a`, `\\`, `\n`, `ud83d`, `é`}
	for range 3000 {
		var whole, got [3]string
		sink := &told{}
		e := chat.JoinPairs(sink)
		give := func(p chat.Piece) {
			sink.said = nil
			e.Encode(nil, &p)
			for _, s := range sink.said {
				at, text, _ := strings.Cut(s, ":")
				mended := []byte(text)
				if chat.MendPairs(mended); string(mended) != text {
					t.Fatalf("half: %s", s)
				}
				if strings.HasPrefix(at, "9.") {
					got[at[len(at)-1]-'0'] += text
				}
			}
		}
		for range m.IntN(12) {
			at, text := m.IntN(len(got)), ""
			for range m.IntN(4) {
				text += units[m.IntN(len(units))]
			}
			whole[at] += text
			give(chat.Piece{Kind: chat.PieceArguments, Index: at, Text: []byte(text)})
		}
		give(chat.Piece{Kind: chat.PieceEnd})
		for i := range whole {
			want := []byte(whole[i])
			if chat.MendPairs(want); got[i] != string(want) {
				t.Fatalf("%s became %s", whole[i], got[i])
			}
		}
	}
}

// nobody is an encoder that does nothing.
type nobody struct{}

func (nobody) Encode(*chat.Batch, *chat.Piece) {}

func (nobody) Fail(*chat.Batch, *chat.Error) {}

func TestJoinPairsAllocations(t *testing.T) {
	e := chat.JoinPairs(nobody{})
	p := chat.Piece{Kind: chat.PieceText}
	texts := [][]byte{[]byte(`plain`), []byte(`a\nb\ud83d`), []byte(`\ude00 \udc00`), []byte(`\ud83d`), []byte(`none`)}
	n := testing.AllocsPerRun(100, func() {
		for _, p.Text = range texts {
			e.Encode(nil, &p)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
