package semantic

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/guard"
	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/policy"
	"github.com/sluice-ai/sluice/plugins/cache/text"
	"github.com/sluice-ai/sluice/plugins/cache/verify"
)

// Config makes a Semantic.
type Config struct {
	Embedder embed.Embedder
	Index    *index.Arena
	Policy   *policy.Policy

	// Guard names what forbids one answer for two questions, or returns ""; nil is guard.Check.
	Guard func(a, b *text.Text) string
	// Verify is the probability that one answer serves two questions; nil is verify.Score, with the cosine of the embedder that
	// it was calibrated with.
	Verify func(a, b *text.Text, cosine float32) float64

	// Shadow decides, measures and learns, but serves nothing.
	Shadow bool
	// Changed hears of every change that was made here, so that other nodes can Apply it; may be nil. It is called on the
	// path of the request and must not wait.
	Changed func(Change)

	// Now is the time by which answers expire; nil is time.Now.
	Now func() time.Time
	// NewID draws the ids of entries; nil is math/rand/v2. It may be called at the same time.
	NewID func() uint64
}

// Semantic looks up, learns and is judged. Its methods may be called at the same time.
type Semantic struct {
	c    Config
	fast textEmbedder // the embedder, if it takes parsed texts
}

// textEmbedder is an embedder that reads a parsed text, without a network, an error or a second parse.
type textEmbedder interface {
	EmbedText(t *text.Text, dst []float32)
}

