package config

import (
	"embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"
)

// The descriptions in the schemas are the comments in these files.
//
//go:embed config.go tenant.go types.go
var sources embed.FS

// Source is Go source whose comments describe the fields of plugins' settings.
type Source struct {
	// Package is the import path.
	Package string
	// Files holds the package's .go files at its top.
	Files fs.FS
}

// Schema returns the JSON Schema (draft 2020-12) of the gateway file. Plugins are as in [Options]; the comments of their
// structs become descriptions if their source is given. Without plugins the schema allows any plugin section.
func Schema(plugins map[string]any, source ...Source) ([]byte, error) {
	settings, err := prototypes(plugins)
	if err != nil {
		return nil, err
	}
	cfg := &Config{}
	cfg.SetDefaults()
	g, err := newGenerator(source)
	if err != nil {
		return nil, err
	}
	root := g.root(cfg)
	root.Title = "Sluice: gateway file"
	sections := &jsonschema.Schema{Type: "object", Description: "Settings of each plugin, under its name."}
	if len(settings) > 0 {
		sections.Properties = jsonschema.NewProperties()
		sections.AdditionalProperties = jsonschema.FalseSchema
		items, _ := root.Properties.Get("chain")
		for _, name := range keys(reflect.ValueOf(settings)) {
			sections.Properties.Set(name, g.section(root, settings[name]))
			items.Items.Enum = append(items.Items.Enum, name)
		}
	}
	root.Properties.Set("plugins", sections)
	return g.print(root)
}

// TenantSchema returns the JSON Schema (draft 2020-12) of a tenant file.
func TenantSchema() ([]byte, error) {
	g, err := newGenerator(nil)
	if err != nil {
		return nil, err
	}
	root := g.root(&Tenant{})
	root.Title = "Sluice: tenant file"
	return g.print(root)
}

// generator makes schemas of structs.
type generator struct {
	shapes    shapes
	reflector *jsonschema.Reflector
}

func newGenerator(source []Source) (*generator, error) {
	here := reflect.TypeFor[Config]().PkgPath()
	comments := map[string]string{}
	for _, s := range append([]Source{{here, sources}}, source...) {
		if err := readComments(s, comments); err != nil {
			return nil, fmt.Errorf("config: reading the comments of %s: %w", s.Package, err)
		}
	}
	return &generator{shapes{}, &jsonschema.Reflector{
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		ExpandedStruct:             true,
		Anonymous:                  true,
		CommentMap:                 comments,
		KeyNamer:                   strings.ToLower,
		Mapper:                     mapped,
		Namer: func(t reflect.Type) string {
			if t.Name() == "" || t.PkgPath() == here || t.PkgPath() == "" {
				return t.Name()
			}
			return path.Base(t.PkgPath()) + "." + t.Name() // every plugin's settings may be called Config
		},
	}}, nil
}

// root returns the schema of the file that decodes into *v, which holds the defaults.
func (g *generator) root(v any) *jsonschema.Schema {
	root := g.reflector.Reflect(v)
	if root.Definitions == nil {
		root.Definitions = jsonschema.Definitions{}
	}
	g.describe(root, root, reflect.ValueOf(v).Elem())
	// Added last: describe looks into structs only.
	maps.Copy(root.Definitions, texts())
	g.permitReferences(root)
	for _, def := range root.Definitions {
		g.permitReferences(def)
	}
	return root
}

// section returns the schema of a plugin's settings and adds the definitions it needs.
func (g *generator) section(root *jsonschema.Schema, settings any) *jsonschema.Schema {
	section := g.root(settings)
	maps.Copy(root.Definitions, section.Definitions)
	section.Definitions, section.Version = nil, ""
	return section
}

func (g *generator) print(root *jsonschema.Schema) ([]byte, error) {
	out, err := json.Marshal(root)
	for name := range texts() {
		if !strings.Contains(string(out), `"#/$defs/`+name+`"`) {
			delete(root.Definitions, name) // not used here
		}
	}
	if err == nil {
		out, err = json.MarshalIndent(root, "", "  ")
	}
	if err != nil {
		return nil, fmt.Errorf("config: printing the schema: %w", err)
	}
	return append(out, '\n'), nil
}

// describe writes the values of a struct into the schema of its type as defaults, and calls the fields in the
// descriptions what the file calls them.
func (g *generator) describe(root, s *jsonschema.Schema, v reflect.Value) {
	p := printer{shapes: g.shapes}
	for _, f := range g.shapes.of(v.Type()) {
		property, ok := s.Properties.Get(f.name)
		if !ok {
			continue
		}
		value, name := v.FieldByIndex(f.index), v.Type().FieldByIndex(f.index).Name
		if rest, ok := strings.CutPrefix(property.Description, name+" "); ok {
			property.Description = f.name + " " + rest
		}
		switch {
		case scalar(value):
			if !value.IsZero() || !f.omitEmpty && !f.required {
				property.Default = literal(p.scalar(value).Value, value)
			}
		case value.Kind() == reflect.Struct:
			g.describe(root, g.definition(root, property), value)
		case value.Kind() == reflect.Slice && value.Len() > 0 && value.Type().Elem().Kind() == reflect.String:
			property.Default = value.Interface()
		case value.Kind() == reflect.Slice || value.Kind() == reflect.Pointer:
			g.describeItem(root, property, value.Type().Elem())
		}
	}
}

