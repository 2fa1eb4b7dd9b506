package wire_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// TestSaidIsNearlyCounted streams texts whose tokens a tokenizer has counted, in every dialect, token by token and several at
// a time, as answers, thoughts and arguments of calls: what is said to have passed is off by a fifth at most.
func TestSaidIsNearlyCounted(t *testing.T) {
	a, err := txtar.ParseFile(filepath.Join("testdata", "said.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(a.Files); i += 2 {
		name, text := a.Files[i].Name, a.Files[i].Data
		count, lengths, _ := strings.Cut(string(a.Files[i+1].Data), "\n")
		tokens, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dialects {
			for _, at := range []int{1, 3, 8, 40} {
				kinds := []chat.PieceKind{chat.PieceText, chat.PieceReasoning}
				if name == "arguments" || name == "json" {
					kinds = append(kinds, chat.PieceArguments)
				}
				for _, kind := range kinds {
					said, want := streamed(d, kind, pieces(t, text, lengths, at)), tokens
					if kind == chat.PieceArguments {
						want += int64(len("order")+chat.CallSaid) / 4
					}
					if off := 100*said/want - 100; off < -20 || off > 20 {
						t.Errorf("%s in %s, %d tokens at a time, kind %d: %d tokens are counted as %d: %+d %%", name, d.Name, at, kind, want, said, off)
					}
				}
			}
		}
	}
}

// pieces parts a text by the lengths of its tokens, so many of them at a time.
func pieces(t *testing.T, text []byte, lengths string, at int) (list []string) {
	t.Helper()
	fields := strings.Fields(lengths)
	for i := 0; i < len(fields); i += at {
		n := 0
		for _, f := range fields[i:min(i+at, len(fields))] {
			size, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			n += size
		}
		list, text = append(list, string(text[:n])), text[n:]
	}
	if len(text) > 0 {
		t.Fatalf("the tokens lack %q", text)
	}
	return list
}

// streamed is how many tokens are said to have passed when a stream of a dialect says a text, before its end.
func streamed(d *wire.Dialect, kind chat.PieceKind, texts []string) (tokens int64) {
	var b chat.Batch
	e := d.NewEncoder(nil)
	e.Encode(&b, &chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "x", Model: "m", Created: 1}})
	if kind == chat.PieceArguments {
		e.Encode(&b, &chat.Piece{Kind: chat.PieceCall, Call: &chat.ToolCall{ID: "call_1", Name: "order"}})
	}
	for _, text := range texts {
		quoted := shape.AppendString(nil, text)
		e.Encode(&b, &chat.Piece{Kind: kind, Text: quoted[1 : len(quoted)-1]})
	}
	var s chat.Said
	var u chat.Usage
	for {
		name, data, ok := b.Next()
		if !ok {
			return tokens
		}
		_, said := d.Look(name, data, &u)
		tokens = s.Tokens(said, &u)
	}
}
