package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FieldError is what a plugin's Validate returns, or [Options.Check], alone or within [errors.Join], to say which field is
// wrong.
type FieldError struct {
	// Field is the path below the plugin's settings, such as exact.ttl, or from the top of the file.
	Field string
	// Message says what is wrong, Hint what to write instead; Hint may be empty.
	Message, Hint string
}

// Error returns the field and the message.
func (e *FieldError) Error() string { return e.Field + ": " + e.Message }

// Bounds of server.max_head: less refuses ordinary clients, and more costs too much memory for each connection.
const (
	minHead = 4 << 10
	maxHead = 64 << 10
)

// checker finds the mistakes of a gateway file that need more than one value to be seen.
type checker struct {
	cfg *Config
	src *source
}

// fail reports a problem with the value at a path, in the file or wherever else the value comes from.
func (c *checker) fail(path, hint, format string, args ...any) {
	if c.src.bad[path] {
		return // a value that could not be read was reported then
	}
	message := fmt.Sprintf(format, args...)
	if from := overriding(c.cfg.Origins[path]); from != "" {
		c.src.problems = append(c.src.problems, Problem{File: from, Path: path, Message: message, Hint: hint})
		return
	}
	c.src.fail(c.src.where(path), path, message, hint)
}

// warn is fail for what is allowed.
func (c *checker) warn(path, hint, message string) {
	if from := overriding(c.cfg.Origins[path]); from != "" {
		c.src.warnings = append(c.src.warnings, Problem{File: from, Path: path, Message: message, Hint: hint})
		return
	}
	c.src.warn(c.src.where(path), path, message, hint)
}

// all checks everything; endpoints are those that there are, or nil if that is not known.
func (c *checker) all(endpoints []string) {
	c.server()
	c.providers()
	if endpoints != nil {
		c.endpoints(endpoints)
	}
	c.models()
	c.catalog()
	c.responses()
	c.chain()
	c.stores()
	c.admin()
	c.plugins()
}

// others reports what a check of the program's finds.
func (c *checker) others(check func(*Config) error) {
	if check == nil {
		return
	}
	for _, err := range flatten(check(c.cfg)) {
		if fe, ok := errors.AsType[*FieldError](err); ok {
			c.fail(fe.Field, fe.Hint, "%s: %s", fe.Field, fe.Message)
		} else {
			c.fail("", "", "%s", err)
		}
	}
}

// positive reports a duration or a size that must be more than 0 and is not.
func (c *checker) positive(path string, n int64) {
	if n <= 0 {
		c.fail(path, "", "%s must be more than 0", path)
	}
}

func (c *checker) server() {
	s := &c.cfg.Server
	c.address("server.listen", s.Listen)
	if s.AdminListen != "" {
		c.address("server.admin_listen", s.AdminListen)
		if s.AdminListen == s.Listen && !strings.HasSuffix(s.Listen, ":0") {
			c.fail("server.admin_listen", "", "server.admin_listen is the same address as server.listen")
		}
	}
	if s.MaxHead < minHead || s.MaxHead > maxHead {
		c.fail("server.max_head", "", "server.max_head (%s) is not between %s and %s", s.MaxHead, Bytes(minHead), Bytes(maxHead))
	}
	c.positive("server.max_body", int64(s.MaxBody))
	if s.MaxInFlightBody < s.MaxBody {
		c.fail("server.max_in_flight_body", "", "server.max_in_flight_body (%s) is less than server.max_body (%s)", s.MaxInFlightBody, s.MaxBody)
	}
	for path, d := range map[string]time.Duration{
		"server.read_timeout": s.ReadTimeout, "server.idle_timeout": s.IdleTimeout, "server.write_timeout": s.WriteTimeout,
	} {
		c.positive(path, int64(d))
	}
	if (s.TLS.Cert == "") != (s.TLS.Key == "") {
		c.fail("server.tls", "", "server.tls needs both cert and key")
	}
	for path, file := range map[string]string{"server.tls.cert": s.TLS.Cert, "server.tls.key": s.TLS.Key} {
		if file == "" {
			continue
		}
		if f, err := os.Open(file); err != nil { //nolint:gosec // the operator names the file
			c.fail(path, "", "%s: %q cannot be read: %s", path, file, reason(err))
		} else {
			_ = f.Close()
		}
	}
	checkOrigins("server.cors", s.CORS, c.fail)
	c.positive("server.websocket.grace", int64(s.WebSocket.Grace))
	c.positive("server.websocket.keep", int64(s.WebSocket.Keep))
	if w := s.WebSocket; w.KeepAll < w.Keep {
		c.fail("server.websocket.keep_all", "", "server.websocket.keep_all (%s) is less than server.websocket.keep (%s)", w.KeepAll, w.Keep)
	}
}

