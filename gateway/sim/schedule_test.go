package sim_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/sim"
)

func TestSchedule(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		s, err := sim.ParseSchedule(text)
		if err != nil || s.String() != want {
			t.Errorf("%q: got %q, %v; want %q", text, s, err, want)
		}
	}
	f("ok", "0s ok")
	f("0 ok;5s refuse;10s ok;15s blackhole;1m ok", "0s ok; 5s refuse; 10s ok; 15s blackhole; 1m0s ok")
	f("  1s\trefuse ;\n 2s ok ", "1s refuse; 2s ok")
	f("silent", "0s silent")
	f("reset, cut 30%", "0s reset, cut 30%")
	f("reset 3 events; 1s cut 0 events; 2s cut 1 event; 3s reset 100 bytes 1%", "0s reset 3 events; 1s cut 0 events; 2s cut 1 events; 3s reset 100 bytes 1%")
	f("drip 10", "0s drip 10")
	f("latency 20ms, latency 380ms 5%", "0s latency 20ms, latency 380ms 5%")
	f("heartbeats; 1s heartbeats 20ms; 2s heartbeats 50%", "0s heartbeats 1s; 1s heartbeats 20ms; 2s heartbeats 1s 50%")
	f("badjson; 1s badjson 2 events 12.5%", "0s badjson; 1s badjson 2 events 12.5%")
	f("500; 1s 429 retry 2s 50%; 2s 529 100%; 3s 400 retry 1500ms", "0s 500; 1s 429 retry 2s 50%; 2s 529; 3s 400 retry 1.5s")
	f("429 retry 1s 1%, latency 7ms", "0s 429 retry 1s 1%, latency 7ms")
	f("ok; 5s refuse; 6s repeat", "0s ok; 5s refuse; 6s repeat")
	if s := (sim.Schedule{}); s.String() != "ok" {
		t.Errorf("%q", s)
	}
}

func TestScheduleMistakes(t *testing.T) {
	f := func(text string, column int, reason string) {
		t.Helper()
		_, err := sim.ParseSchedule(text)
		var e *sim.ScheduleError
		if !errors.As(err, &e) || e.Column != column || !strings.Contains(e.Reason, reason) {
			t.Errorf("%q: got %v; want column %d: …%s…", text, err, column, reason)
		}
	}
	f("", 1, "the end stands where a fault should")
	f("5s", 3, "the end stands where a fault should")
	f("ok;", 4, "the end is no time")
	f("ok; ; 5s ok", 5, `";" is no time`)
	f("ok; refuse", 5, `"refuse" is no time`)
	f("-1s ok", 1, "before the beginning")
	f("5s ok; 5s refuse", 8, `"5s" is not later`)
	f("ok; 0s refuse", 5, `"0s" is not later`)
	f("refus", 1, `do you mean "refuse"?`)
	f("0s explode", 4, "there are ok, refuse, blackhole")
	f("0s ok, ", 8, "the end stands where a fault should")
	f("0s 302", 4, "is no status of an error")
	f("0s 0429", 4, "is no status of an error")
	f("0s 5000", 4, "is no status of an error")
	f("ok 5%", 4, `"ok" concerns connections`)
	f("refuse, latency 5ms", 9, `"latency" and "refuse" cannot be together`)
	f("latency 5ms, blackhole", 14, `"blackhole" and "latency" cannot be together`)
	f("silent 5%, ok", 12, `"ok" and "silent" cannot be together`)
	f("silent 5", 8, `"5" does not belong to "silent"`)
	f("silent 5% 6%", 11, `"6%" does not belong to "silent"`)
	f("429 429", 5, `"429" does not belong to "429"`)
	f("429 retry", 10, "the end is not the time for Retry-After")
	f("429 retry 0s", 11, "is not the time for Retry-After")
	f("latency", 8, "the end is not a latency")
	f("latency fast", 9, `"fast" is not a latency`)
	f("latency -5ms", 9, "is not a latency")
	f("heartbeats often", 12, "is not the time between two heartbeats")
	f("drip", 5, "is no number of bytes a second")
	f("drip 0", 6, "is no number of bytes a second")
	f("drip 10000000000", 6, "is no number of bytes a second")
	f("cut three events", 5, "is no number of events or bytes")
	f("cut 3", 6, `the end stands where "events" or "bytes" should`)
	f("cut 3 tokens", 7, `"tokens" stands where "events" or "bytes" should`)
	f("silent 0%", 8, "is no share")
	f("silent 101%", 8, "is no share")
	f("silent NaN%", 8, "is no share")
	f("silent %", 8, "is no share")
	f("repeat", 1, "is no fault")
	f("ok; 5s repeat; 6s ok", 14, "which is the end")
	f("ok; 5s repeat x", 15, "which is the end")
	_, err := sim.ParseSchedule("ok; 5s refus")
	if err == nil || err.Error() != `column 8: "refus" is no fault; do you mean "refuse"?` {
		t.Errorf("%v", err)
	}
}

// What is taken for a schedule is one that can be written and read again; what is not has its mistake inside the text.
func FuzzSchedule(f *testing.F) {
	for _, text := range []string{
		"0s ok; 5s refuse; 10s ok; 15s blackhole; 20s repeat", "latency 20ms, latency 380ms 5%", "429 retry 2s 50%, 529, 500 1%",
		"reset 3 events; 1s cut 100 bytes; 2s drip 10; 3s heartbeats; 4s badjson 1 event; 5s silent", "5s", ";", "reset 1 events,cut", "1e-9s 429 1e-300%",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := sim.ParseSchedule(text)
		if err != nil {
			var e *sim.ScheduleError
			if !errors.As(err, &e) || e.Column < 1 || e.Column > len(text)+1 || e.Reason == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := sim.ParseSchedule(s.String())
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%q is %q, which is %q (%v)", text, s, again, err)
		}
	})
}
