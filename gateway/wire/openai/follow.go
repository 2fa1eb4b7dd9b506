package openai

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// NewFollower follows a stream of chat completions, or of the older completions. usage says that the caller wants it.
func NewFollower(usage bool) chat.Follower { return &follower{usage: usage} }

// follower keeps one chunk, of which others can be made.
type follower struct {
	usage    bool
	chunk    []byte // the first that has a choice; nil before it
	first    int    // its choice
	more     []int  // choices that have come beside that
	finished uint64 // choices, a bit for each index
	over     bool
}

var (
	reasonMember = []byte(`finish_reason"`)
	indexMember  = []byte(`index":`)
)

// Follow implements chat.Follower.
func (f *follower) Follow(name string, data []byte) {
	if Ends(name, data) {
		f.over = true
		return
	}
	if f.chunk == nil {
		f.begin(data)
		return
	}
	if f.more != nil || !f.sameChoice(data) {
		f.note(data)
	}
	if tells(data) {
		f.finished |= Finished(data)
	}
}

func (f *follower) begin(data []byte) {
	if choices := peek.Find(data, []byte(`"choices"`)); len(choices) > 0 && choices[0] == '[' && !emptyArray(choices) {
		f.chunk = bytes.Clone(data)
		f.first, f.finished = -1, Finished(data)
		f.note(data)
	}
}

// sameChoice says whether an event is about the first choice, if that can be seen at once: most streams have no other.
func (f *follower) sameChoice(data []byte) bool {
	i := bytes.Index(data, indexMember)
	return i < 0 || len(data) > i+len(indexMember)+1 && int(data[i+len(indexMember)])-'0' == f.first && data[i+len(indexMember)+1] == ','
}

// note keeps which choices have come.
func (f *follower) note(data []byte) {
	peek.Elements(peek.Find(data, []byte(`"choices"`)), func(choice []byte) bool {
		n, _ := peek.Int(peek.Find(choice, []byte(`"index"`)))
		i := int(min(max(n, 0), chat.MaxChoices))
		switch {
		case f.first < 0:
			f.first = i
		case i != f.first && !slices.Contains(f.more, i):
			f.more = append(f.more, i)
		}
		return true
	})
}

// tells says whether an event has a finish reason.
func tells(data []byte) bool {
	_, v, found := bytes.Cut(data, reasonMember)
	if v = space(v); !found || len(v) == 0 || v[0] != ':' {
		return false
	}
	v = space(v[1:])
	return len(v) > 0 && v[0] == '"'
}

// End implements chat.Follower. A call whose arguments are incomplete stays so: that is what clients get at the limit.
func (f *follower) End(dst *chat.Batch, u *chat.Usage) bool {
	if f.chunk == nil || f.over {
		return false
	}
	text := false // as the older completions have it
	peek.Elements(peek.Find(f.chunk, []byte(`"choices"`)), func(choice []byte) bool {
		text = peek.Find(choice, []byte(`"text"`)) != nil && peek.Find(choice, []byte(`"delta"`)) == nil
		return false
	})
	members := []shape.Member{{Key: "choices"}}
	if peek.Find(f.chunk, []byte(`"usage"`)) != nil {
		members = append(members, shape.Member{Key: "usage", Value: "null"})
	}
	ended := false
	for _, i := range append([]int{f.first}, f.more...) {
		if f.finished&(1<<min(i, 63)) != 0 {
			continue
		}
		ended = true
		said := `"delta":{}`
		if text {
			said = `"text":""`
		}
		members[0].Value = `[{"index":` + strconv.Itoa(i) + `,` + said + `,"logprobs":null,"finish_reason":"length"}]`
		dst.Event("")
		dst.Buf = shape.With(dst.Buf, f.chunk, members...)
	}
	if !ended {
		return false
	}
	f.over = true
	if f.usage && u.Provenance != chat.Unknown {
		dst.Event("")
		dst.Buf = shape.With(dst.Buf, f.chunk, shape.Member{Key: "choices", Value: "[]"}, shape.Member{Key: "usage", Value: string(AppendUsage(nil, *u))})
	}
	dst.Event("")
	dst.Buf = append(dst.Buf, "[DONE]"...)
	return true
}