// leastMemory is for one answer of ordinary length: none may have more than an eighth of all.
const leastMemory = 1 << 20

func (c *checker) responses() {
	r := &c.cfg.Responses
	if r.Memory != 0 && r.Memory < leastMemory {
		c.fail("responses.memory", "write 0 to keep none", "responses.memory (%s) is less than %s", r.Memory, Bytes(leastMemory))
	}
	c.positive("responses.keep", int64(r.Keep))
}

// address reports what is not host:port.
func (c *checker) address(path, address string) {
	_, port, err := net.SplitHostPort(address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n > 65535 {
		c.fail(path, "write host:port, such as 127.0.0.1:8080 or :8080", "%s: %q is not an address", path, address)
	}
}

// checkOrigins reports what is neither * nor the origin of a web page (RFC 6454, section 7).
func checkOrigins(path string, cors CORS, fail func(path, hint, format string, args ...any)) {
	for i, origin := range cors.Origins {
		u, err := url.Parse(origin)
		if origin == "*" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && origin == u.Scheme+"://"+u.Host {
			continue
		}
		at := fmt.Sprintf("%s.origins[%d]", path, i)
		fail(at, `write scheme://host[:port] without a path, such as https://app.example, or "*"`, "%s: %q is not an origin", at, origin)
	}
}

func (c *checker) chain() {
	known, misspelt := c.known(), false
	for i, name := range c.cfg.Chain {
		at := "chain[" + strconv.Itoa(i) + "]"
		if known != nil && !slices.Contains(known, name) {
			c.fail(at, didYouMean(name, known, "plugins"), "unknown plugin %q in chain", name)
			misspelt = true
		}
	}
	if known != nil && !misspelt { // otherwise it may be the missing one
		c.order()
		c.money()
	}
}

// order reports a chain that could answer no request: auth finds the tenant, and routing finds the targets that the
// tenant may use.
func (c *checker) order() {
	auth, routing := slices.Index(c.cfg.Chain, "auth"), slices.Index(c.cfg.Chain, "routing")
	lacks := func(plugin, what string) {
		c.src.fail(c.src.where("chain"), "chain", "chain lacks "+plugin+", without which no request has a "+what, "add "+plugin)
	}
	if auth < 0 {
		lacks("auth", "tenant")
	}
	if routing < 0 {
		lacks("routing", "target")
	}
	if 0 <= routing && routing < auth {
		c.fail(fmt.Sprintf("chain[%d]", routing), "write auth first", "routing stands before auth, but needs the tenant that auth finds")
	}
}

// known returns the names of the plugins there are, or nil if the caller did not say.
func (c *checker) known() []string {
	if c.cfg.Plugins == nil {
		return nil
	}
	return keys(reflect.ValueOf(c.cfg.Plugins))
}

// plugins asks the settings of each plugin that is in the chain, or has a section, whether they are valid.
func (c *checker) plugins() {
	for _, name := range c.known() {
		path := "plugins." + name
		inChain, inFile := slices.Contains(c.cfg.Chain, name), c.src.has(path)
		if inFile && !inChain && !c.src.bad["chain"] {
			c.src.warn(c.src.where(path), path, "plugin "+name+" is not in the chain: its settings do nothing", "")
		}
		settings, validates := c.cfg.Plugins[name].(interface{ Validate() error })
		if !validates || !inChain && !inFile || c.broken(path) {
			continue
		}
		for _, err := range flatten(settings.Validate()) {
			if fe, ok := errors.AsType[*FieldError](err); ok {
				at := join(path, fe.Field)
				c.fail(at, fe.Hint, "%s: %s", at, fe.Message)
				continue
			}
			c.fail(path, "", "%s: %s", path, err)
			delete(c.src.bad, path) // several errors may be about the whole
		}
	}
}

// broken reports whether a section has a problem already.
func (c *checker) broken(path string) bool {
	for bad := range c.src.bad {
		if bad == path || strings.HasPrefix(bad, path+".") {
			return true
		}
	}
	return false
}

// flatten returns the errors that err joins.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}
