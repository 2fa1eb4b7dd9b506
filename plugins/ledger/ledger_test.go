package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/forward" //nolint:depguard // attempts as they are made
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	rows "github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/ledger"
)

var errCut = errors.New("upstream: the answer broke off")

// reserving is a witness that reserves, or refuses, as quota does.
type reserving struct {
	reserve int64
	capped  bool
	err     error
}

func (q *reserving) Begin(_ *gateway.Exchange, a *gateway.Attempt) error {
	a.Reserved, a.Capped = q.reserve, q.capped
	return q.err
}
func (q *reserving) Settle(*gateway.Exchange, *gateway.Attempt) {}
func (q *reserving) End(*gateway.Exchange, error)               {}

// TestBilling is the table of what is written down: for each way in which an exchange goes, its attempts, how each ended, whose
// count its tokens are, what it cost the operator, and what the tenant pays.
func TestBilling(t *testing.T) {
	f := func(name, want string, prepare func(r *rig), providers ...act) {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			r := newRig(t)
			if prepare != nil {
				prepare(r)
			}
			x, _ := r.serve(providers...)
			list := r.rows()
			if got := told(list); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
			for _, row := range list {
				if row.Tenant != "acme" || row.Key != "ci" || row.User != "ann" || row.Request != x.ID || row.Node != "n1" || row.Endpoint != x.Request.Endpoint.Name {
					t.Errorf("%+v", row)
				}
			}
			if s := r.journal.Standing(); s.Open != 0 {
				t.Errorf("%d are open", s.Open)
			}
		})
	}
	streams := func(r *rig) { r.request.Body = askStream }
	leaves := func(n int) func(*rig) {
		return func(r *rig) { streams(r); r.leave = n }
	}
	cancels := func(cause error) func(x *gateway.Exchange, _ *gateway.Attempt, n int) {
		return func(x *gateway.Exchange, _ *gateway.Attempt, n int) {
			if n == 2 {
				x.Cancel(cause)
			}
		}
	}
	cancelled := func(r *rig) {
		streams(r)
		r.before = func(x *gateway.Exchange) { time.AfterFunc(time.Millisecond, func() { x.Cancel(gateway.ErrGone) }) }
	}
	unreachable := gateway.Error{Code: gateway.CodeUnreachable}
	timeout := gateway.Error{Code: gateway.CodeTimeout, Sent: true}
	inBand := gateway.Error{Code: gateway.CodeInBand, Sent: true}

	f("1: complete", "1 complete: reported 10+5, 0.0002, 0.0002 delivered", nil, whole(200, reported))
	f("1: a stream", "1 complete: reported 10+5, 0.0002, 0.0002 delivered", streams, stream{events: 3, usage: reported}.act)
	f("2: zero is reported", "1 complete: reported 0+0, 0, 0 delivered", nil, whole(200, chat.Usage{Provenance: chat.Reported}))
	f("3: nothing is reported", "1 complete: estimated 20+9, 0.00038, 0.00038 delivered", streams, stream{events: 3}.act)
	f("4: refused", "1 refused: unknown 0+0, 0, 0", nil, whole(404, chat.Usage{}))
	f("4: too many", "1 refused: unknown 0+0, 0, 0", nil, whole(429, chat.Usage{}))
	f("5: no connection", "1 unsent: unknown 0+0, 0, 0", nil, fails(unreachable))
	f("6: 500", "1 failed: unknown 0+0, unknown, 0", nil, whole(500, chat.Usage{}))
	f("6: timeout", "1 timeout: unknown 0+0, unknown, 0", nil, fails(timeout))
	f("6: cut before the first event", "1 cut: unknown 0+0, unknown, 0", nil, fails(gateway.Error{Code: gateway.CodeCut, Sent: true}))
	f("7: failover", "1 failed: unknown 0+0, unknown, 0; 2 unsent: unknown 0+0, 0, 0; 3 complete: reported 10+5, 0.0002, 0.0002 delivered", nil,
		whole(500, chat.Usage{}), fails(unreachable), whole(200, reported))
	f("8: gone while it waits", "1 failed: unknown 0+0, unknown, 0", func(r *rig) { // for its turn to be sent again
		r.options.Max, r.options.BackoffMin, r.options.BackoffMax = 3, time.Minute, time.Hour
		cancelled(r)
	}, whole(500, chat.Usage{}))
	f("9: gone before the first event", "1 gone: aborted 20+0, 0.0002, 0.0002", cancelled, waits)
	f("9: for free", "1 gone: aborted 20+0, 0.0002, 0", func(r *rig) { cancelled(r); r.config.Abandoned = ledger.Free }, waits)
	f("10: gone in the middle", "1 gone: aborted 20+6, 0.00032, 0.00032 delivered", leaves(2), stream{events: 9}.act)
	f("10: gone, and the usage is known", "1 gone: reported 10+5, 0.0002, 0.0002 delivered", leaves(2), stream{events: 9, usage: reported}.act)
	f("11: the provider dies", "1 cut: aborted 20+6, 0.00032, 0.00032 delivered", streams, stream{events: 2, end: errCut}.act)
	f("12: and another goes on", "1 cut: aborted 20+2, 0.00024, 0.00024 delivered; 2 complete: reported 10+5, 0.0002, 0.0001 resumed,delivered",
		func(r *rig) { streams(r); r.options.Recover, r.options.Max = true, 2 }, stream{events: 2, end: errCut}.act, stream{events: 3, usage: reported}.act)
	f("13: two at a time", "1 lost: estimated 10+5, 0.0002, 0; 2 complete: reported 10+5, 0.0002, 0.0002 hedged,delivered",
		func(r *rig) { r.plan.Hedge = &gateway.Hedge{After: time.Millisecond, Budget: 1} }, waits, whole(200, reported))
	f("14: sent twice", "1 complete: reported 10+5, 0.0002, 0.0002 resent,delivered", nil, func(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
		a.Resent = true
		return whole(200, reported)(x, a)
	})
	f("15: merged", "1 complete: estimated 4+0, 0.00004, 0.00004 joined,delivered", nil, func(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
		a.Joined = true
		return whole(200, chat.Usage{Input: 4, Provenance: chat.Estimated})(x, a)
	})
	f("17: refused before", "", func(r *rig) {
		r.around = func(gateway.Handler) gateway.Handler {
			return gateway.HandlerFunc(func(*gateway.Exchange) error { return &gateway.Error{Status: 429} })
		}
	}, whole(200, reported))
	f("17: no budget", "", func(r *rig) {
		r.before = func(x *gateway.Exchange) { x.Watch(&reserving{err: &gateway.Error{Status: 429}}) }
	}, whole(200, reported))
	f("18: more than was reserved", "1 complete: reported 10+5, 0.0002, 0.00015 delivered,capped", func(r *rig) {
		r.before = func(x *gateway.Exchange) { x.Watch(&reserving{reserve: 150e6, capped: true}) }
	}, whole(200, reported))
	f("19: the budget ends", "1 spent: aborted 20+6, 0.00032, 0.00032 delivered", func(r *rig) { streams(r); r.around = spends(2) }, stream{events: 9}.act)
	f("20: the deadline", "1 late: aborted 20+6, 0.00032, 0.00032 delivered", streams, stream{events: 9, at: cancels(gateway.ErrDeadline)}.act)
	f("20: the gateway goes down", "1 drained: aborted 20+6, 0.00032, 0.00032 delivered", streams, stream{events: 9, at: cancels(gateway.ErrDrain)}.act)
	f("20: too late for the first event", "1 late: aborted 17+0, 0.00017, 0.00017", func(r *rig) {
		r.before = func(x *gateway.Exchange) { x.SetDeadline(gateway.Now().Add(5 * time.Millisecond)) }
	}, waits)
	f("23: the tenant's own account", "1 complete: reported 10+5, 0.0002, 0 own,delivered", func(r *rig) {
		r.before = func(x *gateway.Exchange) {
			target := x.Plan.Targets[0]
			r.tenant.Own = map[string]*gateway.Own{target.Provider: {Via: target.Via, Health: target.Health}}
		}
	}, whole(200, reported))
	f("24: no price", "1 complete: reported 10+5, unknown, 0 delivered", func(r *rig) { r.known = nil }, whole(200, reported))
	f("25: an error in a 200", "1 failed: unknown 0+0, unknown, 0", streams, fails(inBand))
	f("26: free", "1 complete: unknown 0+0, 0, 0 delivered", func(r *rig) { r.request.Endpoint.Free = true }, whole(200, chat.Usage{}))
}

