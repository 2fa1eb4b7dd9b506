package cache

import (
	"errors"
	"time"

	"github.com/sluice-ai/sluice/config"
)

// Config are the plugin's settings. Nothing is kept before exact.ttl is set: who asks again then gets the answer that was given,
// and no new one. What each tenant shares is in its file.
type Config struct {
	// Exact keeps answers for requests that ask the same in the same words.
	Exact Exact `yaml:"exact"`
	// MaxAnswer is how large an answer may be to be kept.
	MaxAnswer config.Bytes `yaml:"max_answer" jsonschema:"minimum=1024"`
	// MaxTemperature is the temperature above which a request wants to be surprised: its answer is not kept.
	MaxTemperature float64 `yaml:"max_temperature" jsonschema:"minimum=0"`
	// FreshTTL is how long an answer is kept at most that is out of date soon: of today, of the weather, of prices. 0: not at all.
	FreshTTL time.Duration `yaml:"fresh_ttl"`
	// Tools keeps answers of exchanges in which tools are called, too.
	Tools bool `yaml:"tools"`
	// Coalesce lets identical requests that come while the first is answered share its answer.
	Coalesce bool `yaml:"coalesce"`
	// Pace is the time between two pieces of an answer that is said again as a stream. 0: all at once.
	Pace time.Duration `yaml:"pace"`
}

// Exact says how much is kept, and for how long.
type Exact struct {
	// TTL is how long an answer is kept. 0: none is.
	TTL time.Duration `yaml:"ttl"`
	// MaxSize is how much memory the answers take.
	MaxSize config.Bytes `yaml:"max_size" jsonschema:"minimum=1048576"`
}

// Defaults are the settings of a file that says nothing.
func Defaults() Config {
	return Config{
		Exact: Exact{MaxSize: 256 << 20}, MaxAnswer: 1 << 20, MaxTemperature: 1, FreshTTL: time.Minute, Coalesce: true,
	}
}

// Validate reports what cannot work.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(field, message, hint string) {
		errs = append(errs, &config.FieldError{Field: field, Message: message, Hint: hint})
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"exact.ttl", c.Exact.TTL}, {"fresh_ttl", c.FreshTTL}, {"pace", c.Pace}} {
		if d.value < 0 {
			wrong(d.field, "is negative", "write a duration such as 1h, or 0")
		}
	}
	if c.Exact.MaxSize < c.MaxAnswer {
		wrong("max_answer", "is more than exact.max_size", "an answer must fit")
	}
	return errors.Join(errs...)
}
