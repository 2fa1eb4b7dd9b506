package index_test

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sluice-ai/sluice/plugins/cache/index"
)

const dim = 256

// key makes a partition's key from a number.
func key(n uint64) (k index.Key) {
	binary.LittleEndian.PutUint64(k[:], n)
	return k
}

// direction is a random vector of length 1.
func direction(r *rand.Rand, dim int) []float32 {
	v := make([]float32, dim)
	var sum float64
	for i := range v {
		x := r.NormFloat64()
		v[i] = float32(x)
		sum += x * x
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

// near is a vector whose cosine with v is about c.
func near(r *rand.Rand, v []float32, c float64) []float32 {
	noise := direction(r, len(v))
	out := make([]float32, len(v))
	for i := range v {
		out[i] = float32(c*float64(v[i]) + math.Sqrt(1-c*c)*float64(noise[i]))
	}
	return out
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// stored is an entry as the oracle keeps it.
type stored struct {
	index.Entry
	key    index.Key
	vector []float32
	uses   float64
	value  float64
}

// oracle is an arena that looks at everything, every time.
type oracle struct {
	bound, share int64
	entries      map[uint64]*stored
	age          float64
	weigh        func(index.Entry, int) int64
}

func (o *oracle) bytes(tenant string) (n int64) {
	for _, e := range o.entries {
		if tenant == "" || e.Tenant == tenant {
			n += o.weigh(e.Entry, len(e.vector))
		}
	}
	return n
}

func (o *oracle) rank(e *stored) {
	e.value = o.age + e.uses*max(e.Saved, 1e-6)/float64(o.weigh(e.Entry, len(e.vector)))
}

// evict removes the least valuable; values are distinct, as the test draws them.
func (o *oracle) evict(tenant string) (gone []uint64) {
	least := func(tenant string) *stored {
		var worst *stored
		for _, e := range o.entries {
			if (tenant == "" || e.Tenant == tenant) && (worst == nil || e.value < worst.value) {
				worst = e
			}
		}
		return worst
	}
	drop := func(e *stored) {
		o.age = max(o.age, e.value)
		delete(o.entries, e.ID)
		gone = append(gone, e.ID)
	}
	for o.bytes(tenant) > o.share {
		drop(least(tenant))
	}
	for o.bytes("") > o.bound {
		drop(least(""))
	}
	return gone
}

// Whatever is done to an arena, it finds what a list would find, keeps its bound, and lets go whom GDSF would.
func TestArenaAgainstOracle(t *testing.T) {
	// What an entry is counted at is read from the arena itself, with an entry of nothing but a vector.
	weigh := func() func(index.Entry, int) int64 {
		a := index.New(index.Config{MaxBytes: 1 << 20})
		if _, err := a.Put(key(0), index.Entry{}, direction(rand.New(rand.NewPCG(1, 1)), 8)); err != nil {
			t.Fatal(err)
		}
		base := a.Stats().Bytes - 8
		return func(e index.Entry, dim int) int64 { return base + int64(dim+len(e.Text)+4*len(e.Words)+e.Size) }
	}()
	rapid.Check(t, func(t *rapid.T) {
		const dim = 32
		c := index.Config{MaxBytes: rapid.Int64Range(2000, 12000).Draw(t, "bound")}
		o := &oracle{bound: c.MaxBytes, share: c.MaxBytes, entries: map[uint64]*stored{}, weigh: weigh}
		if rapid.Bool().Draw(t, "shared") {
			c.MaxShare = 0.5
			o.share = c.MaxBytes / 2
		}
		a := index.New(c)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		id := rapid.Uint64Range(1, 60)
		part := rapid.Uint64Range(0, 2)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := index.Entry{
					ID: id.Draw(t, "id"), Answer: rapid.Uint64Range(1, 9).Draw(t, "answer"),
					Text:   rapid.StringN(0, 20, 40).Draw(t, "text"),
					Tenant: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant"),
					Saved:  r.Float64(), Size: rapid.IntRange(0, 200).Draw(t, "size"), Words: make([]uint32, r.IntN(9)),
				}
				k, v := key(part.Draw(t, "partition")), direction(r, dim)
				gone, err := a.Put(k, e, v)
				if err != nil {
					t.Fatal(err)
				}
				n := &stored{Entry: e, key: k, vector: v, uses: 1}
				if old := o.entries[e.ID]; old != nil {
					n.uses = old.uses
				}
				o.entries[e.ID] = n
				o.rank(n)
				var got []uint64
				for _, g := range gone {
					got = append(got, g.ID)
				}
				if want := o.evict(e.Tenant); !slices.Equal(got, want) {
					t.Fatalf("evicted %v, not %v", got, want)
				}
			},
			"touch": func(t *rapid.T) {
				i := id.Draw(t, "id")
				a.Touch(i)
				if e := o.entries[i]; e != nil {
					e.uses++
					o.rank(e)
				}
			},
			"relabel": func(t *rapid.T) {
				i, to := id.Draw(t, "id"), rapid.Uint64Range(1, 9).Draw(t, "answer")
				e := o.entries[i]
				if got := a.Relabel(i, to, 7); got != (e != nil) {
					t.Fatalf("relabelled: %t", got)
				}
				if e != nil {
					e.Answer, e.Expires = to, 7
				}
			},
			"delete": func(t *rapid.T) {
				i := id.Draw(t, "id")
				if got := a.Delete(i); got != (o.entries[i] != nil) {
					t.Fatalf("deleted: %t", got)
				}
				delete(o.entries, i)
			},
			"delete an answer": func(t *rapid.T) {
				k, answer := key(part.Draw(t, "partition")), rapid.Uint64Range(1, 9).Draw(t, "answer")
				checkDeleted(t, o, a.DeleteAnswer(k, answer), func(e *stored) bool { return e.key == k && e.Answer == answer })
			},
			"delete a partition": func(t *rapid.T) {
				k := key(part.Draw(t, "partition"))
				checkDeleted(t, o, a.DeletePartition(k), func(e *stored) bool { return e.key == k })
			},
			"": func(t *rapid.T) {
				s := a.Stats()
				if s.Entries != len(o.entries) || s.Bytes != o.bytes("") || s.Bytes > c.MaxBytes {
					t.Fatalf("%+v, not %d entries of %d bytes", s, len(o.entries), o.bytes(""))
				}
				checkSearch(t, a, o, key(0), direction(r, dim))
				checkEach(t, a, o)
			},
		})
	})
}

