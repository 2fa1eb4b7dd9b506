package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The banner of a gateway with a certificate says https, and its line works too.
func TestServeTLS(t *testing.T) {
	s := httptest.NewTLSServer(nil) // for its certificate
	pair := s.TLS.Certificates[0]
	s.Close()
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cmd := exec.Command("sluice", "--listen", "127.0.0.1:0", "--admin-listen", "off")
	cmd.Env = append(os.Environ(), "OPENAI_API_KEY=",
		"SLUICE_SERVER_TLS_CERT="+file("cert.pem", "CERTIFICATE", pair.Certificate[0]),
		"SLUICE_SERVER_TLS_KEY="+file("key.pem", "PRIVATE KEY", private))
	p := newProcess(cmd)
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = p.signal("TERM")
		if code, err := p.code(); err != nil || code != success {
			t.Errorf("exit code %d, %v", code, err)
		}
	}()
	banner := regexp.MustCompile(`  API      https://127\.0\.0\.1:\d+/v1 .*\nTry   (curl https://.*)\n`)
	if err := p.wait(banner); err != nil {
		t.Fatal(err)
	}
	text, _ := p.output()
	words, err := exec.Command("sh", "-c", `printf '%s\0' `+banner.FindStringSubmatch(text)[1]).Output()
	if err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	if err := curl(&answer, strings.Split(string(words), "\x00")); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(answer.String(), `"object":"chat.completion"`) {
		t.Errorf("the answer is %s", &answer)
	}
}