// spends is a plugin in whose exchanges the budget does not last for longer than some events.
func spends(events int) func(gateway.Handler) gateway.Handler {
	return func(next gateway.Handler) gateway.Handler {
		return gateway.HandlerFunc(func(x *gateway.Exchange) error {
			if err := next.Serve(x); err != nil {
				return err
			}
			x.Reply.Stream = &cut{Stream: x.Reply.Stream, left: events}
			return nil
		})
	}
}

type cut struct {
	gateway.Stream
	left int
}

func (c *cut) Next() (gateway.Event, error) {
	if c.left--; c.left < 0 {
		return gateway.Event{}, &gateway.Error{Status: 429, Code: "insufficient_quota", Origin: gateway.OriginClient}
	}
	return c.Stream.Next()
}

// 16: an answer from the cache has a row, and costs nothing.
func TestReplay(t *testing.T) {
	r := newRig(t)
	of, id := rows.NewID(time.Now()), rows.NewID(time.Now())
	replay := func(id rows.ID, how rows.Kind) {
		r.around = func(gateway.Handler) gateway.Handler {
			return gateway.HandlerFunc(func(x *gateway.Exchange) error {
				x.Reply = &gateway.Reply{Status: 200, Stream: gateway.Once([]byte("{}"))}
				x.Replay = &gateway.Replay{
					ID: id, How: how, Of: of, Provider: "p0", Name: "m-1", Usage: reported, Saved: catalog.Cost{Picodollars: 7, Known: true},
				}
				return nil
			})
		}
	}
	for i, how := range []rows.Kind{rows.Exact, rows.Semantic, rows.Coalesced} {
		if replay(id, how); i > 0 {
			replay(rows.ID{}, how)
		}
		r.anew()
		r.serve(whole(200, reported))
		list := r.rows()
		if len(list) != i+1 {
			t.Fatalf("%+v", list)
		}
		row := list[i]
		if row.Kind != how || row.ID.IsZero() || i == 0 && row.ID != id || row.Of != of || row.Saved != 7 || row.Status != 200 || row.Provider != "p0" ||
			told(list[i:]) != "0 complete: reported 10+5, 0, 0 delivered" {
			t.Errorf("%+v", row)
		}
	}
}

