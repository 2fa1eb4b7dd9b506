package forward_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admission"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/forward"
	"github.com/sluice-ai/sluice/gateway/health"
)

// observer watches an exchange, and panics where what it hears is not in order. All exchanges of these tests have one.
type observer struct {
	refuse func(*gateway.Attempt) error // nil: nothing is refused

	begun, settled, refused []*gateway.Attempt
	over                    bool
}

func (o *observer) Begin(x *gateway.Exchange, a *gateway.Attempt) error {
	o.assert(!o.over && a.ID.Time().Equal(a.Start.Time().Truncate(time.Millisecond)), "an attempt begins", a)
	for _, b := range o.begun {
		o.assert(b != a, "an attempt begins twice", a)
	}
	if x.Attempts()[len(x.Attempts())-1] != a || a.Status != 0 || a.First != 0 {
		panic("an attempt begins that is not the last, or has begun")
	}
	if o.refuse != nil {
		if err := o.refuse(a); err != nil {
			return err
		}
	}
	o.begun = append(o.begun, a)
	return nil
}

func (o *observer) Settle(_ *gateway.Exchange, a *gateway.Attempt) {
	o.assert(!o.over && count(o.begun, a) == 1 && count(o.settled, a) == 0, "an attempt is settled", a)
	if a.Refused {
		o.refused = append(o.refused, a)
		return
	}
	o.settled = append(o.settled, a)
}

func (o *observer) End(x *gateway.Exchange, _ error) {
	o.assert(!o.over, "an exchange ends twice", nil)
	o.over = true
	sent := x.Attempts()
	if len(o.begun)-len(o.refused) != len(sent) || len(o.settled) != len(sent) {
		panic(fmt.Sprintf("%d attempts: %d begun, %d of them refused, %d settled", len(sent), len(o.begun), len(o.refused), len(o.settled)))
	}
	delivered := 0
	for _, a := range sent {
		if a.Charge < 0 || a.Charge > 0 && !a.Delivered && a != sent[len(sent)-1] {
			panic(fmt.Sprintf("%d is charged for an attempt that was not delivered", a.Charge))
		}
		if a.Delivered {
			delivered++
		}
	}
	if x.Reply != nil && x.Reply.Status < 300 && delivered == 0 {
		panic("an answer of no attempt was delivered")
	}
}

func (o *observer) assert(ok bool, what string, a *gateway.Attempt) {
	if !ok {
		panic(fmt.Sprintf("%s: %+v", what, a))
	}
}

func count(list []*gateway.Attempt, a *gateway.Attempt) (n int) {
	for _, b := range list {
		if a == b {
			n++
		}
	}
	return n
}

// watch lets an observer watch an exchange.
func watch(x *gateway.Exchange) *observer {
	o := &observer{}
	x.Watch(o)
	return o
}

var errSpent = &gateway.Error{Status: 429, Type: "insufficient_quota", Code: "insufficient_quota", Message: "The budget is spent.", NoRetry: true}

// Who watches may prevent an attempt: then it was never made, its place is given back, and no target has failed.
func TestPrevented(t *testing.T) {
	one, two := &script{t: t, answers: []answer{status(500)}}, &script{t: t, answers: []answer{ok("b")}}
	f := newFleet(one, two)
	limiter := admission.New(admission.Settings{Max: 1})
	for _, target := range f.targets {
		target.Limiter = limiter
	}
	h := forward.New(options())
	f2 := func(refuse string, asked int, want int) {
		t.Helper()
		x := f.ask(`{"model":"m","messages":[]}`)
		inner := watch(x)
		inner.refuse = func(a *gateway.Attempt) error {
			if a.Provider == refuse {
				return errSpent
			}
			return nil
		}
		outer := observer{}
		e := serve(h, x)
		if got := one.asked() + two.asked(); e == nil || e.Status != want || got != asked || len(x.Attempts()) != len(inner.settled) {
			t.Errorf("%s: %v, asked %d times, %d attempts", refuse, e, got, len(x.Attempts()))
		}
		if len(outer.refused) != 0 || !limiter.TryEnter() {
			t.Errorf("%s: the place was not given back", refuse)
		}
		limiter.Leave(admission.Signal{})
		for _, target := range f.targets[1:] {
			if target.Health.State(gateway.Now()) != health.Healthy {
				t.Errorf("%s: %s has failed", refuse, target.Provider)
			}
		}
	}
	f2(f.targets[0].Provider, 0, 429)
	f2(f.targets[1].Provider, 1, 429)
}

