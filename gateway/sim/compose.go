package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

// Answer composes the complete answer to a request: no delay, no fault. Equal requests get equal answers. Its date is
// left to the caller.
func Answer(r *chat.Request, seed int64) chat.Reply {
	b, _ := parse(r.Model)
	return compose(r, b, digest(r, seed))
}

// digest is a number that depends on all of the request that shapes the answer, not on how the answer is delivered.
func digest(r *chat.Request, seed int64) uint64 {
	d := xxhash.NewWithSeed(uint64(seed)) //nolint:gosec // any bits do
	text := func(list ...string) {
		for _, s := range list {
			_, _ = d.WriteString(s)
			_, _ = d.Write([]byte{0xff}) // is in no UTF-8, so texts do not run together
		}
	}
	text(r.Model, r.Reasoning.Effort)
	asked, _ := prefill(r)
	for i := range asked {
		m := &r.Messages[i]
		text(string(m.Role), m.Name, m.CallID)
		for k := range m.Parts {
			p := &m.Parts[k]
			text(p.Text)
			if p.Call != nil {
				text(p.Call.ID, p.Call.Name, p.Call.Arguments)
			}
			if p.Media != nil {
				text(p.Media.URL, p.Media.Data, p.Media.ID)
			}
		}
	}
	for i := range r.Tools {
		text(r.Tools[i].Name, string(r.Tools[i].Parameters))
	}
	text(r.Choice.Only...)
	text(r.Stop...)
	text(string(r.Format.Schema))
	var drawn int64 // a limit only cuts the answer off
	if r.Sampling.Seed != nil {
		drawn = *r.Sampling.Seed
	}
	for _, n := range []int64{drawn, int64(r.N), int64(r.Choice.Mode), int64(r.Format.Kind), int64(r.Reasoning.Mode)} {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], uint64(n)) //nolint:gosec // any bits do
		_, _ = d.Write(word[:])
	}
	return d.Sum64()
}

// prefill tells the conversation from the beginning of the answer, if its last message is one: then the model goes on from
// there. See Anthropic's page on prefilling, and vLLM's continue_final_message.
func prefill(r *chat.Request) (asked []chat.Message, begun string) {
	n := len(r.Messages) - 1
	if n < 1 || r.Messages[n].Role != chat.RoleAssistant {
		return r.Messages, ""
	}
	last := &r.Messages[n]
	for k := range last.Parts {
		if last.Parts[k].Kind != chat.PartText {
			return r.Messages, ""
		}
	}
	return r.Messages[:n], last.Text(chat.PartText)
}

// source is a repeatable source of chance; stream tells apart those of one digest.
func source(digest, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(digest, stream)) //nolint:gosec // repeatable is what it must be
}

// Streams of chance.
const (
	chanceHead = 1 << 32 * (iota + 1)
	chanceChoice
	chanceTiming
	chanceFailure
	chanceThought
	chanceFault
)

func compose(r *chat.Request, b behaviour, digest uint64) chat.Reply {
	prefix := "chatcmpl-"
	switch r.Dialect {
	case anthropic.Name:
		prefix = "msg_"
	case responses.Name:
		prefix = "resp_"
	}
	reply := chat.Reply{Head: chat.Head{ID: prefix + serial(source(digest, chanceHead), 24), Model: r.Model}}
	reasoning, room := int64(reasoningTokens(&r.Reasoning)), int64(never)
	if r.MaxTokens != nil {
		reasoning = min(reasoning, *r.MaxTokens)
		room = min(room, *r.MaxTokens-reasoning)
	}
	prompt, cached := promptTokens(r)
	u := chat.Usage{Input: prompt - cached, CacheRead: cached, Provenance: chat.Reported}
	for i := range max(r.N, 1) {
		rng := source(digest, chanceChoice+uint64(i))
		parts, finish, used := speak(r, b, rng, int(room))
		if reasoning > 0 {
			parts = append([]chat.Part{think(r, source(digest, chanceThought+uint64(i)), int(reasoning))}, parts...)
		}
		reply.Choices = append(reply.Choices, chat.Choice{
			Index: i, Message: chat.Message{Role: chat.RoleAssistant, Parts: parts}, Finish: finish,
		})
		u.Output += int64(used)
		u.Reasoning += reasoning
	}
	reply.Usage = u
	return reply
}

// think is what a model thinks before it answers, as far as it shows it: a summary of up to room tokens, and a signature
// that the caller is to send back with it.
func think(r *chat.Request, rng *rand.Rand, room int) chat.Part {
	p := chat.Part{Kind: chat.PartReasoning, Signature: signed + serial(rng, 40)}
	if r.Reasoning.Summary == "omitted" {
		return p
	}
	said, _ := lastSaid(r)
	p.Text = keep(oneOf(rng,
		"The last message is \""+clip(said, 60)+"\". I look for a template that fits, and fill it in.",
		"I am asked about \""+clip(said, 60)+"\". No model is at work here, so a template must do.",
	), room)
	return p
}