// 17: what cannot be written down is not done, but for what nobody charges for.
func TestFull(t *testing.T) {
	r := newRig(t)
	fill := rows.Row{Tenant: "acme"}
	for r.journal.Put(&fill) == nil {
	}
	full := r.journal.Standing().Waiting
	sent := 0
	counts := func(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
		sent++
		return whole(200, reported)(x, a)
	}
	x, a := r.serve(counts)
	if e := a.Error(); e == nil || e.Status != 503 || e.Code != "ledger_full" || e.RetryAfter != 5*time.Second || sent != 0 || len(x.Attempts()) != 0 {
		t.Errorf("%v after %d attempts", a.Err, sent)
	}
	values, err := r.host.Values()
	if err != nil || values["sluice_ledger_refused_total"] != 1 || r.journal.Standing().Waiting != full {
		t.Errorf("%v, %v", err, values)
	}
	r.anew()
	r.request.Endpoint.Free = true
	if _, a = r.serve(counts); a.Err != nil || sent != 1 || r.journal.Standing().Waiting != full {
		t.Errorf("%v, %d rows", a.Err, r.journal.Standing().Waiting)
	}
	if values, err = r.host.Values(); err != nil || values["sluice_ledger_unrecorded_total"] != 1 {
		t.Errorf("%v, %v", err, values)
	}
	r.anew()
	r.request.Endpoint.Free = false
	if err := r.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if _, a = r.serve(counts); a.Error() == nil || a.Error().Code != "ledger_unavailable" || !errors.Is(a.Err, rows.ErrClosed) || sent != 1 {
		t.Errorf("%v", a.Err)
	}
}

// anew gives the rig a host whose metrics are unused.
func (r *rig) anew() {
	r.host = gatewaytest.NewHost()
	r.t.Cleanup(r.host.Close)
}