func checkDeleted(t *rapid.T, o *oracle, got int, which func(*stored) bool) {
	want := 0
	for i, e := range o.entries {
		if which(e) {
			delete(o.entries, i)
			want++
		}
	}
	if got != want {
		t.Fatalf("deleted %d, not %d", got, want)
	}
}

// checkSearch compares a search with all cosines. With no more entries than the prefilter keeps it must be complete;
// with more, what it returns must be right.
func checkSearch(t *rapid.T, a *index.Arena, o *oracle, k index.Key, want []float32) {
	var mine []*stored
	for _, e := range o.entries {
		if e.key == k {
			mine = append(mine, e)
		}
	}
	got := a.Search(k, want, 99, nil)
	if len(got) != min(len(mine), 16) {
		t.Fatalf("found %d of %d", len(got), len(mine))
	}
	if !slices.IsSortedFunc(got, func(x, y index.Match) int { return cmp.Compare(y.Cosine, x.Cosine) }) {
		t.Fatalf("not sorted: %v", got)
	}
	for _, m := range got {
		e := o.entries[m.ID]
		if e == nil || e.key != k || m.Answer != e.Answer || m.Text != e.Text || len(m.Words) != len(e.Words) || m.Expires != e.Expires {
			t.Fatalf("found %+v, which is %+v", m, e)
		}
		if c := cosine(want, e.vector); math.Abs(c-float64(m.Cosine)) > 0.01 {
			t.Fatalf("cosine %g, not %g", m.Cosine, c)
		}
	}
}

func checkEach(t *rapid.T, a *index.Arena, o *oracle) {
	seen := map[uint64]bool{}
	a.Each(func(k index.Key, e index.Entry, vector []float32) bool {
		want := o.entries[e.ID]
		if want == nil || seen[e.ID] || !diff.Equal(e, want.Entry) || k != want.key || cosine(vector, want.vector) < 0.999 {
			t.Fatalf("each: %+v, which is %+v", e, want)
		}
		seen[e.ID] = true
		return true
	})
	if len(seen) != len(o.entries) {
		t.Fatalf("each: %d of %d", len(seen), len(o.entries))
	}
}

