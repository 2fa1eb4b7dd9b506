package config

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// field is one field of a struct as a file sees it. Its rules come from the jsonschema tag, from which the JSON Schema
// comes too: required, enum, minimum, maximum, exclusiveMinimum, minItems, uniqueItems and pattern.
type field struct {
	name      string
	index     []int
	omitEmpty bool

	required, unique bool
	enum             []string
	least, most      *float64
	above            *float64
	minItems         int
	pattern          *regexp.Regexp
	hint             string
}

// shapes remembers the fields of each struct type.
type shapes map[reflect.Type][]field

// of returns the fields of a struct type, in order, those of embedded structs included.
func (s shapes) of(t reflect.Type) []field {
	if fields, ok := s[t]; ok {
		return fields
	}
	fields := []field{}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !sf.IsExported() && !sf.Anonymous:
			continue
		case sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct:
			for _, inner := range s.of(sf.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
			continue
		case name == "":
			name = strings.ToLower(sf.Name)
		}
		f := field{name: name, index: []int{i}, hint: sf.Tag.Get("hint")}
		f.omitEmpty = slices.Contains(strings.Split(options, ","), "omitempty")
		f.rules(sf.Tag.Get("jsonschema"))
		fields = append(fields, f)
	}
	s[t] = fields
	return fields
}

// rules reads a jsonschema tag: rules separated by commas, where \, is a comma inside a rule.
func (f *field) rules(tag string) {
	const comma = "\x00"
	for rule := range strings.SplitSeq(strings.ReplaceAll(tag, `\,`, comma), ",") {
		name, value, _ := strings.Cut(strings.ReplaceAll(rule, comma, ","), "=")
		number, err := strconv.ParseFloat(value, 64)
		isNumber := err == nil
		switch {
		case name == "required":
			f.required = true
		case name == "uniqueItems":
			f.unique = true
		case name == "enum":
			f.enum = append(f.enum, value)
		case name == "minimum" && isNumber:
			f.least = &number
		case name == "maximum" && isNumber:
			f.most = &number
		case name == "exclusiveMinimum" && isNumber:
			f.above = &number
		case name == "minItems" && isNumber:
			f.minItems = int(number)
		case name == "pattern":
			f.pattern, _ = regexp.Compile(value) // a bad pattern is found by the test of the schema
		}
	}
}

// names returns the names of the fields.
func names(fields []field) []string {
	out := make([]string, len(fields))
	for i := range fields {
		out[i] = fields[i].name
	}
	return out
}

var (
	secretType   = reflect.TypeFor[Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

type textUnmarshaler interface{ UnmarshalText(text []byte) error }

// written reports whether a value is text in the file, though it need not be a Go string. References are allowed there.
func written(v reflect.Value) bool {
	if v.Type() == secretType || v.Type() == durationType || v.Type() == timeType || v.Kind() == reflect.String {
		return true
	}
	_, ok := reflect.TypeAssert[textUnmarshaler](v.Addr())
	return ok
}

// scalar reports whether a value is one scalar in the file.
func scalar(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return written(v)
}

// setText sets a scalar from its text. The error is a *mistake where the text is not of the type.
func setText(v reflect.Value, text string) error {
	wrong := func(m *mistake) error {
		if m == nil {
			return nil
		}
		return m
	}
	switch v.Type() {
	case secretType:
		v.Set(reflect.ValueOf(NewSecret(text)))
		return nil
	case durationType:
		d, m := parseDuration(text)
		v.SetInt(int64(d))
		return wrong(m)
	case timeType:
		t, m := parseTime(text)
		v.Set(reflect.ValueOf(t))
		return wrong(m)
	}
	if u, ok := reflect.TypeAssert[textUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	return setPlain(v, text)
}

// setPlain is setText for Go's own kinds.
func setPlain(v reflect.Value, text string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		switch text {
		case "true", "false":
			v.SetBool(text == "true")
		default:
			return &mistake{text, "is not true or false", ""}
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return &mistake{text, "is not a whole number", ""}
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return &mistake{text, "is not a whole number from 0", ""}
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		n, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || n-n != 0 { // n-n is not 0 for infinities and NaN
			return &mistake{text, "is not a number", ""}
		}
		v.SetFloat(n)
	default:
		return &mistake{text, "stands where the program has a " + v.Type().String() + ", which it cannot read", ""}
	}
	return nil
}

// check holds a scalar, whose text is given, against the field's rules.
func (f *field) check(v reflect.Value, text string) *mistake {
	if f == nil {
		return nil
	}
	if f.required && v.IsZero() && v.Kind() != reflect.Bool {
		return &mistake{text, "is empty", f.hint}
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		if len(f.enum) == 1 {
			return &mistake{text, "is not " + f.enum[0], ""}
		}
		return &mistake{text, "is not one of " + strings.Join(f.enum, ", "), didYouMean(text, f.enum, "")}
	}
	if f.pattern != nil && text != "" && !f.pattern.MatchString(text) {
		return &mistake{text, "does not match " + f.pattern.String(), f.hint}
	}
	var n float64
	switch {
	case v.CanInt():
		n = float64(v.Int())
	case v.CanUint():
		n = float64(v.Uint())
	case v.CanFloat():
		n = v.Float()
	default:
		return nil
	}
	number := func(limit *float64) string { return strconv.FormatFloat(*limit, 'f', -1, 64) }
	switch {
	case f.least != nil && n < *f.least:
		return &mistake{text, "is less than " + number(f.least), ""}
	case f.most != nil && n > *f.most:
		return &mistake{text, "is more than " + number(f.most), ""}
	case f.above != nil && n <= *f.above:
		return &mistake{text, "is not more than " + number(f.above), ""}
	}
	return nil
}
