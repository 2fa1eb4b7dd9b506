package sim_test

import (
	"errors"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/sim"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

const weatherTool = `"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object",` +
	`"properties":{"city":{"type":"string"}},"required":["city"]}}}]`

// A Provider must leave the same records, and tell its caller the same, as package upstream with a Server behind it.
func TestProviderLikeUpstream(t *testing.T) {
	created := regexp.MustCompile(`"created":\d+`)
	normal := func(events []string, stripped bool) []string {
		list := make([]string, len(events))
		for i, e := range events {
			list[i] = created.ReplaceAllString(e, `"created":0`)
			if stripped { // upstream has asked for usage, so each event has that member
				list[i] = strings.Replace(list[i], `,"usage":null`, "", 1)
			}
		}
		return list
	}
	f := func(model, more string) {
		t.Run(model+" "+more, func(t *testing.T) {
			request := ask(model, "What is the weather in Paris?", more)
			here := simulate(t, sim.Options{}, request)
			there := send(exchange(t, request), gate(t, serve(t, &sim.Server{}), 10*time.Second).WithKey(""), -1)
			alike(t, here, there)
			stripped := !strings.Contains(more, "include_usage")
			if a, b := normal(here.events, false), normal(there.events, stripped); !reflect.DeepEqual(a, b) {
				t.Errorf("events here\n%s\nthere\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
			}
		})
	}
	for _, m := range sim.Models() {
		if strings.Contains(m.ID, "stall") || m.ID == "sim-slow" {
			continue // they have tests of their own
		}
		f(m.ID, "")
		f(m.ID, streaming)
		f(m.ID, streaming+`,"stream_options":{"include_usage":true}`)
	}
	f("gpt-4.1", streaming+`,"n":3`)
	f("gpt-4.1", streaming+`,"n":2,`+weatherTool)
	f("gpt-4.1", `"n":2,`+weatherTool)
	f("sim-cut-3", streaming+`,"n":3`)
	f("sim-nodone", streaming+`,"n":3`)
	f("sim-nodone", streaming+`,"n":70`)
	f("sim-nofinish", streaming+`,"n":3`)
	f("sim-error-0", streaming)
	f("sim-badjson-0", streaming)
	f("sim-badjson-5", streaming)
	f("sim-slow-20", "")
	f("sim-slow-20-503", streaming)
	f("sim-unheard-of", "")
	f("sim-fast-long-40-cut-20", streaming)
	f("sim-cut-100000", streaming)
	f("sim-chat", `"temperature":"hot"`)
}

// alike compares what a caller gets but for its events, and the records.
func alike(t *testing.T, here, there result) {
	t.Helper()
	var e, f *gateway.Error
	switch {
	case (here.reply == nil) != (there.reply == nil):
		t.Fatalf("a reply here %v (%v), there %v (%v)", here.reply, here.err, there.reply, there.err)
	case here.reply != nil && (here.reply.Status != there.reply.Status || here.reply.ContentType != there.reply.ContentType ||
		here.reply.Kind != there.reply.Kind || !reflect.DeepEqual(append([]gateway.Field{}, here.reply.Header...), append([]gateway.Field{}, there.reply.Header...))):
		t.Errorf("the reply here %+v, there %+v", here.reply, there.reply)
	case errors.As(here.err, &e) != errors.As(there.err, &f) || errors.Is(here.err, io.EOF) != errors.Is(there.err, io.EOF):
		t.Errorf("the error here %v, there %v", here.err, there.err)
	case e != nil && (e.Status != f.Status || e.Type != f.Type || e.Code != f.Code || e.Message != f.Message ||
		e.Origin != f.Origin || e.Sent != f.Sent):
		t.Errorf("the error here %+v, there %+v", e, f)
	}
	a, b := here.attempt, there.attempt
	if a.Status != b.Status || a.RequestID != b.RequestID || a.Usage != b.Usage || a.Said != b.Said || (a.Err == nil) != (b.Err == nil) ||
		(a.First == 0) != (b.First == 0) || (a.Total == 0) != (b.Total == 0) {
		t.Errorf("the record here %+v, there %+v", a, b)
	}
	if here.usage != there.usage {
		t.Errorf("usage here %+v, there %+v", here.usage, there.usage)
	}
}

// elapsed is when each event came, measured from the call of Send.
func elapsed(t *testing.T, o sim.Options, request string) (times []time.Duration) {
	t.Helper()
	x, via := exchange(t, request), sim.New("p", o)
	start := time.Now()
	target := &gateway.Target{Via: via}
	r, err := via.Send(x, target, x.Attempting(target))
	if err != nil {
		t.Fatal(err)
	}
	times = append(times, time.Since(start))
	for {
		ev, err := r.Stream.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		if len(ev.Data) == 0 {
			t.Fatal("an empty event")
		}
		times = append(times, time.Since(start))
	}
	if err := r.Stream.Close(); err != nil {
		t.Fatal(err)
	}
	return times
}

func TestTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := sim.Options{FirstToken: 200 * time.Millisecond, TokensPerSecond: 10}
		// Send, role, five tokens (the first without a pause after the role), finish, [DONE].
		ms := []int{200, 200, 200, 300, 400, 500, 600, 600, 600}
		times := elapsed(t, o, ask("sim-long-5", "go on", streaming))
		for i, want := range ms {
			if got := times[i]; got != time.Duration(want)*time.Millisecond {
				t.Errorf("%d came after %v, not %d ms", i, got, want)
			}
		}
		if len(times) != len(ms) {
			t.Errorf("%d events, not %d", len(times), len(ms))
		}

		f := func(o sim.Options, request string, want time.Duration) {
			t.Helper()
			if times := elapsed(t, o, request); times[len(times)-1] != want {
				t.Errorf("%s took %v, not %v", request, times[len(times)-1], want)
			}
		}
		f(o, ask("sim-long-5", "go on", ""), 600*time.Millisecond) // as long as the stream
		f(o, ask("sim-long-5", "go on", `"n":3,`+streaming), 600*time.Millisecond)
		f(o, ask("sim-fast-long-5", "go on", streaming), 0)
		f(o, ask("sim-503", "go on", streaming), 0)
		f(o, ask("sim-slow-1500-503", "go on", ""), 1500*time.Millisecond)
		f(o, ask("sim-slow-long-5", "go on", streaming), 5400*time.Millisecond)
		f(sim.Options{}, ask("sim-long-5000", "go on", streaming), 0)
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := sim.Options{FirstToken: time.Second, TokensPerSecond: 10, Jitter: 0.5}
		request := ask("sim-long-50", "go on", streaming)
		times := elapsed(t, o, request)
		if first := times[0]; first < 500*time.Millisecond || first > 1500*time.Millisecond || first == time.Second {
			t.Errorf("the first token came after %v", first)
		}
		different := map[time.Duration]bool{}
		for i := 3; i < 52; i++ {
			gap := times[i] - times[i-1]
			if gap < 50*time.Millisecond || gap > 150*time.Millisecond {
				t.Errorf("token %d came after %v", i, gap)
			}
			different[gap] = true
		}
		if len(different) < 40 {
			t.Errorf("only %d different gaps", len(different))
		}
		if again := elapsed(t, o, request); !reflect.DeepEqual(times, again) {
			t.Error("the timing does not repeat")
		}
		o.Seed = 1
		if other := elapsed(t, o, request); reflect.DeepEqual(times, other) {
			t.Error("another seed has the same timing")
		}
	})
}

func TestBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := exchange(t, ask("sim-stall-2", "hi", streaming))
		via := sim.New("p", sim.Options{FirstToken: time.Minute, Beat: 15 * time.Second})
		target := &gateway.Target{Via: via}
		r, err := via.Send(x, target, x.Attempting(target)) // no beat: nothing can be told to the caller yet
		if err != nil {
			t.Fatal(err)
		}
		var beats []time.Duration
		start, enough := time.Now(), errors.New("enough")
		x.Idle = func() error {
			if beats = append(beats, time.Since(start)); len(beats) == 3 {
				return enough
			}
			return nil
		}
		for range 2 {
			if _, err := r.Stream.Next(); err != nil {
				t.Fatal(err)
			}
		}
		if r.Stream.Ready() {
			t.Error("a stalled stream is ready")
		}
		if _, err := r.Stream.Next(); !errors.Is(err, enough) {
			t.Errorf("got %v, not what Idle returned", err)
		}
		want := []time.Duration{15 * time.Second, 30 * time.Second, 45 * time.Second}
		if !reflect.DeepEqual(beats, want) {
			t.Errorf("beats after %v, not %v", beats, want)
		}
		if err := r.Stream.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := exchange(t, ask("sim-long-4", "hi", streaming))
		via := sim.New("p", sim.Options{TokensPerSecond: 10})
		target := &gateway.Target{Via: via}
		r, err := via.Send(x, target, x.Attempting(target))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Stream.Close()
		want := []bool{true, true, false, false, false, true, true, true} // role, 4 tokens, finish, [DONE], end
		for i, ready := range want {
			if got := r.Stream.Ready(); got != ready {
				t.Errorf("before event %d: ready is %v", i, got)
			}
			start := time.Now()
			ev, err := r.Stream.Next()
			if waited := time.Since(start) > 0; waited == ready {
				t.Errorf("event %d: waited is %v though ready was %v", i, waited, ready)
			}
			if last := i == len(want)-1; errors.Is(err, io.EOF) != last {
				t.Errorf("event %d: %q, %v", i, ev.Data, err)
			}
			before := string(ev.Data)
			if r.Stream.Ready(); string(ev.Data) != before {
				t.Error("Ready has changed the last event")
			}
		}
	})
}

