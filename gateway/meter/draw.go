package meter

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// claim is what an exchange wants of an account.
type claim struct {
	a *account
	n int64
}

// missing is the first claim that what is in hand does not cover.
func missing(claims []claim) *claim {
	for i := range claims {
		if c := &claims[i]; c.n > c.a.hand() {
			return c
		}
	}
	return nil
}

// take takes all claims or none. The tenant's lock is held; it is given up while the pool is asked.
func (t *Tenant) take(ctx context.Context, now clock.Instant, claims []claim, how Outage) (Refusal, bool) {
	if missing(claims) == nil {
		t.use(now, claims)
		return Refusal{}, true
	}
	return t.drawFor(ctx, claims, how)
}

// use takes what is in hand.
func (t *Tenant) use(now clock.Instant, claims []claim) {
	for i := range claims {
		a := claims[i].a
		a.used = plus(a.used, claims[i].n)
		a.touched = now
		if !a.active {
			t.activate(a)
		}
		if a.hand() < a.low {
			t.meters.kick(t)
		}
	}
}

// drawLater has slices drawn in the background, for the next who wants the same.
func (t *Tenant) drawLater(now clock.Instant, claims []claim) {
	for _, c := range claims {
		c.a.touched = now
		t.activate(c.a)
	}
	t.meters.kick(t)
}

// drawFor draws until the claims are covered, or an answer to a question that was asked after the exchange came says that they
// cannot be.
func (t *Tenant) drawFor(ctx context.Context, claims []claim, how Outage) (Refusal, bool) {
	for _, c := range claims {
		if c.n > c.a.limit {
			return c.refusal(Refusal{What: c.a.id.Kind, Never: true}), false
		}
	}
	w := newWaiting(ctx, t.meters.o.Wait)
	defer w.end()
	want(claims, 1)
	defer want(claims, -1)
	for came := t.begun; ; {
		c := missing(claims)
		if c == nil {
			t.use(clock.Now(), claims)
			return Refusal{}, true
		}
		late := w.over() && t.reachable() // too many came before: what they were told will do
		if t.answered > came || late {
			if c = beyond(claims); c != nil {
				return t.refuse(c), false
			}
		}
		switch {
		case w.over() || !t.reachable() || t.unknown(claims):
			t.vain = t.vain || w.left == 0
			return t.without(claims, how)
		case t.drawing == nil:
			t.draw(claims)
		default:
			t.await(w)
		}
	}
}

// want has others' calls bring what the claims need.
func want(claims []claim, sign int64) {
	for _, c := range claims {
		c.a.wanted = plus(c.a.wanted, sign*c.n)
	}
}

// await waits for the call that is under way.
func (t *Tenant) await(w *waiting) {
	drawing := t.drawing
	t.mu.Unlock()
	w.until(drawing)
	t.mu.Lock()
}

// beyond is the first claim that is more than the node and the pool have.
func beyond(claims []claim) *claim {
	for i := range claims {
		c := &claims[i]
		if c.n > c.a.hand() && c.n > c.a.known() && c.a.asOf != 0 {
			return c
		}
	}
	return nil
}

// reachable says whether it is worth asking the pool, and waiting for what it says.
func (t *Tenant) reachable() bool {
	return t.id != "" && !t.down && !t.overdue() && t.meters.link.up() && !t.meters.closed.Load()
}

// overdue says that the call that is under way has taken so long that the pool is probably away: unless nobody waits for it in vain,
// because it was the process that did not run.
func (t *Tenant) overdue() bool {
	return t.drawing != nil && t.vain && clock.Since(t.drew) > patience*t.meters.o.Wait
}

// A call takes longer than an exchange waits for it where a processor has other things to do: such a pool is not away. What it
// answers in the end is as good as ever.
const (
	patience = 4  // times Options.Wait: nobody waits any more for a call that has taken that long
	longest  = 10 // times Options.Wait: the call has failed
)

// unknown says that earlier spending cannot be read just now.
func (t *Tenant) unknown(claims []claim) bool {
	for _, c := range claims {
		if c.a.id.Kind == Money && !c.a.seeds.asked {
			return t.seedLater()
		}
	}
	return false
}

// draw asks the pool for what the claims need, beside the exchange, because others wait, too. Who needs to can wait for t.drawing.
func (t *Tenant) draw(claims []claim) {
	accounts, needs := make([]*account, len(claims)), make([]int64, len(claims))
	for i, c := range claims {
		accounts[i], needs[i] = c.a, c.n
	}
	done := t.begin()
	if !t.meters.start(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		defer done()
		t.ask(context.Background(), accounts, func(i int, a *account, slice int64) Line { return a.line(needs[i], slice) })
	}) {
		done()
	}
}

// begin notes that a call is under way, until it is done.
func (t *Tenant) begin() (done func()) {
	drawing := make(chan struct{})
	t.drawing, t.drew, t.vain = drawing, clock.Now(), false
	t.begun++
	return func() {
		t.drawing = nil
		close(drawing)
	}
}

