package fleet

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// Key is what is asked: a hash under the fleet's secret.
type Key = [32]byte

// ID names the value of a key.
func ID(k Key) uint64 { return max(binary.BigEndian.Uint64(k[:8]), 1) }

func valueKey(id uint64) string { return fmt.Sprintf("sl:cache:v:{%016x}", id) }

// leaseKey is in the value's slot.
func leaseKey(k Key) string { return fmt.Sprintf("sl:cache:l:{%016x}%x", ID(k), k[8:]) }

// leaseTime is how long a lease lasts that nobody renews.
const (
	leaseTime   = 30 * time.Second
	leaseMillis = "30000"
)

// Lease is who asks.
type Lease struct {
	Node  Name
	Token uint64 // no two leases have the same
}

func (l Lease) text() string {
	if l == (Lease{}) {
		return ""
	}
	return string(binary.BigEndian.AppendUint64(l.Node[:], l.Token))
}

func parseLease(text string) (l Lease) {
	if len(text) == len(l.Node)+8 {
		copy(l.Node[:], text)
		l.Token = binary.BigEndian.Uint64([]byte(text[len(l.Node):]))
	}
	return l
}

// leases are this node's, to be renewed.
type leases struct {
	mu sync.Mutex
	of map[Key]uint64 // tokens
}

// claimScript looks for a value (KEYS[1]) and for somebody's lease (KEYS[2]), and takes the lease if there is neither, or if it is the one
// that has to go (ARGV[3]).
const claimScript = `
local value = redis.call('GET', KEYS[1])
if value then return {value, false} end
local lease = redis.call('GET', KEYS[2])
if lease and lease ~= ARGV[3] then return {false, lease} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {false, false}`

// Claimed is what came of a claim: a value, another lease, or neither: then nobody but this node asks, as far as is known.
type Claimed struct {
	Value []byte
	Of    Lease // another's, or an earlier one of this node
	Mine  bool  // the lease may be this node's, and must be given back, see Release
}

// Claim takes the lease of a key, unless there is its value, or somebody has the lease; dead is one that does not count. With a
// Redis that does not answer in time nothing is known; while crowd says that others wait, too, it is waited for longer.
func (f *Fleet) Claim(ctx context.Context, k Key, token uint64, dead Lease, crowd func() bool) (c Claimed) {
	keys := []string{valueKey(ID(k)), leaseKey(k)}
	args := []string{Lease{f.name, token}.text(), leaseMillis, dead.text()}
	r, ok := f.ask(ctx, crowd, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return f.claims.Exec(ctx, c, keys, args)
	})
	if ok {
		c.read(f, k, r)
	}
	if c.Value == nil && c.Of == (Lease{}) {
		c.Mine = true
		f.leases.add(k, token)
	}
	return c
}

// read reads what the script answers.
func (c *Claimed) read(f *Fleet, k Key, r rueidis.RedisResult) {
	found, err := r.ToArray()
	if err != nil || len(found) != 2 {
		return
	}
	if v, err := found[0].ToString(); err == nil {
		c.Value = f.value(ID(k), v)
	}
	if l, err := found[1].ToString(); err == nil {
		c.Of = parseLease(l)
	}
}

func (l *leases) add(k Key, token uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[Key]uint64{}
	}
	l.of[k] = token
}

// releaseScript deletes (without ARGV[2]) or prolongs what is still this node's.
const releaseScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('DEL', KEYS[1])`

// Release gives a lease back, if it is still this node's, behind all that was written before.
func (f *Fleet) Release(k Key, token uint64) {
	f.leases.mu.Lock()
	if f.leases.of[k] == token {
		delete(f.leases.of, k)
	}
	f.leases.mu.Unlock()
	f.queue.add(op{size: 256, commands: func(c rueidis.Client) rueidis.Completed {
		return c.B().Eval().Script(releaseScript).Numkeys(1).Key(leaseKey(k)).Arg(Lease{f.name, token}.text()).Build()
	}}, f.o.Dropped)
}

// atOnce is how many commands are sent together.
const atOnce = 256

// renew prolongs the node's leases.
func (f *Fleet) renew(ctx context.Context, c rueidis.Client) {
	f.leases.mu.Lock()
	list := make(rueidis.Commands, 0, len(f.leases.of))
	for k, token := range f.leases.of {
		list = append(list, c.B().Eval().Script(releaseScript).Numkeys(1).Key(leaseKey(k)).
			Arg(Lease{f.name, token}.text(), leaseMillis).Build())
	}
	f.leases.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, f.longest)
	defer cancel()
	for len(list) > 0 {
		n := min(len(list), atOnce)
		for _, r := range c.DoMulti(ctx, list[:n]...) {
			f.link.heard(r.NonRedisError())
		}
		list = list[n:]
	}
}

// Fetch is the value of an id; nil if there is none. known says that Redis has answered.
func (f *Fleet) Fetch(ctx context.Context, id uint64) (value []byte, known bool) {
	r, ok := f.ask(ctx, nil, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return c.Do(ctx, c.B().Get().Key(valueKey(id)).Build())
	})
	if !ok {
		return nil, false
	}
	v, err := r.ToString()
	if err != nil {
		return nil, rueidis.IsRedisNil(err)
	}
	return f.value(id, v), true
}

// value opens one. A damaged one is dropped.
func (f *Fleet) value(id uint64, sealed string) []byte {
	s := f.seal.Load()
	if s == nil {
		return nil
	}
	v, err := s.Open(valueKey(id), sealed)
	if err != nil {
		f.Drop(id)
		return nil
	}
	return v
}

// Put keeps a value for some time. It does not wait.
func (f *Fleet) Put(id uint64, value []byte, keep time.Duration) {
	s := f.seal.Load()
	if s == nil {
		f.dropped()
		return
	}
	sealed, until := s.Close(valueKey(id), value), time.Now().Add(keep)
	f.queue.add(op{size: len(sealed), until: until, commands: func(c rueidis.Client) rueidis.Completed {
		left := max(time.Until(until).Milliseconds(), 1)
		return c.B().Set().Key(valueKey(id)).Value(sealed).PxMilliseconds(left).Build()
	}}, f.o.Dropped)
}

// Drop deletes a value. It does not wait.
func (f *Fleet) Drop(id uint64) {
	f.queue.add(op{size: 64, commands: func(c rueidis.Client) rueidis.Completed {
		return c.B().Del().Key(valueKey(id)).Build()
	}}, f.o.Dropped)
}

func (f *Fleet) dropped() {
	if f.o.Dropped != nil {
		f.o.Dropped()
	}
}
