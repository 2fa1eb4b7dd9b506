package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/gatewaytest/servers"
	"github.com/sluice-ai/sluice/plugins/cache"
)

// How soon another node answers, in other words, what one has learnt: the middle, and the 99th of a hundred.
func BenchmarkFleetLearns(b *testing.B) {
	u := newUnion(b, 2, func(c *cache.Config) { c.Semantic.Mode, c.Semantic.MaxWrong = "verified", 0.05 })
	var took []time.Duration
	for b.Loop() {
		n := len(took) + 1
		told := u.nodes[0].serve(ask{body: chatBody(fmt.Sprintf("How tall is building number %d?", n))})
		began := time.Now()
		servers.Await(b, "the other node has learnt it", func(context.Context) error {
			if got := u.nodes[1].serve(cached(fmt.Sprintf("hi, how tall is building number %d please", n))); !strings.HasPrefix(got, "semantic: ") {
				return errors.New(told + "; " + got)
			}
			return nil
		})
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "ms/p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "ms/p99")
}
