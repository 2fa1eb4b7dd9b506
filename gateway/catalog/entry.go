package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Entry is what people, or the program in refresh, write of a model. In the built-in file it is all that is known; in
// configuration it is laid over that: what is left out stays, prices are replaced as a whole.
type Entry struct {
	Provider string   `json:"provider"           yaml:"provider"`          // kind of provider, or a configured one's name
	Name     string   `json:"name"               yaml:"name"`              // as the provider spells it; "*": all others
	Aliases  []string `json:"aliases,omitempty"  yaml:"aliases,omitempty"` // other names for the same
	Like     string   `json:"like,omitempty"     yaml:"like,omitempty"`    // start from this one: openai/gpt-5.5

	Mode    string `json:"mode,omitempty"    yaml:"mode,omitempty"`    // see [Model]
	Context int64  `json:"context,omitempty" yaml:"context,omitempty"` // tokens
	Output  int64  `json:"output,omitempty"  yaml:"output,omitempty"`  // tokens

	Can           []string `json:"can,omitempty"            yaml:"can,omitempty"`    // tools, vision, …: see [Ability]
	Cannot        []string `json:"cannot,omitempty"         yaml:"cannot,omitempty"` // likewise
	Sampling      string   `json:"sampling,omitempty"       yaml:"sampling,omitempty"`
	Thinking      string   `json:"thinking,omitempty"       yaml:"thinking,omitempty"`
	Efforts       []string `json:"efforts,omitempty"        yaml:"efforts,omitempty"`
	DefaultEffort string   `json:"default_effort,omitempty" yaml:"default_effort,omitempty"`

	Prices  []Price  `json:"prices,omitempty"  yaml:"prices,omitempty"`
	Retires string   `json:"retires,omitempty" yaml:"retires,omitempty"` // 2026-12-11
	Sources []string `json:"sources,omitempty" yaml:"-"`
}

// Price is one tariff as people write it: decimals of USD, for a million tokens where nothing else is said. What is left
// out is charged as the package says; "unknown" has no known price.
type Price struct {
	Tier  string `json:"tier,omitempty"  yaml:"tier,omitempty"`  // batch, flex, priority; left out: the standard one; "*": any
	Above int64  `json:"above,omitempty" yaml:"above,omitempty"` // for prompts of more tokens than this
	Hours string `json:"hours,omitempty" yaml:"hours,omitempty"` // in these only, UTC: mon-fri 01:00-04:00 06:00-10:00
	Until string `json:"until,omitempty" yaml:"until,omitempty"` // first day on which it holds no more: 2027-01-01, UTC

	Input          string `json:"input,omitempty"            yaml:"input,omitempty"`
	CacheRead      string `json:"cache_read,omitempty"       yaml:"cache_read,omitempty"`
	CacheWrite     string `json:"cache_write,omitempty"      yaml:"cache_write,omitempty"`
	CacheWriteHour string `json:"cache_write_hour,omitempty" yaml:"cache_write_hour,omitempty"`
	InputAudio     string `json:"input_audio,omitempty"      yaml:"input_audio,omitempty"`
	InputImage     string `json:"input_image,omitempty"      yaml:"input_image,omitempty"`
	Output         string `json:"output,omitempty"           yaml:"output,omitempty"`
	Reasoning      string `json:"reasoning,omitempty"        yaml:"reasoning,omitempty"`
	OutputAudio    string `json:"output_audio,omitempty"     yaml:"output_audio,omitempty"`
	OutputImage    string `json:"output_image,omitempty"     yaml:"output_image,omitempty"`
	Hour           string `json:"hour,omitempty"             yaml:"hour,omitempty"`       // for an hour of a recording
	Image          string `json:"image,omitempty"            yaml:"image,omitempty"`      // for one image
	Characters     string `json:"characters,omitempty"       yaml:"characters,omitempty"` // for a million

	Least int64 `json:"least_seconds,omitempty" yaml:"least_seconds,omitempty"` // a shorter recording is charged as this
}

const unknown = "unknown"

// Fields are the places for the price of each class, in the order of the classes.
func (p *Price) Fields() [classes]*string {
	return [classes]*string{
		&p.Input, &p.CacheRead, &p.CacheWrite, &p.CacheWriteHour, &p.InputAudio, &p.InputImage,
		&p.Output, &p.Reasoning, &p.OutputAudio, &p.OutputImage, &p.Hour, &p.Image, &p.Characters,
	}
}

