package gatewaytest

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
)

// wrapper is a plugin made of one function.
type wrapper func(next gateway.Handler) gateway.Handler

func (w wrapper) Wrap(next gateway.Handler) gateway.Handler { return w(next) }

type settings struct{ Bad bool }

func (s *settings) Validate() error {
	if s.Bad {
		return errors.New("bad settings")
	}
	return nil
}

func subject(w wrapper) Subject {
	return Subject{Spec: gateway.Define("test", settings{}, func(gateway.Host, settings) (gateway.Plugin, error) { return w, nil })}
}

// each makes a wrapper of what it does with one exchange.
func each(serve func(x *gateway.Exchange, next gateway.Handler) error) wrapper {
	return func(next gateway.Handler) gateway.Handler {
		return gateway.HandlerFunc(func(x *gateway.Exchange) error { return serve(x, next) })
	}
}

// around makes a wrapper that puts a stream around each reply's.
func around(wrap func(gateway.Stream) gateway.Stream) wrapper {
	return each(func(x *gateway.Exchange, next gateway.Handler) error {
		if err := next.Serve(x); err != nil {
			return err
		}
		x.Reply.Stream = wrap(x.Reply.Stream)
		return nil
	})
}

// altered is a stream of which some methods are replaced.
type altered struct {
	gateway.Stream
	next  func(gateway.Stream) (gateway.Event, error)
	ready func(gateway.Stream) bool
	close func(gateway.Stream) error
}

func (a *altered) Next() (gateway.Event, error) {
	if a.next != nil {
		return a.next(a.Stream)
	}
	return a.Stream.Next()
}

func (a *altered) Ready() bool {
	if a.ready != nil {
		return a.ready(a.Stream)
	}
	return a.Stream.Ready()
}

func (a *altered) Close() error {
	if a.close != nil {
		return a.close(a.Stream)
	}
	return a.Stream.Close()
}

func TestConformanceAccepts(t *testing.T) {
	Conformance(t, subject(each(func(x *gateway.Exchange, next gateway.Handler) error { return next.Serve(x) })))
	Conformance(t, subject(around(func(s gateway.Stream) gateway.Stream { return &altered{Stream: s} })))
	Conformance(t, subject(each(func(x *gateway.Exchange, next gateway.Handler) error { // tries twice, and keeps the body for it
		x.Retain()
		x.OnEnd(func(error) { x.Release() })
		if err := next.Serve(x); err != nil {
			return err
		}
		if err := x.Reply.Stream.Close(); err != nil {
			return err
		}
		x.Reply = nil
		return next.Serve(x)
	})))
}

