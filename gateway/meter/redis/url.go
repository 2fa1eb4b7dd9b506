package redis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Mode is how servers belong together.
type Mode uint8

// Modes.
const (
	Single   Mode = iota // one server, or an address behind which there is one
	Sentinel             // sentinels, which know where the master is
	Cluster              // Redis Cluster: some of its nodes, which know the others
)

// Servers says where Redis is, see ParseURL.
type Servers struct {
	Mode           Mode
	Addresses      []string // host:port
	TLS            bool
	User, Password string // of the servers, and of the sentinels
	Database       int    // 0 in a cluster
	Master         string // the sentinels' name for it
}

// schemes are the beginnings of URLs that are understood.
var schemes = map[string]Servers{
	"redis":           {Mode: Single},
	"rediss":          {Mode: Single, TLS: true},
	"redis+sentinel":  {Mode: Sentinel},
	"rediss+sentinel": {Mode: Sentinel, TLS: true},
	"redis+cluster":   {Mode: Cluster},
	"rediss+cluster":  {Mode: Cluster, TLS: true},
}

// ParseURL reads where Redis is:
//
//	redis://user:password@host:6379/0            one server; 0 is the database
//	redis+sentinel://user:password@h1,h2/main/0  sentinels (port 26379), the name of the master, the database
//	redis+cluster://user:password@h1,h2,h3       nodes of a cluster
//
// Each with rediss for TLS. User, password, ports, database are optional; what is no letter or digit in a password is
// written in percents (RFC 3986, 2.1). Errors say which part is wrong, and never what the password is.
func ParseURL(text string) (Servers, error) {
	scheme, rest, found := strings.Cut(text, "://")
	s, known := schemes[scheme]
	switch {
	case !found:
		return Servers{}, errors.New(`a Redis URL begins with "redis://" or the like`)
	case !known:
		return Servers{}, fmt.Errorf("scheme %q is none of redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster", scheme)
	case strings.ContainsAny(rest, "?#"):
		return Servers{}, errors.New("options (?) and fragments (#) are not understood; in a password they are written %3F and %23")
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		if err := s.credentials(hosts[:at]); err != nil {
			return Servers{}, err
		}
		hosts = hosts[at+1:]
	}
	if err := s.addresses(hosts); err != nil {
		return Servers{}, err
	}
	if err := s.path(path); err != nil {
		return Servers{}, err
	}
	return s, nil
}

// credentials reads user:password, :password, or the password alone as many write it.
func (s *Servers) credentials(text string) error {
	user, password, both := strings.Cut(text, ":")
	if !both {
		return errors.New("before the @ there must be user:password, or :password for the default user")
	}
	var errs [2]error
	s.User, errs[0] = url.PathUnescape(user)
	s.Password, errs[1] = url.PathUnescape(password)
	switch {
	case errs[0] != nil:
		return errors.New("the user is not written in percents correctly")
	case errs[1] != nil:
		return errors.New("the password is not written in percents correctly") // without quoting it
	case s.Password == "":
		return errors.New("the password before the @ is empty")
	}
	return nil
}

func (s *Servers) addresses(text string) error {
	port := "6379"
	if s.Mode == Sentinel {
		port = "26379"
	}
	for i, part := range strings.Split(text, ",") {
		address, err := withPort(part, port)
		if err != nil {
			return fmt.Errorf("address %d, %q: %w", i+1, part, err)
		}
		s.Addresses = append(s.Addresses, address)
	}
	if s.Mode == Single && len(s.Addresses) > 1 {
		return fmt.Errorf("%d addresses: for several write redis+cluster:// or redis+sentinel://", len(s.Addresses))
	}
	return nil
}

// withPort is an address with a port, its own or the usual one.
func withPort(address, usual string) (string, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	if strings.HasPrefix(address, "[") && strings.HasSuffix(address, "]") || !strings.Contains(address, ":") {
		address = net.JoinHostPort(bare, usual)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", errors.New("it is not host:port, nor [IPv6 address]:port")
	}
	if host == "" || strings.ContainsAny(host, " %@/[]") {
		return "", errors.New("there is no host's name in it")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return address, nil
}

// path reads what follows the hosts: the master's name and the database, as far as the mode has them.
func (s *Servers) path(text string) error {
	if s.Mode == Sentinel {
		s.Master, text, _ = strings.Cut(text, "/")
		if s.Master == "" {
			return errors.New("the name of the master is missing: redis+sentinel://host/NAME")
		}
	}
	if text == "" {
		return nil
	}
	if s.Mode == Cluster {
		return fmt.Errorf("database %q: a cluster has no databases", text)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return fmt.Errorf("database %q is not a number", text)
	}
	s.Database = int(n)
	return nil
}

// String is where the servers are, without the password.
func (s Servers) String() string {
	return strings.Join(s.Addresses, ",")
}
