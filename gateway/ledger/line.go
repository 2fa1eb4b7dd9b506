package ledger

import (
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Line is a row as others read it: in the admin API, in what it exports and in the stream that rows are published to. Amounts
// are decimals of US dollars, exactly; times are milliseconds. What is left out is empty or zero, but for a Cost, which then is
// not known.
type Line struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	At       time.Time `json:"at"`
	Node     string    `json:"node"`
	Tenant   tenant.ID `json:"tenant"`
	Key      string    `json:"key,omitempty"`
	User     string    `json:"user,omitempty"`
	Request  string    `json:"request"`
	Endpoint string    `json:"endpoint"`
	Dialect  string    `json:"dialect,omitempty"`

	Asked    string `json:"asked,omitempty"` // as the caller wrote it
	Model    string `json:"model,omitempty"`
	Provider string `json:"provider,omitempty"`
	Account  string `json:"account,omitempty"`  // name of the provider's key
	Target   string `json:"target,omitempty"`   // as the provider calls the model
	Upstream string `json:"upstream,omitempty"` // the provider's own id of the request
	Of       string `json:"of,omitempty"`       // the row that was paid for, of an answer from the cache

	Attempt int      `json:"attempt,omitempty"`
	Flags   []string `json:"flags,omitempty"`
	Outcome string   `json:"outcome"`
	Status  int      `json:"status,omitempty"`
	Waited  float64  `json:"waited_ms"`
	First   float64  `json:"first_ms,omitempty"`
	Total   float64  `json:"total_ms,omitempty"`

	Input          int64  `json:"input_tokens"`
	CacheRead      int64  `json:"cache_read_tokens,omitempty"`
	CacheWrite     int64  `json:"cache_write_tokens,omitempty"`
	CacheWriteHour int64  `json:"cache_write_hour_tokens,omitempty"`
	InputAudio     int64  `json:"input_audio_tokens,omitempty"`
	InputImage     int64  `json:"input_image_tokens,omitempty"`
	Output         int64  `json:"output_tokens"`
	Reasoning      int64  `json:"reasoning_tokens,omitempty"`
	OutputAudio    int64  `json:"output_audio_tokens,omitempty"`
	OutputImage    int64  `json:"output_image_tokens,omitempty"`
	Provenance     string `json:"provenance"`
	Tier           string `json:"tier,omitempty"`

	Price    string `json:"price,omitempty"`    // version of the prices
	Cost     string `json:"cost_usd,omitempty"` // left out if it is not known
	Reserved string `json:"reserved_usd"`
	Charge   string `json:"charge_usd"`
	Saved    string `json:"saved_usd,omitempty"`
}

// Line is the row for others.
func (r *Row) Line() Line {
	u := &r.Usage
	l := Line{
		ID: r.ID.String(), Kind: r.Kind.String(), At: r.At.UTC(), Node: r.Node, Tenant: r.Tenant, Key: r.Key, User: r.User, Request: r.Request,
		Endpoint: r.Endpoint, Dialect: r.Dialect, Asked: r.Asked, Model: r.Model, Provider: r.Provider, Account: r.Account, Target: r.Target,
		Upstream: r.Upstream, Attempt: int(r.Attempt), Flags: r.Flags.Names(), Outcome: r.Outcome.String(), Status: r.Status,
		Waited: millis(r.Waited), First: millis(r.First), Total: millis(r.Total),
		Input: u.Input, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite, CacheWriteHour: u.CacheWriteHour, InputAudio: u.InputAudio, InputImage: u.InputImage,
		Output: u.Output, Reasoning: u.Reasoning, OutputAudio: u.OutputAudio, OutputImage: u.OutputImage,
		Provenance: u.Provenance.String(), Tier: u.Tier, Reserved: dollars(r.Reserved), Charge: dollars(r.Charge),
	}
	if !r.Of.IsZero() {
		l.Of = r.Of.String()
	}
	if r.Price != 0 {
		l.Price = strconv.FormatUint(r.Price, 16)
	}
	if r.Cost.Known {
		l.Cost = dollars(r.Cost.Picodollars)
	}
	if r.Saved != 0 {
		l.Saved = dollars(r.Saved)
	}
	return l
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func dollars(picodollars int64) string { return tenant.USD(picodollars).String() }