func TestCancel(t *testing.T) {
	f := func(model, more string, events int, want chat.Usage, status int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			x := exchange(t, ask(model, "hi", more))
			go func() {
				<-time.After(time.Minute)
				x.Cancel(gateway.ErrGone)
			}()
			start := time.Now()
			r := send(x, sim.New("p", sim.Options{FirstToken: time.Second, TokensPerSecond: 0.01}), -1)
			if !errors.Is(r.err, gateway.ErrGone) || time.Since(start) != time.Minute {
				t.Errorf("%s %s: %v after %v", model, more, r.err, time.Since(start))
			}
			if len(r.events) != events || r.usage != want || r.attempt.Status != status {
				t.Errorf("%s %s: %d events, usage %+v, status %d", model, more, len(r.events), r.usage, r.attempt.Status)
			}
			if r.reply != nil && (r.attempt.Err == nil || r.attempt.Total != time.Minute) {
				t.Errorf("%s %s: the record is %+v", model, more, r.attempt)
			}
			if r := send(x, sim.New("p", sim.Options{}), -1); r.reply != nil || !errors.Is(r.err, gateway.ErrGone) {
				t.Errorf("an exchange that was cancelled got %+v", r)
			}
		})
	}
	aborted := chat.Usage{Provenance: chat.Aborted}
	f("sim-chat", streaming, 2, aborted, 200)
	f("sim-stall", streaming, 0, chat.Usage{}, 0)
	f("sim-stall", "", 0, chat.Usage{}, 0)
	f("sim-stall-1", streaming, 1, aborted, 200)
	f("sim-slow-100000", streaming, 0, chat.Usage{}, 0)
	f("sim-slow-100000", "", 0, chat.Usage{}, 0)
}

