package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decoder decodes one file into structs and reports every mistake to the file's source.
type decoder struct {
	src     *source
	shapes  shapes
	origins map[string]string // path -> the reference a value came from

	left  int // nodes that may still be visited: aliases can multiply them
	depth int // of aliases within aliases
}

const maxAliasDepth = 32

func newDecoder(src *source, s shapes) *decoder {
	return &decoder{src: src, shapes: s, origins: map[string]string{}, left: 10_000 + 10*len(src.text)}
}

func (d *decoder) fail(n *yaml.Node, path, hint, format string, args ...any) {
	d.src.fail(d.src.start(n), path, fmt.Sprintf(format, args...), hint)
}

// value decodes a node into v. f has the rules of the field that v or the list around it is; it may be nil.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, f *field) {
	if d.left--; d.left < 0 {
		if d.left == -1 {
			d.fail(n, path, "", "the aliases of this file expand to too much")
		}
		return
	}
	if n.Kind == yaml.AliasNode {
		if d.depth++; d.depth > maxAliasDepth {
			d.fail(n, path, "", "aliases refer to each other in a loop")
		} else {
			d.value(n.Alias, v, path, f)
		}
		d.depth--
		return
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null" && !scalar(v):
		d.show(n) // a section without content: left out
		if f != nil && f.required {
			d.fail(n, path, "", "%s is missing", path)
		}
	case v.Kind() == reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		if v.IsNil() {
			setDefaults(fresh)
		} else {
			fresh.Elem().Set(v.Elem()) // never through the pointer: it may be a prototype's
		}
		d.value(n, fresh.Elem(), path, f)
		v.Set(fresh)
	case scalar(v):
		d.scalar(n, v, path, f)
	case v.Kind() == reflect.Struct:
		d.structure(n, v, path)
	case v.Kind() == reflect.Slice:
		d.list(n, v, path, f)
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		d.mapping(n, v, path)
	default:
		d.fail(n, path, "", "%s cannot be set in a file", path)
	}
}

func (d *decoder) show(n *yaml.Node) { d.src.safe[n] = struct{}{} }

func setDefaults(pointer reflect.Value) {
	if s, ok := reflect.TypeAssert[interface{ SetDefaults() }](pointer); ok {
		s.SetDefaults()
	}
}

// kind reports whether a node is of a kind, and reports a problem if not.
func (d *decoder) kind(n *yaml.Node, want yaml.Kind, path, wanted string) bool {
	if n.Kind == want {
		return true
	}
	found := map[yaml.Kind]string{yaml.ScalarNode: "a single value", yaml.SequenceNode: "a list", yaml.MappingNode: "a mapping"}[n.Kind]
	subject := path
	if path == "" {
		subject = "the file"
	}
	d.fail(n, path, "", "%s must be %s, not %s", subject, wanted, found)
	return false
}

// pair is one entry of a mapping.
type pair struct{ key, value *yaml.Node }

// pairs returns the entries of a mapping: its own, then those of its merge keys (<<) that it does not have itself.
func (d *decoder) pairs(n *yaml.Node, path string) []pair {
	var own, merged []pair
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.fail(key, path, "", "a field's name must be plain text")
		case key.Tag == "!!merge":
			d.show(key)
			merged = append(merged, d.merge(value, path)...)
		case seen[key.Value] != nil:
			d.show(key)
			d.fail(key, path, "", "field %q appears twice%s; the first is in line %d", key.Value, in(path), seen[key.Value].Line)
		default:
			d.show(key)
			seen[key.Value] = key
			own = append(own, pair{key, value})
		}
	}
	for _, p := range merged {
		if seen[p.key.Value] == nil {
			seen[p.key.Value] = p.key
			own = append(own, p)
		}
	}
	return own
}

