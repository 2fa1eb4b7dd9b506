package responses

import (
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// step says what an event means for a stream.
type step uint8

const (
	aside   step = iota // nothing: a keep-alive, what nobody knows
	begins              // created, queued, in_progress
	content             // the model is at work
	ends                // completed, incomplete
	fails               // failed, error
)

// stepOf tells by the type of an event. Those that are not known count as work: hosted tools have many of their own.
func stepOf(kind []byte) step {
	switch string(kind) {
	case "response.created", "response.queued", "response.in_progress":
		return begins
	case "response.completed", "response.incomplete":
		return ends
	case "response.failed", "error":
		return fails
	}
	if len(kind) > len("response.") && string(kind[:len("response.")]) == "response." {
		return content
	}
	return aside
}

// Look reads what one event of a stream says, and its usage into u if it has any. The event's type is that of its data, or
// else name.
//
// Signs are
//   - Progress for every event of a model at work, from the first output item on. response.created, response.queued and
//     response.in_progress are none: they only say that the request has arrived, so until then another provider may take
//     over;
//   - Finish and End for response.completed and response.incomplete;
//   - UsageSeen for usage in those, and in response.failed;
//   - Failed for response.failed, for an error event, and for a member error;
//   - End for [DONE], which some providers add;
//   - Malformed for what is not one JSON object.
//
// said is how much of the answer it carries, by [shape.Weight]: what is said, thought, and asked of tools, but not what is said
// again when an item is done.
//
// Nothing is allocated.
func Look(name string, data []byte, u *chat.Usage) (s chat.Signs, said int) {
	var kind, response, err, delta, item []byte
	ok := peek.Each(data, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			kind, _ = shape.Inside(val)
		case "response":
			response = val
		case "error":
			err = val
		case "delta":
			delta, _ = shape.Inside(val)
		case "item":
			item = val
		}
		return true
	})
	if !ok {
		if isDone(data) {
			return chat.End, 0
		}
		return chat.Malformed, 0
	}
	step := stepOf(kind)
	if len(kind) == 0 {
		step = stepOfName(name)
	}
	switch step {
	case content:
		s, said = chat.Progress, saidIn(kind, delta, item)
	case ends:
		s = chat.Finish | chat.End
	case fails:
		s = chat.Failed
	}
	if isError(err) {
		s = chat.Failed
	}
	if step >= ends && lookUsage(response, u) {
		s |= chat.UsageSeen
	}
	return s, said
}

// saidIn is how much of the answer is in an event: its delta, but for sound, or the beginning of a call.
func saidIn(kind, delta, item []byte) int {
	switch {
	case len(delta) > 0 && string(kind) != "response.audio.delta":
		return shape.Weight(delta)
	case len(item) > 0 && string(kind) == "response.output_item.added":
		if n := shape.Said(item, `name"`); n > 0 {
			return n + chat.CallSaid
		}
	}
	return 0
}

func stepOfName(name string) step {
	var buf [64]byte
	return stepOf(append(buf[:0], name...))
}

func lookUsage(response []byte, u *chat.Usage) bool {
	var usage, tier []byte
	if len(response) == 0 || !peek.Each(response, func(key, val []byte) bool {
		switch string(key) {
		case "usage":
			usage = val
		case "service_tier":
			tier = val
		}
		return true
	}) {
		return false
	}
	return readServed(usage, tier, u)
}

// readServed reads a usage object and the service tier that stands beside it; it is false, and u untouched, if there is no
// usage.
func readServed(usage, tier []byte, u *chat.Usage) bool {
	if !readUsage(usage, u) {
		return false
	}
	inside, _ := shape.Inside(tier)
	u.Tier = chat.ServedTier(inside)
	return true
}

func isDone(data []byte) bool {
	for len(data) > 0 && data[0] <= ' ' {
		data = data[1:]
	}
	return len(data) >= 6 && string(data[:6]) == "[DONE]"
}

// LookWhole reads what the whole body of a successful reply says, and its usage into u if it has any. Signs are UsageSeen,
// Answer for a list of output or a status, Failed for an error or a response that failed in spite of the status, and Malformed for what is not one JSON object.
func LookWhole(data []byte, u *chat.Usage) chat.Signs {
	var usage, tier, status, err []byte
	var s chat.Signs
	if !peek.Each(data, func(key, val []byte) bool {
		switch string(key) {
		case "usage":
			usage = val
		case "service_tier":
			tier = val
		case "status":
			status = val
			if val[0] == '"' {
				s |= chat.Answer
			}
		case "output":
			if val[0] == '[' {
				s |= chat.Answer
			}
		case "error":
			err = val
		}
		return true
	}) {
		return chat.Malformed
	}
	if isError(err) || string(status) == `"failed"` {
		s |= chat.Failed
	}
	if readServed(usage, tier, u) {
		s |= chat.UsageSeen
	}
	return s
}

// Finished is the set of the choices that an event finishes: a response has one.
func Finished(data []byte) uint64 {
	if kind, _ := shape.Inside(peek.Find(data, []byte(`"type"`))); stepOf(kind) == ends {
		return 1
	}
	return 0
}

// Clean returns an event as it is: nothing in it breaks this dialect's clients.
func Clean(data []byte) []byte { return data }

// Ends says whether an event ends a stream: response.completed, response.incomplete, response.failed, or an error.
func Ends(name string, data []byte) bool {
	kind, _ := shape.Inside(peek.Find(data, []byte(`"type"`)))
	if len(kind) == 0 {
		return stepOfName(name) >= ends
	}
	return stepOf(kind) >= ends
}
