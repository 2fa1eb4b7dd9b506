package upstream

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// sampling are the members that models without sampling refuse.
var sampling = [...]string{"temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty"}

// prepare is what must change in the caller's body before the provider gets it, in order of position. The error says that the
// provider cannot be told what it asks for.
func (st *stream) prepare() ([]peek.Edit, error) {
	st.strip = st.asksUsage()
	e, err := st.edit()
	if err == nil && len(st.dropped) > 0 && st.p.c.Refuse {
		err = refuseDropped(st.dropped)
	}
	return e, err
}

// edit is what prepare gives, whatever is dropped for that.
func (st *stream) edit() ([]peek.Edit, error) {
	x, p := st.x, st.p
	body := x.Request.Body()
	e := x.Request.Edits(st.edits[:0], st.attempt.Model, st.strip)
	if x.Request.ContentType() != "" { // of a form nothing else is read: files arrive as they are
		if st.r.asksFiles(x) {
			e = purpose(e, body)
		}
		return e, nil
	}
	n := len(e)
	if st.attempt.MaxTokens > 0 {
		var err error
		if e, err = st.clamp(e, st.attempt.MaxTokens); err != nil {
			return nil, err
		}
	}
	if st.r.dialect.DecodeRequest != nil {
		common := &p.c.Kind.Common // nothing here depends on the model
		m := members{body: body, noSampling: refusesSamplingBeside(st.attempt.Known, body)}
		if st.r.dialect == wire.OpenAI {
			m.quirks = &p.c.Kind.Quirks
			if common.NoDeveloper {
				e = appendRoles(e, body)
			}
		}
		e = m.edits(e)
		st.dropped = m.dropped
		f := foreigner{body: body, target: common, claude: strings.Contains(st.attempt.Model, "claude")}
		if e = f.edits(e, st.r.dialect); f.unable && !p.c.Refuse {
			st.dropped = append(st.dropped, "thinking")
		}
	}
	if x.Request.Begun() != nil {
		e = p.c.Kind.Prefill.edits(e, st.r.dialect, body)
	}
	if len(e) > n {
		slices.SortStableFunc(e, func(a, b peek.Edit) int { return a.At - b.At })
		end := 0
		e = slices.DeleteFunc(e, func(one peek.Edit) bool { // in what is removed nothing else changes
			inside := one.At < end
			end = max(end, one.End)
			return inside
		})
	}
	return e, nil
}

// appendRoles makes the developer of each message the system, for providers that do not know that role.
func appendRoles(e []peek.Edit, body []byte) []peek.Edit {
	if !bytes.Contains(body, []byte(`"developer"`)) {
		return e
	}
	peek.Elements(peek.Find(body, []byte(`"messages"`)), func(message []byte) bool {
		if role := peek.Find(message, []byte(`"role"`)); string(role) == `"developer"` {
			at := cap(body) - cap(role)
			e = append(e, peek.Edit{At: at, End: at + len(role), Text: `"system"`})
		}
		return true
	})
	return e
}

// members goes over the top-level members of a body.
type members struct {
	body       []byte
	quirks     *Quirks // nil: none
	noSampling bool    // sampling is refused
	dropped    []string

	e       []peek.Edit
	end     int  // of the value before
	kept    bool // some member before this one stays
	pending int  // where a removal at the beginning began; -1: none
}

// edits appends what renames and removes members. A member that stands twice was refused when the body was scanned.
func (m *members) edits(e []peek.Edit) []peek.Edit {
	if !m.noSampling && (m.quirks == nil || m.quirks.knowsAll()) {
		return e
	}
	m.e, m.pending = e, -1
	peek.Each(m.body, func(key, val []byte) bool {
		at := cap(m.body) - cap(key)
		m.member(string(key), at-1, cap(m.body)-cap(val)+len(val), string(val) == "null")
		return true
	})
	if m.pending >= 0 { // nothing stays
		m.e = append(m.e, peek.Edit{At: m.pending, End: m.end})
	}
	return m.e
}

// member looks at one member, from the quote of its key to the end of its value.
func (m *members) member(key string, at, end int, null bool) {
	to := m.becomes(key, null)
	switch {
	case to == "" && m.kept:
		m.e = append(m.e, peek.Edit{At: m.end, End: end})
	case to == "":
		if m.pending < 0 {
			m.pending = at
		}
	default:
		if m.pending >= 0 {
			m.e, m.pending = append(m.e, peek.Edit{At: m.pending, End: at}), -1
		}
		m.kept = true
		if to != key {
			m.e = append(m.e, peek.Edit{At: at + 1, End: at + 1 + len(key), Text: to})
		}
	}
	m.end = end
}

