package cache

import (
	"errors"
	"time"

	"github.com/sluice-ai/sluice/config"
)

// Config are the plugin's settings. Nothing is kept before exact.ttl or semantic.mode is set: who asks again then gets the answer that was given,
// and no new one. What each tenant shares is in its file.
type Config struct {
	// Exact keeps answers for requests that ask the same in the same words.
	Exact Exact `yaml:"exact"`
	// Semantic answers questions that mean the same in other words, too.
	Semantic Semantic `yaml:"semantic"`
	// MaxAnswer is how large an answer may be to be kept.
	MaxAnswer config.Bytes `yaml:"max_answer" jsonschema:"minimum=1024"`
	// MaxTemperature is the temperature above which a request wants to be surprised: its answer is not kept.
	MaxTemperature float64 `yaml:"max_temperature" jsonschema:"minimum=0"`
	// FreshTTL is how long an answer is kept at most that is out of date soon: of today, of the weather, of prices. 0: not at all.
	FreshTTL time.Duration `yaml:"fresh_ttl"`
	// Tools keeps answers of exchanges in which tools are called, too.
	Tools bool `yaml:"tools"`
	// Shared keeps answers in the Redis of stores.shared, too, if there is one: what one node has learnt the others give, and identical
	// requests at several nodes share one answer. Each is there for its ttl, sealed with the secret.
	Shared bool `yaml:"shared"`
	// SharedWait is how long a request waits for that Redis before it goes on without: at most 10s.
	SharedWait time.Duration `yaml:"shared_wait"`
	// Secret is what nodes that share answers have in common, at least 16 bytes. Without it they agree on one that is kept in Redis:
	// then whoever can read that can read answers.
	Secret config.Secret `yaml:"secret,omitempty"`
	// Snapshot is how large a file may be in which answers and questions outlast the process, beside those of the ledger: it is written
	// every five minutes and at last, sealed with the secret if there is one. Without one, whoever can read it can read answers. 0: there
	// is none.
	Snapshot config.Bytes `yaml:"snapshot"`
	// Coalesce lets identical requests that come while the first is answered share its answer.
	Coalesce bool `yaml:"coalesce"`
	// Pace is the time between two pieces of an answer that is said again as a stream. 0: all at once.
	Pace time.Duration `yaml:"pace"`
}

// Exact says how much is kept, and for how long.
type Exact struct {
	// TTL is how long an answer is kept. 0: none is.
	TTL time.Duration `yaml:"ttl"`
	// Stale is for how long past that an answer is given while it is asked for again, once, behind the back of who gets it: at the
	// tenant's cost, as an exchange of its own. Not what is out of date soon, see fresh_ttl. 0: none is.
	Stale time.Duration `yaml:"stale"`
	// MaxSize is how much memory the answers take.
	MaxSize config.Bytes `yaml:"max_size" jsonschema:"minimum=1048576"`
}

// Semantic says when an answer to one question is given to another.
type Semantic struct {
	// Mode is off, shadow, which decides and measures and gives nothing, or verified.
	Mode string `yaml:"mode" jsonschema:"enum=off,enum=shadow,enum=verified"`
	// MaxWrong is how many of the answers that are given may be wrong. It holds for the past, as far as a judge has seen it; without
	// a judge, as far as the pairs of questions go that the verifier was calibrated with.
	MaxWrong config.Percent `yaml:"max_wrong"`
	// Embedder turns questions into vectors: builtin, which asks nobody, or one of the gateway's models that make embeddings, by its
	// name. It costs whoever asks the question, and finds questions that share no words; whether one answer serves both is decided as
	// with builtin. While it fails, only the same words are the same question.
	Embedder string `yaml:"embedder"`
	// MaxSize is how much memory the questions take.
	MaxSize config.Bytes `yaml:"max_size" jsonschema:"minimum=1048576"`
	// Judge is a model that is asked, later and elsewhere, whether an answer serves a question that was not certain.
	Judge Judge `yaml:"judge,omitempty"`
}

// Judge is a model that says whether an answer serves a question.
type Judge struct {
	// Model is one of the gateway's models, by its name; empty: nobody is asked. It costs whoever has asked the question.
	Model string `yaml:"model,omitempty"`
	// Wait is how long a request whose answer is not certain waits for the judge's word. 0: none waits, and the word is for later ones.
	Wait time.Duration `yaml:"wait,omitempty"`
	// PerMinute is how often it is asked at most, for all tenants.
	PerMinute int `yaml:"per_minute,omitempty" jsonschema:"minimum=1"`
}

// Modes of [Semantic].
const (
	modeOff      = "off"
	modeShadow   = "shadow"
	modeVerified = "verified"
)

// embedderBuiltin is the embedder that asks nobody.
const embedderBuiltin = "builtin"

// usualTTL is how long answers are kept where only semantic is set.
const usualTTL = time.Hour

// ttl is how long an answer is kept; 0: none is.
func (c *Config) ttl() time.Duration {
	if c.Exact.TTL == 0 && c.Semantic.Mode != modeOff {
		return usualTTL
	}
	return c.Exact.TTL
}

// Defaults are the settings of a file that says nothing.
func Defaults() Config {
	return Config{
		Exact:     Exact{MaxSize: 256 << 20},
		Semantic:  Semantic{Mode: modeOff, MaxWrong: 0.01, Embedder: embedderBuiltin, MaxSize: 256 << 20, Judge: Judge{PerMinute: 60}},
		MaxAnswer: 1 << 20, MaxTemperature: 1, FreshTTL: time.Minute, Coalesce: true, Shared: true, SharedWait: 25 * time.Millisecond,
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
	}{{"exact.ttl", c.Exact.TTL}, {"exact.stale", c.Exact.Stale}, {"fresh_ttl", c.FreshTTL}, {"pace", c.Pace}, {"semantic.judge.wait", c.Semantic.Judge.Wait}} {
		if d.value < 0 {
			wrong(d.field, "is negative", "write a duration such as 1h, or 0")
		}
	}
	if c.Semantic.MaxWrong <= 0 || c.Semantic.MaxWrong >= 1 {
		wrong("semantic.max_wrong", "is not between 0% and 100%", "write 1%")
	}
	if c.Semantic.Embedder == "" {
		wrong("semantic.embedder", "is empty", "write builtin, or the name of a model")
	}
	if c.SharedWait <= 0 || c.SharedWait > 10*time.Second {
		wrong("shared_wait", "is not between 0 and 10s", "write 25ms; more if Redis is far away")
	}
	if c.Exact.MaxSize < c.MaxAnswer {
		wrong("max_answer", "is more than exact.max_size", "an answer must fit")
	}
	if n := len(c.Secret.Reveal()); n > 0 && n < leastSecret {
		wrong("secret", "is shorter than 16 bytes", "make one with: openssl rand -hex 32")
	}
	return errors.Join(errs...)
}

const leastSecret = 16