// What a witness does not allow at one target it may allow at the next. If none is allowed, the first refusal is the answer.
func TestPreventedElsewhere(t *testing.T) {
	dear := &gateway.Error{Status: 429, Type: "insufficient_quota", Code: "insufficient_quota", Message: "Too dear.", Elsewhere: true}
	other := &gateway.Error{Status: 400, Code: "model_has_no_price", Message: "No price.", Elsewhere: true}
	f := func(want string, first answer, hedge bool, refusals ...error) {
		t.Helper()
		scripts := make([]gateway.Sender, len(refusals))
		for i := range scripts {
			a := ok("a")
			if i == 0 {
				a = first
			}
			scripts[i] = &script{t: t, answers: []answer{a}}
		}
		fl := newFleet(scripts...)
		x := fl.ask(`{"model":"m","stream":true,"messages":[]}`)
		none := 0
		x.Plan.Retries = &none
		if hedge {
			x.Plan.Hedge = &gateway.Hedge{After: time.Hour}
		}
		watch(x).refuse = func(a *gateway.Attempt) error {
			for i, target := range fl.targets {
				if a.Provider == target.Provider {
					return refusals[i]
				}
			}
			return nil
		}
		got := "ok"
		if e := serve(forward.New(options()), x); e != nil {
			got = e.Code
			if e.NoRetry && refusals[0] == dear {
				t.Errorf("%s: callers are told not to come again, and nothing was asked", e.Code)
			}
		}
		if got != want {
			t.Errorf("%v: %s, want %s", refusals, got, want)
		}
	}
	for _, hedge := range []bool{false, true} {
		f("ok", ok("a"), hedge, dear, nil)
		f("ok", ok("a"), hedge, dear, other, nil)
		f("insufficient_quota", ok("a"), hedge, dear, other)
		f("insufficient_quota", ok("a"), hedge, errSpent, nil)
		f("insufficient_quota", status(500), hedge, nil, dear)
	}
}

// An outer witness hears that an attempt is over that an inner one had agreed to and another prevented.
func TestPreventedLater(t *testing.T) {
	s := &script{t: t, answers: []answer{ok("a")}}
	x := &gateway.Exchange{}
	f := newFleet(s)
	x.Init("req_test", chatEndpoint, header{}, &body{data: []byte(`{"model":"m","messages":[]}`)})
	x.Caller.Tenant, x.Plan.Targets = f.tenant, f.targets
	if err := x.Request.Open(); err != nil {
		t.Fatal(err)
	}
	outer, inner := watch(x), watch(x)
	outer.refuse = func(*gateway.Attempt) error { return errSpent }
	if e := serve(forward.New(options()), x); e == nil || e.Code != "insufficient_quota" || s.asked() != 0 {
		t.Errorf("%v after %d attempts", e, s.asked())
	}
	if len(inner.refused) != 1 || len(inner.settled) != 0 || len(outer.begun) != 0 {
		t.Errorf("inner: %+v; outer: %+v", inner, outer)
	}
}

// What the tenant pays: what was delivered, and nothing else.
func TestCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := priced(t)
		f := func(name, want string, x *gateway.Exchange, tell func(*gateway.Exchange)) {
			t.Helper()
			if tell != nil {
				tell(x)
			}
			_ = serve(forward.New(options()), x)
			got := ""
			for _, a := range x.Attempts() {
				got += fmt.Sprintf("%s %d; ", catalog.AppendUSD(nil, a.Charge), a.Used.Total())
			}
			if got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		ask := func(text string, scripts ...gateway.Sender) *gateway.Exchange {
			fl := newFleet(scripts...)
			for _, target := range fl.targets {
				target.Known = known
			}
			return fl.ask(text)
		}
		const whole, stream = `{"model":"m","messages":[{"role":"user","content":"hello there"}]}`, `{"model":"m","stream":true,"messages":[{"role":"user","content":"hello there"}]}`
		one := func(a ...answer) *script { return &script{t: t, answers: a} }
		f("reported", "0.0002 15; ", ask(whole, one(ok("a"))), nil)
		f("failed over", "0 0; 0.0002 15; ", ask(whole, one(status(500)), one(ok("a"))), nil)
		f("unreachable", "0 0; ", ask(whole, one(answer{err: &gateway.Error{Status: 502, Code: gateway.CodeUnreachable, Origin: gateway.OriginUpstream}})),
			func(x *gateway.Exchange) { none := 0; x.Plan.Retries = &none })
		f("capped", "0.0001 15; ", ask(whole, one(ok("a"))), func(x *gateway.Exchange) {
			watch(x).refuse = func(a *gateway.Attempt) error { a.Reserved, a.Capped = 100e6, true; return nil }
		})
		f("own account", "0 15; ", ask(whole, one(ok("a"))), func(x *gateway.Exchange) {
			tenant := *x.Caller.Tenant
			target := x.Plan.Targets[0]
			tenant.Own = map[string]*gateway.Own{target.Provider: {Via: target.Via, Health: target.Health}}
			x.Caller.Tenant = &tenant
		})
		f("left before the first event", "0.0002 20; ", ask(stream, one(answer{status: 200, after: time.Hour, events: 3})), func(x *gateway.Exchange) {
			time.AfterFunc(time.Second, func() { x.Cancel(gateway.ErrGone) })
		})
		f("left, leniently", "0 20; ", ask(stream, one(answer{status: 200, after: time.Hour, events: 3})), func(x *gateway.Exchange) {
			x.Lenient = true
			time.AfterFunc(time.Second, func() { x.Cancel(gateway.ErrGone) })
		})
	})
}

// priced is a model with prices of 10 dollars for a million tokens of a prompt, and 20 for an answer.
func priced(t *testing.T) *catalog.Model {
	t.Helper()
	c, err := catalog.New([]catalog.Entry{{Provider: "p", Name: "m", Prices: []catalog.Price{{Input: "10", Output: "20"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Lookup("p", "m")
}
