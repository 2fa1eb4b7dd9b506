package wire_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

// Whatever a provider says, what a caller gets keeps to the rules of its dialect.
func FuzzAcross(f *testing.F) {
	for i, d := range dialects {
		paths, err := filepath.Glob(filepath.Join(d.Name, "testdata", "streams", "*.txtar"))
		if err != nil || len(paths) == 0 {
			f.Fatalf("no streams of %s: %v", d.Name, err)
		}
		for _, path := range paths {
			a, err := txtar.ParseFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(a.Files[0].Data, uint8(i))
		}
	}
	q := &chat.Request{Model: "m", Stream: true, Tools: []chat.Tool{{Kind: chat.Custom, Name: "f"}}}
	f.Fuzz(func(t *testing.T, text []byte, from uint8) {
		s := said(dialects[int(from)%len(dialects)], text)
		if len(s.pieces) == 0 {
			return
		}
		for _, to := range dialects {
			checkForm(t, to, q, eventsOf(s.encode(to, q)), true)
		}
	})
}

// said is decodeStream without its checks, which what no provider says may fail.
func said(d *wire.Dialect, text []byte) *stream {
	s := &stream{err: errCut}
	decoder := d.NewDecoder()
	r := sse.NewReader(bytes.NewReader(text), 1<<16)
	for {
		ev, err := r.Next()
		if err != nil {
			return s
		}
		pieces, err := decoder.Decode(nil, ev.Name, ev.Data)
		for i := range pieces {
			s.pieces = append(s.pieces, keep(&pieces[i]))
			if pieces[i].Kind == chat.PieceEnd {
				s.err = nil
				return s
			}
		}
		if err != nil {
			s.err = err
			return s
		}
	}
}
