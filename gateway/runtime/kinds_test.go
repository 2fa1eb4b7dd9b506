package runtime_test

import (
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/serve"
	kinds "github.com/sluice-ai/sluice/gateway/upstream" // there is a function upstream
)

// What the configuration calls a type of provider is a row of upstream's table, and the other way round; and what a row
// serves are endpoints that exist.
func TestKindsAgree(t *testing.T) {
	types := config.ProviderTypes()
	for _, name := range types {
		if _, ok := kinds.KindOf(name); !ok && name != config.Simulated {
			t.Errorf("type %s is no kind", name)
		}
	}
	known := serve.Endpoints()
	for _, k := range kinds.Kinds() {
		if !slices.Contains(types, k.Name) && k.Name != "azure-classic" { // a way to call azure
			t.Errorf("kind %s is no type", k.Name)
		}
		for name := range k.Serves() {
			if !slices.ContainsFunc(known, func(e gateway.Endpoint) bool { return e.Name == name && e.Forward != "" }) {
				t.Errorf("kind %s serves %s, which does not exist", k.Name, name)
			}
		}
	}
}
