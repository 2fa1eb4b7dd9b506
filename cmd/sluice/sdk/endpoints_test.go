package sdk

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"testing"
)

// workers are the clients of OpenAI's endpoints that hold no conversations.
var workers = []kind{
	{"openai-python", python("endpoints.py"), official, "", 2},
	{"openai-node", node("endpoints.cjs"), official, "", 2},
	{"openai-go", newEndpointsGo, one("*openai.Error"), "", 2},
}

var tasks = []struct {
	name string
	see  func(*desk)
}{
	{"embeddings", embeddings},
	{"completions", completions},
	{"moderations", moderations},
	{"images", pictures},
	{"audio", sound},
	{"files", files},
	{"batches", batches},
}

func TestEndpoints(t *testing.T) {
	for _, k := range workers {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			c := k.start(t, s)
			for _, task := range tasks {
				t.Run(task.name, func(t *testing.T) { task.see(&desk{T: t, site: s, kind: k, client: c}) })
			}
		})
	}
}

// said is what the client reports of so many answers.
func (d *desk) said(do, prompt string, answers int) seen {
	d.Helper()
	a := d.ask(d.Context(), question{Do: do, Model: "chat/sim-fast", Prompt: prompt})
	if answers > 0 && (a.Error != nil || len(a.Said) != answers) {
		d.Fatalf("%+v %+v", a, a.Error)
	}
	return a
}

// same says whether two vectors are, as far as a float32 has digits.
func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) < 1e-6 })
}

func embeddings(d *desk) {
	a := d.said("embeddings", "a wave", 0)
	if len(a.Vectors) != 2 || len(a.Vectors[0]) != 1536 || !same(a.Vectors[0], a.Vectors[1]) {
		d.Errorf("%+v %+v", a, a.Error)
	}
}

// The other libraries have embeddings too.
func TestEmbeddings(t *testing.T) {
	for _, k := range []kind{
		{"ai", node("ai.cjs", "chat"), official, "", 2},
		{"langchain-python", python("chain.py", "chat"), official, "", 2},
		{"langchain-node", node("chain.cjs", "chat"), official, "", 2},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			a := k.start(t, s).ask(t.Context(), question{Do: "embeddings", Model: "chat/sim-fast", Prompt: "a wave"})
			if len(a.Vectors) != 1 || len(a.Vectors[0]) != 1536 {
				t.Errorf("%+v %+v", a, a.Error)
			}
		})
	}
}

func completions(d *desk) {
	if a := d.said("complete", "repeat after me: "+said, 2); a.Said[0] != said || a.Said[1] != said {
		d.Errorf("%q", a.Said)
	}
}

func moderations(d *desk) {
	if a := d.said("moderate", "I will kill you", 1); a.Said[0] != "violence" {
		d.Errorf("%q", a.Said)
	}
	d.said("moderate", "I will greet you", 0)
}

func pictures(d *desk) {
	for _, image := range d.said("picture", "a wave", 2).Said {
		if b, err := base64.StdEncoding.DecodeString(image); err != nil || !strings.HasPrefix(string(b), "\x89PNG") {
			d.Errorf("%v: %q", err, image)
		}
	}
}

// What comes back of a sound says how many bytes of it arrived.
func sound(d *desk) {
	a := d.said("sound", "A wave rolls in and out.", 4)
	heard := "A recording of " + a.Said[1] + " bytes called speech.wav."
	if a.Said[0] != "RIFF" || len(a.Said[1]) < 4 || a.Said[2] != heard || a.Said[3] != heard {
		d.Errorf("%q", a.Said)
	}
}

// line is a request of a batch.
const line = `{"custom_id":"first","method":"POST","url":"/v1/chat/completions",` +
	`"body":{"model":"sim-fast","messages":[{"role":"user","content":"repeat after me: hello"}]}}` + "\n"

// The id of a file leads back to the provider that has it.
func files(d *desk) {
	a := d.said("files", line, 0)
	if !strings.HasSuffix(a.ID, "~wire") || !slices.Equal(a.Said, []string{a.ID, "lines.jsonl", line, "true", "true"}) {
		d.Errorf("%+v %+v", a, a.Error)
	}
	if a.Error == nil || a.Error.Status != 404 || a.Error.Class != d.class(404) {
		d.Errorf("a file that was deleted: %+v", a.Error)
	}
}

func batches(d *desk) {
	a := d.said("batch", line, 0)
	if len(a.Said) != 6 || !strings.HasSuffix(a.ID, "~wire") {
		d.Fatalf("%+v %+v", a, a.Error)
	}
	if a.Said[4] != "true" || a.Said[5] != "409" { // for the provider has it completed at once
		d.Errorf("listed: %s, cancelled: %s", a.Said[4], a.Said[5])
	}
	if !strings.HasSuffix(a.Said[0], "~wire") || a.Said[1] != "completed" || !strings.HasSuffix(a.Said[2], "~wire") ||
		!strings.Contains(a.Said[3], `"custom_id":"first"`) || !strings.Contains(a.Said[3], `"content":"hello"`) {
		d.Errorf("%q", a.Said)
	}
	if a.Error == nil || a.Error.Status != 409 {
		d.Errorf("a batch that is complete was cancelled: %+v", a.Error)
	}
}
