package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
)

// stateVersion changes with the meaning of what is exported.
const stateVersion = 1

// ErrState refuses a state that another version of the policy exported, or that is damaged.
var ErrState = errors.New("policy: unusable state")

// state is what Export writes.
type state struct {
	Version int                   `json:"version"`
	Classes map[string]classState `json:"classes"`
	Answers map[uint64]tally      `json:"answers"`
	Pins    []pin                 `json:"pins"`
}

type classState struct {
	Model   model         `json:"model"`
	Decided int           `json:"decided"`
	Samples []sampleState `json:"samples"` // the oldest first
}

type sampleState struct {
	X       vector  `json:"x"`
	Weight  float64 `json:"weight"`
	Same    bool    `json:"same"`
	Offline bool    `json:"offline"`
	At      int     `json:"at"`
}

// mostExported bounds the judgements of all classes together, of which each has its share: 16 MB.
const mostExported = 16 * window

// Export writes all that the policy knows, for Import after a restart or on another node; of many classes the last judgements only.
func (p *Policy) Export() ([]byte, error) {
	data, err := json.Marshal(p.state())
	if err != nil {
		return nil, fmt.Errorf("export policy: %w", err)
	}
	return data, nil
}

// state copies what the policy knows, so that nobody waits for it to be written.
func (p *Policy) state() state {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := state{Version: stateVersion, Classes: map[string]classState{}, Answers: maps.Clone(p.answers), Pins: p.pins.inOrder()}
	for name, c := range p.classes {
		cs := classState{Model: c.model, Decided: c.decided}
		most := mostExported / len(p.classes)
		for i := max(0, len(c.samples)-most); i < len(c.samples); i++ {
			n := c.samples[(c.next+i)%len(c.samples)]
			cs.Samples = append(cs.Samples, sampleState{X: n.x, Weight: n.weight, Same: n.same, Offline: n.offline, At: n.at})
		}
		s.Classes[name] = cs
	}
	return s
}

// Import replaces all that the policy knows. The bound stays its own: thresholds are reckoned anew. After an error the
// policy is as it was.
func (p *Policy) Import(data []byte) error {
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	if s.Version != stateVersion {
		return fmt.Errorf("%w: version %d, not %d", ErrState, s.Version, stateVersion)
	}
	classes := make(map[string]*class, len(s.Classes))
	for name, cs := range s.Classes {
		c := newClass()
		c.model, c.decided = cs.Model, cs.Decided
		for _, n := range cs.Samples[max(0, len(cs.Samples)-window):] {
			if !(n.Weight >= 1) || math.IsInf(n.Weight, 1) {
				return fmt.Errorf("%w: a judgement of weight %g", ErrState, n.Weight)
			}
			c.samples = append(c.samples, sample{x: n.X, weight: n.Weight, same: n.Same, offline: n.Offline, at: n.At})
		}
		c.reckon(p.bound)
		classes[name] = c
	}
	pins := newPins()
	for _, x := range s.Pins {
		pins.add(x)
	}
	if s.Answers == nil {
		s.Answers = map[uint64]tally{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.classes, p.answers, p.pins = classes, s.Answers, pins
	return nil
}

func (p *pins) inOrder() []pin {
	return append(append([]pin(nil), p.order[p.next:]...), p.order[:p.next]...)
}
