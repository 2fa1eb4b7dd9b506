package main

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/sluice-ai/sluice/plugins/cache/pairs"
	"github.com/sluice-ai/sluice/plugins/cache/policy"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
)

// workload is what a stream of questions costs with a cache.
type workload struct {
	Name     string   `json:"name"`
	Queries  int      `json:"queries"`
	Possible interval `json:"possible"` // queries whose answer had been given before
	Exact    interval `json:"exact"`    // served byte for byte
	Hits     interval `json:"hits"`     // served at all
	Saved    float64  `json:"saved"`    // of the cost, %
	Wrong    int      `json:"wrong"`
	Judged   int      `json:"judged"`
}

// repeats is the workload of a reference system: so many queries, of which 30 % are repeated byte for byte.
func repeats(n int, r *rand.Rand) ([]query, error) {
	heads, err := questions()
	if err != nil {
		return nil, err
	}
	r.Shuffle(len(heads), func(i, j int) { heads[i], heads[j] = heads[j], heads[i] })
	fresh := n * 7 / 10
	var all []query
	for _, q := range heads[:fresh] {
		all = append(all, query{q, q})
	}
	for range n - fresh {
		all = append(all, all[r.IntN(fresh)])
	}
	r.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, nil
}

// heavy is a help desk: few topics asked often (by Zipf's law), half of the queries byte for byte, the others with a
// greeting, a courtesy, other capitals or a slip of the finger, and one in ten reworded. Near misses of every topic are
// asked as well.
func heavy(n int, r *rand.Rand) ([]query, error) {
	topics, err := topics()
	if err != nil {
		return nil, err
	}
	r.Shuffle(len(topics), func(i, j int) { topics[i], topics[j] = topics[j], topics[i] })
	topics = topics[:min(len(topics), 150)]
	zipf := rand.NewZipf(r, 1.1, 4, uint64(len(topics)-1)) //nolint:gosec // not negative
	var all []query
	for range n {
		t := topics[zipf.Uint64()]
		q := t[0]
		switch draw := r.Float64(); {
		case draw < 0.1:
			q = t[r.IntN(len(t))]
		case draw < 0.5:
			q.text = disguise(q.text, r)
		}
		all = append(all, q)
	}
	return all, nil
}

// disguise asks the same in the way of another user.
func disguise(s string, r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return "Hi, " + strings.ToLower(s[:1]) + s[1:]
	case 1:
		return s + " Thanks!"
	case 2:
		return strings.ToLower(strings.TrimRight(s, "?."))
	case 3:
		return "Hello! " + s + " Please help."
	case 4:
		return strings.ReplaceAll(s, "?", " ?")
	}
	i := 1 + r.IntN(len(s)-1)
	for range 20 { // a letter inside a long word is typed twice
		if isLetter(s[i]) && isLetter(s[i-1]) {
			return s[:i] + s[i:i+1] + s[i:]
		}
		i = 1 + r.IntN(len(s)-1)
	}
	return s
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' }

// topics are the groups of the corpus's test part: the head first, then wordings of the same and near misses, each near
// miss with an intent of its own.
func topics() ([][]query, error) {
	corpus, err := pairs.Load(pairs.Files)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	var all [][]query
	for _, p := range corpus {
		if pairs.Split(p.Group) != pairs.Test || p.A != p.Group {
			continue
		}
		i, ok := at[p.Group]
		if !ok {
			i = len(all)
			at[p.Group] = i
			all = append(all, []query{{p.Group, p.Group}})
		}
		intent := p.Group
		if !p.Same {
			intent = p.B
		}
		all[i] = append(all[i], query{p.B, intent})
	}
	return all, nil
}

// measureWorkload asks queries of a cache with an exact tier before it. An answer costs by its length, which is drawn
// once for each intent.
func measureWorkload(name string, queries []query, maxWrong float64, r *rand.Rand) (workload, error) {
	s, err := newSluice(bound(maxWrong), 1)
	if err != nil {
		return workload{}, err
	}
	exact := map[string]string{}
	price := map[string]float64{}
	var possible, same, hits int
	var spent, full float64
	w := workload{Name: name, Queries: len(queries)}
	for _, q := range queries {
		if price[q.intent] == 0 {
			price[q.intent] = math.Exp(r.NormFloat64() * 0.7)
		} else {
			possible++
		}
		full += price[q.intent]
		got, ok := exact[q.text]
		if ok {
			same++
		} else if got = s.ask(q); got == "" {
			spent += price[q.intent]
			exact[q.text] = q.intent
			continue
		}
		hits++
		if got != q.intent {
			w.Wrong++
		}
	}
	n := len(queries)
	w.Possible, w.Exact, w.Hits = shareOf(possible, n), shareOf(same, n), shareOf(hits, n)
	w.Saved, w.Judged = 100*(1-spent/full), s.judged
	return w, nil
}

// bound is what the gateway uses, with a judge.
func bound(maxWrong float64) policy.Bound {
	return policy.Bound{MaxWrong: maxWrong, Offline: policy.Offline(maxWrong), Judged: true}
}

// lookup asks once, as the plugin does.
func lookup(s *semantic.Semantic, q string) *semantic.Decision {
	return s.Lookup(context.Background(), semantic.Question{Class: "latency", Text: q})
}
