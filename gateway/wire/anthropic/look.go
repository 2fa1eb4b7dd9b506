package anthropic

import (
	"cmp"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// Look reads what one event of a stream says. What it is, its type says, or else its name. Usage is read over what u
// holds: message_start begins anew, and in message_delta the fields that are null or absent keep what was known.
//
// Signs are
//   - Progress for content, and for events that are not known;
//   - Finish for a message_delta with a stop reason, End for message_stop;
//   - UsageSeen for usage, which never comes alone here;
//   - Failed for an error;
//   - Malformed for what is not one JSON object with a type.
//
// said is how much of the answer it carries, by [shape.Weight]: what is said, thought, and asked of tools.
// Signatures, and the words of sources, are not generated.
//
// Nothing is allocated.
func Look(name string, data []byte, u *chat.Usage) (s chat.Signs, said int) {
	var v event
	if !v.read(name, data) {
		return chat.Malformed, 0
	}
	switch v.kind {
	case started:
		fresh := chat.Usage{}
		if usage := peek.Find(v.message, []byte(`"usage"`)); addUsage(usage, &fresh) {
			fresh.Tier = tierIn(usage)
			*u, s = fresh, chat.UsageSeen
		}
	case ending:
		if addUsage(v.usage, u) {
			u.Tier = cmp.Or(tierIn(v.usage), u.Tier)
			s = chat.UsageSeen
		}
		if v.stops() {
			s |= chat.Finish
		}
	case ended:
		s = chat.End
	case failed:
		s = chat.Failed
	case pinged:
	case blockDelta:
		s, said = chat.Progress, deltaSaid(v.delta)
	case blockStarted:
		s, said = chat.Progress, blockSaid(v.block)
	default:
		s = chat.Progress
	}
	return s, said
}

// deltaSaid is how much of the answer is in a delta. Most are written in one way, and tell by their beginning how much is
// not.
func deltaSaid(delta []byte) (said int) {
	for _, head := range [...]string{`{"type":"text_delta","text":"`, `{"type":"thinking_delta","thinking":"`, `{"type":"input_json_delta","partial_json":"`} {
		if len(delta) >= len(head) && string(delta[:len(head)]) == head && delta[len(delta)-2] == '"' {
			return shape.Weight(delta[len(head) : len(delta)-len(`"}`)])
		}
	}
	peek.Each(delta, func(key, val []byte) bool {
		switch string(key) {
		case "text", "thinking", "partial_json":
			inside, _ := shape.Inside(val)
			said += shape.Weight(inside)
		}
		return true
	})
	return said
}

// blockSaid is how much of the answer is in the beginning of a block: that it calls a tool, mostly.
func blockSaid(block []byte) (said int) {
	call := false
	peek.Each(block, func(key, val []byte) bool {
		inside, _ := shape.Inside(val)
		switch string(key) {
		case "type":
			call = string(inside) == "tool_use" || string(inside) == "server_tool_use"
		case "name":
			said += len(inside) + chat.CallSaid
		}
		return true
	})
	if !call {
		return 0
	}
	return said
}

// LookWhole reads what the whole body of a successful reply says, and its usage into u if it has any. Signs are UsageSeen,
// Answer for a list of content, Failed for an error in spite of the status, and Malformed for what is not one JSON object.
func LookWhole(data []byte, u *chat.Usage) chat.Signs {
	var s chat.Signs
	var usage []byte
	ok := peek.Each(data, func(key, val []byte) bool {
		switch string(key) {
		case "usage":
			usage = val
		case "content":
			if val[0] == '[' {
				s |= chat.Answer
			}
		case "error":
			if isError(val) {
				s |= chat.Failed
			}
		case "type":
			if string(val) == `"error"` {
				s |= chat.Failed
			}
		}
		return true
	})
	if !ok {
		return chat.Malformed
	}
	fresh := chat.Usage{}
	if addUsage(usage, &fresh) {
		fresh.Tier = tierIn(usage)
		*u = fresh
		s |= chat.UsageSeen
	}
	return s
}

// tierIn is the service tier that a usage object names.
func tierIn(usage []byte) string {
	inside, _ := shape.Inside(peek.Find(usage, []byte(`"service_tier"`)))
	return chat.ServedTier(inside)
}

// Finished is 1, the set of the only choice, for an event with a stop reason, else 0.
func Finished(data []byte) uint64 {
	var v event
	if v.read("", data) && v.kind == ending && v.stops() {
		return 1
	}
	return 0
}

// Clean gives the event as it is: nothing that providers send breaks clients of this dialect.
func Clean(data []byte) []byte { return data }

// Ends says whether an event ends a stream: message_stop, or an error.
func Ends(name string, data []byte) bool {
	if name != "" {
		return name == "message_stop" || name == "error"
	}
	var v event
	return v.read("", data) && (v.kind == ended || v.kind == failed)
}

// eventKind says what an event is.
type eventKind uint8

const (
	other eventKind = iota // not known; the API says that more may come
	started
	blockStarted
	blockDelta
	blockStopped
	ending
	ended
	pinged
	failed
)

// event is an event's members that say something about it, nil if absent.
type event struct {
	kind                                        eventKind
	message, block, delta, usage, index, failed []byte
}

// read is false for what is not one JSON object with a type, or without a name that stands for it.
func (v *event) read(name string, data []byte) bool {
	var kind []byte
	ok := peek.Each(data, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			kind = val
		case "delta":
			v.delta = val
		case "index":
			v.index = val
		case "content_block":
			v.block = val
		case "message":
			v.message = val
		case "usage":
			v.usage = val
		case "error":
			v.failed = val
		}
		return true
	})
	if !ok {
		return false
	}
	switch {
	case isError(v.failed):
		v.kind = failed
	case len(kind) > 2 && kind[0] == '"':
		v.kind = kindOf(kind[1 : len(kind)-1])
	case name != "":
		v.kind = kindOf([]byte(name))
	default:
		return false
	}
	return true
}

func kindOf(s []byte) eventKind {
	switch string(s) {
	case "content_block_delta":
		return blockDelta
	case "content_block_start":
		return blockStarted
	case "content_block_stop":
		return blockStopped
	case "message_start":
		return started
	case "message_delta":
		return ending
	case "message_stop":
		return ended
	case "ping":
		return pinged
	case "error":
		return failed
	}
	return other
}

// isError takes null, false and "" for no error.
func isError(v []byte) bool { return len(v) > 0 && (v[0] == '{' || v[0] == '"' && len(v) > 2) }

// stops says whether a message_delta has a stop reason.
func (v *event) stops() bool {
	if v.delta == nil {
		return false
	}
	reason := peek.Find(v.delta, []byte(`"stop_reason"`))
	return len(reason) > 2 && reason[0] == '"'
}
