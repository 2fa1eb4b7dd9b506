package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// source is one list.
type source interface {
	// names are those that the list has for a kind of provider.
	names(provider string) []string
	// quote is what it says of one; nil if it has none of it.
	quote(provider, name string) *quote
}

// quote is what one list says of one model.
type quote struct {
	prices  map[slot]int64 // picodollars for a token, an hour or a character
	until   string         // day on which the prices change
	mode    string
	context []int64 // what the list may mean by the context window
	output  int64
	able    map[string]bool
	// takesSampling is what a list says of temperature, "" if nothing: accepted, refused or without_reasoning.
	sampling      string
	thinking      string
	efforts       []string
	defaultEffort string
	retires       string
}

// slot is one price of a model.
type slot struct {
	tier, hours string
	above       int64
	class       catalog.Class
}

// set notes a price given as JSON, for scale of the unit: a million for a price a million tokens, 0 for one a second of
// what is charged by the hour.
func (q *quote) set(s slot, raw json.RawMessage, scale int64) error {
	n, err := picodollars(raw, scale)
	if err != nil {
		return err
	}
	if q.prices == nil {
		q.prices = map[slot]int64{}
	}
	q.prices[s] = n
	return nil
}

// picodollars reads a number, or a string with one, exactly; a price that is no whole number of picodollars but was
// printed from a binary fraction is the one it was printed from.
func picodollars(raw json.RawMessage, scale int64) (int64, error) {
	text := string(raw)
	if len(text) > 1 && text[0] == '"' {
		text = text[1 : len(text)-1]
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, fmt.Errorf("%s is not a number", raw)
	}
	slack := big.NewRat(1, 1_000_000)
	if scale == 0 { // a second is a rounded part of an hour
		r.Mul(r, big.NewRat(3600, 1))
		slack, scale = big.NewRat(1, 2), 1
	}
	r.Mul(r, big.NewRat(1_000_000_000_000, scale))
	if !r.IsInt() {
		whole := new(big.Int).Div(new(big.Int).Add(new(big.Int).Mul(r.Num(), big.NewInt(2)), r.Denom()),
			new(big.Int).Mul(r.Denom(), big.NewInt(2)))
		off := new(big.Rat).Sub(r, new(big.Rat).SetInt(whole))
		if off.Abs(off).Cmp(slack) > 0 {
			return 0, fmt.Errorf("%s is not a whole number of picodollars", raw)
		}
		r.SetInt(whole)
	}
	if r.Sign() < 0 || !r.Num().IsInt64() {
		return 0, fmt.Errorf("%s is out of range", raw)
	}
	return r.Num().Int64(), nil
}

// normalise drops prices that say nothing: zero for what is not charged, and those that only repeat the ordinary one.
func (q *quote) normalise() {
	for s, n := range q.prices {
		ordinary := s
		switch s.class {
		case catalog.ReasoningOutput:
			ordinary.class = catalog.Output
		case catalog.InputAudio, catalog.InputImage:
			ordinary.class = catalog.Input
		}
		if o, ok := q.prices[ordinary]; ok && ordinary != s && o == n {
			delete(q.prices, s)
		}
	}
	for s, n := range q.prices {
		if n == 0 && s.class != catalog.Input {
			delete(q.prices, s)
		}
	}
}

// bands are the lengths of prompt from which other prices hold, ascending.
func (q *quote) bands() (above []int64) {
	for s := range q.prices {
		if s.above > 0 && !slices.Contains(above, s.above) {
			above = append(above, s.above)
		}
	}
	slices.Sort(above)
	return above
}

// move renames a band.
func (q *quote) move(from, to int64) {
	for s, n := range q.prices {
		if s.above == from {
			delete(q.prices, s)
			s.above = to
			q.prices[s] = n
		}
	}
}
