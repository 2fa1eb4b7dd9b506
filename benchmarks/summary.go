package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// summary is what all rounds of one figure come to.
type summary struct {
	Figure  string `json:"figure"`
	Unit    string `json:"unit"`
	Floor   middle `json:"floor"`
	Gateway middle `json:"gateway"`
	Ratio   middle `json:"ratio"`           // of the minima, and of the medians; 0 if the floor's is 0
	Limit   string `json:"limit,omitempty"` // what the figure may be; empty: anything
	Over    bool   `json:"over,omitempty"`  // whether it is more
}

// middle is the least of some numbers, and their median.
type middle struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
}

// summarize sums up one figure over the rows of its test.
func summarize(f figure, rows []row) summary {
	values := map[string][]float64{}
	for _, r := range rows {
		if v := f.of(r); !math.IsNaN(v) { // that it could not be measured
			values[r.Subject] = append(values[r.Subject], v)
		}
	}
	s := summary{Figure: f.name, Unit: f.unit, Floor: middleOf(values[floorName]), Gateway: middleOf(values[gatewayName])}
	s.Ratio = middle{ratio(s.Gateway.Min, s.Floor.Min), ratio(s.Gateway.Median, s.Floor.Median)}
	if f.limit == (limit{}) {
		return s
	}
	measured := s.Gateway.Median
	s.Limit = fmt.Sprintf("median ≤ %g", f.limit.most)
	if f.limit.ratio {
		measured = s.Ratio.Min
		s.Limit = fmt.Sprintf("ratio of minima ≤ %g", f.limit.most)
	}
	nothing := measured <= 0 && !f.limit.added || len(values[gatewayName]) == 0 // measured is no pass
	s.Over = nothing || measured > f.limit.most
	return s
}

// middleOf is zero for no numbers.
func middleOf(values []float64) middle {
	if len(values) == 0 {
		return middle{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return middle{Min: sorted[0], Median: (sorted[(n-1)/2] + sorted[n/2]) / 2}
}

func ratio(a, b float64) float64 {
	if b == 0 || math.IsNaN(a) || math.IsNaN(b) {
		return 0
	}
	return a / b
}

// writeTable prints the summaries for people.
func writeTable(w io.Writer, all []summary) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "figure\tunit\tfloor min\tmedian\tgateway min\tmedian\tratio min\tmedian\tlimit\t")
	for _, s := range all {
		verdict := s.Limit
		if s.Over {
			verdict += " EXCEEDED"
		}
		floor, ratio := "-\t-", "-\t-" // the floor has no part in some tests
		if s.Floor != (middle{}) {
			floor = fmt.Sprintf("%.1f\t%.1f", s.Floor.Min, s.Floor.Median)
			ratio = fmt.Sprintf("%.2f\t%.2f", s.Ratio.Min, s.Ratio.Median)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%.1f\t%.1f\t%s\t%s\t\n", s.Figure, s.Unit, floor, s.Gateway.Min, s.Gateway.Median, ratio, verdict)
	}
	return table.Flush()
}
