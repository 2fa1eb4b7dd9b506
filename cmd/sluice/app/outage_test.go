package app

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/sim"
)

// upstream is a simulated provider behind a fault listener, whose log is the oracle of these tests.
type upstream struct {
	*sim.FaultListener
	t *testing.T
}

// spoil starts a provider on which goes wrong what the schedule says.
func spoil(t *testing.T, schedule string, o sim.Options) *upstream {
	t.Helper()
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{sim.NewFaultListener(n, sim.Schedule{}, 1), t}
	u.set(schedule)
	u.Record = true
	s := &sim.Server{Options: o}
	done := make(chan error, 1)
	go func() { done <- s.Serve(u) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return u
}

// set lets a schedule begin.
func (u *upstream) set(schedule string) {
	u.t.Helper()
	s, err := sim.ParseSchedule(schedule)
	if err != nil {
		u.t.Fatal(err)
	}
	u.Set(s)
}

func (u *upstream) address() string { return u.Addr().String() }

// impatient are timeouts of a provider that tests can wait for.
const impatient = "timeouts: {connect: 3s, headers: 800ms, first_event: 2s, idle: 800ms, answer: 1s, total: 4s}, max_event: 1MiB, max_response: 1MiB, "

// atOnce is how many cells of a matrix are tried at a time: on a busy machine more would not keep their times.
const atOnce = 12

// group is a model and those who answer for it.
type group struct {
	model string
	ill   []string // addresses of providers that are not waited for long
	well  []string // addresses of those that come after them, and may take their time
}

// outageFile is a configuration with impatient providers, and a model for each group, which asks them in order.
func outageFile(strategy string, groups ...group) string {
	var b strings.Builder
	b.WriteString("version: 1\nserver: {listen: \"127.0.0.1:0\", admin_listen: \"127.0.0.1:0\", drain_timeout: 20s}\nproviders:\n")
	for _, g := range groups {
		for i, a := range slices.Concat(g.ill, g.well) {
			settings := impatient
			if i >= len(g.ill) {
				settings = ""
			}
			fmt.Fprintf(&b, "  - {name: %s-%d, type: openai-compatible, base_url: \"http://%s/v1\", %skeys: [{name: main, key: provider-secret}]}\n", g.model, i, a, settings)
		}
	}
	b.WriteString("models:\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "  - name: %s\n    strategy: %s\n    targets: [", g.model, strategy)
		for i := range len(g.ill) + len(g.well) {
			fmt.Fprintf(&b, "{provider: %s-%d}, ", g.model, i)
		}
		b.WriteString("]\n")
	}
	return b.String()
}

// trouble is a fault of the matrix: what it is in a schedule, and what the caller of a stream, and of a whole answer, gets
// if nobody else can answer.
type trouble struct {
	fault         string
	stream, whole result
}

// result is what a caller gets of an answer.
type result struct {
	status int
	events int  // of a stream that breaks off; 0: none, so that somebody else may answer
	hidden bool // the fault cannot be seen in the upstream's log
}

// troubles are the faults of the matrix that a listener can make. Those of one answer on the wire are sim.Faults.
func troubles() []trouble {
	same := func(fault string, r result) trouble { return trouble{fault, r, r} }
	return []trouble{
		same("refuse", result{status: 502, hidden: true}),
		same("blackhole", result{status: 502, hidden: true}),
		same("silent", result{status: 504}),
		same("reset", result{status: 502}),
		same("cut", result{status: 502}),
		{"reset 3 events", result{status: 200, events: 3}, result{status: 502}},
		{"cut 3 events", result{status: 200, events: 3}, result{status: 502}},
		{"badjson 2 events", result{status: 200, events: 2}, result{status: 502}},
		same("cut 0 bytes", result{status: 502}),
		same("badjson", result{status: 502}),
		same("drip 50", result{status: 504}),
		same("heartbeats 20ms", result{status: 504}),
		same("latency 5s", result{status: 504}),
		same("500", result{status: 500}),
		same("503 retry 1s", result{status: 503}),
		same("529", result{status: 529}),
		same("429 retry 1s", result{status: 429}),
		same("429", result{status: 429}),
	}
}

// Whatever goes wrong at one of two targets, no caller notices before the first event; after it, and if it goes wrong at
// both, callers are told so. Nobody is asked twice.
func TestOutageMatrix(t *testing.T) {
	type cell struct {
		trouble
		group
		want   result
		stream bool
		ups    [2]*upstream
	}
	var cells []*cell
	var groups []group
	for _, tr := range troubles() {
		for _, stream := range []bool{false, true} {
			for _, second := range []string{"ok", tr.fault} {
				c := &cell{trouble: tr, stream: stream, want: tr.whole}
				if stream {
					c.want = tr.stream
				}
				c.ups = [2]*upstream{spoil(t, tr.fault, fast()), spoil(t, second, fast())}
				c.group = group{model: fmt.Sprintf("m%d", len(groups)), ill: []string{c.ups[0].address(), c.ups[1].address()}}
				if second == "ok" {
					c.ill, c.well = c.ill[:1], c.ill[1:]
					if c.want.events == 0 {
						c.want.status = http.StatusOK
					}
				}
				cells, groups = append(cells, c), append(groups, c.group)
			}
		}
	}
	s := start(t, outageFile("ordered", groups...)+"retries: {max: 0}\n")
	defer s.stop()
	c := client(t)
	var work sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for _, k := range cells {
		work.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			body := unary(k.model)
			if k.stream {
				body = streamed(k.model)
			}
			name := fmt.Sprintf("%s, stream %t, the second is well %t", k.fault, k.stream, k.want.status == 200)
			a := s.ask(c, body)
			wantSecond := 1
			switch {
			case k.want.events > 0:
				wantSecond = 0
				checkBroken(t, name, a, k.want.events)
			case k.want.status == http.StatusOK:
				if !a.good(k.stream) || a.header.Get("X-Sluice-Provider") != k.model+"-1" {
					t.Errorf("%s: %d %v %.300s; want a good answer of the second", name, a.status, a.err, a.body)
				}
			default:
				unreachable := k.want.hidden && (a.status == 502 || a.status == 504)
				if a.status != k.want.status && !unreachable || a.err != nil || !strings.Contains(a.body, `"error"`) {
					t.Errorf("%s: %d %v %.300s; want %d", name, a.status, a.err, a.body, k.want.status)
				}
			}
			for i, want := range [2]int{1, wantSecond} {
				if k.want.hidden && (i == 0 || k.want.status != http.StatusOK) {
					want = 0
				}
				if n := settled(want, func() int { return len(k.ups[i].Requests()) }); n != want {
					t.Errorf("%s: upstream %d got %d requests, want %d", name, i, n, want)
				}
			}
		})
	}
	work.Wait()
}

