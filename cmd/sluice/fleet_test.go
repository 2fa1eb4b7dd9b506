package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/cmd/sluice/desk"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
)

// The fleet to copy from has an operator, whose token only the operator has.
func TestFleetExample(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "sh", "../../deploy/fleet/secrets.sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	compose, err := os.ReadFile("../../deploy/fleet/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		secrets[name] = value
		if passed := strings.Contains(string(compose), "\n    "+name+":"); passed {
			t.Setenv(name, value)
		} else if strings.HasPrefix(name, "SLUICE_") && name != "SLUICE_ADMIN_TOKEN" && !strings.Contains(string(compose), " "+name+":") {
			t.Errorf("%s is passed to nobody", name)
		}
	}
	if os.Getenv("SLUICE_ADMIN_TOKEN") != "" {
		t.Error("the gateways have the token itself")
	}
	c, err := loadUnresolved("../../deploy/fleet/sluice.yaml")
	if err != nil || len(c.Warnings) > 0 {
		t.Fatal(err, c.Warnings)
	}
	tokens, err := desk.Tokens(c.Admin)
	if err != nil || len(tokens) != 1 || tokens[0].Role != admin.Admin || tokens[0].Digest != desk.Digest(secrets["SLUICE_ADMIN_TOKEN"], config.Secret{}) {
		t.Errorf("%+v, %v", tokens, err)
	}
}
