package anthropic_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
)

func TestAppendFiles(t *testing.T) {
	f := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	a := anthropic.File{ID: "file-1", Name: `a".PDF`, Bytes: 7, Created: 1767225600}
	b := anthropic.File{ID: "file-2", Name: "b", Created: 1, Expires: 1767225600}
	const asA = `{"type":"file","id":"file-1","filename":"a\".PDF","mime_type":"application/pdf","size_bytes":7,"created_at":"2026-01-01T00:00:00Z"}`
	const asB = `{"type":"file","id":"file-2","filename":"b","mime_type":"application/octet-stream","size_bytes":0,` +
		`"created_at":"1970-01-01T00:00:01Z","expires_at":"2026-01-01T00:00:00Z"}`
	f(anthropic.AppendFile(nil, &a), asA)
	f(anthropic.AppendFiles(nil, nil, false), `{"data":[],"has_more":false,"first_id":null,"last_id":null,"next_page":null}`)
	f(anthropic.AppendFiles(nil, []anthropic.File{a, b}, false),
		`{"data":[`+asA+`,`+asB+`],"has_more":false,"first_id":"file-1","last_id":"file-2","next_page":null}`)
	f(anthropic.AppendFiles(nil, []anthropic.File{a, b}, true),
		`{"data":[`+asA+`,`+asB+`],"has_more":true,"first_id":"file-1","last_id":"file-2","next_page":"file-2"}`)
	f(anthropic.AppendDeleted(nil, "file-1"), `{"id":"file-1","type":"file_deleted"}`)
}
