// Package policy decides whether a stored answer may be served, so that the share of wrong answers stays below a bound.
//
// # What is guaranteed
//
// Two bounds hold for every threshold that is used, by what was judged above it (Wilson's one-sided upper bound):
//
//   - wrong answers as a share of all questions are no more than MaxWrong at 95 % confidence;
//   - wrong answers as a share of the answers that are served are no more than MaxWrong at 87 % confidence, 1.15 standard
//     deviations. That is the stricter one, as a rule: what is measured is then below MaxWrong in most streams, and above
//     it by little in some.
//
// Both take the judge's word for what is wrong, and the past for the future: questions that change their nature overnight
// are noticed only as judgements come in.
//
// # How
//
// A would-be hit is scored: the probability that one answer serves both questions, from the verifier's opinion of the
// pair, the cosine, how far the next other answer is, how many near wordings lead to the same answer, and what was
// judged of that answer before. The weights of this score begin as the verifier's opinion alone and learn from every
// judgement.
//
// Until there is evidence, a hit is served only if the verifier's own probability exceeds the offline calibration.
// Evidence comes from misses that were nearly hits (all are judged), from a few per cent of would-be hits that go
// upstream all the same (explored), and from served answers that are judged afterwards (audited): all of them at first,
// fewer as evidence grows. A judgement that had the chance p of being made counts as 1/p of them. Judgements are pooled
// over a class of exchanges, and one answer's own judgements move its score away from the pool's as they become many.
//
// The threshold is the lowest score above which the bound holds. With no such score, and evidence that the offline
// calibration is too bold for this class, nothing is served.
package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// Bound says how many wrong answers are allowed, and what is spent on knowing.
type Bound struct {
	// MaxWrong is the largest share of wrong answers among those that are served, more than 0 and less than 1.
	MaxWrong float64

	// Offline is the verifier's probability from which an answer is served without evidence: above 1 is never.
	Offline float64

	// Judged is whether there is a judge. Without one nothing is explored or learnt, and the offline calibration decides.
	Judged bool

	// Explore is the share of would-be hits that go upstream so that two answers can be compared; 0 is 0.02.
	Explore float64

	// Audit is the least share of served answers that are judged afterwards; 0 is 0.05.
	Audit float64
}

// Config makes a Policy.
type Config struct {
	Bound
	// Rand draws from [0, 1); nil is math/rand/v2. Calls are never made at the same time.
	Rand func() float64
}

// Policy holds what is known of every class. Its methods may be called at the same time.
type Policy struct {
	bound Bound
	rand  func() float64

	mu      sync.Mutex
	classes map[string]*class
	answers map[uint64]tally
	pins    pins
}

// ErrBound refuses a bound that is not one.
var ErrBound = errors.New("policy: unusable bound")

// New makes a policy that knows nothing yet.
func New(c Config) (*Policy, error) {
	b := c.Bound
	if b.Explore == 0 {
		b.Explore = 0.02
	}
	if b.Audit == 0 {
		b.Audit = 0.05
	}
	if !(b.MaxWrong > 0 && b.MaxWrong < 1) {
		return nil, fmt.Errorf("%w: max_wrong %g is not between 0 and 1", ErrBound, b.MaxWrong)
	}
	for _, share := range []float64{b.Explore, b.Audit} {
		if !(share >= 0 && share <= 1) {
			return nil, fmt.Errorf("%w: %g is not between 0 and 1", ErrBound, share)
		}
	}
	draw := c.Rand
	if draw == nil {
		draw = rand.Float64
	}
	return &Policy{
		bound:   b,
		rand:    draw,
		classes: map[string]*class{},
		answers: map[uint64]tally{},
		pins:    newPins(),
	}, nil
}

// Signals is what is known of a would-be hit. The wordings near the question vote for the answers that they lead to, the
// nearer the louder.
type Signals struct {
	Verified float64 // the verifier's probability that one answer serves both questions
	Cosine   float64 // of the nearest wording that leads to the answer
	Margin   float64 // by how much that exceeds the cosine of the nearest wording that leads elsewhere; Cosine if none does
	Support  float64 // share of the votes for the answer, 0 to 1
	Lead     float64 // log of the ratio of the votes for the answer and for the next best one
	Backers  int     // how many of the near wordings lead to the answer
	Strange  float64 // weight of the words of the question that none of these has, as a share of all, 0 to 1
	Oddest   float64 // weight of the heaviest of them, 0 to 1
	Unsaid   float64 // share of the question's words, as written, that none of these has, 0 to 1
	Unheard  float64 // the same of its pairs of neighbouring words
	Missing  float64 // share of the nearest wording's words that the question does not have, 0 to 1
}

