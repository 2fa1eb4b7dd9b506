package servers

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec" //nolint:depguard // a gateway starts no programs; its tests do
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Postgres is a PostgreSQL server. Its superuser is postgres; sluice is an ordinary role that may make databases. Nobody needs
// a password.
type Postgres struct {
	*Process
	Port int
}

// StartPostgres starts a PostgreSQL server with further arguments in postgres' own words: "-c", "max_connections=10".
func StartPostgres(t testing.TB, args ...string) *Postgres {
	t.Helper()
	bin := "/usr/lib/postgresql/*/bin" // where Debian has programs that are not in $PATH
	found, err := filepath.Glob(bin)
	if err != nil {
		t.Fatal(err)
	}
	initdb, postgres := Find(t, "initdb", "postgresql", found...), Find(t, "postgres", "postgresql", found...)
	dir, who := home(t)
	data := filepath.Join(dir, "data")
	ctx := t.Context()
	runAs(t, who, dir, "", exec.CommandContext(ctx, initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")) //nolint:gosec // a test's own server
	runAs(t, who, dir, "CREATE ROLE sluice LOGIN CREATEDB\n", exec.CommandContext(ctx, postgres, "--single", "-F", "-D", data, "postgres"))                             //nolint:gosec // the same
	for attempt := 1; ; attempt++ {
		p := &Postgres{Port: FreePort(t)}
		words := []string{"-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port), "-k", "", "-F", "-c", "shared_buffers=16MB"}
		p.Process, err = start(t, Command{Path: postgres, Args: append(words, args...), Dir: dir, User: who, Up: p.up})
		if err == nil {
			return p
		}
		if attempt == 3 || !strings.Contains(err.Error(), "Address already in use") {
			t.Fatal(err)
		}
	}
}

// home is a folder for a server that does not run as root, and who it runs as instead; nil if the test is not root either. The
// test's own temporary folder would do only for the test.
func home(t testing.TB) (dir string, who *syscall.Credential) {
	t.Helper()
	if os.Getuid() != 0 {
		return t.TempDir(), nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = os.MkdirTemp("", "sluice-postgres-"); err != nil { //nolint:usetesting // see above
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	return dir, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func runAs(t testing.TB, who *syscall.Credential, dir, input string, cmd *exec.Cmd) {
	t.Helper()
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	cmd.SysProcAttr = diesWithParent()
	cmd.SysProcAttr.Credential = who
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("ERROR:")) {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// up says whether the server lets anybody in: it listens before it has recovered.
func (p *Postgres) up(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", Local(p.Port))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	const hello = "\x00\x03\x00\x00user\x00sluice\x00database\x00postgres\x00\x00" // protocol 3.0, StartupMessage
	msg := binary.BigEndian.AppendUint32(nil, uint32(4+len(hello)))
	if _, err := conn.Write(append(msg, hello...)); err != nil {
		return err
	}
	var kind [1]byte
	if _, err := io.ReadFull(conn, kind[:]); err != nil {
		return err
	}
	if kind[0] != 'R' { // AuthenticationOk
		return errors.New("the server lets nobody in yet")
	}
	return nil
}

// URL leads to a database as a role: sluice, or postgres.
func (p *Postgres) URL(role, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", role, Local(p.Port), database)
}

// Pause stops the server as it is, with all that serves its clients (SIGSTOP).
func (p *Postgres) Pause() { p.t.Helper(); p.everyone(syscall.SIGSTOP) }

// Resume lets a paused server go on (SIGCONT).
func (p *Postgres) Resume() { p.t.Helper(); p.everyone(syscall.SIGCONT) }

// everyone sends a signal to the server and to its children.
func (p *Postgres) everyone(s syscall.Signal) {
	p.t.Helper()
	pid := p.running.process.Pid
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		p.t.Fatal(err)
	}
	p.signal(s)
	for word := range strings.FieldsSeq(string(list)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := syscall.Kill(child, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			p.t.Fatal(err)
		}
	}
}

// Stop ends the server in order, whoever is connected (SIGINT).
func (p *Postgres) Stop() {
	p.t.Helper()
	p.signal(syscall.SIGINT)
	<-p.running.over
}

// Restart starts a server that was killed or stopped with what it has left on its disk, and waits until it is up. Children
// that outlive their killed server for a moment hold it up.
func (p *Postgres) Restart() {
	p.t.Helper()
	Await(p.t, "postgres comes up again", func(context.Context) error {
		err := p.run()
		if err == nil {
			return nil
		}
		if text := err.Error(); strings.Contains(text, "lock file") || strings.Contains(text, "still in use") {
			return errors.New(text) // which is not final
		}
		return fmt.Errorf("%w: %w", err, errFinal)
	})
}
