package serve_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway"
)

// TestBegins makes sure that headers can be searched for the beginning of a name, however it is written, and that this
// allocates nothing.
func TestBegins(t *testing.T) {
	var found bool
	var allocations float64
	s := start(t, func(x *gateway.Exchange) error {
		h, ok := x.Request.Header.(gateway.Begins)
		found = ok && h.Begins("X-Sluice-")
		allocations = testing.AllocsPerRun(100, func() { h.Begins("X-Sluice-") })
		return whole("{}")(x)
	})
	f := func(field string, want bool) {
		t.Helper()
		c := s.dial()
		c.send(post(minimal, "User-Agent: test", field, "Accept: */*"))
		if _, body := c.response(); body != "{}" || found != want || allocations != 0 {
			t.Errorf("%s: %v, %v allocations, %s", field, found, allocations, body)
		}
	}
	f("X-Sluice-Hedge: off", true)
	f("x-sluice-hedge: off", true)
	f("X-SLUICE-: x", true)
	f("X-Sluice: x", false)
	f("X-Slui-ce-Hedge: off", false)
	f("A-X-Sluice-Hedge: off", false)
}

// TestJoin makes sure that no field of a name is left out, however it is written.
func TestJoin(t *testing.T) {
	var got string
	var there bool
	s := start(t, func(x *gateway.Exchange) error {
		h, ok := x.Request.Header.(gateway.Joins)
		if all := h.Join("X-Forwarded-For"); ok {
			got, there = string(all), all != nil
		}
		return whole("{}")(x)
	})
	f := func(want string, fields ...string) {
		t.Helper()
		c := s.dial()
		c.send(post(minimal, append(fields, "Accept: */*")...))
		if _, body := c.response(); body != "{}" || got != want || there != (len(fields) > 0) {
			t.Errorf("%q: %q, %v, %s", fields, got, there, body)
		}
	}
	f("")
	f("1.1.1.1", "X-Forwarded-For: 1.1.1.1")
	f("1.1.1.1, 2.2.2.2, 3.3.3.3", "X-Forwarded-For: 1.1.1.1, 2.2.2.2", "x-forwarded-for: 3.3.3.3")
	f("1, , 3", "X-Forwarded-For: 1", "X-FORWARDED-FOR:", "X-Forwarded-For: 3")
}
