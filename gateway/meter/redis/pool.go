package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	_ "embed" // the script
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/sluice-ai/sluice/gateway/meter"
)

// Times.
const (
	longest   = 500 * time.Millisecond // a call, whatever its context allows
	dialing   = 300 * time.Millisecond // a connection and its first words
	reconnect = 250 * time.Millisecond // between attempts to find Redis at all
	beating   = 500 * time.Millisecond // between two signs of life of a node
	refresh   = 500 * time.Millisecond // between looks at who is whose master
)

// Options of a pool.
type Options struct {
	Node string      // this node's name in the fleet
	TLS  *tls.Config // for rediss; nil: the system's authorities, TLS 1.2 or later
}

// Pool is a meter.Pool in Redis.
type Pool struct {
	servers Servers
	node    string
	option  rueidis.ClientOption
	draw    *rueidis.Lua
	beat    *rueidis.Lua

	client atomic.Pointer[rueidis.Client] // nil until Redis was reached
	err    atomic.Pointer[error]          // of the last call
	nodes  atomic.Int64

	cancel  context.CancelFunc
	running sync.WaitGroup
}

var _ meter.Pool = (*Pool)(nil)

// Open makes a pool. It connects in the background and for as long as it takes: that Redis is down is no error. The only
// errors are those of the arguments.
func Open(s Servers, o Options) (*Pool, error) {
	if o.Node == "" {
		return nil, errors.New("redis: a node without a name")
	}
	if len(s.Addresses) == 0 {
		return nil, errors.New("redis: no address")
	}
	p := &Pool{
		servers: s, node: o.Node, option: option(s, o.TLS),
		draw: rueidis.NewLuaScript(drawScript), beat: rueidis.NewLuaScript(beatScript),
	}
	p.nodes.Store(1)
	_ = p.heard(errors.New("not connected yet"))
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.running.Go(func() { p.run(ctx) })
	return p, nil
}

// option is how rueidis is used: it repeats nothing, keeps nothing, and gives up early.
func option(s Servers, secure *tls.Config) rueidis.ClientOption {
	o := rueidis.ClientOption{
		InitAddress:       s.Addresses,
		Username:          s.User,
		Password:          s.Password,
		SelectDB:          s.Database,
		ClientName:        "sluice",
		ForceSingleClient: s.Mode == Single,
		PipelineMultiplex: -1, // one connection to a server: draws are few and small
		// Without it a call's context would be the connection's deadline, so that each call that took too long would close it.
		AlwaysPipelining:    true,
		DisableRetry:        true,
		DisableCache:        true,
		ConnWriteTimeout:    longest,
		ReadBufferEachConn:  16 << 10,
		WriteBufferEachConn: 16 << 10,
		ClusterOption:       rueidis.ClusterOption{ShardsRefreshInterval: refresh, MaxMovedRedirections: 3},
	}
	o.Dialer.Timeout = dialing
	if s.Mode == Sentinel {
		o.Sentinel = rueidis.SentinelOption{MasterSet: s.Master, Username: s.User, Password: s.Password, TopologyRefreshInterval: refresh}
	}
	if s.TLS {
		if secure == nil {
			secure = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.TLSConfig, o.Sentinel.TLSConfig = secure, secure
	}
	return o
}

// Close ends the pool's connections. Draws fail from then on.
func (p *Pool) Close() error {
	p.cancel()
	p.running.Wait()
	if c := p.client.Swap(nil); c != nil {
		_ = p.heard(rueidis.ErrClosing)
		(*c).Close()
	}
	return nil
}

//go:embed draw.lua
var drawScript string

// beatScript notes that a node lives and counts those that do. Where one process remembers all (KEYS[2]), it notes since
// when it does: see draw.lua.
const beatScript = `
local t = redis.call('TIME')
local now, timeout = t[1] * 1e6 + t[2], tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - timeout))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', timeout / 1000))
if KEYS[2] then
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
  if string.match(redis.call('GET', KEYS[2]) or '', '^(%w*) %d+$') ~= run then
    redis.call('SET', KEYS[2], run .. ' ' .. string.format('%.0f', now), 'PX', 400 * 86400e3)
  end
end
return redis.call('ZCARD', KEYS[1])`

// What the draw script answers first.
const (
	done = iota
	otherEpoch
	settling
	stale
)

// Draw implements meter.Pool. It waits for half a second at most, whatever its context allows, and not at all as long as Redis
// was never reached.
func (p *Pool) Draw(ctx context.Context, r *meter.Request) (*meter.Reply, error) {
	if r.Tenant == "" || r.Node == "" {
		return nil, errors.New("redis: a draw for no tenant, or of no node")
	}
	keys, args := call(r, p.servers.Mode == Cluster)
	result, err := p.exec(ctx, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return p.draw.Exec(ctx, c, keys, args)
	})
	if err != nil {
		return nil, err
	}
	n, err := result.AsIntSlice()
	if err != nil {
		return nil, fmt.Errorf("redis: the answer to a draw: %w", err)
	}
	return reply(n, len(r.Lines))
}