// TestConformanceRefuses breaks each promise in turn: the suite must say which.
func TestConformanceRefuses(t *testing.T) {
	f := func(name string, w wrapper, check, want string) {
		t.Helper()
		var failed []string
		for _, c := range checks() {
			err := subject(w).run(c)
			if err == nil {
				continue
			}
			failed = append(failed, c.name)
			if c.name == check {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q says %q, not %q", name, check, err, want)
				}
				return
			}
		}
		t.Errorf("%s: %q did not fail, but %q did", name, check, failed)
	}

	f("no reply", each(func(*gateway.Exchange, gateway.Handler) error { return nil }),
		"a whole reply passes", "no reply")
	f("other status", each(func(x *gateway.Exchange, next gateway.Handler) error {
		err := next.Serve(x)
		if err == nil {
			x.Reply.Status = 201
		}
		return err
	}), "an empty reply passes", "the reply is 201")
	f("two calls, one reply left open", each(func(x *gateway.Exchange, next gateway.Handler) error {
		if err := next.Serve(x); err != nil {
			return err
		}
		return next.Serve(x)
	}), "a whole reply passes", "a reply was not closed")
	f("data changed in place", around(func(s gateway.Stream) gateway.Stream {
		return &altered{Stream: s, next: func(s gateway.Stream) (gateway.Event, error) {
			ev, err := s.Next()
			if len(ev.Data) > 0 {
				ev.Data[0] = '!'
			}
			return ev, err
		}}
	}), "events pass in order", `event 0 is "" "!\"n\":1}"`)
	f("names lost", around(func(s gateway.Stream) gateway.Stream {
		return &altered{Stream: s, next: func(s gateway.Stream) (gateway.Event, error) {
			ev, err := s.Next()
			return gateway.Event{Data: ev.Data}, err
		}}
	}), "events pass in order", `not "named"`)
	f("last event lost", around(func(s gateway.Stream) gateway.Stream {
		left := 3
		return &altered{Stream: s, next: func(s gateway.Stream) (gateway.Event, error) {
			if left--; left < 0 {
				return gateway.Event{}, io.EOF
			}
			return s.Next()
		}}
	}), "events pass in order", "3 events of 4 came")
	f("Ready reads on", around(func(s gateway.Stream) gateway.Stream {
		return &altered{Stream: s, ready: func(s gateway.Stream) bool { _, err := s.Next(); return err == nil }}
	}), "events pass in order", "Ready invalidated the last event")
	f("not closed", around(func(s gateway.Stream) gateway.Stream {
		return &altered{Stream: s, close: func(gateway.Stream) error { return nil }}
	}), "a client may leave at any event", "a reply was not closed")
	f("closed twice", around(func(s gateway.Stream) gateway.Stream {
		return &altered{Stream: s, close: func(s gateway.Stream) error { _ = s.Close(); return s.Close() }}
	}), "bytes pass", "a reply was closed twice")
	f("a cut taken for an end", around(func(s gateway.Stream) gateway.Stream {
		return &altered{Stream: s, next: func(s gateway.Stream) (gateway.Event, error) {
			ev, err := s.Next()
			if err != nil {
				err = io.EOF
			}
			return ev, err
		}}
	}), "a stream may break off at any event", "broke off after 0 events")
	f("an error swallowed", each(func(x *gateway.Exchange, next gateway.Handler) error {
		if err := next.Serve(x); err != nil {
			x.Reply = &gateway.Reply{Status: 200, Stream: gateway.Once(nil)}
		}
		return nil
	}), "errors pass", "next failed with")
	f("a panic swallowed", each(func(x *gateway.Exchange, next gateway.Handler) (err error) {
		defer func() {
			if recover() != nil {
				err = errScripted
			}
		}()
		return next.Serve(x)
	}), "panics pass", "and the chain with <nil>")
	f("a failing end", each(func(x *gateway.Exchange, next gateway.Handler) error {
		x.OnEnd(func(error) { panic("at the end") })
		return next.Serve(x)
	}), "a whole reply passes", "panic at the end of an exchange: at the end")
	f("the body kept", each(func(x *gateway.Exchange, next gateway.Handler) error {
		if err := x.Request.Open(); err != nil {
			return err
		}
		x.Retain()
		return next.Serve(x)
	}), "a whole reply passes", "retained and not released")
	f("the body released too often", each(func(x *gateway.Exchange, next gateway.Handler) error {
		x.Retain()
		x.Release()
		x.Release()
		x.Retain()
		return next.Serve(x)
	}), "a whole reply passes", "the request's body was freed twice")
	f("a goroutine left behind", each(func(x *gateway.Exchange, next gateway.Handler) error {
		never := make(chan struct{})
		t.Cleanup(func() { close(never) })
		go func() { <-never }()
		return next.Serve(x)
	}), "a whole reply passes", "unexpected goroutines")
	f("one stream for all", func() wrapper {
		var shared gateway.Handler
		return func(next gateway.Handler) gateway.Handler {
			if shared == nil {
				shared = next
			}
			return shared
		}
	}(), "generations may overlap", `not "" "second"`)

	bad := subject(each(func(x *gateway.Exchange, next gateway.Handler) error { return next.Serve(x) }))
	bad.Spec = gateway.Define("bad", settings{Bad: true}, func(gateway.Host, settings) (gateway.Plugin, error) { return wrapper(nil), nil })
	if err := bad.run(check{"", defaults}); err == nil || err.Error() != "bad settings" {
		t.Errorf("defaults that are not valid: %v", err)
	}
	bad.Spec = gateway.Define("a.b", settings{}, func(gateway.Host, settings) (gateway.Plugin, error) { return wrapper(nil), nil })
	if err := bad.run(check{"", defaults}); err == nil || !strings.Contains(err.Error(), "is not a plugin's name") {
		t.Errorf("a name that is none: %v", err)
	}
	bad.Spec = gateway.Define("none", settings{}, func(gateway.Host, settings) (gateway.Plugin, error) { return nil, nil }) //nolint:nilnil // the fault
	if err := bad.run(check{"", defaults}); err == nil || !strings.Contains(err.Error(), "neither a plugin nor an error") {
		t.Errorf("a constructor that returns nothing: %v", err)
	}
}
