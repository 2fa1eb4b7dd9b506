package config

import (
	"fmt"
	"slices"
	"time"
)

// CatalogEntry says what a provider's model is and what it costs, where the built-in catalogue does not know it or the
// operator knows better. What it leaves out stays as the catalogue has it; prices replace all that were known.
type CatalogEntry struct {
	// Provider is a type of provider, or the name of one of the providers. An entry for a name goes before one for its type.
	Provider string `yaml:"provider" jsonschema:"required"`
	// Model is the provider's name of the model. "*" stands for all that are not known.
	Model string `yaml:"model" jsonschema:"required"`
	// Aliases are other names that the provider has for it.
	Aliases []string `yaml:"aliases,omitempty" jsonschema:"uniqueItems=true"`
	// Like names a model that this one is like but for what is said here: openai/gpt-5.5.
	Like string `yaml:"like,omitempty"`
	// Mode is what it is for.
	Mode string `yaml:"mode,omitempty" jsonschema:"enum=chat,enum=responses,enum=completion,enum=embedding,enum=image,enum=speech,enum=transcription,enum=moderation,enum=rerank,enum=realtime"`
	// Context is its window in tokens: prompt and answer.
	Context int64 `yaml:"context,omitempty" jsonschema:"minimum=0"`
	// Output is the most tokens of an answer.
	Output int64 `yaml:"output,omitempty" jsonschema:"minimum=0"`
	// Can lists abilities that it has.
	Can []string `yaml:"can,omitempty" jsonschema:"uniqueItems=true,enum=tools,enum=parallel_tools,enum=tool_choice,enum=vision,enum=audio,enum=files,enum=structured,enum=reasoning,enum=audio_output,enum=caching"`
	// Cannot lists abilities that it lacks.
	Cannot []string `yaml:"cannot,omitempty" jsonschema:"uniqueItems=true,enum=tools,enum=parallel_tools,enum=tool_choice,enum=vision,enum=audio,enum=files,enum=structured,enum=reasoning,enum=audio_output,enum=caching"`
	// Sampling says whether it takes temperature, top_p and the like: always, never, or only without reasoning.
	Sampling string `yaml:"sampling,omitempty" jsonschema:"enum=accepted,enum=refused,enum=without_reasoning"`
	// Thinking is how it is told to think: by an effort, a budget in tokens, as it sees fit, or so and always.
	Thinking string `yaml:"thinking,omitempty" jsonschema:"enum=effort,enum=budget,enum=adaptive,enum=always"`
	// Efforts are those that it takes, least first.
	Efforts []string `yaml:"efforts,omitempty" jsonschema:"uniqueItems=true"`
	// DefaultEffort is what a request means that names none.
	DefaultEffort string `yaml:"default_effort,omitempty"`
	// Prices are what is charged, by service tier and length of the prompt.
	Prices []Price `yaml:"prices,omitempty"`
	// Retires is the day on which the provider stops serving it.
	Retires time.Time `yaml:"retires,omitempty"`
}

