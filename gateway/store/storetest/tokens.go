package storetest

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

func family(id, key string) store.Family {
	return store.Family{ID: id, Key: key, User: "ann", Scope: "gpt-* o3", Created: noon, Expires: noon.Add(time.Hour)}
}

func token(n byte) (digest [32]byte) {
	digest[0] = n
	return digest
}

// turned asks for a successor as the client "c" at noon, with ten seconds of grace.
func turned(t *testing.T, s store.Store, id tenant.ID, x store.Turn, want store.Rotation) store.Turned {
	t.Helper()
	if x.Now.IsZero() {
		x.Now = noon
	}
	if x.Client == "" {
		x.Client = "c"
	}
	x.Grace = 10 * time.Second
	got, err := s.Rotate(t.Context(), id, x)
	must(t, err)
	if got.Rotation != want {
		t.Errorf("rotation %d, want %d", got.Rotation, want)
	}
	return got
}

// swap is a token, and its successor.
type swap [2]byte

func turn(t *testing.T, s store.Store, id tenant.ID, tokens swap, want store.Rotation) {
	t.Helper()
	turned(t, s, id, store.Turn{Old: token(tokens[0]), Next: token(tokens[1])}, want)
}

func testRotate(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	f := family("f1", "ci")
	must(t, s.Grant(ctx, "acme", f, token(1)))
	is(t, s.Grant(ctx, "acme", f, token(9)), store.ErrConflict)
	is(t, s.Grant(ctx, "acme", family("f2", "ci"), token(1)), store.ErrConflict)
	is(t, s.RevokeFamily(ctx, "acme", "f2", entry("family.revoke")), store.ErrNotFound) // a grant that failed left nothing

	same(t, "unknown", turned(t, s, "acme", store.Turn{Old: token(7), Next: token(8)}, store.Unknown), store.Turned{})
	got := turned(t, s, "acme", store.Turn{Old: token(1), Next: token(2), Sealed: []byte("two")}, store.Rotated)
	same(t, "rotated", got, store.Turned{Rotation: store.Rotated, Family: f})

	// The same client, at once and at the end of the grace: what it was given, however often.
	for _, later := range []time.Duration{0, 10 * time.Second} {
		got = turned(t, s, "acme", store.Turn{Old: token(1), Next: token(3), Sealed: []byte("three"), Now: noon.Add(later)}, store.Repeated)
		same(t, "repeated", got, store.Turned{Rotation: store.Repeated, Family: f, Sealed: []byte("two")})
	}
	turn(t, s, "acme", swap{3, 4}, store.Unknown) // nothing came of the repetitions
	turn(t, s, "acme", swap{2, 4}, store.Rotated)

	// After the grace: somebody else has it, and so the successors are not good any more either.
	later := noon.Add(10*time.Second + time.Microsecond)
	got = turned(t, s, "acme", store.Turn{Old: token(1), Next: token(5), Now: later}, store.Reused)
	same(t, "revoked", got.Family.Revoked, later)
	for _, n := range []byte{1, 2, 4} {
		turn(t, s, "acme", swap{n, 6}, store.Revoked)
	}
	entries, _, err := s.Entries(ctx, store.Only("acme"), store.EntryQuery{Action: "tokens.reused"})
	must(t, err)
	if len(entries) != 1 || entries[0].Object != "f1" || entries[0].Who != "c" || !entries[0].At.Equal(later) {
		t.Errorf("audited: %+v", entries)
	}

	// Another client within the grace is somebody else, too.
	must(t, s.Grant(ctx, "acme", family("f3", "ci"), token(31)))
	turn(t, s, "acme", swap{31, 32}, store.Rotated)
	turned(t, s, "acme", store.Turn{Old: token(31), Next: token(33), Client: "thief"}, store.Reused)

	must(t, s.Grant(ctx, "acme", family("f4", "ci"), token(41)))
	no := func(*store.Family) bool { return false }
	for range 2 { // it stays as it was
		turned(t, s, "acme", store.Turn{Old: token(41), Next: token(42), Agrees: no}, store.Declined)
	}
	turned(t, s, "acme", store.Turn{Old: token(41), Next: token(42), Now: noon.Add(time.Hour)}, store.Expired)
	turned(t, s, "acme", store.Turn{Old: token(41), Next: token(42), Now: noon.Add(time.Hour - time.Microsecond)}, store.Rotated)
}

