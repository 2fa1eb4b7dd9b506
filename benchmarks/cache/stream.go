package main

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/policy"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
)

// contender is a cache with a policy. It is asked one question after the other, and knows the intent only as upstream
// and the judge do: what it stores for a question is right for that question's intent.
type contender interface {
	// ask returns the intent whose answer is served, or "" for a miss.
	ask(q query) string
	// judgements is how often a judge was asked.
	judgements() int
}

// tally is what a stream came to.
type tally struct {
	Queries int `json:"queries"`
	Hits    int `json:"hits"`
	Wrong   int `json:"wrong"`
	Judged  int `json:"judged"`
}

// run asks all queries of a stream in an order drawn by seed.
func run(c contender, queries []query, seed uint64) tally {
	order := rand.New(rand.NewPCG(seed, 77)).Perm(len(queries)) //nolint:gosec // an experiment, to be repeated
	var t tally
	for _, i := range order {
		t.Queries++
		if got := c.ask(queries[i]); got != "" {
			t.Hits++
			if got != queries[i].intent {
				t.Wrong++
			}
		}
	}
	t.Judged = c.judgements()
	return t
}

// sluice is the pipeline that the plugin runs.
type sluice struct {
	cache   *semantic.Semantic
	intents map[uint64]string // of stored answers
	last    *semantic.Decision
	judged  int
}

func newSluice(b policy.Bound, seed uint64) (*sluice, error) {
	draw := rand.New(rand.NewPCG(seed, 78)) //nolint:gosec // an experiment, to be repeated
	p, err := policy.New(policy.Config{Bound: b, Rand: draw.Float64})
	if err != nil {
		return nil, err
	}
	return &sluice{
		cache: semantic.New(semantic.Config{
			Embedder: embed.Builtin{}, Policy: p, NewID: draw.Uint64,
			Index: index.New(index.Config{MaxBytes: 1 << 30}),
		}),
		intents: map[uint64]string{},
	}, nil
}

func (s *sluice) ask(q query) string {
	d := s.cache.Lookup(context.Background(), semantic.Question{Class: "stream", Text: q.text})
	s.last = d
	served := ""
	if d.Serve() {
		served = s.intents[d.Hit.Answer]
	} else {
		id := uint64(len(s.intents) + 1)
		s.intents[id] = q.intent
		_, _ = s.cache.Learn(d, semantic.Answer{ID: id, Saved: 0.001}) // what cannot be stored is asked again
	}
	if d.Ask {
		s.judged++
		s.cache.Judge(d, s.judge(d, q))
	}
	return served
}

// judge chooses the answer of the query's intent, if it is among those that a judge would see.
func (s *sluice) judge(d *semantic.Decision, q query) uint64 {
	for _, c := range d.Asked() {
		if s.intents[c.Answer] == q.intent {
			return c.Answer
		}
	}
	return 0
}

func (s *sluice) judgements() int { return s.judged }

// streamRow is one policy on one stream, over all seeds, in per cent.
type streamRow struct {
	Set            string  `json:"set"`
	Policy         string  `json:"policy"`
	MaxWrong       float64 `json:"max_wrong"` // a share; 0 where there is none
	Hits           float64 `json:"hits"`
	WrongOfQueries float64 `json:"wrong_of_queries"`
	WorstOfQueries float64 `json:"worst_of_queries"`
	WrongOfServed  float64 `json:"wrong_of_served"`
	WorstOfServed  float64 `json:"worst_of_served"`
	Judged         float64 `json:"judged"` // questions to the judge, of the queries
	Seeds          []tally `json:"seeds"`
}

// measureStream asks a stream of every contender, in the order of every seed.
func measureStream(set string, queries []query, seeds int) ([]streamRow, error) {
	var rows []streamRow
	add := func(policy string, setting float64, make func(seed uint64) (contender, error)) error {
		row := streamRow{Set: set, Policy: policy, MaxWrong: setting}
		for seed := range uint64(seeds) { //nolint:gosec // a handful
			c, err := make(seed)
			if err != nil {
				return err
			}
			row.Seeds = append(row.Seeds, run(c, queries, seed))
		}
		row.sum()
		rows = append(rows, row)
		return nil
	}
	for _, maxWrong := range []float64{0.01, 0.02, 0.05} {
		if err := add("sluice", maxWrong, func(seed uint64) (contender, error) {
			return newSluice(bound(maxWrong), seed)
		}); err != nil {
			return nil, err
		}
		if err := add("per entry (vCache)", maxWrong, func(seed uint64) (contender, error) {
			return newPerEntry(maxWrong, seed), nil
		}); err != nil {
			return nil, err
		}
	}
	for _, threshold := range []float32{0.8, 0.85, 0.9, 0.95} {
		if err := add("cosine ≥ "+decimal(math.Round(float64(threshold)*100)/100), 0, func(uint64) (contender, error) {
			return &cosine{newNearest(), threshold}, nil
		}); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// sum fills a row from its seeds.
func (r *streamRow) sum() {
	var all tally
	for _, t := range r.Seeds {
		all.Queries += t.Queries
		all.Hits += t.Hits
		all.Wrong += t.Wrong
		all.Judged += t.Judged
		r.WorstOfQueries = max(r.WorstOfQueries, percent(t.Wrong, t.Queries))
		r.WorstOfServed = max(r.WorstOfServed, percent(t.Wrong, t.Hits))
	}
	r.Hits = percent(all.Hits, all.Queries)
	r.WrongOfQueries = percent(all.Wrong, all.Queries)
	r.WrongOfServed = percent(all.Wrong, all.Hits)
	r.Judged = percent(all.Judged, all.Queries)
}

func percent(k, n int) float64 { return 100 * float64(k) / float64(max(n, 1)) }
