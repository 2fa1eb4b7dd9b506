package catalog

import "time"

// Most is the most that a request can cost whose prompt and whose answer have so many tokens at most, in whatever class they
// are counted, at any hour: no [Model.Cost] that is known is more. The tier is the one that the request asks for. What it
// names may be served as the standard one instead; "auto" leaves the choice to the provider, so that any is meant, but batch.
//
// It is unknown if any tariff that may apply is missing, has ended, or has no price of plain input or output. Of the other
// classes, those without a price are left out: what cannot be priced is not charged. Pictures, recordings and characters that
// are charged by their number are not in it.
func (m *Model) Most(prompt, answer int64, tier string) Cost {
	switch {
	case m == nil:
		return Cost{Why: NoModel}
	case len(m.Tariffs) == 0:
		return Cost{Why: NoPrice}
	case prompt < 0 || answer < 0:
		return Cost{Why: OutOfRange}
	}
	most := Cost{Known: true}
	for i := range m.Tariffs { // the standard ones say where longer prompts begin; the first is at 0
		t := &m.Tariffs[i]
		if t.Tier != "" && t.Tier != "*" || t.Above > 0 && t.Above >= prompt {
			continue
		}
		c := m.mostAbove(t.Above, prompt, answer, tier)
		if !c.Known {
			return c
		}
		most.Picodollars = max(most.Picodollars, c.Picodollars)
	}
	return most
}

// mostAbove is Most of the tariffs for prompts of one range of lengths.
func (m *Model) mostAbove(above, prompt, answer int64, tier string) Cost {
	tier = plainTier(tier)
	most, named, standard := Cost{Known: true}, false, false
	for i := range m.Tariffs {
		t := &m.Tariffs[i]
		if t.Above != above || !t.mayServe(tier) {
			continue
		}
		if t.Hours.spans == "" { // the others hold for hours only, and this one before and after
			named = named || t.Tier == "*" || t.Tier == tier || tier == auto
			standard = standard || t.Tier == "*" || t.Tier == ""
		}
		c := t.most(prompt, answer)
		if !c.Known {
			return c
		}
		most.Picodollars = max(most.Picodollars, c.Picodollars)
	}
	if !named || !standard {
		return Cost{Why: NoTier}
	}
	return most
}

// mayServe says whether a request for a tier may be charged by the tariff.
func (t *Tariff) mayServe(asked string) bool {
	return t.Tier == "" || t.Tier == "*" || t.Tier == asked || asked == auto && t.Tier != "batch"
}

// most is the dearest that a tariff makes of so many tokens.
func (t *Tariff) most(prompt, answer int64) Cost {
	if !t.Until.IsZero() && !time.Now().Before(t.Until) {
		return Cost{Why: Expired}
	}
	c := Cost{Known: true}
	return c.plus(t, t.dearest(Input, Output), prompt).plus(t, t.dearest(Output, tokens), answer)
}

// dearest is the class with the highest price of those from first on and before end; first, if that has none.
func (t *Tariff) dearest(first, end Class) Class {
	most := first
	if !t.Rates[first].Known {
		return first
	}
	for class := first + 1; class < end; class++ {
		if r := t.Rates[class]; r.Known && r.Picodollars > t.Rates[most].Picodollars {
			most = class
		}
	}
	return most
}

// auto is the tier of a request that leaves the choice to its provider.
const auto = "auto"

// plainTier is the name of a tier as a [Tariff] has it, or auto.
func plainTier(tier string) string {
	switch tier {
	case "default", "standard", "on_demand", "standard_only":
		return ""
	}
	return tier
}
