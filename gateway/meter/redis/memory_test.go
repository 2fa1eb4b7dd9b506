package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// However Redis loses its memory, or a part of it: nothing is granted before nodes have had the time to say what they have,
// and then no more than is left.
func TestMemoryLoss(t *testing.T) {
	f := func(name string, lose func(*servers.Redis)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := servers.StartRedis(t)
			p := open(t, at(r), "a")
			line := func(has, want int64) meter.Line {
				return meter.Line{Account: month, Limit: 100, Used: has, Spent: has, Has: has, Need: min(want, has+1), Want: want}
			}
			a, b := newTalk(t, p, "acme", "a"), newTalk(t, p, "acme", "b")
			a.get(line(0, 10))
			r.Do("SAVE")
			a.get(line(10, 60))
			b.get(line(0, 30))

			lose(r)
			lost := time.Now()
			servers.Await(t, "reach Redis", func(context.Context) error { return p.Err() })
			late := newTalk(t, p, "acme", "late") // has never heard of the tenant, and is the first
			if _, err := late.draw(line(0, 50)); !errors.Is(err, meter.ErrBusy) {
				t.Fatalf("%v, want ErrBusy", err)
			}
			if _, err := a.draw(line(60, 70)); !errors.Is(err, meter.ErrEpoch) {
				t.Errorf("%v, want ErrEpoch", err)
			}
			if _, err := a.draw(line(60, 70)); !errors.Is(err, meter.ErrBusy) {
				t.Errorf("%v, want ErrBusy", err)
			}
			for range 2 {
				if _, err := b.draw(line(30, 70)); err == nil {
					t.Error("b is granted more before the pool has settled")
				}
			}
			if got := totals(late.get(line(0, 50))); got != "-1 10/0" {
				t.Errorf("%s, want the 10 that are left", got)
			}
			if d := time.Since(lost); d < meter.Settling || d > meter.Settling+time.Second {
				t.Errorf("settled after %s", d)
			}
		})
	}
	f("flushed", func(r *servers.Redis) { r.Do("FLUSHALL") })
	f("killed", func(r *servers.Redis) { r.Kill(); r.RestartEmpty() })
	f("restored", func(r *servers.Redis) { r.Kill(); r.Restart() })
	f("account evicted", func(r *servers.Redis) { r.Do("DEL", "sl:{acme}:money:month:1793491200:tenant") })
	f("memory deleted", func(r *servers.Redis) { r.Do("DEL", "sl:{acme}:e") })
	f("memory and account evicted", func(r *servers.Redis) {
		r.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
		r.Do("DEL", "sl:{acme}:money:month:1793491200:tenant", "sl:{acme}:e", "sl:{acme}:a")
	})
}

// What is left of rates after a loss is nothing, so that nobody has a minute's worth twice.
func TestRatesAfterLoss(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	a := newTalk(t, open(t, at(r), "a"), "acme", "a")
	rate := meter.Line{Account: requests, Limit: 6000, Used: 0, Want: 100}
	if got := totals(a.get(rate)); got != "-1 100/5900" {
		t.Fatal(got)
	}
	r.Do("FLUSHALL")
	rate.Used, rate.Has, rate.Want = 100, 100, 200
	if got := a.get(rate).Answers[0]; got.Total < 200 || got.Remaining > 300 { // 100 a second
		t.Errorf("%+v", got)
	}
	// An account that comes later is empty, too.
	rate = meter.Line{Account: meter.Account{Kind: meter.Tokens}, Limit: 6000}
	if got := a.get(rate).Answers[0]; got.Remaining < 100 || got.Remaining > 600 {
		t.Errorf("%+v", got)
	}
}

// A tenant of whom Redis has never heard waits for nobody, where one Redis remembers all and has done so for a while.
func TestNewTenant(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	p := open(t, at(r), "a")
	newTalk(t, p, "acme", "a").get(meter.Line{Account: month, Limit: 100, Want: 10})
	f := func(id tenant.ID, epoch int64, want error) {
		t.Helper()
		k := newTalk(t, p, id, "a")
		k.Epoch = epoch
		if _, err := k.draw(meter.Line{Account: month, Limit: 100, Want: 10}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
	f("new", 0, nil)
	f("forgotten", 1, meter.ErrBusy)
	r.Do("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
	f("evicted", 0, meter.ErrBusy)
	r.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	f("newer", 0, nil)
	r.Do("FLUSHALL")
	f("flushed", 0, meter.ErrBusy)
}

// Places of a node that is not heard of are free again, what it has of money is not.
func TestSilentNode(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	p := open(t, at(r), "a")
	a, b := newTalk(t, p, "acme", "a"), newTalk(t, p, "acme", "b")
	lines := func(want int64) []meter.Line {
		return []meter.Line{{Account: month, Limit: 100, Want: want}, {Account: places, Limit: 100, Want: want}}
	}
	a.get(lines(70)...)
	if got := totals(b.get(lines(50)...)); got != "-1 30/0 30/0" {
		t.Error(got)
	}
	// a's last sign of life was long ago.
	long := time.Now().Add(-meter.NodeTimeout - time.Second)
	r.Do("HSET", "sl:{acme}:e", "n:a", text(long.UnixMicro(), a.Boot, a.Seq))
	if got := totals(b.get(lines(50)...)); got != "-1 30/0 50/50" {
		t.Error(got)
	}
}
