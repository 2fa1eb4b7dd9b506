package sim

import (
	"bytes"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

const maxHops = 16 // of references that follow each other

// node reads schemas that all apply to one value; nil ones say nothing.
func (m *maker) node(schemas [][]byte) *node {
	n := &node{maxItems: -1, maxMembers: -1, maxRune: -1, described: map[string]int{}, needed: map[string]bool{}}
	for _, s := range schemas {
		m.load(s, n, 0)
	}
	return n
}

// load adds what a schema says to n.
func (m *maker) load(schema []byte, n *node, hops int) {
	m.work -= len(schema) + 64
	if hops > maxHops || m.work <= 0 {
		return
	}
	if string(schema) == "false" {
		n.none = true
	}
	peek.Each(schema, func(key, val []byte) bool {
		switch string(key) {
		case "$ref", "$dynamicRef":
			if ref, ok := peek.String(val); ok {
				m.load(m.resolve(ref), n, hops+1)
			}
		case "allOf":
			peek.Elements(val, func(s []byte) bool {
				m.load(s, n, hops+1)
				return true
			})
		case "anyOf", "oneOf":
			if list := elements(val); len(list) > 0 {
				n.alternatives = append(n.alternatives, list)
			}
		case "pattern":
			if s, ok := peek.String(val); ok {
				n.pattern = m.pattern(s)
			}
		default:
			n.set(string(key), val)
		}
		return true
	})
}

// pattern is nil for what is not a regular expression in Go too: ECMAScript's has a little more.
func (m *maker) pattern(s string) *regexp.Regexp {
	re, ok := m.patterns[s]
	if !ok && len(s) <= 1000 && m.work > 0 {
		m.work -= workRegex
		re, _ = regexp.Compile(s)
		m.patterns[s] = re
	}
	return re
}

func elements(v []byte) [][]byte {
	var list [][]byte
	peek.Elements(v, func(e []byte) bool {
		list = append(list, e)
		return true
	})
	return list
}

// resolve finds what a reference into the schema itself points to (RFC 6901); nil if it leads elsewhere or nowhere.
func (m *maker) resolve(ref string) []byte {
	pointer, local := strings.CutPrefix(ref, "#")
	if !local {
		return nil
	}
	if decoded, err := url.PathUnescape(pointer); err == nil {
		pointer = decoded
	}
	at := m.root
	for pointer != "" && at != nil {
		var token string
		if pointer[0] != '/' {
			return nil
		}
		token, _, _ = strings.Cut(pointer[1:], "/")
		pointer = pointer[1+len(token):]
		m.work -= len(at)
		if m.work <= 0 {
			return nil
		}
		at = child(at, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"))
	}
	return at
}

// child is the member or element of that name; nil if there is none.
func child(v []byte, name string) (found []byte) {
	peek.Each(v, func(key, val []byte) bool {
		if string(key) == name {
			found = val
		}
		return true
	})
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && found == nil {
		peek.Elements(v, func(e []byte) bool {
			if i == 0 {
				found = e
			}
			i--
			return i >= 0
		})
	}
	return found
}

// set takes one keyword. Values of the wrong type are passed over.
func (n *node) set(keyword string, v []byte) {
	switch keyword {
	case "type":
		n.setType(v)
	case "const":
		n.constant = v
	case "enum":
		list := elements(v)
		if n.enum != nil { // of another schema that applies too
			list = slices.DeleteFunc(list, func(e []byte) bool {
				return !slices.ContainsFunc(n.enum, func(f []byte) bool { return bytes.Equal(e, f) })
			})
		}
		n.enum = list
	case "default":
		n.standard = v
	case "examples":
		if list := elements(v); len(list) > 0 && n.standard == nil {
			n.standard = list[0]
		}
	case "format":
		n.format, _ = peek.String(v)
	case "minLength":
		n.minRunes = max(n.minRunes, size(v))
	case "maxLength":
		n.maxRune = tighter(n.maxRune, v)
	default:
		if !n.setNumeric(keyword, v) {
			n.setContainer(keyword, v)
		}
	}
}

func (n *node) setType(v []byte) {
	var types []string
	if s, ok := peek.String(v); ok {
		types = []string{s}
	}
	for _, e := range elements(v) {
		if s, ok := peek.String(e); ok {
			types = append(types, s)
		}
	}
	if n.types != nil {
		both := slices.DeleteFunc(slices.Clone(types), func(t string) bool { return !slices.Contains(n.types, t) })
		if len(both) > 0 {
			types = both
		}
	}
	n.types = types
}

func (n *node) setNumeric(keyword string, v []byte) bool {
	switch keyword {
	case "minimum":
		n.least = tightest(n.least, v, 1)
	case "exclusiveMinimum":
		n.above, n.notLeast = tightest(n.above, v, 1), n.notLeast || string(v) == "true"
	case "maximum":
		n.most = tightest(n.most, v, -1)
	case "exclusiveMaximum":
		n.below, n.notMost = tightest(n.below, v, -1), n.notMost || string(v) == "true"
	case "multipleOf":
		if r := rational(v); r != nil && r.Sign() > 0 {
			n.step = r
		}
	default:
		return false
	}
	return true
}

// tightest is the greater of two lower bounds (sign 1), or the lesser of two upper bounds (sign -1).
func tightest(bound *big.Rat, v []byte, sign int) *big.Rat {
	r := rational(v)
	if r == nil || bound != nil && bound.Cmp(r)*sign >= 0 {
		return bound
	}
	return r
}

// rational reads a number, nil for what is none or has an exponent that would take too much room.
func rational(v []byte) *big.Rat {
	if len(v) == 0 || len(v) > 64 || v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		return nil
	}
	if i := bytes.IndexAny(v, "eE"); i >= 0 {
		if e, err := strconv.Atoi(string(v[i+1:])); err != nil || e > 100 || e < -100 {
			return nil
		}
	}
	r, ok := new(big.Rat).SetString(string(v))
	if !ok {
		return nil
	}
	return r
}

func (n *node) setContainer(keyword string, v []byte) {
	switch keyword {
	case "properties":
		peek.Each(v, func(key, val []byte) bool {
			n.describe(string(key), val)
			return true
		})
	case "required":
		for _, e := range elements(v) {
			if s, ok := peek.String(e); ok && !n.needed[s] {
				n.required = append(n.required, s)
				n.needed[s] = true
			}
		}
	case "additionalProperties":
		n.extra = v
	case "minProperties":
		n.minMembers = max(n.minMembers, size(v))
	case "maxProperties":
		n.maxMembers = tighter(n.maxMembers, v)
	case "items":
		if v[0] == '[' { // until draft 2019-09
			n.tuple = elements(v)
		} else {
			n.items = v
		}
	case "prefixItems":
		n.tuple = elements(v)
	case "minItems":
		n.minItems = max(n.minItems, size(v))
	case "maxItems":
		n.maxItems = tighter(n.maxItems, v)
	case "uniqueItems":
		n.unique = n.unique || string(v) == "true"
	}
}

func (n *node) describe(name string, schema []byte) {
	i, ok := n.described[name]
	if !ok {
		i = len(n.properties)
		n.described[name] = i
		n.properties = append(n.properties, property{name: name})
	}
	n.properties[i].schemas = append(n.properties[i].schemas, schema)
}

// size reads a count; 0 for what is none. 5.0 counts as 5.
func size(v []byte) int {
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < 0 || f > 1<<30 {
		return 0
	}
	return int(f)
}

// tighter is the smaller of a maximum, -1 for none, and one more.
func tighter(most int, v []byte) int {
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < 0 || f > 1<<30 || most >= 0 && most < int(f) {
		return most
	}
	return int(f)
}
