package admin

import (
	"cmp"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// families are metrics by name.
type families map[string]*dto.MetricFamily

// gather reads the metrics. What cannot be read is left out.
func (s *Server) gather() (families, error) {
	list, err := s.o.Metrics.Gather()
	if len(list) == 0 && err != nil {
		return nil, err
	}
	f := make(families, len(list))
	for _, one := range list {
		f[one.GetName()] = one
	}
	return f, nil
}

// sum is that of all of a metric's series.
func (f families) sum(name string) (sum float64) {
	for _, n := range f.by(name, "") {
		sum += n
	}
	return sum
}

// by are the sums of a metric's series by a label.
func (f families) by(name, label string) map[string]float64 {
	sums := map[string]float64{}
	for _, m := range f[name].GetMetric() {
		sums[labelOf(m, label)] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return sums
}

// counts are the sums of a metric's series by a label, the largest first.
func (f families) counts(name, label string) []Count {
	list := []Count{}
	for value, n := range f.by(name, label) {
		list = append(list, Count{value, int64(n)})
	}
	slices.SortFunc(list, func(a, b Count) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name)) })
	return list
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// buckets are a histogram: how many were at most so much, in ascending order, the last with no bound.
type buckets struct {
	bounds []float64
	counts []float64
}

// buckets are those of all of a histogram's series, which have the same bounds.
func (f families) buckets(name string) (b buckets) {
	for _, m := range f[name].GetMetric() {
		list := m.GetHistogram().GetBucket()
		if b.bounds == nil {
			for _, one := range list {
				b.bounds = append(b.bounds, one.GetUpperBound())
			}
			b.counts = make([]float64, len(list)+1)
		}
		for i, one := range list {
			b.counts[i] += float64(one.GetCumulativeCount())
		}
		b.counts[len(list)] += float64(m.GetHistogram().GetSampleCount())
	}
	return b
}

// minus is what came since an earlier reading of the same histogram.
func (b buckets) minus(before buckets) buckets {
	if len(before.counts) != len(b.counts) {
		return b
	}
	counts := slices.Clone(b.counts)
	for i := range counts {
		counts[i] -= before.counts[i]
	}
	return buckets{b.bounds, counts}
}

// quantile is in milliseconds, between the bounds of its bucket as if what is in there were spread evenly; nil if there is
// nothing. What is above all bounds is given as the last of them.
func (b buckets) quantile(q float64) *float64 {
	if len(b.counts) == 0 || b.counts[len(b.counts)-1] <= 0 {
		return nil
	}
	rank, lower, below := q*b.counts[len(b.counts)-1], 0.0, 0.0
	for i, upper := range b.bounds {
		if b.counts[i] >= rank && !math.IsInf(upper, 1) {
			ms := upper * 1000
			if n := b.counts[i] - below; n > 0 {
				ms = (lower + (upper-lower)*(rank-below)/n) * 1000
			}
			return &ms
		}
		if !math.IsInf(upper, 1) {
			lower, below = upper, b.counts[i]
		}
	}
	ms := lower * 1000
	return &ms
}
