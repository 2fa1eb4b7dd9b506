package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/gateway/store"
)

func TestWhose(t *testing.T) {
	for _, w := range []store.Whose{{}, store.Only(""), store.Only(store.Operator)} {
		if id, all, err := w.Tenant(); !errors.Is(err, store.ErrNoTenant) || all {
			t.Errorf("%+v is %q, all: %v, %v", w, id, all, err)
		}
	}
	if id, all, err := store.Only("acme").Tenant(); id != "acme" || all || err != nil {
		t.Error(id, all, err)
	}
	if id, all, err := store.Everybody().Tenant(); id != "" || !all || err != nil {
		t.Error(id, all, err)
	}
}

// heap is what is left to prune, and how long a batch takes.
type heap struct {
	store.Upkeep
	left  int
	takes time.Duration
	calls []time.Time
	limit int
}

func (h *heap) Prune(ctx context.Context, _ store.Past, limit int) (int, error) {
	h.calls = append(h.calls, time.Now())
	h.limit = limit
	select {
	case <-time.After(h.takes):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	n := min(h.left, limit)
	h.left -= n
	return n, nil
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heap{left: 2_500, takes: 100 * time.Millisecond}
		n, err := store.Sweep(t.Context(), h, store.Past{})
		if n != 2_500 || err != nil || len(h.calls) != 4 || h.limit != 1_000 {
			t.Errorf("%d, %v in %d batches of %d", n, err, len(h.calls), h.limit)
		}
		for i, at := range h.calls[1:] {
			if pause := at.Sub(h.calls[i]) - h.takes; pause < 9*h.takes {
				t.Errorf("a pause of %s after %s", pause, h.takes)
			}
		}

		h = &heap{left: 1, takes: time.Minute}
		began := time.Now()
		if n, err := store.Sweep(t.Context(), h, store.Past{}); n != 0 || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("%d, %v after %s", n, err, time.Since(began))
		}

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		h = &heap{left: 1e6, takes: time.Second}
		if n, err := store.Sweep(ctx, h, store.Past{}); n != 1_000 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d, %v", n, err)
		}
	})
}
