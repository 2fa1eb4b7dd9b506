package serve

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
)

// Parameters of paths, at most one in each.
const (
	parameter  = "{id}"    // one segment
	parameters = "{id...}" // all that follows: names of models contain slashes
)

// router finds endpoints by the raw path: as it came, neither decoded nor cleaned up, so that what is authorised is
// what was written. Other spellings of a path do not exist.
type router struct {
	exact    map[string][]*gateway.Endpoint
	patterns []*pattern
}

// pattern is a path with a parameter in it.
type pattern struct {
	path, before, behind string
	slashes              bool // the parameter may contain some
	endpoints            []*gateway.Endpoint
}

func newRouter(endpoints []gateway.Endpoint) *router {
	r := &router{exact: map[string][]*gateway.Endpoint{}}
	for i := range endpoints {
		e := &endpoints[i]
		p := &pattern{path: e.Path}
		var found bool
		if p.before, p.behind, found = strings.Cut(e.Path, parameter); !found {
			p.before, p.slashes = strings.CutSuffix(e.Path, parameters)
		}
		if !found && !p.slashes {
			r.exact[e.Path] = append(r.exact[e.Path], e)
			continue
		}
		if at := slices.IndexFunc(r.patterns, func(q *pattern) bool { return q.path == p.path }); at >= 0 {
			p = r.patterns[at]
		} else {
			r.patterns = append(r.patterns, p)
		}
		p.endpoints = append(p.endpoints, e)
	}
	return r
}

// find gives the endpoints of a path, and the path's parameter as it was written.
func (r *router) find(path []byte) (endpoints []*gateway.Endpoint, param []byte) {
	if e := r.exact[string(path)]; e != nil {
		return e, nil
	}
	for _, p := range r.patterns {
		rest, ok := bytes.CutPrefix(path, []byte(p.before))
		if !ok {
			continue
		}
		param, ok = bytes.CutSuffix(rest, []byte(p.behind))
		if ok && len(param) > 0 && (p.slashes || bytes.IndexByte(param, '/') < 0) {
			return p.endpoints, param
		}
	}
	return nil, nil
}

// anthropicVersion is what clients of Anthropic's API send, and nobody else.
const anthropicVersion = "Anthropic-Version"

// pick finds the endpoint for a request's method; nil if the path has none. Of several the client's dialect decides.
func pick(endpoints []*gateway.Endpoint, h *fasthttp.RequestHeader) *gateway.Endpoint {
	var found *gateway.Endpoint
	for _, e := range endpoints {
		if e.Method != string(h.Method()) {
			continue
		}
		if found == nil || e.Dialect == wire.Anthropic.Name && len(h.Peek(anthropicVersion)) > 0 {
			found = e
		}
	}
	return found
}

// dialectOf is the dialect of what does not become an exchange: the one spoken at its path, or around there.
func (r *router) dialectOf(h *fasthttp.RequestHeader) *wire.Dialect {
	path, _ := splitTarget(h.RequestURI())
	endpoints, _ := r.find(path)
	if endpoints == nil {
		for area, e := range r.exact {
			if below, ok := bytes.CutPrefix(path, []byte(area)); ok && below[0] == '/' { // and not the same
				endpoints = e
			}
		}
	}
	theirs := func(e *gateway.Endpoint) bool { return e.Dialect == wire.Anthropic.Name }
	switch {
	case len(h.Peek(anthropicVersion)) > 0 && (endpoints == nil || slices.ContainsFunc(endpoints, theirs)):
		return wire.Anthropic
	case endpoints == nil:
		return wire.OpenAI
	}
	return wire.ByName(endpoints[0].Dialect)
}

// methods lists what a path allows, for the Allow header.
func methods(endpoints []*gateway.Endpoint) string {
	names := make([]string, 0, len(endpoints)+1)
	for _, e := range endpoints {
		if !slices.Contains(names, e.Method) {
			names = append(names, e.Method)
		}
	}
	return strings.Join(append(names, "OPTIONS"), ", ")
}

// splitTarget is the path of a request target as it was written, and its query: of the origin form, or of the absolute
// form that clients use towards proxies (RFC 9112, section 3.2).
func splitTarget(target []byte) (path, query []byte) {
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
	path, query, _ = bytes.Cut(target, []byte("?"))
	return path, query
}

// decodeParam undoes the percent-encoding of a parameter once: clients write Qwen/Qwen3-8B as Qwen%2FQwen3-8B.
func decodeParam(e *gateway.Endpoint, raw []byte) (string, *gateway.Error) {
	s, err := url.PathUnescape(string(raw))
	if err != nil {
		return "", errPath
	}
	if own, _ := gateway.SplitID(s); e.Forward != "" && (own == "" || own == "." || own == ".." || strings.ContainsFunc(s, notInSegment)) {
		return "", errID
	}
	return s, nil
}

// notInSegment says whether a character must not stand in a segment of a path as it is (RFC 3986, section 3.3).
func notInSegment(r rune) bool {
	return !alphanumeric(r) && !strings.ContainsRune("-._~!$&'()*+,;=:@", r)
}

func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

const longestQuery = 2 << 10 // bytes

// checkQuery refuses what a URL cannot contain (RFC 3986, section 3.4; brackets are common all the same), and credentials,
// which do not belong where every log shows them, and are not for the provider.
func checkQuery(query string) *gateway.Error {
	if len(query) > longestQuery {
		return errLongQuery
	}
	if strings.ContainsFunc(query, func(r rune) bool { return notInSegment(r) && !strings.ContainsRune("/?%[]", r) }) {
		return errQuery
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return errQuery
		}
		if _, err := url.QueryUnescape(value); err != nil {
			return errQuery
		}
		switch strings.ToLower(strings.ReplaceAll(name, "-", "_")) {
		case "key", "api_key", "apikey", "x_api_key", "access_token", "refresh_token", "client_secret", "authorization":
			return errCredential
		}
	}
	return nil
}
