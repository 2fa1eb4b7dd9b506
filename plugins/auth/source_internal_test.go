package auth

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fetch takes its time. Who can do without it does.
func TestSourceWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const one, two = `{"keys":[{"kty":"EC","kid":"1"}]}`, `{"keys":[{"kty":"EC","kid":"2"}]}`
		body, err, takes := one, error(nil), 3*time.Second
		fetches := 0
		s := &source{fetch: func(s *source) {
			fetches++
			go func() {
				<-time.After(takes)
				_ = s.done([]byte(body), time.Now(), err)
			}()
		}}
		f := func(want string, waited time.Duration, n int) {
			t.Helper()
			began := time.Now()
			got, err := s.keys(t.Context(), began)
			switch {
			case want == "" && (!errors.Is(err, errNoKeys) || got != nil):
				t.Errorf("%v, %v", got, err)
			case want != "" && (err != nil || string(got.raw) != want):
				t.Errorf("%v, %v", got, err)
			}
			if d := time.Since(began); d != waited || fetches != n {
				t.Errorf("waited %v, fetched %d times", d, fetches)
			}
		}
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }

		var all sync.WaitGroup
		for range 10 { // all wait for one
			all.Go(func() { f(one, 3*time.Second, 1) })
		}
		all.Wait()
		pass(15*time.Minute - time.Nanosecond)
		f(one, 0, 1)
		pass(time.Nanosecond)
		body = two
		f(one, 0, 2) // in the background
		pass(3 * time.Second)
		f(two, 0, 2)

		pass(time.Hour)
		body = one
		f(one, 3*time.Second, 3) // nobody has asked for long: what was withdrawn in the meantime is not good

		err = errors.New("out")
		pass(time.Hour)
		f(one, 3*time.Second, 4)
		f(one, 0, 4) // five seconds from one to the next, and nobody waits for what has just failed
		pass(2 * time.Second)
		f(one, 0, 5)
		pass(22 * time.Hour)
		f(one, 0, 6)
		pass(time.Hour)
		f("", 3*time.Second, 7) // too old to be good for anything
		f("", 0, 7)
		err = nil
		pass(2 * time.Second)
		f(one, 3*time.Second, 8)

		// A key that is not there.
		again := func(want bool, waited time.Duration, n int) {
			t.Helper()
			began := time.Now()
			got, err := s.again(t.Context(), began)
			if err != nil || (got != nil) != want || time.Since(began) != waited || fetches != n {
				t.Errorf("%v, %v, after %v, %d fetches", got, err, time.Since(began), fetches)
			}
		}
		again(false, 0, 8)
		pass(57 * time.Second)
		again(true, 3*time.Second, 9)
		again(false, 0, 9)
		pass(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.again(ctx, time.Now()); !errors.Is(err, context.DeadlineExceeded) || fetches != 10 {
			t.Errorf("%v, %d fetches", err, fetches)
		}
		again(true, 2*time.Second, 10) // the one under way
		pass(time.Minute)
	})
}

// Whatever a provider serves, it does no harm.
func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"a"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"},{"kty":"RSA","x5u":"https://127.0.0.1/","n":"AA","e":""}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := parseKeySet(raw)
		if err != nil {
			return
		}
		for name, k := range s.keys {
			if alg, ok := algorithmOf(k, name.algorithm); !ok || alg != name.algorithm {
				t.Errorf("%T is kept for %q", k, name.algorithm)
			}
		}
	})
}
