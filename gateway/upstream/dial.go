package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// dialer opens connections to one host, directly or through a proxy.
type dialer struct {
	net       net.Dialer
	address   string      // host:port of the provider
	tls       *tls.Config // nil for plain text
	connect   *url.URL    // a proxy to tunnel through (RFC 9110, section 9.3.6), for TLS
	forward   *url.URL    // a proxy that is given plain-text requests
	proxyAuth string      // Proxy-Authorization
	timeout   time.Duration
}

func newDialer(c *Config) (dialer, error) {
	d := dialer{timeout: c.Timeouts.Connect, net: net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}}
	port := c.BaseURL.Port()
	switch c.BaseURL.Scheme {
	case "https":
		if port == "" {
			port = "443"
		}
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if c.TLS != nil {
			d.tls = c.TLS.Clone()
		}
		d.tls.ServerName = c.BaseURL.Hostname()
		d.tls.NextProtos = []string{"http/1.1"}
	case "http":
		if port == "" {
			port = "80"
		}
	default:
		return d, fmt.Errorf("base URL %q: the scheme must be http or https", c.BaseURL)
	}
	if c.BaseURL.Hostname() == "" {
		return d, fmt.Errorf("base URL %q has no host", c.BaseURL)
	}
	d.address = net.JoinHostPort(c.BaseURL.Hostname(), port)
	if c.Guard != nil {
		d.net.ControlContext = c.Guard.control
		return d, nil // a proxy would dial in our place and hide the address from the guard
	}
	return d, d.through(c)
}

// through finds the proxy, if any.
func (d *dialer) through(c *Config) error {
	if c.Proxy == nil {
		return nil
	}
	proxy, err := c.Proxy(c.BaseURL)
	if err != nil || proxy == nil {
		return err
	}
	if proxy.Scheme != "http" && proxy.Scheme != "https" {
		return fmt.Errorf("proxy %q: the scheme must be http or https", proxy.Redacted())
	}
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		d.proxyAuth = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password))
	}
	if d.tls != nil {
		d.connect = proxy
	} else {
		d.forward = proxy
	}
	return nil
}

// dial opens a connection: tcp is the socket, c what requests are written to.
func (d *dialer) dial(ctx context.Context) (c net.Conn, tcp *net.TCPConn, err error) {
	if d.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, d.timeout, errConnect)
		defer stop()
	}
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), errConnect) {
			err = errConnect
		}
	}()
	address, proxy := d.address, d.connect
	if d.forward != nil {
		proxy = d.forward
	}
	if proxy != nil {
		address = hostPort(proxy)
	}
	c, err = d.net.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		_ = c.Close()
		return nil, nil, fmt.Errorf("dialled a %T", c)
	}
	socket := c
	defer func() {
		if err != nil {
			_ = socket.Close()
		}
	}()
	if proxy != nil && proxy.Scheme == "https" {
		if c, err = handshake(ctx, c, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: proxy.Hostname()}); err != nil {
			return nil, nil, fmt.Errorf("proxy: %w", err)
		}
	}
	if d.connect != nil {
		if err = d.tunnel(ctx, c); err != nil {
			return nil, nil, err
		}
	}
	if d.tls != nil {
		if c, err = handshake(ctx, c, d.tls); err != nil {
			return nil, nil, err
		}
	}
	return c, tcp, nil
}

func handshake(ctx context.Context, c net.Conn, config *tls.Config) (net.Conn, error) {
	t := tls.Client(c, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return t, nil
}

// tunnel asks an HTTP proxy for a connection to the provider.
func (d *dialer) tunnel(ctx context.Context, c net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(past) })
	defer stop()
	request := "CONNECT " + d.address + " HTTP/1.1\r\nHost: " + d.address + "\r\n"
	if d.proxyAuth != "" {
		request += "Proxy-Authorization: " + d.proxyAuth + "\r\n"
	}
	if _, err := c.Write([]byte(request + "\r\n")); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	br := bufio.NewReaderSize(c, 4096)
	response, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("proxy: CONNECT %s: %s", d.address, response.Status)
	}
	if br.Buffered() > 0 {
		return errors.New("proxy: it spoke before the tunnel was used")
	}
	return nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
