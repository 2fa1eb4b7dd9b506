package auth

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
)

// client is who sent a key with the request.
type client struct {
	key    *gateway.Key
	digest gateway.Digest
}

// client finds out whose key the request carries; nil if it carries none. There is one way to send it at a time (RFC 6749,
// section 2.3).
func (c *call) client() (*client, error) {
	id, secret := c.Params.Get("client_id"), c.Params.Get("client_secret")
	if header := bytes.Trim(c.Header.Get("Authorization"), blank); len(header) > 0 {
		if secret != "" {
			return nil, oauthError("invalid_request", "The client sends its key in two ways.")
		}
		basicID, basicSecret, basic := parseBasic(header)
		switch token, bad := bearer(header); {
		case basic && id != "" && id != basicID:
			return nil, oauthError("invalid_request", "The client sends two ids.")
		case basic:
			id, secret = basicID, basicSecret
		case bad == nil:
			secret = string(token)
		}
		if secret == "" {
			return nil, invalidClient("The Authorization header is neither HTTP Basic with a key nor a bearer token.")
		}
	}
	if secret == "" {
		return nil, nil
	}
	if len(secret) > longest {
		return nil, invalidClient("The key is longer than 4096 bytes.")
	}
	v, refused := c.who.begin([]byte(secret), c.from)
	if refused != nil {
		return nil, refused
	}
	k, digest, refused := c.who.find([]byte(secret), v.digest, c.Directory, c.now)
	if refused != nil || !names(id, k) {
		return nil, v.end(invalidClient("The client's id or key is wrong, or has expired."), "client")
	}
	v.succeed()
	return &client{k, digest}, nil
}

// names says whether a client's id fits its key: the tenant's alone, or with the key's name. A key can do without.
func names(id string, k *gateway.Key) bool {
	whose, name, both := strings.Cut(id, "/")
	return id == "" || whose == string(k.Tenant.ID) && (!both || name == k.Name)
}

// parseBasic reads a client's name and secret from the value of Authorization (RFC 7617). Both are encoded once more, as in a
// form (RFC 6749, section 2.3.1).
func parseBasic(v []byte) (id, secret string, ok bool) {
	scheme, text, _ := bytes.Cut(v, []byte(" "))
	if !bytes.EqualFold(scheme, []byte("Basic")) {
		return "", "", false
	}
	plain, err := base64.StdEncoding.DecodeString(string(bytes.Trim(text, " ")))
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(plain), ":")
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	return id, secret, ok && err1 == nil && err2 == nil
}

// parseScope reads the models that a client asks for, words of a scope (RFC 6749, section 3.3), and gives what allow allows of
// them; "" for "".
func parseScope(allow []gateway.Pattern, asked string) (string, error) {
	asked = strings.Trim(asked, " ")
	if asked == "" {
		return "", nil
	}
	list := strings.Split(asked, " ")
	for i, w := range list {
		if !isScopeWord(w) || slices.Contains(list[:i], w) || i == mostPatterns {
			return "", errScope
		}
	}
	granted := list[:0]
	for _, p := range narrowed(allow, list) {
		if isScopeWord(string(p)) {
			granted = append(granted, string(p))
		}
	}
	if len(granted) == 0 {
		return "", errScope
	}
	return strings.Join(granted, " "), nil
}

func isScopeWord(s string) bool {
	foreign := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
	return s != "" && !strings.ContainsFunc(s, foreign)
}

// words are the patterns in a scope.
func words(scope string) []gateway.Pattern {
	list := strings.Fields(scope)
	out := make([]gateway.Pattern, len(list))
	for i, w := range list {
		out[i] = gateway.Pattern(w)
	}
	return out
}

// narrowed is what both a key's rules and a list of patterns allow; an empty list leaves the rules as they are. It may be less
// than that, never more: of two patterns that only overlap, neither is taken.
func narrowed(allow []gateway.Pattern, asked []string) []gateway.Pattern {
	if len(asked) == 0 {
		return allow
	}
	var out []gateway.Pattern
	for _, s := range asked {
		p := gateway.Pattern(s)
		if len(allow) == 0 {
			out = append(out, p)
		}
		for _, q := range allow {
			switch { // in a name, a "*" is matched by one in a pattern alone
			case q.Match(s):
				out = append(out, p)
			case p.Match(string(q)):
				out = append(out, q)
			}
		}
	}
	if len(out) == 0 {
		return nothing
	}
	slices.Sort(out)
	return slices.Compact(out)
}
