package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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

// isSluice says whether a command is started with our configuration, and so can be given several upstreams or TLS.
func (s subject) isSluice() bool {
	return s.name == gatewayName && slices.Contains(s.command, "{config}")
}

// gatewayCommand is the command for -gateway: a path is served with the configuration, anything with a place for an
// address or the configuration is taken as it is.
func gatewayCommand(flag string) []string {
	if strings.Contains(flag, "{") {
		return strings.Fields(flag)
	}
	return []string{flag, "serve", "--config", "{config}"}
}

// site is where a gateway listens and whom it asks: as it comes, the default chain, a provider with a key for each
// upstream, one model that asks them in order or as strategy says, callers with a key.
type site struct {
	dir           string // the gateway file goes there; tenants and the provider's key are there
	listen, admin string
	upstreams     []string
	tls           bool   // with the certificate of writeCertificate
	speaks        string // type of the providers; empty: openai-compatible
	provider      string // further settings of each provider, in YAML
	strategy      string // empty: ordered
	model         string // further settings of the model
	billed        bool   // with the plugins that count and write down, and prices
	ledger        string // where rows go; empty: SQLite
	shared        string // what the nodes count together in; empty: this one counts alone
	cached        bool   // with the cache
}

// url is where callers reach it.
func (g site) url() string {
	if g.tls {
		return "https://" + g.listen
	}
	return "http://" + g.listen
}

// write writes the gateway file and returns its path.
func (g site) write() (string, error) {
	var b strings.Builder
	security := ""
	if g.tls {
		security = ", tls: {cert: " + certFile + ", key: " + keyFile + "}"
	}
	fmt.Fprintf(&b, "version: 1\nserver: {listen: %q, admin_listen: %q%s}\nproviders:\n", g.listen, g.admin, security)
	for i, address := range g.upstreams {
		fmt.Fprintf(&b, "  - name: mock%d\n    type: %s\n    base_url: \"http://%s/v1\"\n"+
			"    keys: [{name: bench, key: \"${file:%s/provider.key}\"}]\n", i, cmp.Or(g.speaks, "openai-compatible"), address, g.dir)
		if g.provider != "" {
			b.WriteString("    " + g.provider + "\n")
		}
	}
	b.WriteString("models:\n  - name: \"mock*\"\n    strategy: " + cmp.Or(g.strategy, "ordered") + "\n")
	if g.model != "" {
		b.WriteString("    " + g.model + "\n")
	}
	b.WriteString("    targets:\n")
	for i := range g.upstreams {
		fmt.Fprintf(&b, "      - {provider: mock%d}\n", i)
	}
	switch {
	case g.billed:
		fmt.Fprintf(&b, "chain: [telemetry, ledger, auth, quota, routing]\nstores: {ledger: %q, shared: %q, wal: {dir: wal}}\n",
			cmp.Or(g.ledger, "sqlite:ledger.db"), cmp.Or(g.shared, "none"))
		b.WriteString("catalog: [{provider: mock0, model: \"*\", context: 100000, output: 10000, prices: [{input: 1, output: 2}]}]\n")
	case g.cached:
		b.WriteString("chain: [telemetry, auth, cache, routing]\nplugins: {cache: {exact: {ttl: 1h}}}\n")
	default:
		b.WriteString("chain: [telemetry, auth, routing]\n")
	}
	b.WriteString("tenants: {dir: ./tenants}\n")
	path := filepath.Join(g.dir, "sluice.yaml")
	return path, os.WriteFile(path, []byte(b.String()), 0o600)
}

// limits are those of a caller whose spending is counted, wide enough never to be reached.
const limits = "limits: {requests_per_minute: 100000000, tokens_per_minute: 100000000000, concurrent: 100000, each_key: {requests_per_minute: 100000000}}\n" +
	"budgets: [{usd: 1000000, per: month, mode: metered, warn_at: [90%]}]\n"

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

// writeTenant makes a tenant with one new key, which it returns. more are further settings, in YAML.
func writeTenant(dir, id string, more ...string) (string, error) {
	k, err := key.New("bench")
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("version: 1\nid: %s\nkeys:\n  - {name: bench, digest: %q}\n", id, key.Text(key.Digest([]byte(k))))
	text += strings.Join(more, "")
	return k, os.WriteFile(filepath.Join(dir, id+".yaml"), []byte(text), 0o600)
}

// Files of the certificate, beside the gateway file.
const (
	certFile = "cert.pem"
	keyFile  = "key.pem"
)

// writeCertificate makes a certificate for the loopback address that nobody has signed but itself.
func writeCertificate(dir string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	save := func(name, kind string, der []byte) error {
		return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	return errors.Join(save(certFile, "CERTIFICATE", cert), save(keyFile, "PRIVATE KEY", encoded))
}

// trusting is the client's side: it takes any certificate, because there is nobody else on the loopback interface.
func trusting() *tls.Config { return &tls.Config{InsecureSkipVerify: true} } //nolint:gosec // see above
