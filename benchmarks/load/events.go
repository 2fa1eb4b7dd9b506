package main

import "bytes"

// sight is what a line of a stream, or a whole reply, shows.
type sight int

const (
	nothing sight = iota // a comment, a blank line, an event that does not matter here
	first                // the first chunk; number: how long the request was in the mock, ns
	content              // a content chunk; number: when it was written, ns since 1970
	usage                // the usage chunk
	done                 // [DONE]
	other                // any other event, such as the finish
)

// look recognizes what the mock writes (its package comment says what) without decoding JSON.
func look(line []byte) (s sight, number int64) {
	data, found := bytes.CutPrefix(line, []byte("data:"))
	if !found {
		return nothing, 0
	}
	if n, ok := stamp(data, `"content":"t`); ok {
		return content, n
	}
	if n, ok := stamp(data, `"content":"f`); ok {
		return first, n
	}
	switch {
	case bytes.Equal(bytes.TrimSpace(data), []byte("[DONE]")):
		return done, 0
	case bytes.Contains(data, []byte(`"usage":{`)):
		return usage, 0
	}
	return other, 0
}

// stamp reads the 19 digits behind mark.
func stamp(b []byte, mark string) (int64, bool) {
	const digits = 19
	_, rest, found := bytes.Cut(b, []byte(mark))
	if !found || len(rest) < digits {
		return 0, false
	}
	var n int64
	for _, c := range rest[:digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// lines cuts bytes into lines, whatever the pieces they arrive in.
type lines struct{ rest []byte }

// write passes each line that is complete to f, without its end (LF or CRLF). A line is valid during the call.
func (l *lines) write(piece []byte, f func(line []byte)) {
	for {
		i := bytes.IndexByte(piece, '\n')
		if i < 0 {
			l.rest = append(l.rest, piece...)
			return
		}
		line := piece[:i]
		if len(l.rest) > 0 {
			l.rest = append(l.rest, line...)
			line = l.rest
		}
		f(bytes.TrimSuffix(line, []byte("\r")))
		l.rest = l.rest[:0]
		piece = piece[i+1:]
	}
}
