package app

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/plugins/auth"
)

// passOn passes what the console asks of the API on to this process's own listener, as a tenant: WebSockets and streams too, as
// they come. The operator was asked who he is, and whether he may, before.
func passOn(api net.Addr, encrypted bool, passes *auth.Passes, l *zap.Logger) func(http.ResponseWriter, *http.Request, tenant.ID) {
	scheme := "http"
	transport := &http.Transport{
		// It is this process that answers, whatever name its certificate has.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}
	if encrypted {
		scheme = "https"
	}
	host := loopback(api)
	errors, _ := zap.NewStdLogAt(l, zap.WarnLevel) // fails for other levels
	return func(w http.ResponseWriter, r *http.Request, id tenant.ID) {
		proxy := httputil.ReverseProxy{
			Transport: transport, FlushInterval: -1, ErrorLog: errors,
			Rewrite: func(p *httputil.ProxyRequest) {
				p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = scheme, host, host
				p.Out.Header.Del("Cookie") // the operator's
				p.Out.Header.Del("Origin") // it was looked at
				p.Out.Header.Set("Authorization", "Bearer "+passes.Of(id))
			},
		}
		proxy.ServeHTTP(w, r)
	}
}

// loopback is where this machine finds its own listener.
func loopback(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
}
