package serve_test

import (
	"strings"
	"testing"
	"time"
)

// A line that ends in a bare LF is refused wherever it stands in a head and however the head arrives, and at once: who waits
// for its end would wait until the deadline.
func TestBareLineFeeds(t *testing.T) {
	const first, host, length = "POST /v1/chat/completions HTTP/1.1", "Host: x", "Content-Length: 13"
	head := func(ends ...string) string {
		return first + ends[0] + host + ends[1] + length + ends[2] + ends[3] + minimal
	}
	const crlf, lf = "\r\n", "\n"
	for _, secure := range []bool{false, true} {
		for _, background := range []bool{false, true} {
			s := start(t, whole(`{}`), func(u *setup) { u.tls, u.background = secure, background })
			check := func(name string, status int, pieces ...string) {
				t.Helper()
				c := s.dial()
				for range strings.Count(name, "after another") { // on the same connection
					c.send(post(minimal))
					c.response()
				}
				for i, p := range pieces {
					if i > 0 {
						<-time.After(2 * time.Millisecond) // mostly enough for the server to read the one before
					}
					c.send(p)
				}
				for range strings.Count(name, "behind another") {
					c.response()
				}
				r, body := c.response()
				if r.StatusCode != status || status != 200 && code(t, body) != "bad_request" {
					t.Errorf("%s: %d %s, want %d", name, r.StatusCode, body, status)
				}
			}
			all := head(crlf, crlf, crlf, crlf)
			check("none", 200, all)
			check("none, in pieces", 200, all[:20], all[20:60], all[60:])
			check("everywhere", 400, head(lf, lf, lf, lf))
			check("everywhere, after another", 400, head(lf, lf, lf, lf))
			check("everywhere, behind another", 400, post(minimal)+head(lf, lf, lf, lf))
			check("everywhere, before a body with an empty line", 400, head(lf, lf, lf, lf)+"\r\n\r\n")
			check("only the first line", 400, head(lf, crlf, crlf, crlf))
			check("only the first line, after another", 400, head(lf, crlf, crlf, crlf))
			check("only the second", 400, head(crlf, lf, crlf, crlf))
			check("only the second, behind another", 400, post(minimal)+head(crlf, lf, crlf, crlf))
			check("only the third", 400, head(crlf, crlf, lf, crlf))
			check("only the empty one", 400, head(crlf, crlf, crlf, lf))
			check("the last two", 400, head(crlf, crlf, lf, lf))
			check("an empty line before", 400, lf+all)
			some := head(lf, crlf, crlf, crlf)
			check("the first line in pieces", 400, some[:10], some[10:])
			some = head(crlf, lf, crlf, crlf)
			check("the second line in pieces", 400, some[:40], some[40:])
			check("incomplete", 400, first+lf+host)
			check("incomplete after a second piece", 400, first, lf+host)
			check("in the body", 200, request("POST", "/v1/chat/completions", "{\n\"model\":\"m\"\n\n}"))
			check("in a chunk, in pieces", 200, request("POST", "/v1/chat/completions", "", "Transfer-Encoding: chunked")+"f\r\n{\n\"model\":", "\"m\"\n}\r\n", "0\r\n", "\r\n")
		}
	}
}
