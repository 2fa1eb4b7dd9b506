package shape

import (
	"bytes"
	"slices"

	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// Member is one of a JSON object. Key is plain.
type Member struct {
	Key   string
	Value string
}

// With appends a JSON object in which some members have other values; those that it lacks stand behind the others. All else
// stays as it is, byte for byte.
func With(dst, object []byte, members ...Member) []byte {
	var e []peek.Edit
	some := false
	peek.Each(object, func(key, val []byte) bool {
		some = true
		if i := slices.IndexFunc(members, func(m Member) bool { return m.Key == string(key) }); i >= 0 {
			at := cap(object) - cap(val)
			e = append(e, peek.Edit{At: at, End: at + len(val), Text: members[i].Value})
			members = slices.Delete(slices.Clone(members), i, i+1)
		}
		return true
	})
	end := bytes.LastIndexByte(object, '}')
	for _, m := range members {
		text := `"` + m.Key + `":` + m.Value
		if some {
			text = "," + text
		}
		some = true
		e = append(e, peek.Edit{At: end, End: end, Text: text})
	}
	return peek.Append(dst, object, e)
}
