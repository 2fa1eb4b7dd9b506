package socket_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/sluice-ai/sluice/gateway"
)

// TestPings: who answers them stays, who does not is taken for gone.
func TestPings(t *testing.T) {
	s := start(t, chunks(1, 1), func(u *setup) { u.options.Ping = 20 * time.Millisecond })
	mute := s.upgraded()
	begin := time.Now()
	if got := mute.frames(1000); !strings.HasPrefix(got, "ping(0) ping(0) ping(0)") || !strings.HasSuffix(got, " end") {
		t.Error(got)
	}
	if d := time.Since(begin); d < 60*time.Millisecond {
		t.Errorf("it was taken for gone after %v", d)
	}
	c := s.chat()
	var pings atomic.Int32
	answer := c.PingHandler()
	c.SetPingHandler(func(text string) error { pings.Add(1); return answer(text) })
	done := make(chan frame, 1)
	go func() {
		f, _ := c.receive()
		done <- f
	}()
	until(t, "it was asked often", func() bool { return pings.Load() >= 20 })
	c.create("a")
	if f := <-done; f.Type != "chat.chunk" {
		t.Errorf("%+v", f)
	}
}

// TestExpiry: a socket does not outlive its caller's credential, unless there is another one in time.
func TestExpiry(t *testing.T) {
	var until atomic.Int64
	until.Store(time.Now().Add(300 * time.Millisecond).UnixNano())
	out := make(chan *events, 1)
	s := start(t, streaming(out), func(u *setup) {
		u.options.Ping = 20 * time.Millisecond
		u.who = func(credential string) (gateway.Caller, error) {
			c, err := somebody(strings.TrimSuffix(credential, "-renewed"))
			if strings.HasPrefix(credential, "token:") && !strings.HasSuffix(credential, "-renewed") {
				c.Expires = time.Unix(0, until.Load())
			}
			return c, err
		}
	})
	dial := func() *client {
		c, _, err := s.dial(chatPath, "Sec-WebSocket-Protocol", "sluice.v1, sluice.token.token:u1")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	renewed, c := dial(), dial()
	renewed.send(`{"type":"auth","token":"token:u1-renewed"}`)
	renewed.expect(`{"type":"auth.ok"`)
	heard := make(chan frame, 1)
	go func() {
		f, _ := renewed.receive() // and answers pings meanwhile
		heard <- f
	}()
	c.create("a")
	e := <-out
	e.feed <- "1"
	c.closes(websocket.ClosePolicyViolation)
	renewed.send(`{"type":"chat.resume","id":"a"}`) // what was asked for goes on
	if f := <-heard; f.Type != "chat.chunk" || f.Seq != 1 {
		t.Errorf("%+v", f)
	}
	e.feed <- io.EOF
	renewed.expect(`{"type":"chat.done","id":"a","seq":2`)
}

// TestTLS hands over encrypted connections, with what came early.
func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, chunks(100, 1000), func(u *setup) {
		u.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	})
	d := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	origin := "https://" + s.l.Addr().String()
	conn, _, err := d.Dial("wss"+strings.TrimPrefix(origin, "https")+chatPath, http.Header{"Authorization": {"Bearer key"}, "Origin": {origin}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &client{t, conn}
	for _, id := range []string{"a", "b"} {
		c.create(id)
		for f := c.next(); f.Type != "chat.done"; f = c.next() {
			if f.Type != "chat.chunk" || f.ID != id {
				t.Fatal(f.raw)
			}
		}
	}
	raw := s.raw()
	raw.Conn = tls.Client(raw.Conn, &tls.Config{InsecureSkipVerify: true})
	raw.r.Reset(raw.Conn)
	raw.write(upgradeText + string(masked(0x81, []byte(`{"type":"chat.create","id":"c","request":{"model":"m"}}`))))
	raw.answered()
	if got := raw.frames(1); !strings.HasPrefix(got, `text({"type":"chat.chunk","id":"c","seq":1,`) {
		t.Error(got)
	}
}

// TestMessageInTime: a message that dribbles does not hold its bytes for ever.
func TestMessageInTime(t *testing.T) {
	s := start(t, chunks(1, 1), func(u *setup) { u.options.ReadTimeout = 50 * time.Millisecond })
	c := s.upgraded()
	text := masked(0x81, []byte(strings.Repeat(" ", 1000)))
	c.write(string(text[:10]))
	until(t, "it is held", func() bool { _, n := s.s.Live(); return n > 0 })
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 10; i < len(text); i++ {
		<-tick.C
		if _, err := c.Write(text[i : i+1]); err != nil {
			break
		}
		if _, n := s.s.Live(); n == 0 {
			break
		}
	}
	until(t, "nothing is held", func() bool { _, n := s.s.Live(); return n == 0 })
	if got := c.frames(2); !strings.HasSuffix(" "+got, " end") {
		t.Error(got)
	}
}
