package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sluice-ai/sluice/cmd/sluice/desk"
	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/store"
	"github.com/sluice-ai/sluice/gateway/store/postgres"
	"github.com/sluice-ai/sluice/gateway/store/sqlite"
	"github.com/sluice-ai/sluice/plugins/auth/key"
)

// whereHelp says in help pages where commands look that ask the admin API.
const whereHelp = `
With --admin it asks a running gateway there, with the token in SLUICE_ADMIN_TOKEN. Otherwise, with --config, it looks
itself into the files and the store of that configuration, whether or not a gateway runs; what is changed in the store
so, gateways take over within a second. With neither it asks the gateway at 127.0.0.1:9090.`

// adminFlags are those of commands that ask the admin API.
type adminFlags struct {
	address, path string
	output        string
}

// add adds the flags. Without outputs there is no --output.
func (f *adminFlags) add(c *cobra.Command, outputs ...string) {
	configFlag(c, &f.path)
	c.Flags().StringVar(&f.address, "admin", "", "`address` of the admin listener: host:port, or a URL (token in $SLUICE_ADMIN_TOKEN)")
	if len(outputs) > 0 {
		f.output = outputs[0]
		c.Flags().VarP(&choice{&f.output, outputs}, "output", "o", strings.Join(outputs, ", "))
	}
}

// adminClient asks the admin API, of a running gateway or one of its own.
type adminClient struct {
	base, token string
	http        *http.Client
	config      *config.Config // if it is its own
	warn        func(text string)
	close       func()
}

// open finds out whom to ask. What it returns is to be closed.
func (f *adminFlags) open(c *cobra.Command) (*adminClient, error) {
	if f.address == "" && f.path != "" {
		return openInside(c, f.path)
	}
	address := f.address
	if !strings.Contains(address, "://") {
		at, err := adminAddress(address, "")
		if err != nil {
			return nil, wrongUse("--admin: %q is no address; write it as 127.0.0.1:9090 or http://gateway:9090", f.address)
		}
		address = "http://" + reachable(at)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, wrongUse("--admin: %q is no address; write it as 127.0.0.1:9090 or http://gateway:9090", f.address)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	return &adminClient{
		base: strings.TrimRight(u.String(), "/"), token: os.Getenv("SLUICE_ADMIN_TOKEN"), warn: func(text string) { c.PrintErrln(text) },
		http:  &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		close: transport.CloseIdleConnections,
	}, nil
}

// openInside makes an admin API of a configuration and its store, which nobody else reaches.
func openInside(c *cobra.Command, path string) (*adminClient, error) {
	cfg, err := loadUnresolved(path)
	if err != nil {
		return nil, err
	}
	pepper, err := findPepper(cfg)
	mint := desk.Mint(pepper)
	if err != nil { // it matters only to who makes a key
		mint = func(string) (string, string, error) { return "", "", err }
	}
	s, err := openStore(c.Context(), cfg, false)
	if err != nil {
		return nil, err
	}
	token, err := key.New("command")
	if err != nil {
		return nil, err
	}
	o := admin.Options{
		Tokens:  []admin.Token{{Name: "command of " + username(), Digest: key.Digest([]byte(token)), Role: admin.Admin}},
		Metrics: prometheus.NewRegistry(), Health: func() admin.Health { return admin.Health{} },
		Files: desk.Files(func() *config.Config { return cfg }), Check: desk.Check, Mint: mint,
		Log: zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "m"}), zapcore.AddSync(c.ErrOrStderr()), zap.ErrorLevel)),
	}
	if s != nil {
		o.Store = s
	}
	server, in := admin.New(o), newInside()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(in) // it ends when it is closed
	}()
	transport := &http.Transport{DialContext: in.dial}
	return &adminClient{base: "http://localhost", token: token, http: &http.Client{Transport: transport}, config: cfg, warn: func(string) {}, close: func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-done
		if s != nil {
			_ = s.Close()
		}
	}}, nil
}

// username is whose command this is, for the audit.
func username() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

// openStore opens the store of a configuration; nil if there is none, or if its file is not there yet and is not to be made.
func openStore(ctx context.Context, cfg *config.Config, make bool) (store.Store, error) {
	if cfg.Stores.Ledger == config.None {
		return nil, nil //nolint:nilnil // there is none
	}
	for _, w := range cfg.Warnings {
		if w.Path == "stores.ledger" && strings.Contains(cfg.Stores.Ledger, "${") {
			return nil, config.Problems{w}
		}
	}
	path, file := strings.CutPrefix(cfg.Stores.Ledger, "sqlite:")
	if !file {
		s, err := postgres.Open(cfg.Stores.Ledger)
		if err != nil {
			return nil, fmt.Errorf("stores.ledger: %w", err)
		}
		return s, nil
	}
	path = filepath.Clean(path)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !make {
		return nil, nil //nolint:nilnil // the same
	}
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("stores.ledger: %w", err)
	}
	return s, nil
}

