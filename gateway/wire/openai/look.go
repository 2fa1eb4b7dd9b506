package openai

import (
	"bytes"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// Look reads what one event of a stream says, and its usage into u if it has any. Usage may come with any event, also
// with content; it is complete each time, so it replaces what u held. name is the event's name, mostly "".
//
// Signs are
//   - Progress for content, reasoning, calls, and for events without a choices member that are not pings;
//   - Finish if a choice has a finish reason (Finishes counts them);
//   - End for [DONE], and for the last event of those endpoints that have no such word: images, speech, transcriptions;
//   - UsageSeen, and UsageOnly if choices is there and empty;
//   - Failed for an error in the place of a chunk, or beside it;
//   - Malformed for what is not one JSON object.
//
// said is how much of the answer it carries, by [shape.Weight]: what is said, thought, and asked of tools.
//
// Nothing is allocated, and data is scanned once; more is looked at closely only where something rare occurs.
func Look(name string, data []byte, u *chat.Usage) (s chat.Signs, said int) {
	if string(data) == "[DONE]" {
		return chat.End, 0
	}
	if name == "error" {
		s = chat.Failed
	}
	var m members
	if !m.read(data) {
		return s | lookOdd(data), 0
	}
	if m.failed() {
		s |= chat.Failed
	}
	if m.usage(u) {
		u.Tier = m.served()
		s |= chat.UsageSeen
	}
	switch {
	case m.choices == nil:
		if !s.Has(chat.Failed) && string(m.kind) != `"ping"` {
			s |= chat.Progress
		}
		if inside, _ := shape.Inside(m.kind); last(inside) {
			s |= chat.End
		}
	case emptyArray(m.choices):
		if s == chat.UsageSeen {
			s |= chat.UsageOnly
		}
	default:
		more := chat.Signs(0)
		more, said = lookChoices(m.choices)
		s |= more
	}
	return s, said
}

// last says whether a kind of event is the last of its stream. Chunks have no kind.
func last(kind []byte) bool {
	switch string(kind) {
	case "image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done":
		return true
	}
	return false
}

// lookOdd tells an end with blanks around it from what is malformed.
func lookOdd(data []byte) chat.Signs {
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		return chat.End
	}
	return chat.Malformed
}

// LookWhole reads what the whole body of a successful reply says, of any endpoint, and its usage into u if it has any.
//
// Signs are
//   - UsageSeen;
//   - Answer for choices that all have a message, or for none of them beside usage, or in their place a request_id: xAI's
//     deferred completions have only that;
//   - Odd for calls, a content that is a list, and finish reasons but stop and length;
//   - Failed for an error in spite of the status;
//   - Malformed for what is not one JSON object.
//
// The body is scanned once.
func LookWhole(data []byte, u *chat.Usage) chat.Signs {
	m := members{isWhole: true}
	if !m.read(data) {
		return chat.Malformed
	}
	s := m.whole.signs
	if m.failed() {
		s |= chat.Failed
	}
	if m.usage(u) {
		u.Tier = m.served()
		s |= chat.UsageSeen
	}
	if m.whole.answers(s.Has(chat.UsageSeen)) {
		s |= chat.Answer
	}
	return s
}

// whole is what is looked at in a whole body beside its members.
type whole struct {
	signs    chat.Signs
	deferred bool // there is a request_id
	choices  bool // there is such a member
	list     bool // it is a list
	messages int  // how many of its elements have a message
	without  int  // how many have none
}

func (w *whole) answers(counted bool) bool {
	if !w.choices {
		return w.deferred
	}
	return w.list && w.without == 0 && (w.messages > 0 || counted)
}

// read reads the choices, which are the present member's value.
func (w *whole) read(c *peek.Cursor) {
	*w = whole{deferred: w.deferred, choices: true, list: c.EnterArray()}
	if !w.list {
		return
	}
	for c.Next() {
		if w.choice(c) {
			w.messages++
		} else {
			w.without++
		}
	}
}

