// Package plugins lists what the chain can be made of. A plugin is one folder and one line here.
package plugins

import (
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/plugins/auth"
	"github.com/sluice-ai/sluice/plugins/routing"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

// All are the plugins that a configuration can name, in the order of the default chain.
func All() []gateway.Spec {
	return []gateway.Spec{
		telemetry.Spec(),
		auth.Spec(),
		routing.Spec(),
	}
}