// becomes says what a member is called at the provider; "" if it is left out.
func (m *members) becomes(key string, null bool) string {
	if q := m.quirks; q != nil {
		switch to := q.becomes(key, m.body); {
		case to != key && (to == "" || null):
			return ""
		case to != key:
			return to
		case slices.Contains(q.Refused, key):
			m.drop(key, null)
			return ""
		}
	}
	if m.noSampling && slices.Contains(sampling[:], key) {
		m.drop(key, null)
		return ""
	}
	return key
}

// drop notes what is left out. Without a value it says nothing, and nobody misses it.
func (m *members) drop(key string, null bool) {
	if !null {
		m.dropped = append(m.dropped, key)
	}
}

// mark makes the ids in a reply say who holds what they are of: those of files and batches, and, if the provider has several
// keys, that of a response.
func (p *Provider) mark(reply *gateway.Reply, r *route, at *gateway.Target) {
	holder := p.c.Name
	if at != nil && at.Holder != "" {
		holder = at.Holder
	}
	if reply.Status >= 300 || reply.Kind == gateway.Bytes || !r.ids && (!r.answer || holder == p.c.Name) {
		return
	}
	end := gateway.HeldID("-", holder)[1:]
	if st, ok := reply.Stream.(*stream); ok {
		st.holder = end
	}
	reply.Stream = &marked{Stream: reply.Stream, p: p, end: end, whole: reply.Kind == gateway.Whole}
}

// marked is a reply whose ids say who holds what they are of.
type marked struct {
	gateway.Stream
	p     *Provider
	end   string // of the ids
	whole bool
	held  int64 // bytes of the present event that are counted
}

// Next implements gateway.Stream.
func (m *marked) Next() (gateway.Event, error) {
	m.release()
	ev, err := m.Stream.Next()
	if err != nil {
		return ev, err
	}
	ids := idEnds{data: ev.Data, text: m.end}
	if m.whole || bytes.Contains(ev.Data, responseKey) { // few events of many are about the response as a whole
		ids.object(ev.Data)
	}
	if len(ids.e) == 0 {
		return ev, nil
	}
	n := int64(peek.Size(ev.Data, ids.e))
	if err := m.p.c.Budget.take(n); err != nil {
		return gateway.Event{}, err
	}
	m.held = n
	ev.Data = peek.Append(nil, ev.Data, ids.e)
	return ev, nil
}

// held is the data of a stream's last event, in which the ids say who holds what they are of.
func (st *stream) held(data []byte) []byte {
	ids := idEnds{data: data, text: st.holder}
	if st.holder != "" {
		ids.object(data)
	}
	return peek.Append(nil, data, ids.e)
}

func (m *marked) release() {
	m.p.c.Budget.give(m.held)
	m.held = 0
}

// Close implements gateway.Stream.
func (m *marked) Close() error {
	m.release()
	return m.Stream.Close()
}

var responseKey = []byte(`"response"`)

// idEnds collects the places where an id ends: of a file, a batch or a response, of a list of those, or of an event about a
// response.
type idEnds struct {
	data []byte
	text string // what is to stand there
	e    []peek.Edit
}

func (h *idEnds) object(v []byte) {
	peek.Each(v, func(key, val []byte) bool {
		switch string(key) {
		case "id", "input_file_id", "output_file_id", "error_file_id", "first_id", "last_id", "next_page", "previous_response_id":
			if len(val) > 2 && val[0] == '"' {
				at := cap(h.data) - cap(val) + len(val) - 1
				h.e = append(h.e, peek.Edit{At: at, End: at, Text: h.text})
			}
		case "data":
			peek.Elements(val, func(one []byte) bool {
				h.object(one)
				return true
			})
		case "response":
			h.object(val)
		}
		return true
	})
}

// refuseDropped is the error when something would be left out and the operator wants to be told instead.
func refuseDropped(names []string) error {
	return &chat.Error{Message: "the model does not accept " + strings.Join(names, ", "), Param: names[0]}
}

var errEndpoint = errors.New("it does not have this endpoint")
