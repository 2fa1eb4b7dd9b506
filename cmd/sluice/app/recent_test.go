package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/sim"
)

// The admin API shows what has just happened, with every attempt and when its turn came at which plugin; and it knows all members
// of what telemetry writes.
func TestRecentExchanges(t *testing.T) {
	_, good := simulate(t, sim.Options{Seed: 1})
	s := start(t, gatewayFile("ordered", "127.0.0.1:1", good))
	defer s.stop()
	c := client(t)
	if a := s.ask(c, question(true, "How are you?")); !a.good(true) {
		t.Fatalf("%+v", a)
	}
	if a := s.askAs(c, "sk-nobody", question(false, "How are you?")); a.status != http.StatusUnauthorized {
		t.Fatalf("%+v", a)
	}
	var latest admin.Latest
	until(t, "both are remembered", func() bool {
		a := get(t, c, "http://"+s.AdminAddress().String()+"/admin/v1/exchanges", "")
		d := json.NewDecoder(strings.NewReader(a.body))
		d.DisallowUnknownFields()
		if err := d.Decode(&latest); err != nil {
			t.Fatalf("%v: %s", err, a.body)
		}
		return len(latest.Exchanges) == 2
	})
	e, refused := latest.Exchanges[0], latest.Exchanges[1]
	if e.Status != 200 || !e.Stream || len(e.Tries) != 2 || e.Tries[0].Outcome != "unreachable" || e.Tries[1].Outcome != "ok" ||
		e.Tries[1].At < e.Tries[0].At || e.Tries[1].First <= 0 || e.First < e.Tries[1].At || e.Output == 0 {
		t.Errorf("%+v", e)
	}
	var steps []string
	for i, step := range e.Steps {
		if steps = append(steps, step.Name); i > 0 && step.At < e.Steps[i-1].At {
			t.Errorf("%+v", e.Steps)
		}
	}
	if got, want := strings.Join(steps, " "), strings.Join(s.Config().Chain, " ")+" forward"; "telemetry "+got != want {
		t.Errorf("steps %q, want %q", got, want)
	}
	if refused.Status != 401 || refused.ErrorCode == "" || refused.Tenant != "" || refused.Tries != nil {
		t.Errorf("%+v", refused)
	}
}
