package fleet_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway/gatewaytest/servers"
	"github.com/sluice-ai/sluice/gateway/meter/redis"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one that writes down what it is told.
type node struct {
	*fleet.Fleet
	dropped atomic.Int64

	mu     sync.Mutex
	secret [32]byte
	heard  []string
	told   []string
}

func (n *node) Agree(secret [32]byte) { n.mu.Lock(); defer n.mu.Unlock(); n.secret = secret }
func (n *node) Heard(entry []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = append(n.heard, string(entry))
}

func (n *node) Told(_ fleet.Name, letter []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, string(letter))
}

// join starts a node, and waits until it can be written to.
func join(t *testing.T, r *servers.Redis, secret string) *node {
	t.Helper()
	s, err := redis.ParseURL("redis://" + r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	pool, err := redis.Open(s, redis.Options{Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{}
	n.Fleet = fleet.New(fleet.Options{Client: pool.Client, Secret: secret, Node: n, Log: zap.NewNop(), Dropped: func() { n.dropped.Add(1) }})
	var work sync.WaitGroup
	work.Go(func() { n.Run(t.Context()) })
	t.Cleanup(func() { work.Wait(); _ = pool.Close() })
	n.until(t, "it is up", func() bool { return n.Up() })
	return n
}

func (n *node) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	servers.Await(t, what, func(context.Context) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if !is() {
			return fmt.Errorf("heard %q, told %q", n.heard, n.told)
		}
		return nil
	})
}

func patient() bool { return true }

// One node has the lease of a key, until it gives it back, or another that knows that it is dead takes it.
func TestLeases(t *testing.T) {
	r := servers.StartRedis(t)
	a, b := join(t, r, ""), join(t, r, "")
	key := fleet.Key{1, 2, 31: 3}
	ctx := t.Context()
	if c := a.Claim(ctx, key, 1, fleet.Lease{}, patient); !c.Mine {
		t.Errorf("%+v", c)
	}
	of := fleet.Lease{Node: a.Name(), Token: 1}
	if c := b.Claim(ctx, key, 2, fleet.Lease{}, patient); c.Mine || c.Of != of || c.Value != nil {
		t.Errorf("%+v", c)
	}
	if c := b.Claim(ctx, key, 3, of, patient); !c.Mine {
		t.Errorf("%+v", c)
	}
	a.Release(key, 1) // which is not its own any more
	a.Put(fleet.ID(fleet.Key{9}), []byte("behind"), time.Minute)
	servers.Await(t, "what is behind is written", func(context.Context) error {
		if v, known := a.Fetch(ctx, fleet.ID(fleet.Key{9})); !known || string(v) != "behind" {
			return errors.New("not yet")
		}
		return nil
	})
	if c := a.Claim(ctx, key, 4, fleet.Lease{}, patient); c.Of != (fleet.Lease{Node: b.Name(), Token: 3}) {
		t.Errorf("%+v", c)
	}
	b.Put(fleet.ID(key), []byte("value"), time.Minute)
	b.Release(key, 3)
	servers.Await(t, "the value is there", func(context.Context) error {
		if c := a.Claim(ctx, key, 5, fleet.Lease{}, patient); string(c.Value) != "value" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	b.Drop(fleet.ID(key))
	servers.Await(t, "it is gone", func(context.Context) error {
		if v, known := a.Fetch(ctx, fleet.ID(key)); !known || v != nil {
			return errors.New("not yet")
		}
		return nil
	})
}

// All nodes hear what one says, in order, also those that come later and those whose Redis was away; nobody hears itself, or another
// fleet. What was noted is heard even when the log has forgotten it.
func TestLog(t *testing.T) {
	r := servers.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b, other := join(t, r, "a secret"), join(t, r, "a secret"), join(t, r, "another secret")
	a.Append([]byte("one"))
	a.Note("n", []byte("noted first"), time.Hour)
	a.Note("n", []byte("noted"), time.Hour)
	a.Note("gone", []byte("past"), -time.Hour)
	a.Append([]byte("two"))
	want := []string{"one", "noted first", "noted", "past", "two"}
	b.until(t, "it is heard", func() bool { return slices.Equal(b.heard, want) })
	r.Kill()
	a.Append([]byte("three"))
	r.Restart()
	want = append(want, "three")
	b.until(t, "it is heard later", func() bool { return slices.Equal(b.heard, want) })
	late := join(t, r, "a secret")
	want = append([]string{"noted"}, want...)
	late.until(t, "it is heard by who comes later", func() bool { return slices.Equal(late.heard, want) })
	if len(a.heard)+len(other.heard) > 0 {
		t.Errorf("%q, %q", a.heard, other.heard)
	}
	r.Do("DEL", r.Do("KEYS", "sl:cache:*:log"))
	last := join(t, r, "a secret")
	last.until(t, "what was noted is heard", func() bool { return slices.Equal(last.heard, []string{"noted"}) })
}

// A letter reaches its node, and who has left is not there.
func TestMail(t *testing.T) {
	r := servers.StartRedis(t)
	a, b := join(t, r, ""), join(t, r, "")
	servers.Await(t, "they agree", func(context.Context) error {
		if read, err := a.Send(t.Context(), b.Name(), []byte("hello")); !read || err != nil {
			return fmt.Errorf("%t %w", read, err)
		}
		return nil
	})
	b.until(t, "it is told", func() bool { return slices.Contains(b.told, "hello") })
	if read, err := a.Send(t.Context(), fleet.Name{1}, []byte("hello")); read || err != nil {
		t.Errorf("nobody: %t %v", read, err)
	}
	if a.secret != b.secret || a.secret == [32]byte{} {
		t.Error("they have not agreed")
	}
}

// A Redis that hangs is asked three times, and no more until it answers; what is to be written waits, as far as there is room.
func TestAway(t *testing.T) {
	r := servers.StartRedis(t)
	a := join(t, r, "")
	r.Pause()
	began := time.Now()
	for range 1000 {
		if v, known := a.Fetch(t.Context(), 1); v != nil || known {
			t.Fatalf("%q %t", v, known)
		}
	}
	if d := time.Since(began); d > 500*time.Millisecond || a.Up() {
		t.Errorf("1,000 took %s; up %t", d, a.Up())
	}
	select {
	case <-a.Down():
	default:
		t.Error("nobody is told that it is down")
	}
	noise := make([]byte, 1<<20)
	_, _ = rand.Read(noise)
	const room = 63 // of 64 MiB
	for i := range uint64(100) {
		a.Put(i+1, noise, time.Hour)
	}
	if n := a.dropped.Load(); n != 100-room {
		t.Errorf("%d of 100 were dropped", n)
	}
	r.Resume()
	servers.Await(t, "what has waited is written", func(ctx context.Context) error {
		if v, known := a.Fetch(ctx, room); !known || len(v) != len(noise) {
			return fmt.Errorf("%d bytes, %t", len(v), known)
		}
		return nil
	})
}
