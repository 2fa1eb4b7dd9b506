package app

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBudgetsAreGivenBack asks for all that is copied on its way (translated, merged, kept) with more load than there is room
// for: through failovers and faults, and with callers who leave at any moment. What does not fit is told so, and in the end
// nothing is counted any more.
func TestBudgetsAreGivenBack(t *testing.T) {
	_, up := simulate(t, fast())
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	provider := func(name, kind, address, more string) string {
		return fmt.Sprintf("  - {name: %s, type: %s, base_url: \"http://%s/v1\", keys: [{name: main, key: k}], max_response: 512KiB, max_event: 256KiB, "+
			"timeouts: {idle: 300ms, first_event: 300ms, answer: 300ms}%s}\n", name, kind, address, more)
	}
	s := start(t, "version: 1\n"+
		"server: {listen: \"127.0.0.1:0\", admin_listen: \"127.0.0.1:0\", drain_timeout: 20s, max_body: 256KiB, max_in_flight_body: 1MiB, max_in_flight_response: 1MiB}\n"+
		"providers:\n"+provider("dead", "anthropic", dead.Addr().String(), "")+provider("claude", "anthropic", up, "")+
		provider("compatible", "openai-compatible", up, ", merge_embeddings: 2ms")+
		"models:\n  - {name: \"sim-*\", targets: [{provider: dead}, {provider: claude}, {provider: compatible}]}\n"+
		"retries: {max: 1, backoff: 1ms..2ms}\n")
	defer s.stop()
	c := client(t)
	text := strings.Repeat("x", 30_000)
	bodies := map[string]string{
		"chat/completions": `"messages":[{"role":"user","content":"` + text + `"}]`,
		"messages":         `"max_tokens":5000,"messages":[{"role":"user","content":"` + text + `"}]`,
		"responses":        `"input":"` + text + `"`,
		"embeddings":       `"input":"` + text[:20_000] + `"`,
	}
	models := []string{"sim-fast", "sim-fast", "sim-long-3000", "sim-503", "sim-inband", "sim-html", "sim-cut-3", "sim-stall-2", "sim-error-3", "sim-badjson", "sim-nofinish"}
	ask := func(path string, n int) (status int, body string) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		if n%3 == 0 {
			time.AfterFunc(rand.N(20*time.Millisecond), stop)
		}
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Address().String()+"/v1/"+path,
			strings.NewReader(fmt.Sprintf(`{"model":%q,"stream":%t,%s}`, models[n%len(models)], n%2 == 0 && path != "embeddings", bodies[path])))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		q.Header.Set("Authorization", "Bearer "+testKey)
		r, err := c.Do(q)
		if err != nil {
			return 0, ""
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(b)
	}
	var mu sync.Mutex
	good, busy := 0, 0
	var all sync.WaitGroup
	for path := range bodies {
		for i := range 8 {
			all.Go(func() {
				for n := range 30 {
					status, body := ask(path, n*8+i)
					mu.Lock()
					switch {
					case status == http.StatusOK:
						good++
					case status == http.StatusServiceUnavailable && strings.Contains(body, "gateway_busy"):
						busy++
					}
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	if good == 0 || busy == 0 {
		t.Errorf("%d answers, %d were told that there is no room", good, busy)
	}
	until(t, "nothing is counted", func() bool {
		_, bodies := s.server.Live()
		return bodies == 0 && s.runtime.ReplyBytes() == 0
	})
}
