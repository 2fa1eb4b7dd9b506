package quota

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/config"
)

// Alerts says who is told when a budget passes one of its marks.
type Alerts struct {
	// URL gets a POST with JSON for each mark that is passed, signed as Standard Webhooks prescribes. Empty: nobody is told, but by
	// the log and the metrics.
	URL string `yaml:"url,omitempty"`
	// Secret signs what is sent: the text behind "whsec_" is base64 of 24 to 64 bytes.
	Secret config.Secret `yaml:"secret,omitempty"`
	// Retries is how often a delivery that fails is repeated, at growing intervals.
	Retries int `yaml:"retries" jsonschema:"minimum=0,maximum=20"`
}

// event is what a receiver is told.
type event struct {
	Type      string    `json:"type"` // budget.threshold
	Timestamp time.Time `json:"timestamp"`
	Data      passed    `json:"data"`
}

// passed is a mark of a budget that was passed.
type passed struct {
	Tenant    string    `json:"tenant"`
	Of        string    `json:"of"`        // tenant, key:ci, …
	Per       string    `json:"per"`       // day, week, month, total
	From      time.Time `json:"from"`      // of the window
	Until     time.Time `json:"until"`     // zero: never
	Threshold float64   `json:"threshold"` // share of the budget
	Budget    string    `json:"budget_usd"`
	Spent     string    `json:"spent_usd"`
}

// Between two deliveries of one message.
const (
	firstPause  = 2 * time.Second
	longPause   = 10 * time.Minute
	mostBody    = 64 << 10 // of an answer that is read
	deliverTime = 10 * time.Second
)

// hook delivers messages to one receiver: https://www.standardwebhooks.com.
type hook struct {
	url     string
	secret  []byte
	retries int
	client  *http.Client
	now     func() time.Time
	pause   time.Duration // before the first repetition
}

func newHook(a *Alerts, now func() time.Time) (*hook, error) {
	secret, err := parseSecret(a.Secret.Reveal())
	if err != nil {
		return nil, err
	}
	return &hook{
		url: a.URL, secret: secret, retries: a.Retries, now: now, pause: firstPause,
		client: &http.Client{
			Timeout: deliverTime,
			// A redirect would take the signed message to somebody else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// deliver sends a message until it is taken, its retries are used up, or ctx ends. Its id is the same each time, so that a receiver
// can tell a repetition.
func (h *hook) deliver(ctx context.Context, e *event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	id := "msg_" + rand.Text()
	for n := 0; ; n++ {
		if err = h.post(ctx, id, body); err == nil || n == h.retries || ctx.Err() != nil {
			return err
		}
		pause := min(h.pause<<min(n, 16), longPause)
		select {
		case <-time.After(pause/2 + mathrand.N(pause)): //nolint:gosec // so that not all come back together
		case <-ctx.Done():
			return err
		}
	}
}

func (h *hook) post(ctx context.Context, id string, body []byte) error {
	at := strconv.FormatInt(h.now().Unix(), 10)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "sluice")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", at)
	r.Header.Set("Webhook-Signature", h.sign(id, at, body))
	answer, err := h.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.CopyN(io.Discard, answer.Body, mostBody) // so that the connection can be used again
	if answer.StatusCode >= 300 {
		return fmt.Errorf("the receiver of alerts answered %d", answer.StatusCode)
	}
	return nil
}

// sign is the signature of a message: "v1," and the base64 of the HMAC-SHA-256 of id, time and body.
func (h *hook) sign(id, at string, body []byte) string {
	mac := hmac.New(sha256.New, h.secret)
	_, _ = mac.Write([]byte(id + "." + at + "."))
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