// answers is how many numbers the script answers for each line.
const answers = 4

// reply reads what the script answers.
func reply(n []int64, lines int) (*meter.Reply, error) {
	if len(n) < 2 {
		return nil, fmt.Errorf("redis: %d numbers for an answer to a draw", len(n))
	}
	r := &meter.Reply{Epoch: n[1], Refused: -1}
	switch n[0] {
	case stale:
		return nil, meter.ErrStale
	case otherEpoch:
		return r, meter.ErrEpoch
	case settling:
		return r, meter.ErrBusy
	}
	if n[0] != done || len(n) != 3+answers*lines || n[2] < -1 || n[2] >= int64(lines) {
		return nil, fmt.Errorf("redis: %d is no answer to a draw with %d lines", n, lines)
	}
	r.Refused = int(n[2])
	r.Answers = make([]meter.Answer, lines)
	for i := range r.Answers {
		a := n[3+answers*i:]
		r.Answers[i] = meter.Answer{Total: a[0], Remaining: a[1], Spent: a[2], Next: time.Duration(a[3]) * time.Microsecond}
	}
	return r, nil
}

// Nodes implements meter.Pool. While Redis does not answer it is what it was.
func (p *Pool) Nodes() int { return int(p.nodes.Load()) }

// Lease implements meter.Pool.
func (p *Pool) Lease(ctx context.Context, name string, d time.Duration) (bool, error) {
	key := leasePrefix + name
	_, err := p.exec(ctx, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return c.Do(ctx, c.B().Set().Key(key).Value(p.node).Nx().PxMilliseconds(max(d.Milliseconds(), 1)).Build())
	})
	if rueidis.IsRedisNil(err) { // somebody has it
		return false, nil
	}
	return err == nil, err
}

// Err is why the last call failed, of whatever kind it was; nil if it did not. Before there was one it says why Redis was not
// reached yet.
func (p *Pool) Err() error { return *p.err.Load() }

// heard takes note of how a call came out, and says where.
func (p *Pool) heard(err error) error {
	if err == nil || rueidis.IsRedisNil(err) {
		if p.Err() != nil {
			p.err.Store(new(error))
		}
		return err
	}
	err = fmt.Errorf("redis at %s: %w%s", p.servers, err, hint(err))
	p.err.Store(&err)
	return err
}

// command is something to ask of Redis.
type command func(context.Context, rueidis.Client) rueidis.RedisResult

// exec calls Redis. When the context ends it waits no longer, but the call goes on: what has been sent cannot be called back,
// and a connection that is being made will do for the next.
func (p *Pool) exec(ctx context.Context, do command) (rueidis.RedisResult, error) {
	c := p.client.Load()
	if c == nil {
		return rueidis.RedisResult{}, cmp.Or(p.Err(), rueidis.ErrClosing)
	}
	if err := ctx.Err(); err != nil {
		return rueidis.RedisResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	got := make(chan rueidis.RedisResult, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longest)
		defer cancel()
		got <- do(ctx, *c)
	}()
	select {
	case result := <-got:
		return result, p.heard(result.Error())
	case <-ctx.Done():
		return rueidis.RedisResult{}, p.heard(ctx.Err())
	}
}

// hint says what to do about an error that has one cause.
func hint(err error) string {
	if e, ok := rueidis.IsRedisErr(err); ok {
		if _, moved := e.IsMoved(); moved || strings.HasPrefix(e.Error(), "CROSSSLOT") {
			return " (it is a cluster: write redis+cluster://)"
		}
	}
	return ""
}
