package chat_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestMediaURL(t *testing.T) {
	f := func(u string, want chat.Media, back string) {
		t.Helper()
		var m chat.Media
		m.SetURL(u)
		if m != want {
			t.Errorf("%s: got %+v, want %+v", u, m, want)
		}
		if got := m.DataURL(); got != back {
			t.Errorf("%s: back %s, want %s", u, got, back)
		}
	}
	same := func(u string, want chat.Media) {
		t.Helper()
		f(u, want, u)
	}
	same("data:image/png;base64,iVBO", chat.Media{Type: "image/png", Data: "iVBO"})
	same("data:text/plain;charset=utf-8;base64,aGk=", chat.Media{Type: "text/plain;charset=utf-8", Data: "aGk="})
	same("data:;base64,aGk=", chat.Media{Data: "aGk="})
	f("DATA:image/png;BASE64,iVBO", chat.Media{Type: "image/png", Data: "iVBO"}, "data:image/png;base64,iVBO")
	for _, u := range []string{"", "data", "data:", "data:,hi", "data:text/plain,a,b", "data:image/png;base64,", "data:image/png;base64", "https://x/y.png"} {
		same(u, chat.Media{URL: u})
	}
}