// Mistake is something wrong with an entry.
type Mistake struct {
	Path    string // of the field: prices[0].input; from [New] with the entry's index before it: [3].prices[0].input
	Message string
}

// Error is the path and the message.
func (m *Mistake) Error() string { return m.Path + ": " + m.Message }

func mistake(path, format string, args ...any) *Mistake {
	return &Mistake{Path: path, Message: fmt.Sprintf(format, args...)}
}

// Validate reports everything that is wrong with an entry: each of the joined errors is a *[Mistake].
func (e *Entry) Validate() error { return errors.Join(e.mistakes()...) }

func (e *Entry) mistakes() []error {
	var errs []error
	bad := func(path, format string, args ...any) { errs = append(errs, mistake(path, format, args...)) }
	if e.Provider == "" {
		bad("provider", "missing")
	}
	if e.Name == "" {
		bad("name", "missing")
	}
	if e.Like != "" && !strings.Contains(e.Like, "/") {
		bad("like", "%q is not of the form provider/model", e.Like)
	}
	if e.Context < 0 || e.Output < 0 {
		bad("context, output", "negative")
	}
	for _, list := range [...]struct {
		path  string
		names []string
	}{{"can", e.Can}, {"cannot", e.Cannot}} {
		for i, name := range list.names {
			if ability(name) == 0 {
				bad(fmt.Sprintf("%s[%d]", list.path, i), "%q is none of %s", name, strings.Join(abilityNames[:], ", "))
			}
		}
	}
	if abilities(e.Can)&abilities(e.Cannot) != 0 {
		bad("cannot", "names what can names too")
	}
	if !slices.Contains(samplingNames[:], e.Sampling) {
		bad("sampling", "%q is none of %s", e.Sampling, strings.Join(samplingNames[1:], ", "))
	}
	if !slices.Contains(thinkingNames[:], e.Thinking) {
		bad("thinking", "%q is none of %s", e.Thinking, strings.Join(thinkingNames[1:], ", "))
	}
	if e.Retires != "" {
		if _, err := time.Parse(time.DateOnly, e.Retires); err != nil {
			bad("retires", "%q is not a date such as 2026-12-31", e.Retires)
		}
	}
	return append(errs, e.priceMistakes()...)
}

func (e *Entry) priceMistakes() (errs []error) {
	bad := func(path, format string, args ...any) { errs = append(errs, mistake(path, format, args...)) }
	type band struct {
		tier, hours string
		above       int64
	}
	seen := map[band]bool{}
	for i := range e.Prices {
		p := &e.Prices[i]
		at := fmt.Sprintf("prices[%d]", i)
		for class, s := range p.Fields() {
			if err := checkPrice(Class(class), *s); err != nil {
				bad(fmt.Sprintf("%s.%s", at, Class(class)), "%q: %s", *s, err)
			}
		}
		if p.Above < 0 || p.Least < 0 || p.Least > 3600 {
			bad(at, "above and least_seconds are not negative, and the latter is at most 3600")
		}
		if _, err := p.until(); err != nil {
			bad(at+".until", "%q is not a date such as 2026-12-31", p.Until)
		}
		if _, err := ParseHours(p.Hours); err != nil {
			bad(at+".hours", "%s", err)
		}
		if b := (band{p.Tier, p.Hours, p.Above}); seen[b] {
			bad(at, "a second price for tier %q above %d", b.tier, b.above)
		} else {
			seen[b] = true
		}
	}
	return errs
}

func checkPrice(class Class, s string) error {
	if s == "" || s == unknown {
		return nil
	}
	_, err := parseRate(class, s)
	return err
}

// parseRate is the price of one of a class, in picodollars. A price of an hour or an image is not one per million.
func parseRate(class Class, s string) (int64, error) {
	n, err := ParseUSD(s)
	if err != nil {
		return 0, err
	}
	if class == Recording || class == Images {
		if n > dollar {
			return 0, errLarge
		}
		n *= dollar / 1_000_000
	}
	return n, nil
}

func (p *Price) until() (time.Time, error) {
	if p.Until == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, p.Until)
}

