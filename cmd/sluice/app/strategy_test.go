package app

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/sim"
)

// choiceFile is a configuration with two providers, and a model for each way to choose between them: the first is slow and
// dear.
func choiceFile(slow, quick string) string {
	return fmt.Sprintf(`version: 1
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_timeout: 20s}
providers:
  - {name: slow, type: openai-compatible, base_url: "http://%s/v1", keys: [{name: main, key: provider-secret}]}
  - {name: quick, type: openai-compatible, base_url: "http://%s/v1", keys: [{name: main, key: provider-secret}, {name: spare, key: another-secret}]}
catalog:
  - {provider: slow, model: sim-chat, prices: [{input: 3, output: 9}]}
  - {provider: quick, model: sim-chat, prices: [{input: 1, output: 2}]}
models:
  - {name: ordered, targets: [{provider: slow, model: sim-chat}, {provider: quick, model: sim-chat}]}
  - {name: weighted, strategy: weighted, targets: [{provider: slow, model: sim-chat}, {provider: quick, model: sim-chat, weight: 0}]}
  - {name: least_cost, strategy: least_cost, targets: [{provider: slow, model: sim-chat}, {provider: quick, model: sim-chat}]}
  - {name: least_latency, strategy: least_latency, targets: [{provider: slow, model: sim-chat}, {provider: quick, model: sim-chat}]}
  - {name: bound, strategy: weighted, affinity: [user], targets: [{provider: slow, model: sim-chat}, {provider: quick, model: sim-chat}]}
`, slow, quick)
}

// Each way to choose does from a file what it is for.
func TestStrategiesOfAFile(t *testing.T) {
	_, slow := simulate(t, sim.Options{FirstToken: 60 * time.Millisecond, TokensPerSecond: 1e6, Seed: 1})
	_, quick := simulate(t, fast())
	s := start(t, choiceFile(slow, quick))
	defer s.stop()
	c := client(t)
	from := func(body string) string {
		t.Helper()
		a := s.ask(c, body)
		if !a.good(false) {
			t.Fatalf("%+v", a)
		}
		return a.header.Get("X-Sluice-Provider")
	}
	f := func(model, want string, n, most int) {
		t.Helper()
		others := 0
		for range n {
			if from(unary(model)) != want {
				others++
			}
		}
		if others > most {
			t.Errorf("%s: %d of %d requests go elsewhere than to %s", model, others, n, want)
		}
	}
	f("ordered", "slow", 5, 0)
	f("weighted", "slow", 5, 0)
	f("least_cost", "quick", 20, 0)
	f("least_latency", "quick", 100, 5)
	places := map[string]int{}
	for i := range 20 {
		body := strings.Replace(unary("bound"), "{", fmt.Sprintf(`{"user":"u%d",`, i), 1)
		first := from(body)
		places[first]++
		for range 4 {
			if got := from(body); got != first {
				t.Errorf("session %d moves from %s to %s", i, first, got)
			}
		}
	}
	if len(places) != 2 {
		t.Errorf("20 sessions are at %v", places)
	}
}

// A provider is drained under load: no caller notices, it gets nothing more, and comes back when it is enabled.
func TestDrainOfAProviderUnderLoad(t *testing.T) {
	one, other := spoil(t, "ok", fast()), spoil(t, "ok", fast())
	s := start(t, outageFile("weighted", group{"m", []string{one.address(), other.address()}, nil}))
	defer s.stop()
	c := client(t)
	order := func(word string) {
		t.Helper()
		reply, err := c.Post("http://"+s.AdminAddress().String()+"/admin/v1/targets/"+word+"?provider=m-0", "application/json", strings.NewReader(`{"reason":"test"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		if reply.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", word, reply.StatusCode)
		}
	}
	stop, done := make(chan struct{}), make(chan int, 1)
	var answered atomic.Int64
	go func() {
		done <- s.load(c, "m", 200, stop, func(stream bool, a answer) {
			if !a.good(stream) {
				t.Errorf("%+v", a)
			}
			answered.Add(1)
		})
	}()
	more := func(what string, n int64) {
		t.Helper()
		before := answered.Load()
		until(t, what, func() bool { return answered.Load() >= before+n })
	}
	more("there is load", 100)
	order("drain")
	more("what was on its way has ended", 20)
	before := len(one.Requests())
	more("it is left alone", 100)
	if n := len(one.Requests()) - before; n != 0 || before == 0 {
		t.Errorf("%d requests came after it was drained, and %d before", n, before)
	}
	order("enable")
	until(t, "it is used again", func() bool { return len(one.Requests()) > before })
	close(stop)
	if n := <-done; n != int(answered.Load()) {
		t.Errorf("%d of %d requests were answered", answered.Load(), n)
	}
}
