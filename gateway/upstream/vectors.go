package upstream

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

var (
	embeddingKey   = []byte(`"embedding"`)
	encodingFormat = []byte(`"encoding_format"`)
)

// vectors gives a reply's embeddings in the encoding that was asked for, lists of numbers or base64 of little-endian float32:
// not every provider heeds encoding_format, and OpenAI's clients ask for base64 unless their caller names another. What has it
// already, and what is neither, stays as it is.
func (st *stream) vectors(data []byte) []byte {
	body := st.x.Request.Body()
	packed := false
	switch format := peek.Find(body, encodingFormat); string(format) {
	case `"base64"`:
		packed = true
	case "", "null", `"float"`:
	default:
		return data
	}
	if is, found := arePacked(data); !found || is == packed || peek.Find(body, []byte(`"output_dtype"`)) != nil { // Mistral's other numbers
		return data
	}
	var e []peek.Edit
	size := 0
	sure := true
	peek.Elements(peek.Find(data, []byte(`"data"`)), func(one []byte) bool {
		v := peek.Find(one, embeddingKey)
		if len(v) == 0 {
			return true
		}
		var text []byte
		switch {
		case packed && v[0] == '[':
			text, sure = pack(v)
		case !packed && v[0] == '"':
			text, sure = unpack(v)
		default:
			return true
		}
		if size += len(text); size > st.p.c.MaxBody {
			st.err = errTooLarge
		}
		at := cap(data) - cap(v)
		e = append(e, peek.Edit{At: at, End: at + len(v), Text: string(text)})
		return sure && st.err == nil
	})
	if !sure || st.err != nil {
		return data
	}
	st.mender.replaced = true
	return peek.Append(nil, data, e)
}

// arePacked says whether the embeddings of a reply are strings, by the first of them. Nothing but a key can stand before a
// colon, so nothing is parsed to see that.
func arePacked(data []byte) (packed, found bool) {
	for {
		_, rest, ok := bytes.Cut(data, embeddingKey)
		if !ok {
			return false, false
		}
		data = rest
		if v, ok := bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(":")); ok {
			v = bytes.TrimLeft(v, " \t\r\n")
			return bytes.HasPrefix(v, []byte(`"`)), true
		}
	}
}

// pack makes base64 of a list of numbers; false if something in it is none, or too large for a float32.
func pack(v []byte) (text []byte, ok bool) {
	raw := make([]byte, 0, 4*(1+bytes.Count(v, []byte(","))))
	ok = true
	peek.Elements(v, func(one []byte) bool {
		f, err := strconv.ParseFloat(string(one), 32)
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(f)))
		ok = err == nil
		return ok
	})
	text = append(make([]byte, 0, 2+base64.StdEncoding.EncodedLen(len(raw))), '"')
	return append(base64.StdEncoding.AppendEncode(text, raw), '"'), ok
}

// unpack makes a list of numbers of base64; false if it is none, or if one of them is not finite, for which JSON has no word.
func unpack(v []byte) (text []byte, ok bool) {
	s, _ := peek.String(v)
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw)%4 != 0 {
		return nil, false
	}
	text = append(make([]byte, 0, 4*len(raw)), '[')
	for at := 0; at < len(raw); at += 4 {
		f := float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[at:])))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, false
		}
		if at > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendFloat(text, f, 'g', -1, 32)
	}
	return append(text, ']'), true
}
