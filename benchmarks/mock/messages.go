package main

import (
	"io"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// The same replies as Anthropic's Messages API has them.
const (
	messageHead = `{"id":"msg_mock0123456789abcdef","type":"message","role":"assistant","model":"mock-2026-01-01","content":[{"type":"text","text":"`
	messageTail = `"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":16,"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":128,"service_tier":"standard"}}`
	messageFrom = len(messageHead) + 1 // of the digits

	messageStart = `event: message_start` + "\n" + `data: {"type":"message_start","message":{"id":"msg_mock0123456789abcdef","type":"message","role":"assistant","model":"mock-2026-01-01","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":16,"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":1,"service_tier":"standard"}}}` + "\n\n" +
		`event: content_block_start` + "\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n"
	messageDelta     = `event: content_block_delta` + "\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"`
	messageDeltaTail = `"}}` + "\n\n"
	messageEnd       = `event: content_block_stop` + "\n" + `data: {"type":"content_block_stop","index":0}` + "\n\n" +
		`event: message_delta` + "\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":64}}` + "\n\n"
	messageStop = `event: message_stop` + "\n" + `data: {"type":"message_stop"}` + "\n\n"
)

// messages answers POST /v1/messages.
func (m *mock) messages(ctx *fasthttp.RequestCtx, start time.Time) {
	body := ctx.PostBody()
	s := parseModel(findModel(body))
	if s.delay > 0 {
		time.Sleep(s.delay)
	}
	if s.status != 0 {
		fail(ctx, s.status)
		return
	}
	ctx.Response.Header.Set("Request-Id", "req_mock_0123456789")
	if asks(body, "stream") {
		ctx.SetContentType("text/event-stream; charset=utf-8")
		ctx.SetBodyStream(&messageStream{script: s, start: start, next: start.Add(s.delay)}, -1)
		return
	}
	ctx.SetContentType("application/json")
	n := max(s.size-len(messageHead)-len(stamp)-len(messageTail), 2)
	ctx.Response.SetBodyString(messageHead + stamp + strings.Repeat(filler, n/len(filler)+1)[:n] + messageTail)
	writeDigits(ctx.Response.Body()[messageFrom:], int64(time.Since(start)))
}

// messageStream renders one stream: its beginning with the first text, the content, the end. Each Read is one chunk, which
// is one event but for the beginning and the end.
type messageStream struct {
	script script
	start  time.Time
	next   time.Time // when the next content is due
	step   int       // chunks written
}

// Read writes the next chunk to b, when it is due.
func (s *messageStream) Read(b []byte) (int, error) {
	step := s.step
	s.step++
	content := s.script.chunks
	switch {
	case step == 0:
		return messageText(b, messageStart+messageDelta+"f", int64(time.Since(s.start))), nil
	case step <= content:
		if s.script.cut >= 0 && step > s.script.cut {
			return 0, io.ErrUnexpectedEOF // fasthttp then closes the connection without ending the body
		}
		if step > 1 && s.script.gap > 0 {
			s.next = s.next.Add(s.script.gap)
			time.Sleep(time.Until(s.next))
		}
		return messageText(b, messageDelta+"t", time.Now().UnixNano()), nil
	case step == content+1:
		return copy(b, messageEnd), nil
	case step == content+2:
		return copy(b, messageStop), nil
	}
	return 0, io.EOF
}

func messageText(b []byte, head string, n int64) int {
	i := copy(b, head)
	writeDigits(b[i:], n)
	i += len(noDigits)
	return i + copy(b[i:], messageDeltaTail)
}
