package sim_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// structured is the answer to a message in a schema's form.
func structured(schema, message string) string {
	r := &chat.Request{
		Model: "sim-chat", Format: chat.Format{Kind: chat.FormatSchema, Schema: []byte(schema)},
		Messages: []chat.Message{{Role: chat.RoleUser, Parts: []chat.Part{{Text: message}}}},
	}
	reply := sim.Answer(r, 0)
	return reply.Choices[0].Message.Text(chat.PartText)
}

func validate(t *testing.T, schema, value string) {
	t.Helper()
	s, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", s); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
	if err != nil {
		t.Fatalf("%s: %q is not JSON: %v", schema, value, err)
	}
	if err := compiled.Validate(v); err != nil {
		t.Errorf("%s\ngot %s\n%v", schema, value, err)
	}
}

var messages = []string{
	"hi", "", "Alice (alice@example.org, 42) moves from Oslo to \"New York\" on 2026-03-04, see https://example.org/x?y=1 for 12.5 or -3.",
	strings.Repeat("Long Words 7 ", 500),
}

// schemas must be fulfilled whatever the message says.
var schemas = []string{
	`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},"c":{"type":"number"},"d":{"type":"boolean"},"e":{"type":"null"},"f":{}},"required":["a","b","c","d","e","f"],"additionalProperties":false}`,
	`{"type":"object","properties":{"optional":{"type":"string"},"needed":{"type":"string"}},"required":["needed"]}`,
	`{"type":"object","required":["undescribed","other"]}`,
	`{"type":"object","required":["x"],"additionalProperties":{"type":"integer","minimum":5}}`,
	`{"type":"object","properties":{"a":{},"b":{},"c":{}},"maxProperties":2}`,
	`{"type":"object","properties":{"a":{}},"minProperties":4}`,
	`{"type":"object","properties":{"a":{},"b":{},"c":{}},"required":["b"],"minProperties":2}`,
	`{"enum":["x","y"]}`, `{"enum":[3,null,{"a":1}]}`, `{"const":{"k":[1,2]}}`, `{"type":["null","integer"],"minimum":4}`,
	`{"type":"object","properties":{"moved":{"enum":["new york","oslo"]}}}`,
	`{"type":"integer","minimum":10}`, `{"type":"integer","exclusiveMinimum":10,"maximum":11}`, `{"type":"integer","maximum":-7}`,
	`{"type":"integer","minimum":0.5,"maximum":1.5}`, `{"type":"integer","multipleOf":7,"minimum":15}`, `{"type":"integer","multipleOf":0.5,"exclusiveMaximum":0}`,
	`{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}`, `{"type":"number","multipleOf":0.01,"minimum":0.015,"maximum":0.02}`,
	`{"type":"number","minimum":-2.5,"maximum":-2.5}`, `{"type":"number","minimum":1e20}`, `{"type":"number","exclusiveMinimum":1e-9,"maximum":2e-9}`,
	`{"$schema":"http://json-schema.org/draft-04/schema#","type":"number","minimum":3,"exclusiveMinimum":true,"maximum":4}`,
	`{"$schema":"http://json-schema.org/draft-04/schema#","type":"integer","maximum":3,"exclusiveMaximum":true}`,
	`{"type":"number","multipleOf":3,"default":4}`, `{"type":"integer","default":17}`,
	`{"type":"string","minLength":200}`, `{"type":"string","maxLength":3}`, `{"type":"string","maxLength":0}`, `{"type":"string","minLength":5,"maxLength":5}`,
	`{"type":"string","pattern":"^[A-Z]{3}-\\d{4}$"}`, `{"type":"string","pattern":"^(foo|bar)+$","minLength":7}`, `{"type":"string","pattern":"^\\S+@\\S+$"}`,
	`{"type":"string","pattern":"^[^a-zA-Z0-9]+$"}`, `{"type":"string","pattern":"^\\p{Lu}","minLength":4}`, `{"type":"string","pattern":"^x*$","minLength":3,"maxLength":4}`,
	`{"type":"string","pattern":"^a?b{2,3}.\\.[\\s]$"}`,
	`{"type":"string","default":"as told"}`, `{"type":"string","default":7}`, `{"type":"string","examples":["such"],"maxLength":4}`,
	`{"type":"array"}`, `{"type":"array","items":{"type":"integer"},"minItems":5}`, `{"type":"array","items":{"type":"string"},"maxItems":0}`, `{"type":"array","items":{"type":"string"},"maxItems":1}`,
	`{"type":"array","items":{"type":"string"},"minItems":4,"uniqueItems":true}`, `{"type":"array","items":{"type":"integer","maximum":10},"minItems":6,"uniqueItems":true}`,
	`{"type":"array","items":{"enum":["a","b","c"]},"uniqueItems":true,"minItems":3}`, `{"type":"array","items":{"type":"boolean"},"uniqueItems":true}`,
	`{"type":"array","items":{"const":1},"uniqueItems":true}`, `{"type":"array","items":{"type":"string","format":"email"},"uniqueItems":true,"minItems":3}`,
	`{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false}`, `{"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"boolean"},"minItems":3}`,
	`{"$schema":"http://json-schema.org/draft-07/schema#","type":"array","items":[{"type":"integer"},{"type":"null"}],"additionalItems":false}`,
	`{"anyOf":[{"type":"string","minLength":3},{"type":"integer"}]}`, `{"oneOf":[{"type":"null"},{"type":"integer"}]}`, `{"anyOf":[false,{"type":"integer"}]}`,
	`{"type":"object","properties":{"k":{"type":"string"}},"required":["k"],"oneOf":[{"properties":{"k":{"const":"a"},"v":{"type":"integer"}},"required":["v"]},{"properties":{"k":{"const":"b"}}}]}`,
	`{"allOf":[{"type":"object","properties":{"a":{"type":"integer","minimum":3}},"required":["a"]},{"properties":{"a":{"maximum":3},"b":{"type":"string"}},"required":["b"]}]}`,
	`{"allOf":[{"enum":["a","b"]},{"enum":["b","c"]}]}`, `{"type":["string","integer"],"allOf":[{"type":"integer"}]}`,
	`{"type":"object","properties":{"next":{"$ref":"#/$defs/node"}},"required":["next"],"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}}}`,
	`{"type":"object","properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#"}}},"required":["name","children"]}`,
	`{"$ref":"#/definitions/a~1b%20c","definitions":{"a/b c":{"type":"integer"}}}`, `{"$ref":"#/$defs/x","$defs":{"x":{"$ref":"#/$defs/y"},"y":{"type":"boolean"}}}`,
	`{"$ref":"#/$defs/list/anyOf/1","$defs":{"list":{"anyOf":[true,{"const":"second"}]}}}`, `{"$ref":"#/$defs/a","minimum":5,"$defs":{"a":{"type":"integer","maximum":5}}}`,
	`true`, `{}`, `{"properties":{"a":{"items":{"type":"string"}},"b":{"minimum":3},"c":{"pattern":"^z$"},"d":{"minItems":1}}}`,
	`{"type":"object","properties":{"quote\"d":{"type":"string"},"ключ":{"const":"значение"},"":{"type":"integer"}},"required":["quote\"d","ключ",""]}`,
	`{"type":"object","properties":{"email":{"type":"string"},"url":{"type":"string","format":"uri"},"city":{"type":"string","maxLength":3},"age":{"type":"integer","maximum":30},"query":{"type":"string","maxLength":10}},"required":["email","url","city","age","query"]}`,
}

