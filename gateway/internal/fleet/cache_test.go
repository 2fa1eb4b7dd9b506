package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
)

// cached starts three nodes that share answers in what is at a URL.
func cached(t *testing.T, shared string) (*site, []*node) {
	t.Helper()
	s := newSite(t)
	s.shared = shared
	s.more = "plugins: {cache: {exact: {ttl: 1h}}}\n"
	s.tenant("acme", keyOf("ci", callerKey))
	nodes := s.nodes("n1", "n2", "n3")
	s.meet(nodes)
	return s, nodes
}

// meet waits until the nodes share answers.
func (s *site) meet(nodes []*node) {
	s.t.Helper()
	for _, n := range nodes[1:] {
		servers.Await(s.t, n.name+" shares answers", func(ctx context.Context) error {
			body := chat(fmt.Sprint("refuse nothing ", time.Now().UnixNano()))
			for _, n := range []*node{nodes[0], n} {
				if a := n.ask(ctx, callerKey, body); !a.whole() {
					return fmt.Errorf("%d %s: %w", a.status, a.body, a.err)
				}
			}
			if n := s.calls(body); n != 1 {
				return fmt.Errorf("%d calls", n)
			}
			return nil
		})
	}
}

// slow asks for an answer of so many tokens, each of which takes a time.
func slow(tokens int, each time.Duration) string {
	return fmt.Sprintf("%d tokens, %d each, ", tokens, each)
}

// calls is how often the provider was asked what is in a body.
func (s *site) calls(body string) (n int) {
	for _, l := range s.provider.log() {
		if strings.Contains(body, `"`+l.content+`"`) {
			n++
		}
	}
	return n
}

// A thousand identical requests at three nodes are one call, whole and as a stream.
func TestFleetAsksOnce(t *testing.T) {
	t.Run("redis", func(t *testing.T) { fleetAsksOnce(t, "redis://"+startRedis(t)) })
	t.Run("cluster", func(t *testing.T) {
		fleetAsksOnce(t, "redis+cluster://"+strings.Join(servers.StartCluster(t, 3, false).Addrs(), ","))
	})
}

func fleetAsksOnce(t *testing.T, shared string) {
	s, nodes := cached(t, shared)
	for _, body := range []string{chat(slow(16, 50*time.Millisecond) + "whole"), stream(slow(40, 20*time.Millisecond) + "in pieces")} {
		var work sync.WaitGroup
		for i := range 1000 {
			work.Go(func() {
				if a := nodes[i%3].ask(t.Context(), callerKey, body); !a.whole() {
					t.Errorf("%d %s %v", a.status, a.body, a.err)
				}
			})
		}
		work.Wait()
		if n := s.calls(body); n != 1 {
			t.Errorf("%s: %d calls", body, n)
		}
	}
}

// followed waits until so many answers of a node are told to others.
func (n *node) followed(want int) {
	n.s.t.Helper()
	servers.Await(n.s.t, n.name+" is followed", func(ctx context.Context) error {
		_, body, err := get(ctx, n.ops+"/metrics", "")
		if err == nil && !strings.Contains(body, fmt.Sprintf("\nsluice_cache_followed %d\n", want)) {
			err = errors.New("not yet")
		}
		return err
	})
}

// A node is killed while it asks for all: who was told nothing yet gets the answer, of one more call, and a stream of which there was
// something ends as one does that breaks off.
func TestFleetLeaderIsKilled(t *testing.T) {
	s, nodes := cached(t, "redis://"+startRedis(t))
	whole, pieces := chat(slow(16, 200*time.Millisecond)+"whole"), stream(slow(300, 50*time.Millisecond)+"in pieces")
	var work sync.WaitGroup
	defer work.Wait()
	for _, body := range []string{whole, pieces} {
		work.Go(func() { nodes[0].ask(t.Context(), callerKey, body) }) // it is killed
		servers.Await(t, "it asks", func(context.Context) error {
			if s.calls(body) == 0 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	waiting := make([]answer, 20)
	for i := range waiting {
		work.Go(func() { waiting[i] = nodes[1+i%2].ask(t.Context(), callerKey, whole) })
	}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, nodes[1].url+"/v1/chat/completions", strings.NewReader(pieces))
	s.must(err)
	q.Header.Set("Authorization", "Bearer "+callerKey)
	q.Header.Set("Content-Type", "application/json")
	r, err := client.Do(q)
	s.must(err)
	defer r.Body.Close()
	lines := bufio.NewReader(r.Body)
	_, err = lines.ReadString('\n')
	s.must(err)
	nodes[0].followed(3) // the whole answer by two nodes, the stream by one
	nodes[0].Kill()
	rest, err := io.ReadAll(lines)
	if text := string(rest); err == nil && (!strings.Contains(text, `"error"`) || strings.Contains(text, "[DONE]")) {
		t.Errorf("a stream that broke off ends with %s", text[max(0, len(text)-300):])
	}
	work.Wait()
	for i := range waiting {
		if a := &waiting[i]; !a.whole() {
			t.Errorf("%d %s %v", a.status, a.body, a.err)
		}
	}
	if n := s.calls(whole); n != 2 {
		t.Errorf("%d calls", n)
	}
}

// Redis is killed and comes back, empty, under load: no request fails, none waits for it, and then answers are shared again.
func TestFleetLosesRedis(t *testing.T) {
	r := servers.StartRedis(t)
	s, nodes := cached(t, "redis://"+r.Addr())
	var stop atomic.Bool
	var work sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	for i := range 24 {
		work.Go(func() {
			for k := 0; !stop.Load(); k++ {
				content := slow(4, time.Millisecond) + fmt.Sprint("question ", (k+i/8)%500)
				body := chat(content)
				if i%2 == 0 {
					body = stream(content)
				}
				a := nodes[i%3].ask(t.Context(), callerKey, body)
				if !a.whole() {
					t.Errorf("%d %s %v", a.status, a.body, a.err)
				}
				mu.Lock()
				took = append(took, a.took)
				mu.Unlock()
			}
		})
	}
	served := func(n int) {
		t.Helper()
		mu.Lock()
		n += len(took)
		mu.Unlock()
		servers.Await(t, "requests are served", func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if len(took) < n {
				return fmt.Errorf("%d", len(took))
			}
			return nil
		})
	}
	served(1000)
	r.Kill()
	served(1000)
	r.RestartEmpty()
	served(1000)
	stop.Store(true)
	work.Wait()
	s.meet(nodes)
	slices.Sort(took)
	t.Logf("%d requests, p50 %s, p99 %s, at most %s", len(took), quantile(took, 0.5), quantile(took, 0.99), took[len(took)-1])
}
