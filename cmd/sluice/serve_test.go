package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
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

// A process with 1,000 live streams is told to stop: it accepts nobody any more, cuts no stream and ends well.
func TestServeDrainsStreams(t *testing.T) {
	const streams = 1000
	api, p, release := serveHalves(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	begun, ended := make(chan error, streams), make(chan error, streams)
	for range streams {
		go func() { ended <- askHalves(client, api, begun) }()
	}
	for range streams {
		if err := <-begun; err != nil {
			t.Fatal(err)
		}
	}
	if err := p.signal("TERM"); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(api, "http://"), "/v1"))
		if err != nil {
			break
		}
		_ = c.Close()
		if time.Now().After(limit) {
			t.Fatal("it still accepts connections")
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("a stream has ended too early: %v", err)
	case <-p.exited:
		t.Fatal("the process has ended before the streams")
	default:
	}
	release()
	for range streams {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	code, err := p.code()
	text, _ := p.output()
	if err != nil || code != success || !strings.Contains(text, `"stopped","requests_cut":0`) {
		t.Errorf("exit code %d, %v: …%s", code, err, text[max(0, len(text)-500):])
	}
}

// serveHalves starts a gateway and its provider, whose streams stop in the middle until they are released.
func serveHalves(t *testing.T) (api string, p *process, release func()) {
	t.Helper()
	released := make(chan struct{})
	event := func(w io.Writer, text, finish string) {
		fmt.Fprintf(w, "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":%s}]}\n\n", text, finish)
		w.(http.Flusher).Flush() //nolint:forcetypeassert // net/http's own
	}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		event(w, "first", "null")
		<-released
		for range 20 {
			event(w, "more", "null")
		}
		event(w, "last", `"stop"`)
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	}))
	closed := false
	release = func() { // once
		if !closed {
			closed = true
			close(released)
		}
	}
	t.Cleanup(func() { release(); provider.Close() })
	dir := t.TempDir()
	file := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	file("tenants/acme.yaml", "version: 1\nid: acme\n")
	file("gateway.yaml", "version: 1\nproviders: [{name: halves, type: openai-compatible, base_url: \""+provider.URL+"/v1\", timeouts: {connect: 20s}}]\n"+
		"models: [{name: any, targets: [{provider: halves}]}]\ntenants: {anonymous: acme}\n")
	p = newProcess(exec.Command("sluice", "--config", filepath.Join(dir, "gateway.yaml"), "--listen", "127.0.0.1:0", "--admin-listen", "off"))
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.signal("KILL"); <-p.exited })
	banner := regexp.MustCompile(`  API      (\S+)`)
	if err := p.wait(banner); err != nil {
		t.Fatal(err)
	}
	text, _ := p.output()
	return banner.FindStringSubmatch(text)[1], p, release
}

// askHalves reports the first event of a stream, and returns when all of it has come.
func askHalves(c *http.Client, api string, begun chan<- error) error {
	body := strings.NewReader(`{"model":"any","stream":true,"messages":[{"role":"user","content":"hello"}]}`)
	r, err := c.Post(api+"/chat/completions", "application/json", body)
	if err != nil {
		begun <- err
		return err
	}
	defer r.Body.Close()
	in := bufio.NewReader(r.Body)
	first, err := in.ReadString('\n')
	if err == nil && !strings.Contains(first, "first") {
		err = errors.New("the stream begins with " + first)
	}
	begun <- err
	if err != nil {
		return err
	}
	rest, err := io.ReadAll(in)
	if err == nil && (strings.Count(string(rest), "more") != 20 || !strings.HasSuffix(string(rest), "data: [DONE]\n\n")) {
		err = fmt.Errorf("the stream ends with %q", rest)
	}
	return err
}