func TestSchemas(t *testing.T) {
	formats := []string{
		"date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri", "uri-reference",
		"iri", "iri-reference", "uri-template", "uuid", "json-pointer", "relative-json-pointer", "regex", "of-nobody",
	}
	all := schemas
	for _, f := range formats {
		all = append(all, `{"type":"string","format":"`+f+`"}`,
			`{"type":"array","items":{"type":"string","format":"`+f+`"},"minItems":3,"uniqueItems":true}`)
	}
	for _, schema := range all {
		for _, message := range messages {
			validate(t, schema, structured(schema, message))
		}
	}
}

func TestSchemaTakesValuesFromMessage(t *testing.T) {
	f := func(schema, message, want string) {
		t.Helper()
		var got, wanted any
		if err := json.Unmarshal([]byte(structured(schema, message)), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%q: got %v, want %s", message, got, want)
		}
	}
	f(`{"properties":{"name":{"type":"string"},"date":{"type":"string"},"participants":{"type":"array","items":{"type":"string"}}}}`,
		"Alice and Bob are going to a science fair on Friday.", `{"name":"Alice","date":"Friday","participants":["Alice","Bob"]}`)
	f(`{"properties":{"from_city":{"type":"string"},"destination":{"type":"string"},"on":{"type":"string","format":"date"},"seats":{"type":"integer"}}}`,
		"Book a flight from Berlin to New York on 2026-05-01 for 3 people", `{"from_city":"Berlin","destination":"New York","on":"2026-05-01","seats":3}`)
	f(`{"properties":{"a":{"type":"number"},"b":{"type":"number"},"unit":{"enum":["kg","pound"]}}}`, "Add 1,250 and -3.5 pound", `{"a":1250,"b":-3.5,"unit":"pound"}`)
	f(`{"properties":{"to":{"type":"string","format":"email"},"homepage_url":{"type":"string"},"subject":{"type":"string"}}}`,
		`Write "See you" to bob@example.org about https://example.org/a`, `{"to":"bob@example.org","homepage_url":"https://example.org/a","subject":"See you"}`)
	f(`{"properties":{"final_answer":{"type":"string"},"expression":{"type":"string"}}}`, "what is 12*7", `{"final_answer":"12*7 = 84","expression":"12*7"}`)
	f(`{"properties":{"query":{"type":"string"}}}`, "Who built the canal?", `{"query":"Who built the canal"}`)
}

