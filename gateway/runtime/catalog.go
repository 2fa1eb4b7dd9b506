package runtime

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/catalog"
)

// Check finds the mistakes in a configuration that only the catalogue can see; for [config.Options].
func Check(c *config.Config) error {
	if len(c.Catalog) == 0 {
		return nil
	}
	_, err := Catalog(c)
	return err
}

// Catalog is what is known of models: the built-in catalogue with the configuration's entries laid over it. Each of the
// joined errors is a *config.FieldError.
func Catalog(c *config.Config) (*catalog.Catalog, error) {
	entries := make([]catalog.Entry, len(c.Catalog))
	for i := range c.Catalog {
		entries[i] = entry(&c.Catalog[i])
	}
	built, err := catalog.New(entries)
	if err == nil {
		return built, nil
	}
	var wrong []error
	joined, _ := err.(interface{ Unwrap() []error })
	for _, err := range joined.Unwrap() {
		m, ok := errors.AsType[*catalog.Mistake](err)
		if !ok {
			return nil, err
		}
		wrong = append(wrong, &config.FieldError{Field: "catalog" + strings.Replace(m.Path, "].name", "].model", 1), Message: m.Message})
	}
	return nil, errors.Join(wrong...)
}

func entry(e *config.CatalogEntry) catalog.Entry {
	out := catalog.Entry{
		Provider: e.Provider, Name: e.Model, Aliases: e.Aliases, Like: e.Like, Mode: e.Mode, Context: e.Context, Output: e.Output,
		Can: e.Can, Cannot: e.Cannot, Sampling: e.Sampling, Thinking: e.Thinking, Efforts: e.Efforts, DefaultEffort: e.DefaultEffort,
		Retires: day(e.Retires),
	}
	for i := range e.Prices {
		out.Prices = append(out.Prices, price(&e.Prices[i]))
	}
	return out
}

func price(p *config.Price) catalog.Price {
	return catalog.Price{
		Tier: p.Tier, Above: p.Above, Hours: p.Hours, Until: day(p.Until), Least: p.LeastSeconds,
		Input: p.Input.String(), CacheRead: p.CacheRead.String(), CacheWrite: p.CacheWrite.String(), CacheWriteHour: p.CacheWriteHour.String(),
		InputAudio: p.InputAudio.String(), InputImage: p.InputImage.String(),
		Output: p.Output.String(), Reasoning: p.Reasoning.String(), OutputAudio: p.OutputAudio.String(), OutputImage: p.OutputImage.String(),
		Hour: p.Hour.String(), Image: p.Image.String(), Characters: p.Characters.String(),
	}
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// carryCatalog carries the old generation's over, or builds a new one.
func carryCatalog(c *config.Config, old *Generation) (*catalog.Catalog, error) {
	if old != nil && same(c.Catalog, old.entries) {
		return old.catalog, nil
	}
	return Catalog(c)
}

// Known finds models in a catalogue by the names of the providers of a configuration: an entry for the provider itself
// goes before one for its type. A provider that has the name of a type has no entries of its own: they are the type's.
func Known(c *config.Config, in *catalog.Catalog) func(provider, model string) *catalog.Model {
	type place struct {
		kind string
		own  bool // there are entries for the provider itself
	}
	places := map[string]place{}
	for i := range c.Providers {
		p := &c.Providers[i]
		named := func(e config.CatalogEntry) bool { return e.Provider == p.Name }
		places[p.Name] = place{p.Type, !slices.Contains(config.ProviderTypes(), p.Name) && slices.ContainsFunc(c.Catalog, named)}
	}
	return func(provider, model string) *catalog.Model {
		at := places[provider]
		if at.own {
			if m := in.Lookup(provider, model); m != nil {
				return m
			}
		}
		return in.Lookup(at.kind, model)
	}
}
