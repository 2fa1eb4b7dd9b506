package serve

import (
	"bytes"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Header names in the canonical form that fasthttp writes without looking at them.
var (
	hRequestID      = []byte("X-Request-Id")
	hAnthropicID    = []byte("Request-Id")
	hProvider       = []byte("X-Sluice-Provider")
	hModel          = []byte("X-Sluice-Model")
	hAttempts       = []byte("X-Sluice-Attempts")
	hMaxTokens      = []byte("X-Sluice-Max-Tokens")
	hCost           = []byte("X-Sluice-Cost-Usd")
	hCacheControl   = []byte("Cache-Control")
	hPragma         = []byte("Pragma")
	hAccelBuffering = []byte("X-Accel-Buffering")
	noCache         = []byte("no-cache")
	noBuffering     = []byte("no")
	noStore         = []byte("no-store")
)

var (
	errNoReply = &gateway.Error{
		Status: 500, Type: gateway.TypeServer, Code: "no_reply",
		Message: "No plugin of the chain has answered. The request id leads to the cause in the gateway's log.",
	}
	errNoTokens = &gateway.Error{
		Status: 404, Type: gateway.TypeInvalidRequest, Code: "unknown_endpoint", Origin: gateway.OriginClient, NoRetry: true,
		Message: "This gateway issues no tokens. Its operator can switch that on in the settings of \"auth\".",
	}
	errHTTP10 = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "http_version", Param: "stream", Origin: gateway.OriginClient,
		Message: "Streaming needs HTTP/1.1. Ask again without \"stream\", or with a newer client.",
	}
	errLength = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "http_version", Origin: gateway.OriginClient,
		Message: "Answers whose length is not known beforehand need HTTP/1.1. Ask again with a newer client.",
	}
	errPath = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "bad_path", Origin: gateway.OriginClient,
		Message: "The path's percent-encoding is malformed.",
	}
	errID = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "bad_path", Origin: gateway.OriginClient,
		Message: "What stands for the id in the path is none: it contains characters that no id has.",
	}
	errQuery = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "bad_query", Origin: gateway.OriginClient,
		Message: "The query contains characters that no URL has, or malformed percent-encoding.",
	}
	errLongQuery = &gateway.Error{
		Status: 414, Type: gateway.TypeInvalidRequest, Code: "bad_query", Origin: gateway.OriginClient,
		Message: "The query is longer than 2048 bytes.",
	}
	errCredential = &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "credential_in_query", Origin: gateway.OriginClient,
		Message: "The query contains a credential. URLs end up in logs: send it as \"Authorization: Bearer KEY\", and replace it.",
	}
	errLateModel = &gateway.Error{
		Status: 413, Type: gateway.TypeInvalidRequest, Code: "request_too_large", Param: "model", Origin: gateway.OriginClient,
		Message: "The form is too large to be held until its model is known. Put the field \"model\" before the file: files behind " +
			"it may be larger.",
	}
	errEncoded = &gateway.Error{
		Status: 415, Type: gateway.TypeInvalidRequest, Code: "unsupported_encoding", Origin: gateway.OriginClient,
		Message: "Compressed request bodies are not supported. Send the body without Content-Encoding.",
	}
	errBusy = &gateway.Error{
		Status: 503, Type: gateway.TypeServer, Code: gateway.CodeBusy, RetryAfter: time.Second,
		Message: "The gateway holds too many bytes of requests at the moment. Try again shortly.",
	}
	errShort = &gateway.Error{
		Status: 503, Type: gateway.TypeServer, Code: gateway.CodeBusy, RetryAfter: time.Second,
		Message: "The gateway is short of memory at the moment. Try again shortly.",
	}
)

// render makes an error the response, but for its body, which it gives: the only place where one is made.
func render(ctx *fasthttp.RequestCtx, id string, d *wire.Dialect, e *gateway.Error) (body []byte) {
	ctx.Response.ResetBody()
	h := &ctx.Response.Header
	h.SetStatusCode(e.Status)
	h.SetContentType("application/json")
	setID(h, d, id)
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
		h.Set("Retry-After-Ms", strconv.FormatInt(e.RetryAfter.Milliseconds(), 10))
	}
	if e.NoRetry {
		h.Set("X-Should-Retry", "false")
	}
	if e.Status == fasthttp.StatusUnauthorized {
		h.Set("Www-Authenticate", challenge(d, e))
	}
	if d == wire.OAuth {
		secret(h)
	}
	return d.AppendError(nil, Said(e, id))
}

