// Package schema makes the JSON Schemas of the configuration's files. The rules come from the same tags that the loader
// reads, the descriptions from the comments in the source. Only tests use it: the program has the files in configs.
package schema

import (
	"encoding"
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
	"time"

	"github.com/invopop/jsonschema"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Source is Go source whose comments describe the fields of its structs.
type Source struct {
	// Package is the import path.
	Package string
	// Files holds the package's .go files at its top.
	Files fs.FS
}

// Gateway returns the JSON Schema (draft 2020-12) of the gateway file. Plugins are as in [config.Options]; without them
// the schema allows any plugin section.
func Gateway(plugins map[string]any, sources ...Source) ([]byte, error) {
	cfg := &config.Config{}
	cfg.SetDefaults()
	g, err := newGenerator(sources)
	if err != nil {
		return nil, err
	}
	root := g.root(cfg)
	root.Title, root.Description = "Sluice: gateway file", ""
	sections := &jsonschema.Schema{Type: "object", Description: "Settings of each plugin, under its name."}
	if len(plugins) > 0 {
		sections.Properties = jsonschema.NewProperties()
		sections.AdditionalProperties = jsonschema.FalseSchema
		items, _ := root.Properties.Get("chain")
		for _, name := range slices.Sorted(maps.Keys(plugins)) {
			section, err := g.section(root, name, plugins[name])
			if err != nil {
				return nil, err
			}
			sections.Properties.Set(name, section)
			items.Items.Enum = append(items.Items.Enum, name)
		}
	}
	root.Properties.Set("plugins", sections)
	return g.print(root)
}

// Tenant returns the JSON Schema (draft 2020-12) of a tenant file.
func Tenant(sources ...Source) ([]byte, error) {
	g, err := newGenerator(sources)
	if err != nil {
		return nil, err
	}
	tenant := &config.Tenant{}
	tenant.SetDefaults()
	root := g.root(tenant)
	root.Title, root.Description = "Sluice: tenant file", ""
	return g.print(root)
}

// generator makes schemas of structs.
type generator struct{ reflector *jsonschema.Reflector }

func newGenerator(sources []Source) (*generator, error) {
	here := reflect.TypeFor[config.Config]().PkgPath()
	comments := map[string]string{}
	for _, s := range sources {
		if err := readComments(s, comments); err != nil {
			return nil, fmt.Errorf("schema: reading the comments of %s: %w", s.Package, err)
		}
	}
	return &generator{&jsonschema.Reflector{
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
func (g *generator) section(root *jsonschema.Schema, name string, settings any) (*jsonschema.Schema, error) {
	t := reflect.TypeOf(settings)
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("schema: the settings of plugin %s are a %T, not a pointer to a struct", name, settings)
	}
	section := g.root(settings)
	maps.Copy(root.Definitions, section.Definitions)
	section.Definitions, section.Version = nil, ""
	if rest, ok := strings.CutPrefix(section.Description, t.Elem().Name()+" "); ok {
		section.Description = "plugins." + name + " " + rest
	}
	return section, nil
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
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		property, ok := s.Properties.Get(name)
		if !ok {
			continue
		}
		value := v.FieldByIndex(f.Index)
		if rest, ok := strings.CutPrefix(property.Description, f.Name+" "); ok {
			property.Description = name + " " + rest
		}
		optional := strings.Contains(options, "omitempty") || slices.Contains(strings.Split(f.Tag.Get("jsonschema"), ","), "required")
		literal, scalar := literal(value)
		switch {
		case scalar:
			if !value.IsZero() || !optional {
				property.Default = literal
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
	if _, scalar := literal(item.Elem()); t.Kind() != reflect.Struct || scalar {
		return
	}
	if d, ok := reflect.TypeAssert[interface{ SetDefaults() }](item); ok {
		d.SetDefaults()
	}
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

// literal returns a scalar as the file writes it. It reports false for what is none.
func literal(v reflect.Value) (any, bool) {
	switch x := v.Interface().(type) {
	case time.Duration:
		text, _, _ := strings.Cut(config.Range{Min: x, Max: x}.String(), "..")
		return text, true
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		return string(text), err == nil
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Pointer, reflect.Map, reflect.Interface:
		return nil, false
	}
	return v.Interface(), true
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
	case reflect.TypeFor[config.Secret](), reflect.TypeFor[time.Duration](), reflect.TypeFor[config.Bytes](),
		reflect.TypeFor[config.Percent](), reflect.TypeFor[config.Range](), reflect.TypeFor[config.USD](),
		reflect.TypeFor[config.HedgeAfter]():
	case reflect.TypeFor[time.Time]():
		name = "Date"
	case reflect.TypeFor[tenant.USD]():
		name = "Dollars"
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
		"HedgeAfter": text("A time, 800ms, or p95: that in which 95 of 100 of the target's own first events came.",
			`p95|0|`+duration, number("0")),
		"USD":     text("An amount of US dollars: 0.40, or unknown.", `[0-9]+(\.[0-9]+)?|unknown`, number("")),
		"Dollars": text("An amount of US dollars: 250 or 0.50.", `[0-9]+(\.[0-9]{1,6})?`, number("9000000")),
		"Date":    text("A date or a moment: 2027-01-31, 2027-01-31T12:00:00Z.", `\d{4}-\d\d-\d\d([Tt].+)?`, nil),
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