// New makes a Semantic over an index and a policy.
func New(c Config) *Semantic {
	if c.Guard == nil {
		c.Guard = guard.Check
	}
	if c.Verify == nil {
		c.Verify = verify.Score
		if _, own := c.Embedder.(embed.Builtin); !own {
			c.Verify = func(a, b *text.Text, _ float32) float64 { return verify.Score(a, b, builtin(a, b)) }
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = rand.Uint64
	}
	if c.Changed == nil {
		c.Changed = func(Change) {}
	}
	s := &Semantic{c: c}
	s.fast, _ = c.Embedder.(textEmbedder)
	return s
}

// builtin is the cosine of two texts by the builtin embedder.
func builtin(a, b *text.Text) (cosine float32) {
	var u, v [embed.BuiltinDim]float32
	embed.Builtin{}.EmbedText(a, u[:])
	embed.Builtin{}.EmbedText(b, v[:])
	for i := range u {
		cosine += u[i] * v[i]
	}
	return cosine
}

// Version names all that decides whether two texts mean the same, with an embedder: what another version has stored or
// judged says nothing here.
func Version(e embed.Embedder) string {
	return strings.Join([]string{e.ID(), "text-" + text.Version(), "guards-" + guard.Version, "verifier-" + verify.Version()}, " ")
}

// Question is what is looked up.
type Question struct {
	Partition index.Key  // what it shares with the questions it is compared to
	Class     string     // whose judgements are pooled with its own
	Tenant    string     // whose share of the memory its entry takes
	Text      string     // the last thing that the user said
	Parsed    *text.Text // of Text; nil if nobody has parsed it yet
}

// Answer is what Learn stores a wording for. Its value is kept elsewhere, by its ID.
type Answer struct {
	ID      uint64
	Saved   float64   // what a hit saves, USD
	Size    int       // bytes that its value takes in the memory that the index bounds; 0 if it is kept elsewhere
	Expires time.Time // the zero time is never
}

// The reasons why a question was not served. That of a guard is "guard:" and its name.
const (
	ReasonText     = "text"     // there is nothing in it to compare
	ReasonEmbedder = "embedder" // the embedder failed or was too slow
	ReasonEmpty    = "empty"    // nothing is stored in the partition
	ReasonPinned   = "pinned"   // a judge or a user has said that the answer does not serve it
	ReasonScore    = "score"    // the answer is not certain enough to be right
	ReasonExplore  = "explore"  // would be served, but is sent upstream to learn from it
	ReasonShadow   = "shadow"   // would be served, but the mode is shadow
	guardPrefix    = "guard:"
)

// Candidate is a stored wording that was considered.
type Candidate struct {
	Entry    uint64
	Answer   uint64
	Text     string
	Expires  int64 // Unix seconds, 0 for never
	Cosine   float32
	Refused  string  // why it was left out: ReasonPinned or a guard's; "" if it was not
	Verified float64 // the verifier's probability; 0 if it was not asked
	Score    float64 // the policy's probability that the answer is right; 0 if it was not asked
}

// Decision is the outcome of a lookup and its explanation.
type Decision struct {
	Question   Question
	Reason     string // why it was not served; "" if it was
	Hit        Candidate
	Threshold  float64 // the score that was needed; above 1 if there is no evidence yet
	Offline    bool    // served by the offline calibration
	Ask        bool    // the judge should be asked about Asked
	Candidates []Candidate

	vector []float32
	words  []uint32
	sample policy.Sample

	mu     sync.Mutex
	entry  uint64 // what Learn stored
	stored bool
	serves Candidate // what the judge has chosen before the answer came
}

// Serve reports whether Hit.Answer is to be served.
func (d *Decision) Serve() bool { return d.Reason == "" }

// Asked is what the judge chooses from: one wording of each answer that no guard forbids, three at most, Hit first.
func (d *Decision) Asked() []Candidate {
	if d.Hit.Answer == 0 && d.Hit.Text == "" {
		return nil
	}
	asked := []Candidate{d.Hit}
	for _, c := range d.Candidates {
		if c.Refused == "" && c.Answer != d.Hit.Answer {
			asked = append(asked, c)
		}
	}
	return asked
}

const (
	searched = 16 // entries: all that a search returns; they vote
	verified = 3  // answers that the verifier is asked about
	compared = 8  // entries that are parsed and guarded: a parse costs more than a search among thousands
)

// Lookup decides about a question. It never fails: what it cannot do is a reason for a miss.
func (s *Semantic) Lookup(ctx context.Context, q Question) *Decision {
	d := &Decision{Question: q}
	if d.Question.Parsed == nil {
		d.Question.Parsed = text.Parse(q.Text)
	}
	if d.Reason = s.embed(ctx, d); d.Reason != "" {
		return d
	}
	var buf [searched]index.Match
	found := s.unexpired(s.c.Index.Search(q.Partition, d.vector, searched, buf[:0]))
	if len(found) == 0 {
		d.Reason = ReasonEmpty
		return d
	}
	d.words = wordsOf(d.Question.Parsed)
	d.Hit.Score = -1
	var best policy.Signals
	asked := 0
	for i := range found[:min(len(found), compared)] {
		m := &found[i]
		if asked == verified || d.considered(m.Answer) {
			continue
		}
		c := Candidate{Entry: m.ID, Answer: m.Answer, Text: m.Text, Expires: m.Expires, Cosine: m.Cosine}
		t := text.Parse(m.Text)
		if c.Refused = s.refusal(d, &c, t); c.Refused == "" {
			asked++
			c.Verified = s.c.Verify(d.Question.Parsed, t, m.Cosine)
			signals := signalsOf(d.Question.Parsed, d.words, found, m.Answer, c.Verified)
			c.Score = s.c.Policy.Score(q.Class, c.Answer, signals)
			if c.Score > d.Hit.Score {
				d.Hit, best = c, signals
			}
		}
		d.Candidates = append(d.Candidates, c)
	}
	s.decide(d, best)
	return d
}

// decide asks the policy about the best candidate.
func (s *Semantic) decide(d *Decision, best policy.Signals) {
	if d.Hit.Score < 0 {
		d.Hit = Candidate{}
		d.Reason = d.Candidates[0].Refused
		return
	}
	v := s.c.Policy.Decide(d.Question.Class, d.Hit.Answer, best)
	d.Threshold, d.Offline, d.Ask, d.sample = v.Threshold, v.Offline, v.Ask, v.Sample
	switch {
	case v.Action == policy.Miss:
		d.Reason = ReasonScore
	case s.c.Shadow:
		d.Reason = ReasonShadow
	case v.Action == policy.Explore:
		d.Reason = ReasonExplore
	default:
		s.c.Index.Touch(d.Hit.Entry)
	}
}

// considered reports whether a wording that leads to an answer has passed the guards already; it was nearer.
func (d *Decision) considered(answer uint64) bool {
	for i := range d.Candidates {
		if d.Candidates[i].Answer == answer && d.Candidates[i].Refused == "" {
			return true
		}
	}
	return false
}

func (s *Semantic) refusal(d *Decision, c *Candidate, t *text.Text) string {
	if s.c.Policy.Pinned(hash(d.Question.Text), c.Answer) {
		return ReasonPinned
	}
	if g := s.c.Guard(d.Question.Parsed, t); g != "" {
		return guardPrefix + g
	}
	return ""
}

// embed sets the decision's vector, or returns why it could not.
func (s *Semantic) embed(ctx context.Context, d *Decision) string {
	if s.fast != nil {
		d.vector = make([]float32, s.c.Embedder.Dim())
		s.fast.EmbedText(d.Question.Parsed, d.vector)
	} else {
		vectors, err := s.c.Embedder.Embed(ctx, []string{d.Question.Text})
		if err != nil || len(vectors) != 1 {
			return ReasonEmbedder
		}
		d.vector = vectors[0]
	}
	for _, x := range d.vector {
		if x != 0 {
			return ""
		}
	}
	return ReasonText
}

// unexpired leaves out matches whose answer has expired, and removes them.
func (s *Semantic) unexpired(found []index.Match) []index.Match {
	now := s.c.Now().Unix()
	kept := found[:0]
	for _, m := range found {
		if m.Expires == 0 || m.Expires > now {
			kept = append(kept, m)
			continue
		}
		s.c.Index.Delete(m.ID)
	}
	return kept
}

// hash names a question, however it is spaced and capitalised.
func hash(question string) uint64 {
	return xxhash.Sum64String(strings.Join(strings.Fields(strings.ToLower(question)), " "))
}
