package admin_test

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ai/sluice/gateway/admin"
)

// counted are the metrics that the overview reads.
type counted struct {
	*prometheus.Registry
	requests        *prometheus.CounterVec
	cost, saved     prometheus.Counter
	first, overhead prometheus.Histogram
	streams         prometheus.Gauge
}

func newCounted() *counted {
	histogram := func(name string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: "For the test.", Buckets: []float64{0.1, 0.2, 0.4}})
	}
	counter := func(name string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "For the test."})
	}
	c := &counted{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_requests_total", Help: "For the test."}, []string{"code", "model"}),
		cost:     counter("sluice_cost_usd_total"), saved: counter("sluice_cache_saved_usd_total"),
		first: histogram("sluice_time_to_first_token_seconds"), overhead: histogram("sluice_overhead_seconds"),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_streams_active", Help: "For the test."}),
	}
	c.MustRegister(c.requests, c.cost, c.saved, c.first, c.overhead, c.streams)
	return c
}

func (c *counted) answer(code string, n int) {
	for range n {
		c.requests.WithLabelValues(code, "m").Inc()
	}
}

// TestOverview has an hour of traffic before midnight, and some after it.
func TestOverview(t *testing.T) {
	o := open(t)
	o.options.Store = nil // of another bubble
	synctest.Test(t, func(t *testing.T) {
		m := newCounted()
		o.options.Metrics, o.options.Tokens = m, tokensOf()
		s := admin.New(o.options)
		o := &office{t: t, server: s}
		l := &silent{closed: make(chan struct{})}
		served := make(chan error)
		<-time.After(time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(23 * time.Hour)))
		m.answer("200", 5) // before anybody looked
		go func() { served <- s.Serve(l) }()
		synctest.Wait()

		m.answer("200", 6)
		m.answer("429", 2)
		m.answer("499", 1)
		m.answer("aborted", 1)
		m.cost.Add(0.25)
		for range 10 {
			m.first.Observe(0.15)
		}
		m.first.Observe(9)
		m.streams.Set(3)
		now := func() admin.Overview { return data[admin.Overview](t, o.ask(200, "GET", "overview", "")) }
		if v := now(); v.Today != (admin.Today{Requests: 15, Errors: 3, Cost: "0.250000", Saved: "0.000000"}) || v.Now.Streams != 3 || len(v.Points) != 0 {
			t.Errorf("%+v", v)
		}
		<-time.After(15 * time.Second)
		synctest.Wait()
		v := now()
		if len(v.Points) != 1 {
			t.Fatalf("%+v", v)
		}
		p := v.Points[0]
		if p.Requests != 10 || p.Errors != 3 || p.Seconds != 15 || p.LiveStreams != 3 || p.Overhead50 != nil || p.First50 == nil || p.First95 == nil {
			t.Fatalf("%+v", p)
		}
		if *p.First50 < 150 || *p.First50 > 160 || *p.First95 != 400 { // the last bound
			t.Errorf("%v %v", *p.First50, *p.First95)
		}

		m.overhead.Observe(0.05)
		<-time.After(30 * time.Second)
		synctest.Wait()
		if v := now(); len(v.Points) != 3 || v.Points[1].Requests != 0 || v.Points[1].First50 != nil || *v.Points[1].Overhead50 != 50 || v.Points[2].Overhead50 != nil {
			t.Errorf("%+v", v)
		}

		<-time.After(2 * time.Hour) // midnight passes
		synctest.Wait()
		m.answer("200", 1)
		m.saved.Add(2)
		if v := now(); v.Today != (admin.Today{Requests: 1, Cost: "0.000000", Saved: "2.000000"}) || len(v.Points) != 480 {
			t.Errorf("%+v, %d points", v.Today, len(v.Points))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TestNodeFigures asks for what the cache has done, and for the settings.
func TestNodeFigures(t *testing.T) {
	m := prometheus.NewRegistry()
	results := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_cache_requests_total", Help: "For the test."}, []string{"result"})
	m.MustRegister(results)
	results.WithLabelValues("exact").Add(2)
	results.WithLabelValues("miss").Add(7)
	o := open(t, func(o *admin.Options) {
		o.Metrics = m
		o.CachePolicy = func() admin.CachePolicy { return admin.CachePolicy{Mode: "verified", MaxWrong: 0.01} }
	})
	f := data[admin.CacheFigures](t, o.ask(200, "GET", "cache", ""))
	if len(f.Requests) != 2 || f.Requests[0] != (admin.Count{Name: "miss", Count: 7}) || f.Requests[1].Count != 2 || f.Mode != "verified" || f.MaxWrong != 0.01 {
		t.Errorf("%+v", f)
	}
	if s := data[admin.Settings](t, o.ask(200, "GET", "config", "")); s.File != "sluice.yaml" || len(s.Settings) != 1 || s.Settings[0].Line != 3 {
		t.Errorf("%+v", s)
	}
	bare := open(t, func(o *admin.Options) { o.Settings = nil })
	bare.fails(404, "not_found", "GET", "config", "")
	if f := data[admin.CacheFigures](t, bare.ask(200, "GET", "cache", "")); f.Mode != "off" || len(f.Requests) != 0 {
		t.Errorf("%+v", f)
	}
}

// silent is a listener that nobody comes to.
type silent struct {
	once   sync.Once
	closed chan struct{}
}

func (l *silent) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

func (l *silent) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *silent) Addr() net.Addr { return &net.TCPAddr{} }
