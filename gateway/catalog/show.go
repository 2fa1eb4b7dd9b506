package catalog

import "time"

// Abilities are the names of what the model is known to be able to do, and of what it is known not to.
func (m *Model) Abilities() (can, cannot []string) {
	if m == nil {
		return nil, nil
	}
	for i, name := range abilityNames {
		switch a := Ability(1) << i; {
		case m.no&a != 0:
			cannot = append(cannot, name)
		case m.yes&a != 0:
			can = append(can, name)
		}
	}
	return can, cannot
}

// Price is the tariff as people write it, with all that is known of it: also what was left out because it is charged as
// something else.
func (t *Tariff) Price() Price {
	p := Price{Tier: t.Tier, Above: t.Above, Hours: t.Hours.String(), Least: int64(t.Least / time.Second)}
	if !t.Until.IsZero() {
		p.Until = t.Until.Format(time.DateOnly)
	}
	for class, field := range p.Fields() {
		switch r := t.Rates[class]; {
		case !r.Known:
			*field = unknown
		case Class(class) == Recording || Class(class) == Images:
			*field = string(AppendUSD(nil, r.Picodollars))
		default:
			*field = FormatUSD(r.Picodollars)
		}
	}
	return p
}
