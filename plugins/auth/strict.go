package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

const deepest = 16 // levels of JSON in a token

var (
	errNotObject = errors.New("it is not one JSON object")
	errDeep      = errors.New("the JSON is nested too deeply")
	errTwice     = errors.New("an object has two members of one name")
)

// strict checks that b is one object in which no name stands twice, at any depth: readers differ on which of two counts
// (RFC 7519, section 4), and whoever signed it may have been shown the other.
func strict(b []byte) error {
	if !utf8.Valid(b) {
		return errNotObject
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errNotObject
	}
	if err := members(d, 1); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errNotObject
	}
	return nil
}

// members reads what follows a "{", with the "}".
func members(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return errNotObject
		}
		if seen[name] {
			return errTwice
		}
		seen[name] = true
		if err := value(d, depth); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// value reads one value.
func value(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if _, nested := t.(json.Delim); nested && depth == deepest {
		return errDeep
	}
	switch t {
	case json.Delim('{'):
		return members(d, depth+1)
	case json.Delim('['):
		for d.More() {
			if err := value(d, depth+1); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}
