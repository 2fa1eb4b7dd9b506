package config

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// ParseTenant reads a tenant for the store: what a tenant file would hold, as YAML or JSON, but for keys and credentials, which the
// store has apart or not at all. Version and id need not be there. References to the environment and to files are refused: whoever
// may make tenants must not be able to read the gateway's secrets. The error is of type Problems, with places in the text, which
// they call file.
func ParseTenant(id, file string, text []byte) (*Tenant, error) {
	tenant := &Tenant{Version: 1, ID: id, File: "store"}
	tenant.SetDefaults()
	refs := newReferences(".", newDisk(stamps{}), false)
	refs.refused = true
	src := newSource(file, text, refs)
	if src.parse() {
		give(src.root, "version", "1")
		give(src.root, "id", id)
		newDecoder(src, shapes{}).value(src.root, reflect.ValueOf(tenant).Elem(), "", nil)
		(&tenantChecker{src, tenant, id}).all()
	}
	problems, _ := src.finish()
	if len(problems) > 0 {
		return nil, problems.sorted()
	}
	return tenant, nil
}

// give adds a field to a mapping that has none of that name.
func give(root *yaml.Node, name, value string) {
	if root.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i < len(root.Content); i += 2 {
		if root.Content[i].Value == name {
			return
		}
	}
	scalar := func(tag, text string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text, Line: 1, Column: 1}
	}
	tag := "!!str"
	if name == "version" {
		tag = "!!int"
	}
	root.Content = append(root.Content, scalar("!!str", name), scalar(tag, value))
}

// ParseTenantKey reads what a key of such a tenant may say of itself: models and limits.
func ParseTenantKey(name string, text []byte) (TenantKey, error) {
	key := TenantKey{Name: name}
	if len(strings.TrimSpace(string(text))) == 0 {
		return key, nil
	}
	refs := newReferences(".", newDisk(stamps{}), false)
	refs.refused = true
	src := newSource("key "+name, text, refs)
	var said struct {
		Models []string `yaml:"models,omitempty"`
		Limits Limits   `yaml:"limits,omitempty"`
	}
	if src.parse() {
		newDecoder(src, shapes{}).value(src.root, reflect.ValueOf(&said).Elem(), "", nil)
	}
	problems, _ := src.finish()
	if len(problems) > 0 {
		return key, problems.sorted()
	}
	key.Models, key.Limits = said.Models, said.Limits
	return key, nil
}
