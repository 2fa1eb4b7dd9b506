package forward

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// hedgeAfter is when the first event of an attempt at a place is late, so that a second attempt is made beside it; false if
// none may be.
func (w *walk) hedgeAfter(p *place) (time.Duration, bool) {
	x := w.x
	hedge := x.Plan.Hedge
	if hedge == nil || len(w.targets) < 2 || !mayBeTwice(&x.Request) {
		return 0, false
	}
	if len(x.Attempts()) == 0 {
		w.hedges().deposit(hedge.Budget)
	}
	if hedge.After > 0 {
		return hedge.After, true
	}
	return p.health.P95(!x.Request.Stream())
}

// mayBeTwice says whether a request may be made twice at the same time: all of it is there, and it changes nothing but what is
// stored under an id of its own.
func mayBeTwice(r *gateway.Request) bool {
	if r.Endpoint.Dialect == "responses" {
		for _, key := range [...]string{`"background"`, `"conversation"`} {
			if v := peek.Find(r.Body(), []byte(key)); v != nil && string(v) != "null" && string(v) != "false" {
				return false
			}
		}
	}
	return r.Rest() == nil
}

// hedges is the budget of second attempts of the plan's model.
func (w *walk) hedges() *budget {
	name := w.x.Plan.Model
	if w.x.Directory != nil {
		if m, _, _ := w.x.Directory.Model(name); m != nil {
			name = string(m.Name) // of a wildcard, callers write what they like
		}
	}
	b, ok := w.h.hedges.Load(name)
	if !ok {
		b, _ = w.h.hedges.LoadOrStore(name, hedgeBudget())
	}
	return b.(*budget)
}

// race makes an attempt, and another one beside it if its first event is late. The first good answer is the outcome. The
// other attempt is cancelled, and has ended when race returns: it may have been writing the request's bytes. If one fails while
// the other runs, a third may take its place: at once if the first is still late, else when the second is.
func (w *walk) race(p place, after time.Duration) outcome {
	r := race{done: make(chan *runner, 2)}
	if err := r.start(w, &p, false); err != nil {
		return w.prevent(err)
	}
	late := time.NewTimer(after)
	defer late.Stop()
	for {
		select {
		case <-late.C:
			if p, ok := w.second(); ok {
				_ = r.start(w, &p, true) // who watches may prevent it: then there is none
			}
		case run := <-r.done:
			o, decided := r.ended(w, run)
			switch {
			case decided:
				return o
			case run.attempt.Hedged:
				late.Reset(0)
			default:
				late.Reset(after)
			}
		}
	}
}

// second takes a place for a second attempt: at the first other target that is well, has room and is cheap enough, if the
// budget pays for it.
func (w *walk) second() (place, bool) {
	now := gateway.Now()
	for i := range w.targets {
		if has(w.tried, i) || !w.may(i) || !w.cheap(i) {
			continue
		}
		p := w.place(i)
		if p.health.Wait(now) > 0 || p.health.State(now) != health.Healthy {
			continue
		}
		if !p.limiter.TryEnter() {
			continue
		}
		if !w.hedges().withdraw() {
			p.limiter.Leave(admission.Signal{})
			break
		}
		if w.start(&p, now) {
			w.move(&p, 0)
			return p, true
		}
		w.hedges().refund()
	}
	return place{}, false
}

// cheap says whether a second attempt at a target costs no more than it may, by an estimate.
func (w *walk) cheap(i int) bool {
	most := w.x.Plan.Hedge.MaxCost
	if most <= 0 {
		return true
	}
	m, r := w.known(w.targets[i]), &w.x.Request
	u := chat.Usage{Input: w.tokens, Output: r.LikelyAnswer(), Provenance: chat.Estimated}
	if m != nil && m.Output > 0 {
		u.Output = min(u.Output, m.Output)
	}
	c := m.Cost(u, chat.ServedTier([]byte(r.Member(`"service_tier"`))), time.Now())
	return c.Known && c.Picodollars <= most
}

// race is two attempts at most that run at the same time, each on a goroutine of its own. All the rest is done on the
// exchange's. It does not hold the walk, which otherwise would be an allocation of each exchange, hedged or not.
type race struct {
	done    chan *runner // those that have ended
	runners []*runner    // those that have not
}

// runner is one of the attempts.
type runner struct {
	*gateway.Fork
	place   place
	attempt *gateway.Attempt
	reply   *gateway.Reply
	err     error
	thrown  any // a panic
}

func (r *race) start(w *walk, p *place, hedged bool) error {
	a, err := w.begin(p, hedged)
	if err != nil {
		return err
	}
	run := &runner{Fork: w.x.Fork(), place: *p, attempt: a}
	r.runners = append(r.runners, run)
	go run.send(r.done)
	return nil
}

func (run *runner) send(done chan<- *runner) {
	defer func() {
		if v := recover(); v != nil {
			run.thrown = fmt.Sprintf("%v\n%s", v, debug.Stack())
		}
		done <- run
	}()
	run.reply, run.err = run.place.via.Send(&run.Exchange, run.place.target, run.attempt)
}

// ended takes note of an attempt that has ended. It decides unless it has failed and another is running.
func (r *race) ended(w *walk, run *runner) (o outcome, decided bool) {
	r.remove(run)
	if run.thrown != nil {
		r.giveUp(w)
		panic(run.thrown) // on the exchange's goroutine, where it is caught
	}
	o = w.settle(&run.place, run.attempt, run.reply, run.err)
	w.current = run.place.index
	if !o.good() {
		run.Close()
		if len(r.runners) > 0 && (o.cause != 0 || o.final) {
			w.goesOn(&o)
			return o, false
		}
	}
	r.giveUp(w)
	if o.good() || w.x.Err() == nil { // else both have ended by that
		w.x.Answered(run.attempt)
	}
	if o.good() {
		o.reply = run.Join(o.reply)
	}
	return o, true
}

// giveUp cancels what still runs, and waits for its end.
func (r *race) giveUp(w *walk) {
	for len(r.runners) > 0 {
		r.runners[0].Cancel(gateway.ErrLost)
		run := <-r.done
		r.remove(run)
		run.lose(w)
		run.Close()
	}
}

func (r *race) remove(run *runner) {
	r.runners = slices.DeleteFunc(r.runners, func(other *runner) bool { return other == run })
}

// lose settles an attempt that was given up. It may have answered, or failed, all the same.
func (run *runner) lose(w *walk) {
	a := run.attempt
	if run.thrown != nil {
		run.err = fmt.Errorf("panic: %v", run.thrown)
	}
	a.Lost = errors.Is(run.err, gateway.ErrLost) || run.err == nil && run.reply.Status < 300
	if o := w.settle(&run.place, a, run.reply, run.err); o.good() {
		_ = o.reply.Stream.Close()
		a.Release()
	}
}
