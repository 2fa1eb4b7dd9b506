package main

import (
	"bytes"
	"time"
)

// script is what a model name asks for.
type script struct {
	delay  time.Duration // before the first byte
	gap    time.Duration // between chunks
	chunks int
	size   int // of a reply that is no stream, bytes
	status int // of an error; 0: none
	cut    int // chunks before the connection is cut; -1: never
}

// The longest number that a model name may carry; whatever is longer is no part of the grammar.
const maxDigits = 9

// parseModel reads a model name. A part that is not of the grammar (the package comment has it) changes nothing, so that
// a name may carry a date. The last of two equal letters counts.
func parseModel(name []byte) script {
	s := script{chunks: 64, size: 1024, cut: -1}
	_, rest, _ := bytes.Cut(name, []byte("-"))
	for len(rest) > 0 {
		var part []byte
		part, rest, _ = bytes.Cut(rest, []byte("-"))
		n, ok := number(part[min(1, len(part)):])
		if !ok {
			continue
		}
		switch part[0] {
		case 'd':
			s.delay = time.Duration(n) * time.Millisecond
		case 'i':
			s.gap = time.Duration(n) * time.Millisecond
		case 'n':
			s.chunks = n
		case 's':
			s.size = n
		case 'e':
			s.status = n
		case 'x':
			s.cut = n
		}
	}
	return s
}

func number(digits []byte) (n int, ok bool) {
	if len(digits) == 0 || len(digits) > maxDigits {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// findModel finds the model name in a request without decoding it: the first "model" that is a key. That is enough for
// requests of our own load generator, and costs next to nothing.
func findModel(body []byte) []byte {
	_, rest, found := bytes.Cut(body, []byte(`"model":`))
	if !found {
		return nil
	}
	rest, found = bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
	if !found {
		return nil
	}
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	return name
}

// asks says whether the request sets the switch: a key, without quotes, whose value is true.
func asks(body []byte, key string) bool {
	_, rest, found := bytes.Cut(body, []byte(`"`+key+`":`))
	return found && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte("true"))
}
