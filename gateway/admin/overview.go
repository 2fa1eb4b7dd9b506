package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Overview is how the gateway fares: of this node, as its metrics have it.
type Overview struct {
	Today  Today   `json:"today"`
	Now    Now     `json:"now"`
	Points []Point `json:"points"` // oldest first
}

// Today are sums since midnight UTC, or since the node began, if that was later.
type Today struct {
	Requests int64  `json:"requests"`
	Errors   int64  `json:"errors"` // those that got an error, or were cut short; who left is none
	Cost     string `json:"cost_usd"`
	Saved    string `json:"saved_usd"` // what answers from the cache would have cost
}

// Now is what runs.
type Now struct {
	Streams int `json:"streams"`
	Sockets int `json:"sockets"`
}

// Point is what happened until a moment, since the point before it. Quantiles are of that time alone, and left out if nothing
// came.
type Point struct {
	At          time.Time `json:"at"`
	Seconds     float64   `json:"seconds"`
	Requests    int64     `json:"requests"`
	Errors      int64     `json:"errors"`
	First50     *float64  `json:"first_p50_ms,omitempty"`
	First95     *float64  `json:"first_p95_ms,omitempty"`
	Overhead50  *float64  `json:"overhead_p50_ms,omitempty"`
	Overhead95  *float64  `json:"overhead_p95_ms,omitempty"`
	LiveStreams int       `json:"streams"`
}

// How often metrics are looked at for the overview, and how many points are kept: two hours.
const (
	pointEvery = 15 * time.Second
	mostPoints = 480
)

// history keeps points.
type history struct {
	mu     sync.Mutex
	points []Point
	last   reading
	day    reading // at midnight UTC, or when the first look was
}

// reading is what the metrics said at a moment.
type reading struct {
	at               time.Time
	requests, errors float64
	cost, saved      float64
	first, overhead  buckets
	streams, sockets float64
}

// watch adds a point from time to time, until ctx ends.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(pointEvery)
	defer tick.Stop()
	s.look()
	for {
		select {
		case <-tick.C:
			s.look()
		case <-ctx.Done():
			return
		}
	}
}

// look reads the metrics, and adds a point.
func (s *Server) look() {
	families, err := s.gather()
	if err != nil {
		return
	}
	r := read(families, time.Now().UTC())
	h := &s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.last.at.IsZero() {
		if len(h.points) == mostPoints {
			h.points = slices.Delete(h.points, 0, 1)
		}
		h.points = append(h.points, r.since(&h.last))
	}
	if h.day.at.IsZero() || h.day.at.Day() != r.at.Day() {
		h.day = r
		if h.last.at.IsZero() {
			h.day = reading{at: r.at} // all that there is came since it began
		}
	}
	h.last = r
}

// since is what happened between two readings.
func (r *reading) since(before *reading) Point {
	first, overhead := r.first.minus(before.first), r.overhead.minus(before.overhead)
	return Point{
		At: r.at, Seconds: r.at.Sub(before.at).Seconds(),
		Requests: int64(r.requests - before.requests), Errors: int64(r.errors - before.errors),
		First50: first.quantile(0.5), First95: first.quantile(0.95), Overhead50: overhead.quantile(0.5), Overhead95: overhead.quantile(0.95),
		LiveStreams: int(r.streams),
	}
}

// overview answers GET /admin/v1/overview.
func (c *call) overview() error {
	if err := c.asks(); err != nil {
		return err
	}
	families, err := c.s.gather()
	if err != nil {
		return err
	}
	r := read(families, time.Now().UTC())
	h := &c.s.history
	h.mu.Lock()
	day, points := h.day, slices.Clone(h.points)
	h.mu.Unlock()
	return c.json(http.StatusOK, Answer[Overview]{Data: Overview{
		Today: Today{
			Requests: int64(r.requests - day.requests), Errors: int64(r.errors - day.errors),
			Cost: dollars(r.cost - day.cost), Saved: dollars(r.saved - day.saved),
		},
		Now:    Now{Streams: int(r.streams), Sockets: int(r.sockets)},
		Points: append([]Point{}, points...),
	}})
}

// dollars are an amount as a text. It comes of metrics, which are no exact sums.
func dollars(f float64) string { return strconv.FormatFloat(max(f, 0), 'f', 6, 64) }

// read takes from the metrics what the overview is about.
func read(f families, at time.Time) reading {
	r := reading{
		at: at, cost: f.sum("sluice_cost_usd_total"), saved: f.sum("sluice_cache_saved_usd_total"),
		first: f.buckets("sluice_time_to_first_token_seconds"), overhead: f.buckets("sluice_overhead_seconds"),
		streams: f.sum("sluice_streams_active"), sockets: f.sum("sluice_sockets"),
	}
	for code, n := range f.by("sluice_requests_total", "code") {
		r.requests += n
		if status, err := strconv.Atoi(code); err != nil || status >= 400 && status != 499 {
			r.errors += n
		}
	}
	return r
}
