package catalog_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

func TestAbilityNames(t *testing.T) {
	f := func(can, cannot []string) {
		t.Helper()
		m := configured(t, catalog.Entry{Provider: "p", Name: "m", Can: can, Cannot: cannot}).Lookup("p", "m")
		if a, b := m.Abilities(); !slices.Equal(a, can) || !slices.Equal(b, cannot) {
			t.Errorf("%q and not %q, want %q and not %q", a, b, can, cannot)
		}
	}
	f(nil, nil)
	f([]string{"tools", "vision", "caching"}, []string{"audio"})
	f(nil, []string{"parallel_tools", "files", "structured"})
	if a, b := (*catalog.Model)(nil).Abilities(); a != nil || b != nil {
		t.Errorf("no model can %q and not %q", a, b)
	}
}

// Whatever is shown of a model's prices makes the same prices again.
func TestShownPrices(t *testing.T) {
	n := 0
	for m := range configured(t).Models() {
		var prices []catalog.Price
		for i := range m.Tariffs {
			prices = append(prices, m.Tariffs[i].Price())
		}
		again := configured(t, catalog.Entry{Provider: "p", Name: "m", Prices: prices}).Lookup("p", "m")
		if !reflect.DeepEqual(again.Tariffs, m.Tariffs) {
			t.Fatalf("%s/%s is shown as %+v", m.Provider, m.Name, prices)
		}
		if n += len(prices); n > 60 { // the catalogue is built each time
			break
		}
	}
	p := priced(t, catalog.Price{Input: "1", Hour: "0.36", Image: "0.04", Characters: "15", Least: 10, Until: "2027-01-01", Hours: "mon-fri 01:00-04:00"}).Tariffs[0].Price()
	if p.Input != "1" || p.Hour != "0.36" || p.Image != "0.04" || p.Characters != "15" || p.Least != 10 || p.Until != "2027-01-01" || p.Hours != "mon-fri 01:00-04:00" || p.Output != "unknown" {
		t.Errorf("%+v", p)
	}
}
