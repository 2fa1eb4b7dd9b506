package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/gatewaytest"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

// loud is a host that writes its log into a buffer, by an encoder of the real ones.
type loud struct {
	*gatewaytest.Host
	log *zap.Logger
}

func (l *loud) Log() *zap.Logger { return l.log }

// TestHostileText puts into every field that others write what forges a line or moves a terminal's cursor.
func TestHostileText(t *testing.T) {
	encoders := map[string]zapcore.Encoder{
		"json":    zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
		"console": zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	}
	for name, encoder := range encoders {
		f := func(text, want string) {
			t.Helper()
			var out bytes.Buffer
			host := &loud{gatewaytest.NewHost(), zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.InfoLevel))}
			defer host.Close()
			p, err := telemetry.Spec(telemetry.Lent{}).Build(host, telemetry.Spec(telemetry.Lent{}).Defaults())
			if err != nil {
				t.Fatal(err)
			}
			var quoted bytes.Buffer
			plain := json.NewEncoder(&quoted)
			plain.SetEscapeHTML(false)
			if err := plain.Encode(text); err != nil {
				t.Fatal(err)
			}
			model := bytes.TrimSpace(quoted.Bytes())
			r, fields := gatewaytest.Request{Caller: gateway.Caller{User: text}}, 9
			if !bytes.ContainsRune(model, '\\') { // peek refuses names with escapes, so control characters do not come so far
				r.Body, fields = `{"model":`+string(model)+`}`, 10
			}
			x := gatewaytest.New(t, r)
			failure := &gateway.Error{Code: text, Err: errors.New(text)}
			attempt := gateway.Attempt{Provider: "p", Model: text, RequestID: text, Err: failure}
			gatewaytest.Serve(x, p.Wrap(opening(&gatewaytest.Script{Attempts: []gateway.Attempt{attempt, attempt}, Err: failure})))
			got := out.String()
			if !strings.HasSuffix(got, "\n") || strings.Count(got, "\n") != 1 {
				t.Errorf("%s: %q is more than one line", name, got)
			}
			for _, r := range strings.TrimSuffix(got, "\n") {
				if !unicode.IsPrint(r) && r != '\t' { // the console's columns
					t.Errorf("%s: %q contains %q", name, got, r)
				}
			}
			// subject, target_model, upstream_request_id, error_code and error; target_model and error of each try; perhaps model.
			if n := strings.Count(got, `":`+sep(name)+want); n != fields {
				t.Errorf("%s: %q has %s %d times", name, got, want, n)
			}
		}
		f("a\r\n{\"level\":\"info\",\"msg\":\"forged\"}", `"a\r\n{\"level\":\"info\",\"msg\":\"forged\"}"`)
		f("\x1b[2J\x1b]0;title\x07", `"\u001b[2J\u001b]0;title\u0007"`)
		f("a\u009b2Jb\u0085c\x7f", `"a`+"\ufffd2Jb\ufffdc\ufffd"+`"`)
		f("user\u202egnp.exe", `"user`+"\ufffd"+`gnp.exe"`)
		f("a\u2028b", `"a`+"\ufffd"+`b"`)
		f("漢字 é", `"漢字 é"`)
	}
}

// sep is what stands between a key and its value.
func sep(encoder string) string {
	if encoder == "console" {
		return " "
	}
	return ""
}

// TestLongText makes sure that a caller cannot fill the log with one field.
func TestLongText(t *testing.T) {
	p, h := gatewaytest.Build(t, telemetry.Spec(telemetry.Lent{}), nil)
	long := "x" + strings.Repeat("é", 5000)
	x := gatewaytest.New(t, gatewaytest.Request{Body: `{"model":"` + long + `"}`})
	failure := &gateway.Error{Status: 500, Code: "c", Err: errors.New(long)}
	gatewaytest.Serve(x, p.Wrap(opening(&gatewaytest.Script{Err: failure})))
	fields := h.Logs.TakeAll()[0].ContextMap()
	if got := fields["model"]; got != "x"+strings.Repeat("é", 99)+"…" {
		t.Errorf("model is %q", got)
	}
	if got := fields["error"]; got != "x"+strings.Repeat("é", 249)+"…" {
		t.Errorf("error is %q", got)
	}
}

// TestLevel makes sure that a log that does not want the line costs none.
func TestLevel(t *testing.T) {
	var out bytes.Buffer
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.WarnLevel)
	host := &loud{gatewaytest.NewHost(), zap.New(core)}
	defer host.Close()
	p, err := telemetry.Spec(telemetry.Lent{}).Build(host, telemetry.Spec(telemetry.Lent{}).Defaults())
	if err != nil {
		t.Fatal(err)
	}
	gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{}), p.Wrap(&gatewaytest.Script{}))
	if out.Len() != 0 {
		t.Errorf("%q was logged", out.String())
	}
	gatewaytest.Serve(gatewaytest.New(t, gatewaytest.Request{}), p.Wrap(&gatewaytest.Script{Err: errors.New("x")}))
	if !strings.Contains(out.String(), `"level":"warn"`) {
		t.Errorf("%q is no warning", out.String())
	}
}
