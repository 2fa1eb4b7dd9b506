package config

import (
	"fmt"
	"io"
	"log/slog"
	"unique"
)

const masked = "***"

// Secret is text that must not be seen. It prints as *** (as nothing, if it is empty) under every verb of fmt and in
// JSON, YAML and logs; only Reveal tells it. Secrets with equal text are equal under == and [reflect.DeepEqual].
//
// The text sits behind a pointer: fmt, which cannot call methods of unexported fields, prints an address for those.
type Secret struct{ text unique.Handle[string] }

// NewSecret returns text as a Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{unique.Make(text)}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.text.Value()
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s == Secret{} }

// Equal reports whether the texts are equal. It serves packages that compare with reflection and cannot see the text.
func (s Secret) Equal(other Secret) bool { return s == other }

// String returns ***, or nothing for an empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return masked
}

// Format writes *** whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText returns ***. It serves JSON, YAML and every other encoding that knows [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue logs ***.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
