package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/cache/partition"
)

// renewals are the answers that are asked for again. One that could not be had stays among them for a while.
type renewals struct {
	mu    sync.Mutex
	under map[partition.Key]struct{}
}

const (
	mostRenewals = 256             // at once; more stay as they are
	renewalTime  = 5 * time.Minute // for one
	renewalPause = time.Second     // after one that failed
)

// begin is false if an answer is asked for already.
func (r *renewals) begin(k partition.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, is := r.under[k]; is || len(r.under) >= mostRenewals {
		return false
	}
	if r.under == nil {
		r.under = map[partition.Key]struct{}{}
	}
	r.under[k] = struct{}{}
	return true
}

func (r *renewals) end(k partition.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.under, k)
}

// exactly is how an answer to the very question is given: what is past its time is asked for again behind the exchange's back.
func (l *lookup) exactly(of *kept) ledger.Kind {
	if of.Fresh(l.h.now(), -1) {
		return ledger.Exact
	}
	if !l.control.onlyCached && l.h.renewals.begin(of.key) {
		l.renew(of.key)
	}
	return ledger.Stale
}

// renew sends the request again, as it came.
func (l *lookup) renew(k partition.Key) {
	h, of := l.h, *l
	of.control.most = -1
	r := request{
		endpoint: l.x.Request.Endpoint.Name, caller: l.x.Caller, head: anew(l.x.Request.Header), body: bytes.Clone(l.x.Request.Body()),
	}
	h.host.Go(func(ctx context.Context) {
		defer h.renewals.end(k)
		ctx, cancel := context.WithTimeout(ctx, renewalTime)
		defer cancel()
		what := of.renewed(ctx, k, &r)
		if h.metrics.renewals.WithLabelValues(what).Inc(); what != renewalFailed {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(renewalPause):
		}
	})
}

// What comes of a renewal: values of a label.
const (
	renewalDone      = "done"
	renewalElsewhere = "elsewhere" // another node has done it, or does it
	renewalFailed    = "failed"
)

// renewed has the answer to a request kept anew, unless another node does that.
func (l *lookup) renewed(ctx context.Context, k partition.Key, r *request) string {
	h := l.h
	if h.fleet != nil {
		if value, _ := h.fleet.Fetch(ctx, fleet.ID(k)); value != nil {
			if of, _ := l.take(value); of != nil && of.key == k && of.Fresh(h.now(), -1) {
				return renewalElsewhere
			}
		}
		lease, token := fleet.Key(sha256.Sum256(append([]byte("renewal"), k[:]...))), rand.Uint64() //nolint:gosec // unique, not secret
		if c := h.fleet.Claim(ctx, lease, token, fleet.Lease{}, func() bool { return false }); !c.Mine {
			return renewalElsewhere
		}
		defer h.fleet.Release(lease, token)
	}
	if _, err := h.host.Ask(ctx, r.endpoint, r.caller, r.head, r.body); err != nil {
		h.log.Info("an answer that is past its time could not be had anew", zap.String("tenant_id", string(r.caller.Tenant.ID)), zap.Error(err))
		return renewalFailed
	}
	return renewalDone
}

// request is one that the cache sends for a caller.
type request struct {
	endpoint string
	caller   gateway.Caller
	head     gateway.Header
	body     []byte
}

// fields are a head by its names in lower case.
type fields map[string]string

// Get implements gateway.Header.
func (f fields) Get(name string) []byte {
	if v, ok := f[strings.ToLower(name)]; ok {
		return []byte(v)
	}
	return nil
}

// anew is the head of a request whose answer is to be kept anew, with all of the first one's that counts for the cache.
func anew(h gateway.Header) gateway.Header {
	f := fields{header: "refresh"}
	if h == nil {
		return f
	}
	for _, name := range []string{tagsHeader, betaHeader, providerHeader} {
		if v := h.Get(name); v != nil {
			f[strings.ToLower(name)] = string(v)
		}
	}
	return f
}
