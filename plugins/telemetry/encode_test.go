package telemetry_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

// twice encodes each entry with both of its encoders, and compares.
type twice struct {
	zapcore.Encoder
	fast zapcore.Encoder
	t    *testing.T
	n    int
}

func (e *twice) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	e.n++
	want, err := e.Encoder.EncodeEntry(entry, fields)
	if err != nil {
		e.t.Fatal(err)
	}
	got, err := e.fast.EncodeEntry(entry, fields)
	if err != nil {
		e.t.Fatal(err)
	}
	if got.String() != want.String() {
		e.t.Errorf("got  %swant %s", got, want)
	}
	return got, nil
}

// TestEncoder makes sure that nobody can tell which encoder wrote a line.
func TestEncoder(t *testing.T) {
	config := zap.NewProductionEncoderConfig()
	e := &twice{Encoder: zapcore.NewJSONEncoder(config), fast: telemetry.Encoder(zapcore.NewJSONEncoder(config)), t: t}
	log := zap.New(zapcore.NewCore(e, zapcore.AddSync(io.Discard), zap.InfoLevel)).Named("telemetry")
	f := func(r gatewaytest.Request, s *gatewaytest.Script) {
		t.Helper()
		host := &loud{gatewaytest.NewHost(), log}
		defer host.Close()
		p, err := telemetry.Spec(telemetry.Lent{}).Build(host, telemetry.Spec(telemetry.Lent{}).Defaults())
		if err != nil {
			t.Fatal(err)
		}
		before := e.n
		gatewaytest.Serve(gatewaytest.New(t, r), p.Wrap(opening(s)))
		if e.n != before+1 {
			t.Errorf("%d lines", e.n-before)
		}
	}
	asked := func(model, subject string) gatewaytest.Request {
		return gatewaytest.Request{
			Directory: directory(), Body: body(model, true), Caller: gateway.Caller{Tenant: acme().Tenant, Key: "k", User: subject},
		}
	}
	f(gatewaytest.Request{}, &gatewaytest.Script{})
	f(asked("gpt-4.1", "u-1"), &gatewaytest.Script{Attempts: []gateway.Attempt{ok("openai")}, Usage: usage})
	f(asked("gpt-4.1", "u-1"), &gatewaytest.Script{Attempts: []gateway.Attempt{ok("openai"), ok("b")}, Kind: gateway.Events, Events: events(3)})
	for _, text := range []string{`"`, `a\b`, "a\x1f", "a\x7f", "é", "\xff", "~ !"} {
		f(asked("m", text), &gatewaytest.Script{Attempts: []gateway.Attempt{ok("openai")}})
		f(asked("m", ""), &gatewaytest.Script{Err: &gateway.Error{Status: 502, Code: "c", Err: errors.New(text)}})
	}
	for _, first := range []time.Duration{0, 1, 999, time.Microsecond, 20 * time.Microsecond, 1500 * time.Microsecond, 12340 * time.Microsecond, 999 * time.Hour} {
		a := ok("openai")
		a.First = first
		f(asked("m", ""), &gatewaytest.Script{Attempts: []gateway.Attempt{a}})
	}
	log.Info("no exchange")
	log.Warn("no exchange", zap.String("id", "x"), zap.Error(errors.New("y")))
	log.With(zap.Int("n", 1)).Info("no exchange", zap.Strings("list", []string{"z"}))
}
