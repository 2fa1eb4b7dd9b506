package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/config"
)

func TestParseTenant(t *testing.T) {
	t.Setenv("SECRET", "sk-1")
	tenant, err := config.ParseTenant("acme", "acme.yaml", []byte(`{"name":"Acme","limits":{"concurrent":3},"budgets":[{"usd":0.5,"per":"day"},{"usd":1,"per":"day","of":"key:made-later"}]}`))
	if err != nil || tenant.ID != "acme" || tenant.Priority != config.NormalPriority || tenant.Limits.Concurrent != 3 || tenant.Budgets[0].USD.String() != "0.50" {
		t.Errorf("%+v, %v", tenant, err)
	}
	f := func(text, want string) {
		t.Helper()
		_, err := config.ParseTenant("acme", "acme.yaml", []byte(text))
		var p config.Problems
		if !errors.As(err, &p) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sk-1") {
			t.Errorf("%s: %v", text, err)
		}
	}
	f(`{"id":"other"}`, `acme.yaml:1:7: the id "other" is not that of the tenant, "acme"`)
	f(`{"keys":[]}`, "acme.yaml:1:9: keys have no place here")
	f(`{"credentials":[{"provider":"openai","key":"sk-1"}]}`, "acme.yaml:1:16: credentials have no place here")
	f(`{"budgets":[{"usd":1,"per":"day","of":"model:*"}]}`, "budgets[0].of: no budget is for each model by itself; write tenant")
	f(`{"limit":{}}`, `did you mean "limits"?`)
	f(`{"name":"${env:SECRET}"}`, "a reference has no place here")
	f(`{"credentials":[{"provider":"openai","key":"${file:/etc/passwd}"}]}`, "a reference has no place here")
	f(`[]`, "must be a mapping")
	f(``, "is empty")

	key, err := config.ParseTenantKey("ci", []byte(`{"models":["gpt-*"],"limits":{"concurrent":1}}`))
	if err != nil || key.Name != "ci" || key.Models[0] != "gpt-*" || key.Limits.Concurrent != 1 {
		t.Errorf("%+v, %v", key, err)
	}
	if _, err = config.ParseTenantKey("ci", []byte(`{"digest":"x"}`)); err == nil {
		t.Error("a key says what its digest is")
	}
	if _, err = config.ParseTenantKey("ci", nil); err != nil {
		t.Error(err)
	}
}
