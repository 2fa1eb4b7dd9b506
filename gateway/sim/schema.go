package sim

import (
	"bytes"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Bounds of what a schema may cost. Schemas come from callers.
const (
	maxWork   = 8 << 20   // bytes of schema read, counting repeated reading
	workRegex = 32 << 10  // what compiling a pattern counts for
	workMatch = 64        // what each byte of a text counts for that is matched with a pattern
	maxOutput = 256 << 10 // bytes made, roughly
	softDepth = 5         // from here on nothing optional is made, so that recursion ends if it can
	hardDepth = 48        // from here on everything is null
)

// node is what a schema, with all that it refers to, says about one value (JSON Schema 2020-12, and what remains in use
// of earlier drafts).
type node struct {
	types        []string
	constant     []byte
	enum         [][]byte
	standard     []byte // the default, or the first example
	alternatives [][][]byte
	none         bool // the schema false: nothing is valid

	properties []property
	described  map[string]int // name -> index of properties
	required   []string
	needed     map[string]bool // the same as required
	extra      []byte          // additionalProperties
	minMembers int
	maxMembers int

	items    []byte
	tuple    [][]byte
	minItems int
	maxItems int
	unique   bool

	least, most       *big.Rat
	above, below      *big.Rat // exclusive bounds
	notLeast, notMost bool     // in draft 4 a switch makes least and most exclusive
	step              *big.Rat
	minRunes, maxRune int
	format            string
	pattern           *regexp.Regexp
}

type property struct {
	name    string
	schemas [][]byte
}

// maker makes a value for a schema.
type maker struct {
	root     []byte
	hints    *hints
	patterns map[string]*regexp.Regexp // nil for those that are none
	work     int                       // left
	out      []byte
}

// fromSchema makes a JSON value that is valid for a schema, with values from the user's message where they fit. It knows
// type, enum, const, default, properties, required, additionalProperties, items, prefixItems, the bounds, multipleOf,
// pattern, format, anyOf, oneOf, allOf and $ref into the same schema; not, if, contains and dependent… are passed over.
// For schemas that contradict themselves, recur without end or are absurdly large the value is some JSON, of bounded
// size and made in bounded time.
func fromSchema(schema []byte, h *hints) []byte {
	if len(schema) == 0 || !json.Valid(schema) {
		schema = []byte(`{"type":"object"}`)
	}
	m := maker{root: schema, hints: h, work: maxWork, patterns: map[string]*regexp.Regexp{}}
	m.value([][]byte{schema}, "", 0, 0)
	return m.out
}

// value makes the value of a property, or of the nth element of a list.
func (m *maker) value(schemas [][]byte, name string, depth, nth int) {
	if depth >= hardDepth || m.spent() {
		m.out = append(m.out, "null"...)
		return
	}
	n := m.node(schemas)
	for hops := 0; len(n.alternatives) > 0 && hops < 8; hops++ {
		choice := m.choose(n.alternatives[0], depth)
		n.alternatives = n.alternatives[1:]
		m.load(choice, n, 0)
	}
	switch kind := n.kind(); {
	case n.none:
		m.out = append(m.out, "null"...)
	case n.constant != nil:
		m.out = append(m.out, n.constant...)
	case len(n.enum) > 0:
		m.out = append(m.out, m.pick(n.enum, nth)...)
	case kind == "object":
		m.object(n, depth, nth)
	case kind == "array":
		m.array(n, name, depth)
	case kind == "string":
		m.text(m.string(n, name, nth))
	case kind == "integer" || kind == "number":
		m.out = append(m.out, m.number(n, kind == "integer", nth)...)
	case kind == "boolean":
		m.out = strconv.AppendBool(m.out, m.truth(n, nth))
	default:
		m.out = append(m.out, "null"...)
	}
}

func (m *maker) spent() bool { return m.work <= 0 || len(m.out) > maxOutput }

func (m *maker) text(s string) {
	e := json.NewEncoder((*appender)(&m.out))
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // strings always encode
	m.out = bytes.TrimSuffix(m.out, []byte("\n"))
}

type appender []byte

func (a *appender) Write(b []byte) (int, error) {
	*a = append(*a, b...)
	return len(b), nil
}

// kind is the type of value to make: the first that is not null.
func (n *node) kind() string {
	for _, t := range n.types {
		if t != "null" {
			return t
		}
	}
	switch {
	case len(n.types) > 0:
		return "null"
	case len(n.properties) > 0 || len(n.required) > 0 || n.extra != nil || n.minMembers > 0:
		return "object"
	case n.items != nil || len(n.tuple) > 0 || n.minItems > 0:
		return "array"
	case n.least != nil || n.most != nil || n.above != nil || n.below != nil || n.step != nil:
		return "number"
	case n.standard != nil:
		return kindOfJSON(n.standard)
	default:
		return "string"
	}
}

func kindOfJSON(v []byte) string {
	switch v[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}

// choose takes the first alternative that is not null; where the depth tells that the schema recurs, rather one that
// ends here.
func (m *maker) choose(list [][]byte, depth int) []byte {
	if depth >= softDepth {
		for _, s := range list {
			n := m.node([][]byte{s})
			if k := n.kind(); len(n.alternatives) == 0 && (k != "object" || len(n.required) == 0) && (k != "array" || n.minItems == 0) {
				return s
			}
		}
	}
	for _, s := range list {
		n := m.node([][]byte{s})
		if !n.none && (n.kind() != "null" || n.constant != nil || len(n.alternatives) > 0) {
			return s
		}
	}
	return list[0]
}

// pick takes what the message names, or else the nth.
func (m *maker) pick(values [][]byte, nth int) []byte {
	if nth == 0 {
		for _, v := range values {
			if s, ok := peek.String(v); ok && len(s) > 1 && has(m.hints.lower, strings.ToLower(s)) {
				return v
			}
		}
	}
	return values[nth%len(values)]
}

func (m *maker) truth(n *node, nth int) bool {
	if nth == 0 && string(n.standard) == "false" {
		return false
	}
	return nth%2 == 0
}

// object makes what is required; if nothing is, all that is described.
func (m *maker) object(n *node, depth, nth int) {
	members, optional := 0, n.minMembers
	if len(n.required) == 0 && depth < softDepth {
		optional = len(n.properties)
		if n.maxMembers >= 0 {
			optional = min(optional, n.maxMembers)
		}
	}
	optional -= len(n.required) // so many of those that need not be
	add := func(name string, schemas [][]byte) {
		m.out = append(m.out, opening(members)...)
		members++
		m.text(name)
		m.out = append(m.out, ':')
		m.value(schemas, name, depth+1, nth)
	}
	m.out = append(m.out, '{')
	for _, p := range n.properties {
		if !n.needed[p.name] {
			if optional <= 0 {
				continue
			}
			optional--
		}
		add(p.name, p.schemas)
	}
	further := func(name string) {
		if _, ok := n.described[name]; !ok && !m.spent() {
			add(name, [][]byte{n.extra})
		}
	}
	for _, name := range n.required {
		further(name)
	}
	for i := 1; members < n.minMembers && !m.spent(); i++ {
		if name := "extra_" + strconv.Itoa(i); !n.needed[name] {
			further(name)
		}
	}
	m.out = append(m.out, '}')
}

func opening(members int) string {
	if members == 0 {
		return ""
	}
	return ","
}

// array makes two elements if it may, or as many as there must be.
func (m *maker) array(n *node, name string, depth int) {
	count := len(n.tuple)
	if depth < softDepth && string(n.items) != "false" && (n.items != nil || count == 0) {
		count = max(count, 2)
		if k := kindOf(name); k == "name" || k == "place" {
			count = max(count, min(len(m.hints.proper), maxCalls))
			m.hints.used["proper"] = 0
		}
	}
	if n.maxItems >= 0 {
		count = min(count, n.maxItems)
	}
	count = max(count, n.minItems)
	var made [][]byte
	m.out = append(m.out, '[')
	for i, members := 0, 0; members < count && i < count+32 && !m.spent(); i++ {
		start := len(m.out)
		m.out = append(m.out, opening(members)...)
		from := len(m.out)
		schema := n.items
		if members < len(n.tuple) {
			schema = n.tuple[members]
		}
		m.value([][]byte{schema}, name, depth+1, i)
		if n.unique && len(made) < 256 {
			value := bytes.Clone(m.out[from:])
			if slices.ContainsFunc(made, func(b []byte) bool { return bytes.Equal(b, value) }) {
				m.out = m.out[:start]
				continue
			}
			made = append(made, value)
		}
		members++
	}
	m.out = append(m.out, ']')
}
