package tenant_test

import (
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/gateway/tenant"
)

func TestPattern(t *testing.T) {
	f := func(p tenant.Pattern, name string, want bool) {
		t.Helper()
		if got := p.Match(name); got != want {
			t.Errorf("%q matches %q: %v", p, name, got)
		}
		if strings.Count(string(p), "*") > 1 {
			return
		}
		capture, ok := p.Capture(name)
		if ok != want || ok && strings.Replace(string(p), "*", capture, 1) != name {
			t.Errorf("%q captures %q of %q, %v", p, capture, name, ok)
		}
	}
	f("gpt-4.1", "gpt-4.1", true)
	f("gpt-4.1", "gpt-4.1-mini", false)
	f("gpt-4.1", "gpt-4x1", false)
	f("*", "", true)
	f("*", "anything", true)
	f("gpt-*", "gpt-4.1", true)
	f("gpt-*", "gpt-", true)
	f("gpt-*", "gpt", false)
	f("gpt-*", "o3", false)
	f("*-mini", "gpt-mini", true)
	f("*-mini", "gpt-minim", false)
	f("a*a", "a", false) // the ends may not overlap
	f("a*a", "aa", true)
	f("a*b*c", "abc", true)
	f("a*b*c", "aXbYc", true)
	f("a*b*c", "a-b-bc", true)
	f("a*b*c", "acb", false)
	f("a*b*c", "ac", false)
	f("*dem*", "a demo here", true)
	f("*dem*", "dem", true)
	f("*dem*", "de-m", false)
	f("**", "x", true)
	f("", "x", false)
	f("", "", true)
}

func TestPatternsMeet(t *testing.T) {
	f := func(p, q tenant.Pattern, want bool) {
		t.Helper()
		if p.Meets(q) != want || q.Meets(p) != want {
			t.Errorf("%q meets %q: %v, %v", p, q, p.Meets(q), q.Meets(p))
		}
	}
	f("gpt-4.1", "gpt-4.1", true)
	f("gpt-4.1", "gpt-4", false)
	f("gpt-*", "gpt-4.1", true)
	f("gpt-*", "*-mini", true)
	f("gpt-*", "o*", false)
	f("a*b", "a*c", false)
	f("a*b*c", "ab*bc", true)
	f("*", "", true)
	f("", "", true)
	f("", "a", false)
	f("**", "*", true)
	f("*a*", "b*b", true)
	f("a*a", "a", false)
	f(tenant.Pattern(strings.Repeat("*a", 128)+"c"), tenant.Pattern(strings.Repeat("a", 256)+"*b"), false) // in this life
}
