package chat

// JoinPairs is an encoder that gives e no text with half of a surrogate pair at its end: providers cut anywhere, and clients
// that decode each event alone read two characters that do not exist, which Python cannot write any more. A half waits for
// the rest of its text; if that does not come, it is U+FFFD.
func JoinPairs(e Encoder) Encoder { return &joiner{to: e} }

type joiner struct {
	to    Encoder
	held  Piece // without its text; its kind is 0 if nothing is held
	half  [halfLen]byte
	buf   []byte
	piece Piece // that is given to the encoder in the place of another
}

const (
	halfLen     = len(`\ud83d`)
	replacement = `\ufffd`
)

// Encode implements Encoder.
func (j *joiner) Encode(dst *Batch, p *Piece) {
	switch {
	case j.held.Kind == 0, p.Choice != j.held.Choice, p.Kind == PieceUsage:
	case p.Kind == j.held.Kind && p.Index == j.held.Index:
		j.buf = append(j.buf[:0], replacement...)
		if isHalf(p.Text, 'c', 'f') {
			copy(j.buf, j.half[:])
		}
		j.buf = append(j.buf, p.Text...)
		j.piece, j.held = *p, Piece{}
		j.piece.Text = j.buf
		p = &j.piece
	default:
		j.release(dst)
	}
	switch p.Kind {
	case PieceText, PieceRefusal, PieceReasoning, PieceArguments:
		if n := len(p.Text) - halfLen; n >= 0 && isHalf(p.Text[n:], '8', 'b') && !escapedAt(p.Text, n) {
			j.release(dst)
			copy(j.half[:], p.Text[n:])
			j.held = Piece{Kind: p.Kind, Choice: p.Choice, Index: p.Index}
			if n == 0 && p.Logprobs == nil {
				return
			}
			j.piece = *p
			j.piece.Text = p.Text[:n]
			p = &j.piece
		}
	case PieceEnd:
		j.release(dst)
	}
	j.to.Encode(dst, p)
}

// Fail implements Encoder.
func (j *joiner) Fail(dst *Batch, e *Error) {
	j.release(dst)
	j.to.Fail(dst, e)
}

// release gives what is held, alone.
func (j *joiner) release(dst *Batch) {
	if j.held.Kind != 0 {
		lone := j.held
		lone.Text, j.held = []byte(replacement), Piece{}
		j.to.Encode(dst, &lone)
	}
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
	for i := 0; i+halfLen <= len(json); i++ {
		switch {
		case json[i] != '\\':
		case isHalf(json[i:], '8', 'b') && isHalf(json[i+halfLen:], 'c', 'f'):
			i += 2*halfLen - 1
		case isHalf(json[i:], '8', 'f'):
			copy(json[i:], replacement)
			i += halfLen - 1
		default:
			i++ // what is escaped
		}
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
