package upstream_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
)

// claudes is an exchange of a client of Anthropic's at one of the endpoints of files.
func claudes(t *testing.T, endpoint, form, param, query string) *gateway.Exchange {
	t.Helper()
	var b gateway.Body
	contentType := ""
	if form != "" {
		b, contentType = &body{[]byte(form)}, "multipart/form-data; boundary=b"
	}
	x := pass(t, endpoint, contentType, b, param, query)
	e := *x.Request.Endpoint
	e.Dialect = "anthropic"
	x.Request.Endpoint = &e
	return x
}

// Clients of Anthropic's Files API find files at providers with OpenAI's, in their own words.
func TestFilesForClaude(t *testing.T) {
	const object = `{"id":"file-1","object":"file","bytes":2,"created_at":1767225600,"filename":"a.txt","purpose":"user_data","status":"processed"}`
	const file = `{"type":"file","id":"file-1~fake","filename":"a.txt","mime_type":"text/plain","size_bytes":2,"created_at":"2026-01-01T00:00:00Z"}`
	check := func(x *gateway.Exchange, reply, line, want string) request {
		t.Helper()
		f := newFake(t, nil, say(reply))
		r := attempt(t, openai(t, f), x, "")
		if r.err != nil || strings.Join(r.events, "") != want {
			t.Errorf("%s: %v\ngot  %q\nwant %s", line, r.err, r.events, want)
		}
		got := f.seen()[0]
		if !strings.HasPrefix(got.head, line+" HTTP/1.1\r\n") {
			t.Errorf("sent %s, want %s", got.head, line)
		}
		return got
	}
	check(claudes(t, "files.list", "", "", "beta=true&limit=1&after_id=file-0~fake"), whole("200 OK", `{"object":"list","data":[`+object+`],"has_more":true}`),
		"GET /v1/files?beta=true&limit=1&after=file-0",
		`{"data":[`+file+`],"has_more":true,"first_id":"file-1~fake","last_id":"file-1~fake","next_page":"file-1~fake"}`)
	check(claudes(t, "files.list", "", "", "page=file-1~fake"), whole("200 OK", `{"object":"list","data":[],"has_more":false}`),
		"GET /v1/files?after=file-1", `{"data":[],"has_more":false,"first_id":null,"last_id":null,"next_page":null}`)
	check(claudes(t, "files.delete", "", "file-1~fake", ""), whole("200 OK", `{"id":"file-1","object":"file","deleted":true}`),
		"DELETE /v1/files/file-1", `{"id":"file-1~fake","type":"file_deleted"}`)
	check(claudes(t, "files.delete", "", "file-1~fake", ""), whole("404 Not Found", `{"error":{"message":"No such file","type":"invalid_request_error","param":null,"code":null}}`),
		"DELETE /v1/files/file-1", `{"type":"error","error":{"type":"not_found_error","message":"No such file"}}`)
	check(claudes(t, "files.delete", "", "file-1~fake", ""), whole("500 Internal Server Error", "<html>"), "DELETE /v1/files/file-1", "<html>")
	check(claudes(t, "files.delete", "", "file-1~fake", ""), whole("500 Internal Server Error", ""), "DELETE /v1/files/file-1", "")

	// OpenAI wants to know what a file is for.
	const part = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhi\r\n"
	const is = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n"
	const end = "--b--\r\n"
	sent := func(form, want string) {
		t.Helper()
		got := check(claudes(t, "files.create", form, "", ""), whole("200 OK", object), "POST /v1/files", file)
		if got.body != want || !strings.HasSuffix(got.head, "Content-Length: "+itoa(len(want))) {
			t.Errorf("sent %s\n%q", got.head, got.body)
		}
	}
	sent(part+end, is+part+end)
	sent(is+part+end, is+part+end)
}
