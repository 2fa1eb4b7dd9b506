package chat_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

func TestDropped(t *testing.T) {
	f := func(want []string, names ...string) {
		t.Helper()
		var d chat.Dropped
		for _, name := range names {
			d.Add(name)
		}
		if got := d.Names(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(nil)
	f([]string{"seed", "messages[0].content[12]", "tools.web-search"}, "seed", "messages[0].content[12]", "seed", "tools.web-search")
	f([]string{"seed", "other"}, "seed", "a b", "ü", "\x00", "", "a\r\nb: c", strings.Repeat("x", 65))

	var d chat.Dropped
	for i := range 100_000 {
		d.Add("member" + strconv.Itoa(i))
	}
	if got := d.Names(); len(got) != 33 || got[0] != "member0" || got[32] != "other" {
		t.Errorf("many names become %q", got)
	}
	d = chat.Dropped{}
	for i := range 20 {
		d.Add(strings.Repeat("x", 40) + strconv.Itoa(i))
	}
	if got := strings.Join(d.Names(), ""); len(got) > 512+len("other") || !strings.HasSuffix(got, "other") {
		t.Errorf("long names become %d bytes: %q", len(got), got)
	}
}
