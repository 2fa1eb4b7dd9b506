package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis" //nolint:depguard // as in pool.go

	"github.com/sluice-ai/sluice/gateway/meter"
)

// run looks for Redis until it is there, and then shows it that the node lives and finds out whether what did not answer
// does again, until the pool is closed.
func (p *Pool) run(ctx context.Context) {
	if !p.connect(ctx) {
		return
	}
	probes, beats := time.NewTicker(probing), time.NewTicker(beating)
	defer probes.Stop()
	defer beats.Stop()
	p.live(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-probes.C:
			p.probe(ctx)
		case <-beats.C:
			p.live(ctx)
		}
	}
}

// connect looks for Redis until it is there.
func (p *Pool) connect(ctx context.Context) (connected bool) {
	again := time.NewTicker(reconnect)
	defer again.Stop()
	for {
		c, err := rueidis.NewClient(p.option)
		if err == nil {
			p.client.Store(&c)
			return true
		}
		p.why.Store(&err)
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
}

// live shows that this node lives, and hears how many do.
func (p *Pool) live(ctx context.Context) {
	keys := []string{nodesKey, lifeKey}
	if p.servers.Mode == Cluster {
		keys = keys[:1] // the other is in another slot
	}
	result, err := p.exec(ctx, nodesKey, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return p.beat.Exec(ctx, c, keys, []string{p.node, number(meter.NodeTimeout.Microseconds())})
	})
	if err != nil {
		return
	}
	if n, err := result.AsInt64(); err == nil && n > 0 {
		p.nodes.Store(n)
	}
}

// probe asks for a key of each part that did not answer.
func (p *Pool) probe(ctx context.Context) {
	for i := range p.breakers {
		key, open := p.breakers[i].probe()
		if !open {
			continue
		}
		p.running.Go(func() {
			_, err := p.wait(ctx, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
				return c.Do(ctx, c.B().Exists().Key(key).Build())
			})
			if err == nil {
				p.breakers[i].heard(key, nil)
			}
		})
	}
}
