package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// rowJSON is a row as others read it: amounts are decimals of US dollars, exactly, and times milliseconds.
type rowJSON struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"`
	At       *time.Time `json:"at,omitempty"`
	Node     string     `json:"node"`
	Tenant   string     `json:"tenant"`
	Key      string     `json:"key,omitempty"`
	User     string     `json:"user,omitempty"`
	Request  string     `json:"request_id"`
	Endpoint string     `json:"endpoint"`
	Dialect  string     `json:"dialect"`
	Asked    string     `json:"asked,omitempty"`
	Model    string     `json:"model,omitempty"`
	Provider string     `json:"provider,omitempty"`
	Account  string     `json:"account,omitempty"`
	Target   string     `json:"target_model,omitempty"`
	Upstream string     `json:"upstream_request_id,omitempty"`
	Of       string     `json:"replay_of,omitempty"`
	Attempt  uint8      `json:"attempt"`
	Flags    []string   `json:"flags,omitempty"`
	Outcome  string     `json:"outcome"`
	Status   int        `json:"status,omitempty"`
	Waited   float64    `json:"waited_ms,omitempty"`
	First    float64    `json:"first_ms,omitempty"`
	Total    float64    `json:"total_ms,omitempty"`
	Usage    usageJSON  `json:"usage"`
	Price    string     `json:"price,omitempty"`        // version, in hexadecimal digits
	Cost     *string    `json:"cost_usd"`               // null if it is not known
	Why      string     `json:"cost_unknown,omitempty"` // why it is not
	Reserved string     `json:"reserved_usd,omitempty"`
	Charge   string     `json:"charge_usd"`
	Saved    string     `json:"saved_usd,omitempty"`
}

type usageJSON struct {
	Provenance     string  `json:"provenance"`
	Input          int64   `json:"input,omitempty"`
	CacheRead      int64   `json:"cache_read,omitempty"`
	CacheWrite     int64   `json:"cache_write,omitempty"`
	CacheWriteHour int64   `json:"cache_write_hour,omitempty"`
	InputAudio     int64   `json:"input_audio,omitempty"`
	InputImage     int64   `json:"input_image,omitempty"`
	Output         int64   `json:"output,omitempty"`
	Reasoning      int64   `json:"reasoning,omitempty"`
	OutputAudio    int64   `json:"output_audio,omitempty"`
	OutputImage    int64   `json:"output_image,omitempty"`
	Duration       float64 `json:"duration_ms,omitempty"`
	Tier           string  `json:"tier,omitempty"`
}

// MarshalJSON writes the row for other systems. What is left out is empty, or zero; but a cost that is not known is null, and
// cost_unknown says why.
func (r *Row) MarshalJSON() ([]byte, error) {
	u := &r.Usage
	j := rowJSON{
		ID: r.ID.String(), Kind: r.Kind.String(), Node: r.Node, Tenant: string(r.Tenant), Key: r.Key, User: r.User, Request: r.Request,
		Endpoint: r.Endpoint, Dialect: r.Dialect, Asked: r.Asked, Model: r.Model, Provider: r.Provider, Account: r.Account, Target: r.Target,
		Upstream: r.Upstream, Attempt: r.Attempt, Flags: r.Flags.Names(), Outcome: r.Outcome.String(), Status: r.Status,
		Waited: millis(r.Waited), First: millis(r.First), Total: millis(r.Total),
		Usage: usageJSON{
			u.Provenance.String(), u.Input, u.CacheRead, u.CacheWrite, u.CacheWriteHour, u.InputAudio, u.InputImage,
			u.Output, u.Reasoning, u.OutputAudio, u.OutputImage, millis(u.Duration), u.Tier,
		},
		Reserved: dollars(r.Reserved), Charge: string(catalog.AppendUSD(nil, r.Charge)), Saved: dollars(r.Saved),
	}
	if !r.At.IsZero() {
		j.At = &r.At
	}
	if !r.Of.IsZero() {
		j.Of = r.Of.String()
	}
	if r.Price != 0 {
		j.Price = fmt.Sprintf("%016x", r.Price)
	}
	if cost := r.Cost.USD(); r.Cost.Known {
		j.Cost = &cost
	} else {
		j.Why = r.Cost.Why.String()
	}
	return json.Marshal(j)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// dollars is an amount, but "" for none.
func dollars(picodollars int64) string {
	if picodollars == 0 {
		return ""
	}
	return string(catalog.AppendUSD(nil, picodollars))
}
