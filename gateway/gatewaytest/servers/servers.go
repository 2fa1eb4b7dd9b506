// Package servers starts real servers for the tests of plugins, which may not see what is internal to the gateway.
package servers

import (
	"context"
	"testing"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
)

// Redis is a redis-server.
type Redis = servers.Redis

// Proxy is a TCP proxy between a client and a server, which can part them.
type Proxy = servers.Proxy

// StartRedis starts a redis-server with further arguments in its own words.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	return servers.StartRedis(t, args...)
}

// StartProxy starts a proxy to an address. It ends with the test.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	return servers.StartProxy(t, target)
}

// Await waits until a condition holds, asking every few milliseconds. If it does not for a long time the test fails.
func Await(t testing.TB, what string, holds func(context.Context) error) {
	t.Helper()
	servers.Await(t, what, holds)
}

// Jaeger is a Jaeger that keeps traces in memory.
type Jaeger = servers.Jaeger

// JaegerSpan is a span as Jaeger gives it out.
type JaegerSpan = servers.JaegerSpan

// StartJaeger starts a Jaeger, which make builds.
func StartJaeger(t testing.TB) *Jaeger {
	t.Helper()
	return servers.StartJaeger(t)
}

// Prometheus is a Prometheus that scrapes one address every 200 ms.
type Prometheus = servers.Prometheus

// StartPrometheus starts a Prometheus that scrapes /metrics at host:port. It keeps exemplars, and asks for native histograms.
func StartPrometheus(t testing.TB, target string) *Prometheus {
	t.Helper()
	return servers.StartPrometheus(t, target)
}
