package config

import (
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Setting is one value of the effective configuration.
type Setting struct {
	Path   string // providers[0].name
	Value  string // as YAML; *** for a secret
	Origin string // "default", "file", or what was laid over it: "env SLUICE_SERVER_LISTEN", "flag --listen", "${env:NAME}"
	Line   int    // in the gateway file; 0 if it does not stand there
}

// Settings are what [Config.Effective] prints, one by one.
func (c *Config) Settings() []Setting {
	var list []Setting
	p := printer{shapes: shapes{}, origins: c.Origins}
	leaves(p.node(reflect.ValueOf(c).Elem(), ""), "", func(path string, n *yaml.Node) {
		s := Setting{Path: path, Value: flow(n), Origin: c.Origins[path], Line: c.lines[path]}
		switch {
		case s.Origin != "":
		case s.Line > 0:
			s.Origin = "file"
		default:
			s.Origin = "default"
		}
		list = append(list, s)
	})
	return list
}

// leaves walks through what is a value by itself: a scalar, or a list of them.
func leaves(n *yaml.Node, path string, f func(path string, n *yaml.Node)) {
	switch {
	case n.Kind == yaml.MappingNode && len(n.Content) > 0:
		for i := 0; i < len(n.Content); i += 2 {
			leaves(n.Content[i+1], join(path, n.Content[i].Value), f)
		}
	case n.Kind == yaml.SequenceNode && n.Style != yaml.FlowStyle:
		for i, item := range n.Content {
			leaves(item, path+"["+strconv.Itoa(i)+"]", f)
		}
	default:
		f(path, n)
	}
}

// flow is a value in a line.
func flow(n *yaml.Node) string {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value
	case yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			items[i] = flow(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return "{}"
}

// linesOf says on which line of a file each setting stands.
func linesOf(n *yaml.Node, path string, lines map[string]int) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			at := join(path, n.Content[i].Value)
			lines[at] = n.Content[i].Line
			linesOf(n.Content[i+1], at, lines)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			at := path + "[" + strconv.Itoa(i) + "]"
			lines[at] = item.Line
			linesOf(item, at, lines)
		}
	}
}