// ask makes the request that was begun. The tenant's lock is given up meanwhile.
func (t *Tenant) ask(ctx context.Context, accounts []*account, line func(i int, a *account, slice int64) Line) {
	this := t.begun
	for range 2 { // again if the pool has forgotten us
		ledger, cancel := context.WithTimeout(ctx, t.meters.o.Wait)
		t.seed(ledger, accounts)
		late := ledger.Err() != nil
		cancel()
		if late { // which is not the pool's fault
			return
		}
		asked, lines := t.lines(accounts, line)
		err := t.send(ctx, asked, lines)
		if err == nil {
			t.answered = this
		}
		if !errors.Is(err, ErrEpoch) {
			return
		}
	}
}

// lines are those of the accounts of which it is known what this node has. More is drawn only if it is known what others have.
func (t *Tenant) lines(accounts []*account, line func(i int, a *account, slice int64) Line) ([]*account, []Line) {
	now, nodes := clock.Now(), t.meters.o.Pool.Nodes()
	asked, lines := make([]*account, 0, len(accounts)), make([]Line, 0, len(accounts))
	for i, a := range accounts {
		money := a.id.Kind == Money
		switch {
		case money && !a.seeds.own:
			continue
		case money && !a.seeds.asked:
			lines = append(lines, a.line(0, max(a.left(), 0)))
		default:
			lines = append(lines, line(i, a, a.slice(nodes, now)))
		}
		asked = append(asked, a)
		t.activate(a)
	}
	return asked, lines
}

// send makes the call and takes the answer in.
func (t *Tenant) send(ctx context.Context, asked []*account, lines []Line) error {
	t.seq++
	r := &Request{Tenant: t.id, Node: t.meters.o.Node, Boot: t.meters.boot, Seq: t.seq, Epoch: t.epoch, Lines: lines}
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, longest*t.meters.o.Wait)
	reply, err := t.meters.o.Pool.Draw(ctx, r)
	cancel()
	t.mu.Lock()
	t.meters.link.heard(err)
	if errors.Is(err, ErrStale) && !t.down {
		t.meters.o.Fault(t.id, err)
	}
	if err == nil && len(reply.Answers) != len(lines) {
		err = errShort
	}
	if t.down = err != nil && !errors.Is(err, ErrEpoch); t.down && !t.live {
		t.live = true
		t.meters.enliven(t) // for the heart to try again
	}
	if reply != nil && reply.Epoch != t.epoch {
		t.enter(reply.Epoch)
	}
	if err != nil {
		return err
	}
	now, nodes := clock.Now(), t.meters.o.Pool.Nodes()
	for i, a := range asked {
		if a.id == lines[i].Account { // and not turned to the next window meanwhile
			a.apply(&lines[i], &reply.Answers[i], nodes, now)
			t.warn(a)
		}
	}
	return nil
}

var errShort = errors.New("meter: the pool has answered to less than it was asked")

// enter adopts an epoch. If there was another before, the pool has lost its memory: all that has gone through this node is told
// again, and the ledger is asked again for what has gone through others.
func (t *Tenant) enter(epoch int64) {
	lost := t.epoch != 0
	if t.epoch = epoch; !lost {
		return
	}
	t.tellAll()
	t.meters.lost.Store(true)
}

// tellAll has everything declared that a pool without a memory has to know.
func (t *Tenant) tellAll() {
	now := clock.Now()
	for _, s := range t.scopes {
		for _, a := range s.money {
			if a != nil && !a.over(now) {
				a.seeds.asked = false
				t.activate(a)
			}
		}
	}
	t.meters.kick(t)
}

// quiet waits until no call is under way. It gives up after two beats.
func (t *Tenant) quiet(ctx context.Context) bool {
	if t.drawing == nil {
		return true
	}
	w := newWaiting(ctx, 2*pause)
	defer w.end()
	for t.drawing != nil && !w.over() {
		t.await(w)
	}
	return t.drawing == nil
}

// refresh tells the pool what is new, fills slices up and gives back what is not needed.
func (t *Tenant) refresh(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() { t.queued = false }()
	if t.id == "" || !t.quiet(ctx) {
		return // at the next beat
	}
	now := clock.Now()
	all := slices.Clone(t.active)
	for first := true; first || len(all) > 0; first = false {
		some := all[:min(len(all), maxLines)]
		all = all[len(some):]
		for _, a := range some {
			if a.over(now) {
				a.turn()
			}
		}
		done := t.begin()
		t.ask(ctx, some, func(_ int, a *account, slice int64) Line {
			switch {
			case t.down: // what is in hand may have to last
				slice = max(a.left(), 0)
			case t.meters.closed.Load() || now.Sub(a.touched) >= unused:
				slice = 0
			}
			return a.line(0, slice)
		})
		done()
		if t.down {
			return
		}
	}
	t.rest()
}

const (
	// maxLines is how many accounts are told of in a request.
	maxLines = 64
	// unused is after how long a slice that nothing was taken from is given back.
	unused = time.Second
)
