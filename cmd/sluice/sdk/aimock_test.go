package sdk

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
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

// mocks is aimock as a provider of each dialect: the columns mock-chat and so on, and mock-chat-hasty for one that is not waited
// for. Where one fails for a model of mock-*-or-another, another says hello.
func mocks(url string) extras {
	var e extras
	kinds := []struct{ column, kind string }{{"mock-chat", "openai-compatible"}, {"mock-anthropic", "anthropic"}, {"mock-openai", "openai"}}
	for i, k := range kinds {
		other := kinds[(i+1)%len(kinds)].column
		for _, p := range []struct{ name, timeout string }{{k.column, "60s"}, {k.column + "-hasty", "100ms"}} {
			e.providers += fmt.Sprintf("  - {name: %s, type: %s, base_url: %q, keys: [{name: main, key: any}], timeouts: {headers: %s, answer: %[4]s}, %s}\n",
				p.name, k.kind, url+"/v1", p.timeout, robust)
			e.models += fmt.Sprintf("  - {name: \"%s/*\", targets: [{provider: %[1]s, model: \"*\"}]}\n", p.name)
			e.models += fmt.Sprintf("  - {name: \"%s-or-another/*\", targets: [{provider: %[1]s, model: \"*\"}, {provider: %s, model: hello}]}\n", p.name, other)
			e.credentials += fmt.Sprintf("  - {provider: %s, key: any}\n", p.name)
		}
	}
	return e
}

// TestAimock has one client of each API talk to aimock in each dialect.
func TestAimock(t *testing.T) {
	extras := mocks(aimock(t))
	for _, name := range []string{"openai-node", "openai-python-responses", "anthropic-python", "ai-responses", "anthropic-go-2"} {
		k := speakers[slices.IndexFunc(speakers, func(k speaker) bool { return k.name == name })]
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := startWith(t, extras)
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
	f := func(hasty, model string, status int) {
		d.Helper()
		for _, do := range []string{"chat", "stream"} {
			model := strings.Replace(model, "limit", "limit-"+do, 1) // which is not asked for twice at once
			q := question{Do: do, Model: d.column.name + hasty + "/" + model, Prompt: "Hello", Retries: new(int)}
			a := d.ask(d.Context(), q)
			if e := a.Error; e == nil || e.Class != d.class(status) || e.Status != status || e.Type == "" || e.Message == "" || a.Text != "" {
				d.Errorf("%s %s: %+v %+v, want %d", do, model, a, e, status)
			}
			q.Model = d.column.name + hasty + "-or-another/" + model
			d.heard(d.ask(d.Context(), q), mockSaid)
		}
	}
	f("", "drop", 500)
	f("", "malformed", 502)
	f("", "disconnect", 502)
	f("", "limit", 429)
	f("-hasty", "late", 504)

	d.heard(d.ask(d.Context(), d.with("chat", "late", "Hello")), mockSaid)
	d.heard(d.ask(d.Context(), d.with("stream", "slow", "Hello")), mockSaid)
	for _, model := range []string{"cut", "hangup"} {
		d.heard(d.ask(d.Context(), d.with("chat", model, "Hello")), mockSaid)
		a := d.ask(d.Context(), d.with("stream", model, "Hello"))
		if a.Error == nil || !slices.Contains(strings.Fields(d.broken), a.Error.Class) || a.Finish != "" || a.Text == mockSaid {
			d.Errorf("%s: %+v %+v", model, a, a.Error)
		}
	}
}

// TestAimockEndpoints has the endpoints of OpenAI that hold no conversations answered by aimock.
func TestAimockEndpoints(t *testing.T) {
	for _, k := range workers {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			url := aimock(t)
			s := startWith(t, mocks(url))
			m := mocked{t, url, k.start(t, s)}
			m.work()
			m.chaos("dropRate", 500)
			m.chaos("malformedRate", 502)
			m.chaos("disconnectRate", 502)
			m.chaos("rateLimitRate", 429)
		})
	}
}

// mocked is a client of aimock, at an address of its own, by way of the gateway.
type mocked struct {
	*testing.T
	url string
	client
}

func (m mocked) do(what, prompt string) seen {
	return m.ask(m.Context(), question{Do: what, Model: "mock-openai/" + what, Provider: "mock-openai", Prompt: prompt, Retries: new(int)})
}

func (m mocked) work() {
	if v := m.do("embeddings", "a wave").Vectors; len(v) != 2 || len(v[0]) < 8 || !same(v[0], v[1]) {
		m.Errorf("embeddings: %v", v)
	}
	if a := m.do("moderate", "I will kill you"); !slices.Equal(a.Said, []string{"violence"}) {
		m.Errorf("%q %+v", a.Said, a.Error)
	}
	if a := m.do("picture", "a wave"); !slices.Equal(a.Said, []string{pixel, pixel}) {
		m.Errorf("%q %+v", a.Said, a.Error)
	}
	if a := m.do("sound", "a wave"); !slices.Equal(a.Said, []string{"RIFF", "11", "A wave.", "A wave."}) {
		m.Errorf("%q %+v", a.Said, a.Error)
	}
	a := m.do("files", line)
	if !strings.HasSuffix(a.ID, "~mock-openai") || !slices.Equal(a.Said, []string{a.ID, "lines.jsonl", line, "true", "true"}) || a.Error == nil || a.Error.Status != 404 {
		m.Errorf("%+v %+v", a, a.Error)
	}
	a = m.do("batch", line)
	if len(a.Said) != 6 || a.Said[1] != "completed" || !strings.HasSuffix(a.Said[2], "~mock-openai") ||
		!strings.Contains(a.Said[3], `"custom_id":"first"`) || a.Said[4] != "true" || a.Said[5] != "cancelled" {
		m.Errorf("%+v %+v", a, a.Error)
	}
	if a.Error == nil || a.Error.Status != 400 {
		m.Errorf("a batch that is complete was cancelled: %+v", a.Error)
	}
}

// chaos has everything fail in one way; aimock's moderations never do.
func (m mocked) chaos(rate string, status int) {
	m.Helper()
	r, err := http.Post(m.url+"/__aimock/chaos", "application/json", strings.NewReader(`{"`+rate+`":1}`))
	if err != nil {
		m.Fatal(err)
	}
	if _ = r.Body.Close(); r.StatusCode != 200 {
		m.Fatalf("%s: %s", rate, r.Status)
	}
	for _, do := range []string{"embeddings", "picture", "sound", "files", "batch"} {
		if do == "batch" && status == 429 {
			continue // the one of files holds for it, too
		}
		if a := m.do(do, line); a.Error == nil || a.Error.Status != status || a.Error.Message == "" {
			m.Errorf("%s: %s: %+v %+v", rate, do, a, a.Error)
		}
	}
}
