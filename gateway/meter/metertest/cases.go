package metertest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

func allOrNothing(t *testing.T, f Fleet) {
	n := f.node(t, "a")
	other := money(0, 0, 30, 30)
	other.Account.Scope = tenant.Scope{Kind: tenant.OfKey, Name: "ci"}
	other.Limit = 20
	granted(t, n.draw(money(0, 0, 10, 10), other), 1, 0, 100, 0, 20)
	granted(t, n.draw(money(0, 0, 10, 10), of(meter.Requests, 5, 0, 0, 6, 6)), 1, 0, 100, 0, 5)
	granted(t, n.draw(money(0, 0, 10, 10), of(meter.Concurrent, 5, 0, 0, 6, 6)), 1, 0, 100, 0, 5)
	granted(t, n.draw(of(meter.Concurrent, 5, 0, 0, 5, 5), of(meter.Requests, 5, 0, 0, 1, 3), money(0, 0, 101, 101)), 2, 0, 5, 0, 5, 0, 100)
	other.Need = 20
	granted(t, n.draw(money(0, 0, 10, 10), other), -1, 10, 90, 20, 0)
	// Who gives back does so even if another line is refused.
	granted(t, n.draw(money(5, 7, 0, 7), of(meter.Requests, 5, 0, 0, 6, 6)), 1, 7, 93, 0, 5)
}

func asMuchAsThereIs(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	granted(t, a.draw(money(0, 0, 10, 60)), -1, 60, 40)
	granted(t, b.draw(money(0, 0, 10, 60)), -1, 40, 0)
	granted(t, b.draw(money(40, 40, 41, 60)), 0, 40, 0)
	granted(t, b.draw(money(40, 40, 0, 60)), -1, 40, 0)
	granted(t, a.draw(money(10, 60, 60, 60)), -1, 60, 0) // has what it needs
}

func givingBack(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	granted(t, a.draw(money(0, 0, 0, 100)), -1, 100, 0)
	granted(t, b.draw(money(0, 0, 1, 1)), 0, 0, 0)
	granted(t, a.draw(money(20, 30, 0, 30)), -1, 30, 70)
	granted(t, a.draw(money(20, 20, 0, 10)), -1, 20, 80) // no less than what is used
	granted(t, b.draw(money(0, 0, 80, 80)), -1, 80, 0)
}

func repeated(t *testing.T, f Fleet) {
	n := f.node(t, "a")
	for _, k := range []meter.Kind{meter.Money, meter.Concurrent, meter.Requests} {
		line := func(used, has, need, want int64) meter.Line {
			l := of(k, 100, used, has, need, want)
			if k == meter.Money {
				l.Account.Window, l.Account.Per = month().Window, month().Per
			}
			return l
		}
		granted(t, n.draw(line(0, 0, 30, 40)), -1, 40, 60)
		// The same again: the first answer was lost.
		r, err := n.send(n.seq, line(0, 0, 30, 40))
		if err != nil {
			t.Fatal(err)
		}
		granted(t, r, -1, 40, 60)
		// Another: what was granted before the answer was lost goes back.
		granted(t, n.draw(line(0, 0, 10, 10)), -1, 10, 90)
		// One that comes late does nothing.
		if _, err = n.send(n.seq-1, line(0, 0, 30, 90)); !errors.Is(err, meter.ErrStale) {
			t.Errorf("an older request: %v", err)
		}
		granted(t, n.draw(line(10, 10, 0, 10)), -1, 10, 90)
	}
}

func empty(t *testing.T, f Fleet) {
	n := f.node(t, "a")
	granted(t, n.draw(), -1)
	if n.epoch == 0 {
		t.Error("no epoch")
	}
}

func above(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	granted(t, a.draw(money(130, 0, 0, 130)), -1, 130, -30)
	granted(t, b.draw(money(0, 0, 1, 1)), 0, 0, -30)
	granted(t, b.draw(money(7, 0, 0, 7)), -1, 7, -37)
	granted(t, a.draw(money(110, 110, 0, 110)), -1, 110, -17)
	// A limit that was lowered takes nothing away.
	less := money(110, 115, 0, 115)
	less.Limit = 50
	granted(t, a.draw(less), -1, 115, -72)
}

