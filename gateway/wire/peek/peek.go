// Package peek reads what steers a request without decoding it, and splices changes in without touching another byte.
//
// Scan is one strict pass over the body. What two JSON parsers could read differently it refuses, because the gateway
// checks rights and prices by what it reads while the upstream acts on what it reads: repeated keys, other spellings of
// the keys that steer, invalid UTF-8, lone surrogates, anything behind the object. Numbers, white space, the order of
// members and unknown members stay as the caller wrote them.
//
// Find, Each, Elements, Int and String read replies and events from upstreams with the same scanner, but forgive what is
// harmless there: lone surrogates and repeated keys.
package peek

import (
	"bytes"
	"math"
	"strings"
	"unicode/utf8"
)

// Fields are what steers a request. Positions are byte offsets into the scanned body; none of them keeps the body alive.
type Fields struct {
	Model                 string // as the caller means it: decoded
	ModelAt, ModelEnd     int    // the quoted value: body[ModelAt:ModelEnd] is `"gpt-4"`; both 0 if absent
	Stream                bool
	N                     int         // "n"; 0 if absent or null
	MaxTokens             int64       // max_completion_tokens, else max_tokens; 0 if absent or null
	OptionsAt, OptionsEnd int         // the value of stream_options, an object or null; both 0 if absent
	IncludeUsage          bool        // stream_options.include_usage is true
	UsageAt, UsageEnd     int         // the value of stream_options.include_usage; both 0 if absent
	LimitAt               [Limits]int // where the value of each limit of the answer begins; 0 if absent
	Open                  int         // just behind the opening brace of the body
	Empty                 bool        // the object has no members

	bare bool // stream_options is null or has no members
}

// Members of a request that limit the answer, in [Fields.LimitAt].
const (
	MaxCompletionTokens = iota
	MaxTokens
	MaxOutputTokens
	Limits // their number
)

// Scan checks the whole body and finds what steers. The error is an *Error; only when its Kind is Missing are the Fields
// complete all the same. It allocates the model's name; more only for escaped keys of over 64 bytes, for bodies with more
// than 64 members open at once, and for errors.
//
// It refuses
//   - what is not one JSON object by RFC 8259: bad syntax, trailing data, invalid UTF-8, a byte order mark;
//   - lone surrogate escapes, which decoders replace, keep or refuse;
//   - nesting beyond MaxDepth, and more than MaxKeys members in objects that are open at once;
//   - the same key twice in one object at any depth, however it is escaped;
//   - keys that steer (model, stream, stream_options and its include_usage, n, max_tokens, max_completion_tokens,
//     max_output_tokens, user, service_tier) in other letter case, which Go's encoding/json takes for the key, or with escapes;
//   - a model's name with escapes, but for \/ and those of characters outside ASCII;
//   - values of the wrong type: a model that is no string or empty; stream and include_usage other than a boolean or null;
//     n other than a positive whole number (below 2^31) or null; token limits other than a whole number or null;
//     stream_options other than an object or null;
//   - a body without a model.
func Scan(body []byte) (Fields, error) {
	var f Fields
	var few [fewKeys]key
	s := scanner{b: body, strict: true, keys: few[:0], steer: &f}
	if !s.body() {
		return Fields{}, s.err()
	}
	if f.ModelAt == 0 {
		s.fail(f.Open, noModel, toModel)
		return f, s.err()
	}
	return f, nil
}

// body reads a request's body, all of it.
func (s *scanner) body() bool {
	i := s.space(0)
	switch {
	case i == len(s.b):
		i = s.fail(i, empty, noRoute)
	case s.b[i] == '{':
		s.steer.Open = i + 1
		i = s.object(i, inBody)
	case bytes.HasPrefix(s.b[i:], []byte("\xef\xbb\xbf")):
		i = s.fail(i, byteOrderMark, noRoute)
	default:
		i = s.fail(i, noObject, noRoute)
	}
	return i >= 0 && s.end(i)
}

// place says which object's members steer.
type place uint8

const (
	elsewhere place = iota
	inBody
	inOptions
)

// route is a key that steers, and where.
type route uint8

const (
	noRoute route = iota
	toModel
	toStream
	toOptions
	toN
	toMaxTokens
	toMaxCompletionTokens
	toMaxOutputTokens
	toUser
	toServiceTier
	toIncludeUsage
)

var names = [...]string{
	toModel: "model", toStream: "stream", toOptions: "stream_options", toN: "n", toMaxTokens: "max_tokens",
	toMaxCompletionTokens: "max_completion_tokens", toMaxOutputTokens: "max_output_tokens",
	toUser: "user", toServiceTier: "service_tier",
	toIncludeUsage: "include_usage",
}

// field is the name that an error gives the route, as OpenAI writes it in "param".
func (r route) field() string {
	if r == toIncludeUsage {
		return "stream_options.include_usage"
	}
	return names[r]
}

