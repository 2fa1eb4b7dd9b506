package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// Note leaves something for the other nodes to read, under a name and for some time. It replaces what was left there before.
func (p *Pool) Note(ctx context.Context, name, text string, keep time.Duration) error {
	_, err := p.exec(ctx, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return c.Do(ctx, c.B().Set().Key(notePrefix+name).Value(text).PxMilliseconds(max(keep.Milliseconds(), 1)).Build())
	})
	return err
}

// Read is what a node has left under a name, and for how long it stays, by Redis's clock; "" if there is nothing.
func (p *Pool) Read(ctx context.Context, name string) (text string, left time.Duration, err error) {
	result, err := p.exec(ctx, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return c.Do(ctx, c.B().Get().Key(notePrefix+name).Build())
	})
	if rueidis.IsRedisNil(err) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	if text, err = result.ToString(); err != nil {
		return "", 0, err
	}
	result, err = p.exec(ctx, func(ctx context.Context, c rueidis.Client) rueidis.RedisResult {
		return c.Do(ctx, c.B().Pttl().Key(notePrefix+name).Build())
	})
	if err != nil {
		return "", 0, err
	}
	ms, err := result.AsInt64()
	if err != nil || ms < 0 { // it has gone meanwhile
		return "", 0, err
	}
	return text, time.Duration(ms) * time.Millisecond, nil
}
