package telemetry

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

const (
	remembered = 1000                  // exchanges
	sampled    = 20 * time.Millisecond // between two that are remembered although nobody looks
	looking    = 2 * time.Minute       // how long somebody who has asked counts as looking on
	mostSteps  = 8                     // plugins of the default chain, and the forwarder
)

// recent remembers the latest exchanges: all of them while somebody looks on, else those that failed and at most fifty a second, so
// that a busy gateway does not pay for what nobody sees.
type recent struct {
	encoder zapcore.Encoder
	until   atomic.Int64 // as long as somebody looks on, a gateway.Instant
	latest  atomic.Int64 // when one was last chosen although nobody does

	mu   sync.Mutex
	seq  uint64
	ring []gateway.Ended // the exchange seq is at seq modulo its length
	news chan struct{}   // closed at the next; nil if nobody waits
}

func newRecent() *recent {
	return &recent{
		ring: make([]gateway.Ended, remembered),
		encoder: zapcore.NewJSONEncoder(zapcore.EncoderConfig{
			TimeKey: "time", EncodeTime: zapcore.RFC3339NanoTimeEncoder, EncodeDuration: zapcore.SecondsDurationEncoder, SkipLineEnding: true,
		}),
	}
}

// wants says whether an exchange that begins is to be remembered however it ends.
func (m *recent) wants(now gateway.Instant) bool {
	if until := m.until.Load(); until != 0 && int64(now) < until {
		return true
	}
	at := m.latest.Load()
	return (at == 0 || now.Sub(gateway.Instant(at)) >= sampled) && m.latest.CompareAndSwap(at, int64(now))
}

// add remembers what a record says.
func (m *recent) add(r *record) {
	line, err := m.encoder.EncodeEntry(zapcore.Entry{Time: r.x.Start.Time().UTC()}, []zapcore.Field{{Type: zapcore.InlineMarshalerType, Interface: detailed{r}}})
	if err != nil {
		return // words and numbers: it does not happen
	}
	defer line.Free()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	m.ring[m.seq%remembered] = gateway.Ended{Seq: m.seq, Tenant: tenantOf(r.x), Line: slices.Clone(line.Bytes())}
	if m.news != nil {
		close(m.news)
		m.news = nil
	}
}

func tenantOf(x *gateway.Exchange) tenant.ID {
	if x.Caller.Tenant == nil {
		return ""
	}
	return x.Caller.Tenant.ID
}

// Recent implements gateway.Recent.
func (p *Plugin) Recent(after uint64) (list []gateway.Ended, news <-chan struct{}) {
	m := p.recent
	m.until.Store(int64(gateway.Now().Add(looking)))
	m.mu.Lock()
	defer m.mu.Unlock()
	if after > m.seq { // of another process
		after = 0
	}
	if m.seq > remembered {
		after = max(after, m.seq-remembered)
	}
	for seq := after + 1; seq <= m.seq; seq++ {
		list = append(list, m.ring[seq%remembered])
	}
	if m.news == nil {
		m.news = make(chan struct{})
	}
	return list, m.news
}

// detailed is a record as it is remembered: its line, and where its time went.
type detailed struct{ r *record }

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (d detailed) MarshalLogObject(to zapcore.ObjectEncoder) error {
	r := d.r
	if err := r.describe(to); err != nil {
		return err
	}
	if n := len(r.x.Attempts()); n == 1 { // more are in the line
		if err := to.AddArray("tries", tries{r}); err != nil {
			return err
		}
	}
	if len(r.x.Steps) == 0 {
		return nil
	}
	return to.AddArray("steps", steps{r.x})
}

// steps are the plugins that an exchange came to, with the time from its beginning until then.
type steps struct{ x *gateway.Exchange }

// MarshalLogArray implements zapcore.ArrayMarshaler.
func (s steps) MarshalLogArray(list zapcore.ArrayEncoder) error {
	for _, step := range s.x.Steps {
		err := list.AppendObject(zapcore.ObjectMarshalerFunc(func(to zapcore.ObjectEncoder) error {
			to.AddString("name", step.Name)
			to.AddFloat64("at_ms", milliseconds(step.Start.Sub(s.x.Start)))
			return nil
		}))
		if err != nil {
			return err
		}
	}
	return nil
}
