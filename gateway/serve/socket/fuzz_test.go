package socket_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// FuzzMessages says anything to a socket of either protocol: every answer is one JSON object of a known type, and the socket goes on.
func FuzzMessages(f *testing.F) {
	for _, text := range []string{
		``, `{}`, `[]`, `{"type":"chat.create","id":"a","request":{"model":"m"}}`, `{"type":"chat.create","id":"a","request":{"model":"m","stream":true}}`,
		`{"type":"chat.create","id":"a","request":{}}`, `{"type":"chat.cancel","id":"a"}`, `{"type":"chat.resume","id":"a","after":1}`,
		`{"type":"auth","token":"key"}`, `{"type":"chat.create","id":"a","id":"b"}`, `{"type":"response.create","model":"m","input":"hi"}`,
		`{"type":"response.create","model":"m","store":false,"previous_response_id":"r","input":[{"type":"message"}],"stream_id":"l"}`,
		`{"type":"response.create","model":"m","input":"hi","generate":false}`, `{"type":"response.steer","previous_response_id":"r","input":"x"}`,
		`{"type":"response.create","model":"m","input":"hi","generate":false,"store":false,"tools":[{"type":"function","name":"f"}]}`,
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, chat bool) {
		s := start(t, chunks(2, 1))
		dial := s.responses
		if chat {
			dial = s.chat
		}
		c := dial()
		c.send(text)
		c.send(`{"type":"last","id":"last"}`)
		for {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			_, b, err := c.ReadMessage()
			if websocket.IsCloseError(err, websocket.CloseInvalidFramePayloadData) && !json.Valid([]byte(text)) {
				return
			}
			if err != nil {
				t.Fatalf("%v behind %q", err, text)
			}
			var said struct {
				Type  string
				Error struct{ Code string }
			}
			if err := json.Unmarshal(b, &said); err != nil {
				t.Fatalf("%v: %q was answered with %q", err, text, b)
			}
			switch {
			case said.Error.Code == "unknown_type":
				return
			case said.Type == "error", said.Type == "auth.ok", strings.HasPrefix(said.Type, "chat."), strings.HasPrefix(said.Type, "response."):
			case !chat && said.Type == "": // what the test's handler says is no event of theirs
			default:
				t.Fatalf("%q was answered with %s", text, b)
			}
		}
	})
}
