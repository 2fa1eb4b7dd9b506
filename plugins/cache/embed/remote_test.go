package embed_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/plugins/cache/embed"
)

type ownerKey struct{}

// model answers with vectors of the lengths of texts, and notes what it was asked.
type model struct {
	mu    sync.Mutex
	asked [][]string
	says  func(input []string) (string, error) // nil: vectors
	takes time.Duration
}

func (m *model) ask(ctx context.Context, body []byte) ([]byte, error) {
	var q struct {
		Model string
		Input []string
	}
	if err := json.Unmarshal(body, &q); err != nil || q.Model != "e" {
		return nil, fmt.Errorf("asked for %q: %w", q.Model, err)
	}
	m.mu.Lock()
	m.asked = append(m.asked, q.Input)
	m.mu.Unlock()
	select {
	case <-time.After(m.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.says != nil {
		text, err := m.says(q.Input)
		return []byte(text), err
	}
	type vector struct {
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	var data []vector
	for i, s := range slices.Backward(q.Input) { // in any order
		data = append(data, vector{i, []float32{float32(len(s)), 1}})
	}
	return json.Marshal(map[string]any{"data": data})
}

func remote(t *testing.T, m *model) (*embed.Remote, func(owner string, texts ...string) ([][]float32, error)) {
	t.Helper()
	r, err := embed.NewRemote(embed.RemoteConfig{
		Model: "e", Ask: m.ask, Owner: func(ctx context.Context) string { return ctx.Value(ownerKey{}).(string) },
		Timeout: time.Second, MaxBytes: 1 << 20, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, func(owner string, texts ...string) ([][]float32, error) {
		return r.Embed(context.WithValue(t.Context(), ownerKey{}, owner), texts)
	}
}

// Texts are asked for once for each owner, together if they come together, and come back in order and of unit length.
func TestRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{takes: 100 * time.Millisecond}
		r, ask := remote(t, m)
		defer r.Close()
		v, err := ask("a", "one", "three", "one")
		if err != nil || len(v) != 3 || v[0][0] >= v[1][0] || v[0][0] != v[2][0] || r.Dim() != 2 || r.ID() != "remote-e" {
			t.Fatalf("%v, %v, %d", v, err, r.Dim())
		}
		for i := range v {
			if n := dot(v[i], v[i]); n < .999 || n > 1.001 {
				t.Errorf("length %v", n)
			}
		}
		v[0][0] = 7 // theirs to change
		m.asked = nil
		if v, err = ask("a", "one"); err != nil || v[0][0] == 7 || len(m.asked) != 0 {
			t.Errorf("%v, %v, asked %q", v, err, m.asked)
		}
		if _, err = ask("b", "one"); err != nil || len(m.asked) != 1 {
			t.Errorf("%v, asked %q: what one owner has asked is not another's", err, m.asked)
		}
		m.asked = nil
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() { _, _ = ask("a", fmt.Sprint("text ", i%5)) })
		}
		all.Wait()
		texts := 0
		for _, together := range m.asked {
			texts += len(together)
		}
		if len(m.asked) > 2 || texts > 6 { // one may be asked for again while it is on its way
			t.Errorf("asked %q", m.asked)
		}
	})
}

// Who leaves takes nothing from others, and a model that fails keeps nobody waiting.
func TestRemoteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{takes: time.Hour}
		r, ask := remote(t, m)
		defer r.Close()
		ctx, leave := context.WithCancel(context.WithValue(t.Context(), ownerKey{}, "a"))
		leave()
		if _, err := r.Embed(ctx, []string{"x"}); !errors.Is(err, context.Canceled) {
			t.Errorf("left: %v", err)
		}
		start := time.Now()
		if _, err := ask("a", "y"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		start = time.Now()
		if _, err := ask("a", "y"); !errors.Is(err, embed.ErrAway) || time.Since(start) != 0 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		m.takes = 0
		if _, err := ask("b", "y"); err != nil {
			t.Errorf("another owner: %v", err)
		}
		<-time.After(6 * time.Second)
		if _, err := ask("a", "y"); err != nil {
			t.Errorf("later: %v", err)
		}
		f := func(says string) {
			t.Helper()
			<-time.After(6 * time.Second)
			m.says = func([]string) (string, error) { return says, nil }
			if _, err := ask("a", "new "+says); !errors.Is(err, embed.ErrAnswer) {
				t.Errorf("%s: %v", says, err)
			}
		}
		f("")
		f(`{"data":[]}`)
		f(`{"data":[{"index":1,"embedding":[1]}]}`)
		f(`{"data":[{"index":-1,"embedding":[1]}]}`)
		f(`{"data":[{"index":0,"embedding":[]}]}`)
		f(`{"data":[{"index":0,"embedding":"AAAA"}]}`)
	})
}
