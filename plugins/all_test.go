package plugins_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/meter"
	"github.com/sluice-ai/sluice/plugins"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// TestDefaultChain makes sure that the configuration's default names what there is, in that order.
func TestDefaultChain(t *testing.T) {
	var names []string
	for _, s := range plugins.All(lent(t)) {
		names = append(names, s.Name)
	}
	var c config.Config
	c.SetDefaults()
	if !slices.Equal(c.Chain, names) {
		t.Errorf("the default chain is %v, the plugins are %v", c.Chain, names)
	}
}

// lent is what plugins need of a process.
func lent(t *testing.T) plugins.Lent {
	o := ledger.Defaults()
	o.Segment, o.MaxSize, o.Map = 1<<20, 4<<20, false
	journal, _, err := ledger.Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	meters := meter.New(meter.Options{Pool: meter.NewLocal(), Node: "n"})
	t.Cleanup(func() {
		meters.Close(t.Context())
		if err := journal.Close(); err != nil {
			t.Error(err)
		}
	})
	return plugins.Lent{Meters: meters, Journal: journal}
}

// TestChain sends exchanges through all plugins with their defaults, and looks at what telemetry tells of them.
func TestChain(t *testing.T) {
	const secret = "sluice_3fKq0Zt8VbXn5LwR1mYc7HsD2pJg9e14qzIp"
	acme := &gateway.Tenant{ID: "acme", Allow: []gateway.Pattern{"demo"}}
	d := gateway.NewDirectory(gateway.Entries{
		Models: []*gateway.Model{
			{Name: "demo", OwnedBy: "sluice", Steps: [][]*gateway.Target{{{Provider: "sim", Model: "sim-chat"}}}},
			{Name: "other", Steps: [][]*gateway.Target{{{Provider: "sim"}}}},
		},
		Keys: map[gateway.Digest]*gateway.Key{key.Digest([]byte(secret)): {Name: "ci", Tenant: acme}},
	})
	host := gatewaytest.NewHost()
	defer host.Close()
	var chain []gateway.Plugin
	for _, s := range plugins.All(lent(t)) {
		p, err := s.Build(host, s.Defaults())
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, p)
	}
	h := gateway.Chain(gateway.HandlerFunc(func(x *gateway.Exchange) error {
		a := x.Attempting(x.Plan.Targets[0])
		a.Status = 200
		x.Reply = &gateway.Reply{Status: 200, Stream: gateway.Once([]byte("hi"))}
		x.Commit()
		return nil
	}), chain...)

	f := func(r gatewaytest.Request, status int, body, want string) {
		t.Helper()
		r.Directory = d
		a := gatewaytest.Serve(gatewaytest.New(t, r), h)
		if e := a.Error(); e != nil && e.Status != status || e == nil && (a.Reply.Status != status || a.Body() != body) {
			t.Errorf("%v, %q", a.Err, a.Body())
		}
		m := host.Logs.TakeAll()[0].ContextMap()
		got := fmt.Sprint(m["endpoint"], m["tenant"], m["key"], m["model"], m["provider"], m["target_model"], m["status"], m["error_code"])
		if got != want {
			t.Errorf("logged %s, want %s", got, want)
		}
	}
	with := gatewaytest.Fields("Authorization", "Bearer "+secret)
	f(gatewaytest.Request{Header: with}, 200, "hi", fmt.Sprint("chat.completions", "acme", "ci", "demo", "sim", "sim-chat", 200, nil))
	f(gatewaytest.Request{}, 401, "", fmt.Sprint("chat.completions", nil, nil, nil, nil, nil, 401, "invalid_api_key"))
	f(gatewaytest.Request{Header: with, Body: `{"model":"other"}`}, 403, "",
		fmt.Sprint("chat.completions", "acme", "ci", "other", nil, nil, 403, "model_not_allowed"))
	f(gatewaytest.Request{Header: with, Body: `{"model":"dem"}`}, 404, "",
		fmt.Sprint("chat.completions", "acme", "ci", "dem", nil, nil, 404, "model_not_found"))
	f(gatewaytest.Request{Header: with, Endpoint: gatewaytest.ModelsList()}, 200,
		fmt.Sprintf(`{"object":"list","data":[{"id":"demo","object":"model","created":%d,"owned_by":"sluice"}]}`, d.Created()),
		fmt.Sprint("models.list", "acme", "ci", nil, nil, nil, 200, nil))
}
