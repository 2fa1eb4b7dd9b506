package meter_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/meter/metertest"
)

func TestLocal(t *testing.T) {
	all := metertest.Cases()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(meter.NewLocal())
				all[name](t, metertest.Fleet{Node: s.node, Flush: func() { s.set(meter.NewLocal()) }})
			})
		})
	}
}
