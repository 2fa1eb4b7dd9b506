package cache_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/meter/redis"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache"
)

// life is a gateway that is started again and again in one folder.
type life struct {
	t   *testing.T
	dir string
}

func newLife(t *testing.T) *life { return &life{t, t.TempDir()} }

func (l *life) file() string { return filepath.Join(l.dir, "cache-answers.bin") }

// begin starts it; end is its end.
func (l *life) begin(change func(*cache.Config)) (r *rig, end func()) {
	l.t.Helper()
	r = newRigWith(l.t, cache.Lent{Dir: l.dir}, func(c *cache.Config) {
		c.Snapshot, c.Semantic.Mode, c.Semantic.MaxWrong = 1<<20, "verified", 0.05
		if change != nil {
			change(c)
		}
	})
	return r, r.host.Close
}

// What is in the cache is there after a restart: answers, questions in other words, tags, and what was purged.
func TestAnswersOutliveTheProcess(t *testing.T) {
	l := newLife(t)
	r, end := l.begin(nil)
	r.expect(ask{body: chatBody("Purged?")}, "miss: answer 1")
	r.plugin.Purge(gateway.CachePurge{Tenant: "acme"})
	r.pass(2 * time.Second) // what is told within a second of a purge may be purged, too
	r.expect(ask{body: chatBody(asked), header: []string{"x-sluice-cache-tags", "red"}}, "miss: answer 2")
	r.expect(ask{body: chatBody("Mine?"), tenant: &gateway.Tenant{ID: "bolt"}}, "miss: answer 3")
	end()
	for range 2 {
		r, end = l.begin(nil)
		r.expect(ask{body: chatBody(asked, `"stream":true`)}, "exact: answer 2")
		r.expect(ask{body: chatBody(reworded)}, "semantic: answer 2")
		r.expect(cached("Purged?"), "not_cached")
		r.expect(cached("Mine?"), "not_cached")
		r.expect(ask{body: chatBody("Mine?"), tenant: &gateway.Tenant{ID: "bolt"}}, "exact: answer 3")
		end()
	}
	r, end = l.begin(func(c *cache.Config) { c.Semantic.Mode = "off" })
	r.expect(ask{body: chatBody(asked)}, "miss: answer 1") // another version
	end()
	r, end = l.begin(nil)
	r.expect(cached(asked), "not_cached") // which has written the file since
	r.expect(ask{body: chatBody(asked), header: []string{"x-sluice-cache-tags", "red"}}, "miss: answer 1")
	if n := r.plugin.Purge(gateway.CachePurge{Tenant: "acme", Tag: "red"}); n != 1 {
		t.Errorf("%d have the tag", n)
	}
	if _, err := os.Stat(l.file()); err == nil {
		t.Error("what was purged is in the file")
	}
	end()
	r, end = l.begin(nil)
	r.expect(cached(asked), "not_cached")
	end()
}

// What is damaged in any way is not there, and nothing else comes of it; with another secret it cannot be read.
func TestSnapshotDamaged(t *testing.T) {
	l := newLife(t)
	secret := func(s string) func(*cache.Config) {
		return func(c *cache.Config) { c.Secret, c.MaxAnswer = config.NewSecret(s), 4<<20 }
	}
	const ours = "a secret of sixteen"
	r, end := l.begin(secret(ours))
	r.expect(ask{body: chatBody("CANARY?")}, "miss: answer 1")
	end()
	whole, err := os.ReadFile(l.file())
	if err != nil || bytes.Contains(whole, []byte("CANARY")) || bytes.Contains(whole, []byte("acme")) {
		t.Errorf("%v: %q", err, whole)
	}
	f := func(data []byte, with, want string) {
		t.Helper()
		if err := os.WriteFile(l.file(), data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, end := l.begin(secret(with))
		defer end()
		if got, _, _ := strings.Cut(r.serve(cached("CANARY?")), ":"); got != want {
			t.Errorf("%d bytes: %s, want %s", len(data), got, want)
		}
		r.expect(ask{body: chatBody("Another?")}, "miss: answer 1")
	}
	f(whole, ours, "exact")
	f(whole, "another secret of ours", "not_cached")
	for i := 0; i < len(whole); i += 1 + len(whole)/50 {
		cut := bytes.Clone(whole)
		cut[i] ^= 0x10
		f(cut, ours, "not_cached")
		f(whole[:i], ours, "not_cached")
	}
	f(append(bytes.Clone(whole), whole...), ours, "exact") // the second part is in the wrong place
}

// The file is as large as is allowed, and has what is asked for most.
func TestSnapshotBounded(t *testing.T) {
	l := newLife(t)
	small := func(c *cache.Config) { c.Snapshot = 64 << 10 }
	r, end := l.begin(small)
	r.provider.says = func(int, *chat.Request) *chat.Reply { return text(rand.Text() + strings.Repeat(rand.Text(), 40)) }
	for i := range 200 {
		r.serve(ask{body: chatBody(fmt.Sprint("What is ", i, " times ", i, "?"))})
	}
	end()
	info, err := os.Stat(l.file())
	if err != nil || info.Size() > 64<<10 {
		t.Fatalf("%v, %v", info, err)
	}
	r, end = l.begin(small)
	kept := 0
	for i := range 200 {
		if strings.HasPrefix(r.serve(cached(fmt.Sprint("What is ", i, " times ", i, "?"))), "exact") {
			kept++
		}
	}
	if kept == 0 || kept == 200 {
		t.Errorf("%d of 200 are there", kept)
	}
	end()
}

// A node of a fleet has what it had, and does not bring back what others have purged while it was away.
func TestFleetSnapshot(t *testing.T) {
	u := newUnion(t, 1, nil)
	dir := t.TempDir()
	begin := func() (*rig, func()) {
		t.Helper()
		s, err := redis.ParseURL("redis://" + u.redis.Addr())
		if err != nil {
			t.Fatal(err)
		}
		pool, err := redis.Open(s, redis.Options{Node: "restarted"})
		if err != nil {
			t.Fatal(err)
		}
		r := newRigWith(t, cache.Lent{Redis: pool.Client, Dir: dir}, func(c *cache.Config) {
			c.SharedWait, c.Snapshot = 10*time.Second, 1<<20
		})
		r.provider, r.handler = u.provider, r.plugin.Wrap(u.provider)
		r.host.SetNow(time.Now())
		u.nodes = append(u.nodes[:1], r)
		u.meet()
		return r, func() { r.host.Close(); _ = pool.Close() }
	}
	r, end := begin()
	for _, tag := range []string{"red", "blue"} {
		r.serve(ask{body: chatBody(tag + "?"), header: []string{"x-sluice-cache-tags", tag}})
		u.kept(r, ask{body: chatBody(tag + "?")})
	}
	end()
	for key := range strings.FieldsSeq(u.redis.Do("KEYS", "sl:cache:v:*")) {
		u.redis.Do("DEL", key)
	}
	later := time.Now().Add(time.Minute) // what is told within a second of a purge may be purged, too
	u.nodes[0].host.SetNow(later)
	u.nodes[0].plugin.Purge(gateway.CachePurge{Tenant: "acme", Tag: "red"})
	r, end = begin()
	if got := r.serve(cached("blue?")); !strings.HasPrefix(got, "exact: ") {
		t.Errorf("%s; %v", got, r.host.Logs.All())
	}
	r.expect(cached("red?"), "not_cached")
	end()
}
