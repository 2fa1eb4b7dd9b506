package quota

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/sluice-ai/sluice/config"
)

// Config are the settings of the plugin. What tenants may use is in their files.
type Config struct {
	// OnOutage says what holds when the shared store cannot be asked and a node has used up its share of a budget: deny
	// refuses what costs money until it can; share lets each node spend its part of the limit, so that all together may exceed it.
	OnOutage string `yaml:"on_outage" jsonschema:"enum=deny,enum=share"`
	// StrictAnswer is how many tokens an answer may have under a strict budget if the request does not say.
	StrictAnswer int64 `yaml:"strict_answer" jsonschema:"minimum=16"`
	// Lease is how many tokens of a stream are reserved at a time under a metered budget: by no more than their price a budget can be
	// exceeded by each stream.
	Lease int64 `yaml:"lease" jsonschema:"minimum=16"`
	// Unpriced says what is done under a budget about models without a known price: allow them, at no charge, or deny. Strict budgets
	// always deny.
	Unpriced string `yaml:"unpriced" jsonschema:"enum=allow,enum=deny"`
	// Alerts says who is told when a budget passes one of its marks.
	Alerts Alerts `yaml:"alerts,omitempty"`
}

// Values of settings.
const (
	deny  = "deny"
	share = "share"
	allow = "allow"
)

// Defaults are the settings of a file that says nothing.
func Defaults() Config {
	return Config{OnOutage: deny, StrictAnswer: 4096, Lease: 256, Unpriced: allow, Alerts: Alerts{Retries: 8}}
}

// Validate reports what cannot work.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(field, message, hint string) {
		errs = append(errs, &config.FieldError{Field: field, Message: message, Hint: hint})
	}
	if c.Alerts.URL == "" {
		return errors.Join(errs...)
	}
	if u, err := url.Parse(c.Alerts.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		wrong("alerts.url", "is not the URL of a web server", "write https://HOST/PATH")
	}
	if _, err := parseSecret(c.Alerts.Secret.Reveal()); err != nil {
		wrong("alerts.secret", err.Error(), "make one with: echo whsec_$(head -c 32 /dev/urandom | base64)")
	}
	return errors.Join(errs...)
}

// parseSecret reads the secret of a webhook. An empty or a short one would let anybody sign.
func parseSecret(text string) ([]byte, error) {
	digits, ok := strings.CutPrefix(text, "whsec_")
	secret, err := base64.StdEncoding.DecodeString(digits)
	if !ok || err != nil || len(secret) < 24 || len(secret) > 64 {
		return nil, errors.New(`is not "whsec_" and the base64 of 24 to 64 bytes`)
	}
	return secret, nil
}
