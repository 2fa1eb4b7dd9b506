package openai

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// fault says what is wrong with a request, and where: messages[2].content[0].type.
type fault struct{ path, text string }

// in puts the fault into the member or element of that name.
func (f *fault) in(name string) *fault {
	if f == nil {
		return nil
	}
	if f.path != "" && f.path[0] != '[' {
		name += "."
	}
	f.path = name + f.path
	return f
}

func (f *fault) message() string {
	if f.path == "" {
		return f.text
	}
	return f.path + ": " + f.text
}

func must(what string) *fault { return &fault{text: "must be " + what} }

func missing(name string) *fault { return &fault{path: name, text: "is required"} }

// The functions below read one value of valid JSON. A member that is null is the same as none.

func object(v []byte, member func(key, val []byte) *fault) *fault {
	if v[0] != '{' {
		return must("an object")
	}
	var bad *fault
	peek.Each(v, func(key, val []byte) bool {
		if string(val) != "null" {
			if bad = member(key, val); bad != nil {
				bad = bad.in(string(key))
			}
		}
		return bad == nil
	})
	return bad
}

func list[T any](v []byte, to *[]T, element func(v []byte, to *T) *fault) *fault {
	if v[0] != '[' {
		return must("a list")
	}
	var bad *fault
	peek.Elements(v, func(val []byte) bool {
		var t T
		if bad = element(val, &t); bad != nil {
			bad = bad.in("[" + strconv.Itoa(len(*to)) + "]")
			return false
		}
		*to = append(*to, t)
		return true
	})
	return bad
}

func text(v []byte, to *string) *fault {
	s, ok := peek.String(v)
	if !ok {
		return must("a string")
	}
	*to = s
	return nil
}

func whole(v []byte, to **int64) *fault {
	n, ok := peek.Int(v)
	if !ok {
		return must("a whole number")
	}
	*to = &n
	return nil
}

// count reads a whole number from least to most.
func count(v []byte, least, most int64, to **int64) *fault {
	if bad := whole(v, to); bad != nil {
		return bad
	}
	if **to < least || **to > most {
		return must("from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10))
	}
	return nil
}

func number(v []byte, to **float64) *fault {
	f, err := strconv.ParseFloat(string(v), 64) // valid JSON: what it takes beyond numbers cannot occur
	if err != nil {
		return must("a number")
	}
	*to = &f
	return nil
}

func boolean(v []byte, to **bool) *fault {
	b := string(v) == "true"
	if !b && string(v) != "false" {
		return must("true or false")
	}
	*to = &b
	return nil
}

func raw(v []byte, to *json.RawMessage) *fault {
	if v[0] != '{' {
		return must("an object")
	}
	*to = bytes.Clone(v)
	return nil
}

// is reads a switch for which saying nothing is the same as false.
func is(v []byte, to *bool) *fault {
	var b *bool
	if bad := boolean(v, &b); bad != nil {
		return bad
	}
	*to = *b
	return nil
}