// describeItem is describe for the structs of a list, and for one that may be left out.
func (g *generator) describeItem(root, s *jsonschema.Schema, t reflect.Type) {
	item := reflect.New(t)
	if t.Kind() != reflect.Struct || scalar(item.Elem()) {
		return
	}
	setDefaults(item)
	if s.Items != nil {
		s = s.Items
	}
	g.describe(root, g.definition(root, s), item.Elem())
}

// definition returns what a schema refers to, or the schema itself.
func (g *generator) definition(root, s *jsonschema.Schema) *jsonschema.Schema {
	if def := root.Definitions[strings.TrimPrefix(s.Ref, "#/$defs/")]; s.Ref != "" && def != nil {
		return def
	}
	return s
}

// literal returns a scalar as JSON writes it.
func literal(text string, v reflect.Value) any {
	if written(v) {
		return text
	}
	return json.RawMessage(text)
}

const referencePattern = `\$\{(env|file):`

// permitReferences lets a reference stand for text that otherwise has to be one of a few words or match a pattern.
func (g *generator) permitReferences(s *jsonschema.Schema) {
	if s.Properties == nil {
		return
	}
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		for _, s := range []*jsonschema.Schema{p.Value, p.Value.Items} {
			if s == nil || s.Type != "string" || s.Enum == nil && s.Pattern == "" {
				continue
			}
			for _, word := range s.Enum { // YAML reads the word 429 as a number
				if text, ok := word.(string); ok && strings.Trim(text, "0123456789") == "" {
					s.Enum, s.Type = append(s.Enum, json.RawMessage(text)), ""
				}
			}
			s.AnyOf = []*jsonschema.Schema{{Enum: s.Enum, Pattern: s.Pattern}, {Type: "string", Pattern: referencePattern}}
			s.Enum, s.Pattern = nil, ""
		}
	}
}

// mapped returns the schemas of the types that are text in a file: references to definitions, which texts has.
func mapped(t reflect.Type) *jsonschema.Schema {
	name := t.Name()
	switch t {
	case secretType, durationType, reflect.TypeFor[Bytes](), reflect.TypeFor[Percent](), reflect.TypeFor[Range]():
	case timeType:
		name = "Date"
	default:
		return nil
	}
	return &jsonschema.Schema{Ref: "#/$defs/" + name}
}

// texts returns the definitions of the types that are text in a file.
func texts() jsonschema.Definitions {
	const duration = `([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+`
	number := func(most json.Number) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "number", Minimum: "0", Maximum: most}
	}
	text := func(description, pattern string, number *jsonschema.Schema) *jsonschema.Schema {
		s := &jsonschema.Schema{Type: "string", Pattern: "^(" + pattern + ")$|" + referencePattern}
		if number != nil {
			s = &jsonschema.Schema{OneOf: []*jsonschema.Schema{number, s}}
		}
		s.Description = description
		return s
	}
	return jsonschema.Definitions{
		"Secret": {
			Type: "string", Description: "A reference to a secret.",
			Examples: []any{"${env:NAME}", "${file:/run/secrets/name}"},
		},
		"Duration": text("A duration: 500ms, 30s, 10m.", "0|"+duration, number("0")),
		"Bytes":    text("A size: 32MiB, 1GB, or a number of bytes.", `[0-9]+ ?([kKmMgGtT][iI]?)?[bB]|[0-9]+`, number("")),
		"Percent":  text("A share: 20% or 0.2.", `[0-9]+(\.[0-9]+)?%|0(\.[0-9]+)?|1`, number("1")),
		"Range":    text("Two durations: 100ms..2s.", `(0|`+duration+`)(\.\.`+duration+`)?`, number("0")),
		"Date":     text("A date or a moment: 2027-01-31, 2027-01-31T12:00:00Z.", `\d{4}-\d\d-\d\d([Tt].+)?`, nil),
	}
}

// readComments collects the comments of a package's structs and of their fields: path.Type and path.Type.Field.
func readComments(source Source, into map[string]string) error {
	files, err := fs.Glob(source.Files, "*.go")
	if err != nil {
		return err
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := fs.ReadFile(source.Files, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if types, ok := decl.(*ast.GenDecl); ok && types.Tok == token.TYPE {
				typeComments(types, source.Package+".", into)
			}
		}
	}
	return nil
}

func typeComments(decl *ast.GenDecl, prefix string, into map[string]string) {
	sentence := func(groups ...*ast.CommentGroup) string {
		i := slices.IndexFunc(groups, func(g *ast.CommentGroup) bool { return g != nil })
		if i < 0 {
			return ""
		}
		return strings.Join(strings.Fields(groups[i].Text()), " ")
	}
	for _, spec := range decl.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		name := prefix + t.Name.Name
		into[name] = sentence(t.Doc, decl.Doc)
		fields, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range fields.Fields.List {
			for _, ident := range f.Names {
				into[name+"."+ident.Name] = sentence(f.Doc, f.Comment)
			}
		}
	}
}