func believed(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	granted(t, a.draw(money(10, 40, 0, 40)), -1, 40, 60)
	granted(t, b.draw(money(0, 0, 70, 70)), 0, 0, 60)
	granted(t, a.draw(of(meter.Concurrent, 10, 2, 4, 0, 4)), -1, 4, 6)
	// A node that helped itself while it could not ask owes nothing for it.
	granted(t, a.draw(of(meter.Tokens, 60, 500, 500, 0, 500)), -1, 500, 60)
	granted(t, a.draw(of(meter.Tokens, 60, 900, 910, 0, 910)), -1, 910, 50)
}

func spentByAll(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	line := money(20, 0, 0, 30)
	line.Spent = 15
	if r := a.draw(line); r.Answers[0].Spent != 15 {
		t.Errorf("%+v", r.Answers[0])
	}
	if r := b.draw(money(7, 0, 0, 10)); r.Answers[0].Spent != 22 {
		t.Errorf("%+v", r.Answers[0])
	}
}

func seeds(t *testing.T, f Fleet) {
	a, b, c := f.node(t, "a"), f.node(t, "b"), f.node(t, "c")
	line := money(5, 0, 6, 6)
	line.Seeds = []meter.Seed{{Node: "b", Spent: 20}, {Node: "gone", Spent: 30}}
	r := a.draw(line)
	granted(t, r, -1, 6, 44)
	if r.Answers[0].Spent != 55 {
		t.Errorf("%+v", r.Answers[0])
	}
	granted(t, b.draw(money(25, 0, 25, 25)), -1, 25, 39) // it knows better
	line = money(0, 0, 10, 10)
	line.Seeds = []meter.Seed{{Node: "b", Spent: 20}, {Node: "gone", Spent: 31}, {Node: "a", Spent: 2}}
	granted(t, c.draw(line), -1, 10, 28) // the higher counts
	granted(t, c.draw(money(0, 10, 0, 10)), -1, 10, 28)
}

func apart(t *testing.T, f Fleet) {
	n := f.node(t, "a")
	next, week, key := money(0, 0, 100, 100), money(0, 0, 100, 100), money(0, 0, 100, 100)
	next.Account.Window += 30 * 86_400
	week.Account.Per = tenant.Week
	key.Account.Scope = tenant.Scope{Kind: tenant.OfKey, Name: "ci"}
	user := key
	user.Account.Scope.Kind = tenant.OfUser
	granted(t, n.draw(money(0, 0, 100, 100), next, week, key, user), -1, 100, 0, 100, 0, 100, 0, 100, 0, 100, 0)
	total := money(0, 0, 100, 100)
	total.Account.Per, total.Account.Window, total.Until = tenant.Total, 0, time.Time{}
	odd := total
	odd.Account.Scope = tenant.Scope{Kind: tenant.OfUser, Name: "a:b|c}{d e\n*é"}
	even := odd
	even.Account.Scope.Name = "a:b|c}{d e\n*è"
	granted(t, n.draw(total, odd, even), -1, 100, 0, 100, 0, 100, 0)
}

func tenantsApart(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "a")
	b.of = "acme:b"
	for _, n := range []*node{a, b} {
		granted(t, n.draw(money(0, 0, 100, 100), of(meter.Requests, 5, 0, 0, 5, 5)), -1, 100, 0, 5, 0)
	}
}

func nobody(t *testing.T, f Fleet) {
	n := f.node(t, "a")
	n.of = ""
	if r, err := n.try(money(0, 0, 1, 1)); err == nil || errors.Is(err, meter.ErrBusy) {
		t.Errorf("a request of no tenant: %+v, %v", r, err)
	}
}

func largest(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	const most = int64(tenant.MostUSD / meter.Nano)
	line := func(used, has, need, want int64) meter.Line {
		l := money(used, has, need, want)
		l.Limit = most
		return l
	}
	granted(t, a.draw(line(most-2, 0, most-2, most-2)), -1, most-2, 2)
	granted(t, b.draw(line(0, 0, 3, 3)), 0, 0, 2)
	granted(t, b.draw(line(0, 0, 1, 1)), -1, 1, 1)
	granted(t, a.draw(line(most-1, most-2, most-1, most-1)), -1, most-1, 0)
}

