package cache_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/plugins/cache"
)

// A model of the gateway's embeds questions, at the cost of whoever asks them; while it fails or is slow there are misses.
func TestEmbedderOfTheGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *cache.Config) {
			c.Semantic.Mode, c.Semantic.MaxWrong, c.Semantic.Embedder = "verified", 0.05, "e"
		})
		calls, fails, takes := 0, error(nil), time.Duration(0)
		r.host.Asked = func(ctx context.Context, endpoint string, c gateway.Caller, h gateway.Header, body []byte) ([]byte, error) {
			calls++
			if endpoint != "embeddings" || c.Tenant != r.tenant || string(h.Get("x-sluice-cache")) != "off" || !strings.Contains(string(body), `"model":"e"`) {
				t.Errorf("%s, %+v, %s", endpoint, c, body)
			}
			select {
			case <-time.After(takes):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return []byte(`{"data":[{"index":0,"embedding":[0.6,0.8]}]}`), fails
		}
		r.expect(ask{body: chatBody(asked)}, "miss: answer 1")
		r.expect(ask{body: chatBody(reworded)}, "semantic: answer 1")
		r.expect(ask{body: chatBody("What is the capital of Spain?")}, "miss: answer 2") // however near the vectors are
		if calls != 3 {
			t.Errorf("asked %d times", calls)
		}
		fails = errors.New("it is away")
		r.expect(ask{body: chatBody(reworded + "!")}, "miss: answer 3")
		r.expect(ask{body: chatBody(reworded + "?!")}, "miss: answer 4")
		if calls != 4 {
			t.Errorf("asked %d times, though it is away", calls)
		}
		<-time.After(6 * time.Second)
		fails, takes = nil, time.Hour
		start := time.Now()
		r.expect(ask{body: chatBody(reworded + " now!")}, "miss: answer 5")
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("it took %s", d)
		}
		r.host.Close()
	})
}
