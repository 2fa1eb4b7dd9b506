package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/sluice-ai/sluice/gateway/sim"
)

// talk is a WebSocket to the gateway.
type talk struct {
	t *testing.T
	*websocket.Conn
}

func (s *site) talk(path, key string, protocols ...string) *talk {
	s.t.Helper()
	d := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: patience}
	h := http.Header{}
	if key != "" {
		h.Set("Authorization", "Bearer "+key)
	}
	c, _, err := d.Dial("ws://"+s.Address().String()+path, h)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return &talk{s.t, c}
}

// heard is what the gateway says.
type heard struct {
	Type, ID string
	Seq      int64
	Chunk    struct {
		Choices []struct {
			Delta struct{ Content string }
		}
	}
	Usage struct {
		Tokens int `json:"total_tokens"`
	}
	Cost     *json.Number
	Provider string
	Cache    string
	Error    struct{ Code string }
}

func (k *talk) say(format string, a ...any) {
	k.t.Helper()
	if err := k.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, format, a...)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *talk) hear() (h heard) {
	k.t.Helper()
	_ = k.SetReadDeadline(time.Now().Add(patience))
	_, b, err := k.ReadMessage()
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		k.t.Fatalf("%v: %s", err, b)
	}
	return h
}

// listen puts an answer together, to its end or to an event.
func (k *talk) listen(to int64) (text string, last heard) {
	k.t.Helper()
	for {
		if last = k.hear(); last.Type != "chat.chunk" {
			return text, last
		}
		for _, c := range last.Chunk.Choices {
			text += c.Delta.Content
		}
		if last.Seq == to {
			return text, last
		}
	}
}

// What is asked over a WebSocket goes through the whole chain: it is answered from the cache, limited and written down as over HTTP.
func TestSocket(t *testing.T) {
	provider, address := simulate(t, sim.Options{FirstToken: 5 * time.Millisecond, TokensPerSecond: 500, Seed: 1})
	s := start(t, gatewayFile("ordered", address)+withCache)
	defer s.stop()
	s.write("tenants/acme.yaml", tenantFile("acme", testKey, "limits: {requests_per_minute: 4}\n"))
	s.reload()
	k := s.talk("/v1/chat/completions", testKey)
	const ask = `{"type":"chat.create","id":"%s","request":{"model":"sim-chat","messages":[{"role":"user","content":"repeat after me: over a socket"}]}}`
	for i, want := range []string{"miss", "exact"} {
		k.say(ask, fmt.Sprint("a", i))
		text, done := k.listen(0)
		if !strings.Contains(text, "over a socket") || done.Type != "chat.done" || done.Cache != want || done.Usage.Tokens == 0 || done.Provider != "p0" {
			t.Errorf("%q, %+v", text, done)
		}
	}
	if n := provider.Stats().Requests; n != 1 {
		t.Errorf("%d calls", n)
	}
	k.say(ask, "b")
	first, at := k.listen(2)
	_ = k.NetConn().Close()
	k = s.talk("/v1/chat/completions", testKey)
	k.say(`{"type":"chat.resume","id":"b","after":%d}`, at.Seq)
	if rest, done := k.listen(0); !strings.Contains(first+rest, "over a socket") || done.Type != "chat.done" {
		t.Errorf("%q, %q, %+v", first, rest, done)
	}
	k.say(ask, "c")
	k.listen(0)
	k.say(ask, "d")
	if _, refused := k.listen(0); refused.Error.Code != "rate_limit_exceeded" {
		t.Errorf("%+v", refused)
	}
	until(t, "all are logged", func() bool { return strings.Count(s.logs.String(), `"endpoint":"chat.completions"`) == 5 })
	if c := client(t); !strings.Contains(get(t, c, "http://"+s.AdminAddress().String()+"/metrics", "").body, `sluice_sockets{protocol="chat"} 1`) {
		t.Error("the socket is not counted")
	}
	s.write("tenants/acme.yaml", tenantFile("acme", "another key", ""))
	s.reload()
	k.say(ask, "e")
	if _, refused := k.listen(0); refused.Error.Code != "invalid_api_key" {
		t.Errorf("a key that was revoked: %+v", refused)
	}
	_ = k.Close()
}

// A browser's token opens a socket, and another one keeps it open.
func TestSocketToken(t *testing.T) {
	_, address := simulate(t, sim.Options{FirstToken: time.Millisecond, TokensPerSecond: 1000, Seed: 1})
	s := start(t, gatewayFile("ordered", address)+"plugins: {auth: {pepper: a-pepper-of-sixteen-bytes}}\n")
	defer s.stop()
	c := client(t)
	token := func(user string) string {
		t.Helper()
		a := do(c, must(t, "http://"+s.Address().String()+"/oauth/token", url.Values{
			"grant_type": {"client_credentials"}, "client_secret": {testKey}, "user": {user},
		}))
		var got struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Token == "" {
			t.Fatalf("%+v", a)
		}
		return got.Token
	}
	k := s.talk("/v1/chat/completions", "", "sluice.v1", "sluice.token."+token("u1"))
	k.say(`{"type":"auth","token":%q}`, token("u1"))
	if h := k.hear(); h.Type != "auth.ok" {
		t.Errorf("%+v", h)
	}
	k.say(`{"type":"auth","token":%q}`, testKey)
	if h := k.hear(); h.Error.Code == "" {
		t.Errorf("%+v", h)
	}
	k.say(`{"type":"chat.create","id":"a","request":{"model":"sim-chat","messages":[{"role":"user","content":"hi"}]}}`)
	if text, done := k.listen(0); text == "" || done.Type != "chat.done" {
		t.Errorf("%+v", done)
	}
	_, _, err := (&websocket.Dialer{Subprotocols: []string{"sluice.v1", "sluice.token." + testKey}}).Dial("ws://"+s.Address().String()+"/v1/chat/completions", nil)
	if !errors.Is(err, websocket.ErrBadHandshake) {
		t.Errorf("a key in a browser: %v", err)
	}
	_ = k.Close()
}

func must(t *testing.T, to string, form url.Values) *http.Request {
	t.Helper()
	q, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return q
}
