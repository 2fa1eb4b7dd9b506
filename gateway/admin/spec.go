package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Spec is what is shown of what a tenant file holds, in the words of the file. What is not among these members is kept, but not
// shown: a member that is added there is secret until it is added here.
type Spec struct {
	Name         string       `json:"name,omitempty"`
	Disabled     bool         `json:"disabled,omitempty"`
	Models       ModelRules   `json:"models,omitzero"`
	Credentials  []Credential `json:"credentials,omitempty"`
	Priority     string       `json:"priority,omitempty"`
	Overrides    []string     `json:"overrides,omitempty"`
	Limits       TenantLimits `json:"limits,omitzero"`
	Budgets      []Budget     `json:"budgets,omitempty"`
	Cache        CacheRules   `json:"cache,omitzero"`
	CORS         CORS         `json:"cors,omitzero"`
	TraceContent bool         `json:"trace_content,omitempty"`
	JWT          *JWT         `json:"jwt,omitempty"`
}

// ModelRules say which models may be used.
type ModelRules struct {
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// Credential is a tenant's own account at a provider, without its key.
type Credential struct {
	Provider string `json:"provider"`
	BaseURL  string `json:"base_url,omitempty"`
}

// Limits bound what is asked for.
type Limits struct {
	RequestsPerMinute int64 `json:"requests_per_minute,omitempty"`
	TokensPerMinute   int64 `json:"tokens_per_minute,omitempty"`
	Concurrent        int64 `json:"concurrent,omitempty"`
}

// TenantLimits are a tenant's, all in all and in parts.
type TenantLimits struct {
	Limits

	EachKey  Limits        `json:"each_key,omitzero"`
	EachUser Limits        `json:"each_user,omitzero"`
	Models   []ModelLimits `json:"models,omitempty"`
}

// ModelLimits are those of each model that a pattern describes.
type ModelLimits struct {
	Model string `json:"model"`
	Limits
}

// Budget is money that may be spent.
type Budget struct {
	USD       Text   `json:"usd"`
	Per       string `json:"per"`
	Mode      string `json:"mode,omitempty"`
	Of        string `json:"of,omitempty"`
	WarnAt    []Text `json:"warn_at,omitempty"`
	Downgrade string `json:"downgrade,omitempty"`
}

// CacheRules say what is kept of a tenant's answers.
type CacheRules struct {
	Scope    string `json:"scope,omitempty"`
	Semantic *bool  `json:"semantic,omitempty"`
	Stale    *bool  `json:"stale,omitempty"`
}

// CORS says which web pages may call.
type CORS struct {
	Origins []string `json:"origins,omitempty"`
}

// JWT is a tenant's own identity provider.
type JWT struct {
	Issuer     string `json:"issuer"`
	Audience   Texts  `json:"audience,omitempty"`
	Algorithms Texts  `json:"algorithms,omitempty"`
	JWKSURL    string `json:"jwks_url,omitempty"`
	Claims     Claims `json:"claims,omitzero"`
}

// Claims are the names of those that say more of a caller.
type Claims struct {
	User   string `json:"user,omitempty"`
	Models string `json:"models,omitempty"`
	Limits string `json:"limits,omitempty"`
	Tenant string `json:"tenant,omitempty"`
}

// Text is a value that may be written as a text or as a number: 250 or "250.00".
type Text string

// UnmarshalJSON keeps what is written, without its quotes.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	*t = Text(n)
	return nil
}

// Texts are several, or one by itself.
type Texts []string

// UnmarshalJSON reads a list, or one text.
func (t *Texts) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = Texts{""}
		return json.Unmarshal(b, &(*t)[0])
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// specOf is what is shown of a tenant's spec. One that another version wrote, and that does not fit, is not shown at all.
func specOf(spec []byte) Spec {
	var s Spec
	if len(spec) == 0 || json.Unmarshal(spec, &s) != nil {
		return Spec{}
	}
	return s
}

// members is a JSON object by its members: what is not known here passes through.
type members map[string]json.RawMessage

const maxSpec = 256 << 10 // bytes

// body reads a JSON object that is all of the request's body.
func (c *call) body(v any) error {
	text, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxSpec))
	if err != nil {
		if _, long := errors.AsType[*http.MaxBytesError](err); long {
			return err
		}
		return invalidJSON(err.Error())
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return invalidJSON(err.Error())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalidJSON("there is more than one value")
	}
	return nil
}

// optionalBody is body, but nothing stands for {}.
func (c *call) optionalBody(v any) error {
	if c.r.ContentLength == 0 {
		return nil
	}
	return c.body(v)
}

func invalidJSON(why string) error {
	return &apiError{http.StatusBadRequest, "invalid_json", "The body is not what is expected: " + why + "."}
}

// specFrom is the spec of a tenant with a body's members: what a file holds, but for what cannot be here.
func specFrom(id tenant.ID, m members) ([]byte, error) {
	var said tenant.ID
	if raw, ok := m["id"]; ok && (json.Unmarshal(raw, &said) != nil || said != id) {
		return nil, &apiError{http.StatusBadRequest, "invalid_tenant", "The id in the body is not that of the path."}
	}
	if _, ok := m["keys"]; ok {
		return nil, &apiError{http.StatusBadRequest, "invalid_tenant", "Keys are not part of this: POST /admin/v1/tenants/" + string(id) + "/keys makes them."}
	}
	if _, ok := m["credentials"]; ok {
		return nil, &apiError{http.StatusBadRequest, "invalid_tenant", "The store keeps no providers' keys: a tenant with credentials must be a file."}
	}
	m["id"] = quoted(string(id))
	if _, ok := m["version"]; !ok {
		m["version"] = json.RawMessage("1")
	}
	spec, err := json.Marshal(m)
	if err != nil {
		return nil, invalidJSON(err.Error())
	}
	if refers(spec) {
		return nil, &apiError{http.StatusBadRequest, "invalid_tenant", "References (${env:…}, ${file:…}) are for files: who writes here is not to read what is on the gateway's machine."}
	}
	return spec, nil
}

func quoted(s string) json.RawMessage {
	text, _ := json.Marshal(s) // of a text: it does not fail
	return text
}

// refers says whether a text of a JSON value, or a member's name, could be a reference to a variable or a file.
func refers(value []byte) bool {
	d := json.NewDecoder(bytes.NewReader(value))
	for {
		token, err := d.Token()
		if err != nil {
			return !errors.Is(err, io.EOF)
		}
		if text, ok := token.(string); ok && strings.Contains(text, "${") {
			return true
		}
	}
}

// check asks whether a tenant would do as a file.
func (c *call) check(t store.Tenant) error {
	if c.s.o.Check == nil {
		return nil
	}
	if err := c.s.o.Check(t); err != nil {
		return &apiError{http.StatusBadRequest, "invalid_tenant", err.Error()}
	}
	return nil
}

// sum is the digest by which the audit names what something was.
func sum(text []byte) string {
	d := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(d[:])
}