// Price is what is charged in USD, for a million tokens where nothing else is said. What is left out is charged as
// ordinary input or output.
type Price struct {
	// Tier is the service tier: batch, flex, priority. Left out: the ordinary one. "*": any.
	Tier string `yaml:"tier,omitempty"`
	// Above makes it the price of prompts of more tokens than this.
	Above int64 `yaml:"above,omitempty" jsonschema:"minimum=0"`
	// Hours makes it the price at these times, UTC: mon-fri 01:00-04:00 06:00-10:00.
	Hours string `yaml:"hours,omitempty"`
	// Until is the first day on which it holds no more.
	Until time.Time `yaml:"until,omitempty"`
	// Input is the price of the prompt.
	Input USD `yaml:"input,omitempty"`
	// CacheRead is that of a prompt that was read from the provider's cache.
	CacheRead USD `yaml:"cache_read,omitempty"`
	// CacheWrite is that of a prompt that was written to the cache.
	CacheWrite USD `yaml:"cache_write,omitempty"`
	// CacheWriteHour is that of a prompt that was written for an hour.
	CacheWriteHour USD `yaml:"cache_write_hour,omitempty"`
	// InputAudio is that of audio in the prompt.
	InputAudio USD `yaml:"input_audio,omitempty"`
	// InputImage is that of images in the prompt.
	InputImage USD `yaml:"input_image,omitempty"`
	// Output is the price of the answer.
	Output USD `yaml:"output,omitempty"`
	// Reasoning is that of the thought before it.
	Reasoning USD `yaml:"reasoning,omitempty"`
	// OutputAudio is that of an answer in audio.
	OutputAudio USD `yaml:"output_audio,omitempty"`
	// OutputImage is that of an answer in images.
	OutputImage USD `yaml:"output_image,omitempty"`
	// Hour is the price of an hour of a recording.
	Hour USD `yaml:"hour,omitempty"`
	// Image is the price of one image.
	Image USD `yaml:"image,omitempty"`
	// Characters is the price of a million characters of a text to speak.
	Characters USD `yaml:"characters,omitempty"`
	// LeastSeconds is what a shorter recording is charged as.
	LeastSeconds int64 `yaml:"least_seconds,omitempty" jsonschema:"minimum=0,maximum=3600"`
}

// USD is an amount of dollars, exactly as it is written: 0.40, or "unknown". The zero value is none.
type USD struct{ text string }

// NewUSD is the amount of a text that is known to be one.
func NewUSD(text string) USD { return USD{text} }

// String returns the amount as it was written; "" for none.
func (u USD) String() string { return u.text }

// MarshalText returns String.
func (u USD) MarshalText() ([]byte, error) { return []byte(u.text), nil }

// UnmarshalText reads a decimal without sign or exponent, or "unknown".
func (u *USD) UnmarshalText(text []byte) error {
	if s := string(text); s != "unknown" && !decimal(s) {
		return &mistake{s, "is not a price", `write USD as a decimal, such as 1.25, or "unknown"`}
	}
	u.text = string(text)
	return nil
}

// decimal says whether a text is digits, perhaps with a point among them.
func decimal(text string) bool {
	digits, point := 0, 0
	for i, r := range text {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r == '.' && point == 0 && i > 0 && i < len(text)-1:
			point++
		default:
			return false
		}
	}
	return digits > 0
}

// catalog reports entries for providers that do not exist, and second ones for the same model. What they say is checked by
// [Options.Check].
func (c *checker) catalog() {
	type model struct{ provider, name string }
	first, known := map[model]int{}, ProviderTypes()
	for i := range c.cfg.Providers {
		p := &c.cfg.Providers[i]
		if _, isType := kindOf(p.Name); !isType && p.Name != "" {
			known = append(known, p.Name)
		}
	}
	for i := range c.cfg.Catalog {
		e, at := &c.cfg.Catalog[i], fmt.Sprintf("catalog[%d]", i)
		if e.Provider != "" && !slices.Contains(known, e.Provider) {
			c.fail(at+".provider", didYouMean(e.Provider, known, "types and providers"), "%s.provider: %q is neither a type nor one of the providers", at, e.Provider)
		}
		if j := c.namesake(e.Provider); j >= 0 {
			c.warn(at+".provider", "give that provider another name if it is meant",
				fmt.Sprintf("%s.provider: %q is the type; providers[%d] has that name and is a %s", at, e.Provider, j, c.cfg.Providers[j].Type))
		}
		m := model{e.Provider, e.Model}
		if before, twice := first[m]; twice && e.Model != "" {
			c.fail(at+".model", "", "model %q of %s is there already; the first is catalog[%d]", e.Model, e.Provider, before)
		} else {
			first[m] = i
		}
	}
}

// namesake is the provider that has the name of another type than its own; -1 if there is none.
func (c *checker) namesake(name string) int {
	_, isType := kindOf(name)
	return slices.IndexFunc(c.cfg.Providers, func(p Provider) bool { return isType && p.Name == name && p.Type != name })
}
