package sim

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// Fault is one way in which a provider can fail, or behave oddly, as a byte-exact dialogue, and what a gateway must make
// of it. Expectations hold for a client whose timeouts (headers, first event, idle, answer) are between 200 ms and 1 s
// and whose limits (event, body) are at most 1 MiB.
type Fault struct {
	Name     string
	Stream   bool   // whether the request that is answered asks for a stream
	Dialogue string // see Play; "" if the connection is refused
	Want     Outcome
}

// Outcome is what a gateway must make of an answer.
type Outcome struct {
	Status     int           // of the reply; 0 if there must be no reply but an error
	Code       string        // of that error, one of package gateway's
	Events     int           // that the caller gets, [DONE] and a whole body included
	Complete   bool          // whether the reply ends as it should; if not, the caller must be told that it was cut
	RetryAfter time.Duration // that an error reply asks for, give or take a second; a gateway may take a day for more
}

// Start serves the fault on a port of the loopback interface; url is what stands before /chat/completions.
func (f *Fault) Start() (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	url = "http://" + l.Addr().String() + "/v1"
	if f.Dialogue == "" {
		return url, func() {}, l.Close()
	}
	return url, Raw(l, func(c net.Conn, _ []byte) {
		if Play(c, f.Dialogue) != nil {
			_ = c.Close()
		}
	}), nil
}

// Faults are the cases of the fault matrix that concern an answer on the wire.
func Faults() []Fault {
	return slices.Concat(silences(), cuts(), malformed(), errorsInside(), refusals(), oddities())
}

// Parts of the dialogues.
const (
	streamHead = "-- head --\nHTTP/1.1 200 OK\nContent-Type: text/event-stream\nTransfer-Encoding: chunked\n"
	openHead   = "-- head --\nHTTP/1.1 200 OK\nContent-Type: text/event-stream\n" // until the connection ends
	goodEnd    = "-- finish --\n-- done --\n-- end --\n"
	errorBody  = `{"error":{"message":"it broke","type":"server_error","param":null,"code":null}}`
	lastWords  = "-- pause 20ms --\n" // what was not read yet may be lost with what comes
	errorEvent = "-- event --\ndata: " + errorBody + "\n"
	wholeBody  = `{"id":"chatcmpl-fault","object":"chat.completion","created":1767225600,"model":"fault","choices":[{"index":0,` +
		`"message":{"role":"assistant","content":"word"},"logprobs":null,"finish_reason":"stop"}]}`
)

// whole is a dialogue with a body of a length; fields are further lines of the head.
func whole(status, fields, body string, length int) string {
	return "-- head --\nHTTP/1.1 " + status + "\nContent-Type: application/json\nContent-Length: " + strconv.Itoa(length) + "\n" + fields +
		"-- bytes " + strconv.Quote(body) + " --\n"
}

// Outcomes that several faults have.
var (
	unreachable = Outcome{Code: gateway.CodeUnreachable}
	timedOut    = Outcome{Code: gateway.CodeTimeout}
	brokenOff   = Outcome{Code: gateway.CodeCut}
	invalid     = Outcome{Code: gateway.CodeBadResponse}
	failed      = Outcome{Code: gateway.CodeInBand}
	answered    = Outcome{Status: 200, Events: 1, Complete: true}
)

func completeAfter(events int) Outcome { return Outcome{Status: 200, Events: events, Complete: true} }
func cutAfter(events int) Outcome      { return Outcome{Status: 200, Events: events} }

