package sim_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/sim"
)

// The table is for tests of others; that package upstream fulfils it shows that the dialogues are what they say.
func TestFaults(t *testing.T) {
	for _, f := range sim.Faults() {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			base, stop, err := f.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			more := ""
			if f.Stream {
				more = streaming
			}
			p := gate(t, base, time.Second)
			defer p.Close()
			r := send(exchange(t, ask("fault", "hi", more)), p.WithKey(""), -1)
			check(t, f.Want, r)
		})
	}
}

func check(t *testing.T, want sim.Outcome, r result) {
	t.Helper()
	if r.reply == nil {
		var e *gateway.Error
		if !errors.As(r.err, &e) {
			t.Fatalf("got %v, which is no *gateway.Error", r.err)
		}
		if want.Status != 0 || e.Code != want.Code {
			t.Errorf("got the error %v, want %+v", e, want)
		}
		return
	}
	got := sim.Outcome{
		Status: r.reply.Status, Events: len(r.events), Complete: errors.Is(r.err, io.EOF), RetryAfter: want.RetryAfter,
	}
	if got != want {
		t.Errorf("got %+v (%v), want %+v", got, r.err, want)
	}
}