// challenge says how to authenticate: of a token that is no good, that it is that (RFC 6750, section 3.1), and where tokens are
// issued, as clients of OAuth do (RFC 6749, section 5.2).
func challenge(d *wire.Dialect, e *gateway.Error) string {
	switch {
	case d == wire.OAuth:
		return `Basic realm="sluice", charset="UTF-8"`
	case e.Code == codeInvalidToken:
		return `Bearer error="invalid_token"`
	}
	return "Bearer"
}

// codeInvalidToken is the code of the error for a token that has expired, was revoked, or is none of ours.
const codeInvalidToken = "invalid_token"

// secret keeps a response with a token in it out of all caches (RFC 6749, section 5.1).
func secret(h *fasthttp.ResponseHeader) {
	h.SetCanonical(hCacheControl, noStore)
	h.SetCanonical(hPragma, noCache)
}

// Said is what a caller is told of an error.
func Said(e *gateway.Error, id string) chat.Error {
	return chat.Error{Message: e.Message, Type: e.Type, Param: e.Param, Code: e.Code, Status: e.Status, RequestID: id}
}

// setID tells the request's id, to clients of Anthropic's API also where they look for it.
func setID(h *fasthttp.ResponseHeader, d *wire.Dialect, id string) {
	h.SetCanonical(hRequestID, []byte(id))
	if d == wire.Anthropic {
		h.SetCanonical(hAnthropicID, []byte(id))
	}
}

// noEndpoint is the error for a path that does not exist, or not with this method.
func (s *Server) noEndpoint(ctx *fasthttp.RequestCtx, endpoints []*gateway.Endpoint) *gateway.Error {
	e := &gateway.Error{
		Status: 404, Type: gateway.TypeInvalidRequest, Code: "unknown_endpoint", Origin: gateway.OriginClient,
		Message: "There is no such endpoint. The API is below /v1, for example POST /v1/chat/completions.",
	}
	if len(endpoints) > 0 {
		allowed := methods(endpoints)
		ctx.Response.Header.Set("Allow", allowed)
		e.Status, e.Code = 405, "method_not_allowed"
		e.Message = "This endpoint does not know the method. It allows " + allowed + "."
	}
	return e
}

// suspicious refuses what two HTTP parsers may read in two ways (RFC 9112, sections 2.3, 3.2, 5.2 and 6.1), which fasthttp
// lets pass: request smuggling lives on the difference.
func (s *Server) suspicious(ctx *fasthttp.RequestCtx) *gateway.Error {
	h := &ctx.Request.Header
	if p := string(h.Protocol()); p != "HTTP/1.1" && p != "HTTP/1.0" {
		return &gateway.Error{
			Status: 505, Type: gateway.TypeInvalidRequest, Code: "http_version", Origin: gateway.OriginClient,
			Message: "The gateway speaks HTTP/1.1.",
		}
	}
	reason := ambiguity(h.RawHeaders(), h.ContentLength() == -1)
	switch {
	case below(ctx.Conn()).lines.bare:
		reason = errBareLF.Error()
	case bytes.IndexByte(h.RequestURI(), '#') >= 0:
		reason = "its target has a fragment" // of the path for some, the path's end for others
	}
	if reason == "" {
		return nil
	}
	return &gateway.Error{
		Status: 400, Type: gateway.TypeInvalidRequest, Code: "bad_request", Origin: gateway.OriginClient,
		Message: ambiguous(reason),
	}
}

func ambiguous(reason string) string { return "The request is ambiguous: " + reason + "." }

var lineEnd = []byte("\r\n")

// ambiguity goes over the header lines once; "" if they can be read in one way only. Repeated credentials count,
// because who takes the first and who takes the last would see two callers.
func ambiguity(raw []byte, chunked bool) string {
	bearers, keys := 0, 0
	for line := range bytes.Lines(raw) {
		if !bytes.HasSuffix(line, lineEnd) {
			return errBareLF.Error()
		}
		switch line[0] {
		case ' ', '\t':
			return "a header line is folded"
		case 'c', 'C':
			if chunked && isField(line, "content-length") {
				return "it has both Content-Length and Transfer-Encoding"
			}
		case 'a', 'A', 'x', 'X':
			switch {
			case isField(line, "authorization"):
				bearers++
			case isField(line, "x-api-key"), isField(line, "api-key"):
				keys++
			}
		}
	}
	if bearers > 1 || keys > 1 {
		return "it has a credential twice"
	}
	return ""
}

// isField says whether a line has a field name, which is given in lower case.
func isField(line []byte, name string) bool {
	if len(line) <= len(name) || line[len(name)] != ':' {
		return false
	}
	for i := range len(name) {
		c := line[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}
