package config

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// Effective returns the configuration as YAML, with everything that was left out and with secrets as ***. A comment
// beside a value tells where it came from, if not from the file's own text: env SLUICE_SERVER_LISTEN, flag --listen,
// ${env:NAME}. Tenants are not in it.
func (c *Config) Effective() ([]byte, error) {
	p := printer{shapes: shapes{}, origins: c.Origins}
	out, err := yaml.Dump(p.node(reflect.ValueOf(c).Elem(), ""), yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("config: printing the effective configuration: %w", err)
	}
	return out, nil
}

// printer makes YAML nodes of structs.
type printer struct {
	shapes  shapes
	origins map[string]string
}

func (p printer) node(v reflect.Value, path string) *yaml.Node {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if n := p.scalar(v); n != nil {
		if origin := p.origins[path]; origin != "" {
			n.LineComment = "# " + origin
		}
		return n
	}
	switch v.Kind() {
	case reflect.Struct:
		return p.structure(v, path)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, p.node(v.Index(i), path+"["+strconv.Itoa(i)+"]"))
		}
		if v.Len() == 0 || v.Index(0).Kind() != reflect.Struct {
			n.Style = yaml.FlowStyle
		}
		return n
	case reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, k := range keys(v) {
			value := v.MapIndex(reflect.ValueOf(k).Convert(v.Type().Key()))
			n.Content = append(n.Content, text(k), p.node(value, join(path, k)))
		}
		return n
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

func (p printer) structure(v reflect.Value, path string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range p.shapes.of(v.Type()) {
		value, at := v.FieldByIndex(f.index), join(path, f.name)
		if value.IsZero() && (f.omitEmpty || value.Kind() == reflect.Pointer) && p.origins[at] == "" {
			continue
		}
		n.Content = append(n.Content, text(f.name), p.node(value, at))
	}
	return n
}

// scalar returns the node of a scalar, or nil.
func (p printer) scalar(v reflect.Value) *yaml.Node {
	plain := func(tag, value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value} }
	switch x := v.Interface().(type) {
	case time.Duration:
		return text(durationText(x))
	case time.Time:
		return plain("!!timestamp", x.Format(time.RFC3339))
	case interface{ MarshalText() ([]byte, error) }:
		written, err := x.MarshalText()
		if err != nil {
			return text("cannot be printed: " + err.Error())
		}
		return text(string(written))
	}
	switch v.Kind() {
	case reflect.String:
		return text(userinfo.ReplaceAllString(v.String(), "://"+masked+"@"))
	case reflect.Bool:
		return plain("!!bool", strconv.FormatBool(v.Bool()))
	case reflect.Float32, reflect.Float64:
		return plain("!!float", strconv.FormatFloat(v.Float(), 'f', -1, 64))
	}
	switch {
	case v.CanInt():
		return plain("!!int", strconv.FormatInt(v.Int(), 10))
	case v.CanUint():
		return plain("!!int", strconv.FormatUint(v.Uint(), 10))
	}
	return nil
}

// text returns the node of a string; the tag makes it quoted where it would read as something else.
func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
