package peek

import "strconv"

// Kind says what is wrong with a body.
type Kind uint8

// Kinds of faults.
const (
	Syntax    Kind = iota + 1 // not one JSON object (for Valid: value), or not UTF-8, or a lone surrogate
	Limit                     // deeper than MaxDepth, or more members than MaxKeys
	Duplicate                 // a key stands twice in one object
	Spelling                  // a key that steers in other letter case or with escapes, or a model's name with escapes
	Type                      // the value of a key that steers has the wrong type or is out of range
	Missing                   // there is no model
)

// String is the kind in one word, for logs and metrics.
func (k Kind) String() string {
	switch k {
	case Syntax:
		return "syntax"
	case Limit:
		return "limit"
	case Duplicate:
		return "duplicate"
	case Spelling:
		return "spelling"
	case Type:
		return "type"
	case Missing:
		return "missing"
	}
	return "unknown"
}

// Error is why a body is refused.
type Error struct {
	Offset int    // of the offending byte, key or value
	Field  string // the key that steers, as OpenAI's "param": "model", "stream_options.include_usage"; "" if it is none
	Reason string // says what and where, in no words of the caller's; safe to show and to log
	Kind   Kind
}

// Error is the reason.
func (e *Error) Error() string { return e.Reason }

// fault is what an Error is made of. It holds no pointers, so that the scanner stays on the stack.
type fault struct {
	at  int
	why reason
	of  route
}

type reason uint8

const (
	empty reason = iota
	byteOrderMark
	noObject
	trailing
	cut
	noValue
	noKey
	noColon
	noEndOfObject
	noEndOfArray
	noDigit
	leadingZero
	control
	noEscape
	noHex
	halfPair
	notUTF8
	tooDeep
	tooMany
	twice
	letterCase
	escapes
	noString
	emptyString
	noBoolean
	noCount
	noLimit
	noOptions
	noModel
)

var reasons = [...]struct {
	kind Kind
	text string
}{
	empty:         {Syntax, "the body is empty"},
	byteOrderMark: {Syntax, "the body begins with a byte order mark, which JSON does not allow"},
	noObject:      {Syntax, "the body must be one JSON object"},
	trailing:      {Syntax, "invalid JSON: there is more behind its end"},
	cut:           {Syntax, "invalid JSON: it ends in the middle"},
	noValue:       {Syntax, "invalid JSON: a value must stand here"},
	noKey:         {Syntax, "invalid JSON: a key in double quotes must stand here"},
	noColon:       {Syntax, "invalid JSON: a colon must stand here"},
	noEndOfObject: {Syntax, "invalid JSON: a comma or a closing brace must stand here"},
	noEndOfArray:  {Syntax, "invalid JSON: a comma or a closing bracket must stand here"},
	noDigit:       {Syntax, "invalid JSON: a digit must stand here"},
	leadingZero:   {Syntax, "invalid JSON: a number must not begin with 0"},
	control:       {Syntax, "invalid JSON: a control character in a string must be escaped"},
	noEscape:      {Syntax, "invalid JSON: there is no such escape"},
	noHex:         {Syntax, `invalid JSON: four hexadecimal digits must follow \u`},
	halfPair:      {Syntax, "invalid JSON: half a surrogate pair stands alone"},
	notUTF8:       {Syntax, "invalid JSON: this is not UTF-8"},
	tooDeep:       {Limit, "more than 64 objects and arrays are open here"},
	tooMany:       {Limit, "the objects that are open here have more than 65536 members"},
	twice:         {Duplicate, "stands twice in one object"},
	letterCase:    {Spelling, "must be written in lower case"},
	escapes:       {Spelling, "must be written without escapes"},
	noString:      {Type, "must be a string"},
	emptyString:   {Type, "must not be empty"},
	noBoolean:     {Type, "must be true, false or null"},
	noCount:       {Type, "must be a positive whole number or null"},
	noLimit:       {Type, "must be a whole number or null"},
	noOptions:     {Type, "must be an object or null"},
	noModel:       {Missing, "is missing"},
}

// err is the fault as an error.
func (s *scanner) err() error {
	f := s.fault
	e := &Error{Offset: f.at, Field: f.of.field(), Kind: reasons[f.why].kind, Reason: reasons[f.why].text}
	switch {
	case e.Field != "":
		e.Reason = `"` + e.Field + `" ` + e.Reason
	case f.why == twice:
		e.Reason = "a key " + e.Reason // which one, only its offset tells: errors are logged, what callers write is not
	}
	e.Reason += " (at offset " + strconv.Itoa(e.Offset) + ")"
	return e
}
