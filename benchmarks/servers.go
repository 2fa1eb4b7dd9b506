package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func fleetTest() test {
	return test{
		name: "fleet", model: "mock", billed: true, fleet: true, load: flags(64, 2*time.Second, 5*time.Second),
		figures: []figure{{"fleet", "CPU µs/request", cpuPerRequest, limit{most: 1.8, ratio: true}}},
	}
}

// servers are what the nodes of a fleet have in common: a Redis and a PostgreSQL, fresh, with nothing in them.
type servers struct {
	running []*process
	dir     string // of the database
	shared  string // address of the Redis
	ledger  string // of the database
}

// startServers starts them. Call stop in any case.
func (b *bench) startServers(ctx context.Context) (*servers, error) {
	s := &servers{}
	addrs, err := freeAddrs(2)
	if err != nil {
		return s, err
	}
	s.shared, s.ledger = "redis://"+addrs[0], "postgres://sluice@"+addrs[1]+"/sluice?sslmode=disable"
	_, port, _ := net.SplitHostPort(addrs[0])
	err = s.start(ctx, b.output, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "")
	if err != nil {
		return s, fmt.Errorf("redis-server: %w", err)
	}
	_, port, _ = net.SplitHostPort(addrs[1])
	return s, s.startPostgres(ctx, b.output, port)
}

func (s *servers) start(ctx context.Context, output *os.File, argv ...string) error {
	p, err := start(ctx, output, argv)
	if err == nil {
		s.running = append(s.running, p)
	}
	return err
}

// startPostgres makes a database and starts its server, which does not run as root.
func (s *servers) startPostgres(ctx context.Context, output *os.File, port string) (err error) {
	if s.dir, err = os.MkdirTemp("", "sluice-postgres-"); err != nil {
		return err
	}
	as, err := s.owner()
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	initdb, postgres := postgresProgram("initdb"), postgresProgram("postgres")
	run := func(input string, argv ...string) error {
		argv = append(as, argv...)
		command := exec.CommandContext(ctx, argv[0], argv[1:]...)
		command.Dir, command.Stdin = s.dir, strings.NewReader(input)
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", argv[0], err, out)
		}
		return nil
	}
	err = run("", initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if err == nil {
		err = run("CREATE ROLE sluice LOGIN\nCREATE DATABASE sluice OWNER sluice\n", postgres, "--single", "-F", "-D", data, "postgres")
	}
	if err != nil {
		return err
	}
	return s.start(ctx, output, append(as, postgres, "-D", data, "-h", "127.0.0.1", "-p", port, "-k", "", "-F")...)
}

// owner gives the database's folder to nobody, and says with which command nobody runs a program; neither unless we are root.
func (s *servers) owner() (as []string, err error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		return nil, err
	}
	return []string{"setpriv", "--reuid", nobody.Uid, "--regid", nobody.Gid, "--clear-groups"}, os.Chown(s.dir, uid, gid)
}

// postgresProgram finds a program where Debian has it, which is not in $PATH.
func postgresProgram(name string) string {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 { // the pattern is valid
		return found[len(found)-1]
	}
	return name
}

// migrate makes the schema, once the database lets anybody in.
func (b *bench) migrate(ctx context.Context, s subject, config string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		command := exec.CommandContext(ctx, s.command[0], "migrate", "--config", config)
		command.Env = environment()
		out, err := command.CombinedOutput()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("migrate: %w: %s", err, out)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stop ends the servers, and removes what they had.
func (s *servers) stop() error {
	for _, p := range s.running {
		p.stop()
	}
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}