// settled is a count of requests, once it is as large as it should be: an upstream that was given up on may be late.
func settled(want int, count func() int) (n int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); ; <-tick.C {
		if n = count(); n >= want || time.Since(begin) > patience {
			return n
		}
	}
}

// checkBroken wants a stream that breaks off after some events, and says so.
func checkBroken(t *testing.T, name string, a answer, events int) {
	t.Helper()
	told := strings.Contains(a.body, `data: {"error":{`)
	if n := strings.Count(a.body, "data: ") - 1; a.status != 200 || a.err == nil || !told || strings.Contains(a.body, "[DONE]") || n != events {
		t.Errorf("%s: %d %v, %d events, …%.300s; want %d events, an error event and an aborted connection", name, a.status, a.err, n, a.body[max(0, len(a.body)-300):], events)
	}
}

// dialogue serves a fault of one answer on the wire, and counts the requests.
func dialogue(t *testing.T, f sim.Fault) (address string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	if f.Dialogue == "" {
		return spoil(t, "refuse", fast()).address(), asked // and nobody else gets the port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Raw(l, func(c net.Conn, _ []byte) {
		asked.Add(1)
		if sim.Play(c, f.Dialogue) != nil {
			_ = c.Close()
		}
	}))
	return l.Addr().String(), asked
}

// What an answer on the wire can have wrong with it is noticed at one of two targets, and at both: sim.Faults says what a
// caller sees. For who breaks off before the first event the other one stands in. Nobody is asked twice.
func TestProviderFaultsOfTwo(t *testing.T) {
	type cell struct {
		group
		fault sim.Fault
		asked [2]*atomic.Int64 // nil: it is well
	}
	well := spoil(t, "ok", fast())
	var cells []*cell
	var groups []group
	for i, f := range sim.Faults() {
		one, all := &cell{fault: f}, &cell{fault: f}
		first, n := dialogue(t, f)
		one.asked[0], one.group = n, group{fmt.Sprintf("one%d", i), []string{first}, []string{well.address()}}
		first, all.asked[0] = dialogue(t, f)
		second, n := dialogue(t, f)
		all.asked[1], all.group = n, group{fmt.Sprintf("all%d", i), []string{first, second}, nil}
		cells, groups = append(cells, one, all), append(groups, one.group, all.group)
	}
	s := start(t, outageFile("ordered", groups...)+"retries: {max: 0}\n")
	defer s.stop()
	c := client(t)
	var work sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for _, k := range cells {
		work.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			body := unary(k.model)
			if k.fault.Stream {
				body = streamed(k.model)
			}
			a := s.ask(c, body)
			failsOver := k.fault.Want.Code != "" || k.fault.Want.Status >= 300
			if k.asked[1] == nil && failsOver {
				if !a.good(k.fault.Stream) {
					t.Errorf("%s at one: %d %v %.300s; want a good answer of the other", k.fault.Name, a.status, a.err, a.body)
				}
			} else if !t.Run(k.fault.Name, func(t *testing.T) { checkFault(t, k.fault, a) }) {
				t.Logf("that was %s", k.model)
			}
			want := [2]int{1, 0}
			if k.fault.Dialogue == "" {
				want[0] = 0 // in vain, where nobody counts
			} else if failsOver {
				want[1] = 1
			}
			for i, asked := range k.asked {
				if asked == nil {
					continue
				}
				if n := settled(want[i], func() int { return int(asked.Load()) }); n != want[i] {
					t.Errorf("%s: target %d was asked %d times, want %d", k.fault.Name, i, n, want[i])
				}
			}
		})
	}
	work.Wait()
	stoodIn := map[string]int{}
	for _, a := range well.Requests() {
		stoodIn[a.Model]++
	}
	for _, k := range cells {
		want := 0
		if k.asked[1] == nil && (k.fault.Want.Code != "" || k.fault.Want.Status >= 300) {
			want = 1
		}
		if n := stoodIn[k.model]; n != want {
			t.Errorf("%s: the other was asked %d times, want %d", k.fault.Name, n, want)
		}
	}
}