// In a crowd, the nearest is found if it is near enough to be served.
func TestRecall(t *testing.T) {
	f := func(dim, n int, cos float64, least int) {
		t.Helper()
		r := rand.New(rand.NewPCG(uint64(dim), uint64(n)))
		a := index.New(index.Config{MaxBytes: 1 << 30})
		vectors := make([][]float32, n)
		for i := range vectors {
			vectors[i] = direction(r, dim)
			if _, err := a.Put(key(1), index.Entry{ID: uint64(i)}, vectors[i]); err != nil {
				t.Fatal(err)
			}
		}
		const probes = 100
		found := 0
		for range probes {
			i := r.IntN(n)
			if m := a.Search(key(1), near(r, vectors[i], cos), 1, nil); len(m) == 1 && m[0].ID == uint64(i) {
				found++
			}
		}
		if found < least {
			t.Errorf("%d numbers, %d entries, cosine %g: found %d of %d", dim, n, cos, found, probes)
		}
	}
	f(256, 5000, 0.9, 100)
	f(256, 5000, 0.6, 99)
	f(128, 5000, 0.7, 99)
	f(384, 2000, 0.6, 99)
	f(1536, 1000, 0.6, 99)
	f(4096, 300, 0.6, 99)
}

// A vector of which most numbers are zero, or always have the same sign, has as many bits to tell it by as any other.
func TestUnevenVectors(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	a := index.New(index.Config{MaxBytes: 1 << 30})
	sparse := make([][]float32, 3000)
	for i := range sparse {
		v := make([]float32, dim)
		for range 5 {
			v[r.IntN(dim)] = 1 + r.Float32() // all positive
		}
		sparse[i] = v
		if _, err := a.Put(key(1), index.Entry{ID: uint64(i)}, v); err != nil {
			t.Fatal(err)
		}
	}
	for i, v := range sparse {
		probe := slices.Clone(v)
		probe[r.IntN(dim)]++
		m := a.Search(key(1), probe, 1, nil)
		if len(m) != 1 || float64(m[0].Cosine) < cosine(probe, v)-0.01 {
			t.Fatalf("entry %d at cosine %g: found %v", i, cosine(probe, v), m)
		}
	}
}

func TestPutRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	f := func(e index.Entry, v []float32, want error) {
		t.Helper()
		a := index.New(index.Config{MaxBytes: 4000, MaxShare: 0.5})
		if _, err := a.Put(key(1), index.Entry{ID: 1, Tenant: "t"}, direction(r, dim)); err != nil {
			t.Fatal(err)
		}
		before := a.Stats()
		if _, err := a.Put(key(1), e, v); !errors.Is(err, want) {
			t.Errorf("%v, not %v", err, want)
		}
		if after := a.Stats(); want != nil && after != before {
			t.Errorf("%+v became %+v", before, after)
		}
	}
	nan := direction(r, dim)
	nan[3] = float32(math.NaN())
	inf := direction(r, dim)
	inf[3] = float32(math.Inf(1))
	f(index.Entry{ID: 2}, direction(r, dim), nil)
	f(index.Entry{ID: 2}, nil, index.ErrVector)
	f(index.Entry{ID: 2}, make([]float32, dim), index.ErrVector)
	f(index.Entry{ID: 2}, nan, index.ErrVector)
	f(index.Entry{ID: 2}, inf, index.ErrVector)
	f(index.Entry{ID: 2}, direction(r, 128), index.ErrVector)
	f(index.Entry{ID: 2}, direction(r, 4097), index.ErrVector)
	f(index.Entry{ID: 2, Size: 2000}, direction(r, dim), index.ErrSize)
}