// choice reads one, and says whether it has a message.
func (w *whole) choice(c *peek.Cursor) (message bool) {
	if !c.Enter() {
		return false
	}
	for c.Next() {
		switch string(c.Key()) {
		case "message":
			message = c.Enter()
			for message && c.Next() {
				switch string(c.Key()) {
				case "tool_calls", "content":
					if c.Begins('[') {
						w.signs = chat.Odd
					}
				}
			}
		case "finish_reason":
			if v := c.Value(); !isUsual(v) {
				w.signs = chat.Odd
			}
		}
	}
	return message
}

// isUsual says whether a finish reason is one that needs no mending where there are no calls.
func isUsual(reason []byte) bool {
	switch string(reason) {
	case `"stop"`, `"length"`, "null":
		return true
	}
	return false
}

// members are those of an event or body that say something about it, nil if absent. Of repeated ones the last counts.
type members struct {
	choices, err, object, groq, kind, tier []byte
	counts                                 counts
	isWhole                                bool // then choices is left nil
	whole                                  whole
}

// read is false for what is not one JSON object.
func (m *members) read(data []byte) bool {
	var c peek.Cursor
	c.Open(data)
	for c.Next() {
		switch string(c.Key()) {
		case "choices":
			if m.isWhole {
				m.whole.read(&c)
			} else {
				m.choices = c.Value()
			}
		case "usage":
			m.counts.read(&c)
		case "error":
			m.err = c.Value()
		case "object":
			m.object = c.Value()
		case "x_groq":
			m.groq = c.Value()
		case "type":
			m.kind = c.Value()
		case "service_tier":
			m.tier = c.Value()
		case "request_id":
			if m.isWhole {
				m.whole.deferred = c.Begins('"')
			}
		}
	}
	return c.Done()
}

// failed looks for {"error":…}, for vLLM's {"object":"error"}, and for the reason why Groq breaks off a stream.
func (m *members) failed() bool {
	return isError(m.err) || string(m.object) == `"error"` ||
		m.groq != nil && isError(peek.Find(m.groq, []byte(`"error"`)))
}

// isError takes null, false and "" for no error.
func isError(v []byte) bool { return len(v) > 0 && (v[0] == '{' || v[0] == '"' && len(v) > 2) }

// usage gives the usage, which Groq's streams have elsewhere. It is false, and u untouched, if there is none.
func (m *members) usage(u *chat.Usage) bool {
	if !m.counts.any() && m.groq != nil {
		var c peek.Cursor
		c.Open(m.groq)
		for c.Next() {
			if string(c.Key()) == "usage" {
				m.counts.read(&c)
			}
		}
	}
	if !m.counts.any() {
		return false
	}
	*u = m.counts.usage()
	return true
}

// served is the service tier, which stands beside the usage.
func (m *members) served() string {
	inside, _ := shape.Inside(m.tier)
	return chat.ServedTier(inside)
}

func emptyArray(v []byte) bool { return v[0] == '[' && space(v[1:])[0] == ']' }

// space skips white space in JSON.
func space(v []byte) []byte {
	for len(v) > 0 && v[0] <= ' ' {
		v = v[1:]
	}
	return v
}

// lookChoices is Progress and Finish of a choices member that is not empty, and how much they say.
func lookChoices(v []byte) (s chat.Signs, said int) {
	if said = shape.Said(v, `content"`); said == 0 { // nearly every event; reasoning_content ends so, too
		if said = shape.Said(v, `arguments"`); said > 0 {
			said += callSaid(v)
		}
	}
	if said > 0 && shape.Said(v, `finish_reason"`) == 0 {
		return chat.Progress, said
	}
	finished, progress, said := walk(v)
	if finished != 0 {
		s = chat.Finish | chat.Progress
	}
	if progress {
		s |= chat.Progress
	}
	return s, said
}