// merge returns the entries that the value of a merge key stands for: a mapping, or a list of mappings of which the
// earlier win.
func (d *decoder) merge(n *yaml.Node, path string) []pair {
	if d.depth++; d.depth > maxAliasDepth {
		d.fail(n, path, "", "merge keys refer to each other in a loop")
		d.depth--
		return nil
	}
	defer func() { d.depth-- }()
	d.left -= 1 + len(n.Content)/2
	if d.left < 0 {
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return d.merge(n.Alias, path)
	case yaml.MappingNode:
		return d.pairs(n, path)
	case yaml.SequenceNode:
		var all []pair
		for _, item := range n.Content {
			all = append(all, d.merge(item, path)...)
		}
		return all
	}
	d.fail(n, path, "", "a merge key (<<) needs a mapping")
	return nil
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if !d.kind(n, yaml.MappingNode, path, "a mapping") {
		return
	}
	fields := d.shapes.of(v.Type())
	given := map[string]bool{}
	for _, p := range d.pairs(n, path) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == p.key.Value })
		if i < 0 {
			d.fail(p.key, join(path, p.key.Value), didYouMean(p.key.Value, names(fields), "fields here"),
				"unknown field %q%s", p.key.Value, in(path))
			continue
		}
		f := &fields[i]
		given[f.name] = true
		d.src.at[join(path, f.name)] = d.src.start(p.value)
		d.value(p.value, v.FieldByIndex(f.index), join(path, f.name), f)
	}
	for i := range fields {
		if fields[i].required && !given[fields[i].name] {
			d.fail(n, join(path, fields[i].name), fields[i].hint, "%s is missing", join(path, fields[i].name))
		}
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, f *field) {
	if !d.kind(n, yaml.SequenceNode, path, "a list") {
		return
	}
	if f != nil && len(n.Content) < f.minItems {
		d.fail(n, path, "", "%s is empty", path)
	}
	var item *field // an item has the rules of its list, other than required
	if f != nil {
		copied := *f
		copied.required = false
		item = &copied
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	first := map[string]int{}
	for i, c := range n.Content {
		at := path + "[" + strconv.Itoa(i) + "]"
		d.src.at[at] = d.src.start(c)
		if c.Kind == yaml.ScalarNode && c.Tag == "!!null" {
			d.show(c)
			d.fail(c, at, "", "%s has no value", at)
			continue
		}
		setDefaults(items.Index(i).Addr())
		d.value(c, items.Index(i), at, item)
		if text := items.Index(i); f != nil && f.unique && text.Kind() == reflect.String && !d.src.bad[at] {
			if before, twice := first[text.String()]; twice {
				d.fail(c, at, "", "%s: %q is in the list already, as %s[%d]", at, text.String(), path, before)
			}
			first[text.String()] = i
		}
	}
	if items.Len() == 0 {
		items = reflect.Zero(v.Type()) // an empty list equals none
	}
	v.Set(items)
}

// mapping decodes into a map. One whose values are of type any is the set of plugins' settings: each entry's value is a
// pointer to a struct, and there are no other entries.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if !d.kind(n, yaml.MappingNode, path, "a mapping") {
		return
	}
	sections := v.Type().Elem().Kind() == reflect.Interface
	out := reflect.MakeMap(v.Type())
	if sections {
		out = v
	}
	for _, p := range d.pairs(n, path) {
		name := reflect.ValueOf(p.key.Value).Convert(v.Type().Key())
		at := join(path, p.key.Value)
		d.src.at[at] = d.src.start(p.value)
		if !sections {
			item := reflect.New(v.Type().Elem())
			setDefaults(item)
			d.value(p.value, item.Elem(), at, nil)
			out.SetMapIndex(name, item.Elem())
			continue
		}
		prototype := v.MapIndex(name)
		if !prototype.IsValid() {
			d.fail(p.key, at, didYouMean(p.key.Value, keys(v), "plugins"), "unknown plugin %q%s", p.key.Value, in(path))
			continue
		}
		d.value(p.value, prototype.Elem().Elem(), at, nil)
	}
	v.Set(out)
}

