package main

import (
	"math"
	"slices"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/guard"
	"github.com/sluice-ai/sluice/plugins/cache/pairs"
	"github.com/sluice-ai/sluice/plugins/cache/text"
	"github.com/sluice-ai/sluice/plugins/cache/verify"
)

// scored is a pair as a method sees it: 0 if it would never be served.
type scored struct {
	score float64
	same  bool
}

// interval is a share in per cent, with Wilson's interval at 95 %.
type interval struct {
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	N     int     `json:"n"`
}

func shareOf(k, n int) interval {
	if n == 0 {
		return interval{}
	}
	const z = 1.96
	p, m := float64(k)/float64(n), float64(n)
	mid := p + z*z/(2*m)
	half := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	of := 100 / (1 + z*z/m)
	return interval{100 * p, max(of*(mid-half), 0), min(of*(mid+half), 100), n}
}

// served is what a threshold does to a set of pairs.
type served struct {
	Set       string   `json:"set"`
	Method    string   `json:"method"`
	Threshold float64  `json:"threshold"`
	Fixed     string   `json:"fixed"`   // where the threshold was fixed
	Allowed   float64  `json:"allowed"` // wrong answers that it was fixed for, as a share of the different pairs, %
	Right     interval `json:"right"`   // of the pairs that are the same: served
	Wrong     interval `json:"wrong"`   // of the pairs that are different: served
	OfServed  interval `json:"wrong_of_served"`
}

// methods are what is compared on pairs: the whole pipeline without a policy, and the cosine alone.
func methods() map[string]func(a, b *text.Text, cosine float32) float64 {
	return map[string]func(a, b *text.Text, cosine float32) float64{
		"sluice": func(a, b *text.Text, cosine float32) float64 {
			if guard.Check(a, b) != "" {
				return 0
			}
			return verify.Score(a, b, cosine)
		},
		"cosine": func(_, _ *text.Text, cosine float32) float64 { return float64(cosine) },
	}
}

func scoreAll(set []pair, method func(a, b *text.Text, cosine float32) float64) []scored {
	all := make([]scored, len(set))
	u, v := make([]float32, embed.BuiltinDim), make([]float32, embed.BuiltinDim)
	for i, p := range set {
		a, b := text.Parse(p.a), text.Parse(p.b)
		embed.Builtin{}.EmbedText(a, u)
		embed.Builtin{}.EmbedText(b, v)
		var dot float32
		for j := range u {
			dot += u[j] * v[j]
		}
		all[i] = scored{method(a, b, dot), p.same}
	}
	return all
}

// fix finds the lowest threshold at which no more than allowed of the different pairs are served.
func fix(all []scored, allowed float64) float64 {
	var different []float64
	for _, s := range all {
		if !s.same {
			different = append(different, s.score)
		}
	}
	slices.Sort(different)
	slices.Reverse(different)
	may := int(allowed * float64(len(different)))
	if may >= len(different) {
		return 0
	}
	return math.Nextafter(different[may], 2)
}

func apply(all []scored, threshold float64) (right, wrong, ofServed interval) {
	var same, different, yes, no int
	for _, s := range all {
		hit := s.score >= threshold && s.score > 0
		switch {
		case s.same && hit:
			yes++
			fallthrough
		case s.same:
			same++
		case hit:
			no++
			fallthrough
		default:
			different++
		}
	}
	return shareOf(yes, same), shareOf(no, different), shareOf(no, yes+no)
}

// part is one part of the corpus of the project.
func part(name string) ([]pair, error) {
	corpus, err := pairs.Load(pairs.Files)
	if err != nil {
		return nil, err
	}
	var all []pair
	for _, p := range corpus {
		if pairs.Split(p.Group) == name {
			all = append(all, pair{p.A, p.B, p.Same})
		}
	}
	return all, nil
}

// measurePairs fixes thresholds on the development part and measures them on every set. Thresholds in hindsight, fixed on
// the set itself, stand beside them: no one may serve by these, but they say what a method could do.
func measurePairs(sets map[string][]pair) ([]served, error) {
	dev, err := part(pairs.Dev)
	if err != nil {
		return nil, err
	}
	var rows []served
	for _, method := range []string{"cosine", "sluice"} {
		score := methods()[method]
		onDev := scoreAll(dev, score)
		for _, name := range names(sets) {
			all := scoreAll(sets[name], score)
			for _, allowed := range []float64{0.01, 0.05, 0.20} {
				for _, on := range []struct {
					name string
					set  []scored
				}{{"development part", onDev}, {"hindsight", all}} {
					r := served{Set: name, Method: method, Threshold: fix(on.set, allowed), Fixed: on.name, Allowed: 100 * allowed}
					r.Right, r.Wrong, r.OfServed = apply(all, r.Threshold)
					rows = append(rows, r)
				}
			}
		}
	}
	return rows, nil
}

// guarded is what the guards alone do to a set, and guards with the verifier at even odds.
type guarded struct {
	Set    string   `json:"set"`
	Method string   `json:"method"`
	Caught interval `json:"caught"` // of the pairs that are different
	Kept   interval `json:"kept"`   // of the pairs that are the same
}

func measureGuards(sets map[string][]pair) []guarded {
	var rows []guarded
	add := func(set, method string, all []scored, threshold float64) {
		kept, missed, _ := apply(all, threshold)
		rows = append(rows, guarded{
			Set: set, Method: method, Kept: kept,
			Caught: interval{100 - missed.Share, 100 - missed.High, 100 - missed.Low, missed.N},
		})
	}
	for _, name := range names(sets) {
		add(name, "guards alone", scoreAll(sets[name], func(a, b *text.Text, _ float32) float64 {
			if guard.Check(a, b) != "" {
				return 0
			}
			return 1
		}), 0.5)
		all := scoreAll(sets[name], methods()["sluice"])
		for _, t := range []float64{0.1, 0.2, 0.3, 0.5} {
			add(name, "and verifier ≥ "+decimal(t), all, t)
		}
	}
	return rows
}