// Action is what to do with a would-be hit.
type Action uint8

// The actions.
const (
	Miss    Action = iota // not to be served
	Serve                 // to be served
	Explore               // would be served, but goes upstream so that there is something to judge by
)

// Verdict is a decision about a would-be hit.
type Verdict struct {
	Action    Action
	Score     float64 // the probability that the answer is right
	Threshold float64 // what it had to reach; above 1 if nothing could
	Offline   bool    // served by the offline calibration, not by evidence
	Ask       bool    // the judge should be asked, with the sample
	Sample    Sample  // to be handed to Observe, with the judge's word
}

// Sample is a would-be hit that may be judged.
type Sample struct {
	Class   string
	Answer  uint64
	Signals Signals
	Weight  float64 // 1 / the chance of being judged
	Same    bool    // the judge's word
}

// Score is the probability that an answer is right, as Decide will see it.
func (p *Policy) Score(class string, answer uint64, s Signals) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := features(s, p.answers[answer])
	return p.class(class).model.score(&x)
}

// Decide says what to do with a would-be hit that leads to answer.
func (p *Policy) Decide(class string, answer uint64, s Signals) Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.class(class)
	c.decided++
	x := features(s, p.answers[answer])
	v := Verdict{
		Score:     c.model.score(&x),
		Threshold: c.threshold,
		Offline:   s.Verified >= p.bound.Offline && !c.refuted,
		Sample:    Sample{Class: class, Answer: answer, Signals: s, Weight: 1},
	}
	evident := v.Score >= c.threshold
	switch {
	case !evident && !v.Offline:
		v.Ask = p.bound.Judged && v.Score >= greyFloor
		return v
	case evident:
		v.Offline = false
	}
	v.Action = Serve
	if !p.bound.Judged {
		return v
	}
	audit := c.audit(p.bound.Audit)
	judged := p.bound.Explore + (1-p.bound.Explore)*audit
	v.Sample.Weight = 1 / judged
	switch draw := p.rand(); {
	case draw < p.bound.Explore:
		v.Action, v.Ask = Explore, true
	case draw < judged:
		v.Ask = true
	}
	return v
}

// greyFloor is the score from which a miss is worth the judge's time: below it yes is too rare.
const greyFloor = 0.05

// Observe learns from a judgement.
func (p *Policy) Observe(s Sample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.class(s.Class)
	t := p.answers[s.Answer]
	c.observe(features(s.Signals, t), s, p.bound)
	p.judged(s.Answer, s.Same)
}

// judged counts a word about an answer. Of too many answers, any is forgotten: most of them are gone.
func (p *Policy) judged(answer uint64, same bool) {
	t, known := p.answers[answer]
	if !known && len(p.answers) >= maxAnswers {
		for old := range p.answers {
			delete(p.answers, old)
			break
		}
	}
	p.answers[answer] = t.add(same)
}

const maxAnswers = 1 << 16

// Reject counts a complaint against an answer. Only the answer's own standing falls: complaints are no sample of what is
// served, so they say nothing about the class.
func (p *Policy) Reject(answer uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judged(answer, false)
}

// Forget drops what was judged of an answer that is gone.
func (p *Policy) Forget(answer uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.answers, answer)
}

// Pin remembers that an answer does not serve a question, by the question's hash.
func (p *Policy) Pin(question, answer uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pins.add(pin{question, answer})
}

// Pinned reports whether that was said.
func (p *Policy) Pinned(question, answer uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pins.has(pin{question, answer})
}

func (p *Policy) class(name string) *class {
	c := p.classes[name]
	if c == nil {
		if len(p.classes) >= maxClasses { // names come from configuration: this is a mistake there, not a load to carry
			for old := range p.classes {
				delete(p.classes, old)
				break
			}
		}
		c = newClass()
		p.classes[name] = c
	}
	return c
}

const maxClasses = 4096
