package main

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMiddle(t *testing.T) {
	f := func(want middle, values ...float64) {
		t.Helper()
		if got := middleOf(values); got != want {
			t.Errorf("%v: got %+v, want %+v", values, got, want)
		}
	}
	f(middle{})
	f(middle{7, 7}, 7)
	f(middle{1, 1.5}, 2, 1)
	f(middle{1, 2}, 3, 1, 2)
	f(middle{1, 2.5}, 4, 3, 1, 2)

	unsorted := []float64{3, 1, 2}
	middleOf(unsorted)
	if d := cmp.Diff([]float64{3, 1, 2}, unsorted); d != "" {
		t.Errorf("the values were changed: %s", d)
	}
}

// rows makes a round of each pair: what the floor measured and what the gateway did.
func rows(pairs ...[2]float64) []row {
	var all []row
	for i, p := range pairs {
		all = append(all, row{Round: i, Subject: floorName, Start: p[0]}, row{Round: i, Subject: gatewayName, Start: p[1]})
	}
	return all
}

func started(r row) float64 { return r.Start }

func TestSummary(t *testing.T) {
	got := summarize(figure{"start", "ms", started, limit{}}, rows([2]float64{10, 30}, [2]float64{8, 12}, [2]float64{9, 13.5}))
	want := summary{
		Figure: "start", Unit: "ms",
		Floor: middle{8, 9}, Gateway: middle{12, 13.5}, Ratio: middle{1.5, 1.5},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestLimits(t *testing.T) {
	f := func(l limit, over bool, pairs ...[2]float64) {
		t.Helper()
		s := summarize(figure{"x", "ms", started, l}, rows(pairs...))
		if s.Over != over || s.Limit == "" {
			t.Errorf("%+v of %v: %+v", l, pairs, s)
		}
	}
	// A ratio compares the minima, whatever the rounds they are from: noise only ever adds.
	ratio := limit{most: 1.5, ratio: true}
	f(ratio, false, [2]float64{10, 40}, [2]float64{20, 15})
	f(ratio, true, [2]float64{10, 15.1}, [2]float64{20, 20})
	f(ratio, true, [2]float64{10, 0})          // nothing measured is no pass
	f(ratio, true, [2]float64{0, 10})          // nor is a floor of nothing
	f(ratio, true, [2]float64{10, math.NaN()}) // nor what is no number
	f(ratio, true)
	// An absolute limit holds the median, and does not ask the floor.
	most := limit{most: 25}
	f(most, false, [2]float64{0, 24}, [2]float64{0, 25}, [2]float64{0, 99})
	f(most, true, [2]float64{99, 24}, [2]float64{99, 25.1}, [2]float64{99, 26})
	f(most, true)
	// A difference may be less than nothing.
	added := limit{most: 15, added: true}
	f(added, false, [2]float64{0, -3})
	f(added, false, [2]float64{0, 0})
	f(added, true, [2]float64{0, 15.1})
	f(added, true, [2]float64{0, math.NaN()})
	f(added, true)
}

func TestTable(t *testing.T) {
	var out strings.Builder
	err := writeTable(&out, []summary{
		summarize(figure{"start", "ms", started, limit{most: 100}}, rows([2]float64{10, 30})),
		summarize(figure{"max", "CPU µs/request", started, limit{most: 1.5, ratio: true}}, rows([2]float64{20, 40})),
		summarize(figure{"alone", "ms", started, limit{most: 20}}, rows([2]float64{0, 4})[1:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"figure unit floor min median gateway min median ratio min median limit",
		"start ms 10.0 10.0 30.0 30.0 3.00 3.00 median ≤ 100",
		"max CPU µs/request 20.0 20.0 40.0 40.0 2.00 2.00 ratio of minima ≤ 1.5 EXCEEDED",
		"alone ms - - 4.0 4.0 - - median ≤ 20",
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
