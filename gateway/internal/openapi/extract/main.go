// Command extract writes the part of OpenAI's OpenAPI document that package openapi needs:
//
//	go run ./gateway/internal/openapi/extract < openapi.json > gateway/internal/openapi/openai.json
//
// Descriptions, examples and defaults are left out. oneOf becomes anyOf, because its alternatives overlap, and OpenAPI 3.0's
// nullable, which the document mixes with 3.1, a type of JSON Schema.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway/internal/openapi"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "extract:", err)
		os.Exit(1)
	}
}

func run(from io.Reader, to io.Writer) error {
	var doc struct {
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.NewDecoder(from).Decode(&doc); err != nil {
		return err
	}
	e := extract{all: doc.Components.Schemas, defs: map[string]any{}}
	for _, name := range slices.Sorted(maps.Values(openapi.Events)) {
		e.take(name)
	}
	for _, name := range openapi.Names {
		e.take(name)
	}
	if len(e.missing) > 0 {
		return fmt.Errorf("no such schemas: %s", strings.Join(e.missing, ", "))
	}
	out := json.NewEncoder(to)
	out.SetEscapeHTML(false)
	return out.Encode(map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": e.defs})
}

type extract struct {
	all, defs map[string]any
	missing   []string
}

// take takes a schema and all that it refers to.
func (e *extract) take(name string) {
	if _, done := e.defs[name]; done {
		return
	}
	s, ok := e.all[name]
	if !ok {
		e.missing = append(e.missing, name)
		return
	}
	e.defs[name] = nil
	e.defs[name] = e.schema(s)
}

// schema is a schema in the words of JSON Schema, without what says nothing about a document's shape.
func (e *extract) schema(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v // true or false
	}
	out := map[string]any{}
	for key, v := range m {
		switch key {
		case "$ref":
			ref, _ := v.(string)
			name := ref[strings.LastIndexByte(ref, '/')+1:]
			e.take(name)
			out[key] = "#/$defs/" + name
		case "properties":
			members := map[string]any{}
			if named, ok := v.(map[string]any); ok {
				for name, s := range named {
					members[name] = e.schema(s)
				}
			}
			out[key] = members
		case "oneOf", "anyOf", "allOf":
			out[strings.Replace(key, "oneOf", "anyOf", 1)] = e.schemas(v)
		case "items", "additionalProperties", "propertyNames", "not":
			out[key] = e.schema(v)
		case "type", "enum", "const", "required", "pattern", "minimum", "maximum", "minLength", "maxLength",
			"minItems", "maxItems", "minProperties", "maxProperties":
			out[key] = v
		}
	}
	if m["nullable"] == true {
		return map[string]any{"anyOf": []any{out, map[string]any{"type": "null"}}}
	}
	return out
}

func (e *extract) schemas(v any) []any {
	list, _ := v.([]any)
	out := make([]any, len(list))
	for i := range list {
		out[i] = e.schema(list[i])
	}
	return out
}
