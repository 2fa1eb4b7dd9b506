package chat

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// JoinPairs is an encoder that gives e no half of a surrogate pair: providers cut texts anywhere, and clients that decode each
// event alone read two characters that do not exist, which Python cannot write any more. A half at the end of a piece waits
// for the rest of its text; if that does not come, it is U+FFFD, as is a half elsewhere.
func JoinPairs(e Encoder) Encoder { return &joiner{to: e} }

type joiner struct {
	to    Encoder
	held  []half
	buf   []byte
	piece Piece // that is given to the encoder in the place of another
}

// half is the first of a pair, whose second has not come.
type half struct {
	kind          PieceKind
	choice, index int
	text          [halfLen]byte
}

const (
	halfLen     = len(`\ud83d`)
	replacement = `\ufffd`
)

// Encode implements Encoder.
func (j *joiner) Encode(dst *Batch, p *Piece) {
	first, waited := half{}, false
	if len(j.held) > 0 {
		first, waited = j.settle(dst, p)
	}
	switch p.Kind {
	case PieceText, PieceRefusal, PieceReasoning, PieceArguments:
		if waited || bytes.IndexByte(p.Text, '\\') >= 0 {
			if p = j.whole(p, first.text[:], waited); p == nil {
				return
			}
		}
	}
	j.to.Encode(dst, p)
}

// Fail implements Encoder.
func (j *joiner) Fail(dst *Batch, e *Error) {
	j.settle(dst, &Piece{Kind: PieceEnd})
	j.to.Fail(dst, e)
}

// settle finds the half that p continues, and gives alone those that nothing will continue behind p.
func (j *joiner) settle(dst *Batch, p *Piece) (first half, waited bool) {
	for i := 0; i < len(j.held); {
		h := j.held[i]
		switch {
		case h.kind == p.Kind && h.choice == p.Choice && h.index == p.Index:
			if len(p.Text) == 0 {
				i++
				continue
			}
			first, waited = h, true
		case h.ends(p):
			j.piece = Piece{Kind: h.kind, Choice: h.choice, Index: h.index, Text: append(j.buf[:0], replacement...)}
			j.buf = j.piece.Text
			j.to.Encode(dst, &j.piece)
		default:
			i++
			continue
		}
		j.held = slices.Delete(j.held, i, i+1)
	}
	return first, waited
}

// ends says whether the text of a half ends with p: arguments of several calls interleave, and so do choices, while what is
// said is ended by what is said or called next.
func (h *half) ends(p *Piece) bool {
	switch p.Kind {
	case PieceEnd:
		return true
	case PieceFinish:
		return h.choice == p.Choice
	case PieceText, PieceRefusal, PieceReasoning, PieceRedacted, PieceImage, PieceCall:
		return h.choice == p.Choice && h.kind != PieceArguments
	case PieceSignature:
		return h.choice == p.Choice && h.kind != PieceArguments && p.Call == nil
	}
	return false
}

// whole is p with nothing but whole pairs: with the half that waited for it in front, and without the one at its end. It is
// nil if nothing is left. p itself stays as it is.
func (j *joiner) whole(p *Piece, first []byte, waited bool) *Piece {
	text := p.Text
	if n := len(text) - halfLen; n >= 0 && isHalf(text[n:], '8', 'b') && !escapedAt(text, n) {
		h := half{kind: p.Kind, choice: p.Choice, index: p.Index}
		copy(h.text[:], text[n:])
		j.held = append(j.held, h)
		text = text[:n]
	}
	switch {
	case waited:
		j.buf = append(append(j.buf[:0], first...), text...)
		text = j.buf
		MendPairs(text)
	case loneHalf(text) < len(text):
		j.buf = append(j.buf[:0], text...)
		text = j.buf
		MendPairs(text)
	case len(text) == len(p.Text):
		return p
	}
	if len(text) == 0 && p.Logprobs == nil {
		return nil
	}
	j.piece = *p
	j.piece.Text = text
	return &j.piece
}

// isHalf says whether a text begins with the escape of a surrogate whose second digit is from one to another: 8 to b for
// those that begin a pair, c to f for those that end it.
func isHalf(text []byte, from, to byte) bool {
	if len(text) < halfLen || text[0] != '\\' || text[1] != 'u' || text[2]|0x20 != 'd' {
		return false
	}
	c := text[3]
	if c >= 'A' {
		c |= 0x20
	}
	return from <= c && c <= to && (c <= '9' || c >= 'a')
}

// MendPairs makes U+FFFD of the escapes of surrogates in JSON that are no pairs, in place.
func MendPairs(json []byte) {
	for {
		if json = json[loneHalf(json):]; len(json) == 0 {
			return
		}
		copy(json, replacement)
	}
}

// loneHalf is where JSON has the first escape of a surrogate that is no part of a pair; its length if there is none.
func loneHalf(json []byte) int {
	i := 0
	for i+halfLen <= len(json) {
		switch {
		case json[i] != '\\':
			next := bytes.IndexByte(json[i:], '\\')
			if next < 0 {
				return len(json)
			}
			i += next
		case isHalf(json[i:], '8', 'b') && isHalf(json[i+halfLen:], 'c', 'f'):
			i += 2 * halfLen
		case isHalf(json[i:], '8', 'f'):
			return i
		default:
			i += 2 // what is escaped
		}
	}
	return len(json)
}

// Characters counts those of the inside of a JSON string, or of a piece of it: code points, as places of citations count them.
func Characters(inside []byte) int {
	n := utf8.RuneCount(inside)
	for {
		i := bytes.IndexByte(inside, '\\')
		if i < 0 || i+1 == len(inside) {
			return n
		}
		inside = inside[i:]
		size := 2
		if inside[1] == 'u' {
			size = min(halfLen, len(inside))
		}
		if n -= size - 1; isHalf(inside, 'c', 'f') { // with the half before it, one
			n--
		}
		inside = inside[size:]
	}
}

// escapedAt says whether the backslash at i is itself escaped.
func escapedAt(text []byte, i int) bool {
	n := 0
	for i--; i >= 0 && text[i] == '\\'; i-- {
		n++
	}
	return n&1 != 0
}
