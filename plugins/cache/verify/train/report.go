package main

import (
	"cmp"
	"fmt"
	"log"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/sluice-ai/sluice/plugins/cache/verify"
)

// report prints how well the model tells pairs apart.
func report(name string, m *verify.Model, s []sample) {
	var o outcome
	o.add(m, s)
	o.print(name)
}

// outcome collects scores of pairs: the cosine, the model's, and the model's where no guard refuses.
type outcome struct {
	s                      []sample
	cosine, plain, guarded []float64
	refused                map[string][2]int // same and different ones, by guard
}

func (o *outcome) add(m *verify.Model, s []sample) {
	if o.refused == nil {
		o.refused = make(map[string][2]int)
	}
	o.s = append(o.s, s...)
	for i := range s {
		raw := m.Raw(&s[i].e)
		o.plain = append(o.plain, raw)
		o.cosine = append(o.cosine, float64(s[i].e.Features[verify.Cosine]))
		if s[i].refused != "" {
			raw = math.Inf(-1)
			c := o.refused[s[i].refused]
			if s[i].pair.Same {
				c[0]++
			} else {
				c[1]++
			}
			o.refused[s[i].refused] = c
		}
		o.guarded = append(o.guarded, raw)
	}
}

// print shows the area under the curve, and which share of the same pairs is served where 1 %, 5 % and 20 % of the
// different ones are, with a 95 % interval.
func (o *outcome) print(name string) {
	log.Printf("%s, by cosine: %s", name, curve(o.s, o.cosine))
	log.Printf("%s, by model:  %s", name, curve(o.s, o.plain))
	log.Printf("%s, + guards:  %s", name, curve(o.s, o.guarded))
	var names []string
	for k, c := range o.refused {
		names = append(names, fmt.Sprintf("%s %d/%d", k, c[0], c[1]))
	}
	slices.Sort(names)
	log.Printf("%s, same/different ones refused: %s", name, strings.Join(names, ", "))
}

func curve(s []sample, score []float64) string {
	var yes, no []float64
	for i := range s {
		if s[i].pair.Same {
			yes = append(yes, score[i])
		} else {
			no = append(no, score[i])
		}
	}
	if len(yes) == 0 || len(no) == 0 {
		return "nothing to tell apart"
	}
	slices.Sort(yes)
	slices.Sort(no)
	var above float64
	for _, y := range yes {
		lo := sort.SearchFloat64s(no, y)
		hi := lo + sort.Search(len(no)-lo, func(k int) bool { return no[lo+k] > y })
		above += float64(lo) + float64(hi-lo)/2
	}
	auc := above / float64(len(yes)) / float64(len(no))
	var out strings.Builder
	fmt.Fprintf(&out, "%d same, %d different, AUC %.3f", len(yes), len(no), auc)
	for _, wrong := range []float64{.01, .05, .2} {
		k := len(no) - 1 - int(wrong*float64(len(no)))
		cut := no[max(k, 0)]
		served := len(yes) - sort.Search(len(yes), func(i int) bool { return yes[i] > cut })
		lo, hi := wilson(served, len(yes))
		fmt.Fprintf(&out, ", at %g%% %.1f%% [%.0f, %.0f]", wrong*100, 100*float64(served)/float64(len(yes)), lo*100, hi*100)
	}
	return out.String()
}

// wilson is the 95 % interval of a share.
func wilson(k, n int) (lo, hi float64) {
	const z = 1.96
	p, x := float64(k)/float64(n), float64(n)
	mid := p + z*z/(2*x)
	half := z * math.Sqrt(p*(1-p)/x+z*z/(4*x*x))
	return (mid - half) / (1 + z*z/x), (mid + half) / (1 + z*z/x)
}

// mistakes prints the different pairs with the highest scores, the same ones with scores below those, and the same
// ones that a guard refuses.
func mistakes(m *verify.Model, s []sample, n int) {
	sorted := slices.Clone(s)
	slices.SortStableFunc(sorted, func(a, b sample) int { return cmp.Compare(m.Raw(&b.e), m.Raw(&a.e)) })
	wrong, missed, refused := 0, 0, 0
	for i := range sorted {
		p := &sorted[i]
		show := func(mark string, count *int) {
			if *count++; *count <= n {
				log.Printf("  %s %.3f %s %s | %s", mark, m.Probability(&p.e), p.refused, p.pair.A, p.pair.B)
			}
		}
		switch {
		case !p.pair.Same && p.refused == "":
			show("-", &wrong)
		case p.pair.Same && p.refused != "":
			show("!", &refused)
		case p.pair.Same && wrong > len(s)/100:
			show("+", &missed)
		}
	}
}
