package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-ai/sluice/plugins/auth/key"
)

const chatPath = "/v1/chat/completions"

// subject is a program under test.
type subject struct {
	name    string
	command []string // may contain {config}, {listen} and {upstream}
}

// argv is the command with the addresses and the configuration of one start.
func (s subject) argv(config, listen, upstream string) []string {
	replace := strings.NewReplacer("{config}", config, "{listen}", listen, "{upstream}", upstream)
	argv := make([]string, len(s.command))
	for i, arg := range s.command {
		argv[i] = replace.Replace(arg)
	}
	return argv
}

// gatewayCommand is the command for -gateway: a path is served with the configuration, anything with a place for an
// address or the configuration is taken as it is.
func gatewayCommand(flag string) []string {
	if strings.Contains(flag, "{") {
		return strings.Fields(flag)
	}
	return []string{flag, "serve", "--config", "{config}"}
}

// A gateway as it comes: the default chain, one provider with a key, one model, callers with a key. The verbs are the
// address for callers, the one for operators, the mock's, and the folder.
const gatewayFile = `version: 1
server: {listen: "%s", admin_listen: "%s"}
providers:
  - name: mock
    type: openai-compatible
    base_url: "http://%s/v1"
    keys: [{name: bench, key: "${file:%s/provider.key}"}]
models:
  - name: "mock*"
    targets: [{provider: mock}]
tenants: {dir: ./tenants}
`

// writeTenants makes the folder of tenants in dir: one for the load generator, whose key it returns, and n others.
func writeTenants(dir string, n int) (callerKey string, err error) {
	tenants := filepath.Join(dir, "tenants")
	if err := os.Mkdir(tenants, 0o750); err != nil {
		return "", err
	}
	for i := range n {
		if _, err := writeTenant(tenants, fmt.Sprintf("other-%05d", i)); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "provider.key"), []byte("sk-bench"), 0o600); err != nil {
		return "", err
	}
	return writeTenant(tenants, "bench")
}

// writeTenant makes a tenant with one new key, which it returns.
func writeTenant(dir, id string) (string, error) {
	k, err := key.New("bench")
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("version: 1\nid: %s\nkeys:\n  - {name: bench, digest: %q}\n", id, key.Text(key.Digest([]byte(k))))
	return k, os.WriteFile(filepath.Join(dir, id+".yaml"), []byte(text), 0o600)
}

// writeGateway writes the gateway file beside the tenants and returns its path.
func writeGateway(dir, listen, admin, upstream string) (string, error) {
	path := filepath.Join(dir, "sluice.yaml")
	return path, os.WriteFile(path, fmt.Appendf(nil, gatewayFile, listen, admin, upstream, dir), 0o600)
}
