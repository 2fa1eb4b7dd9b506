package serve

import (
	"net/url"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
)

// table is every endpoint there is. A path that is not here does not exist, and a row without a policy serves nobody.
func table() []gateway.Endpoint {
	return []gateway.Endpoint{
		{Name: "chat.completions", Method: "POST", Path: "/v1/chat/completions", Forward: "/chat/completions", Dialect: "openai", Policy: gateway.Callers},
		{Name: "models.list", Method: "GET", Path: "/v1/models", Dialect: "openai", Policy: gateway.Callers},
		{Name: "models.retrieve", Method: "GET", Path: "/v1/models/{id}", Dialect: "openai", Policy: gateway.Callers},
	}
}

const parameter = "{id}" // at the end of a path: everything that follows, slashes included

// router finds endpoints by the raw path: as it came, neither decoded nor cleaned up, so that what is authorised is
// what was written. Other spellings of a path do not exist.
type router struct {
	exact    map[string][]*gateway.Endpoint
	prefixes []prefix
}

type prefix struct {
	path      string
	endpoints []*gateway.Endpoint
}

func newRouter(endpoints []gateway.Endpoint) *router {
	r := &router{exact: map[string][]*gateway.Endpoint{}}
	for i := range endpoints {
		e := &endpoints[i]
		path, ok := strings.CutSuffix(e.Path, parameter)
		if !ok {
			r.exact[path] = append(r.exact[path], e)
			continue
		}
		r.prefixes = append(r.prefixes, prefix{path, []*gateway.Endpoint{e}})
	}
	return r
}

// find gives the endpoints of a path, one a method, and the path's parameter as it was written.
func (r *router) find(path []byte) (endpoints []*gateway.Endpoint, param []byte) {
	if e := r.exact[string(path)]; e != nil {
		return e, nil
	}
	for _, p := range r.prefixes {
		if len(path) > len(p.path) && string(path[:len(p.path)]) == p.path {
			return p.endpoints, path[len(p.path):]
		}
	}
	return nil, nil
}

// method picks the endpoint for a method; nil if the path has none.
func method(endpoints []*gateway.Endpoint, name []byte) *gateway.Endpoint {
	for _, e := range endpoints {
		if e.Method == string(name) {
			return e
		}
	}
	return nil
}

// methods lists what a path allows, for the Allow header.
func methods(endpoints []*gateway.Endpoint) string {
	names := make([]string, len(endpoints))
	for i, e := range endpoints {
		names[i] = e.Method
	}
	return strings.Join(append(names, "OPTIONS"), ", ")
}

// rawPath is the path of a request target as it was written, without the query: of the origin form, or of the absolute
// form that clients use towards proxies (RFC 9112, section 3.2).
func rawPath(target []byte) []byte {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(target) > len(scheme) && strings.EqualFold(string(target[:len(scheme)]), scheme) {
			rest := target[len(scheme):]
			for i, c := range rest {
				if c == '/' || c == '?' {
					rest = rest[i:]
					break
				}
			}
			target = rest
			break
		}
	}
	for i, c := range target {
		if c == '?' {
			return target[:i]
		}
	}
	return target
}

// decodeParam undoes percent-encoding once: clients write Qwen/Qwen3-8B as Qwen%2FQwen3-8B.
func decodeParam(raw []byte) (string, bool) {
	s, err := url.PathUnescape(string(raw))
	return s, err == nil
}
