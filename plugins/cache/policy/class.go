package policy

import (
	"math"
	"slices"
)

const (
	window   = 4096 // judgements that a class remembers
	burnIn   = 100  // judged would-be hits before a threshold is believed
	recount  = 16   // judgements from one reckoning of the threshold to the next
	never    = 2    // a threshold that no score reaches
	auditAll = 400  // judgements above the threshold until which every served answer is audited
)

// class is what is known of exchanges that are alike.
type class struct {
	model     model
	samples   []sample // a ring once it is full
	next      int
	threshold float64
	refuted   bool // the offline calibration is too bold here
	above     int  // judgements above the threshold
	decided   int  // would-be hits that were decided about
	pending   int  // judgements since the last reckoning
}

// sample is a judgement.
type sample struct {
	x       vector
	weight  float64
	same    bool
	offline bool // the verifier alone would have served it
	at      int  // how many had been decided about
}

func newClass() *class { return &class{model: newModel(), threshold: never} }

// audit is the share of served answers to be judged: all while little is known, then ever fewer.
func (c *class) audit(least float64) float64 {
	return max(least, min(1, auditAll/float64(c.above+1)))
}

func (c *class) observe(x vector, s Sample, b Bound) {
	c.model.learn(&x, s.Same)
	n := sample{x: x, weight: s.Weight, same: s.Same, offline: s.Signals.Verified >= b.Offline, at: c.decided}
	if len(c.samples) < window {
		c.samples = append(c.samples, n)
	} else {
		c.samples[c.next] = n
		c.next = (c.next + 1) % window
	}
	c.pending++
	surprised := !s.Same && (n.offline || c.model.score(&x) >= c.threshold)
	if c.pending >= recount || surprised {
		c.reckon(b)
	}
}

// reckon finds the lowest threshold above which the bound holds.
func (c *class) reckon(b Bound) {
	c.pending = 0
	type scored struct {
		score float64
		*sample
	}
	all := make([]scored, len(c.samples))
	var offline count
	for i := range c.samples {
		s := &c.samples[i]
		all[i] = scored{c.model.score(&s.x), s}
		if s.offline {
			offline.add(s.weight, s.same)
		}
	}
	// It must be likely that it is too bold: that it is not is never certain.
	c.refuted = offline.n >= 10 && offline.lower(likely) > b.MaxWrong
	// What the offline calibration serves counts against the bound, whatever its score.
	for i := range all {
		if all[i].offline && !c.refuted {
			all[i].score = 1
		}
	}
	slices.SortFunc(all, func(x, y scored) int {
		switch {
		case x.score > y.score:
			return -1
		case x.score < y.score:
			return 1
		}
		return 0
	})
	c.threshold, c.above = never, 0
	questions := float64(c.since())
	var held count
	for i, s := range all {
		held.add(s.weight, s.same)
		if held.n < burnIn || (i+1 < len(all) && all[i+1].score == s.score) {
			continue
		}
		share := 1.0 // of the questions that would be served
		if held.weight < questions {
			share = held.weight / questions
		}
		if held.upper(likely) <= b.MaxWrong && held.upper(certain)*share <= b.MaxWrong {
			c.threshold, c.above = s.score, held.n
		}
	}
}

// since is how many would-be hits were decided about while the judgements came in that are remembered.
func (c *class) since() int {
	oldest := 0
	if len(c.samples) == window {
		oldest = c.samples[c.next].at
	}
	return c.decided - oldest
}

// How certain a one-sided bound is, in standard deviations.
const (
	likely  = 1.15  // 87 %
	certain = 1.645 // 95 %
)

// count estimates a share of wrong answers from weighted judgements.
type count struct {
	n                      int
	weight, squares, wrong float64
}

func (c *count) add(weight float64, same bool) {
	c.n++
	c.weight += weight
	c.squares += weight * weight
	if !same {
		c.wrong += weight
	}
}

// upper is Wilson's upper bound, with as many judgements as the weights are worth (Kish's effective sample size).
func (c *count) upper(z float64) float64 { return c.wilson(z) }

// lower is Wilson's lower bound.
func (c *count) lower(z float64) float64 { return c.wilson(-z) }

func (c *count) wilson(z float64) float64 {
	if c.weight == 0 {
		return 0.5 + math.Copysign(0.5, z)
	}
	n := c.weight * c.weight / c.squares
	p := c.wrong / c.weight
	return (p + z*z/(2*n) + z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))) / (1 + z*z/n)
}
