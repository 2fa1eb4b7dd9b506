package gateway_test

import (
	"errors"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
)

func TestParseCacheScope(t *testing.T) {
	f := func(word string, want gateway.CacheScope, ok bool) {
		t.Helper()
		if got, is := gateway.ParseCacheScope(word); got != want || is != ok {
			t.Errorf("%q: %d, %t", word, got, is)
		}
	}
	f("tenant", gateway.CacheTenant, true)
	f("", gateway.CacheTenant, true)
	f("user", gateway.CacheUser, true)
	f("off", gateway.CacheOff, true)
	f("everybody", gateway.CacheOff, false)
}

// A shielded exchange goes on without its client as long as others wait for it, and ends for all other causes.
func TestShield(t *testing.T) {
	x, others := gatewaytest.New(t, gatewaytest.Request{}), true
	x.Shield(func() bool { return others })
	x.Cancel(gateway.ErrGone)
	if x.Err() != nil || x.Context().Err() != nil {
		t.Error("it ended with its client")
	}
	others = false
	x.Cancel(gateway.ErrGone)
	if !errors.Is(x.Cause(), gateway.ErrGone) {
		t.Error("nobody waits, and it goes on")
	}
	x = gatewaytest.New(t, gatewaytest.Request{})
	x.Shield(func() bool { return true })
	x.Cancel(gateway.ErrDrain)
	if !errors.Is(x.Cause(), gateway.ErrDrain) {
		t.Error("it outlives the gateway")
	}
	x = gatewaytest.New(t, gatewaytest.Request{})
	x.Shield(func() bool { return true })
	x.Shield(nil)
	x.Cancel(gateway.ErrGone)
	if !errors.Is(x.Cause(), gateway.ErrGone) {
		t.Error("the shield was not taken away")
	}
}
