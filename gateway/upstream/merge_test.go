package upstream_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// embedder answers each input with its text as the embedding, the last first; what contains "bad" it refuses.
func embedder(f **fake) func(c net.Conn, n int) bool {
	return func(c net.Conn, n int) bool {
		all := (*f).seen()
		ask := all[len(all)-1].body
		if strings.Contains(ask, "bad") {
			return say(whole("400 Bad Request", `{"error":{"message":"bad input"}}`))(c, n)
		}
		var inputs []string
		peek.Elements(peek.Find([]byte(ask), []byte(`"input"`)), func(v []byte) bool {
			inputs = append(inputs, string(v))
			return true
		})
		if len(inputs) == 0 {
			inputs = []string{string(peek.Find([]byte(ask), []byte(`"input"`)))}
		}
		var list []string
		for i, input := range slices.Backward(inputs) {
			list = append(list, fmt.Sprintf(`{"object":"embedding","embedding":%s,"index":%d}`, input, i))
		}
		return say(whole("200 OK", fmt.Sprintf(`{"object":"list","data":[%s],"model":"e-1","usage":{"prompt_tokens":%d,"total_tokens":%d}}`,
			strings.Join(list, ","), 10*len(inputs), 10*len(inputs))))(c, n)
	}
}

func merging(t *testing.T, f *fake, window time.Duration, inputs int) *upstream.Provider {
	return openai(t, f, func(c *upstream.Config) { c.Merge = upstream.Merge{Window: window, Inputs: inputs} })
}

func embed(input string) string { return `{"model":"m","input":` + input + `,"dimensions":2}` }

// together makes requests at the same time.
func together(t *testing.T, p *upstream.Provider, asks ...string) []result {
	t.Helper()
	results := make([]result, len(asks))
	exchanges := make([]*gateway.Exchange, len(asks))
	for i := range asks {
		exchanges[i] = pass(t, "embeddings", "", &body{[]byte(asks[i])}, "", "")
	}
	target := &gateway.Target{Provider: "fake", Model: "e", Via: p.WithKey("k")}
	var all sync.WaitGroup
	for i, x := range exchanges {
		all.Go(func() {
			r := result{x: x, a: x.Attempting(target)}
			if r.reply, r.err = target.Via.Send(x, target, r.a); r.err == nil {
				ev, _ := r.reply.Stream.Next()
				r.events = []string{string(ev.Data)}
				_ = r.reply.Stream.Close()
			}
			results[i] = r
		})
	}
	all.Wait()
	return results
}

func TestMerge(t *testing.T) {
	var f *fake
	f = newFake(t, nil, func(c net.Conn, n int) bool { return embedder(&f)(c, n) })
	asks := []string{
		`"a"`, `["b","c"]`, `["d","e"]`, // texts
		`[1,2]`, `[[3],[4]]`, `[[5],[6]]`, // tokens, which do not go beside them
	}
	want := [][]string{{`"a"`}, {`"b"`, `"c"`}, {`"d"`, `"e"`}, {`[1,2]`}, {`[3]`, `[4]`}, {`[5]`, `[6]`}}
	var bodies []string
	for _, input := range asks {
		bodies = append(bodies, embed(input))
	}
	var tokens int64
	for i, r := range together(t, merging(t, f, patience, 5), bodies...) {
		var data []string
		for k, embedding := range want[i] {
			data = append(data, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, k, embedding))
		}
		begin := `{"object":"list","data":[` + strings.Join(data, ",") + `],"model":"e-1","usage":{"prompt_tokens":`
		if r.err != nil || !strings.HasPrefix(r.events[0], begin) {
			t.Errorf("%s: %v %q", asks[i], r.err, r.events)
		}
		tokens += r.x.Usage.Input
	}
	if n := len(f.seen()); n != 2 || tokens != 100 {
		t.Errorf("%d requests, %d tokens: %q", n, tokens, f.seen())
	}
}

