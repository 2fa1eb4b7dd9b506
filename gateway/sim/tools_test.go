package sim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

var toolSchemas = map[string]string{
	"get_weather":    `{"type":"object","properties":{"location":{"type":"string"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["location"],"additionalProperties":false}`,
	"send_email":     `{"type":"object","properties":{"to":{"type":"string","format":"email"},"subject":{"type":"string"},"body":{"type":"string"}},"required":["to","subject","body"]}`,
	"calculator":     `{"type":"object","properties":{"expression":{"type":"string"}},"required":["expression"]}`,
	"add":            `{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}`,
	"search_flights": `{"type":"object","properties":{"origin":{"type":"string"},"destination":{"type":"string"},"date":{"type":"string","format":"date"},"passengers":{"type":"integer","minimum":1}},"required":["origin","destination","date","passengers"]}`,
	"no_arguments":   `{"type":"object","properties":{}}`,
}

var descriptions = map[string]string{
	"get_weather": "Get the current weather in a location", "send_email": "Send an email to a recipient",
	"calculator": "Evaluate an arithmetic expression", "add": "Add two numbers", "search_flights": "Search flights", "no_arguments": "Do it",
}

func offered() string {
	var tools []string
	for _, name := range []string{"get_weather", "send_email", "add", "calculator", "search_flights", "no_arguments"} {
		tools = append(tools, fmt.Sprintf(`{"type":"function","function":{"name":%q,"description":%q,"parameters":%s}}`,
			name, descriptions[name], toolSchemas[name]))
	}
	return `"tools":[` + strings.Join(tools, ",") + `]`
}

func TestToolCalls(t *testing.T) {
	f := func(message, more string, want ...string) {
		t.Helper()
		d := unary(t, ask("sim-chat", message, offered()+more))
		var got []string
		ids := map[string]bool{}
		for _, c := range d.Calls {
			got = append(got, c.Name+c.Arguments)
			validate(t, toolSchemas[c.Name], c.Arguments)
			if ids[c.ID] || !strings.HasPrefix(c.ID, "call_") {
				t.Errorf("%q: the id %q", message, c.ID)
			}
			ids[c.ID] = true
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", message, got, want)
		}
		if called := d.Finish == chat.FinishCalls; called != (len(want) > 0) || called != (d.Text == "") {
			t.Errorf("%q: finished by %s with the text %q", message, d.Finish, d.Text)
		}
	}
	f("What is the weather in Paris?", "", `get_weather{"location":"Paris"}`)
	f("What's the weather like in Paris, London and New York?", "",
		`get_weather{"location":"Paris"}`, `get_weather{"location":"London"}`, `get_weather{"location":"New York"}`)
	f("What's the weather like in Paris and London?", `,"parallel_tool_calls":false`, `get_weather{"location":"Paris"}`)
	f(`Send an email to bob@example.org about the "quarterly report"`, "",
		`send_email{"to":"bob@example.org","subject":"quarterly report","body":"quarterly report"}`)
	f("what is 12*7", "", `calculator{"expression":"12*7"}`)
	f("Please add 12 and 30.", "", `add{"a":12,"b":30}`)
	f("Find flights from Berlin to Madrid on 2026-05-01 for 3 passengers", "",
		`search_flights{"origin":"Berlin","destination":"Madrid","date":"2026-05-01","passengers":3}`)
	f("Tell me the weather in Rome and email it to ada@example.com", "",
		`get_weather{"location":"Rome"}`,
		`send_email{"to":"ada@example.com","subject":"Tell me the weather in Rome and email it to ada@example.com","body":"Tell me the weather in Rome and email it to ada@example.com"}`)

	f("Tell me a joke", "")
	f("What is the weather in Paris?", `,"tool_choice":"none"`)
	f("Tell me a joke", `,"tool_choice":"required"`, `get_weather{"location":"Paris"}`)
	f("Tell me a joke", `,"tool_choice":{"type":"function","function":{"name":"add"}}`, `add{"a":1,"b":1}`)
	f("Tell me a joke", `,"tool_choice":{"type":"function","function":{"name":"no_arguments"}}`, `no_arguments{}`)
	f("Tell me a joke", `,"tool_choice":{"type":"function","function":{"name":"unheard_of"}}`)
	f("What is the weather in Paris?", `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"add"}}]}}`)
	f("Weather in Oslo? Also add 1 and 2", `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"add"}}]}}`, `add{"a":1,"b":2}`)
	f("weather in A1, B2, C3, D4, E5, F6, G7", "",
		`get_weather{"location":"A1"}`, `get_weather{"location":"B2"}`, `get_weather{"location":"C3"}`, `get_weather{"location":"D4"}`, `get_weather{"location":"E5"}`)
}

// After a result the answer is text, unless another call is required.
func TestToolResultEndsCalls(t *testing.T) {
	conversation := func(more string) said {
		return unary(t, `{"model":"m","messages":[{"role":"user","content":"What is the weather in Paris?"},`+
			`{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"get_weather","arguments":"{}"}}]},`+
			`{"role":"tool","tool_call_id":"c1","content":"{\"sky\":\"clear\"}"}],`+offered()+more+`}`)
	}
	if d := conversation(""); d.Text != "According to get_weather: sky is clear." || d.Finish != chat.FinishStop {
		t.Errorf("got %+v", d)
	}
	if d := conversation(`,"tool_choice":"required"`); len(d.Calls) != 1 {
		t.Errorf("got %+v", d)
	}
}

func TestOtherTools(t *testing.T) {
	d := unary(t, ask("m", "list the files", `"tools":[{"type":"web_search"},{"type":"custom","custom":{"name":"shell"}}],"tool_choice":"required"`))
	want := chat.ToolCall{ID: d.Calls[0].ID, Kind: chat.Custom, Name: "shell", Arguments: "list the files"}
	if !slices.Equal(d.Calls, []chat.ToolCall{want}) {
		t.Errorf("got %+v", d.Calls)
	}
	if d := unary(t, ask("m", "search the web", `"tools":[{"type":"web_search"}],"tool_choice":"required"`)); d.Calls != nil {
		t.Errorf("a tool was called that the provider runs itself: %+v", d.Calls)
	}
	if d := unary(t, ask("m", "shell please", `"tools":[{"type":"function","function":{"name":"shell"}}]`)); len(d.Calls) != 1 || d.Calls[0].Arguments != "{}" {
		t.Errorf("a function without parameters: %+v", d.Calls)
	}
}

// Whatever the budget is, streams and counts stay consistent, and the first call's arguments are cut, not dropped.
func TestToolCallLimit(t *testing.T) {
	for budget := range 12 {
		d := unary(t, ask("m", "weather in Paris and London", offered()+fmt.Sprintf(`,"max_tokens":%d`, budget)))
		if d.Finish != chat.FinishLength || len(d.Calls) == 0 || json.Valid([]byte(d.Calls[len(d.Calls)-1].Arguments)) {
			t.Errorf("%d tokens: %+v", budget, d)
		}
	}
}
