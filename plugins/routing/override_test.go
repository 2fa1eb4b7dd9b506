package routing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
)

const everything = gateway.OverrideProvider | gateway.OverrideStrategy | gateway.OverrideHedge | gateway.OverrideTimeout |
	gateway.OverrideRetries | gateway.OverrideFallback

// chosen is a directory for overrides: "m" has three targets and a fallback, "h" a hedge of its own.
func chosen() *gateway.Directory {
	other := &gateway.Model{Name: "other", Steps: ordered("c/o", "a/o")}
	m := &gateway.Model{Name: "m", Steps: ordered("a/1", "b/2", "a/3"), Fallback: []*gateway.Model{other}}
	for i, step := range m.Steps {
		step[0].Known = price(int64(3-i), 1, 0)
	}
	h := &gateway.Model{Name: "h", Steps: ordered("a/h", "b/h"), Hedge: &gateway.Hedge{After: time.Second, Budget: 0.5}}
	return gateway.NewDirectory(gateway.Entries{
		Models:   []*gateway.Model{m, other, h},
		Accounts: []*gateway.Account{{Name: "a", Targets: []*gateway.Target{target("a/", 1)}}, {Name: "b", Targets: []*gateway.Target{target("b/", 1)}}},
	})
}

func TestOverrides(t *testing.T) {
	d := chosen()
	f := func(may gateway.Overrides, model, headers, want string) *gateway.Exchange {
		t.Helper()
		x := planned(t, gatewaytest.Request{
			Directory: d, Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: "acme", Overrides: may}}, Body: body(model),
			Header: gatewaytest.Fields(strings.Fields(headers)...),
		})
		if got := names(x); got != want {
			t.Errorf("%s: %s, want %s", headers, got, want)
		}
		return x
	}
	const all = "a/1 b/2 a/3 c/o a/o"
	x := f(everything, "m", "", all)
	if x.Plan.Retries != nil || x.Plan.Hedge != nil || x.Deadline() != 0 {
		t.Errorf("without a header: %+v, %v", x.Plan, x.Deadline())
	}
	f(everything, "m", "x-sluice-provider b", "b/2")
	f(everything, "m", "x-sluice-provider a", "a/1 a/3 a/o")
	f(everything, "m", "x-sluice-provider c", "c/o")
	f(everything, "m", "x-sluice-strategy least_cost x-sluice-fallback off", "a/3 b/2 a/1")
	f(everything, "m", "x-sluice-strategy ordered", all)
	f(everything, "m", "x-sluice-fallback off", "a/1 b/2 a/3")
	f(everything, "m", "x-sluice-provider a x-sluice-fallback off x-sluice-strategy least_cost", "a/3 a/1")
	f(everything, "other", "x-sluice-fallback off", "c/o a/o")

	for text, want := range map[string]int{"0": 0, "1": 1, "10": 10} {
		x := f(everything, "m", "x-sluice-retries "+text, all)
		if x.Plan.Retries == nil || *x.Plan.Retries != want {
			t.Errorf("%s: %v", text, x.Plan.Retries)
		}
	}
	for text, want := range map[string]time.Duration{"30": 30 * time.Second, "0.5": time.Second / 2, "2m": 2 * time.Minute, "250ms": time.Second / 4} {
		if x := f(everything, "m", "x-sluice-timeout "+text, all); x.Deadline().Sub(x.Start) != want {
			t.Errorf("%s: %v", text, x.Deadline().Sub(x.Start))
		}
	}
	hedge := func(model, header string, want *gateway.Hedge) {
		t.Helper()
		plan := map[string]string{"m": all, "h": "a/h b/h"}
		got := f(everything, model, header, plan[model]).Plan.Hedge
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s of %q: %+v, want %+v", model, header, got, want)
		}
	}
	hedge("m", "x-sluice-hedge on", &gateway.Hedge{Budget: 0.06})
	hedge("m", "x-sluice-hedge off", nil)
	hedge("h", "", &gateway.Hedge{After: time.Second, Budget: 0.5})
	hedge("h", "x-sluice-hedge on", &gateway.Hedge{After: time.Second, Budget: 0.5})
	hedge("h", "x-sluice-hedge off", nil)

	// Without permission for any of them nobody looks.
	x = f(0, "m", "x-sluice-provider b x-sluice-strategy nonsense x-sluice-timeout -1 x-sluice-retries x x-sluice-hedge on", all)
	if x.Plan.Retries != nil || x.Plan.Hedge != nil || x.Deadline() != 0 {
		t.Errorf("without permission: %+v", x.Plan)
	}
}

