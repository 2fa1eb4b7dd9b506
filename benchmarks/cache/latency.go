package main

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/policy"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
)

// speed is how long a lookup takes, embedding, guards and verification included.
type speed struct {
	Entries int     `json:"entries"`
	Lookups int     `json:"lookups"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
}

// vary makes distinct questions of a list: a number is worked into each.
func vary(texts []string, i int) string {
	return texts[i%len(texts)] + " in case " + strconv.Itoa(i/len(texts))
}

// measureSpeed fills one partition and looks up the queries as they are: most have a near neighbour that passes the
// guards, or several that do not, which is the work that a lookup can have. The best of three counts: what else the machine
// does in the meantime is not the lookup's.
func measureSpeed(texts []string, entries int) (speed, error) {
	p, err := policy.New(policy.Config{Bound: bound(0.01)})
	if err != nil {
		return speed{}, err
	}
	s := semantic.New(semantic.Config{
		Embedder: embed.Builtin{}, Policy: p, Index: index.New(index.Config{MaxBytes: 1 << 30}),
	})
	for i := range entries {
		q := semantic.Question{Text: vary(texts, i)}
		if _, err := s.Store(context.Background(), q, semantic.Answer{ID: uint64(i + 1)}); err != nil {
			return speed{}, err
		}
	}
	r := rand.New(rand.NewPCG(5, 5)) //nolint:gosec // an experiment, to be repeated
	const lookups = 3000
	took := make([]float64, lookups)
	runtime.GC()
	for i := range took {
		q := texts[r.IntN(len(texts))]
		took[i] = math.Inf(1)
		for range 3 {
			start := time.Now()
			lookup(s, q)
			took[i] = min(took[i], float64(time.Since(start).Nanoseconds())/1e3)
		}
	}
	slices.Sort(took)
	return speed{Entries: entries, Lookups: lookups, P50: took[lookups/2], P99: took[lookups*99/100]}, nil
}

// memory is what entries take.
type memory struct {
	Entries    int     `json:"entries"`
	Partitions int     `json:"partitions"`
	MiB        float64 `json:"heap_mib"`
	Counted    float64 `json:"counted_mib"`
}

// measureMemory fills an arena over many partitions, as tenants do, with texts, words and all.
func measureMemory(texts []string, entries, partitions int) (memory, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	arena := index.New(index.Config{MaxBytes: 1 << 30})
	s := semantic.New(semantic.Config{Embedder: embed.Builtin{}, Index: arena})
	for i := range entries {
		q := semantic.Question{Text: vary(texts, i), Tenant: "t"}
		binary.LittleEndian.PutUint32(q.Partition[:], uint32(i%partitions)) //nolint:gosec // not that many
		if _, err := s.Store(context.Background(), q, semantic.Answer{ID: uint64(i + 1)}); err != nil {
			return memory{}, err
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := arena.Stats()
	m := memory{
		Entries: held.Entries, Partitions: held.Partitions,
		MiB: float64(after.HeapAlloc-before.HeapAlloc) / (1 << 20), Counted: float64(held.Bytes) / (1 << 20),
	}
	runtime.KeepAlive(arena)
	return m, nil
}
