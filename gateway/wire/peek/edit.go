package peek

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Edit replaces body[At:End] by Text.
type Edit struct {
	At, End int
	Text    string
}

const usageOn = `"include_usage":true`

// Edits appends to e, in order of position, what must change in the scanned body so that it names the model, if that is
// not "", and, if askUsage, so that its stream_options ask for the usage. What says so already is left alone. Only what
// must differ is replaced: of a name what stands between its quotes. It allocates nothing if e has room for two more, the
// body has a model, and its name needs no escapes.
func (f *Fields) Edits(e []Edit, model string, askUsage bool) []Edit {
	name, change := f.modelEdit(model, askUsage)
	options, ask := f.optionsEdit()
	ask = ask && askUsage
	if change && (!ask || name.At <= options.At) {
		e = append(e, name)
		change = false
	}
	if ask {
		e = append(e, options)
	}
	if change {
		e = append(e, name)
	}
	return e
}

// modelEdit is the edit that makes the body name the model. Without a model it inserts one; more says that another member is
// inserted behind it.
func (f *Fields) modelEdit(name string, more bool) (Edit, bool) {
	switch {
	case name == "" || name == f.Model:
		return Edit{}, false
	case f.ModelEnd > 0:
		return Edit{f.ModelAt + 1, f.ModelEnd - 1, escape(name)}, true
	case f.Empty && !more:
		return Edit{f.Open, f.Open, `"model":"` + escape(name) + `"`}, true
	}
	return Edit{f.Open, f.Open, `"model":"` + escape(name) + `",`}, true
}

// optionsEdit is the edit that makes the body ask for the usage, if it does not.
func (f *Fields) optionsEdit() (Edit, bool) {
	switch {
	case f.IncludeUsage:
		return Edit{}, false
	case f.UsageEnd > 0:
		return Edit{f.UsageAt, f.UsageEnd, "true"}, true
	case f.bare:
		return Edit{f.OptionsAt, f.OptionsEnd, "{" + usageOn + "}"}, true
	case f.OptionsEnd > 0:
		return Edit{f.OptionsAt + 1, f.OptionsAt + 1, usageOn + ","}, true
	case f.Empty:
		return Edit{f.Open, f.Open, `"stream_options":{` + usageOn + "}"}, true
	}
	return Edit{f.Open, f.Open, `"stream_options":{` + usageOn + "},"}, true
}

// escape is the name as it stands between quotes. What is not UTF-8 becomes U+FFFD.
func escape(name string) string {
	if strings.IndexFunc(name, func(c rune) bool { return c < ' ' || c == '"' || c == '\\' || c == utf8.RuneError }) < 0 {
		return name
	}
	var t strings.Builder
	for _, c := range name {
		switch {
		case c < ' ':
			t.WriteString(`\u00`)
			t.WriteByte("01"[c>>4])
			t.WriteByte("0123456789abcdef"[c&15])
			continue
		case c == '"' || c == '\\':
			t.WriteByte('\\')
		}
		t.WriteRune(c)
	}
	return t.String()
}

// Size is the length of the body after the edits.
func Size(body []byte, e []Edit) int {
	n := len(body)
	for i := range e {
		n += len(e[i].Text) - (e[i].End - e[i].At)
	}
	return n
}

// Append appends the body with the edits applied to dst. The edits must lie in the body, in order and without overlap, as
// Edits makes them.
func Append(dst, body []byte, e []Edit) []byte {
	dst = slices.Grow(dst, Size(body, e))
	at := 0
	for i := range e {
		dst = append(dst, body[at:e[i].At]...)
		dst = append(dst, e[i].Text...)
		at = e[i].End
	}
	return append(dst, body[at:]...)
}