// TestTimeoutIsNoExtension makes sure that a request cannot have more time than others gave it.
func TestTimeoutIsNoExtension(t *testing.T) {
	d := chosen()
	x := gatewaytest.New(t, gatewaytest.Request{
		Directory: d, Caller: gateway.Caller{Tenant: &gateway.Tenant{Overrides: everything}}, Body: body("m"), Header: gatewaytest.Fields("x-sluice-timeout", "1h"),
	})
	until := x.Start.Add(time.Second)
	x.SetDeadline(until)
	p, _ := gatewaytest.Build(t, spec(), nil)
	if a := gatewaytest.Serve(x, p.Wrap(&gatewaytest.Script{})); a.Err != nil || x.Deadline() != until {
		t.Errorf("%v, %v", a.Err, x.Deadline())
	}
}

func TestBadOverrides(t *testing.T) {
	d := chosen()
	f := func(may gateway.Overrides, header, value string, status int, code, message string) {
		t.Helper()
		for _, dialect := range []string{"chat.completions", "messages"} { // each error is written in its caller's
			_, e := ask(t, gatewaytest.Request{
				Endpoint: gatewaytest.Endpoint(dialect, ""), Directory: d, Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: "acme", Overrides: may}},
				Body: body("m"), Header: gatewaytest.Fields(header, value),
			})
			if e == nil || e.Status != status || e.Code != code || e.Param != header || e.Message != message || e.Origin != gateway.OriginClient {
				t.Errorf("%s: %s: %+v", header, value, e)
			}
		}
	}
	wrong := func(header, value, instead string) {
		t.Helper()
		f(everything, header, value, 400, "invalid_value", "The header "+header+" is \""+value+"\". Write "+instead+".")
	}
	wrong("x-sluice-strategy", "round_robin", "ordered, weighted, least_latency or least_cost")
	wrong("x-sluice-strategy", "", "ordered, weighted, least_latency or least_cost")
	wrong("x-sluice-hedge", "yes", "on or off")
	wrong("x-sluice-fallback", "on", "off")
	for _, retries := range []string{"11", "-1", "x", "1.5", "999", ""} {
		wrong("x-sluice-retries", retries, "a whole number from 0 to 10")
	}
	for _, timeout := range []string{"0", "-1", "-1s", "x", "", ".", "25h", "99999999999", "1e3", "NaN", "0s"} {
		wrong("x-sluice-timeout", timeout, "a time of up to 24h, in seconds (30) or with a unit (500ms)")
	}
	f(everything, "x-sluice-provider", "d", 400, "unknown_provider",
		`The header x-sluice-provider names "d", to which the model "m" does not lead. It leads to "a", "b" and "c".`)
	for name, value := range map[string]string{"provider": "a", "strategy": "ordered", "hedge": "off", "timeout": "1s", "retries": "0", "fallback": "off"} {
		may, _ := gateway.ParseOverride(name)
		header := "x-sluice-" + name
		f(everything&^may, header, value, 403, "override_not_allowed",
			"You may not send the header "+header+". The gateway's operator can add \""+name+"\" under overrides of your tenant.")
	}
}

// TestAccountOverrides makes sure that for what no model leads to every tenant may name the provider, and that nothing is
// hedged.
func TestAccountOverrides(t *testing.T) {
	d := chosen()
	f := func(may gateway.Overrides, headers, want string) *gateway.Exchange {
		t.Helper()
		x := planned(t, gatewaytest.Request{
			Endpoint: gatewaytest.Endpoint("batches.create", ""), Directory: d, Body: `{"input_file_id":"file-1"}`,
			Caller: gateway.Caller{Tenant: &gateway.Tenant{ID: "acme", Overrides: may}}, Header: gatewaytest.Fields(strings.Fields(headers)...),
		})
		if names(x) != want {
			t.Errorf("%s: %s", headers, names(x))
		}
		return x
	}
	f(0, "x-sluice-provider b", "b/")
	f(gateway.OverrideHedge, "x-sluice-provider b", "b/")
	x := f(everything, "x-sluice-provider b x-sluice-hedge on x-sluice-retries 0 x-sluice-timeout 1", "b/")
	if x.Plan.Hedge != nil || x.Plan.Retries == nil || *x.Plan.Retries != 0 || x.Deadline() == 0 {
		t.Errorf("%+v", x.Plan)
	}
}