// silences are those who say nothing, or too slowly.
func silences() []Fault {
	const silence = "-- silence --\n"
	return []Fault{
		{"refused", true, "", unreachable},
		{"refused, whole", false, "", unreachable},
		{"silent", true, silence, timedOut},
		{"silent, whole", false, silence, timedOut},
		{"silent after the head", true, streamHead + silence, timedOut},
		{"silent after the head, whole", false, whole("200 OK", "", "", 1000) + silence, timedOut},
		{"silent in the head", true, "-- bytes \"HTTP/1.1 200 OK\\r\\nContent-\" --\n" + silence, timedOut},
		{"silent after 3 events", true, streamHead + "-- events 3 --\n" + silence, cutAfter(3)},
		{"silent in the middle of a body", false, whole("200 OK", "", wholeBody[:60], len(wholeBody)) + silence, timedOut},
		{"heartbeats only", true, streamHead + "-- heartbeats 20ms --\n", timedOut},
		{"heartbeats only after 2 events", true, streamHead + "-- events 2 --\n-- heartbeats 20ms --\n", cutAfter(2)},
		{"one byte at a time, too slowly", true, streamHead + "-- events 1 --\n-- dribble 20ms --\n-- events 1 --\n" + goodEnd, cutAfter(1)},
		{"silent instead of [DONE]", true, streamHead + "-- events 2 --\n-- finish --\n" + silence, completeAfter(4)},
		{"silent instead of the last chunk", true, streamHead + "-- events 2 --\n-- finish --\n-- done --\n" + silence, completeAfter(4)},
	}
}

// cuts are those who end the connection too early.
func cuts() []Fault {
	half := strconv.Quote("ffff\r\ndata: {\"id\":")
	return []Fault{
		{"closed before the head", true, "-- cut --\n", brokenOff},
		{"closed before the head, whole", false, "-- cut --\n", brokenOff},
		{"reset before the head", true, "-- reset --\n", brokenOff},
		{"reset before the head, whole", false, "-- reset --\n", brokenOff},
		{"closed in the head", true, "-- bytes \"HTTP/1.1 200 OK\\r\\nContent-\" --\n-- cut --\n", brokenOff},
		{"closed after the head", true, streamHead + "-- cut --\n", brokenOff},
		{"closed after the head, whole", false, whole("200 OK", "", "", len(wholeBody)) + "-- cut --\n", brokenOff},
		{"reset after the head", true, streamHead + lastWords + "-- reset --\n", brokenOff},
		{"closed between two events", true, streamHead + "-- events 2 --\n-- cut --\n", cutAfter(2)},
		{"reset between two events", true, streamHead + "-- events 3 --\n" + lastWords + "-- reset --\n", cutAfter(3)},
		{"closed in the middle of an event", true, streamHead + "-- events 2 --\n-- bytes " + half + " --\n-- cut --\n", cutAfter(2)},
		{"reset in the middle of an event", true, streamHead + "-- events 2 --\n-- bytes " + half + " --\n" + lastWords + "-- reset --\n", cutAfter(2)},
		{"closed between two halves of an event", true, streamHead + "-- events 2 --\n-- chunk \"data: {\" --\n-- cut --\n", cutAfter(2)},
		{"closed in the middle of a chunk's size", true, streamHead + "-- events 2 --\n-- bytes \"f\" --\n-- cut --\n", cutAfter(2)},
		{"closed without a finish reason, no framing", true, openHead + "-- bytes \"data: {\\\"choices\\\":[]}\\n\\n\" --\n-- cut --\n", cutAfter(1)},
		{"ended without a finish reason", true, streamHead + "-- events 2 --\n-- end --\n", cutAfter(2)},
		{"ended without an event", true, streamHead + "-- end --\n", brokenOff},
		{"closed in the middle of a body", false, whole("200 OK", "", wholeBody[:60], len(wholeBody)) + "-- cut --\n", brokenOff},
		{"reset in the middle of a body", false, whole("200 OK", "", wholeBody[:60], len(wholeBody)) + lastWords + "-- reset --\n", brokenOff},
		{"a length too long", false, whole("200 OK", "", wholeBody, len(wholeBody)+10) + "-- cut --\n", brokenOff},
		{"an empty body", false, whole("200 OK", "", "", 0), brokenOff},
		{"closed instead of [DONE]", true, streamHead + "-- events 2 --\n-- finish --\n-- cut --\n", cutAfter(3)},
		{"closed instead of the last chunk", true, streamHead + "-- events 2 --\n-- finish --\n-- done --\n-- cut --\n", completeAfter(4)},
	}
}

