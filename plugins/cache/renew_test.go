package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/gatewaytest/servers"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/plugins/cache"
)

// asksItself has the cache's own requests come back to it, as they do in the gateway. Each waits for hold first, if there is one, and is
// written down.
func (r *rig) asksItself(hold <-chan struct{}) (asked func() []string) {
	heads := make(chan string, 100)
	r.host.Asked = func(ctx context.Context, endpoint string, c gateway.Caller, h gateway.Header, body []byte) ([]byte, error) {
		heads <- strings.Join([]string{endpoint, string(c.Tenant.ID), c.User, string(h.Get("X-Sluice-Cache-Tags")), string(body)}, " ")
		if hold != nil {
			select {
			case <-hold:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		x := gatewaytest.New(r.t, gatewaytest.Request{
			Endpoint: gatewaytest.Endpoint(endpoint, ""), Body: string(body), Directory: r.directory, Caller: c,
			Header: gatewaytest.Fields("x-sluice-cache", string(h.Get("x-sluice-cache")), "x-sluice-cache-tags", string(h.Get("x-sluice-cache-tags"))),
		})
		got := gatewaytest.Serve(x, r.handler)
		if got.Reply == nil {
			return nil, got.Error()
		}
		return []byte(got.Body()), got.Err
	}
	return func() (all []string) {
		for {
			select {
			case one := <-heads:
				all = append(all, one)
			default:
				return all
			}
		}
	}
}

func (r *rig) pass(d time.Duration) { r.host.SetNow(r.host.Now().Add(d)) }

// renewed waits until so many answers were had anew, or could not be.
func (r *rig) renewed(result string, n float64) {
	r.t.Helper()
	servers.Await(r.t, "it is asked for again", func(context.Context) error {
		if got := r.value(fmt.Sprintf("sluice_cache_renewals_total{result=%q}", result)); got != n {
			return fmt.Errorf("%v are %s", got, result)
		}
		return nil
	})
}

func staleRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, func(c *cache.Config) { c.Exact.Stale = 10 * time.Minute })
}

// What is past its time is given with its age, and asked for again once, for its tenant and as it was asked, whoever asks for it meanwhile.
func TestStale(t *testing.T) {
	r := staleRig(t)
	hold := make(chan struct{})
	asked := r.asksItself(hold)
	for i, more := range []string{`"stream":false`, `"stream":true`} {
		q := ask{body: chatBody("Stale "+more+"?", more), user: "u1", header: []string{"x-sluice-cache-tags", "red"}}
		told := strings.TrimPrefix(r.serve(q), "miss: ")
		r.pass(time.Hour + 9*time.Minute)
		for range 5 {
			r.expect(q, "stale: "+told)
		}
		x := r.exchange(q)
		a := gatewaytest.Serve(x, r.handler)
		if p := x.Replay; p == nil || p.How != ledger.Stale || p.Of != paid || !strings.Contains(fmt.Sprint(a.Reply.Header), "{age 4140}") {
			t.Errorf("%+v, %v", p, a.Reply.Header)
		}
		hold <- struct{}{}
		r.renewed("done", float64(i+1))
		if got, want := asked(), "chat.completions acme u1 red "+q.body; len(got) != 1 || got[0] != want {
			t.Errorf("asked %q, want %q", got, want)
		}
		again := r.serve(q)
		if !strings.HasPrefix(again, "exact: ") || again == "exact: "+told {
			t.Error(again)
		}
		if n := r.plugin.Purge(gateway.CachePurge{Tenant: "acme", Tag: "red"}); n != 1 {
			t.Errorf("%d have the tag", n)
		}
	}
}

