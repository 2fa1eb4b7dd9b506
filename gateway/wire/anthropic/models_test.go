package anthropic_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestAppendModels(t *testing.T) {
	f := func(models []chat.Model, more bool, want string) {
		t.Helper()
		if got := string(anthropic.AppendModels(nil, models, more)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(nil, false, `{"data":[],"has_more":false,"first_id":null,"last_id":null}`)
	f([]chat.Model{{ID: "a/b", OwnedBy: "x", Created: 1767225600}, {ID: `"`}}, true, `{"data":[`+
		`{"type":"model","id":"a/b","display_name":"a/b","created_at":"2026-01-01T00:00:00Z"},`+
		`{"type":"model","id":"\"","display_name":"\"","created_at":"1970-01-01T00:00:00Z"}],"has_more":true,"first_id":"a/b","last_id":"\""}`)
}