// speak is one choice: what it says or calls in up to room tokens, why it ends, and how many tokens it took.
func speak(r *chat.Request, b behaviour, rng *rand.Rand, room int) (parts []chat.Part, finish chat.FinishReason, used int) {
	question := *r
	var begun string
	question.Messages, begun = prefill(r)
	calls := callTools(&question, rng)
	if len(calls) == 0 || begun != "" {
		text := strings.TrimPrefix(untilStop(content(&question, b, rng), r.Stop), begun)
		if short := keep(text, room); len(short) < len(text) {
			return []chat.Part{{Text: short}}, chat.FinishLength, room
		}
		return []chat.Part{{Text: text}}, chat.FinishStop, tokens(text)
	}
	for i := range calls {
		c := &calls[i]
		short := keep(c.Arguments, room-used)
		parts = append(parts, chat.Part{Kind: chat.PartCall, Call: c})
		used += tokens(short)
		if len(short) < len(c.Arguments) {
			c.Arguments = short
			return parts, chat.FinishLength, used
		}
	}
	return parts, chat.FinishCalls, used
}

// untilStop is what stands before the first of the stop sequences.
func untilStop(text string, stop []string) string {
	for _, s := range stop {
		if s != "" {
			text, _, _ = strings.Cut(text, s)
		}
	}
	return text
}

// serial is n random letters and digits, for an id.
func serial(rng *rand.Rand, n int) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(b)
}

// reasoningTokens is how long a model thinks; not at all if nobody asked for it.
func reasoningTokens(r *chat.Reasoning) int {
	n := 192
	switch r.Effort {
	case "minimal", "low":
		n = 64
	case "high":
		n = 512
	case "xhigh", "max":
		n = 1024
	}
	switch {
	case r.Mode == chat.ThinkOff || r.Effort == "none" || r.Mode == chat.ThinkUnset && r.Effort == "":
		return 0
	case r.Mode == chat.ThinkBudget:
		return int(min(int64(n), r.Budget))
	}
	return n
}

const (
	tokensMessage = 3   // around each message, and for the beginning of the answer
	tokensMedia   = 255 // of an image, a recording or a document, whatever its size
	minCached     = 1024
	stepCached    = 128
)

// promptTokens counts the prompt. By OpenAI's rule for its prompt cache a prefix of at least 1024 tokens counts as read
// from the cache, in steps of 128; the prefix is what comes before the last message.
func promptTokens(r *chat.Request) (prompt, cached int64) {
	n := tokensMessage
	for i := range r.Tools {
		t := &r.Tools[i]
		n += tokens(t.Name) + tokens(t.Description) + len(t.Parameters)/4
	}
	n += len(r.Format.Schema) / 4
	prefix := n
	for i := range r.Messages {
		prefix = n
		n += tokensMessage
		for k := range r.Messages[i].Parts {
			n += partTokens(&r.Messages[i].Parts[k])
		}
	}
	if prefix >= minCached {
		cached = int64(prefix - prefix%stepCached)
	}
	return int64(n), cached
}

func partTokens(p *chat.Part) int {
	switch {
	case p.Call != nil:
		return tokens(p.Call.Name) + tokens(p.Call.Arguments)
	case p.Media != nil:
		return tokensMedia
	default:
		return tokens(p.Text)
	}
}

// content is the text of an answer.
func content(r *chat.Request, b behaviour, rng *rand.Rand) string {
	switch {
	case b.long > 0:
		return ramble(b.long, rng)
	case r.Format.Kind == chat.FormatSchema && r.Format.Schema != nil:
		return string(fromSchema(r.Format.Schema, readHints(r)))
	case r.Format.Kind != chat.FormatText:
		return string(fromSchema([]byte(anyAnswer), readHints(r)))
	}
	return converse(r, rng)
}

// anyAnswer is the schema that an answer follows if only JSON was asked for.
const anyAnswer = `{"type":"object","properties":{"simulated":{"const":true},"topic":{"type":"string"},"answer":{"type":"string"}}}`

// ramble is a text of exactly n tokens.
func ramble(n int, rng *rand.Rand) string {
	var b strings.Builder
	left := 0 // words of the sentence
	for i := range n {
		switch {
		case left == 0 && i > 0 && i < n:
			b.WriteByte('.')
			left = 8 + rng.IntN(8)
			continue
		case i == 0:
			left = 8 + rng.IntN(8)
		default:
			b.WriteByte(' ')
		}
		b.WriteString(filler[rng.IntN(len(filler))])
		left--
	}
	return b.String()
}

// filler is words of one token each.
var filler = strings.Fields(`the a gate opens and water runs along the stone lock while one keeper counts each boat that
	comes by at dawn or dusk with grain salt wool and news from towns up the river where mills turn all day
	the level falls then rises again until both sides are even and the next boat may pass`)
