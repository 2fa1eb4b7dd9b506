// Package shape reads values of valid JSON into Go values, and says where one has the wrong shape; and it writes strings.
// Every dialect is built on it.
package shape

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Fault says what is wrong with a request, and where: messages[2].content[0].type. Code is that of the error, where clients
// go by it.
type Fault struct{ Path, Text, Code string }

// In puts the fault into the member or element of that name.
func (f *Fault) In(name string) *Fault {
	if f == nil {
		return nil
	}
	if f.Path != "" && f.Path[0] != '[' {
		name += "."
	}
	f.Path = name + f.Path
	return f
}

// Message is the fault with its place in front.
func (f *Fault) Message() string {
	if f.Path == "" {
		return f.Text
	}
	return f.Path + ": " + f.Text
}

// Refusal is the fault as the error that a caller gets.
func (f *Fault) Refusal() *chat.Error {
	return &chat.Error{Message: f.Message(), Type: "invalid_request_error", Param: f.Path, Code: f.Code}
}

// Must is the fault of a value that is not what it must be.
func Must(what string) *Fault { return &Fault{Text: "must be " + what} }

// Missing is the fault of a member that must be there and is not.
func Missing(name string) *Fault { return &Fault{Path: name, Text: "is required"} }

// Object reads the members of an object. A member that is null is the same as none.
func Object(v []byte, member func(key, val []byte) *Fault) *Fault {
	if v[0] != '{' {
		return Must("an object")
	}
	var bad *Fault
	peek.Each(v, func(key, val []byte) bool {
		if string(val) != "null" {
			if bad = member(key, val); bad != nil {
				bad = bad.In(string(key))
			}
		}
		return bad == nil
	})
	return bad
}

// List reads the elements of a list.
func List[T any](v []byte, to *[]T, element func(v []byte, to *T) *Fault) *Fault {
	if v[0] != '[' {
		return Must("a list")
	}
	var bad *Fault
	peek.Elements(v, func(val []byte) bool {
		var t T
		if bad = element(val, &t); bad != nil {
			bad = bad.In("[" + strconv.Itoa(len(*to)) + "]")
			return false
		}
		*to = append(*to, t)
		return true
	})
	return bad
}

// Maybe says whether a member of a reply is absent, null, or begins with one of some bytes: { for an object, [ for a list,
// a quote for a string.
func Maybe(v []byte, first string) bool {
	return len(v) == 0 || string(v) == "null" || strings.IndexByte(first, v[0]) >= 0
}

// Text reads a string.
func Text(v []byte, to *string) *Fault {
	s, ok := peek.String(v)
	if !ok {
		return Must("a string")
	}
	*to = s
	return nil
}

// Whole reads a whole number.
func Whole(v []byte, to **int64) *Fault {
	n, ok := peek.Int(v)
	if !ok {
		return Must("a whole number")
	}
	*to = &n
	return nil
}

// Count reads a whole number from least to most.
func Count(v []byte, least, most int64, to **int64) *Fault {
	if bad := Whole(v, to); bad != nil {
		return bad
	}
	if **to < least || **to > most {
		return Must("from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10))
	}
	return nil
}

// Number reads a number.
func Number(v []byte, to **float64) *Fault {
	f, err := strconv.ParseFloat(string(v), 64) // valid JSON: what it takes beyond numbers cannot occur
	if err != nil {
		return Must("a number")
	}
	*to = &f
	return nil
}

// Bool reads true or false.
func Bool(v []byte, to **bool) *Fault {
	b := string(v) == "true"
	if !b && string(v) != "false" {
		return Must("true or false")
	}
	*to = &b
	return nil
}

// Raw reads an object as it is, in bytes of its own.
func Raw(v []byte, to *json.RawMessage) *Fault {
	if v[0] != '{' {
		return Must("an object")
	}
	*to = bytes.Clone(v)
	return nil
}

// Is reads a switch for which saying nothing is the same as false.
func Is(v []byte, to *bool) *Fault {
	var b *bool
	if bad := Bool(v, &b); bad != nil {
		return bad
	}
	*to = *b
	return nil
}

// Inside is what stands between the quotes of a JSON string, still escaped; false if v is no string. It is part of v.
func Inside(v []byte) ([]byte, bool) {
	if len(v) < 2 || v[0] != '"' {
		return nil, false
	}
	return v[1 : len(v)-1], true
}
