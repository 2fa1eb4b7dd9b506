package auth

import (
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

func invalid(message string) *gateway.Error {
	return &gateway.Error{
		Status: 401, Type: gateway.TypeInvalidRequest, Code: "invalid_api_key", Origin: gateway.OriginClient, Message: message,
	}
}

// expired tells only who has the key that it was one.
func expired(at time.Time) *gateway.Error {
	return invalid("The API key expired at " + at.UTC().Format(time.RFC3339) + ". The gateway's operator issues new ones.")
}