// about allows for the time that a test needs itself: d tokens' worth of it.
func about(t *testing.T, what string, got, want, d int64) {
	t.Helper()
	if got < want || got > want+d {
		t.Errorf("%s: %d, want %d, or %d more", what, got, want, d)
	}
}

func fills(t *testing.T, f Fleet) {
	n := f.node(t, "a")
	granted(t, n.draw(of(meter.Requests, 600, 0, 0, 0, 600)), -1, 600, 0) // full at first
	r := n.draw(of(meter.Requests, 600, 600, 600, 601, 601))
	if r.Refused == 0 && (r.Answers[0].Next <= 0 || r.Answers[0].Next > 100*time.Millisecond) {
		t.Errorf("the next comes after %s, not within 100ms", r.Answers[0].Next)
	}
	pass(r.Answers[0].Next)
	if r = n.draw(of(meter.Requests, 600, 600, 600, 601, 601)); r.Refused >= 0 {
		t.Errorf("after Next there is none: %+v", r)
	}
	pass(500 * time.Millisecond)
	r = n.draw(of(meter.Requests, 600, 601, 601, 0, 1000))
	about(t, "after half a second", r.Answers[0].Total, 606, 20)
}

func bucketAndHands(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	const limit = 6000 // one in 10 ms
	granted(t, a.draw(of(meter.Tokens, limit, 0, 0, 0, 1000)), -1, 1000, 5000)
	granted(t, b.draw(of(meter.Tokens, limit, 0, 0, 0, 2000)), -1, 2000, 3000)
	pass(100 * time.Millisecond)
	granted(t, b.draw(of(meter.Tokens, limit, 0, 2000, 0, 2000)), -1, 2000, 3000) // no more: all is there
	granted(t, b.draw(of(meter.Tokens, limit, 1500, 2000, 0, 2000)), -1, 2000, 3000)
	pass(100 * time.Millisecond)
	r := b.draw(of(meter.Tokens, limit, 1500, 2000, 0, 2000))
	about(t, "after 100 ms with 1500 used", r.Answers[0].Remaining, 3010, 200)
	r = a.draw(of(meter.Tokens, limit, 0, 0, 0, 0))
	about(t, "after 1000 were given back", r.Answers[0].Remaining, 4010, 200)
}

// What is needed is used at once, and flows back from that moment on.
func neededIsUsed(t *testing.T, f Fleet) {
	n := f.node(t, "a")
	granted(t, n.draw(of(meter.Requests, 6000, 0, 0, 6000, 6000)), -1, 6000, 0)
	pass(100 * time.Millisecond)
	r := n.draw(of(meter.Requests, 6000, 6000, 6000, 0, 6000))
	about(t, "after 100 ms", r.Answers[0].Remaining, 10, 200)
	// What was needed and not granted is not.
	granted(t, n.draw(of(meter.Tokens, 10, 0, 0, 0, 4)), -1, 4, 6)
	granted(t, n.draw(of(meter.Tokens, 10, 0, 4, 11, 11)), 0, 4, 6)
	granted(t, n.draw(of(meter.Tokens, 10, 0, 4, 0, 0)), -1, 0, 10)
}

func debts(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	granted(t, a.draw(of(meter.Tokens, 60, 0, 0, 60, 60)), -1, 60, 0)
	r := a.draw(of(meter.Tokens, 60, 90, 60, 0, 90))
	about(t, "after 30 too much", r.Answers[0].Remaining, -30, 2)
	r = b.draw(of(meter.Tokens, 60, 0, 0, 1, 1))
	if r.Refused != 0 {
		t.Errorf("what is owed is not felt by others: %+v", r)
	}
	// What was used turns out to have been less.
	r = a.draw(of(meter.Tokens, 60, 50, 50, 0, 50))
	about(t, "after all", r.Answers[0].Remaining, 10, 4)
}

