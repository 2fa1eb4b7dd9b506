package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a redis-server. What it holds is in memory only, unless its arguments (--appendonly yes) or a SAVE say
// otherwise: then Restart brings it back.
type Redis struct {
	*Process
	Port int
}

// Addr is where it serves.
func (r *Redis) Addr() string { return Local(r.Port) }

// StartRedis starts a redis-server with further arguments in redis-server's own words: "--appendonly", "yes".
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	return startRedis(t, func(int, string) []string { return args })
}

// startRedis starts a redis-server whose arguments may depend on its port and folder. That a port was free is no promise.
func startRedis(t testing.TB, args func(port int, dir string) []string) *Redis {
	t.Helper()
	path := Find(t, "redis-server", "redis-server")
	for attempt := 1; ; attempt++ {
		r, dir := &Redis{Port: FreePort(t)}, t.TempDir()
		words := args(r.Port, dir)
		if len(words) == 0 || strings.HasPrefix(words[0], "--") {
			words = append([]string{"--port", strconv.Itoa(r.Port), "--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0"}, words...)
		}
		var err error
		r.Process, err = start(t, Command{Path: path, Args: words, Dir: dir, Up: r.up})
		if err == nil {
			return r
		}
		if attempt == 3 || !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) && !strings.Contains(err.Error(), "already in use") {
			t.Fatal(err)
		}
	}
}

func (r *Redis) up(ctx context.Context) error {
	_, err := r.try(ctx, "PING")
	return err
}

// RestartEmpty restarts a server that was killed or stopped, without what it had saved.
func (r *Redis) RestartEmpty() {
	r.t.Helper()
	for _, saved := range []string{"dump.rdb", "appendonlydir"} {
		if err := os.RemoveAll(filepath.Join(r.command.Dir, saved)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.Restart()
}

// Do runs one command and returns its answer, the elements of lists one a line. An error fails the test.
func (r *Redis) Do(command ...string) string {
	r.t.Helper()
	answer, err := r.try(r.t.Context(), command...)
	if err != nil {
		r.t.Fatalf("%s: %v", strings.Join(command, " "), err)
	}
	return answer
}

// try runs one command on a connection of its own.
func (r *Redis) try(ctx context.Context, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr())
	if err != nil {
		return "", err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := c.Write([]byte(b.String())); err != nil {
		return "", err
	}
	return answer(bufio.NewReader(c))
}

// answer reads a reply in RESP2: https://redis.io/docs/latest/develop/reference/protocol-spec.
func answer(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, rest := line[0], strings.TrimSpace(line[1:])
	switch kind {
	case '-':
		return "", errors.New(rest)
	case '$', '*':
	default:
		return rest, nil
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return "", err // nothing
	}
	if kind == '$' {
		b := make([]byte, n+len("\r\n"))
		if _, err := io.ReadFull(r, b); err != nil {
			return "", err
		}
		return string(b[:n]), nil
	}
	elements := make([]string, n)
	for i := range elements {
		if elements[i], err = answer(r); err != nil {
			return "", err
		}
	}
	return strings.Join(elements, "\n"), nil
}

// Says waits until the answer to a command has a line in it.
func (r *Redis) Says(line string, command ...string) {
	r.t.Helper()
	r.says([]string{line}, command...)
}

func (r *Redis) says(lines []string, command ...string) {
	r.t.Helper()
	Await(r.t, strings.Join(command, " "), func(ctx context.Context) error {
		got, err := r.try(ctx, command...)
		for _, line := range lines {
			if err == nil && !strings.Contains("\n"+strings.ReplaceAll(got, "\r", "")+"\n", "\n"+line+"\n") {
				err = fmt.Errorf("no %q in %s", line, got)
			}
		}
		return err
	})
}

// Cluster is a Redis Cluster: masters, which share the slots evenly and in order, and their replicas.
type Cluster struct {
	Masters  []*Redis
	Replicas []*Redis // Replicas[i] is that of Masters[i]; none, if there are none
}

// Addrs are where its masters serve.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.Masters))
	for i, r := range c.Masters {
		addrs[i] = r.Addr()
	}
	return addrs
}

// clusterSlots is how many slots a cluster has.
const clusterSlots = 16384

// StartCluster starts a cluster of masters, each with a replica if wanted, and waits until it serves every slot. A master
// that is silent for a second is replaced by its replica.
func StartCluster(t testing.TB, masters int, replicas bool) *Cluster {
	t.Helper()
	var c Cluster
	bus := map[*Redis]int{}
	node := func() *Redis {
		port := FreePort(t)
		r := StartRedis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(port), "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0")
		bus[r] = port
		return r
	}
	for i := range masters {
		r := node()
		c.Masters = append(c.Masters, r)
		r.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*clusterSlots/masters), strconv.Itoa((i+1)*clusterSlots/masters-1))
		if replicas {
			c.Replicas = append(c.Replicas, node())
		}
	}
	all := slices.Concat(c.Masters, c.Replicas)
	for i, r := range all {
		r.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for _, r := range all[1:] {
		all[0].Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(r.Port), strconv.Itoa(bus[r]))
	}
	for _, r := range all {
		r.says([]string{"cluster_state:ok", "cluster_slots_ok:" + strconv.Itoa(clusterSlots), "cluster_known_nodes:" + strconv.Itoa(len(all))}, "CLUSTER", "INFO")
	}
	for i, r := range c.Replicas {
		r.Do("CLUSTER", "REPLICATE", c.Masters[i].Do("CLUSTER", "MYID"))
	}
	for _, r := range c.Replicas {
		r.says([]string{"role:slave", "master_link_status:up"}, "INFO", "replication")
	}
	return &c
}

// Sentinels is a Redis and its replica, watched over by three sentinels.
type Sentinels struct {
	Master, Replica *Redis
	Watching        []*Redis
}

// MasterName is what the sentinels call the master.
const MasterName = "main"

// Addrs are where the sentinels serve.
func (s *Sentinels) Addrs() []string {
	addrs := make([]string, len(s.Watching))
	for i, r := range s.Watching {
		addrs[i] = r.Addr()
	}
	return addrs
}

// StartSentinels starts a master, its replica and three sentinels, two of which must agree that a master has been silent
// for a second before its replica takes over.
func StartSentinels(t testing.TB) *Sentinels {
	t.Helper()
	var s Sentinels
	s.Master = StartRedis(t)
	s.Replica = StartRedis(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.Master.Port))
	s.Replica.says([]string{"master_link_status:up"}, "INFO", "replication")
	for range 3 {
		s.Watching = append(s.Watching, startRedis(t, func(port int, dir string) []string {
			config := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor %s 127.0.0.1 %d 2\n"+
				"sentinel down-after-milliseconds %[2]s 1000\nsentinel failover-timeout %[2]s 3000\n", port, MasterName, s.Master.Port)
			path := filepath.Join(dir, "sentinel.conf")
			if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{path, "--sentinel"}
		}))
	}
	for _, r := range s.Watching {
		Await(t, "sentinels and replicas find each other", func(ctx context.Context) error {
			got, err := r.try(ctx, "SENTINEL", "MASTER", MasterName)
			if err == nil && (!strings.Contains(got, "num-other-sentinels\n2\n") || !strings.Contains(got, "num-slaves\n1\n")) {
				err = errors.New(got)
			}
			return err
		})
	}
	return &s
}
