package main

import (
	"io"
	"time"
)

const (
	chunkHead   = `data: {"id":"chatcmpl-mock0123456789abcdef","object":"chat.completion.chunk","created":1700000000,"model":"mock-2026-01-01","service_tier":"default","system_fingerprint":"fp_mock","choices":`
	deltaHead   = chunkHead + `[{"index":0,"delta":{`
	deltaTail   = `},"logprobs":null,"finish_reason":null}],"obfuscation":"aB3dE5"}` + "\n\n"
	firstHead   = deltaHead + `"role":"assistant","refusal":null,"content":"f`
	contentHead = deltaHead + `"content":"t`
	contentTail = `"` + deltaTail
	finishEvent = deltaHead + `},"logprobs":null,"finish_reason":"stop"}],"obfuscation":"aB3dE5"}` + "\n\n"
	usageEvent  = chunkHead + `[],"usage":{"prompt_tokens":19,"completion_tokens":64,"total_tokens":83,"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"obfuscation":"aB3dE5"}` + "\n\n"
	doneEvent   = "data: [DONE]\n\n"
)

// stream renders one stream: a first chunk (role), the content chunks, finish, usage if it was asked for, [DONE]. Each
// Read is one event, and fasthttp makes each Read a chunk of its own, flushed.
type stream struct {
	script script
	start  time.Time // of the request
	next   time.Time // when the next content chunk is due
	usage  bool
	step   int // events written: 0 none yet, 1 the first, then the content
}

// Read writes the next event to b, when it is due. b has room for one: fasthttp reads with 4 KiB.
func (s *stream) Read(b []byte) (int, error) {
	step := s.step
	s.step++
	content := s.script.chunks
	switch {
	case step == 0:
		return stamped(b, firstHead, int64(time.Since(s.start))), nil
	case step <= content:
		if s.script.cut >= 0 && step > s.script.cut {
			return 0, io.ErrUnexpectedEOF // fasthttp then closes the connection without ending the body
		}
		if step > 1 && s.script.gap > 0 {
			s.next = s.next.Add(s.script.gap)
			time.Sleep(time.Until(s.next))
		}
		return stamped(b, contentHead, time.Now().UnixNano()), nil
	case step == content+1:
		if !s.usage {
			s.step++
		}
		return copy(b, finishEvent), nil
	case step == content+2:
		return copy(b, usageEvent), nil
	case step == content+3:
		return copy(b, doneEvent), nil
	}
	return 0, io.EOF
}

func stamped(b []byte, head string, n int64) int {
	i := copy(b, head)
	writeDigits(b[i:], n)
	i += len(noDigits)
	return i + copy(b[i:], contentTail)
}
