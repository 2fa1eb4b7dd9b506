package gatewaytest

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-ai/sluice/gateway"
)

// Subject is a plugin under test.
type Subject struct {
	Spec    gateway.Spec
	Config  any     // as Spec.Defaults gives it; nil: the defaults
	Request Request // one that the plugin passes on; the suite sends it many times
}

// Conformance checks what every plugin owes the chain: replies pass unchanged and in order and are closed once on every
// path, errors and panics of what comes behind it pass too, its own end functions do not fail, and neither concurrent
// exchanges nor a second generation disturb it. Run it with the race detector. No test may run in parallel with it,
// because it counts goroutines.
func Conformance(t *testing.T, s Subject) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			if err := s.run(c); err != nil {
				t.Error(err)
			}
		})
	}
}

// check is one promise. Each gets a plugin of its own.
type check struct {
	name string
	keep func(*trial) error
}

func checks() []check {
	return []check{
		{"a whole reply passes", passes(gateway.Whole, `{"id":"1"}`)},
		{"an empty reply passes", passes(gateway.Whole)},
		{"events pass in order", passes(gateway.Events, `{"n":1}`, `{"n":2}`, `{"n":3}`, `[DONE]`)},
		{"bytes pass", passes(gateway.Bytes, "\x00\x01", "", "\xff")},
		{"a client may leave at any event", leaves},
		{"a stream may break off at any event", breaks},
		{"errors pass", fails},
		{"panics pass", panics},
		{"exchanges may be concurrent", concurrent},
		{"generations may overlap", overlap},
		{"name and defaults are valid", defaults},
	}
}

// trial is one plugin with its surroundings.
type trial struct {
	Subject
	plugin gateway.Plugin

	mu   sync.Mutex
	errs []error
}

// run builds the plugin, checks one promise, closes it and looks for goroutines that it left.
func (s Subject) run(c check) error {
	before := goleak.IgnoreCurrent()
	h := NewHost()
	p, err := build(h, s.Spec, s.Config)
	if err != nil {
		h.Close()
		return err
	}
	tr := &trial{Subject: s, plugin: p}
	err = c.keep(tr)
	return errors.Join(err, errors.Join(tr.errs...), closePlugin(h, p), goleak.Find(before))
}

func (tr *trial) fault(err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.errs = append(tr.errs, err)
}

// ask sends the request through the handler to the script and checks what holds on every path. The client leaves after
// n events; -1 stays.
func (tr *trial) ask(h gateway.Handler, n int) Answer {
	x := newExchange(tr.Request, tr.fault)
	outer := 0
	x.OnEnd(func(error) { outer++ })
	a := ServeSome(x, h, n)
	x.End(nil) // a transport may say it twice
	if outer != 1 {
		tr.fault(fmt.Errorf("the functions registered with OnEnd ran %d times", outer))
	}
	for _, p := range a.Ends {
		tr.fault(p)
	}
	if x.Request.Body() != nil {
		tr.fault(errors.New("the request's bytes were retained and not released"))
	}
	return a
}

// script answers 200 with some events.
func script(kind gateway.Kind, data ...string) *Script {
	s := &Script{Kind: kind, ContentType: "text/plain", Header: []gateway.Field{{Name: "x-test", Value: "1"}}}
	for i, d := range data {
		ev := gateway.Event{Data: []byte(d)}
		if kind == gateway.Events && i%2 == 1 {
			ev.Name = "named"
		}
		s.Events = append(s.Events, ev)
	}
	return s
}

// same checks that a caller got the first events of a script.
func same(a *Answer, s *Script, events int) error {
	if a.Panic != nil {
		return fmt.Errorf("panic: %v", a.Panic)
	}
	if a.Reply == nil {
		return fmt.Errorf("no reply: %s", text(a.Err))
	}
	r := a.Reply
	if r.Status != 200 || r.Kind != s.Kind || r.ContentType != s.ContentType || len(r.Header) == 0 || r.Header[0] != s.Header[0] {
		return fmt.Errorf("the reply is %d %q of kind %d with %v", r.Status, r.ContentType, r.Kind, r.Header)
	}
	if len(a.Events) != events {
		return fmt.Errorf("%d events of %d came: %s", len(a.Events), events, text(a.Err))
	}
	for i, ev := range a.Events {
		if want := s.Events[i]; ev.Name != want.Name || !bytes.Equal(ev.Data, want.Data) {
			return fmt.Errorf("event %d is %q %q, not %q %q", i, ev.Name, ev.Data, want.Name, want.Data)
		}
	}
	return nil
}

