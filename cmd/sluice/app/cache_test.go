package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/sim"
)

const withCache = "plugins: {cache: {exact: {ttl: 1h}}}\n"

// Identical requests at once are one call to the provider, whole or as a stream, and all get the answer. Then it is in the
// cache, for that tenant alone, in every dialect.
func TestCache(t *testing.T) {
	provider, address := simulate(t, sim.Options{FirstToken: 300 * time.Millisecond, TokensPerSecond: 200, Seed: 1})
	s := start(t, gatewayFile("ordered", address)+withCache)
	defer s.stop()
	const otherKey = "sk-test-key-of-umbrella"
	s.write("tenants/umbrella.yaml", tenantFile("umbrella", otherKey, ""))
	s.reload()
	c := client(t)
	const crowd = 1000
	for i, stream := range []bool{false, true} {
		body := question(stream, "How are "+strconv.Itoa(i)+" of you?")
		var mu sync.Mutex
		how := map[string]int{}
		var work sync.WaitGroup
		for range crowd {
			work.Go(func() {
				a := s.ask(c, body)
				if !a.good(stream) {
					t.Errorf("stream %v: %+v", stream, a)
				}
				mu.Lock()
				defer mu.Unlock()
				how[a.header.Get("X-Sluice-Cache")]++
			})
		}
		work.Wait()
		if n := provider.Stats().Requests; n != int64(i+1) || how["miss"] != 1 || how["coalesced"]+how["exact"] != crowd-1 {
			t.Errorf("stream %v: %d calls, %v", stream, n, how)
		}
		if a := s.ask(c, body); !a.good(stream) || a.header.Get("X-Sluice-Cache") != "exact" || a.header.Get("Age") == "" {
			t.Errorf("%+v", a)
		}
	}
	for _, want := range []string{"miss", "exact"} {
		if a := s.askAs(c, otherKey, question(false, "How are 0 of you?")); !a.good(false) || a.header.Get("X-Sluice-Cache") != want {
			t.Errorf("another tenant: %+v", a)
		}
	}
}

// What is past its time is given at once and asked for again as it was asked, through the whole chain: streams, too.
func TestCacheStale(t *testing.T) {
	provider, address := simulate(t, sim.Options{TokensPerSecond: 1e6, Seed: 1})
	s := start(t, gatewayFile("ordered", address)+"plugins: {cache: {exact: {ttl: 200ms, stale: 1h}}}\n")
	defer s.stop()
	c := client(t)
	for i, stream := range []bool{false, true} {
		body := question(stream, "How are "+strconv.Itoa(i)+" of you?")
		how := func() string {
			a := s.ask(c, body)
			if !a.good(stream) {
				t.Fatalf("%+v", a)
			}
			return a.header.Get("X-Sluice-Cache")
		}
		if got := how(); got != "miss" {
			t.Fatal(got)
		}
		before := provider.Stats().Requests
		until(t, "it is past its time", func() bool { return how() == "stale" })
		until(t, "it was had anew", func() bool { return how() == "exact" })
		if n := provider.Stats().Requests; n <= before {
			t.Errorf("%d calls", n)
		}
	}
}

func question(stream bool, text string) string {
	return fmt.Sprintf(`{"model":"sim-chat","stream":%t,"messages":[{"role":"user","content":%q}]}`, stream, text)
}

// The first of those who ask the same leaves: the others have the answer, from one call.
func TestCacheLeaderLeaves(t *testing.T) {
	provider, address := simulate(t, sim.Options{FirstToken: 50 * time.Millisecond, TokensPerSecond: 20, Seed: 1})
	s := start(t, gatewayFile("ordered", address)+withCache)
	defer s.stop()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Address().String()+"/v1/chat/completions", strings.NewReader(question(true, "Who are you?")))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+testKey)
	first, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Body.Close()
	if _, err := bufio.NewReader(first.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	c := client(t)
	var work sync.WaitGroup
	for i := range 20 {
		stream := i%2 == 0
		work.Go(func() {
			if a := s.ask(c, question(stream, "Who are you?")); !a.good(stream) || a.header.Get("X-Sluice-Cache") == "miss" {
				t.Errorf("%+v", a)
			}
		})
	}
	until(t, "all who want a stream follow", func() bool {
		metrics := get(t, c, "http://"+s.AdminAddress().String()+"/metrics", "").body
		return strings.Contains(metrics, `sluice_cache_requests_total{result="coalesced"} 10`)
	})
	leave()
	work.Wait()
	if n := provider.Stats().Requests; n != 1 {
		t.Errorf("%d calls", n)
	}
}

// A question in other words is answered from the cache, and a judge that the gateway asks through its own chain has a row of its
// own for what that costs the tenant.
func TestCacheSemantic(t *testing.T) {
	provider, address := simulate(t, sim.Options{TokensPerSecond: 1e6, Seed: 1})
	asked := make(chan string, 10)
	judge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		asked <- string(body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"j","object":"chat.completion","created":1,"model":"judge","choices":[{"index":0,"message":{"role":"assistant","content":"1"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}`)
	}))
	defer judge.Close()
	file := gatewayFile("ordered", address, strings.TrimPrefix(judge.URL, "http://"))
	file = strings.Replace(file, "      - {provider: p1}\n", "  - {name: judge, targets: [{provider: p1}]}\n", 1)
	s := start(t, file+"plugins: {cache: {semantic: {mode: verified, max_wrong: 5%, judge: {model: judge}}}}\n")
	defer s.stop()
	c := client(t)
	const first, second = "What is the capital of France?", "hi, what's the capital of France please"
	if a := s.ask(c, question(false, first)); a.header.Get("X-Sluice-Cache") != "miss" {
		t.Fatalf("%+v", a)
	}
	if a := s.ask(c, question(true, second)); !a.good(true) || a.header.Get("X-Sluice-Cache") != "semantic" || a.header.Get("X-Sluice-Cache-Score") == "" {
		// a few per cent of would-be hits are explored
		if a.header.Get("X-Sluice-Cache") != "miss" {
			t.Errorf("%+v", a)
		}
	}
	why := func(a answer) string {
		return get(t, c, "http://"+s.AdminAddress().String()+"/admin/v1/tenants/acme/cache/decisions/"+a.header.Get("X-Request-Id"), "").body
	}
	if a := s.ask(c, question(false, "What is the capital of Spain?")); !strings.Contains(why(a), `"result": "miss"`) || !strings.Contains(why(a), `"answer": "ans_`) {
		t.Errorf("%+v: %s", a, why(a))
	}
	if a := s.ask(c, question(false, "What is the capital of Italy?")); a.header.Get("X-Sluice-Cache") != "miss" {
		t.Errorf("%+v", a)
	}
	select {
	case body := <-asked:
		if !strings.Contains(body, "capital of France") || !strings.Contains(body, `"model":"judge"`) {
			t.Errorf("the judge is asked %s", body)
		}
	case <-time.After(patience):
		t.Fatal("the judge is not asked")
	}
	until(t, "what the judge is asked is logged like all else", func() bool { return strings.Contains(s.logs.String(), `"model":"judge"`) })
	if n := provider.Stats().Requests; n < 2 || n > 3 {
		t.Errorf("%d calls", n)
	}
}