// model builds what a valid entry says. What a price leaves out is filled in here, once, so that a cost is a plain sum.
func (e *Entry) model(configured bool) *Model {
	m := &Model{
		Provider: e.Provider, Name: e.Name, Aliases: e.Aliases,
		Mode: e.Mode, Context: e.Context, Output: e.Output,
		Sampling: Sampling(slices.Index(samplingNames[:], e.Sampling)), //nolint:gosec // found: the entry is valid
		Thinking: Thinking(slices.Index(thinkingNames[:], e.Thinking)), //nolint:gosec // likewise
		Efforts:  e.Efforts, DefaultEffort: e.DefaultEffort,
		Retires: e.Retires, Sources: e.Sources,
		yes: abilities(e.Can), no: abilities(e.Cannot),
	}
	if len(e.Prices) > 0 {
		m.Tariffs = make([]Tariff, 0, len(e.Prices))
	}
	for i := range e.Prices {
		m.Tariffs = append(m.Tariffs, e.tariff(&e.Prices[i], m, configured))
	}
	slices.SortFunc(m.Tariffs, func(a, b Tariff) int {
		if c := strings.Compare(a.Tier, b.Tier); c != 0 {
			return c
		}
		if c := cmp.Compare(a.Above, b.Above); c != 0 {
			return c
		}
		return strings.Compare(a.Hours.spans, b.Hours.spans)
	})
	return m
}

func (e *Entry) tariff(p *Price, m *Model, configured bool) Tariff {
	until, _ := p.until()
	hours, _ := ParseHours(p.Hours)
	t := Tariff{Tier: p.Tier, Above: p.Above, Hours: hours, Until: until, Least: time.Duration(p.Least) * time.Second}
	for class, s := range p.Fields() {
		if n, err := parseRate(Class(class), *s); err == nil {
			t.Rates[class] = Rate{Picodollars: n, Known: true}
		}
	}
	fill := func(class, from Class, charged bool) {
		if *p.Fields()[class] == "" && charged {
			t.Rates[class] = t.Rates[from]
		}
	}
	fill(CacheRead, Input, configured)
	fill(CacheWrite, Input, configured || !slices.Contains([]string{"anthropic", "bedrock", "openrouter"}, e.Provider))
	fill(CacheWriteHour, CacheWrite, configured)
	fill(InputAudio, Input, configured || m.Can(Audio) == Yes)
	fill(InputImage, Input, configured || m.Can(Vision) == Yes)
	fill(ReasoningOutput, Output, true)
	fill(OutputAudio, Output, configured)
	fill(OutputImage, Output, configured)
	return t
}

// over lays an entry of configuration over what is known already.
func (e *Entry) over(base *Entry) Entry {
	merged := *base
	if merged.Aliases = e.Aliases; e.Provider == base.Provider && e.Name == base.Name {
		merged.Aliases = append(slices.Clone(base.Aliases), e.Aliases...)
	}
	merged.Provider, merged.Name, merged.Like = e.Provider, e.Name, ""
	put(&merged.Mode, e.Mode)
	put(&merged.Context, e.Context)
	put(&merged.Output, e.Output)
	put(&merged.Sampling, e.Sampling)
	put(&merged.Thinking, e.Thinking)
	put(&merged.DefaultEffort, e.DefaultEffort)
	put(&merged.Retires, e.Retires)
	if e.Efforts != nil {
		merged.Efforts = e.Efforts
	}
	if e.Prices != nil {
		merged.Prices, merged.Sources = e.Prices, []string{"configuration"}
	}
	without := func(names, others []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(s string) bool { return slices.Contains(others, s) })
	}
	said := slices.Concat(e.Can, e.Cannot)
	merged.Can = append(without(base.Can, said), e.Can...)
	merged.Cannot = append(without(base.Cannot, said), e.Cannot...)
	return merged
}

func put[T comparable](to *T, v T) {
	var zero T
	if v != zero {
		*to = v
	}
}

func ability(name string) Ability {
	i := slices.Index(abilityNames[:], name)
	if i < 0 {
		return 0
	}
	return 1 << i
}

func abilities(names []string) (a Ability) {
	for _, name := range names {
		a |= ability(name)
	}
	return a
}
