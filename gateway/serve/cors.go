package serve

import (
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/sluice-ai/sluice/gateway"
)

// exposed are the response headers that a browser's script may read.
const exposed = "X-Request-Id, Request-Id, X-Sluice-Provider, X-Sluice-Model, X-Sluice-Attempts, X-Sluice-Max-Tokens, X-Sluice-Cost-Usd, X-Sluice-Dropped, " +
	"X-Ratelimit-Limit-Requests, X-Ratelimit-Limit-Tokens, X-Ratelimit-Remaining-Requests, X-Ratelimit-Remaining-Tokens, " +
	"X-Ratelimit-Reset-Requests, X-Ratelimit-Reset-Tokens, Anthropic-Ratelimit-Requests-Limit, Anthropic-Ratelimit-Requests-Remaining, " +
	"Anthropic-Ratelimit-Requests-Reset, Anthropic-Ratelimit-Tokens-Limit, Anthropic-Ratelimit-Tokens-Remaining, " +
	"Anthropic-Ratelimit-Tokens-Reset, Retry-After, Retry-After-Ms, X-Should-Retry"

// preflight answers a browser that asks whether it may ask. It comes before authentication, because a preflight never
// carries credentials (Fetch standard, CORS-preflight request).
func (s *Server) preflight(ctx *fasthttp.RequestCtx) bool {
	if !ctx.IsOptions() {
		return false
	}
	path, _ := splitTarget(ctx.Request.Header.RequestURI())
	endpoints, _ := s.router.find(path)
	if len(endpoints) == 0 {
		return false
	}
	h := &ctx.Response.Header
	h.Set("Allow", methods(endpoints))
	h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	origin := string(ctx.Request.Header.Peek("Origin"))
	if origin == "" {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return true
	}
	g := s.generations.Acquire()
	allowed := g.Directory().AllowsOrigin(origin, nil)
	g.Release()
	if !allowed {
		s.refuse(ctx, &gateway.Error{
			Status: 403, Type: gateway.TypePermission, Code: "origin_not_allowed", Origin: gateway.OriginClient,
			Message: "Browsers may not call the gateway from this origin. Its operator can add it under cors.origins.",
		})
		return true
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", methods(endpoints))
	if asked := string(ctx.Request.Header.Peek("Access-Control-Request-Headers")); asked != "" && !strings.ContainsAny(asked, "\r\n") {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return true
}

// cors lets the browser show a reply to the page that asked. Before auth has found a tenant, any tenant's origin will
// do: the page must be able to read the 401.
func (k *call) cors() { allowOrigin(k.ctx, k.Directory, k.Caller.Tenant) }

// allowOrigin names the origin of the request if the reply may be shown there. That replies depend on it is said also
// where the request has none: a shared cache would otherwise give them to pages, without the permission to read them
// (Fetch standard, CORS protocol and HTTP caches).
func allowOrigin(ctx *fasthttp.RequestCtx, d *gateway.Directory, t *gateway.Tenant) {
	if !d.HasOrigins() {
		return
	}
	h := &ctx.Response.Header
	h.Add("Vary", "Origin")
	origin := ctx.Request.Header.Peek("Origin")
	if len(origin) > 0 && d.AllowsOrigin(string(origin), t) {
		h.SetBytesV("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", exposed)
	}
}