// What cannot be told apart is given to nobody: it may be another tenant's.
func TestMergeUnclear(t *testing.T) {
	check := func(data string) {
		t.Helper()
		f := newFake(t, nil, say(whole("200 OK", `{"object":"list","data":`+data+`}`)))
		for i, r := range together(t, merging(t, f, patience, 2), embed(`"a"`), embed(`"b"`)) {
			if codeOf(r.err) != gateway.CodeBadResponse {
				t.Errorf("%s: %d: %v %q", data, i, r.err, r.events)
			}
		}
	}
	check(`[{"index":0,"embedding":[0]},{"index":0,"embedding":[9]},{"index":1,"embedding":[1]}]`)
	check(`[{"index":0,"embedding":[0]},{"index":1,"embedding":[1]},{"index":2,"embedding":[2]}]`)
	check(`[{"index":0,"embedding":[0]}]`)
	check(`[{"index":0,"embedding":[0]},{"index":-1,"embedding":[1]}]`)
}

// Requests that differ in more than their inputs, that are large or of an unknown shape go by themselves; and nobody
// waits for longer than the window.
func TestMergeApart(t *testing.T) {
	var f *fake
	f = newFake(t, nil, func(c net.Conn, n int) bool { return embedder(&f)(c, n) })
	results := together(t, merging(t, f, time.Millisecond, 5), embed(`"a"`), `{"model":"m","input":"b","dimensions":3}`, embed(`["c","d","e","f"]`), embed(`"`+strings.Repeat("x", 40_000)+`"`))
	for i, r := range results {
		if r.err != nil || r.x.Usage.Input == 0 {
			t.Errorf("%d: %v", i, r.err)
		}
	}
	if n := len(f.seen()); n != 4 {
		t.Errorf("%d requests", n)
	}
}

// One caller's mistake is not another's.
func TestMergeRefused(t *testing.T) {
	var f *fake
	f = newFake(t, nil, func(c net.Conn, n int) bool { return embedder(&f)(c, n) })
	results := together(t, merging(t, f, patience, 3), embed(`"a"`), embed(`"bad"`), embed(`"c"`))
	for i, want := range []int{200, 400, 200} {
		if r := results[i]; r.err != nil || r.reply.Status != want {
			t.Errorf("%d: %v %+v", i, r.err, r.reply)
		}
	}
	if n := len(f.seen()); n != 4 {
		t.Errorf("%d requests", n)
	}
}

// Who leaves does not take the others along; when all have left, the provider need not go on.
func TestMergeLeave(t *testing.T) {
	gone := make(chan struct{})
	f := newFake(t, nil, func(c net.Conn, _ int) bool {
		untilGone(c)
		close(gone)
		return false
	})
	p := merging(t, f, patience, 2)
	target := &gateway.Target{Provider: "fake", Model: "e", Via: p.WithKey("k")}
	var all sync.WaitGroup
	var exchanges []*gateway.Exchange
	for _, input := range []string{`"a"`, `"b"`} {
		x := pass(t, "embeddings", "", &body{[]byte(embed(input))}, "", "")
		exchanges = append(exchanges, x)
		all.Go(func() {
			if _, err := target.Via.Send(x, target, x.Attempting(target)); err == nil {
				t.Error("no error")
			}
		})
	}
	for len(f.seen()) == 0 {
		<-time.After(time.Millisecond)
	}
	exchanges[0].Cancel(gateway.ErrGone)
	select {
	case <-gone:
		t.Error("the provider was left while somebody waits")
	case <-time.After(20 * time.Millisecond):
	}
	exchanges[1].Cancel(gateway.ErrGone)
	<-gone
	all.Wait()
}

// What goes wrong in the goroutine that asks for all of them is an error for each, and not the end of the process.
func TestMergePanic(t *testing.T) {
	f := newFake(t, nil, say(""))
	p := openai(t, f, func(c *upstream.Config) {
		c.Merge = upstream.Merge{Window: patience, Inputs: 2}
		c.Guard = func(netip.AddrPort) error { panic("a bug") }
	})
	for i, r := range together(t, p, embed(`"a"`), embed(`"b"`)) {
		if r.err == nil || !strings.Contains(r.err.Error(), "a bug") || gateway.AsError(r.err).Status != 500 {
			t.Errorf("%d: %v", i, r.err)
		}
	}
}