// callSaid is what the beginning of a call says: its name, and that it is one.
func callSaid(v []byte) int {
	if n := shape.Said(v, `name"`); n > 0 {
		return n + chat.CallSaid
	}
	return 0
}

// Finished is the set of the choices that an event finishes, a bit for each index; 63 and more share the last one. With n
// choices a stream is complete when n have finished, even if [DONE] is missing, as it is with some providers. They are
// told apart by their index, because some providers repeat a finish reason.
func Finished(data []byte) uint64 {
	var m members
	if !m.read(data) {
		return 0
	}
	finished, _, _ := walk(m.choices)
	return finished
}

// walk looks at each choice.
func walk(choices []byte) (finished uint64, progress bool, said int) {
	peek.Elements(choices, func(choice []byte) bool {
		var reason []byte
		var index int64
		peek.Each(choice, func(key, val []byte) bool {
			switch string(key) {
			case "delta":
				some, n := saysSomething(val)
				progress, said = progress || some, said+n
			case "text": // of the older completions
				if len(val) > 2 && val[0] == '"' {
					progress, said = true, said+shape.Weight(val[1:len(val)-1])
				}
			case "finish_reason":
				reason = val
			case "index":
				index, _ = peek.Int(val)
			}
			return true
		})
		if len(reason) > 2 && reason[0] == '"' { // some write "" for null
			finished |= 1 << min(max(index, 0), 63)
		}
		return true
	})
	return finished, progress, said
}

// saysSomething is false for a delta with nothing but a role and empty values.
func saysSomething(delta []byte) (something bool, said int) {
	thought, detailed := 0, 0 // which some say twice, in different words
	peek.Each(delta, func(key, val []byte) bool {
		if string(key) == "role" || isEmpty(val) {
			return true
		}
		something = true
		switch string(key) {
		case "reasoning", "reasoning_content", "reasoning_text":
			inside, _ := shape.Inside(val)
			thought = max(thought, shape.Weight(inside))
		case "thinking_blocks", "reasoning_details":
			detailed = max(detailed, shape.Said(val, `text"`)+shape.Said(val, `thinking"`))
		case "tool_calls", "function_call":
			said += shape.Said(val, `arguments"`) + shape.Said(val, `input"`) + callSaid(val)
		case "audio":
			said += shape.Said(val, `transcript"`)
		case "content", "refusal":
			if inside, ok := shape.Inside(val); ok {
				said += shape.Weight(inside)
			} else {
				said += shape.Said(val, `text"`)
			}
		}
		return true
	})
	return something, said + max(thought, detailed)
}

func isEmpty(v []byte) bool {
	switch v[0] {
	case '"':
		return len(v) == 2
	case '[', '{':
		return len(space(v[1:])) == 1
	}
	return string(v) == "null"
}

// Clean removes a member "error":null from an event, in place: some clients take its mere presence for an error
// (openai-go does). Other events are returned as they are. It is for those that Look does not call malformed.
func Clean(data []byte) []byte {
	if !bytes.Contains(data, []byte(`rror"`)) { // the two r are rare, a search for the quote or the e is slower
		return data
	}
	for {
		v := peek.Find(data, []byte(`"error"`))
		if string(v) != "null" {
			return data
		}
		from := bytes.LastIndexByte(data[:cap(data)-cap(v)], ':') // v is part of data, and only a key stands before it
		from = len(bytes.TrimRight(data[:from], " \t\r\n")) - len(`"error"`)
		to := cap(data) - cap(v) + len(v)
		to += len(data[to:]) - len(bytes.TrimLeft(data[to:], " \t\r\n"))
		if data[to] == ',' {
			to++
		} else if head := bytes.TrimRight(data[:from], " \t\r\n"); head[len(head)-1] == ',' {
			from = len(head) - 1
		}
		data = append(data[:from], data[to:]...)
	}
}
