package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// None is what stores.ledger and stores.shared say where there is none.
const None = "none"

// Stores says where is kept what outlives a process, and what several share.
type Stores struct {
	// Ledger keeps the rows of what was spent, and the tenants and keys that the admin API makes: sqlite:PATH, relative to the
	// gateway file, or postgres://…, or none.
	Ledger string `yaml:"ledger"`
	// WAL is the journal on the local disk that rows are written to first.
	WAL WAL `yaml:"wal"`
	// Shared is what the nodes of a fleet count together: none (each counts alone), redis://…, rediss://…,
	// redis+sentinel://host,host/master or redis+cluster://host,host.
	Shared string `yaml:"shared"`
	// Node is this node's name in rows and counts, different on each. Left out: one is made, and kept beside the journal.
	Node string `yaml:"node,omitempty" jsonschema:"pattern=^[a-zA-Z0-9][a-zA-Z0-9_.-]{0\\,62}$"`
	// Retention says how long things are kept.
	Retention Retention `yaml:"retention"`
	// Publish is the name of a Redis stream to which rows are published, too. It needs shared.
	Publish string `yaml:"publish,omitempty"`
}

// WAL is the write-ahead journal of the ledger. What is in it survives the process at once, and the machine after sync.
type WAL struct {
	// Dir is its folder, relative to the gateway file. Each process needs its own.
	Dir string `yaml:"dir"`
	// Segment is the size of one of its files, which is allocated beforehand: 1MiB to 1GiB.
	Segment Bytes `yaml:"segment"`
	// MaxSize bounds all of them together. When the store has been away for so long that they are full, new requests that cost
	// money are refused.
	MaxSize Bytes `yaml:"max_size"`
	// Sync is when rows are forced to the disk: after a time, such as 5ms, in which others come along; always, before a request
	// is sent to a provider; or off, which leaves it to the system.
	Sync string `yaml:"sync"`
	// Map writes through memory, which is faster. Turn it off on disks that are not this machine's own, and on file systems
	// that copy what is written, such as btrfs. Only Linux has it.
	Map bool `yaml:"map"`
}

// Values of [WAL.Sync] that are no durations.
const (
	SyncAlways = "always"
	SyncOff    = "off"
)

// Retention says for how many days things are kept. 0: for ever.
type Retention struct {
	// Rows are the ledger's, one for each attempt.
	Rows int `yaml:"rows" jsonschema:"minimum=0"`
	// Hours are the sums of each hour.
	Hours int `yaml:"hours" jsonschema:"minimum=0"`
	// Days are the sums of each day. Budgets need them for as long as they last.
	Days int `yaml:"days" jsonschema:"minimum=0"`
	// Audit are the records of what was changed through the admin API.
	Audit int `yaml:"audit" jsonschema:"minimum=0"`
}

// Admin says who may use the admin API.
type Admin struct {
	// Tokens are the operators' credentials, as digests. Without any, whoever reaches the admin listener from the same machine
	// may do everything, and it must listen on a loopback address.
	Tokens []AdminToken `yaml:"tokens,omitempty"`
	// Metrics says who may read /metrics: open, or token.
	Metrics string `yaml:"metrics" jsonschema:"enum=open,enum=token"`
}

// Who may read the metrics, see [Admin.Metrics].
const (
	OpenMetrics  = "open"
	TokenMetrics = "token"
)

// Roles of operators. Each may do what those before it may.
const (
	Viewer   = "viewer"
	Operator = "operator"
	RoleAll  = "admin"
)

// AdminToken is the digest of one operator's token.
type AdminToken struct {
	// Name of the token, for logs and the audit.
	Name string `yaml:"name" jsonschema:"required"`
	// Digest of the token: "sha256:" and 64 hexadecimal digits.
	Digest string `yaml:"digest" jsonschema:"required,pattern=^(hmac-)?sha256:[0-9a-f]{64}$" hint:"write sha256: or hmac-sha256: and 64 hexadecimal digits"`
	// Role is viewer (sees), operator (also drains targets and makes, rotates and revokes keys) or admin (also changes tenants).
	Role string `yaml:"role" jsonschema:"required,enum=viewer,enum=operator,enum=admin"`
	// Tenants are those that the token is for. Empty: all.
	Tenants []string `yaml:"tenants,omitempty"`
	// Expires is when the token stops working. Left out: never.
	Expires time.Time `yaml:"expires,omitempty"`
}

