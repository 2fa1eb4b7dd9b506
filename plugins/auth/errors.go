package auth

import (
	"context"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// how tells a caller how to send a key.
const how = `Send it as "Authorization: Bearer KEY", or in the header x-api-key.`

// Read-only, as all package-level errors.
var (
	errMissing   = invalid("The request has no API key. " + how + " The gateway's operator issues keys.")
	errScheme    = invalid("The Authorization header has another scheme than Bearer. " + how)
	errEmpty     = invalid("The Authorization header says Bearer, but no key follows. Is the variable that holds it set? " + how)
	errMalformed = invalid("The API key contains characters that no key has. " + how)
	errTooLong   = invalid("The API key is longer than 4096 bytes. No key is.")
	errMistyped  = invalid("The API key was mistyped or cut short: its checksum does not fit. Copy all of it again.")
	errUnknown   = invalid("The API key is not valid here. It may have been revoked, or belong to another gateway. " +
		"The gateway's operator issues keys.")

	errSeveral = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "several_credentials", Origin: gateway.OriginClient,
		Message: "The request has several different credentials. Send one, in Authorization, x-api-key or api-key.",
	}
	errClosed = &gateway.Error{
		Status: 404, Type: gateway.TypeInvalidRequest, Code: "unknown_endpoint", Origin: gateway.OriginClient,
		Message: "This endpoint is closed.",
	}
)

// Reasons to refuse a token. None tells more of it than who holds it can read in it, but that its signature is right.
var (
	errTokenLong      = invalidToken("The token is longer than 8192 bytes.")
	errTokenForm      = invalidToken("The token is not a JSON Web Token in the compact form, with a header and claims as they should be.")
	errTokenIssuer    = invalidToken("The token's issuer is not known here, or not for this audience or tenant.")
	errTokenAlgorithm = invalidToken("The token is not signed with an algorithm that its issuer uses here.")
	errTokenKey       = invalidToken("The token is signed with a key that its issuer does not have.")
	errTokenSignature = invalidToken("The token's signature is wrong.")
	errTokenTime      = invalidToken("The token is not valid at present: it has expired, or is for later.")
	errTokenClaims    = invalidToken("The token's claims do not say who calls, in the form that is configured.")
	errTokenRevoked   = invalidToken("The token's key or tenant is no longer valid.")
)

// errUnread is for who may be known to a store that could not be read yet.
var errUnread = &gateway.Error{
	Status: 503, Type: gateway.TypeServer, Code: "temporarily_unavailable", RetryAfter: time.Second,
	Message: "The gateway has begun, and does not know all of its keys yet. Try again in a moment.",
}

func invalid(message string) *gateway.Error {
	return &gateway.Error{
		Status: 401, Type: gateway.TypeInvalidRequest, Code: "invalid_api_key", Origin: gateway.OriginClient, Message: message,
	}
}

// invalidToken has the code by which clients of tokens know that they need a new one (RFC 6750, section 3.1).
func invalidToken(message string) *gateway.Error {
	e := invalid(message)
	e.Code = "invalid_token"
	return e
}

// expired tells only who has the key that it was one.
func expired(at time.Time) *gateway.Error {
	return invalid("The API key expired at " + at.UTC().Format(time.RFC3339) + ". The gateway's operator issues new ones.")
}

func tooManyGrants(wait time.Duration) *gateway.Error {
	return &gateway.Error{
		Status: 429, Type: gateway.TypeRateLimit, Code: "rate_limit_exceeded", Origin: gateway.OriginClient, RetryAfter: wait,
		Message: "This key was given as many tokens as it may be in a minute. Use a refresh token, or wait.",
	}
}

func tooMany(wait time.Duration) *gateway.Error {
	return &gateway.Error{
		Status: 429, Type: gateway.TypeRateLimit, Code: "too_many_failed_authentications", Origin: gateway.OriginClient, RetryAfter: wait,
		Message: "Too many requests with wrong keys came from this address. Keys that were used from it before still work.",
	}
}

// providerOut is for a token that cannot be verified, because its issuer's keys cannot be had, or the caller did not wait.
func providerOut(ctx context.Context, err error) *gateway.Error {
	if ctx.Err() != nil {
		return gateway.AsError(context.Cause(ctx))
	}
	return &gateway.Error{
		Status: 503, Type: gateway.TypeServer, Code: "identity_provider_unavailable", RetryAfter: pause, Err: err,
		Message: "The identity provider that issued the token cannot be reached to verify it.",
	}
}

// Errors of the token endpoints; their codes are those of RFC 6749, section 5.2.
var (
	errGrant     = oauthError("invalid_grant", "The refresh token is not valid: it has expired, was used before, or its key is no longer valid.")
	errGrantType = oauthError("unsupported_grant_type", "The grants are client_credentials and refresh_token.")
	errNoTokens  = oauthError("unsupported_grant_type", "This gateway gives no tokens: it has no pepper to sign them with.")
	errScope     = oauthError("invalid_scope", "The scope is no list of models, or of none that the client may use.")
)

func oauthError(code, message string) *gateway.Error {
	return &gateway.Error{Status: 400, Type: gateway.TypeInvalidRequest, Code: code, Origin: gateway.OriginClient, Message: message, NoRetry: true}
}

func invalidClient(message string) *gateway.Error {
	e := oauthError("invalid_client", message)
	e.Status = 401
	return e
}
