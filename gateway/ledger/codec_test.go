package ledger_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// fullRow is a row with something in every field.
func fullRow(text string) ledger.Row {
	at := time.Date(2026, 11, 23, 16, 0, 0, 123456789, time.UTC)
	return ledger.Row{
		ID: ledger.NewID(at), Kind: ledger.Semantic, At: at, Node: text, Tenant: tenant.ID(text), Key: text, User: text, Request: text,
		Endpoint: text, Dialect: text, Asked: text, Model: text, Provider: text, Account: text, Target: text, Upstream: text,
		Of: ledger.NewID(at), Attempt: 255, Flags: 1<<16 - 1, Outcome: ledger.Spent, Status: 529, Waited: -1 << 62, First: 1 << 62, Total: -1 << 63,
		Usage: chat.Usage{
			Input: -1 << 63, CacheRead: -1 << 63, CacheWrite: -1 << 63, CacheWriteHour: -1 << 63, InputAudio: -1 << 63, InputImage: -1 << 63,
			Output: -1 << 63, Reasoning: -1 << 63, OutputAudio: -1 << 63, OutputImage: -1 << 63, Duration: -1 << 63,
			Provenance: chat.Aborted, Tier: text,
		},
		Price: 1<<64 - 1, Cost: catalog.Cost{Picodollars: -1 << 63, Known: true, Why: catalog.CutShort, Class: catalog.Characters},
		Reserved: -1 << 63, Charge: -1 << 63, Saved: -1 << 63,
	}
}

// Every field comes back as it was.
func TestRow(t *testing.T) {
	f := func(r ledger.Row) {
		t.Helper()
		var got ledger.Row
		if err := got.Decode(r.Append(nil)); err != nil || got != r {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, r)
		}
		if err := got.Decode(append(r.Append(nil), "of a later version"...)); err != nil || got != r {
			t.Errorf("with more behind it: %v, %+v", err, got)
		}
		whole := r.Append(nil)
		for n := range whole {
			if err := got.Decode(whole[:n]); err == nil || got != (ledger.Row{}) {
				t.Fatalf("%d of %d bytes are a row", n, len(whole))
			}
		}
	}
	full := fullRow("text")
	f(full)
	later := full.Append(nil)
	later[0]++
	if err := new(ledger.Row).Decode(later); !errors.Is(err, ledger.ErrFormat) {
		t.Errorf("a row of a later version: %v", err)
	}
	f(ledger.Row{})
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not tested", v.Type().Field(i).Name)
		}
	}
}

// Texts are bounded, and of a kind that stores take.
func TestTexts(t *testing.T) {
	written := func(s string) string {
		t.Helper()
		r := fullRow(s)
		b := r.Append(nil)
		var got ledger.Row
		if err := got.Decode(b); err != nil || len(b) > ledger.MostRow {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if !utf8.ValidString(got.User) || strings.ContainsRune(got.User, 0) {
			t.Errorf("%q is written as %q", s, got.User)
		}
		return got.User
	}
	f := func(s, want string) {
		t.Helper()
		if got := written(s); got != want {
			t.Errorf("%q is written as %q", s, got)
		}
	}
	f("grüße", "grüße")
	f("a\x00b\xffc", "a\uFFFDb\uFFFDc")
	f("line\nbreak", "line\nbreak")
	f(strings.Repeat("x", 24), strings.Repeat("x", 24))
	long := strings.Repeat("ü", 100)
	one, two := written(long+"1"), written(long+"2")
	if one == two || len(one) > 64 || !strings.HasPrefix(one, strings.Repeat("ü", 27)+"~") {
		t.Errorf("%q and %q", one, two)
	}
	if n := len(fullRow(strings.Repeat("x", 200)).Flags.Names()); n != 11 {
		t.Errorf("%d flags have a name", n)
	}
}

func FuzzRow(f *testing.F) {
	for _, text := range []string{"", "text", strings.Repeat("ü\x00\xff", 50)} {
		r := fullRow(text)
		f.Add(r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again ledger.Row
		if err := r.Decode(b); err != nil {
			if r != (ledger.Row{}) {
				t.Error("half a row")
			}
			return
		}
		_ = r.Kind.String() + r.Outcome.String() + r.Cost.Why.String() + r.Cost.Class.String() // none of them panics
		c := r.Append(nil)
		if len(c) > ledger.MostRow {
			t.Errorf("%d bytes", len(c))
		}
		if err := again.Decode(c); err != nil {
			t.Fatal(err)
		}
		if d := again.Append(nil); !bytes.Equal(c, d) {
			t.Errorf("%q is not written as it was read: %q", c, d)
		}
	})
}
