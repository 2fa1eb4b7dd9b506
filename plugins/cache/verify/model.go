package verify

import (
	"encoding/binary"
	"errors"
	"math"
)

// depth is how many questions a tree asks.
const depth = 4

const (
	inner  = 1<<depth - 1
	leaves = 1 << depth
)

// A Tree asks depth questions and ends at one of its leaves. From node i, features above the threshold lead to 2i+2,
// others to 2i+1.
type Tree struct {
	Feature   [inner]uint8
	Threshold [inner]float32
	Leaf      [leaves]float32
}

// A Model is a sum of trees and of weights of differences, whose logistic function after a linear map is a probability.
type Model struct {
	Bias         float64 // log odds before anything else
	Trees        []Tree
	Weights      []int8  // of each kind of difference, or nil
	Unit         float64 // what a weight of 1 adds to the log odds
	Scale, Shift float64 // Platt's calibration
}

// Raw returns the log odds before calibration.
func (m *Model) Raw(e *Evidence) float64 {
	sum := m.Grown(&e.Features)
	if m.Weights != nil {
		weight := 0
		for _, d := range e.Differences.All() {
			weight += int(m.Weights[d])
		}
		sum += float64(weight) * m.Unit
	}
	return sum
}

// Grown returns the part of the log odds that the trees say.
func (m *Model) Grown(f *Features) float64 {
	sum := m.Bias
	for i := range m.Trees {
		t := &m.Trees[i]
		n := 0
		for range depth {
			if f[t.Feature[n]] > t.Threshold[n] {
				n = 2*n + 2
			} else {
				n = 2*n + 1
			}
		}
		sum += float64(t.Leaf[n-inner])
	}
	return sum
}

// Probability returns the calibrated probability that one answer serves both.
func (m *Model) Probability(e *Evidence) float64 {
	return 1 / (1 + math.Exp(-(m.Scale*m.Raw(e) + m.Shift)))
}

var errWeights = errors.New("verify: weights do not fit the features of this version")

const (
	treeSize   = inner*5 + leaves*4
	headerSize = 2*4 + 4*8
)

// MarshalBinary writes the model: the number of features, the number of trees, four float64, the trees, and the weights
// of all kinds of differences.
func (m *Model) MarshalBinary() ([]byte, error) {
	b := binary.LittleEndian.AppendUint32(nil, uint32(featureCount))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.Trees))) //nolint:gosec // few
	for _, x := range []float64{m.Bias, m.Unit, m.Scale, m.Shift} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	for i := range m.Trees {
		t := &m.Trees[i]
		b = append(b, t.Feature[:]...)
		for _, x := range t.Threshold {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		for _, x := range t.Leaf {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	for _, w := range m.Weights {
		b = append(b, byte(w)) //nolint:gosec // two's complement
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (m *Model) UnmarshalBinary(b []byte) error {
	if len(b) < headerSize || binary.LittleEndian.Uint32(b) != uint32(featureCount) {
		return errWeights
	}
	n := int(binary.LittleEndian.Uint32(b[4:]))
	if len(b) != headerSize+n*treeSize+differenceKinds {
		return errWeights
	}
	for i, x := range []*float64{&m.Bias, &m.Unit, &m.Scale, &m.Shift} {
		*x = math.Float64frombits(binary.LittleEndian.Uint64(b[8+8*i:]))
	}
	b = b[headerSize:]
	m.Trees = make([]Tree, n)
	for i := range m.Trees {
		t := &m.Trees[i]
		copy(t.Feature[:], b)
		for _, f := range t.Feature {
			if int(f) >= int(featureCount) {
				return errWeights
			}
		}
		b = b[inner:]
		for k := range t.Threshold {
			t.Threshold[k] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*k:]))
		}
		b = b[4*inner:]
		for k := range t.Leaf {
			t.Leaf[k] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*k:]))
		}
		b = b[4*leaves:]
	}
	m.Weights = make([]int8, differenceKinds)
	for i := range m.Weights {
		m.Weights[i] = int8(b[i]) //nolint:gosec // two's complement
	}
	return nil
}
