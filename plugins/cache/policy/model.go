package policy

import "math"

// signals is how many numbers a score is made of.
const signals = 13

type vector [signals]float64

// model is a logistic regression that learns one judgement at a time: a Gaussian belief about the weights, moved by the
// extended Kalman filter's step (which is online Newton with the right step size).
type model struct {
	Weights vector
	Spread  [signals]vector // covariance
}

// newModel believes the verifier, and nothing else yet.
func newModel() model {
	m := model{Weights: vector{1: 1}}
	for i := range signals {
		m.Spread[i][i] = 1
	}
	return m
}

func (m *model) score(x *vector) float64 { return sigmoid(dot(&m.Weights, x)) }

// learn moves the belief towards a judgement.
func (m *model) learn(x *vector, same bool) {
	p := m.score(x)
	var sx vector
	for i := range sx {
		sx[i] = dot(&m.Spread[i], x)
	}
	curve := max(p*(1-p), 1e-3)
	gain := 1 / (1 + curve*dot(x, &sx))
	miss := -p
	if same {
		miss = 1 - p
	}
	for i := range sx {
		m.Weights[i] += sx[i] * gain * miss
		for j := range sx {
			m.Spread[i][j] -= sx[i] * sx[j] * curve * gain
		}
	}
}

// features are signals of about the same size around 0.
func features(s Signals, t tally) vector {
	return vector{
		1,
		logit(s.Verified),
		5 * (s.Cosine - 0.7),
		5 * (s.Margin - 0.1),
		4 * (s.Support - 0.5),
		math.Log(float64(1+s.Backers)) - 1,
		t.lean(),
		4*s.Strange - 1,
		2*s.Oddest - 1,
		s.Lead,
		4*s.Unsaid - 1,
		4*s.Unheard - 2,
		4*s.Missing - 2,
	}
}

// tally counts what was judged of one answer.
type tally struct {
	Right float64
	Wrong float64
}

// add counts a judgement; old ones fade, so that about the last fifty count.
func (t tally) add(same bool) tally {
	const fade = 0.98
	t.Right *= fade
	t.Wrong *= fade
	if same {
		t.Right++
	} else {
		t.Wrong++
	}
	return t
}

// lean is the log odds of the answer's own judgements, drawn towards none by a prior that is worth two of each.
func (t tally) lean() float64 { return math.Log((t.Right + 2) / (t.Wrong + 2)) }

func sigmoid(t float64) float64 { return 1 / (1 + math.Exp(-t)) }

// logit keeps a certainty within 1 in 400.
func logit(p float64) float64 {
	p = min(max(p, 0.0025), 0.9975)
	return math.Log(p / (1 - p))
}

func dot(a, b *vector) float64 {
	var s float64
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}
