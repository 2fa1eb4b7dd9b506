package catalog

import (
	"bytes"
	_ "embed" // models.json
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

//go:embed models.json
var builtin []byte

// Source is where facts of the built-in file are from.
type Source struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Licence string `json:"licence"`
	Use     string `json:"use"` // what for: prices, or only to confirm another's
}

// File is the form of models.json.
type File struct {
	Date    string   `json:"date"` // of the last refresh
	Sources []Source `json:"sources"`
	Models  []Entry  `json:"models"` // sorted by provider, then name
}

// Catalog is a set of models. It never changes: all its methods may be called at once.
type Catalog struct {
	date    string
	sources []Source
	models  map[key]*Model
	sorted  []*Model
}

type key struct{ provider, name string }

// New is the built-in catalogue with the entries of a configuration laid over it, in their order. An entry that names a
// known model changes what it gives and keeps the rest; one with Like starts from another model; prices it gives replace
// all that were known. All that is wrong is reported: each of the joined errors is a *[Mistake].
func New(overrides []Entry) (*Catalog, error) {
	f := File{Models: make([]Entry, 0, bytes.Count(builtin, []byte("\n")))} // a line each: growing would leave twice as much garbage
	if err := json.Unmarshal(builtin, &f); err != nil {
		return nil, fmt.Errorf("catalog: models.json: %w", err)
	}
	return newCatalog(&f, overrides)
}

func newCatalog(f *File, overrides []Entry) (*Catalog, error) {
	c := &Catalog{date: f.Date, sources: f.Sources, models: make(map[key]*Model, 2*len(f.Models))}
	entries := make(map[*Model]layered, len(f.Models))
	var errs []error
	for i := range f.Models {
		e := &f.Models[i]
		if err := e.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("catalog: models.json: %s/%s: %w", e.Provider, e.Name, err))
			continue
		}
		entries[c.add(e, false)] = layered{entry: e}
	}
	for i := range overrides {
		e := &overrides[i]
		wrong := e.mistakes()
		provider, name := e.Provider, e.Name
		if e.Like != "" {
			provider, name, _ = strings.Cut(e.Like, "/")
		}
		base, known := entries[c.Lookup(provider, name)]
		if len(wrong) == 0 && !known && e.Like != "" {
			wrong = append(wrong, mistake("like", "no model %q is known", e.Like))
		}
		if len(wrong) > 0 {
			errs = append(errs, within(i, wrong)...)
			continue
		}
		if !known {
			base.entry = &Entry{}
		}
		merged := e.over(base.entry)
		configured := base.configured || e.Prices != nil
		entries[c.add(&merged, configured)] = layered{&merged, configured}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.sort()
	return c, nil
}

// within puts the index of an entry before the paths of its mistakes.
func within(i int, wrong []error) []error {
	for _, err := range wrong {
		if m, ok := errors.AsType[*Mistake](err); ok {
			m.Path = fmt.Sprintf("[%d].%s", i, m.Path)
		}
	}
	return wrong
}

// layered is an entry, and whether its prices are from configuration.
type layered struct {
	entry      *Entry
	configured bool
}

func (c *Catalog) add(e *Entry, configured bool) *Model {
	m := e.model(configured)
	c.models[key{e.Provider, e.Name}] = m
	for _, alias := range e.Aliases {
		c.models[key{e.Provider, alias}] = m
	}
	return m
}

func (c *Catalog) sort() {
	for k, m := range c.models {
		if k.name == m.Name {
			c.sorted = append(c.sorted, m)
		}
	}
	slices.SortFunc(c.sorted, func(a, b *Model) int {
		if n := strings.Compare(a.Provider, b.Provider); n != 0 {
			return n
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// Models are all models, by provider and name.
func (c *Catalog) Models() iter.Seq[*Model] { return slices.Values(c.sorted) }

// Date is the day of the last refresh of the built-in data: 2026-11-23.
func (c *Catalog) Date() string { return c.date }

// Sources are where the built-in data is from.
func (c *Catalog) Sources() []Source { return slices.Clone(c.sources) }

// Lookup finds a model by the kind of its provider and the name it has there. A name that is not known as it stands is
// looked up without what the vendor documents as a version of the same model (see [base]), and then as "*"; nothing is
// guessed. It returns nil if the model is not known, and allocates nothing.
func (c *Catalog) Lookup(provider, name string) *Model {
	if m, ok := c.models[key{provider, name}]; ok {
		return m
	}
	if b := base(provider, name); b != name {
		if m, ok := c.models[key{provider, b}]; ok {
			return m
		}
	}
	return c.models[key{provider, "*"}]
}

// base is a name without its version, by each vendor's documented form:
//
//   - openai, azure: a snapshot gpt-5.5-2026-04-23 is gpt-5.5, and a fine-tuned ft:gpt-4.1-2025-04-14:org:name:id is
//     ft:gpt-4.1-2025-04-14, which has prices of its own;
//   - anthropic: claude-opus-4-5-20251101, and claude-opus-4-5@20251101 as Google writes it;
//   - gemini: models/gemini-2.5-pro, as its OpenAI-compatible endpoint lists it, and a stable gemini-2.5-pro-001;
//   - xai: grok-4.6-20260812.
//
// Other vendors change prices between versions of one name.
func base(provider, name string) string {
	switch provider {
	case "openai", "azure":
		if strings.HasPrefix(name, "ft:") {
			if end := strings.IndexByte(name[3:], ':'); end > 0 {
				return name[:3+end]
			}
		}
		return withoutSuffix(name, "-dddd-dd-dd")
	case "anthropic":
		if b := withoutSuffix(name, "-dddddddd"); b != name {
			return b
		}
		return withoutSuffix(name, "@dddddddd")
	case "gemini":
		return withoutSuffix(strings.TrimPrefix(name, "models/"), "-ddd")
	case "xai":
		return withoutSuffix(name, "-dddddddd")
	default:
		return name
	}
}

// withoutSuffix cuts what a form fits, in which d is a digit.
func withoutSuffix(name, form string) string {
	cut := len(name) - len(form)
	if cut <= 0 {
		return name
	}
	for i := range len(form) {
		c := name[cut+i]
		if form[i] == 'd' && (c < '0' || c > '9') || form[i] != 'd' && c != form[i] {
			return name
		}
	}
	return name[:cut]
}
