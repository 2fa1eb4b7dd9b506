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

// report prints how well the model tells pairs apart, without the guards and with them: the area under the curve, and
// which share of the same ones is served where 1 % and 5 % of the different ones are, with a 95 % interval.
func report(name string, m *verify.Model, s []sample) {
	guarded := make([]float64, len(s))
	plain := make([]float64, len(s))
	cosine := make([]float64, len(s))
	n := map[string][2]int{}
	for i := range s {
		plain[i] = m.Raw(&s[i].f)
		guarded[i] = plain[i]
		cosine[i] = float64(s[i].f[verify.Cosine])
		if s[i].refused != "" {
			guarded[i] = math.Inf(-1)
			c := n[s[i].refused]
			if s[i].pair.Same {
				c[0]++
			} else {
				c[1]++
			}
			n[s[i].refused] = c
		}
	}
	log.Printf("%-10s cosine %s", name, curve(s, cosine))
	log.Printf("%-10s model  %s", "", curve(s, plain))
	log.Printf("%-10s +guard %s", "", curve(s, guarded))
	if len(n) > 0 {
		var names []string
		for k, c := range n {
			names = append(names, fmt.Sprintf("%s %d/%d", k, c[0], c[1]))
		}
		slices.Sort(names)
		log.Printf("%-10s guards (same/different refused): %s", "", strings.Join(names, ", "))
	}
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
	out := fmt.Sprintf("%d same, %d different, AUC %.3f", len(yes), len(no), auc)
	for _, wrong := range []float64{.01, .05, .2} {
		k := len(no) - 1 - int(wrong*float64(len(no)))
		cut := no[max(k, 0)]
		served := len(yes) - sort.Search(len(yes), func(i int) bool { return yes[i] > cut })
		lo, hi := wilson(served, len(yes))
		out += fmt.Sprintf(", at %g%% %.1f%% [%.0f, %.0f]", wrong*100, 100*float64(served)/float64(len(yes)), lo*100, hi*100)
	}
	return out
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
	slices.SortStableFunc(sorted, func(a, b sample) int { return cmp.Compare(m.Raw(&b.f), m.Raw(&a.f)) })
	wrong, missed, refused := 0, 0, 0
	for i := range sorted {
		p := &sorted[i]
		show := func(mark string, count *int) {
			if *count++; *count <= n {
				log.Printf("  %s %.3f %s %s | %s", mark, m.Probability(&p.f), p.refused, p.pair.A, p.pair.B)
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