func rounding(t *testing.T, f Fleet) {
	n := f.node(t, "a")
	const limit = 7_000 // one in 8,571,428.57… ns
	began := time.Now()
	granted(t, n.draw(of(meter.Requests, limit, 0, 0, 0, limit)), -1, limit, 0)
	total := int64(limit)
	for range 100 {
		pass(3 * time.Millisecond)
		total = n.draw(of(meter.Requests, limit, total, total, 0, total+limit)).Answers[0].Total
	}
	took := time.Since(began)
	want := limit + int64(took)*limit/int64(time.Minute)
	if total < want-3 || total > want+1 {
		t.Errorf("%d after %s in a hundred steps, want %d", total, took, want)
	}
}

func newProcess(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	granted(t, a.draw(money(20, 0, 60, 60), of(meter.Concurrent, 10, 7, 0, 8, 8), of(meter.Requests, 6, 1, 0, 4, 4)), -1, 60, 40, 8, 2, 4, 2)
	again := f.node(t, "a")
	again.boot = a.boot + 1
	// It knows from the ledger that 20 were spent, and nothing of places.
	granted(t, again.draw(money(20, 0, 21, 21), of(meter.Concurrent, 10, 0, 0, 10, 10), of(meter.Requests, 6, 0, 0, 2, 2)), -1, 21, 79, 10, 0, 2, 0)
	// The old one is fenced off.
	if _, err := a.try(money(20, 60, 0, 60)); !errors.Is(err, meter.ErrStale) {
		t.Errorf("the process before: %v", err)
	}
	granted(t, b.draw(money(0, 0, 79, 79)), -1, 79, 0)
}

func goneNode(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	granted(t, a.draw(of(meter.Concurrent, 10, 7, 0, 8, 8), of(meter.Tokens, 10, 0, 0, 0, 4), money(10, 0, 0, 20)), -1, 8, 2, 4, 6, 20, 80)
	granted(t, b.draw(of(meter.Concurrent, 10, 0, 0, 3, 3)), 0, 0, 2)
	pass(meter.NodeTimeout + time.Second)
	// Two tokens have flowed in; what it held of them is gone.
	granted(t, b.draw(of(meter.Concurrent, 10, 0, 0, 10, 10), of(meter.Tokens, 10, 0, 0, 8, 10), money(0, 0, 80, 90)), -1, 10, 0, 8, 0, 80, 0)
}

func epochs(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	granted(t, a.draw(money(0, 0, 10, 10)), -1, 10, 90)
	granted(t, b.draw(money(0, 0, 10, 10)), -1, 10, 80)
	if a.epoch != b.epoch {
		t.Errorf("epochs %d and %d", a.epoch, b.epoch)
	}
	epoch := a.epoch
	a.epoch++
	if _, err := a.try(money(0, 90, 0, 90)); !errors.Is(err, meter.ErrEpoch) || a.epoch != epoch {
		t.Errorf("a request of another epoch: %v, %d", err, a.epoch)
	}
	granted(t, a.draw(money(0, 10, 0, 10)), -1, 10, 80)
}

func lost(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	granted(t, a.draw(money(30, 0, 0, 40), of(meter.Requests, 6, 0, 0, 1, 1)), -1, 40, 60, 1, 5)
	granted(t, b.draw(money(10, 0, 0, 15)), -1, 15, 45)
	before := a.epoch
	f.Flush()
	// Until all have declared what they have, nobody is granted more.
	if _, err := b.try(money(10, 15, 20, 20)); !errors.Is(err, meter.ErrBusy) || b.epoch == before {
		t.Errorf("the first after the loss: %v in epoch %d, before %d", err, b.epoch, before)
	}
	if _, err := a.try(money(30, 40, 50, 50)); !errors.Is(err, meter.ErrEpoch) || a.epoch != b.epoch {
		t.Errorf("the second: %v, epochs %d and %d", err, a.epoch, b.epoch)
	}
	line := money(30, 40, 0, 40)
	line.Seeds = []meter.Seed{{Node: "gone", Spent: 25}}
	if _, err := a.try(line); !errors.Is(err, meter.ErrBusy) {
		t.Errorf("declared in the new epoch: %v", err)
	}
	pass(meter.Settling + 50*time.Millisecond)
	granted(t, b.draw(money(10, 15, 36, 36)), 0, 15, 20)
	granted(t, b.draw(money(10, 15, 35, 35)), -1, 35, 0)
	// Rates begin empty, because nobody knows what was left of them.
	r := a.draw(of(meter.Requests, 6, 0, 1, 0, 6))
	about(t, "what remains of a rate", r.Answers[0].Total, 1, 1)
}

