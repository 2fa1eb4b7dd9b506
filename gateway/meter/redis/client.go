package redis

import "github.com/redis/rueidis"

// Client is the connection to Redis, for whoever has something else to tell it; nil until it was reached. It remains the pool's.
func (p *Pool) Client() rueidis.Client {
	if c := p.client.Load(); c != nil {
		return *c
	}
	return nil
}