// SetDefaults fills in what a file may leave out.
func (s *Stores) SetDefaults() {
	*s = Stores{
		Ledger: "sqlite:data/ledger.db",
		WAL:    WAL{Dir: "data/wal", Segment: 16 << 20, MaxSize: 1 << 30, Sync: "5ms", Map: true},
		Shared: None, Retention: Retention{Rows: 90, Hours: 90, Audit: 400},
	}
}

// Bounds of a journal's segment.
const (
	leastSegment = 1 << 20
	mostSegment  = 1 << 30
)

// SharedSchemes are the ways to reach a shared store.
func SharedSchemes() []string { return []string{"redis", "rediss", "redis+sentinel", "redis+cluster"} }

func (c *checker) stores() {
	s := &c.cfg.Stores
	if scheme, rest, _ := strings.Cut(s.Ledger, ":"); s.Ledger != None {
		switch {
		case scheme == "sqlite" && rest != "":
		case scheme == "postgres" || scheme == "postgresql":
			c.host("stores.ledger", s.Ledger)
		default:
			c.fail("stores.ledger", "write sqlite:PATH, postgres://USER@HOST/NAME or none", "stores.ledger: %q is not a store", withoutRest(s.Ledger))
		}
	}
	if scheme, _, _ := strings.Cut(s.Shared, "://"); s.Shared != None {
		if slices.Contains(SharedSchemes(), scheme) {
			c.host("stores.shared", s.Shared)
		} else {
			c.fail("stores.shared", "write redis://HOST:PORT or none", "stores.shared: %q is not a shared store", withoutRest(s.Shared))
		}
	} else if s.Publish != "" {
		c.fail("stores.publish", "", "stores.publish needs stores.shared")
	}
	w := &s.WAL
	if w.Segment < leastSegment || w.Segment > mostSegment {
		c.fail("stores.wal.segment", "", "stores.wal.segment (%s) is not between %s and %s", w.Segment, Bytes(leastSegment), Bytes(mostSegment))
	} else if w.MaxSize < 3*w.Segment {
		c.fail("stores.wal.max_size", "", "stores.wal.max_size (%s) is less than three segments of %s", w.MaxSize, w.Segment)
	}
	if w.Sync != SyncAlways && w.Sync != SyncOff {
		if d, err := parseDuration(w.Sync); err != nil || d <= 0 || d > time.Second {
			c.fail("stores.wal.sync", "", "stores.wal.sync: %q is none of a time of at most 1s, always, off", w.Sync)
		}
	}
}

// host reports a URL that names no host, or in which a part of a password would be read as something that may be shown.
func (c *checker) host(path, text string) {
	u, err := url.Parse(text)
	_, rest, _ := strings.Cut(text, "://")
	switch {
	case err != nil:
		c.fail(path, "", "%s is not a URL", path) // the reason would show a password
	case u.Host == "":
		c.fail(path, "", "%s names no host", path)
	case strings.LastIndexByte(rest, '@') > strings.IndexAny(rest+"/", "/?#"):
		c.fail(path, "in a password write %2F for /, %3F for ? and %23 for #; elsewhere %40 for @", "%s has an @ after its host", path)
	}
}

// withoutRest is an address of which no more than the scheme is known: what follows may hold a password.
func withoutRest(address string) string {
	scheme, rest, found := strings.Cut(address, ":")
	switch {
	case strings.Contains(scheme, "@"):
		return masked
	case !found || rest == "":
		return address
	}
	return scheme + ":" + masked
}

func (c *checker) admin() {
	a := &c.cfg.Admin
	first := map[string]int{}
	for i, t := range a.Tokens {
		if before, twice := first[t.Name]; twice && t.Name != "" {
			c.fail(fmt.Sprintf("admin.tokens[%d].name", i), "", "token %q is defined twice; the first is admin.tokens[%d]", t.Name, before)
		}
		first[t.Name] = i
	}
	listen := c.cfg.Server.AdminListen
	if host, _, err := net.SplitHostPort(listen); err == nil && len(a.Tokens) == 0 && !isLoopback(host) {
		c.warn("server.admin_listen", "add admin.tokens; until then the console and the admin API take a token that is printed at each start, but from this machine, and metrics and health nothing",
			"server.admin_listen: others reach "+listen+", and there are no admin.tokens")
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