// Schemas that cannot be fulfilled, or only at a price, must cost little.
func TestHostileSchemas(t *testing.T) {
	f := func(schema string) {
		t.Helper()
		start := time.Now()
		got := structured(schema, "hi")
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%.100s took %v", schema, took)
		}
		if !json.Valid([]byte(got)) || len(got) > 512<<10 {
			t.Errorf("%.100s: %d bytes, %.100q", schema, len(got), got)
		}
	}
	f(`false`)
	f(`{"$ref":"#"}`)
	f(`{"$ref":"https://example.com/other.json"}`)
	f(`{"$ref":"#/nowhere"}`)
	f(`{"$ref":"#anchor"}`)
	f(`{"allOf":[{"$ref":"#"},{"$ref":"#"},{"$ref":"#"}]}`)
	f(`{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}`)
	f(`{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}},"required":["a","b"]}`)
	f(`{"type":"array","items":{"$ref":"#"},"minItems":10}`)
	f(`{"type":"array","minItems":1000000000}`)
	f(`{"type":"array","items":{"type":"string","minLength":1000000000},"minItems":1000000000}`)
	f(`{"type":"object","minProperties":1000000000}`)
	f(`{"type":"string","pattern":"^((((a{100}){100}){100}){100})$"}`)
	f(`{"type":"string","pattern":"(?=lookahead)"}`)
	f(`{"type":"string","pattern":"a^"}`)
	f(`{"type":"string","pattern":"^*()*$","minLength":1000000000}`)
	f(`{"type":"array","minItems":100000,"items":{"type":"string","pattern":"^(a?){500}b{400}$","minLength":5000}}`)
	f(`{"type":"number","minimum":1e1000000000}`)
	f(`{"type":"number","multipleOf":1e-1000000000}`)
	f(`{"type":"integer","minimum":3,"maximum":2}`)
	f(`{"type":5,"enum":{},"required":"x","properties":[],"minLength":"a","items":3,"anyOf":{},"allOf":7,"$ref":[]}`)
	f(`{"enum":[]}`)
	f(`{"type":"unheard-of"}`)
	f(`{"type":[]}`)
	f(strings.Repeat(`{"properties":{"a":`, 60) + `{}` + strings.Repeat(`}}`, 60))
	f(`{"required":[` + strings.Repeat(`"x",`, 20_000) + `"y"]}`)
	var many strings.Builder
	for i := range 3000 {
		many.WriteString(`"p` + strconv.Itoa(i) + `":{"$ref":"#"},`)
	}
	f(`{"properties":{` + many.String() + `"z":{}}}`)
	f(`not JSON`)
	f(``)
}

func TestJSONObject(t *testing.T) {
	var got struct {
		Simulated bool
		Topic     string
		Answer    string
	}
	d := unary(t, ask("sim-chat", "what is 2+2", `"response_format":{"type":"json_object"}`))
	if err := json.Unmarshal([]byte(d.Text), &got); err != nil {
		t.Fatal(err)
	}
	if !got.Simulated || got.Topic != "what is 2+2" || got.Answer != "2+2 = 4" {
		t.Errorf("got %s", d.Text)
	}
}

func FuzzSchema(f *testing.F) {
	for _, s := range schemas {
		f.Add([]byte(s), "Alice, 42")
	}
	f.Add([]byte(`{"$ref":"#","allOf":[{"$ref":"#/allOf/0"}]}`), "")
	f.Fuzz(func(t *testing.T, schema []byte, message string) {
		start := time.Now()
		got := []byte(structured(string(schema), message))
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("it took %v", took)
		}
		if !json.Valid(got) {
			t.Fatalf("%q is not JSON", got)
		}
		if limit := 512<<10 + 4*len(schema); len(got) > limit {
			t.Fatalf("%d bytes", len(got))
		}
		if again := structured(string(schema), message); !bytes.Equal(got, []byte(again)) {
			t.Fatal("the value does not repeat")
		}
	})
}
