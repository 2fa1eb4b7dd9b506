package socket

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// The subprotocols of chat. A browser can send no header with an upgrade, but names of protocols: so it tells its token by one,
// which is never selected and so never told again.
const (
	chatProtocol = "sluice.v1"
	tokenPrefix  = "sluice.token."
)

// longestToken is for how long a credential may be good that a browser holds.
const longestToken = 24 * time.Hour

func longLived(c *gateway.Caller) bool {
	return c.Expires.IsZero() || c.Expires.After(time.Now().Add(longestToken))
}

// fields are the headers of an upgrade, for the exchanges that come of it. Immutable.
type fields struct {
	lines []byte // those that say something of an exchange, each with its line end
	token string // the credential, if it came in a message or as a subprotocol; "": that of lines
}

var (
	_ gateway.Header = (*fields)(nil)
	_ gateway.Begins = (*fields)(nil)
	_ gateway.Joins  = (*fields)(nil)
)

// dropped are the headers that are about the upgrade, or about one request, and not about each message. Cookies are of no use to
// anybody behind the gateway. Browsers ask of every upgrade that no cache answers it (its cache mode in Fetch is no-store), which
// would keep each message from the gateway's; x-sluice-cache is what means that one.
var dropped = []string{
	"connection", "upgrade", "host", "cookie", "accept-encoding", "content-length", "transfer-encoding", "idempotency-key",
	"x-client-request-id", "openai-beta", "cache-control", "pragma",
}

var credentials = []string{"authorization", "x-api-key", "api-key"}

// copyFields copies what exchanges need. asked are the subprotocols that the client offers, without its token.
func copyFields(lines []byte, h gateway.Header) (f *fields, asked []string, e *gateway.Error) {
	f = &fields{}
	for offered := range strings.SplitSeq(joined(h, "Sec-WebSocket-Protocol"), ",") {
		offered = strings.TrimSpace(offered)
		token, is := strings.CutPrefix(offered, tokenPrefix)
		switch {
		case is && (f.token != "" || token == ""):
			return nil, nil, errTokens
		case is:
			f.token = token
		case offered != "":
			asked = append(asked, offered)
		}
	}
	for line := range bytes.Lines(lines) {
		name := strings.ToLower(string(nameOf(line)))
		credential := slices.Contains(credentials, name)
		if credential && f.token != "" {
			return nil, nil, errTokens
		}
		if name != "" && !slices.Contains(dropped, name) && !strings.HasPrefix(name, "sec-websocket-") {
			f.lines = append(f.lines, line...)
		}
	}
	f.lines = slices.Clip(f.lines)
	if (f.token != "" || len(asked) > 0) && !slices.Contains(asked, chatProtocol) {
		return nil, nil, errProtocol // a browser would give up without a reason
	}
	return f, asked, nil
}

func joined(h gateway.Header, name string) string {
	if j, ok := h.(gateway.Joins); ok {
		return string(j.Join(name))
	}
	return string(h.Get(name))
}

// renewed are the headers with another credential.
func (f *fields) renewed(token string) *fields {
	n := &fields{token: token}
	for line := range bytes.Lines(f.lines) {
		if !slices.Contains(credentials, strings.ToLower(string(nameOf(line)))) {
			n.lines = append(n.lines, line...)
		}
	}
	return n
}

func nameOf(line []byte) []byte {
	name, _, _ := bytes.Cut(line, []byte(":"))
	return bytes.TrimSpace(name)
}

func valueOf(line []byte) []byte {
	_, value, _ := bytes.Cut(line, []byte(":"))
	return bytes.TrimSpace(value)
}

// Get implements gateway.Header.
func (f *fields) Get(name string) []byte {
	if f.token != "" && strings.EqualFold(name, "Authorization") {
		return []byte("Bearer " + f.token)
	}
	for line := range bytes.Lines(f.lines) {
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return valueOf(line)
		}
	}
	return nil
}

// Join implements gateway.Joins.
func (f *fields) Join(name string) []byte {
	var all [][]byte
	for line := range bytes.Lines(f.lines) {
		if bytes.EqualFold(nameOf(line), []byte(name)) {
			all = append(all, valueOf(line))
		}
	}
	return bytes.Join(all, []byte(", "))
}

// Begins implements gateway.Begins.
func (f *fields) Begins(prefix string) bool {
	for line := range bytes.Lines(f.lines) {
		if len(line) >= len(prefix) && bytes.EqualFold(line[:len(prefix)], []byte(prefix)) {
			return true
		}
	}
	return false
}

var (
	errOrigin = &gateway.Error{
		Status: 403, Type: gateway.TypePermission, Code: "origin_not_allowed", Origin: gateway.OriginClient, NoRetry: true,
		Message: "Browsers may not call the gateway from this origin. Its operator can add it under cors.origins.",
	}
	errTokens = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "several_credentials", Origin: gateway.OriginClient, NoRetry: true,
		Message: "The handshake carries more than one credential. Send the token as the subprotocol \"" + tokenPrefix + "TOKEN\", or as a header, and once.",
	}
	errProtocol = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "unknown_subprotocol", Origin: gateway.OriginClient, NoRetry: true,
		Message: "The gateway knows the subprotocol \"" + chatProtocol + "\". Offer it, beside your token or alone.",
	}
	errLongLived = &gateway.Error{
		Status: 401, Type: gateway.TypeInvalidRequest, Code: "invalid_api_key", Origin: gateway.OriginClient, NoRetry: true,
		Message: "What browsers hold must expire within a day: ask /oauth/token for an access token, and send that instead of a key.",
	}
)