// malformed are those whose answer is not HTTP, not JSON, or too much.
func malformed() []Fault {
	const garbled = "-- event --\ndata: {\"choices\":[}\n"
	return []Fault{
		{"not HTTP", true, "-- bytes \"SSH-2.0-OpenSSH_9.2\\r\\n\\r\\n\" --\n-- silence --\n", invalid},
		{"a head without end", true, "-- bytes \"HTTP/1.1 200 OK\\r\\nX: \" --\n-- fill 1000000 --\n-- silence --\n", invalid},
		{"two framings", true, "-- head --\nHTTP/1.1 200 OK\nContent-Type: text/event-stream\nContent-Length: 5\nTransfer-Encoding: chunked\n-- end --\n", invalid},
		{"two lengths", false, whole("200 OK", "Content-Length: 5\n", wholeBody, len(wholeBody)), invalid},
		{"a chunk size that is no number", true, streamHead + "-- bytes \"xyz\\r\\n\" --\n-- silence --\n", invalid},
		{"a chunk size that is no number, after 2 events", true, streamHead + "-- events 2 --\n" + lastWords + "-- bytes \"xyz\\r\\n\" --\n-- silence --\n", cutAfter(2)},
		{"bad JSON", true, streamHead + garbled + goodEnd, invalid},
		{"bad JSON after 2 events", true, streamHead + "-- events 2 --\n" + garbled + goodEnd, cutAfter(2)},
		{"bad JSON, whole", false, whole("200 OK", "", "{\"id\":", 6), invalid},
		{"a length too short", false, whole("200 OK", "", wholeBody, len(wholeBody)-10), invalid},
		{"a compressed body", false, whole("200 OK", "Content-Encoding: gzip\n", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 10) + "-- silence --\n", invalid},
		{"a compressed stream", true, streamHead + "Content-Encoding: gzip\n-- chunk \"\\x1f\\x8b\\x08\" --\n-- silence --\n", invalid},
		{"a line of 10 MB", true, streamHead + "-- bytes \"a00000\\r\\ndata: \" --\n-- fill 10485754 --\n-- silence --\n", invalid},
		{"a line of 10 MB after 2 events", true, streamHead + "-- events 2 --\n-- bytes \"a00000\\r\\ndata: \" --\n-- fill 10485754 --\n-- silence --\n", cutAfter(2)},
		{"a body of 10 MB", false, whole("200 OK", "", "", 10<<20) + "-- fill 10485760 --\n", invalid},
		{"a whole answer to a streamed request", true, whole("200 OK", "", wholeBody, len(wholeBody)), invalid},
		{"a stream for a whole answer", false, streamHead + "-- events 2 --\n" + goodEnd, invalid},
		{"an HTML page with status 200", false, whole("200 OK", "", "<html></html>", 13), invalid},
	}
}

// errorsInside are those who report an error after they began as if all were well.
func errorsInside() []Fault {
	return []Fault{
		{"200 with an error", false, whole("200 OK", "", errorBody, len(errorBody)), failed},
		{"an error as the first event", true, streamHead + errorEvent + "-- end --\n", failed},
		{"an error after 2 events", true, streamHead + "-- events 2 --\n" + errorEvent + "-- end --\n", cutAfter(2)},
		{"an error after 2 events, then [DONE]", true, streamHead + "-- events 2 --\n" + errorEvent + "-- done --\n-- end --\n", cutAfter(2)},
	}
}

