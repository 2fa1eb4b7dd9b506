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
	"time"

	"github.com/sluice-ai/sluice/config"
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
