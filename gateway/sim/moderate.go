package sim

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// harms are the categories of OpenAI's moderation, each with a few words that stand for it.
var harms = []struct {
	name  string
	words []string
}{
	{"harassment", []string{"idiot", "stupid"}},
	{"harassment/threatening", nil},
	{"hate", []string{"hate"}},
	{"hate/threatening", nil},
	{"illicit", []string{"drugs", "counterfeit"}},
	{"illicit/violent", []string{"bomb"}},
	{"self-harm", []string{"suicide"}},
	{"self-harm/instructions", nil},
	{"self-harm/intent", nil},
	{"sexual", []string{"sex"}},
	{"sexual/minors", nil},
	{"violence", []string{"kill", "murder"}},
	{"violence/graphic", nil},
}

type verdict struct {
	Flagged    bool                `json:"flagged"`
	Categories map[string]bool     `json:"categories"`
	Scores     map[string]float64  `json:"category_scores"`
	Types      map[string][]string `json:"category_applied_input_types"`
}

func (c *call) moderations() answer {
	var q struct {
		Model string
		Input json.RawMessage
	}
	if bad := c.read(&q); bad != nil {
		return *bad
	}
	if q.Model == "" {
		q.Model = "omni-moderation-latest"
	}
	if bad := c.judge(q.Model); bad != nil {
		return *bad
	}
	var texts input
	if json.Unmarshal(q.Input, &texts) != nil {
		var parts []struct{ Type, Text string }
		if json.Unmarshal(q.Input, &parts) != nil {
			return c.wrong("input", "must be a text, texts, or parts")
		}
		var all []string
		for _, p := range parts {
			all = append(all, p.Text)
		}
		texts = input{strings.Join(all, " ")}
	}
	if len(texts) == 0 {
		return c.wrong("input", "is required")
	}
	results := make([]verdict, len(texts))
	for i, text := range texts {
		results[i] = judged(text)
	}
	return c.json(struct {
		ID      string    `json:"id"`
		Model   string    `json:"model"`
		Results []verdict `json:"results"`
	}{"modr-" + c.serial(24), q.Model, results})
}

func judged(text string) verdict {
	lower := strings.ToLower(text)
	v := verdict{Categories: map[string]bool{}, Scores: map[string]float64{}, Types: map[string][]string{}}
	for _, h := range harms {
		found := slices.ContainsFunc(h.words, func(w string) bool { return has(lower, w) })
		v.Flagged = v.Flagged || found
		v.Categories[h.name], v.Scores[h.name], v.Types[h.name] = found, 0.0001, []string{"text"}
		if found {
			v.Scores[h.name] = 0.98
		}
	}
	return v
}

// completions answers the older endpoint, of which chat completions are the successor.
func (c *call) completions() answer {
	var q struct {
		Model     string
		Prompt    input
		MaxTokens *int64 `json:"max_tokens"`
		N         int
		Echo      bool
		Stream    bool
		Options   struct {
			Usage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if bad := c.read(&q); bad != nil {
		return *bad
	}
	if bad := c.judge(q.Model); bad != nil {
		return *bad
	}
	if len(q.Prompt) == 0 {
		q.Prompt = input{""}
	}
	out := completion{ID: "cmpl-" + c.serial(24), Object: "text_completion", Created: now(), Model: q.Model, Choices: []completionChoice{}}
	var used chat.Usage
	for _, prompt := range q.Prompt {
		r := &chat.Request{Model: q.Model, N: q.N, MaxTokens: q.MaxTokens, Messages: []chat.Message{{Role: chat.RoleUser, Parts: []chat.Part{{Text: prompt}}}}}
		reply := Answer(r, c.engine.o.Seed)
		used.Input += reply.Usage.Prompt()
		used.Output += reply.Usage.Completion()
		for i := range reply.Choices {
			text := reply.Choices[i].Message.Text(chat.PartText)
			if q.Echo {
				text = prompt + text
			}
			out.Choices = append(out.Choices, completionChoice{Text: text, Index: len(out.Choices), Finish: new(string(reply.Choices[i].Finish))})
		}
	}
	usage := &completionUsage{used.Input, used.Output, used.Total()}
	if !q.Stream {
		out.Usage = usage
		return c.json(out)
	}
	if !q.Options.Usage {
		usage = nil
	}
	return c.events(append(out.stream(usage), []byte("[DONE]"))...)
}

type completion struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   *completionUsage   `json:"usage,omitempty"`
}

type completionChoice struct {
	Text     string  `json:"text"`
	Index    int     `json:"index"`
	Logprobs any     `json:"logprobs"`
	Finish   *string `json:"finish_reason"`
}

type completionUsage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`
}

// stream is the completion token by token.
func (out completion) stream(usage *completionUsage) [][]byte {
	var events [][]byte
	add := func(u *completionUsage, choices ...completionChoice) {
		one := out
		one.Choices, one.Usage = choices, u
		if b, err := json.Marshal(one); err == nil {
			events = append(events, b)
		}
	}
	for _, whole := range out.Choices {
		for text := whole.Text; text != ""; {
			n := piece(text)
			add(nil, completionChoice{Text: text[:n], Index: whole.Index})
			text = text[n:]
		}
		add(nil, completionChoice{Index: whole.Index, Finish: whole.Finish})
	}
	if usage != nil {
		add(usage, []completionChoice{}...)
		events[len(events)-1] = []byte(strings.Replace(string(events[len(events)-1]), `"choices":null`, `"choices":[]`, 1))
	}
	return events
}
