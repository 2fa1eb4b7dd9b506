package gateway

// Issuer is an identity provider whose JSON Web Tokens (RFC 7519) stand for keys. Immutable.
type Issuer struct {
	URL        string   // "iss" of its tokens, compared byte by byte
	Audiences  []string // "aud" of its tokens has one of them
	Algorithms []string // that it signs with: RS256, PS256, ES256, EdDSA and their kin. Others are refused, whatever stands here
	JWKS       string   // URL of its key set (RFC 7517)
	Private    bool     // JWKS may be at an address that is not public, and need not be encrypted
	Claims     ClaimNames
	Tenant     *Tenant // whose callers it knows; nil: a claim tells
}

// ClaimNames are the claims, members of a token's payload, that say more of a caller; those that have no name are not read.
type ClaimNames struct {
	Tenant string // its id. With Issuer.Tenant it must be just that one
	User   string // the end user, a string
	Models string // patterns of the models that may be used, beside the tenant's rules: a list, or a string with spaces
	Limits string // an object with any of "rpm", "tpm" and "concurrent", beside all other limits
}

// Issuers are the tenants' identity providers of one name.
func (d *Directory) Issuers(url string) []*Issuer { return d.issuers[url] }