// Past that, for whom it is too old, for a tenant that wants none, and where it is out of date soon, it is not given.
func TestNotStale(t *testing.T) {
	r := staleRig(t)
	asked := r.asksItself(nil)
	f := func(name string, after time.Duration, q ask, want string) {
		t.Helper()
		q.body = strings.ReplaceAll(q.body, "NAME", name)
		r.serve(ask{body: q.body})
		r.pass(after)
		if got, _, _ := strings.Cut(r.serve(q), ":"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	usual := chatBody("What of NAME?")
	f("too long ago", time.Hour+10*time.Minute, ask{body: usual}, "miss")
	f("too old", time.Hour+time.Minute, ask{body: usual, header: []string{"Cache-Control", "max-age=3659"}}, "miss")
	f("not too old", time.Hour+time.Minute, ask{body: usual, header: []string{"Cache-Control", "max-age=3660, only-if-cached"}}, "stale")
	f("another tenant", time.Hour+time.Minute, ask{body: usual, tenant: &gateway.Tenant{ID: "acme", Cache: gateway.CacheRules{Fresh: true}}}, "miss")
	f("weather", 2*time.Minute, ask{body: chatBody("NAME: what is the weather today?")}, "miss")
	if got := asked(); got != nil {
		t.Errorf("asked %q", got)
	}
}

// While it cannot be had anew it is given as it is, and asked for once in a while.
func TestStaleStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := staleRig(t)
		asked := 0
		r.host.Asked = func(context.Context, string, gateway.Caller, gateway.Header, []byte) ([]byte, error) {
			asked++
			return nil, errors.New("nobody is there")
		}
		q := ask{body: chatBody("Who?")}
		r.expect(q, "miss: answer 1")
		r.pass(61 * time.Minute)
		for i := range 20 {
			r.expect(q, "stale: answer 1")
			synctest.Wait()
			if want := i/10 + 1; asked != want {
				t.Fatalf("asked %d times after %d, want %d", asked, i+1, want)
			}
			<-time.After(101 * time.Millisecond)
		}
		r.host.Close()
	})
}

// A question whose answer was had anew is found in other words again.
func TestRenewedMeaning(t *testing.T) {
	r := newRig(t, func(c *cache.Config) {
		c.Semantic.Mode, c.Semantic.MaxWrong, c.Exact.Stale = "verified", 0.05, 10*time.Minute
	})
	r.asksItself(nil)
	r.expect(ask{body: chatBody(asked)}, "miss: answer 1")
	r.pass(61 * time.Minute)
	r.expect(cached(reworded), "not_cached") // only the very question's is given past its time
	r.expect(ask{body: chatBody(asked)}, "stale: answer 1")
	r.renewed("done", 1)
	r.expect(cached(reworded), "semantic: answer 2")
	r.pass(30 * time.Minute)
	r.expect(ask{body: chatBody(asked), header: []string{"x-sluice-cache", "refresh"}}, "miss: answer 3")
	r.pass(31 * time.Minute)
	r.expect(cached(reworded), "semantic: answer 3")
}

// In a fleet one node asks again, and the others learn what it was told.
func TestFleetStale(t *testing.T) {
	u := newUnion(t, 2, func(c *cache.Config) { c.Exact.Stale = 10 * time.Minute })
	a, b := u.nodes[0], u.nodes[1]
	hold := make(chan struct{})
	askedA, askedB := a.asksItself(hold), b.asksItself(nil)
	q := ask{body: chatBody("Who?")}
	a.expect(q, "miss: answer 1")
	b.gives(q, "answer 1")
	for _, r := range u.nodes {
		r.host.SetNow(time.Now().Add(61 * time.Minute))
	}
	a.expect(q, "stale: answer 1")
	servers.Await(t, "it is asked for", func(context.Context) error {
		if len(askedA()) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	b.expect(q, "stale: answer 1")
	b.renewed("elsewhere", 1)
	close(hold)
	a.renewed("done", 1)
	u.kept(a, q)
	servers.Await(t, "the other has it, too", func(context.Context) error {
		if got := b.serve(q); got != "exact: answer 2" {
			return errors.New(got)
		}
		return nil
	})
	if got := askedB(); got != nil {
		t.Errorf("the other node has asked %q", got)
	}
}
