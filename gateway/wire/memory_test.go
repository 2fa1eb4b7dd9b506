package wire_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// A live stream holds what its encoder needs of the request, and not the conversation: five thousand streams must not hold
// five thousand prompts.
func TestStreamsLetGoOfPrompts(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.Name, func(t *testing.T) {
			gone := make(chan string, 4)
			e := encoderOf(d, gone)
			waiting := []string{"the picture", "the turns", "the request"}
			for len(waiting) > 0 {
				what := collected(gone)
				if what == "" {
					t.Fatalf("the encoder holds %v", waiting)
				}
				waiting = slices.DeleteFunc(waiting, func(s string) bool { return s == what })
			}
			var b chat.Batch
			e.Encode(&b, &chat.Piece{Kind: chat.PieceBegin, Head: &chat.Head{ID: "x"}})
			if b.Empty() {
				t.Error("the encoder is of no use any more")
			}
		})
	}
}

// encoderOf makes an encoder for a request that nobody else holds, and has told when its large parts are gone.
func encoderOf(d *wire.Dialect, gone chan<- string) chat.Encoder {
	tell := func(what string) { gone <- what }
	media := &chat.Media{Data: strings.Repeat("x", 1<<20), Type: "image/png"}
	turns := []chat.Message{
		{Role: chat.RoleSystem, Parts: []chat.Part{{Text: "be brief"}}},
		{Role: chat.RoleUser, Parts: []chat.Part{{Kind: chat.PartImage, Media: media}, {Text: strings.Repeat("x", 1<<20)}}},
	}
	q := &chat.Request{
		Model: "m", Messages: turns, Instructions: true, Stream: true,
		Tools: []chat.Tool{{Kind: chat.Custom, Name: "patch"}},
	}
	runtime.AddCleanup(media, tell, "the picture")
	runtime.AddCleanup(&turns[0], tell, "the turns")
	runtime.AddCleanup(q, tell, "the request")
	return d.NewEncoder(q)
}

// collected waits until something is gone, and is what.
func collected(gone <-chan string) string {
	for range 100 {
		runtime.GC()
		select {
		case what := <-gone:
			return what
		case <-time.After(10 * time.Millisecond):
		}
	}
	return ""
}