// keys returns the keys of a map, sorted.
func keys(m reflect.Value) []string {
	var out []string
	for _, k := range m.MapKeys() {
		out = append(out, k.String())
	}
	slices.Sort(out)
	return out
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, f *field) {
	if !d.kind(n, yaml.ScalarNode, path, wanted(v)) {
		return
	}
	secret := v.Type() == secretType
	if !secret {
		d.show(n)
	}
	if wrong, hint := tagged(n, v, f); wrong != "" {
		d.fail(n, path, hint, "%s %s", path, wrong)
		return
	}
	text := n.Value
	if written(v) {
		expanded, ok := d.expand(n, path, secret)
		if !ok {
			return
		}
		text = expanded
		if d.unresolved(n, path) {
			if secret || v.Kind() == reflect.String {
				_ = setText(v, text) // takes any text
			}
			return
		}
	}
	err := setText(v, text)
	if err == nil {
		if m := f.check(v, text); m != nil {
			err = m
		}
	}
	if err != nil {
		d.fail(n, path, hintOf(err), "%s", complaint(path, text, err, secret))
	}
}

// tagged returns what is wrong with the tag of a scalar, which is what YAML takes it for.
func tagged(n *yaml.Node, v reflect.Value, f *field) (wrong, hint string) {
	text := v.Type() == secretType || v.Kind() == reflect.String
	word := f != nil && f.enum != nil // 429 is one, and YAML takes it for a number
	switch {
	case n.Tag == "!!null":
		return "has no value", ""
	case !strings.HasPrefix(n.Tag, "!!") || n.Tag == "!!binary":
		return "has the tag " + n.Tag + ", which has no meaning here", ""
	case text && f != nil && f.pattern == nil && f.hint != "" && n.Tag != "!!str":
		return "must be text", f.hint // which says more than quotes would mend
	case text && !word && n.Tag != "!!str" && n.Tag != "!!timestamp": // a date means what it says
		return "must be text", "put it in quotes"
	case !written(v) && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return "must be " + wanted(v) + ", not text", "take away the quotes"
	}
	return "", ""
}

var withDefault = regexp.MustCompile(`\$\{env:[^:}]*:-[^}]`)

// expand replaces the references in a scalar's text, and warns of a secret that is none.
func (d *decoder) expand(n *yaml.Node, path string, secret bool) (string, bool) {
	text, found, mistakes := d.src.refs.expand(n.Value)
	for _, m := range mistakes {
		d.fail(n, path, m.hint, "%s", m.wrong)
	}
	if len(found) > 0 {
		d.origins[path] = strings.Join(found, " ")
	}
	if secret && text != "" && (len(found) == 0 || withDefault.MatchString(n.Value)) {
		d.src.warn(d.src.start(n), path, path+" is written out", "keep secrets out of files: use ${env:NAME} or ${file:/path}")
	}
	return text, len(mistakes) == 0
}

// unresolved reports whether references in a scalar stand for themselves, and warns of them.
func (d *decoder) unresolved(n *yaml.Node, path string) bool {
	loose := d.src.refs.loose
	d.src.refs.loose = nil
	for _, why := range loose {
		d.src.warn(d.src.start(n), path, why, "")
		d.src.bad[path] = true // checks are not for what is not known
	}
	return len(loose) > 0
}

func wanted(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.Type() == secretType || v.Kind() == reflect.String:
		return "text"
	case written(v):
		return "a single value"
	}
	return "a number"
}

// complaint says why text is not a value. A secret is not in it.
func complaint(path, text string, err error, secret bool) string {
	var m *mistake
	switch {
	case errors.As(err, &m) && secret:
		return path + " " + m.wrong
	case errors.As(err, &m):
		return path + ": " + strconv.Quote(text) + " " + m.wrong
	}
	return path + ": " + err.Error()
}

func hintOf(err error) string {
	if m, ok := errors.AsType[*mistake](err); ok {
		return m.hint
	}
	return ""
}
