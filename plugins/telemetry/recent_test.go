package telemetry_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

// remembered is what the console reads of an exchange.
type remembered struct {
	ID, Tenant, Model string
	Time              time.Time
	Status            int
	Code              string `json:"error_code"`
	Steps             []struct {
		Name string
		At   float64 `json:"at_ms"`
	}
	Tries []struct {
		Provider string
		At       float64 `json:"at_ms"`
		First    float64 `json:"first_ms"`
		Total    float64 `json:"total_ms"`
	}
}

func read(t *testing.T, list []gateway.Ended) (all []remembered) {
	t.Helper()
	for _, e := range list {
		var r remembered
		if err := json.Unmarshal(e.Line, &r); err != nil {
			t.Fatalf("%v: %s", err, e.Line)
		}
		all = append(all, r)
	}
	return all
}

// TestRecent has exchanges that nobody looks at, of which a few are remembered, and some that somebody does.
func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
		m := p.(gateway.Recent)
		h := p.Wrap(opening(gateway.Stepping("forward", gateway.HandlerFunc(func(x *gateway.Exchange) error {
			return (&gatewaytest.Script{Attempts: []gateway.Attempt{ok("a")}, Events: events(1)}).Serve(x)
		}))))
		serve := func(body string) {
			gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{Directory: directory(), Caller: acme(), Body: body}), h)
		}
		for range 10 {
			serve(body("gpt-4.1", false))
		}
		serve(`{"model":1}`)
		list, news := m.Recent(0)
		if len(list) != 2 || list[0].Seq != 1 || list[1].Seq != 2 || list[0].Tenant != "acme" {
			t.Fatalf("of ten that came at once and a failure these are remembered: %d", len(list))
		}
		one, failure := read(t, list)[0], read(t, list)[1]
		if one.ID != "req_test" || one.Tenant != "acme" || one.Model != "gpt-4.1" || one.Status != 200 || one.Time.IsZero() ||
			len(one.Steps) != 1 || one.Steps[0].Name != "forward" || len(one.Tries) != 1 || one.Tries[0].Provider != "a" || one.Tries[0].First != 20 {
			t.Errorf("remembered: %s", list[0].Line)
		}
		if failure.Status != 400 || failure.Code == "" || failure.Tries != nil {
			t.Errorf("remembered: %s", list[1].Line)
		}
		select {
		case <-news:
			t.Error("there is news before anything came")
		default:
		}
		for range 10 {
			serve(body("gpt-4.1", false))
		}
		<-news
		if list, _ = m.Recent(2); len(list) != 10 || list[9].Seq != 12 {
			t.Errorf("%d of ten are remembered while somebody looks on", len(list))
		}
		for range 2000 {
			serve(body("gpt-4.1", false))
		}
		if list, _ = m.Recent(0); len(list) != 1000 || list[0].Seq != 1013 || list[999].Seq != 2012 {
			t.Errorf("%d are remembered of two thousand", len(list))
		}
		if list, _ = m.Recent(1 << 40); len(list) != 1000 {
			t.Errorf("with a number of another process: %d", len(list))
		}
		<-time.After(time.Hour)
		before := fmt.Sprint(list[999].Seq)
		for range 10 {
			serve(body("gpt-4.1", false))
		}
		if list, _ = m.Recent(2012); len(list) != 1 {
			t.Errorf("%d of ten after %s are remembered when nobody looks on any more", len(list), before)
		}
	})
}