// text is how an exchange ended, for a sentence.
func text(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

func passes(kind gateway.Kind, data ...string) func(*trial) error {
	return func(tr *trial) error {
		s := script(kind, data...)
		a := tr.ask(tr.plugin.Wrap(s), -1)
		if err := errors.Join(same(&a, s, len(data)), s.Check()); err != nil {
			return err
		}
		if a.Err != nil {
			return fmt.Errorf("a complete reply ended with: %w", a.Err)
		}
		return nil
	}
}

func leaves(tr *trial) error {
	for n := range 4 {
		s := script(gateway.Events, "1", "2", "3", "4")
		a := tr.ask(tr.plugin.Wrap(s), n)
		if !errors.Is(a.Err, gateway.ErrGone) {
			return fmt.Errorf("the client left after %d events, and the exchange ended with: %s", n, text(a.Err))
		}
		if err := errors.Join(same(&a, s, n), s.Check()); err != nil {
			return err
		}
	}
	return nil
}

var errScripted = errors.New("as the script says")

func breaks(tr *trial) error {
	for n := range 4 {
		s := script(gateway.Events, []string{"1", "2", "3"}[:n]...)
		s.End = errScripted
		a := tr.ask(tr.plugin.Wrap(s), -1)
		if !errors.Is(a.Err, errScripted) {
			return fmt.Errorf("a stream that broke off after %d events ended with: %s", n, text(a.Err))
		}
		if err := errors.Join(same(&a, s, n), s.Check()); err != nil {
			return err
		}
	}
	return nil
}

func fails(tr *trial) error {
	known := &gateway.Error{Status: 429, Code: "rate_limit_exceeded", Message: "Too many requests."}
	for _, want := range []error{known, errScripted, gateway.ErrGone} {
		s := script(gateway.Whole)
		s.Err = want
		a := tr.ask(tr.plugin.Wrap(s), -1)
		if a.Panic != nil || !errors.Is(a.Err, want) {
			return fmt.Errorf("next failed with %q, and the exchange ended with: %s (panic: %v)", text(want), text(a.Err), a.Panic)
		}
		if err := s.Check(); err != nil {
			return err
		}
	}
	return nil
}

func panics(tr *trial) error {
	s := script(gateway.Whole)
	s.Panic = "as the script says"
	a := tr.ask(tr.plugin.Wrap(s), -1)
	if a.Panic != s.Panic {
		return fmt.Errorf("next panicked with %q, and the chain with %v", s.Panic, a.Panic)
	}
	return s.Check()
}

// concurrent sends exchanges through one handler from many goroutines; half of the clients leave.
func concurrent(tr *trial) error {
	const each = 50
	s := script(gateway.Events, "1", "2", "3", "4")
	h := tr.plugin.Wrap(s)
	var all sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range each {
				n, events := -1, len(s.Events)
				if i%2 == 1 {
					n, events = i%4, i%4
				}
				a := tr.ask(h, n)
				if err := same(&a, s, events); err != nil {
					tr.fault(err)
					return
				}
			}
		})
	}
	all.Wait()
	return s.Check()
}

// overlap serves two generations in turn: Wrap must not leave anything of the first in the second.
func overlap(tr *trial) error {
	first, second := script(gateway.Whole, "first"), script(gateway.Whole, "second")
	a, b := tr.plugin.Wrap(first), tr.plugin.Wrap(second)
	for range 2 {
		old, present := tr.ask(a, -1), tr.ask(b, -1)
		if err := errors.Join(same(&old, first, 1), same(&present, second, 1)); err != nil {
			return err
		}
	}
	return errors.Join(first.Check(), second.Check())
}

// defaults checks what a configuration that says nothing of the plugin gets.
func defaults(tr *trial) error {
	if tr.Spec.Name == "" || strings.ContainsAny(tr.Spec.Name, " .*") {
		return fmt.Errorf("%q is not a plugin's name", tr.Spec.Name)
	}
	if v, ok := tr.Spec.Defaults().(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}
