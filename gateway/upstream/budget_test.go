package upstream_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
)

// account is the transport's count of the bytes of all requests.
type account struct{ most, held atomic.Int64 }

func newAccount(most int64) *account {
	a := &account{}
	a.most.Store(most)
	return a
}

// counted is a body whose copies are counted.
type counted struct {
	body
	a *account
}

func (c *counted) Take(n int64) error {
	if c.a.held.Add(n) > c.a.most.Load() {
		c.a.held.Add(-n)
		return &gateway.Error{Status: 503, Code: gateway.CodeBusy}
	}
	return nil
}

func (c *counted) Give(n int64) { c.a.held.Add(-n) }

func (a *account) body(ask string) gateway.Body { return &counted{body{[]byte(ask)}, a} }

const large = 40_000

// asks are requests in the dialects of callers, each with a large text.
func asks(stream bool) map[string]string {
	text, s := strings.Repeat("x", large), fmt.Sprint(stream)
	return map[string]string{
		"chat.completions": `{"model":"m","stream":` + s + `,"messages":[{"role":"user","content":"` + text + `"}]}`,
		"messages":         `{"model":"m","stream":` + s + `,"max_tokens":9,"messages":[{"role":"user","content":"` + text + `"}]}`,
		"responses.create": `{"model":"m","stream":` + s + `,"input":"` + text + `"}`,
	}
}