// exact is the route of a key spelled as it should be.
func exact(p place, name []byte) route {
	switch p {
	case inOptions:
		if string(name) == "include_usage" {
			return toIncludeUsage
		}
	case inBody:
		switch string(name) {
		case "model":
			return toModel
		case "stream":
			return toStream
		case "stream_options":
			return toOptions
		case "n":
			return toN
		case "max_tokens":
			return toMaxTokens
		case "max_completion_tokens":
			return toMaxCompletionTokens
		case "max_output_tokens":
			return toMaxOutputTokens
		case "user":
			return toUser
		case "service_tier":
			return toServiceTier
		}
	}
	return noRoute
}

// route finds what the key k steers. It refuses a spelling that only some parsers take for a key that steers.
func (s *scanner) route(p place, k key) (route, bool) {
	raw := s.b[k.at:k.end]
	if bytes.IndexByte(raw, '\\') < 0 {
		if r := exact(p, raw); r != noRoute {
			return r, true
		}
		if r := variant(p, raw); r != noRoute {
			s.fail(k.at-1, letterCase, r)
			return noRoute, false
		}
		return noRoute, true
	}
	var buf [64]byte
	raw = unescape(buf[:0], raw)
	if r := variant(p, raw); r != noRoute {
		s.fail(k.at-1, escapes, r)
		return noRoute, false
	}
	return noRoute, true
}

// variant is the route that name equals when letter case is ignored. Unicode folding counts, as in Go's encoding/json: it
// takes U+017F for s and U+212A for k.
func variant(p place, name []byte) route {
	const longest = len("max_completion_tokens") + len("\u017f\u212a") - len("sk")
	if len(name) == 0 || len(name) > longest {
		return noRoute
	}
	switch c := name[0] | 0x20; {
	case p == inBody && (c == 'm' || c == 's' || c == 'n' || c == 'u' || c >= 0x80):
		for r := toModel; r < toIncludeUsage; r++ {
			if strings.EqualFold(string(name), names[r]) {
				return r
			}
		}
	case p == inOptions && strings.EqualFold(string(name), names[toIncludeUsage]):
		return toIncludeUsage
	}
	return noRoute
}

// take reads the value b[at:end] of a key that steers.
func (s *scanner) take(r route, at, end int) bool {
	f, v := s.steer, s.b[at:end]
	ok, why := true, noModel
	switch r {
	case toModel:
		return s.takeModel(at, end)
	case toStream:
		f.Stream, ok = boolean(v)
		why = noBoolean
	case toIncludeUsage:
		f.IncludeUsage, ok = boolean(v)
		f.UsageAt, f.UsageEnd = at, end
		why = noBoolean
	case toOptions:
		ok = v[0] == '{' || v[0] == 'n'
		f.OptionsAt, f.OptionsEnd = at, end
		f.bare = v[0] == 'n' || v[0] == '{' && v[1+blanks(v[1:])] == '}'
		why = noOptions
	case toN:
		var c int64
		c, ok = count(v, 1, math.MaxInt32)
		f.N = int(c)
		why = noCount
	case toMaxTokens, toMaxCompletionTokens:
		var c int64
		c, ok = count(v, 0, math.MaxInt64)
		if v[0] != 'n' && (r == toMaxCompletionTokens || !s.limited) {
			f.MaxTokens, s.limited = c, true
		}
		if r == toMaxTokens {
			f.LimitAt[MaxTokens] = at
		} else {
			f.LimitAt[MaxCompletionTokens] = at
		}
		why = noLimit
	case toMaxOutputTokens:
		f.LimitAt[MaxOutputTokens] = at
	}
	if !ok {
		s.fail(at, why, r)
	}
	return ok
}

// takeModel reads the model's name.
func (s *scanner) takeModel(at, end int) bool {
	if s.b[at] != '"' {
		s.fail(at, noString, toModel)
		return false
	}
	raw := s.b[at+1 : end-1]
	if len(raw) == 0 {
		s.fail(at, emptyString, toModel)
		return false
	}
	if i := disguise(raw); i >= 0 {
		s.fail(at+1+i, escapes, toModel)
		return false
	}
	var buf [64]byte
	s.steer.Model = string(unescape(buf[:0], raw))
	s.steer.ModelAt, s.steer.ModelEnd = at, end
	return true
}

// disguise is the offset of the first escape in a model's name that hides the name from whoever compares bytes, or -1. Two
// escapes are common and harmless: \/, which PHP's json_encode writes in "Qwen\/Qwen3", and \u of a character outside
// ASCII, which Python's json.dumps writes.
func disguise(raw []byte) int {
	i := 0
	for {
		next := bytes.IndexByte(raw[i:], '\\')
		if next < 0 {
			return -1
		}
		i += next
		c, size := escaped(raw[i:])
		if c < utf8.RuneSelf && raw[i+1] != '/' {
			return i
		}
		i += size
	}
}

// boolean reads true, false, or null for false.
func boolean(v []byte) (b, ok bool) {
	switch string(v) {
	case "true":
		return true, true
	case "false", "null":
		return false, true
	}
	return false, false
}

// count reads a whole number from least to most, or null for 0.
func count(v []byte, least, most int64) (int64, bool) {
	if string(v) == "null" {
		return 0, true
	}
	c, ok := Int(v)
	return c, ok && v[0] != '-' && least <= c && c <= most
}
