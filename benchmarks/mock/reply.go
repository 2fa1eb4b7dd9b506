package main

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	replyHead = `{"id":"chatcmpl-mock0123456789abcdef","object":"chat.completion","created":1700000000,"model":"mock-2026-01-01","choices":[{"index":0,"message":{"role":"assistant","content":"`
	replyTail = `","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":128,"total_tokens":147,"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_mock","x_unknown":{"keep":"me"}}`
	models    = `{"object":"list","data":[{"id":"mock","object":"model","created":1700000000,"owned_by":"mock"}]}`

	stamp     = "t" + noDigits + " "
	noDigits  = "0000000000000000000"
	filler    = "lorem ipsum dolor sit amet consectetur "
	stampFrom = len(replyHead) + 1 // of the digits
)

// mock answers requests. It is safe for many at once.
type mock struct {
	replies sync.Map // size in bytes (int) -> rendered reply ([]byte), never changed
}

func newMock() *mock { return &mock{} }

func (m *mock) handle(ctx *fasthttp.RequestCtx) {
	start := time.Now()
	switch string(ctx.Path()) {
	case "/v1/chat/completions":
		m.chat(ctx, start)
	case "/v1/messages":
		m.messages(ctx, start)
	case "/v1/models":
		ctx.SetContentType("application/json")
		ctx.SetBodyString(models)
	default:
		fail(ctx, fasthttp.StatusNotFound)
	}
}

func (m *mock) chat(ctx *fasthttp.RequestCtx, start time.Time) {
	body := ctx.PostBody()
	s := parseModel(findModel(body))
	if s.delay > 0 {
		time.Sleep(s.delay)
	}
	if s.status != 0 {
		fail(ctx, s.status)
		return
	}
	h := &ctx.Response.Header
	h.Set("X-Request-Id", "req_mock_0123456789")
	h.Set("Openai-Processing-Ms", "12")
	h.Set("X-Ratelimit-Remaining-Requests", "9999")
	if asks(body, "stream") {
		ctx.SetContentType("text/event-stream; charset=utf-8")
		h.Set(fasthttp.HeaderCacheControl, "no-cache")
		ctx.SetBodyStream(&stream{script: s, start: start, next: start.Add(s.delay), usage: asks(body, "include_usage")}, -1)
		return
	}
	ctx.SetContentType("application/json")
	ctx.Response.SetBody(m.reply(s.size)) // a copy, so that it can be stamped
	writeDigits(ctx.Response.Body()[stampFrom:], int64(time.Since(start)))
}

// reply is a reply of about size bytes, with an empty stamp. It must not be changed.
func (m *mock) reply(size int) []byte {
	if r, ok := m.replies.Load(size); ok {
		return r.([]byte)
	}
	n := max(size-len(replyHead)-len(stamp)-len(replyTail), 2)
	r := []byte(replyHead + stamp + strings.Repeat(filler, n/len(filler)+1)[:n] + replyTail)
	m.replies.Store(size, r)
	return r
}

// fail answers with an error in OpenAI's form, and the headers that come with it.
func fail(ctx *fasthttp.RequestCtx, status int) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderRetryAfter, "7")
	h.Set("X-Request-Id", "req_mock_error")
	h.Set("X-Ratelimit-Remaining-Requests", "0")
	h.Set("X-Ratelimit-Reset-Requests", "7s")
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.SetBodyString(`{"error":{"message":"mock error ` + strconv.Itoa(status) +
		`","type":"mock_type","param":"mock_param","code":"mock_code"},"x_unknown":1}`)
}

// writeDigits writes n as 19 digits, as many as the largest int64 has.
func writeDigits(b []byte, n int64) {
	for i := len(noDigits) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}