// refusals are those who say no in proper form.
func refusals() []Fault {
	refusal := func(name, status, fields, body string, want Outcome) Fault {
		return Fault{name, true, whole(status, fields, body, len(body)), want}
	}
	no := func(status int, after time.Duration) Outcome {
		return Outcome{Status: status, Events: 1, Complete: true, RetryAfter: after}
	}
	const tooMany, page = "429 Too Many Requests", "<html>Bad Gateway</html>"
	return []Fault{
		refusal("429 with Retry-After in seconds", tooMany, "Retry-After: 7\n", errorBody, no(429, 7*time.Second)),
		refusal("429 with Retry-After in milliseconds", tooMany, "Retry-After-Ms: 1500\nRetry-After: 2\n", errorBody, no(429, 1500*time.Millisecond)),
		refusal("429 with Retry-After as a date", tooMany, "Retry-After: {date+30s}\n", errorBody, no(429, 30*time.Second)),
		refusal("429 with Retry-After in the past", tooMany, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\n", errorBody, no(429, 0)),
		refusal("429 with a huge Retry-After", tooMany, "Retry-After: 99999999\n", errorBody, no(429, 99999999*time.Second)),
		refusal("429 with a senseless Retry-After", tooMany, "Retry-After: soon\n", errorBody, no(429, 0)),
		refusal("429 without Retry-After", tooMany, "", errorBody, no(429, 0)),
		refusal("500", "500 Internal Server Error", "", errorBody, no(500, 0)),
		refusal("529", "529 Overloaded", "", errorBody, no(529, 0)),
		refusal("503 without a body", "503 Service Unavailable", "", "", Outcome{Status: 503, Complete: true}),
		refusal("502 with an HTML page", "502 Bad Gateway", "", page, no(502, 0)),
		refusal("302", "302 Found", "Location: https://example.com/\n", page, no(302, 0)),
	}
}

// oddities are no faults: a gateway must put up with them.
func oddities() []Fault {
	text := strings.Replace(wordEvent, "word", "sch\u00f6n", 1)
	split := strings.Index(text, "\xc3") + 1
	return []Fault{
		{"a slow first token", true, "-- pause 50ms --\n" + streamHead + "-- pause 50ms --\n-- events 2 --\n" + goodEnd, completeAfter(4)},
		{"a slow answer", false, "-- pause 100ms --\n" + whole("200 OK", "", wholeBody, len(wholeBody)), answered},
		{"one byte at a time", true, "-- dribble 0s --\n" + streamHead + "-- events 1 --\n" + goodEnd, completeAfter(3)},
		{"one byte at a time, whole", false, "-- dribble 0s --\n" + whole("200 OK", "", wholeBody, len(wholeBody)), answered},
		{"heartbeats between events", true, streamHead + "-- events 1 --\n-- chunk \": keep-alive\\n\\n\" --\n-- chunk \"event: ping\\n\\n\" --\n-- events 1 --\n" + goodEnd, completeAfter(4)},
		{"no [DONE]", true, streamHead + "-- events 2 --\n-- finish --\n-- end --\n", completeAfter(4)},
		{"no [DONE] and no framing", true, openHead + "-- bytes " + strconv.Quote("data: "+wordEvent+"\n\ndata: "+finishEvent+"\n\n") + " --\n-- cut --\n", completeAfter(3)},
		{"no framing", true, openHead + "-- bytes " + strconv.Quote("data: "+finishEvent+"\n\ndata: [DONE]\n\n") + " --\n-- cut --\n", completeAfter(2)},
		{"a character split between two chunks", true, streamHead + "-- chunk " + strconv.Quote("data: "+text[:split]) + " --\n-- pause 20ms --\n-- chunk " + strconv.Quote(text[split:]+"\n\n") + " --\n" + goodEnd, completeAfter(3)},
		{"two events in one chunk", true, streamHead + "-- chunk " + strconv.Quote("data: "+wordEvent+"\n\ndata: "+wordEvent+"\n\n") + " --\n" + goodEnd, completeAfter(4)},
		{"lines that end with CRLF", true, streamHead + "-- chunk " + strconv.Quote("data: "+wordEvent+"\r\n\r\n") + " --\n" + goodEnd, completeAfter(3)},
		{"an event after [DONE]", true, streamHead + "-- events 1 --\n-- finish --\n-- done --\n-- events 1 --\n-- end --\n", completeAfter(3)},
		{"an informational reply first", true, "-- bytes \"HTTP/1.1 103 Early Hints\\r\\nLink: </a>\\r\\n\\r\\n\" --\n" + streamHead + "-- events 1 --\n" + goodEnd, completeAfter(3)},
	}
}
