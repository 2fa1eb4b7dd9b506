package gatewaytest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestServe(t *testing.T) {
	s := &gatewaytest.Script{
		Attempts: []gateway.Attempt{{Provider: "a", Model: "m", Status: 503}, {Provider: "b", Model: "n", Status: 200}},
		Kind:     gateway.Events, Events: []gateway.Event{{Data: []byte("1")}, {Name: "x", Data: []byte("2")}},
		Usage: chat.Usage{Input: 7, Provenance: chat.Reported},
	}
	x := gatewaytest.New(t, gatewaytest.Request{})
	a := gatewaytest.Serve(x, s)
	if a.Err != nil || a.Error() != nil || a.Body() != "12" || a.Reply.Status != 200 || a.Events[1].Name != "x" {
		t.Errorf("answer: %+v", a)
	}
	if err := s.Check(); err != nil || s.Served() != 1 {
		t.Errorf("served %d times, %v", s.Served(), err)
	}
	if n := x.Attempts(); len(n) != 2 || n[0].Provider != "a" || n[1].Model != "n" || n[1].Start == 0 || x.Usage.Input != 7 {
		t.Errorf("attempts %v, usage %+v", n, x.Usage)
	}
	if !x.Ended() || x.Request.Body() != nil {
		t.Error("the exchange has not ended")
	}

	x = gatewaytest.New(t, gatewaytest.Request{})
	if a := gatewaytest.ServeSome(x, s, 1); !errors.Is(a.Err, gateway.ErrGone) || a.Body() != "1" || a.Error().Status != 499 {
		t.Errorf("a client that leaves: %+v", a)
	}
	x = gatewaytest.New(t, gatewaytest.Request{})
	nothing := gateway.HandlerFunc(func(*gateway.Exchange) error { return nil })
	if a := gatewaytest.Serve(x, nothing); a.Error() == nil || a.Error().Status != 500 || a.Reply != nil {
		t.Errorf("no reply: %+v", a)
	}
}

func TestRequest(t *testing.T) {
	x := gatewaytest.New(t, gatewaytest.Request{Header: gatewaytest.Fields("x-api-KEY", "k", "Authorization", "")})
	h := x.Request.Header
	if string(h.Get("X-Api-Key")) != "k" || h.Get("Authorization") == nil || h.Get("Api-Key") != nil {
		t.Error("headers")
	}
	if err := x.Request.Open(); err != nil || x.Request.Model() != "demo" || string(x.Request.Body()) != gatewaytest.DefaultBody {
		t.Errorf("%q of %q: %v", x.Request.Model(), x.Request.Body(), err)
	}
	kept := x.Request.Body()
	x.End(nil)
	if kept[0] != 0xff {
		t.Error("a body that was given back can still be read")
	}
	x = gatewaytest.New(t, gatewaytest.Request{Endpoint: gatewaytest.ModelsRetrieve(), Param: "a/b"})
	if err := x.Request.Open(); err != nil || x.Request.Body() != nil || x.Request.Param != "a/b" {
		t.Error("a GET has a body")
	}
	if e := gatewaytest.Endpoint("models.list", "anthropic"); e.Path != "/v1/models" || e.Dialect != "anthropic" {
		t.Errorf("%+v", e)
	}
	if e := gatewaytest.Endpoint("models.list", ""); e.Dialect != "openai" || gatewaytest.Endpoint("models", "") != nil {
		t.Errorf("%+v", e)
	}
	if e := gatewaytest.ModelsList(); e.Name != "models.list" || e.Forward != "" {
		t.Errorf("%+v", e)
	}
}

func TestHost(t *testing.T) {
	h := gatewaytest.NewHost()
	ended := false
	h.Go(func(ctx context.Context) { <-ctx.Done(); ended = true })
	h.Log().Info("hello")
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"b", "a"})
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"})
	s := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "s"})
	h.Metrics().MustRegister(c, g, s)
	c.WithLabelValues("x", "y").Add(2)
	g.Set(3)
	s.Observe(0.5)
	want := map[string]float64{`c_total{a="y",b="x"}`: 2, "g": 3, "s_count": 1, "s_sum": 0.5}
	got, err := h.Values()
	if err != nil || len(got) != len(want) {
		t.Errorf("%v, %v", got, err)
	}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s is %v, not %v", name, got[name], v)
		}
	}
	if h.Logs.FilterMessage("hello").Len() != 1 {
		t.Error("the log was not kept")
	}
	now := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	h.SetNow(now)
	if !h.Now().Equal(now) {
		t.Error("the clock cannot be set")
	}
	h.Close()
	if !ended {
		t.Error("Close did not wait for the background work")
	}
}

type closing struct{ closed *bool }

func (c closing) Wrap(next gateway.Handler) gateway.Handler { return next }
func (c closing) Close() error                              { *c.closed = true; return nil }

func TestBuild(t *testing.T) {
	type config struct{ N int }
	var closed bool
	var got int
	spec := gateway.Define("p", config{N: 1}, func(_ gateway.Host, c config) (gateway.Plugin, error) {
		got = c.N
		return closing{&closed}, nil
	})
	t.Run("", func(t *testing.T) {
		gatewaytest.Build(t, spec, nil)
		if got != 1 {
			t.Errorf("the default was %d", got)
		}
		gatewaytest.Build(t, spec, &config{N: 2})
		if got != 2 {
			t.Errorf("the setting was %d", got)
		}
	})
	if !closed {
		t.Error("the plugin was not closed at the end of the test")
	}
}