// 21: what holds for an attempt of which nothing was heard any more: its prompt and what had passed of its answer, in steps, and
// all that was reserved for it if no more than that can be charged.
func TestCrash(t *testing.T) {
	f := func(name string, q reserving, events int, tell func(r *rig), want string, before ...act) {
		t.Helper()
		r := newRig(t)
		r.request.Body = askStream
		r.before = func(x *gateway.Exchange) { x.Watch(&q) }
		if tell != nil {
			tell(r)
		}
		crash := stream{events: 99, at: func(_ *gateway.Exchange, _ *gateway.Attempt, n int) {
			if n == events { // the journal is given up as it is, which is as if the process were killed
				if err := r.journal.Close(); err != nil {
					t.Error(err)
				}
			}
		}}
		r.serve(append(before, crash.act)...)
		r.open()
		if got := told(r.rows()); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	f("nothing said", reserving{}, 0, nil, "1 unknown: aborted 20+0, 0.0002, 0.0002")
	f("less than a step", reserving{}, 21, nil, "1 unknown: aborted 20+0, 0.0002, 0.0002")
	f("a step", reserving{}, 22, nil, "1 unknown: aborted 20+66, 0.00152, 0.00152")
	f("more", reserving{}, 65, nil, "1 unknown: aborted 20+132, 0.00284, 0.00284")
	f("metered", reserving{reserve: 1e9}, 22, nil, "1 unknown: aborted 20+66, 0.00152, 0.00152")
	f("strict", reserving{reserve: 1e10, capped: true}, 22, nil, "1 unknown: aborted 20+66, 0.00152, 0.01 capped")
	f("free", reserving{reserve: 1e6}, 22, func(r *rig) { r.request.Endpoint.Free = true }, "1 unknown: unknown 0+0, 0, 0")
	f("no price", reserving{}, 22, func(r *rig) { r.known = nil }, "1 unknown: aborted 20+66, unknown, 0")
	f("a guess", reserving{reserve: 1e6}, 22, func(r *rig) { r.known = nil }, "1 unknown: aborted 20+66, unknown, 0.000001")
	f("the tenant's own account", reserving{}, 22, func(r *rig) {
		r.before = func(x *gateway.Exchange) {
			target := x.Plan.Targets[0]
			r.tenant.Own = map[string]*gateway.Own{target.Provider: {Via: target.Via, Health: target.Health}}
		}
	}, "1 unknown: aborted 20+66, 0.00152, 0 own")
	f("the rest of another's", reserving{}, 22, func(r *rig) { r.options.Recover, r.options.Max = true, 2 },
		"1 cut: aborted 20+2, 0.00024, 0.00024 delivered; 2 unknown: aborted 20+66, 0.00152, 0.00132 resumed", stream{events: 2, end: errCut}.act)

	// Of two that run beside each other one would have been paid for.
	beside := func(r *rig) { r.plan.Hedge = &gateway.Hedge{After: time.Millisecond, Budget: 1} }
	f("two at a time", reserving{}, 22, beside, "1 unknown: aborted 20+0, 0.0002, 0.0002; 2 unknown: aborted 20+66, 0.00152, 0.00132 hedged", waits)
	f("strict, two at a time", reserving{reserve: 1e10, capped: true}, 22, beside,
		"1 unknown: aborted 20+0, 0.0002, 0.01 capped; 2 unknown: aborted 20+66, 0.00152, 0 hedged,capped", waits)
}

// A row says more than its money.
func TestRow(t *testing.T) {
	r := newRig(t)
	r.plan.Model = "m"
	r.request.Body = askStream
	r.before = func(x *gateway.Exchange) { x.Instead, x.Inside = "m", true }
	before := time.Now()
	x, _ := r.serve(stream{events: 3, usage: reported, at: func(_ *gateway.Exchange, a *gateway.Attempt, _ int) { a.RequestID = "up-7" }}.act)
	list := r.rows()
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	row := list[0]
	if row.Asked != "fast" || row.Model != "m" || row.Provider != "p0" || row.Account != "main" || row.Target != "m-1" || row.Upstream != "up-7" ||
		row.Dialect != "openai" || row.Status != 200 || row.Flags != rows.Stream|rows.Delivered|rows.Downgraded|rows.Inside || row.First != time.Millisecond ||
		row.Total <= 0 || row.At.Before(before.Add(-time.Second)) || row.ID != x.Attempts()[0].ID || row.Kind != rows.Attempt || row.Price == 0 {
		t.Errorf("%+v", row)
	}
	values, err := r.host.Values()
	if err != nil || values[`sluice_ledger_rows_total{outcome="complete"}`] != 1 {
		t.Errorf("%v, %v", err, values)
	}
}

func TestConformance(t *testing.T) {
	r := newRig(t)
	gatewaytest.Conformance(t, gatewaytest.Subject{
		Spec:    ledger.Spec(r.journal),
		Request: gatewaytest.Request{Caller: r.request.Caller},
	})
}

func TestSpec(t *testing.T) {
	r := newRig(t)
	spec, without := ledger.Spec(r.journal), ledger.Spec(nil)
	if p, err := spec.Build(r.host, spec.Defaults()); err != nil || p == nil {
		t.Errorf("%v", err)
	}
	if _, err := without.Build(r.host, without.Defaults()); err == nil {
		t.Error("a ledger without a journal")
	}
	if _, err := spec.Build(r.host, spec.Defaults()); err == nil {
		t.Error("metrics twice")
	}
	for _, c := range []ledger.Config{{}, {Abandoned: "full"}} {
		if c.Validate() == nil {
			t.Errorf("%+v is valid", c)
		}
	}
}

// The attempts of a retry are rows of their own.
func TestRetries(t *testing.T) {
	r := newRig(t)
	r.options = forward.Options{Max: 2, Budget: 1, On: forward.On5xx}
	n := 0
	_, a := r.serve(func(x *gateway.Exchange, a *gateway.Attempt) (*gateway.Reply, error) {
		if n++; n < 3 {
			return whole(503, chat.Usage{})(x, a)
		}
		return whole(200, reported)(x, a)
	})
	want := "1 failed: unknown 0+0, 0, 0; 2 failed: unknown 0+0, 0, 0; 3 complete: reported 10+5, 0.0002, 0.0002 delivered"
	if got := told(r.rows()); got != want || a.Err != nil {
		t.Errorf("%s, %v", got, a.Err)
	}
}
