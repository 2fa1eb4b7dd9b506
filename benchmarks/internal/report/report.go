// Package report is what the load generator prints and the runner reads.
package report

// Load is one run of the load generator. Times are in microseconds unless the name says otherwise.
//
// Counts and CPU time are those of the measured window: read at its two ends. The process is the one under test; its
// figures are zero if none was named.
type Load struct {
	Asked      int64            `json:"asked"`    // requests that were sent, in the whole run
	Seconds    float64          `json:"seconds"`  // length of the window
	Requests   int64            `json:"requests"` // replies that were complete, or streams that ended well
	PerSecond  float64          `json:"per_second"`
	Errors     int64            `json:"errors"` // of the whole run, before the window too
	ErrorKinds map[string]int64 `json:"error_kinds,omitempty"`

	CPUSeconds     float64 `json:"cpu_s"` // of the process under test
	CPUPerRequest  float64 `json:"cpu_us_per_request"`
	RSS            int64   `json:"rss_bytes"` // of the process under test, at the end
	LoadCPUSeconds float64 `json:"load_cpu_s"`

	// Latency runs from the instant the request was due to the end of the reply; LatencyLess is without the time that
	// the mock says it took.
	Latency     Distribution `json:"latency"`
	LatencyLess Distribution `json:"latency_less_mock"`
	// Again is LatencyLess of the replies for which the gateway says that it made more than one attempt.
	Again Distribution `json:"more_attempts,omitzero"`
	// Refused counts the replies due inside the window with status 429, 503 or 529, if those are expected and so no errors.
	Refused int64 `json:"refused,omitempty"`
	// SendLag is how late requests were sent, in an open loop. It is part of the latency.
	SendLag Distribution `json:"send_lag"`

	Streams *Streams `json:"streams,omitempty"` // only if streams were asked for
}

// Streams is what there is to say about streams. Times are in microseconds.
type Streams struct {
	Alive       int64   `json:"alive"`  // at the end of the window
	Chunks      int64   `json:"chunks"` // content chunks inside the window
	CPUPerChunk float64 `json:"cpu_us_per_chunk"`

	FirstEvent     Distribution `json:"first_event"`
	FirstEventLess Distribution `json:"first_event_less_mock"`
	ChunkDelay     Distribution `json:"chunk_delay"` // one way: from the mock's write to the generator's read
	ChunkGap       Distribution `json:"chunk_gap"`
}

// Distribution sums up many times, in microseconds. Quantiles are within 1 % of the truth.
type Distribution struct {
	Count int64   `json:"n"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}
