package admin_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/admin"
)

// Each line stands for itself, and what is wrong with one is said with its number.
func TestWarm(t *testing.T) {
	o := open(t)
	f := func(body string, want admin.Warmed) {
		t.Helper()
		got := data[admin.Warmed](t, o.ask(200, "POST", "tenants/acme/cache/warm", body))
		for i := range got.Refused {
			got.Refused[i].Why, _, _ = strings.Cut(got.Refused[i].Why, ":")
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", body, got, want)
		}
	}
	bad := func(line int, why string) admin.RefusedLine { return admin.RefusedLine{Line: line, Why: why} }
	f("", admin.Warmed{})
	f(`{"request":{},"answer":"yes"}`+"\n\n"+`{"request":{}}`+"\n"+`{"request":{},"answer":null}`+"\n", admin.Warmed{Kept: 1, Asked: 2})
	f(strings.Join([]string{
		`{"request":{},"answer":{"choices":[]}}`, `{"request":{}`, `{"request":{},"anwser":"yes"}`, `{"answer":"yes"}`, `{"request":"hi"}`,
		`{"request":{},"answer":7}`, `{"request":{}} {}`, `{"request":{},"tags":["refuse"]}`, `{"request":{},"answer":"yes","tags":["a"]}`,
	}, "\n"), admin.Warmed{Kept: 2, Refused: []admin.RefusedLine{
		bad(2, "it is not what is expected"), bad(3, "it is not what is expected"), bad(4, "request is not the body of a request"),
		bad(5, "request is not the body of a request"), bad(6, "answer is neither a text nor a whole reply"), bad(7, "it is not what is expected"),
		bad(8, "refused for acme"),
	}})
	if all := o.entries(); all[len(all)-1].Object != "9 lines" || all[len(all)-1].After != "2 kept, 0 asked, 0 held, 7 refused" {
		t.Errorf("%+v", all[len(all)-1])
	}
	o.fails(413, "too_many_lines", "POST", "tenants/acme/cache/warm", strings.Repeat("{}\n", 1001))
	o.fails(413, "too_large", "POST", "tenants/acme/cache/warm", strings.Repeat(" ", 8<<20+1))
	none := open(t, func(o *admin.Options) { o.Cache = nil })
	none.fails(503, "cache_unavailable", "POST", "tenants/acme/cache/warm", "{}")
}
