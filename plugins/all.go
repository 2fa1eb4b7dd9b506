// Package plugins lists what the chain can be made of. A plugin is one folder and one line here.
package plugins

import (
	"github.com/sluice-ai/sluice/gateway"
	rows "github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/plugins/auth"
	"github.com/sluice-ai/sluice/plugins/cache"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/ledger"
	"github.com/sluice-ai/sluice/plugins/quota"
	"github.com/sluice-ai/sluice/plugins/routing"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

// Lent is what plugins have of the process, because it outlives them: what was counted and written down is not forgotten when a
// setting changes. The zero value is for whoever only asks for settings; plugins that need something of it cannot be built.
type Lent struct {
	Meters    *meter.Meters
	Journal   *rows.Journal
	Tokens    store.Tokens // nil: refresh tokens are kept in memory
	Passes    *auth.Passes // nil: nobody in the process asks for a tenant
	Redis     fleet.Client // nil: caches are each node's own
	Dir       string       // of this process alone; empty: there is none
	Telemetry telemetry.Lent
}

// All are the plugins that a configuration can name, in the order of the default chain.
func All(l Lent) []gateway.Spec {
	return []gateway.Spec{
		telemetry.Spec(l.Telemetry),
		ledger.Spec(l.Journal),
		auth.Spec(auth.Lent{Tokens: l.Tokens, Passes: l.Passes}),
		quota.Spec(l.Meters),
		cache.Spec(cache.Lent{Redis: l.Redis, Dir: l.Dir}),
		routing.Spec(),
	}
}
