package quota

import (
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// What is taken for what a request does not say, in tokens. The README tells of them.
const (
	shownTokens  = 5000   // of a picture in a prompt: the most that Anthropic counts is 4,784, OpenAI mostly fewer
	unseenTokens = 32_000 // of all else in a prompt that the request only names: files, what was said before, what a search brings
	drawnTokens  = 6240   // of a picture that is made: OpenAI's largest
	spokenTokens = 2      // of speech, for a character: at 15 characters a second and 20 tokens
	heardTokens  = 36_000 // of a recording whose length is not known: of an hour, at 10 tokens a second
	saidTokens   = 12_000 // in an hour
	heardBytes   = 32     // of a recording in the request, for a token: at 8 kbit a second and more
)

// outside is how many tokens a prompt has beside its text, if any.
func outside(r *gateway.Request) int64 {
	if r.Endpoint.Decode == nil || !hasMarks(r.Body(), false) {
		return 0
	}
	q, err := r.Chat()
	if err != nil || q == nil {
		return unseenTokens
	}
	tokens, unseen := int64(0), isUnseen(q)
	for i := range q.Messages {
		for j := range q.Messages[i].Parts {
			switch p := &q.Messages[i].Parts[j]; {
			case p.Kind == chat.PartImage:
				tokens += shownTokens
			case p.Kind == chat.PartAudio && p.Media != nil && p.Media.Data != "":
				tokens += int64(len(p.Media.Data)) / heardBytes
			case p.Kind == chat.PartAudio, p.Kind == chat.PartFile, p.Kind == chat.PartOther:
				unseen = true
			}
		}
	}
	if unseen {
		tokens += unseenTokens
	}
	return tokens
}

// likely is what an attempt likely costs: by the piece where the request asks for pieces, else by the tokens that it has and asks
// for.
func likely(r *gateway.Request, a *gateway.Attempt) catalog.Cost {
	tier, at := r.Member(`"service_tier"`), a.Start.Time()
	of := func(u chat.Usage) catalog.Cost {
		u.Provenance = chat.Estimated
		return a.Known.Cost(u, tier, at)
	}
	switch r.Endpoint.Name {
	case "images.generations", "images.edits", "images.variations":
		n := min(int64(max(r.Fields().N, 1)), mostChoices)
		shown := int64(0)
		if r.Endpoint.Name != "images.generations" {
			shown = shownTokens
		}
		return known(a.Known.CostOf(catalog.Images, n, tier, at),
			of(chat.Usage{Input: a.Prompt, InputImage: shown, OutputImage: n * drawnTokens}),
			of(chat.Usage{Input: a.Prompt + shown, Output: n * drawnTokens}))
	case "audio.speech":
		n := int64(utf8.RuneCountInString(r.Member(`"input"`)))
		return known(a.Known.CostOf(catalog.Characters, n, tier, at),
			of(chat.Usage{Input: a.Prompt, OutputAudio: n * spokenTokens}),
			of(chat.Usage{Input: a.Prompt, Output: n * spokenTokens}))
	case "audio.transcriptions", "audio.translations":
		heard := int64(heardTokens)
		if m := a.Known; m != nil && m.Context > 0 {
			heard = min(heard, m.Context)
		}
		return known(of(chat.Usage{Duration: time.Hour}), of(chat.Usage{InputAudio: heard, Output: saidTokens}), of(chat.Usage{Input: heard, Output: saidTokens}))
	}
	return of(chat.Usage{Input: a.Prompt + outside(r), Output: r.LikelyAnswer()})
}

// known is the first of several costs that is; else the last.
func known(costs ...catalog.Cost) (c catalog.Cost) {
	for _, c = range costs {
		if c.Known {
			break
		}
	}
	return c
}
