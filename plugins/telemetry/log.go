package telemetry

import (
	"encoding/hex"
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Bounds of text that others wrote, in bytes.
const (
	mostName  = 200
	mostError = 500
)

// write adds the exchange's line to the log: a warning if it failed by the gateway's or a provider's fault.
func (r *record) write() {
	level := zapcore.InfoLevel
	if r.warns() {
		level = zapcore.WarnLevel
	}
	if entry := r.p.log.Check(level, "exchange"); entry != nil {
		entry.Write(zap.Inline(r))
	}
}

// line is the part of zapcore.ObjectEncoder that records need.
type line interface {
	AddString(key, value string)
	AddInt(key string, value int)
	AddInt64(key string, value int64)
	AddFloat64(key string, value float64)
	AddBool(key string, value bool)
	AddArray(key string, list zapcore.ArrayMarshaler) error
}

// MarshalLogObject implements zapcore.ObjectMarshaler: the record writes itself into the line, without fields in between.
func (r *record) MarshalLogObject(to zapcore.ObjectEncoder) error { return r.describe(to) }

func (r *record) describe(to line) error {
	x := r.x
	to.AddString("id", x.ID)
	if r.traced != "" || !x.Trace.Parent.IsZero() {
		to.AddString("trace_id", r.traceID())
	}
	to.AddString("endpoint", x.Request.Endpoint.Name)
	if t := x.Caller.Tenant; t != nil {
		to.AddString("tenant", string(t.ID))
	}
	add(to, "key", x.Caller.Key)
	add(to, "user", x.Caller.User)
	add(to, "model", x.Request.Model())
	last := r.last()
	if last != nil {
		to.AddString("provider", last.Provider)
		add(to, "target_model", last.Model)
		add(to, "upstream_request_id", last.RequestID)
		if last.Resent {
			to.AddBool("resent", true)
		}
		addWait(to, last)
	}
	to.AddInt("status", r.status)
	if r.aborted {
		to.AddBool("aborted", true)
	}
	if x.Request.Stream() {
		to.AddBool("stream", true)
	}
	if x.Replay != nil {
		to.AddString("cache", x.Replay.How.String())
	}
	if e := r.err; e != nil {
		if x.Client.IsValid() {
			to.AddString("client", x.Client.String())
		}
		add(to, "error_code", e.Code)
		to.AddString("error_origin", e.Origin.String())
		if text := reason(e); text != "" {
			to.AddString("error", text)
		}
	}
	if r.first > 0 {
		to.AddFloat64("first_ms", milliseconds(r.first))
	}
	to.AddFloat64("total_ms", milliseconds(r.total))
	addUsage(to, &x.Usage)
	if last == nil {
		return nil
	}
	addCost(to, x.Cost())
	attempts := x.Attempts()
	to.AddInt("attempts", len(attempts))
	if len(attempts) > 1 {
		return to.AddArray("tries", tries{r})
	}
	return nil
}

// traceID is the trace's id as all tools write it.
func (r *record) traceID() string { return hex.EncodeToString(r.x.Trace.ID[:]) }

// tries are the attempts of an exchange that had more than one.
type tries struct{ r *record }

// MarshalLogArray implements zapcore.ArrayMarshaler.
func (t tries) MarshalLogArray(list zapcore.ArrayEncoder) error {
	for _, a := range t.r.x.Attempts() {
		if err := list.AppendObject(try{t.r, a}); err != nil {
			return err
		}
	}
	return nil
}

type try struct {
	r *record
	a *gateway.Attempt
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (t try) MarshalLogObject(to zapcore.ObjectEncoder) error {
	a := t.a
	to.AddString("provider", a.Provider)
	add(to, "key", a.Key)
	add(to, "target_model", a.Model)
	to.AddString("outcome", t.r.outcome(a))
	if a.Status > 0 {
		to.AddInt("status", a.Status)
	}
	if a.Resent {
		to.AddBool("resent", true)
	}
	if a.Hedged {
		to.AddBool("hedged", true)
	}
	addWait(to, a)
	to.AddFloat64("at_ms", milliseconds(a.Start.Sub(t.r.x.Start)))
	if a.First > 0 {
		to.AddFloat64("first_ms", milliseconds(a.First))
	}
	if a.Err != nil {
		if text := reason(gateway.AsError(a.Err)); text != "" {
			to.AddString("error", text)
		}
	}
	to.AddFloat64("total_ms", milliseconds(a.Total))
	addCost(to, a.Cost)
	return nil
}

// addWait adds how long an attempt had to wait for its provider to have room, or to be asked again.
func addWait(to line, a *gateway.Attempt) {
	if a.Waited >= time.Millisecond {
		to.AddFloat64("waited_ms", milliseconds(a.Waited))
	}
}

// addCost adds a cost in dollars, whose decimals are exact, or why it is not known.
func addCost(to line, c catalog.Cost) {
	if c.Known {
		to.AddFloat64("cost_usd", usd(c))
		return
	}
	to.AddString("cost", "unknown")
	why := c.Why.String()
	if c.Why == catalog.NoRate {
		why += ": " + c.Class.String()
	}
	to.AddString("cost_reason", why)
}

func addUsage(to line, u *chat.Usage) {
	if u.Provenance == chat.Unknown {
		return
	}
	some := func(key string, n int64) {
		if n > 0 {
			to.AddInt64(key, n)
		}
	}
	to.AddString("usage", u.Provenance.String())
	to.AddInt64("input_tokens", u.Input)
	some("cache_read_tokens", u.CacheRead)
	some("cache_write_tokens", u.CacheWrite)
	some("cache_write_hour_tokens", u.CacheWriteHour)
	some("input_audio_tokens", u.InputAudio)
	some("input_image_tokens", u.InputImage)
	to.AddInt64("output_tokens", u.Output)
	some("reasoning_tokens", u.Reasoning)
	some("output_audio_tokens", u.OutputAudio)
	some("output_image_tokens", u.OutputImage)
	some("recording_ms", u.Duration.Milliseconds())
	add(to, "service_tier", u.Tier)
}

// add adds text that others wrote, unless it is empty.
func add(to line, key, text string) {
	if text != "" {
		to.AddString(key, clean(text, mostName))
	}
}

// reason is the inner text of an error. A provider's own words, which come with a code of its own, are left out.
func reason(e *gateway.Error) string {
	if e.Err == nil || e.Origin == gateway.OriginUpstream && word(e) == "error" && e.Code != gateway.CodeBroken {
		return ""
	}
	return clean(e.Err.Error(), mostError)
}

// clean bounds text, and takes out what zap does not escape although a terminal obeys it: C1 controls, and characters
// that turn the direction of writing.
func clean(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	for i := range len(s) {
		if s[i] >= 0x7f {
			return strings.Map(harmless, s)
		}
	}
	return s
}

func harmless(r rune) rune {
	if r >= 0x7f && !unicode.IsPrint(r) {
		return unicode.ReplacementChar
	}
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
