package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"github.com/sluice-ai/sluice/gateway/meter"
)

// run looks for Redis until it is there, and then shows it that the node lives, until the pool is closed.
func (p *Pool) run(ctx context.Context) {
	if !p.connect(ctx) {
		return
	}
	beats := time.NewTicker(beating)
	defer beats.Stop()
	for {
		p.live(ctx)
		select {
		case <-ctx.Done():
			return
		case <-beats.C:
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
		_ = p.heard(err)
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
	result, err := p.exec(ctx, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return p.beat.Exec(ctx, c, keys, []string{p.node, number(meter.NodeTimeout.Microseconds())})
	})
	if err != nil {
		return
	}
	if n, err := result.AsInt64(); err == nil && n > 0 {
		p.nodes.Store(n)
	}
}