// A translated request is counted while it is needed, and given back however the attempt ends.
func TestTranslatedRequestIsCounted(t *testing.T) {
	check := func(name string, script func(c net.Conn, n int) bool, change ...func(*gateway.Exchange)) {
		t.Helper()
		for endpoint, ask := range asks(strings.Contains(name, "stream")) {
			a := newAccount(1 << 20)
			var most atomic.Int64
			f := newFake(t, nil, func(c net.Conn, n int) bool {
				most.Store(a.held.Load())
				return script(c, n)
			})
			p := claude(t, f, nil)
			if endpoint == "messages" {
				p = compatible(t, f, nil)
			}
			x := atWith(t, endpoint, a.body(ask), "", "")
			for _, c := range change {
				c(x)
			}
			r := attempt(t, p, x, "claude-x")
			if held := a.held.Load(); held != 0 {
				t.Errorf("%s, %s: %d bytes are counted after %v", name, endpoint, held, r.err)
			}
			if seen := f.seen(); len(seen) > 0 && (most.Load() < int64(len(seen[0].body)) || most.Load() > 8*large) {
				t.Errorf("%s, %s: %d bytes were counted for %d", name, endpoint, most.Load(), len(seen[0].body))
			}
		}
	}
	answers := say(whole("200 OK", message))
	check("an answer", answers)
	check("a stream", say(named(messageEvents...)+last))
	check("another dialect", say(whole("200 OK", answer)))
	check("an error", say(whole("500 Internal Server Error", `{"type":"error","error":{"type":"api_error","message":"m"}}`)))
	check("nonsense", say("nonsense\r\n\r\n"))
	check("a cut", func(c net.Conn, _ int) bool { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"); return false })
	check("a stream that breaks off", func(c net.Conn, _ int) bool { _, _ = io.WriteString(c, named(messageEvents[:4]...)); return false })
	check("a caller that leaves", func(c net.Conn, _ int) bool { untilGone(c); return false }, func(x *gateway.Exchange) {
		time.AfterFunc(10*time.Millisecond, func() { x.Cancel(gateway.ErrGone) })
	})
	check("a caller that has left", answers, func(x *gateway.Exchange) { x.Cancel(gateway.ErrGone) })
}

// Without room for the translation the request is refused before anybody is dialled; what cannot be translated is not
// counted.
func TestTranslatedRequestIsRefused(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", message)))
	a := newAccount(large)
	p := claude(t, f, nil)
	refuse := func(ask, code string) {
		t.Helper()
		r := attempt(t, p, atWith(t, "chat.completions", a.body(ask), "", ""), "claude-x")
		if _, dialled := p.Connections(); codeOf(r.err) != code || dialled != 0 || a.held.Load() != 0 {
			t.Errorf("%v after %d connections, %d bytes are counted", r.err, dialled, a.held.Load())
		}
	}
	refuse(asks(false)["chat.completions"], gateway.CodeBusy)
	refuse(`{"model":"m","n":2,"messages":[{"role":"user","content":"x"}]}`, gateway.CodeUnsupported)
	a.most.Store(1 << 20)
	if r := attempt(t, p, atWith(t, "chat.completions", a.body(asks(false)["chat.completions"]), "", ""), "claude-x"); r.err != nil {
		t.Error(r.err)
	}
}

// copies are replies of which the caller gets another copy than the provider sent.
func copies() map[string]func(*testing.T, *upstream.Budget) (*upstream.Provider, *gateway.Exchange) {
	text := strings.Repeat("x", large)
	shared := func(b *upstream.Budget, kind string, list []gateway.Endpoint) func(*upstream.Config) {
		return func(c *upstream.Config) {
			c.Kind, _ = upstream.KindOf(kind)
			c.Endpoints, c.Budget = list, b
		}
	}
	chat := func(status string) func(t *testing.T, b *upstream.Budget) (*upstream.Provider, *gateway.Exchange) {
		return func(t *testing.T, b *upstream.Budget) (*upstream.Provider, *gateway.Exchange) {
			said := strings.Replace(message, `"text":"hi"`, `"text":"`+text+`"`, 1)
			if status != "200 OK" {
				said = `{"type":"error","error":{"type":"api_error","message":"` + text + `"}}`
			}
			f := newFake(t, nil, say(whole(status, said)))
			return provider(t, f.url(), shared(b, "anthropic", conversations())), at(t, "chat.completions", asks(false)["chat.completions"], "", "")
		}
	}
	return map[string]func(*testing.T, *upstream.Budget) (*upstream.Provider, *gateway.Exchange){
		"translated": chat("200 OK"),
		"an error":   chat("500 Internal Server Error"),
		"mended": func(t *testing.T, b *upstream.Budget) (*upstream.Provider, *gateway.Exchange) {
			f := newFake(t, nil, say(whole("200 OK", `{"choices":[{"index":0,"message":{"content":"`+text+`","tool_calls":[{"id":"a","function":{"name":"f","arguments":{}}}]},"finish_reason":"stop"}]}`)))
			return provider(t, f.url(), shared(b, "mistral", endpoints())), exchange(t, askWhole, nil)
		},
		"with ids": func(t *testing.T, b *upstream.Budget) (*upstream.Provider, *gateway.Exchange) {
			f := newFake(t, nil, say(whole("200 OK", `{"id":"file-1","object":"file","filename":"`+text+`"}`)))
			return provider(t, f.url(), shared(b, "openai", others())), pass(t, "files.list", "", nil, "", "")
		},
	}
}

// A reply that is made anew is counted until it is closed, in the place of what the provider sent.
func TestRenderedReplyIsCounted(t *testing.T) {
	for name, make := range copies() {
		t.Run(name, func(t *testing.T) {
			b := upstream.NewBudget(1 << 20)
			p, x := make(t, b)
			target := &gateway.Target{Provider: "fake", Model: "m", Via: p.WithKey("")}
			reply, err := target.Via.Send(x, target, x.Attempting(target))
			if err != nil {
				t.Fatal(err)
			}
			ev, err := reply.Stream.Next()
			if held := b.Held(); err != nil || held < int64(len(ev.Data)) || held > 3*large/2 && name != "with ids" { // which keeps both
				t.Errorf("%d bytes are counted for %d, %v", held, len(ev.Data), err)
			}
			if _, err := reply.Stream.Next(); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			_ = reply.Stream.Close()
			if open, _ := p.Connections(); b.Held() != 0 || open != 1 {
				t.Errorf("%d bytes are counted, %d connections are kept", b.Held(), open)
			}
		})
	}
}

// A request of many small things holds many times its bytes when it is understood, and that counts.
func TestDecodedRequestIsCounted(t *testing.T) {
	const n = 10_000
	ask := `{"model":"m","messages":[` + strings.Repeat(`{"role":"user","content":"x"},`, n-1) + `{"role":"user","content":"x"}]}`
	check := func(most int64, fits bool) {
		t.Helper()
		a := newAccount(most)
		var held atomic.Int64
		f := newFake(t, nil, func(c net.Conn, k int) bool {
			held.Store(a.held.Load())
			return say(whole("200 OK", message))(c, k)
		})
		r := attempt(t, claude(t, f, nil), atWith(t, "chat.completions", a.body(ask), "", ""), "claude-x")
		if fits != (r.err == nil) || !fits && codeOf(r.err) != gateway.CodeBusy || a.held.Load() != 0 {
			t.Errorf("of %d: %v, %d bytes are counted at the end", most, r.err, a.held.Load())
		}
		if asked := len(f.seen()) > 0; asked != fits || asked && held.Load() < 300*n {
			t.Errorf("of %d: %d bytes were counted", most, held.Load())
		}
	}
	check(8<<20, true)
	check(2<<20, false)
}

// A reply for whose copy there is no room is refused, and nothing of it stays behind.
func TestRenderedReplyIsRefused(t *testing.T) {
	const n = 1000
	calls := func(call string) string { return strings.TrimSuffix(strings.Repeat(call+",", n), ",") } // longer in the copy
	check := func(kind string, ask *gateway.Exchange, said string) {
		t.Helper()
		for most, fits := range map[int64]bool{64<<10 + 100: false, 1 << 20: true} {
			b := upstream.NewBudget(most)
			f := newFake(t, nil, say(whole("200 OK", said)))
			p := provider(t, f.url(), func(c *upstream.Config) {
				c.Kind, _ = upstream.KindOf(kind)
				c.Endpoints, c.Budget = conversations(), b
			})
			r := attempt(t, p, ask, "m")
			e := gateway.AsError(r.err)
			if (r.err == nil) != fits || r.err != nil && (e.Status != 503 || e.Code != gateway.CodeBusy || !e.Sent) || b.Held() != 0 {
				t.Errorf("%s: of %d bytes: %v, %d are counted", kind, most, r.err, b.Held())
			}
			if !fits {
				f.waitClosed()
			}
		}
	}
	check("anthropic", at(t, "chat.completions", `{"model":"m","messages":[{"role":"user","content":"x"}]}`, "", ""),
		strings.Replace(message, `{"type":"text","text":"hi"}`, calls(`{"type":"tool_use","id":"a","name":"f","input":{}}`), 1))
	check("mistral", at(t, "chat.completions", `{"model":"m","messages":[{"role":"user","content":"x"}]}`, "", ""),
		`{"choices":[{"index":0,"message":{"tool_calls":[`+calls(`{"id":"a","function":{"name":"f","arguments":{}}}`)+`]},"finish_reason":"stop"}]}`)
}

// Streams in another dialect count what their end repeats, what is kept of them, and large events, and give it back however
// they end.
func TestTranslatedStreamIsCounted(t *testing.T) {
	goOn := make(chan bool)
	piece := event(`{"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("x", large) + `"}}]}`)
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		_, _ = io.WriteString(c, sseHead+piece)
		if !<-goOn {
			return false
		}
		_, err := io.WriteString(c, events(finish, usage, done)+last)
		return err == nil
	})
	check := func(endpoint string, stored bool, least int64, end string) (held int64) {
		t.Helper()
		b := upstream.NewBudget(1 << 20)
		p := provider(t, f.url(), func(c *upstream.Config) {
			c.Kind, _ = upstream.KindOf("together")
			if c.Endpoints, c.Budget = conversations(), b; stored {
				c.Stored = upstream.NewStored(1<<20, patience)
			}
		})
		x := at(t, endpoint, asks(true)[endpoint], "", "")
		target := &gateway.Target{Provider: "fake", Model: "m", Via: p.WithKey("")}
		reply, err := target.Via.Send(x, target, x.Attempting(target))
		for said := 0; err == nil && said < large; {
			var ev gateway.Event
			if ev, err = reply.Stream.Next(); strings.Contains(string(ev.Data), "xxx") {
				said = len(ev.Data)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if held = b.Held(); held < least {
			t.Errorf("%s: %d bytes are counted, not %d", endpoint, held, least)
		}
		if end == "leave" {
			_ = reply.Stream.Close()
			goOn <- false
		} else {
			goOn <- end == ""
			for err == nil {
				_, err = reply.Stream.Next()
			}
			_ = reply.Stream.Close()
		}
		if (end == "") != errors.Is(err, io.EOF) && end != "leave" || b.Held() != 0 {
			t.Errorf("%s: %v, %d bytes are counted", endpoint, err, b.Held())
		}
		return held
	}
	for _, end := range []string{"", "cut", "leave"} {
		check("messages", false, large, end)                       // the event
		repeated := check("responses.create", false, 2*large, end) // and what is repeated
		check("responses.create", true, repeated+large, end)       // and what is kept
	}
}

// What does not fit into a model is refused before a connection is taken, also where nothing is translated.
func TestRefusedBeforeTheConnection(t *testing.T) {
	f := newFake(t, nil, say(whole("200 OK", answer)))
	p := provider(t, f.url(), func(c *upstream.Config) {
		c.Kind, _ = upstream.KindOf("groq")
		c.Endpoints, c.Refuse = endpoints(), true
	})
	r := attempt(t, p, exchange(t, `{"model":"m","messages":[],"logprobs":true}`, nil), "m")
	if e, ok := errors.AsType[*gateway.Error](r.err); !ok || e.Code != gateway.CodeUnsupported || e.Param != "logprobs" || e.Sent {
		t.Errorf("%+v", r.err)
	}
	if _, dialled := p.Connections(); dialled != 0 {
		t.Errorf("%d connections", dialled)
	}
	if r := attempt(t, p, exchange(t, askWhole, nil), "m"); r.err != nil {
		t.Error(r.err)
	}
}

// Merged requests are counted from the first member on until they are sent, the answers until the last caller has his.
func TestMergeIsCounted(t *testing.T) {
	a, b := newAccount(1<<20), upstream.NewBudget(1<<20)
	text := strings.Repeat("-", 10_000) // which is no base64
	var sent atomic.Int64
	var f *fake
	f = newFake(t, nil, func(c net.Conn, n int) bool {
		sent.Store(a.held.Load())
		return embedder(&f)(c, n)
	})
	p := openai(t, f, func(c *upstream.Config) {
		c.Merge, c.Budget = upstream.Merge{Window: patience, Inputs: 4}, b
	})
	target := &gateway.Target{Provider: "fake", Model: "e", Via: p.WithKey("k")}
	ask := func() (*gateway.Reply, error) {
		x := pass(t, "embeddings", "", a.body(embed(`"`+text+`"`)), "", "")
		reply, err := target.Via.Send(x, target, x.Attempting(target))
		x.End(err)
		return reply, err
	}
	replies := make([]*gateway.Reply, 4)
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() {
			var err error
			if replies[i], err = ask(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := sent.Load(); n < 40_000 || n > 80_000 || a.held.Load() != 0 {
		t.Errorf("%d bytes were counted when it was sent, %d at the end", n, a.held.Load())
	}
	if held := b.Held(); held < 40_000 || held > 60_000 {
		t.Errorf("%d bytes are counted for four replies", held)
	}
	for _, r := range replies {
		_ = r.Stream.Close()
	}
	if held := b.Held(); held != 0 {
		t.Errorf("%d bytes are counted", held)
	}

	a.most.Store(5000)
	if _, err := ask(); codeOf(err) != gateway.CodeBusy || a.held.Load() != 0 {
		t.Errorf("%v, %d bytes are counted", err, a.held.Load())
	}
}

// Who does not fit is refused alone; and when all have left before anything was sent, nothing is counted.
func TestMergeWithoutRoom(t *testing.T) {
	f := newFake(t, nil, say(""))
	p := merging(t, f, patience, 4)
	target := &gateway.Target{Provider: "fake", Model: "e", Via: p.WithKey("k")}
	a := newAccount(15_000)
	x := pass(t, "embeddings", "", a.body(embed(`"`+strings.Repeat("x", 10_000)+`"`)), "", "")
	left := make(chan error)
	go func() {
		_, err := target.Via.Send(x, target, x.Attempting(target))
		left <- err
	}()
	for a.held.Load() == 0 {
		<-time.After(time.Millisecond)
	}
	y := pass(t, "embeddings", "", a.body(embed(`"`+strings.Repeat("y", 10_000)+`"`)), "", "")
	if _, err := target.Via.Send(y, target, y.Attempting(target)); codeOf(err) != gateway.CodeBusy {
		t.Errorf("%v", err)
	}
	x.Cancel(gateway.ErrGone)
	if err := <-left; !errors.Is(err, gateway.ErrGone) || a.held.Load() != 0 || len(f.seen()) != 0 {
		t.Errorf("%v, %d bytes are counted, %d requests", err, a.held.Load(), len(f.seen()))
	}
}

// The answers to merged requests are refused where there is no room for them, and given back.
func TestMergeAnswerWithoutRoom(t *testing.T) {
	for _, most := range []int64{1, 10_000, 25_000} { // for nothing, not for all of it, not for its parts
		var f *fake
		f = newFake(t, nil, func(c net.Conn, n int) bool { return embedder(&f)(c, n) })
		p := openai(t, f, func(c *upstream.Config) {
			c.Merge, c.Budget = upstream.Merge{Window: patience, Inputs: 2}, upstream.NewBudget(most)
		})
		input := `"` + strings.Repeat("-", 8000) + `"`
		for i, r := range together(t, p, embed(input), embed(input)) {
			if codeOf(r.err) != gateway.CodeBusy && most < 25_000 {
				t.Errorf("of %d bytes, %d: %v", most, i, r.err)
			}
		}
	}
}
