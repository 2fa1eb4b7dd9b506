package anthropic

import (
	"slices"
	"strconv"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
)

// NewFollower follows a stream of messages. Its callers always get usage.
func NewFollower(bool) chat.Follower { return &follower{} }

// follower keeps which blocks are open.
type follower struct {
	begun, over bool
	open        []int64
	usage       chat.Usage // that message_start has told
}

// Follow implements chat.Follower.
func (f *follower) Follow(name string, data []byte) {
	switch name {
	case "content_block_delta", "ping":
		return // nearly every event
	case "content_block_start", "content_block_stop", "message_start", "message_delta", "message_stop", "error":
	default:
		if name != "" {
			return
		}
	}
	var v event
	if !v.read(name, data) {
		return
	}
	switch index, _ := peek.Int(v.index); v.kind {
	case started:
		f.begun = true
		addUsage(peek.Find(v.message, []byte(`"usage"`)), &f.usage)
	case blockStarted:
		f.open = append(f.open, index)
	case blockStopped:
		f.open = slices.DeleteFunc(f.open, func(i int64) bool { return i == index })
	case ending, ended, failed:
		f.over = true
	}
}

// End implements chat.Follower. Clients demand a usage: where nothing is known, it is that of the beginning.
func (f *follower) End(dst *chat.Batch, u *chat.Usage) bool {
	if !f.begun || f.over {
		return false
	}
	f.over = true
	for _, index := range slices.Backward(f.open) {
		dst.Event("content_block_stop")
		dst.Buf = append(strconv.AppendInt(append(dst.Buf, `{"type":"content_block_stop","index":`...), index, 10), '}')
	}
	if u.Provenance == chat.Unknown {
		u = &f.usage
	}
	dst.Event("message_delta")
	w := writer{dst.Buf}
	w.raw(`{"type":"message_delta","delta":{`)
	w.stopped("max_tokens", "")
	w.raw(`},"usage":{`)
	w.usage(u)
	w.raw("}}")
	dst.Buf = w.b
	dst.Event("message_stop")
	dst.Buf = append(dst.Buf, `{"type":"message_stop"}`...)
	return true
}