// inside is a listener for this process alone.
type inside struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newInside() *inside { return &inside{conns: make(chan net.Conn), closed: make(chan struct{})} }

// here is a connection of this machine.
type here struct{ net.Conn }

// RemoteAddr is where it comes from.
func (here) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (l *inside) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- here{theirs}:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements [net.Listener].
func (l *inside) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *inside) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements [net.Listener].
func (l *inside) Addr() net.Addr { return &net.UnixAddr{Name: "inside", Net: "unix"} }

// refusedError is an answer of the admin API that is an error.
type refusedError struct {
	status     int
	code, file string
	text       string
}

func (e *refusedError) Error() string { return e.text }

// errand is what to ask for, below /admin/v1/ unless the path begins with a slash. The body is sent as JSON, unless it is nil
// or bytes, which are sent as they are.
type errand struct {
	method, path string
	query        url.Values
	body         any
}

// do sends a request. The reply's body is to be closed.
func (a *adminClient) do(ctx context.Context, e errand) (*http.Response, error) {
	text, raw := e.body.([]byte)
	if e.body != nil && !raw {
		var err error
		if text, err = json.Marshal(e.body); err != nil {
			return nil, err
		}
	}
	path := e.path
	if !strings.HasPrefix(path, "/") {
		path = "/admin/v1/" + path
	}
	request, err := http.NewRequestWithContext(ctx, e.method, a.base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.URL.RawQuery = e.query.Encode()
	request.Header.Set("User-Agent", "sluice/"+buildVersion())
	if e.method == http.MethodPut {
		request.Header.Set("If-Match", "*") // who gives a command means whatever is there
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	reply, err := a.http.Do(request)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no admin listener answers at %s; name its address with --admin, or the configuration with --config", a.base)
	case err != nil:
		return nil, err
	case reply.StatusCode < 200 || reply.StatusCode > 299:
		return nil, a.refusal(reply)
	}
	return reply, nil
}

func (a *adminClient) refusal(reply *http.Response) error {
	defer reply.Body.Close()
	e := &refusedError{status: reply.StatusCode, text: reply.Status}
	var body struct {
		Error struct{ Message, Code, File string }
	}
	text, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	if err == nil && json.Unmarshal(text, &body) == nil && body.Error.Message != "" {
		e.code, e.file, e.text = body.Error.Code, body.Error.File, visible(body.Error.Message)
	}
	if e.status == http.StatusUnauthorized {
		e.text += " (SLUICE_ADMIN_TOKEN)"
	}
	if e.code == "store_unavailable" && a.config != nil && strings.HasPrefix(e.text, "There is no store") {
		e.text = "there is no store at " + hidden(a.config.Stores.Ledger) + " that can be asked; sluice migrate makes one, and so does a gateway with ledger in its chain"
	}
	return e
}

// hidden is a store's address without its password.
func hidden(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		return u.Redacted()
	}
	return address
}

// ask sends a request and reads what is under data in the answer, and next.
func ask[T any](ctx context.Context, a *adminClient, e errand) (data T, next string, err error) {
	reply, err := a.do(ctx, e)
	if err != nil {
		return data, "", err
	}
	defer reply.Body.Close()
	var answer admin.Answer[T]
	if err := json.NewDecoder(reply.Body).Decode(&answer); err != nil {
		return data, "", fmt.Errorf("%s is no admin listener: %w", a.base, err)
	}
	if answer.Pending != "" {
		a.warn("warning: " + visible(answer.Pending))
	}
	return answer.Data, answer.Next, nil
}

// sheet is a list as people and spreadsheets have it.
type sheet struct {
	head []string
	rows [][]string
}

func (s *sheet) add(cells ...string) { s.rows = append(s.rows, cells) }

// write writes a list as a table or as CSV, or what it was made of as JSON.
func (s *sheet) write(w io.Writer, output string, value any) error {
	switch output {
	case "json":
		return writeJSON(w, value)
	case "csv":
		out := csv.NewWriter(w)
		if err := out.Write(lowered(s.head)); err != nil {
			return err
		}
		for _, row := range s.rows {
			for i := range row {
				row[i] = admin.Harmless(row[i])
			}
			if err := out.Write(row); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, strings.Join(s.head, "\t"))
	for _, row := range s.rows {
		for i := range row {
			if row[i] = visible(strings.NewReplacer("\n", " ", "\t", " ").Replace(row[i])); row[i] == "" {
				row[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

func lowered(head []string) []string {
	names := make([]string, len(head))
	for i, name := range head {
		names[i] = strings.ReplaceAll(strings.ToLower(name), " ", "_")
	}
	return names
}
