package ledger

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// rowJSON is a row as others read it, and as the admin API has it: amounts are decimals of US dollars, exactly, and times are
// milliseconds.
type rowJSON struct {
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

	Asked    string `json:"asked,omitempty"`
	Model    string `json:"model,omitempty"`
	Provider string `json:"provider,omitempty"`
	Account  string `json:"account,omitempty"`
	Target   string `json:"target,omitempty"`
	Upstream string `json:"upstream,omitempty"`
	Of       string `json:"of,omitempty"`

	Attempt uint8    `json:"attempt,omitempty"`
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

	Price    string `json:"price,omitempty"`
	Cost     string `json:"cost_usd,omitempty"`
	Reserved string `json:"reserved_usd"`
	Charge   string `json:"charge_usd"`
	Saved    string `json:"saved_usd,omitempty"`
}

// MarshalJSON writes the row for other systems. A cost_usd that is left out is not known; what else is left out is empty or zero.
func (r *Row) MarshalJSON() ([]byte, error) {
	u := &r.Usage
	j := rowJSON{
		ID: r.ID.String(), Kind: r.Kind.String(), At: r.At.UTC(), Node: r.Node, Tenant: r.Tenant, Key: r.Key, User: r.User, Request: r.Request,
		Endpoint: r.Endpoint, Dialect: r.Dialect, Asked: r.Asked, Model: r.Model, Provider: r.Provider, Account: r.Account, Target: r.Target,
		Upstream: r.Upstream, Attempt: r.Attempt, Flags: r.Flags.Names(), Outcome: r.Outcome.String(), Status: r.Status,
		Waited: millis(r.Waited), First: millis(r.First), Total: millis(r.Total),
		Input: u.Input, CacheRead: u.CacheRead, CacheWrite: u.CacheWrite, CacheWriteHour: u.CacheWriteHour, InputAudio: u.InputAudio, InputImage: u.InputImage,
		Output: u.Output, Reasoning: u.Reasoning, OutputAudio: u.OutputAudio, OutputImage: u.OutputImage,
		Provenance: u.Provenance.String(), Tier: u.Tier, Reserved: dollars(r.Reserved), Charge: dollars(r.Charge),
	}
	if !r.Of.IsZero() {
		j.Of = r.Of.String()
	}
	if r.Price != 0 {
		j.Price = strconv.FormatUint(r.Price, 16)
	}
	if r.Cost.Known {
		j.Cost = dollars(r.Cost.Picodollars)
	}
	if r.Saved != 0 {
		j.Saved = dollars(r.Saved)
	}
	return json.Marshal(j)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func dollars(picodollars int64) string { return string(catalog.AppendUSD(nil, picodollars)) }