func TestDeadline(t *testing.T) {
	x := exchange(t, ask("sim-stall", "hi", streaming))
	x.SetDeadline(gateway.Now().Add(20 * time.Millisecond))
	if r := send(x, sim.New("p", sim.Options{}), -1); !errors.Is(r.err, gateway.ErrDeadline) {
		t.Errorf("got %v", r.err)
	}
}

// A stream that is closed early has no usage, but says so; a complete one has it whether or not the caller asked.
func TestUsage(t *testing.T) {
	request := ask("sim-long-30", "hi", streaming)
	if r := send(exchange(t, request), sim.New("p", sim.Options{}), 5); r.usage != (chat.Usage{Provenance: chat.Aborted}) || r.attempt.Usage != r.usage {
		t.Errorf("closed early: %+v", r.usage)
	}
	want := chat.Usage{Input: 7, Output: 30, Provenance: chat.Reported}
	f := func(more string, usageEvents int) {
		t.Helper()
		r := simulate(t, sim.Options{}, ask("sim-long-30", "hi", more))
		if r.usage != want || r.attempt.Usage != want {
			t.Errorf("%s: %+v", more, r.usage)
		}
		if n := strings.Count(strings.Join(r.events, ""), `"usage":{`); n != usageEvents {
			t.Errorf("%s: %d events with usage", more, n)
		}
	}
	f("", 1)
	f(streaming, 0)
	f(streaming+`,"stream_options":{"include_usage":true}`, 1)

	messages := &gateway.Endpoint{Name: "messages", Forward: "/messages", Dialect: "anthropic"}
	claude := ask("sim-long-30", "hi", streaming+`,"max_tokens":100`)
	if r := send(exchangeAt(t, messages, claude), sim.New("p", sim.Options{}), 5); r.usage.Provenance != chat.Aborted || r.usage.Input == 0 {
		t.Errorf("closed early, after its first event has told some: %+v", r.usage)
	}
	if r := send(exchangeAt(t, messages, claude), sim.New("p", sim.Options{}), -1); r.usage != want {
		t.Errorf("a message: %+v", r.usage)
	}
	x, target := exchange(t, ask("sim-long-30", "hi", "")), &gateway.Target{Provider: "p"}
	a := x.Attempting(target)
	reply, err := sim.New("p", sim.Options{}).Send(x, target, a)
	if err != nil || a.Usage != want {
		t.Errorf("a whole reply has the usage %+v when it is there, %v", a.Usage, err)
	}
	_ = reply.Stream.Close()
}

func TestErrorRate(t *testing.T) {
	run := func(seed int64) (statuses []int) {
		p := sim.New("p", sim.Options{ErrorRate: 0.3, Seed: seed})
		for range 1000 {
			r := send(exchange(t, ask("sim-chat", "the same each time", "")), p, -1)
			statuses = append(statuses, r.reply.Status)
		}
		return statuses
	}
	counts := map[int]int{}
	statuses := run(1)
	for _, s := range statuses {
		counts[s]++
	}
	if ok := counts[200]; ok < 640 || ok > 760 || counts[429] < 50 || counts[500] < 50 || counts[503] < 50 {
		t.Errorf("%v", counts)
	}
	if !reflect.DeepEqual(statuses, run(1)) || reflect.DeepEqual(statuses, run(2)) {
		t.Error("failures must follow from the seed")
	}
	if r := simulate(t, sim.Options{ErrorRate: 1}, ask("sim-html", "hi", "")); r.reply.Status != 502 {
		t.Errorf("a fault that was asked for became %d", r.reply.Status)
	}
}

// The target's name for the model counts, not the caller's.
func TestTargetModel(t *testing.T) {
	x := exchange(t, ask("demo", "hi", ""))
	via := sim.New("p", sim.Options{})
	target := &gateway.Target{Via: via, Model: "sim-418"}
	r, err := via.Send(x, target, x.Attempting(target))
	if err != nil || r.Status != 418 {
		t.Errorf("got %+v, %v", r, err)
	}
}
