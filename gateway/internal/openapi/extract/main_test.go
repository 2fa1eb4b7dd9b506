package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestSchema(t *testing.T) {
	f := func(in, want string, missing ...string) {
		t.Helper()
		e := extract{all: map[string]any{"Other": map[string]any{"type": "string", "title": "t"}}, defs: map[string]any{}}
		var v, w any
		if json.Unmarshal([]byte(in), &v) != nil || json.Unmarshal([]byte(want), &w) != nil {
			t.Fatalf("%s or %s is no JSON", in, want)
		}
		got, err := json.Marshal(e.schema(v))
		if err != nil {
			t.Fatal(err)
		}
		var g any
		if err := json.Unmarshal(got, &g); err != nil || !reflect.DeepEqual(g, w) {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
		if !reflect.DeepEqual(e.missing, missing) {
			t.Errorf("%s: missing %v, want %v", in, e.missing, missing)
		}
	}
	f(`{"type":"string","description":"d","example":1,"default":"x","x-thing":2}`, `{"type":"string"}`)
	f(`{"properties":{"description":{"type":"string","title":"t"}}}`, `{"properties":{"description":{"type":"string"}}}`)
	f(`{"oneOf":[{"type":"string"},{"$ref":"#/components/schemas/Other"}]}`, `{"anyOf":[{"type":"string"},{"$ref":"#/$defs/Other"}]}`)
	f(`{"type":"string","nullable":true,"enum":["a"]}`, `{"anyOf":[{"type":"string","enum":["a"]},{"type":"null"}]}`)
	f(`{"items":{"type":"array","minItems":1},"additionalProperties":false}`, `{"items":{"type":"array","minItems":1},"additionalProperties":false}`)
	f(`{"$ref":"#/components/schemas/Gone"}`, `{"$ref":"#/$defs/Gone"}`, "Gone")
}

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(`{"components":{"schemas":{}}}`), &out); err == nil || !strings.Contains(err.Error(), "Response") {
		t.Errorf("a document without schemas: %v", err)
	}
	if err := run(strings.NewReader(`no JSON`), &out); err == nil {
		t.Error("no JSON")
	}
}