// testRotateAtOnce has a page with many windows, which all find that the token is old: one gets the successor, and the others
// the same one.
func testRotateAtOnce(t *testing.T, s store.Store, _ Harness) {
	must(t, s.Grant(t.Context(), "acme", family("f1", "ci"), token(1)))
	const windows = 32
	var all sync.WaitGroup
	answers := make([]store.Turned, windows)
	for i := range byte(windows) {
		all.Go(func() {
			var err error
			answers[i], err = s.Rotate(t.Context(), "acme", store.Turn{
				Old: token(1), Next: token(100 + i), Sealed: []byte{100 + i}, Client: "c", Now: noon, Grace: 10 * time.Second,
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	winner := -1
	for i, a := range answers {
		if a.Rotation == store.Rotated {
			if winner >= 0 {
				t.Fatal("two successors")
			}
			winner = i
		}
	}
	if winner < 0 {
		t.Fatal("no successor")
	}
	for i, a := range answers {
		if i != winner && (a.Rotation != store.Repeated || !bytes.Equal(a.Sealed, []byte{100 + byte(winner)})) {
			t.Errorf("%d was answered %+v", i, a)
		}
		want := store.Unknown
		if i == winner {
			want = store.Rotated
		}
		turned(t, s, "acme", store.Turn{Old: token(byte(100 + i)), Next: token(byte(200 + i)), Client: "d"}, want)
	}
}

// testStolenAtOnce has a token in the hands of many: one gets a successor, which is worth nothing.
func testStolenAtOnce(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	must(t, s.Grant(ctx, "acme", family("f1", "ci"), token(1)))
	const thieves = 16
	var all sync.WaitGroup
	var mu sync.Mutex
	count := map[store.Rotation]int{}
	for i := range byte(thieves) {
		all.Go(func() {
			a, err := s.Rotate(ctx, "acme", store.Turn{Old: token(1), Next: token(100 + i), Client: string(rune('a' + i)), Now: noon, Grace: 10 * time.Second})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			count[a.Rotation]++
			mu.Unlock()
		})
	}
	all.Wait()
	if count[store.Rotated] != 1 || count[store.Reused] != 1 || count[store.Revoked] != thieves-2 {
		t.Errorf("rotations: %v", count)
	}
	f, err := s.Family(ctx, "acme", "f1")
	must(t, err)
	same(t, "revoked", f.Revoked, noon)
	same(t, "entries", sound(t, s, 0).Entries, int64(1))
}

func testFamilies(t *testing.T, s store.Store, _ Harness) {
	ctx := t.Context()
	for i, key := range []string{"ci", "ci", "app"} {
		must(t, s.Grant(ctx, "acme", family(string(rune('a'+i)), key), token(byte(i+1))))
	}
	must(t, s.RevokeFamily(ctx, "acme", "a", entry("family.revoke")))
	is(t, s.RevokeFamily(ctx, "acme", "a", entry("family.revoke")), store.ErrNotFound)
	n, err := s.RevokeFamilies(ctx, "acme", "ci", entry("family.revoke"))
	must(t, err)
	same(t, "revoked", n, 1)
	n, err = s.RevokeFamilies(ctx, "acme", "ci", entry("family.revoke"))
	must(t, err)
	same(t, "revoked again", n, 0)
	turn(t, s, "acme", swap{1, 11}, store.Revoked)
	turn(t, s, "acme", swap{2, 12}, store.Revoked)
	turn(t, s, "acme", swap{3, 13}, store.Rotated)

	got, err := s.Family(ctx, "acme", "c")
	must(t, err)
	same(t, "family", got, family("c", "app"))
	_, err = s.Family(ctx, "acme", "d")
	is(t, err, store.ErrNotFound)
	entries, _, err := s.Entries(ctx, store.Only("acme"), store.EntryQuery{})
	must(t, err)
	same(t, "entries", len(entries), 2)
	revision, err := s.Revision(ctx)
	must(t, err)
	same(t, "revision", revision, int64(0))
}
