package health_test

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
	"github.com/sluice-ai/sluice/gateway/internal/clock"
)

// TestOrdersHoldForWhatComesLater makes sure that an operator's word holds for targets that a later configuration brings, or
// brings back, until it is taken back.
func TestOrdersHoldForWhatComesLater(t *testing.T) {
	r := health.New(health.Options{})
	now := clock.Instant(time.Hour)
	id := func(key, model string) health.ID { return health.ID{Provider: "p", Key: key, Model: model} }
	add := func(key, model string) *health.Target { return r.Target(id(key, model), health.Settings{}) }
	is := func(key, model string, want health.State) {
		t.Helper()
		if s := r.Find(id(key, model)).Snapshot(now); s.State != want || s.Share == 0 {
			t.Errorf("%s/%s is %+v", key, model, s)
		}
	}
	add("a", "m")
	if !r.Order(now, health.Order{Provider: "p", Word: health.Drain, Reason: "until noon"}) {
		t.Fatal("nobody hears it")
	}
	add("a", "n")
	add("b", "m")
	add("tenant acme", "*").Of("x")
	for _, s := range r.All(now) {
		if s.Operator != "drain" || s.Reason != "drained by an operator: until noon" {
			t.Errorf("%+v", s)
		}
	}
	r.Keep(slices.Values([]health.ID{}))
	add("a", "m") // a mistake in the file, mended
	is("a", "m", health.Disabled)

	// One key is an exception, also for what comes later.
	key := "a"
	r.Order(now, health.Order{Provider: "p", Key: &key, Word: health.Enable})
	add("a", "n")
	add("b", "n")
	is("a", "m", health.Healthy)
	is("a", "n", health.Healthy)
	is("b", "n", health.Disabled)
	if got := r.Orders(); len(got) != 2 || got[0].Word != health.Drain || got[1].Word != health.Enable || got[0].At != now.Time() {
		t.Errorf("%+v", got)
	}

	// Nobody is meant: nothing is kept.
	if r.Order(now, health.Order{Provider: "q", Word: health.Drain}) || len(r.Orders()) != 2 {
		t.Error("an order for nobody is kept")
	}
	// All of it is taken back, though nothing is there any more.
	r.Keep(slices.Values([]health.ID{}))
	if !r.Order(now, health.Order{Provider: "p", Word: health.Enable}) || len(r.Orders()) != 0 {
		t.Errorf("%+v", r.Orders())
	}
	add("b", "n")
	is("b", "n", health.Healthy)
	for range 3 {
		r.Find(id("b", "n")).Drain(now, "")
		r.Find(id("b", "n")).Disable(now, "again")
	}
	if got := r.Orders(); len(got) != 1 || got[0].Word != health.Disable {
		t.Errorf("what is said again is kept twice: %+v", got)
	}
	var none *health.Registry
	if none.Order(now, health.Order{Provider: "p"}) || none.Orders() != nil || none.Reserve(health.ID{}, health.Settings{}) != nil {
		t.Error("there is something where nothing is")
	}
}

// TestAnOrderThatIsRepeated has its last reason.
func TestAnOrderThatIsRepeated(t *testing.T) {
	p := start(t, health.Settings{})
	p.Drain(p.now, "anna")
	since := p.now
	p.pass(time.Second)
	p.Drain(p.now, "ticket 43")
	if got := p.Snapshot(p.now); got.Reason != "drained by an operator: ticket 43" || got.Since != since.Time() {
		t.Errorf("%+v", got)
	}
	p.Drain(p.now, "")
	if got := p.Snapshot(p.now).Reason; got != "drained by an operator: ticket 43" {
		t.Errorf("without a reason it is %q", got)
	}
	if got, want := p.trail(), "healthy disabled"; got != want {
		t.Errorf("it was %s; want %s", got, want)
	}
}

// TestADrainedNameIsNotForgotten though nobody uses it, because it is drained.
func TestADrainedNameIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := health.New(health.Options{})
		wild := r.Target(health.ID{Provider: "p", Model: "*"}, health.Settings{})
		wild.Of("drained").Drain(clock.Now(), "")
		for i := range 300 {
			wild.Of("m" + strconv.Itoa(i))
		}
		<-time.After(time.Hour)
		for i := range 300 {
			wild.Of("n" + strconv.Itoa(i))
		}
		if got := wild.Of("drained"); got == wild || got.Wait(clock.Now()) != health.Never {
			t.Errorf("%s is %v", got.ID().Model, got.State(clock.Now()))
		}
		if wild.Of("n299") != wild {
			t.Error("there was room for all: the test proves nothing")
		}
	})
}

// TestReserveChangesNothing of what is known: neither of the key, nor of what a wildcard stands for.
func TestReserveChangesNothing(t *testing.T) {
	p := start(t, health.Settings{Version: 1})
	p.try(1, health.Refused)
	other := p.r.Reserve(health.ID{Provider: "openai", Key: "main", Model: "o3"}, health.Settings{Version: 2})
	p.is(health.Disabled)
	if other.State(p.now) != health.Disabled || p.r.Reserve(other.ID(), health.Settings{Version: 3}) != other {
		t.Errorf("the new one is %v", other.State(p.now))
	}
	if p.r.Target(other.ID(), health.Settings{Version: 2}) != other {
		t.Error("it is another one in the end")
	}
	p.is(health.Healthy)
	wild := p.r.Reserve(health.ID{Provider: "openai", Key: "main", Model: "gpt-*"}, health.Settings{})
	child := wild.Of("gpt-6")
	if child == wild || p.r.Reserve(child.ID(), health.Settings{}) != child {
		t.Error("a wildcard stands for nothing")
	}
	p.r.Keep(slices.Values([]health.ID{wild.ID()}))
	if p.r.Find(child.ID()) != child {
		t.Error("a name is forgotten because it was reserved")
	}
}

func TestOfKey(t *testing.T) {
	p := start(t, health.Settings{})
	family(p)
	var names []string
	for _, one := range p.r.OfKey("openai", "main") {
		names = append(names, one.ID().Model)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"gpt-5", "gpt-5-mini"}) {
		t.Errorf("%q", names)
	}
}