func leases(t *testing.T, f Fleet) {
	a, b := f.Node("a"), f.Node("b")
	ask := func(p meter.Pool, name string, d time.Duration, want bool) {
		t.Helper()
		if got, err := p.Lease(t.Context(), name, d); err != nil || got != want {
			t.Errorf("lease of %s: %t, %v", name, got, err)
		}
	}
	ask(a, "alert/acme", time.Hour, true)
	ask(b, "alert/acme", time.Hour, false)
	ask(a, "alert/acme", time.Hour, false)
	ask(b, "alert/b", 200*time.Millisecond, true)
	ask(a, "alert/b", time.Hour, false)
	pass(300 * time.Millisecond)
	ask(a, "alert/b", time.Hour, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := a.Lease(ctx, "alert/c", time.Hour); got || err == nil {
		t.Errorf("without time: %t, %v", got, err)
	}
}

func nodes(t *testing.T, f Fleet) {
	a, b := f.node(t, "a"), f.node(t, "b")
	if n := a.pool.Nodes(); n < 1 {
		t.Errorf("%d nodes at first", n)
	}
	// A pool may count them from time to time only.
	for range 50 {
		a.draw()
		b.draw()
		if a.pool.Nodes() == 2 && b.pool.Nodes() == 2 {
			return
		}
		pass(100 * time.Millisecond)
	}
	t.Errorf("%d and %d nodes, want 2", a.pool.Nodes(), b.pool.Nodes())
}

func canceled(t *testing.T, f Fleet) {
	n := f.node(t, "a")
	n.draw(money(0, 0, 1, 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := meter.Request{Tenant: n.of, Node: n.name, Boot: n.boot, Seq: n.seq + 1, Epoch: n.epoch, Lines: []meter.Line{money(0, 1, 5, 5)}}
	if _, err := n.pool.Draw(ctx, &r); err == nil || errors.Is(err, meter.ErrBusy) || errors.Is(err, meter.ErrEpoch) {
		t.Errorf("without time: %v", err)
	}
	n.seq++
	granted(t, n.draw(money(1, 1, 5, 5)), -1, 5, 95)
}

// Whatever three nodes ask for of money and places, it is answered as Local answers it.
func asLocal(t *testing.T, f Fleet) {
	local := meter.NewLocal()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test that can be repeated
	var these, those [3]*node
	for i, name := range []string{"a", "b", "c"} {
		these[i], those[i] = f.node(t, name), Fleet{Node: func(string) meter.Pool { return local }}.node(t, name)
	}
	for step := range 400 {
		lines := someLines(random)
		i := random.IntN(3)
		got, want := these[i].draw(lines...), those[i].draw(lines...)
		for j := range want.Answers {
			if lines[j].Account.Kind == meter.Concurrent {
				got.Answers[j].Spent, want.Answers[j].Spent = 0, 0 // means nothing
			}
		}
		if got.Refused != want.Refused || !slices.Equal(got.Answers, want.Answers) {
			t.Fatalf("step %d: node %d asks\n%+v\nand gets\n%+v, want\n%+v", step, i, lines, *got, *want)
		}
	}
}

func someLines(random *rand.Rand) (lines []meter.Line) {
	key := tenant.Scope{Kind: tenant.OfKey, Name: "ci"}
	for _, account := range []meter.Account{month(), {Kind: meter.Concurrent}, {Kind: meter.Money, Per: tenant.Total, Scope: key}} {
		if random.IntN(3) == 0 {
			continue
		}
		l := meter.Line{Account: account, Limit: 90 + random.Int64N(20), Used: random.Int64N(60)}
		l.Spent, l.Has, l.Want = random.Int64N(l.Used+1), random.Int64N(70), random.Int64N(80)
		if random.IntN(2) == 0 {
			l.Need = random.Int64N(90)
		}
		if random.IntN(10) == 0 && account.Kind == meter.Money {
			l.Seeds = []meter.Seed{{Node: "d", Spent: random.Int64N(10)}}
		}
		lines = append(lines, l)
	}
	return lines
}
