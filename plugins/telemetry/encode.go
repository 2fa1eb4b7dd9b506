package telemetry

import (
	"math"
	"strconv"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

// Encoder is json, one of zap's JSON encoders, made faster for the lines of exchanges, which are nearly all of a busy
// log. Other entries are left to json, and so are exchanges with anything to escape or to nest; the bytes are the same
// either way.
func Encoder(json zapcore.Encoder) zapcore.Encoder { return &encoder{json} }

type encoder struct{ zapcore.Encoder }

const lineEnd = "}" + zapcore.DefaultLineEnding

// EncodeEntry implements zapcore.Encoder.
func (e *encoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	if len(fields) != 1 {
		return e.Encoder.EncodeEntry(entry, fields)
	}
	r, ok := fields[0].Interface.(*record)
	if !ok {
		return e.Encoder.EncodeEntry(entry, fields)
	}
	line, err := e.Encoder.EncodeEntry(entry, nil)
	if err != nil {
		return nil, err
	}
	head := line.Bytes()
	r.plain = plain{b: head[:len(head)-len(lineEnd)]}
	if err := r.describe(&r.plain); err != nil || r.plain.unable {
		line.Free()
		return e.Encoder.EncodeEntry(entry, fields)
	}
	line.Reset()
	line.AppendBytes(append(r.plain.b, lineEnd...)) // mostly in the place where it is already
	r.plain.b = nil
	return line, nil
}

// plain adds members to a JSON object that has some already. It knows no escapes: its keys need none, and a value that
// does makes it unable. It is part of a record only because it would be an allocation of its own.
type plain struct {
	b      []byte
	unable bool
}

var _ line = (*plain)(nil)

// AddString adds a string.
func (p *plain) AddString(key, value string) {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			p.unable = true
			return
		}
	}
	p.b = append(append(append(p.key(key), '"'), value...), '"')
}

func (p *plain) key(key string) []byte {
	return append(append(append(p.b, `,"`...), key...), `":`...)
}

// AddInt adds a whole number.
func (p *plain) AddInt(key string, value int) { p.AddInt64(key, int64(value)) }

// AddInt64 adds a whole number.
func (p *plain) AddInt64(key string, value int64) { p.b = strconv.AppendInt(p.key(key), value, 10) }

// AddBool adds true or false.
func (p *plain) AddBool(key string, value bool) { p.b = strconv.AppendBool(p.key(key), value) }

// AddFloat64 adds a number of thousandths, such as microseconds in milliseconds, or of picodollars in dollars.
func (p *plain) AddFloat64(key string, value float64) {
	n := int64(math.Round(value * 1000))
	if n < 0 || float64(n)/1000 != value {
		p.addUSD(key, value)
		return
	}
	b := strconv.AppendInt(p.key(key), n/1000, 10)
	if n %= 1000; n > 0 {
		b = append(b, '.', byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	p.b = b
}

// addUSD adds a number with up to 12 decimals and 15 digits, which a float tells apart from all others of that length: the
// shortest that reads as the float is the exact amount.
func (p *plain) addUSD(key string, value float64) {
	n := int64(math.Round(value * 1e12))
	if n < 0 || n >= 1e15 || float64(n)/1e12 != value {
		p.unable = true
		return
	}
	p.b = catalog.AppendUSD(p.key(key), n)
}

// AddArray is more than it can do.
func (p *plain) AddArray(string, zapcore.ArrayMarshaler) error {
	p.unable = true
	return nil
}