func TestSearchOfAnotherLength(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	a := index.New(index.Config{MaxBytes: 1 << 20})
	if _, err := a.Put(key(1), index.Entry{ID: 1}, direction(r, dim)); err != nil {
		t.Fatal(err)
	}
	f := func(k index.Key, v []float32, limit, want int) {
		t.Helper()
		if got := a.Search(k, v, limit, nil); len(got) != want {
			t.Errorf("found %d, not %d", len(got), want)
		}
	}
	f(key(1), direction(r, dim), 1, 1)
	f(key(1), direction(r, dim), 0, 0)
	f(key(1), direction(r, 128), 1, 0)
	f(key(1), make([]float32, dim), 1, 0)
	f(key(2), direction(r, dim), 1, 0)
}

// One tenant's flood must not wash away another's entries.
func TestShare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	a := index.New(index.Config{MaxBytes: 100_000, MaxShare: 0.3})
	for i := range uint64(100) {
		if _, err := a.Put(key(1), index.Entry{ID: i, Tenant: "small", Saved: 1e-6}, direction(r, dim)); err != nil {
			t.Fatal(err)
		}
	}
	before := len(ids(a, key(1)))
	for i := range uint64(5000) {
		if _, err := a.Put(key(2), index.Entry{ID: 1000 + i, Tenant: "loud", Saved: 1}, direction(r, dim)); err != nil {
			t.Fatal(err)
		}
	}
	if after := len(ids(a, key(1))); before == 0 || after != before {
		t.Errorf("of %d entries of another tenant %d are left", before, after)
	}
}

func ids(a *index.Arena, k index.Key) (all []uint64) {
	a.Each(func(of index.Key, e index.Entry, _ []float32) bool {
		if of == k {
			all = append(all, e.ID)
		}
		return true
	})
	return all
}

// What was worth much long ago goes in the end.
func TestAgeing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	a := index.New(index.Config{MaxBytes: 20_000})
	put := func(e index.Entry) {
		if _, err := a.Put(key(1), e, direction(r, dim)); err != nil {
			t.Fatal(err)
		}
	}
	put(index.Entry{ID: 1, Saved: 0.02})
	for range 10 {
		a.Touch(1)
	}
	put(index.Entry{ID: 2, Saved: 0.02})
	for i := range uint64(100) {
		put(index.Entry{ID: 100 + i, Saved: 0.001})
	}
	if all := ids(a, key(1)); !slices.Contains(all, 1) || !slices.Contains(all, 2) {
		t.Fatal("what saves most has gone first")
	}
	for i := range uint64(20_000) {
		put(index.Entry{ID: 1000 + i, Saved: 0.001})
	}
	if all := ids(a, key(1)); slices.Contains(all, 1) || slices.Contains(all, 2) {
		t.Fatal("what is not used any more has stayed")
	}
}

// Everything at once: the race detector looks on, and what is found is never half an entry.
func TestConcurrent(t *testing.T) {
	a := index.New(index.Config{MaxBytes: 300_000, MaxShare: 0.5})
	var all sync.WaitGroup
	for w := range uint64(4) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(w, 6))
			for i := range 2000 {
				id := uint64(r.IntN(900))
				e := index.Entry{ID: id, Answer: id, Text: strconv.FormatUint(id, 10), Tenant: strconv.Itoa(r.IntN(3))}
				if _, err := a.Put(key(id%3), e, direction(r, dim)); err != nil {
					t.Error(err)
				}
				switch i % 50 {
				case 10:
					a.Delete(uint64(r.IntN(900)))
				case 20:
					a.DeleteAnswer(key(uint64(r.IntN(3))), uint64(r.IntN(900)))
				case 30:
					a.Relabel(id, id, int64(i))
				case 40:
					a.DeletePartition(key(uint64(r.IntN(3))))
				}
			}
		})
		all.Go(func() {
			r := rand.New(rand.NewPCG(w, 7))
			for range 2000 {
				k := uint64(r.IntN(3))
				for _, m := range a.Search(key(k), direction(r, dim), 4, nil) {
					if m.ID%3 != k || m.Answer != m.ID || m.Text != strconv.FormatUint(m.ID, 10) {
						t.Errorf("found %+v in partition %d", m, k)
					}
					a.Touch(m.ID)
				}
			}
			a.Each(func(k index.Key, e index.Entry, v []float32) bool { return k == key(e.ID%3) && len(v) == dim })
		})
	}
	all.Wait()
	if s := a.Stats(); s.Bytes > 300_000 || s.Entries == 0 {
		t.Errorf("%+v", s)
	}
}
