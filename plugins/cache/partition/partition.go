// Package partition makes the keys of the cache. A partition is everything of an exchange that decides its answer but for the
// last thing that the user said: whose it is, the model, the conversation so far, the tools and the settings. An exact key
// is a partition and that text. Two exchanges have the same key only if they have the same canonical form, which puts its
// length before each part, so that no two tuples share one; the key is its SHA-256 under a secret, so that nobody who knows
// what others ask can tell what is in the cache.
//
// The form is made of the neutral one. The same conversation has the same key in every dialect, and as a stream or whole.
package partition

import (
	"crypto/sha256"
	"slices"

	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Key is a keyed hash.
type Key [sha256.Size]byte

// Setting is what decides the answer beside the request.
type Setting struct {
	User     string // whose answers are nobody else's in the tenant; "" where the tenant shares them
	Class    string // what was asked for: "chat" for conversations in any dialect
	Model    string // canonical name
	Family   string // where the model leads: another provider is another answer
	Variant  string // of the request's headers, those that change answers
	Versions string // of what decides whether two texts mean the same
	Epoch    uint64 // of the tenant: it is counted up when all of it is purged
}

// Keys makes keys.
type Keys struct{ secret [sha256.Size]byte }

// New makes keys with a secret, which is as good as it is random. Processes that share answers share it.
func New(secret [sha256.Size]byte) *Keys { return &Keys{secret: secret} }

// Kinds of key, so that none is taken for another.
const (
	ofPartition = 'P'
	ofExact     = 'E'
	ofBody      = 'B'
)

// Partition is the key of everything but the last text of the user, and that text. single says that the text is all of the
// last turn; if not, it is "" and the turn is in the key. The tenant is not empty: for nobody's exchange it is false.
func (k *Keys) Partition(of tenant.ID, s *Setting, q *chat.Request) (p Key, text string, single, ok bool) {
	if of == "" || q == nil {
		return Key{}, "", false, false
	}
	text, single = Last(q)
	b := make([]byte, 0, 1024)
	b = Append(append(append(b, k.secret[:]...), ofPartition), of, s, q)
	return sha256.Sum256(b), text, single, true
}

// Exact is the key of a partition's exchange with that last text.
func (k *Keys) Exact(p Key, text string) Key {
	w := writer{make([]byte, 0, 256)}
	w.b = append(append(append(w.b, k.secret[:]...), ofExact), p[:]...)
	w.str(text)
	return sha256.Sum256(w.b)
}

// Last is what the user said last, if that is all of the last turn: one text.
func Last(q *chat.Request) (text string, single bool) {
	n := len(q.Messages)
	if n == 0 {
		return "", false
	}
	m := &q.Messages[n-1]
	if m.Role != chat.RoleUser || len(m.Parts) != 1 || m.Parts[0].Kind != chat.PartText {
		return "", false
	}
	return m.Parts[0].Text, true
}

// Append adds the canonical form of everything but what Last gives. Of the request it leaves out what changes no answer: the
// dialect, whether it streams, what the provider is to keep or to cache, how it is paid for, and the caller's own marks.
func Append(dst []byte, of tenant.ID, s *Setting, q *chat.Request) []byte {
	w := writer{dst}
	w.str(string(of))
	w.setting(s)
	w.str(q.Previous)
	_, single := Last(q)
	w.bool(single)
	w.count(len(q.Messages))
	for i := range q.Messages {
		w.message(&q.Messages[i], single && i == len(q.Messages)-1)
	}
	w.tools(q)
	w.count(int(q.Format.Kind))
	w.str(q.Format.Name)
	w.str(q.Format.Description)
	w.json(q.Format.Schema)
	w.optBool(q.Format.Strict)
	w.str(q.Verbosity)
	w.optInt(q.MaxTokens)
	w.strs(q.Stop)
	w.count(max(q.N, 1))
	w.sampling(&q.Sampling)
	w.count(int(q.Reasoning.Mode))
	w.str(q.Reasoning.Effort)
	w.int(q.Reasoning.Budget)
	w.str(q.Reasoning.Summary)
	w.optBool(q.Logprobs)
	w.optInt(q.TopLogprobs)
	w.extra(q.Extra)
	w.strs(q.Lost)
	return w.b
}

func (w *writer) setting(s *Setting) {
	w.str(s.User)
	w.str(s.Class)
	w.str(s.Model)
	w.str(s.Family)
	w.str(s.Variant)
	w.str(s.Versions)
	w.int(int64(s.Epoch)) //nolint:gosec // the same bits
}

func (w *writer) tools(q *chat.Request) {
	w.count(len(q.Tools))
	for i := range q.Tools {
		t := &q.Tools[i]
		w.count(int(t.Kind))
		w.str(t.Name)
		w.str(t.Description)
		w.json(t.Parameters)
		w.optBool(t.Strict)
	}
	w.count(int(q.Choice.Mode))
	w.strs(q.Choice.Only)
	w.optBool(q.Parallel)
}

func (w *writer) sampling(s *chat.Sampling) {
	w.optFloat(s.Temperature)
	w.optFloat(s.TopP)
	w.optInt(s.TopK)
	w.optFloat(s.FrequencyPenalty)
	w.optFloat(s.PresencePenalty)
	w.optInt(s.Seed)
	w.json(s.LogitBias)
}

// message writes a turn; the text of an open one is not part of it.
func (w *writer) message(m *chat.Message, open bool) {
	w.str(string(m.Role))
	w.str(m.Name)
	w.str(m.CallID)
	w.bool(m.Failed)
	w.count(len(m.Parts))
	for i := range m.Parts {
		p := &m.Parts[i]
		w.count(int(p.Kind))
		if w.bool(open); !open {
			w.str(p.Text)
		}
		w.part(p)
	}
}

func (w *writer) part(p *chat.Part) {
	w.str(p.Signature)
	w.str(string(p.Owner))
	if w.bool(p.Media != nil); p.Media != nil {
		w.str(p.Media.Data)
		w.str(p.Media.Type)
		w.str(p.Media.URL)
		w.str(p.Media.ID)
		w.str(p.Media.Name)
		w.str(p.Media.Detail)
	}
	if w.bool(p.Call != nil); p.Call != nil {
		w.str(p.Call.ID)
		w.count(int(p.Call.Kind))
		w.str(p.Call.Name)
		w.str(p.Call.Arguments)
	}
	w.count(len(p.Citations))
	for i := range p.Citations {
		c := &p.Citations[i]
		w.str(c.URL)
		w.str(c.Title)
		w.str(c.Quote)
		w.count(c.Start)
		w.count(c.End)
	}
	w.json(p.Logprobs)
	w.json(p.Raw)
}

// extra writes the members without a place of their own, in the order of their names.
func (w *writer) extra(list []chat.Member) {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b chat.Member) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	w.count(len(sorted))
	for i := range sorted {
		w.str(sorted[i].Name)
		w.json(sorted[i].Value)
	}
}
