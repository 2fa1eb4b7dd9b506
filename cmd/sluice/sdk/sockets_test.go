package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
)

// columns are the kinds of provider that answer over sockets: one that has the Responses API, and those whose answers are translated.
var columns = []string{"responses/sim-fast", "openai/sim-fast", "chat/sim-fast", "anthropic/sim-fast", "builtin/sim-fast"}

// TestResponsesSocket has OpenAI's client for Go speak to every kind of provider in the WebSocket mode of the Responses API.
func TestResponsesSocket(t *testing.T) {
	s := start(t)
	c := openai.NewClient(option.WithBaseURL(s.baseURL), option.WithAPIKey(key), option.WithMaxRetries(0))
	for _, model := range columns {
		t.Run(strings.ReplaceAll(model, "/", " "), func(t *testing.T) {
			conn, err := c.Responses.Connect(t.Context(), responses.ResponseConnectionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			create := func(lane, previous, say string, store bool) responses.ResponsesClientEventResponseCreateParam {
				var q responses.ResponsesClientEventResponseCreateParam
				text := fmt.Sprintf(`{"type":"response.create","model":%q,"input":%q,"store":%t}`, model, say, store)
				if err := json.Unmarshal([]byte(text), &q); err != nil {
					t.Fatal(err)
				}
				if lane != "" {
					q.StreamID = param.NewOpt(lane)
				}
				if previous != "" {
					q.PreviousResponseID = param.NewOpt(previous)
				}
				return q
			}
			final := func(q responses.ResponsesClientEventResponseCreateParam, from func() (*responses.Response, error)) *responses.Response {
				t.Helper()
				if err := conn.Create(t.Context(), q); err != nil {
					t.Fatal(err)
				}
				r, err := from()
				if err != nil {
					t.Fatal(err)
				}
				if r.Status != "completed" {
					t.Errorf("%s: %s", r.Status, r.RawJSON())
				}
				return r
			}
			whole := func() (*responses.Response, error) { return conn.FinalResponse(t.Context()) }
			if r := final(create("", "", "repeat after me: "+said, true), whole); r.OutputText() != said {
				t.Errorf("%q", r.OutputText())
			}
			lane, err := conn.Lane("a")
			if err != nil {
				t.Fatal(err)
			}
			inLane := func() (*responses.Response, error) { return lane.FinalResponse(t.Context()) }
			one := final(create("a", "", "repeat after me: one", false), inLane)
			two := final(create("a", one.ID, "repeat after me: two", false), inLane)
			if one.OutputText() != "one" || two.OutputText() != "two" || two.Usage.InputTokens <= one.Usage.InputTokens {
				t.Errorf("%q, %q; %d tokens behind %d", one.OutputText(), two.OutputText(), two.Usage.InputTokens, one.Usage.InputTokens)
			}
			if err := conn.Create(t.Context(), create("a", "resp_nobody", "hi", false)); err != nil {
				t.Fatal(err)
			}
			_, err = inLane()
			said, ok := errors.AsType[*responses.ResponseProtocolError](err)
			if !ok || !strings.Contains(said.Event.RawJSON(), `"code":"previous_response_not_found"`) {
				t.Errorf("%v", err)
			}
		})
	}
	_, err := (&c).Responses.Connect(t.Context(), responses.ResponseConnectionOptions{}, option.WithAPIKey("sk-wrong"))
	if err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a wrong key: %v", err)
	}
}

// TestChatSocket has another client than the one whose library the gateway uses ask for chat completions.
func TestChatSocket(t *testing.T) {
	s := start(t)
	for _, model := range columns {
		t.Run(strings.ReplaceAll(model, "/", " "), func(t *testing.T) {
			c, _, err := websocket.Dial(t.Context(), s.baseURL+"/chat/completions", &websocket.DialOptions{
				HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}, CompressionMode: websocket.CompressionContextTakeover,
				Subprotocols: []string{"sluice.v1"},
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.Subprotocol() != "sluice.v1" {
				t.Errorf("%q", c.Subprotocol())
			}
			ask := fmt.Sprintf(`{"type":"chat.create","id":"a","request":{"model":%q,"messages":[{"role":"user","content":%q}]}}`, model, "repeat after me: "+said)
			if err := c.Write(t.Context(), websocket.MessageText, []byte(ask)); err != nil {
				t.Fatal(err)
			}
			var text string
			for {
				kind, b, err := c.Read(t.Context())
				if err != nil || kind != websocket.MessageText {
					t.Fatal(err)
				}
				var f struct {
					Type  string
					Chunk openai.ChatCompletionChunk
					Usage *openai.CompletionUsage
				}
				if err := json.Unmarshal(b, &f); err != nil {
					t.Fatal(err)
				}
				if f.Type != "chat.chunk" {
					if f.Type != "chat.done" || f.Usage == nil || f.Usage.CompletionTokens == 0 {
						t.Errorf("%s", b)
					}
					break
				}
				for _, choice := range f.Chunk.Choices {
					text += choice.Delta.Content
				}
			}
			if text != said {
				t.Errorf("%q", text)
			}
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil { // it waits for the gateway's part of the handshake
				t.Error(err)
			}
		})
	}
}
