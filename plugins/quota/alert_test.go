package quota

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/meter"
)

// The example of the Standard Webhooks specification.
func TestSignature(t *testing.T) {
	secret, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := hook{secret: secret}
	got := h.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(got)
	}
	for _, text := range []string{"", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!"} {
		if _, err := parseSecret(text); err == nil {
			t.Errorf("%q is taken for a secret", text)
		}
	}
}

// A message that is not taken comes again under the same id, and never to where a redirect leads.
func TestDeliver(t *testing.T) {
	var calls, strays atomic.Int32
	ids := make(chan string, 8)
	stray := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strays.Add(1) }))
	defer stray.Close()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e event
		if err := json.Unmarshal(body, &e); err != nil || e.Type != "budget.threshold" || e.Data.Tenant != "acme" {
			t.Errorf("%s: %v", body, err)
		}
		ids <- r.Header.Get("Webhook-Id") + " " + r.Header.Get("Webhook-Signature")[:3]
		switch calls.Add(1) {
		case 1:
			w.WriteHeader(500)
		case 2:
			http.Redirect(w, r, stray.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer receiver.Close()
	a := Alerts{URL: receiver.URL, Secret: config.NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Retries: 3}
	h, err := newHook(&a, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	h.pause = time.Millisecond
	if err := h.deliver(t.Context(), &event{Type: "budget.threshold", Timestamp: time.Now(), Data: passed{Tenant: "acme"}}); err != nil {
		t.Fatal(err)
	}
	first := <-ids
	if second, third := <-ids, <-ids; second != first || third != first || !strings.HasSuffix(first, " v1,") || !strings.HasPrefix(first, "msg_") {
		t.Errorf("ids %s, %s, %s", first, second, third)
	}
	if strays.Load() != 0 {
		t.Error("a redirect was followed")
	}
	calls.Store(-100)
	h.retries = 1
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	h.url = broken.URL
	if err := h.deliver(t.Context(), &event{}); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a receiver that never takes it: %v", err)
	}
	broken.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.deliver(ctx, &event{}); err == nil {
		t.Error("delivered after the end")
	}
}

// A receiver that is away keeps no alert from the log and the metric, nor from being sent beside the others.
func TestTellerOfADeadReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen, logs := observer.New(zap.WarnLevel)
		counter := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "n"}) }
		dead := &hook{url: "http://x.invalid", retries: 8, pause: time.Second, now: time.Now, client: &http.Client{Transport: nobody{}}}
		tell := teller{log: zap.New(seen), marks: counter(), untold: counter(), receiver: dead, now: time.Now}
		ctx, cancel := context.WithCancel(t.Context())
		alerts := make(chan meter.Alert)
		done := make(chan struct{})
		go func() { tell.run(ctx, alerts); close(done) }()
		for range mostDeliveries + 6 {
			alerts <- meter.Alert{Tenant: "acme", At: 5000}
		}
		synctest.Wait()
		if n := logs.FilterMessage("a budget has passed a mark").Len(); n != mostDeliveries+6 || valueOf(tell.marks) != mostDeliveries+6 {
			t.Errorf("%d of %d are in the log", n, mostDeliveries+6)
		}
		if n := valueOf(tell.untold); n != 6 {
			t.Errorf("%v were too many, want 6", n)
		}
		<-time.After(time.Hour) // all have given up
		alerts <- meter.Alert{Tenant: "acme", At: 8000}
		synctest.Wait()
		if n := valueOf(tell.untold); n != mostDeliveries+6 {
			t.Errorf("%v were not delivered, want %d", n, mostDeliveries+6)
		}
		cancel()
		<-done
	})
}

func valueOf(c prometheus.Counter) float64 {
	var m dto.Metric
	_ = c.Write(&m) // it cannot fail
	return m.GetCounter().GetValue()
}

// nobody is where no request arrives.
type nobody struct{}

func (nobody) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
