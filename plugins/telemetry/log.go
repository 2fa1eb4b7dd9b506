package telemetry

import (
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/gateway"
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
	if r.status >= 500 || r.aborted {
		level = zapcore.WarnLevel
	}
	if line := r.p.log.Check(level, "exchange"); line != nil {
		line.Write(zap.Inline(r))
	}
}

// MarshalLogObject implements zapcore.ObjectMarshaler: the record writes itself into the line, without fields in between.
func (r *record) MarshalLogObject(line zapcore.ObjectEncoder) error {
	x := r.x
	line.AddString("id", x.ID)
	line.AddString("endpoint", x.Request.Endpoint.Name)
	if t := x.Caller.Tenant; t != nil {
		line.AddString("tenant", t.ID)
	}
	add(line, "key", x.Caller.Key)
	add(line, "subject", x.Caller.Subject)
	add(line, "model", x.Request.Model())
	last := r.last()
	if last != nil {
		line.AddString("provider", last.Provider)
		add(line, "target_model", last.Model)
		add(line, "upstream_request_id", last.RequestID)
		if last.Resent {
			line.AddBool("resent", true)
		}
	}
	line.AddInt("status", r.status)
	if r.aborted {
		line.AddBool("aborted", true)
	}
	if x.Request.Stream() {
		line.AddBool("stream", true)
	}
	if e := r.err; e != nil {
		if x.Client.IsValid() {
			line.AddString("client", x.Client.String())
		}
		add(line, "error_code", e.Code)
		line.AddString("error_origin", e.Origin.String())
		if text := reason(e); text != "" {
			line.AddString("error", text)
		}
	}
	if r.first > 0 {
		line.AddFloat64("first_ms", milliseconds(r.first))
	}
	line.AddFloat64("total_ms", milliseconds(r.total))
	addUsage(line, &x.Usage)
	if last == nil {
		return nil
	}
	attempts := x.Attempts()
	line.AddInt("attempts", len(attempts))
	if len(attempts) > 1 {
		return line.AddArray("tries", tries{r})
	}
	return nil
}

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
func (t try) MarshalLogObject(line zapcore.ObjectEncoder) error {
	a := t.a
	line.AddString("provider", a.Provider)
	add(line, "key", a.Key)
	add(line, "target_model", a.Model)
	line.AddString("outcome", t.r.outcome(a))
	if a.Status > 0 {
		line.AddInt("status", a.Status)
	}
	if a.Resent {
		line.AddBool("resent", true)
	}
	if a.Err != nil {
		if text := reason(gateway.AsError(a.Err)); text != "" {
			line.AddString("error", text)
		}
	}
	line.AddFloat64("total_ms", milliseconds(a.Total))
	return nil
}

func addUsage(line zapcore.ObjectEncoder, u *chat.Usage) {
	if u.Provenance == chat.Unknown {
		return
	}
	line.AddString("usage", u.Provenance.String())
	line.AddInt64("input_tokens", u.Input)
	if u.CacheRead > 0 {
		line.AddInt64("cache_read_tokens", u.CacheRead)
	}
	if u.CacheWrite > 0 {
		line.AddInt64("cache_write_tokens", u.CacheWrite)
	}
	line.AddInt64("output_tokens", u.Output)
	if u.Reasoning > 0 {
		line.AddInt64("reasoning_tokens", u.Reasoning)
	}
}

// add adds text that others wrote, unless it is empty.
func add(line zapcore.ObjectEncoder, key, text string) {
	if text != "" {
		line.AddString(key, clean(text, mostName))
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
