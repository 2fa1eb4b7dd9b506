//go:build !race

package telemetry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

// exchange drives one unary exchange, or a stream without its events, through next.
func exchange(h gateway.Handler, r *gatewaytest.Request, e *gateway.Endpoint) {
	x := gateway.Exchange{Directory: r.Directory, Caller: r.Caller}
	x.Init("req_0123456789abcdef01234567", e, r.Header, bytesBody(r.Body))
	if h.Serve(&x) == nil {
		_ = x.Reply.Stream.Close()
	}
	x.End(nil)
}

type bytesBody []byte

func (b bytesBody) Load() ([]byte, error) { return b, nil }
func (b bytesBody) Free()                 {}

func innermost(t testing.TB, kind gateway.Kind) gateway.Handler {
	known := priced(t)
	target := &gateway.Target{Provider: "openai", Key: "main", Model: "gpt-4.1-2025-04-14"}
	return opening(gateway.HandlerFunc(func(x *gateway.Exchange) error {
		from := ok("openai")
		a := x.Attempting(target)
		a.Status, a.First, a.Total, a.RequestID = from.Status, from.First, from.Total, from.RequestID
		a.Known, a.Usage = known, usage
		x.Usage = usage
		x.Reply = &gateway.Reply{Status: 200, Kind: kind, Stream: gateway.Once(nil)}
		x.Commit()
		return nil
	}))
}

func production(t testing.TB, c *telemetry.Config) gateway.Plugin {
	core := zapcore.NewCore(telemetry.Encoder(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())), zapcore.AddSync(io.Discard), zap.InfoLevel)
	host := &loud{gatewaytest.NewHost(), zap.New(core)}
	t.Cleanup(host.Close)
	p, err := telemetry.Spec(telemetry.Lent{}).Build(host, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// BenchmarkExchange compares an exchange with telemetry (metrics and a JSON line) with one without.
func BenchmarkExchange(b *testing.B) {
	r := gatewaytest.Request{Directory: directory(), Caller: acme(), Body: body("gpt-4.1", true)}
	e := gatewaytest.Chat()
	f := func(name string, h gateway.Handler) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := used(b)
			for b.Loop() {
				exchange(h, &r, e)
			}
			b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
	f("without", innermost(b, gateway.Events))
	f("with", production(b, settings("off")).Wrap(innermost(b, gateway.Events)))
	bin := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { _, _ = io.Copy(io.Discard, q.Body) }))
	defer bin.Close()
	for name, share := range map[string]config.Percent{"traces, none kept": 0, "traces, a tenth": 0.1, "traces, all": 1} {
		s := settings(bin.URL)
		s.Traces.Sample = share
		p := production(b, s)
		f(name, p.Wrap(innermost(b, gateway.Events)))
		flush(b, p)
	}
}

// used is the processor time of this process, which also tells what is done behind an exchange, whoever else uses the machine.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAllocs holds what telemetry adds to an exchange: the record, its end function, and zap's list of one field; and that an
// exchange of which no spans are kept adds no more.
func TestAllocs(t *testing.T) {
	r := gatewaytest.Request{Directory: directory(), Caller: acme(), Body: body("gpt-4.1", true)}
	e := gatewaytest.Chat()
	inner := innermost(t, gateway.Events)
	without := testing.AllocsPerRun(200, func() { exchange(inner, &r, e) })
	f := func(s *telemetry.Config) {
		t.Helper()
		h := production(t, s).Wrap(inner)
		with := testing.AllocsPerRun(200, func() { exchange(h, &r, e) })
		if added := with - without; added > 3 {
			t.Errorf("%v allocations, %v without telemetry", with, without)
		}
	}
	f(settings("off"))
	unsampled := settings("http://127.0.0.1:1")
	unsampled.Traces.Sample = 0
	f(unsampled)
}
