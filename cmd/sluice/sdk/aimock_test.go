package sdk

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// aimock starts a provider that others wrote, and gives its address.
func aimock(t *testing.T) (url string) {
	t.Helper()
	c := nodeCommand(t, "aimock.cjs")
	var complaints bytes.Buffer
	c.Stderr = &complaints
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("aimock ended with %v and said\n%s", err, &complaints)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("aimock said %q: %v: %s", line, err, &complaints)
	}
	return strings.TrimSpace(line)
}

// mocks is aimock as a provider of each dialect: the columns mock-chat and so on. Where one fails for a model of mock-*-or-another,
// another says hello.
func mocks(url string) (providers, models string) {
	kinds := []struct{ column, kind string }{{"mock-chat", "openai-compatible"}, {"mock-anthropic", "anthropic"}, {"mock-openai", "openai"}}
	for i, k := range kinds {
		providers += fmt.Sprintf("  - {name: %s, type: %s, base_url: %q, keys: [{name: main, key: any}]}\n", k.column, k.kind, url+"/v1")
		models += fmt.Sprintf("  - {name: \"%s/*\", targets: [{provider: %s, model: \"*\"}]}\n", k.column, k.column)
		other := kinds[(i+1)%len(kinds)].column
		models += fmt.Sprintf("  - {name: \"%s-or-another/*\", targets: [{provider: %s, model: \"*\"}, {provider: %s, model: hello}]}\n", k.column, k.column, other)
	}
	return providers, models
}

// TestAimock has one client of each API talk to aimock in each dialect.
func TestAimock(t *testing.T) {
	providers, models := mocks(aimock(t))
	for _, name := range []string{"openai-node", "openai-python-responses", "anthropic-python", "ai-responses", "anthropic-go-2"} {
		k := speakers[slices.IndexFunc(speakers, func(k speaker) bool { return k.name == name })]
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := startWith(t, providers, models)
			c := k.start(t, s)
			for _, p := range []string{"mock-chat", "mock-anthropic", "mock-openai"} {
				t.Run(p, func(t *testing.T) {
					d := &talk{&desk{T: t, site: s, kind: k.kind, client: c}, k, column{name: p}}
					d.mocked()
					d.chaos()
				})
			}
		})
	}
}

// mockSaid is what aimock says to everything.
const mockSaid = "Hello from a mock, which says this in several pieces."

// heard checks an answer that is all there.
func (d *talk) heard(a seen, text string) {
	d.Helper()
	if a.Error != nil || a.Text != text || a.Finish != d.speaker.done || a.ID == "" {
		d.Errorf("%+v %+v, want %q", a, a.Error, text)
	}
}

func (d *talk) mocked() {
	for _, do := range []string{"chat", "stream"} {
		d.heard(d.ask(d.Context(), d.with(do, "hello", "Hello")), mockSaid)
		q := d.with(do, "thoughtful", "Hello")
		q.Effort = "low"
		a := d.ask(d.Context(), q)
		d.heard(a, mockSaid)
		if a.Thought != "Somebody greets me." {
			d.Errorf("%s: %+v", do, a)
		}
	}
	for _, do := range []string{"tools", "stream_tools"} {
		a := d.ask(d.Context(), d.with(do, "weather", "What is the weather?"))
		d.heard(a, "It is warm.")
		if len(a.Calls) != 2 || a.Calls[0].Arguments != `{"city":"Paris"}` || a.Calls[1].Arguments != `{"city":"London"}` {
			d.Errorf("%s: %+v", do, a.Calls)
		}
	}
	for _, do := range []string{"parse", "stream_parse"} {
		a := d.ask(d.Context(), d.with(do, "city", "Tell me about Paris."))
		if a.Error != nil || a.Parsed == nil || *a.Parsed != (city{"Paris", "France", 2000000}) {
			d.Errorf("%s: %+v %+v", do, a, a.Error)
		}
	}
}

// Whatever breaks is said in the gateway's words, or another provider answers: nothing is taken for complete that is not.
func (d *talk) chaos() {
	f := func(model string, status int) {
		d.Helper()
		for _, do := range []string{"chat", "stream"} {
			q := d.with(do, model, "Hello")
			q.Retries = new(int)
			a := d.ask(d.Context(), q)
			if e := a.Error; e == nil || e.Class != d.class(status) || e.Status != status || e.Type == "" || e.Message == "" || a.Text != "" {
				d.Errorf("%s %s: %+v %+v, want %d", do, model, a, e, status)
			}
			q.Model = d.column.name + "-or-another/" + model
			d.heard(d.ask(d.Context(), q), mockSaid)
		}
	}
	f("drop", 500)
	f("malformed", 502)
	f("disconnect", 502)
	f("limit", 429)

	d.heard(d.ask(d.Context(), d.with("chat", "cut", "Hello")), mockSaid)
	a := d.ask(d.Context(), d.with("stream", "cut", "Hello"))
	if a.Error == nil || !slices.Contains(strings.Fields(d.broken), a.Error.Class) || a.Finish != "" || a.Text == mockSaid {
		d.Errorf("%+v %+v", a, a.Error)
	}
}

// TestAimockEndpoints has the endpoints of OpenAI that hold no conversations answered by aimock.
func TestAimockEndpoints(t *testing.T) {
	providers, models := mocks(aimock(t))
	for _, k := range workers {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := startWith(t, providers, models)
			c := k.start(t, s)
			ask := func(do, prompt string) seen {
				return c.ask(t.Context(), question{Do: do, Model: "mock-openai/any", Provider: "mock-openai", Prompt: prompt})
			}
			if v := ask("embeddings", "a wave").Vectors; len(v) != 2 || len(v[0]) < 8 || !same(v[0], v[1]) {
				t.Errorf("embeddings: %v", v)
			}
			if a := ask("moderate", "I will kill you"); !slices.Equal(a.Said, []string{"violence"}) {
				t.Errorf("%q %+v", a.Said, a.Error)
			}
			if a := ask("picture", "a wave"); !slices.Equal(a.Said, []string{pixel, pixel}) {
				t.Errorf("%q %+v", a.Said, a.Error)
			}
			if a := ask("sound", "a wave"); !slices.Equal(a.Said, []string{"RIFF", "11", "A wave.", "A wave."}) {
				t.Errorf("%q %+v", a.Said, a.Error)
			}
			a := ask("files", line)
			if !strings.HasSuffix(a.ID, "~mock-openai") || !slices.Equal(a.Said, []string{a.ID, "lines.jsonl", line, "true"}) || a.Error == nil || a.Error.Status != 404 {
				t.Errorf("%+v %+v", a, a.Error)
			}
		})
	}
}
