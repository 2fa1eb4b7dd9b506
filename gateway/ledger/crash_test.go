package ledger_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/gateway/ledger"
)

// What the parent tells the child by its environment.
const (
	childDir   = "SLUICE_LEDGER_CHILD" // where it works; it is the child if this is set
	childPoint = "SLUICE_LEDGER_POINT" // at which it kills itself, and how often it passes there before: "seal 17"
	childMap   = "SLUICE_LEDGER_MAP"
	kills      = "SLUICE_LEDGER_KILLS" // how often the child is killed; 50 if it is not set
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// files is where the child works: the journal, a store that is a file, and a log of what it did.
type files struct{ wal, store, clash, log string }

func in(dir string) files {
	return files{filepath.Join(dir, "wal"), filepath.Join(dir, "store"), filepath.Join(dir, "clash"), filepath.Join(dir, "log")}
}

// child makes attempts until it is killed, or, once its input ends, ends well.
func child(dir string) error {
	f, o := in(dir), small()
	o.Map = os.Getenv(childMap) == "true"
	o.MaxSize = 6 << 20
	if point, after, ok := strings.Cut(os.Getenv(childPoint), " "); ok {
		left, err := strconv.Atoi(after)
		if err != nil {
			return err
		}
		var passed atomic.Int64
		o = o.Reaching(func(p string) {
			if p == point && passed.Add(1) > int64(left) {
				self, _ := os.FindProcess(os.Getpid())
				_ = self.Kill()
				select {}
			}
		})
	}
	log, err := os.OpenFile(f.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	fmt.Fprintln(log) // behind the line that was being written when the one before was killed
	store, err := openStore(f)
	if err != nil {
		return err
	}
	j, _, err := ledger.Open(f.wal, o)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { j.Ship(ctx, store) })
	for n := range 4 {
		work.Go(func() { load(ctx, j, log, n) })
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	work.Wait()
	store.steady = true
	if err := j.Flush(context.Background(), store); err != nil {
		return err
	}
	return errors.Join(j.Close(), log.Close())
}

// load makes attempts, of which some are long, and logs each when it was let through, and when it was sealed.
func load(ctx context.Context, j *ledger.Journal, log io.Writer, n int) {
	var long []ledger.Row
	end := func(r ledger.Row) {
		r = done(r)
		r.Charge = chargeOf(r.ID)
		j.Seal(&r)
		fmt.Fprintf(log, "sealed %s\n", r.ID)
	}
	for i := 0; ctx.Err() == nil; i++ {
		r := row()
		if err := j.Intend(&r, each); err != nil {
			_ = j.Sync(ctx) // full, until rows are shipped: that takes a moment
			continue
		}
		fmt.Fprintf(log, "sent %s\n", r.ID)
		if i%3 == 0 {
			j.Said(r.ID, 1_000)
		}
		if i%20 == n {
			if long = append(long, r); len(long) > 100 {
				end(long[0])
				long = long[1:]
			}
			continue
		}
		end(r)
	}
	for _, r := range long {
		end(r)
	}
}

// chargeOf is what an attempt costs that is sealed.
func chargeOf(id ledger.ID) int64 { return 5_000 + int64(id[15]) }

// fileStore is a store in a file: each batch ends with a line that commits it.
type fileStore struct {
	files
	has    map[ledger.ID]string
	steady bool // it never fails
}

func openStore(f files) (*fileStore, error) {
	s := &fileStore{files: f, has: map[ledger.ID]string{}}
	b, err := os.ReadFile(f.store)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	const commit = "commit\n"
	if end := bytes.LastIndex(b, []byte(commit)); end >= 0 {
		b = b[:end+len(commit)]
	} else {
		b = nil
	}
	if err := os.WriteFile(f.store, b, 0o600); err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if id, what, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			row, err := ledger.ParseID(id)
			if err != nil {
				return nil, err
			}
			s.has[row] = what
		}
	}
	return s, nil
}

func (s *fileStore) Insert(_ context.Context, rows []ledger.Row) (n int, err error) {
	var b, clash []byte
	for i := range rows {
		what := fmt.Sprintf("%s %d", rows[i].Outcome, rows[i].Charge)
		if old, has := s.has[rows[i].ID]; has {
			if old != what {
				clash = fmt.Appendf(clash, "%s: %s, and %s\n", rows[i].ID, old, what)
			}
			continue
		}
		n++
		s.has[rows[i].ID] = what
		b = fmt.Appendf(b, "%s %s\n", rows[i].ID, what)
	}
	if err := appendTo(s.store, append(b, "commit\n"...)); err != nil {
		return 0, err
	}
	if err := appendTo(s.clash, clash); err != nil {
		return 0, err
	}
	if !s.steady && rand.N(10) == 0 {
		return 0, errors.New("it is not known whether it was committed")
	}
	return n, nil
}

func appendTo(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// A process that is killed, at any time, loses no row and writes none twice: every attempt that was let through is in the store
// once, as it was sealed, or as one of which nothing is known.
func TestKilled(t *testing.T) {
	rounds := 50
	if s := os.Getenv(kills); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	const together = 25 // kills before all is checked
	reached := map[string]int{}
	for first := 0; first < rounds; first += together {
		dir := t.TempDir()
		mapped := first/together%2 == 0
		for n := first; n < min(first+together, rounds); n++ {
			point := "" // killed at any time
			if points := ledger.Points(); n%2 == 0 {
				often := n/2%len(points) < 3 // these are passed at each attempt
				point = points[n/2%len(points)] + " " + strconv.Itoa(map[bool]int{false: rand.N(2), true: rand.N(300)}[often])
			}
			if start(t, dir, point, mapped).kill(point != "") && point != "" {
				reached[point[:strings.IndexByte(point, ' ')]]++
			}
		}
		last := start(t, dir, "", mapped)
		last.end()
		audit(t, in(dir))
	}
	for _, point := range ledger.Points() {
		if rounds >= 50 && reached[point] == 0 {
			t.Errorf("no child has killed itself at %q: %v", point, reached)
		}
	}
}

// running is a child at work.
type running struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
	err bytes.Buffer
}

func start(t *testing.T, dir, point string, mapped bool) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command(os.Args[0])}
	r.cmd.Env = append(os.Environ(), childDir+"="+dir, childPoint+"="+point, childMap+"="+strconv.FormatBool(mapped))
	r.cmd.Stderr = &r.err
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.in, r.out = in, bufio.NewReader(out)
	return r
}

// kill kills the child after a while, if it does not do that itself, as it then says.
func (r *running) kill(itself bool) bool {
	r.t.Helper()
	_, _ = r.out.ReadString('\n') // it is ready, or dead
	after := time.Duration(rand.N(60)) * time.Millisecond
	if itself {
		after = 5 * time.Second
	}
	timer := time.AfterFunc(after, func() { _ = r.cmd.Process.Kill() })
	_, _ = io.Copy(io.Discard, r.out)
	var exit *exec.ExitError
	if err := r.cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		r.t.Errorf("the child was not killed: %v: %s", err, r.err.String())
	}
	_ = r.in.Close()
	return timer.Stop()
}

// end lets the child end.
func (r *running) end() {
	r.t.Helper()
	if line, err := r.out.ReadString('\n'); err != nil {
		r.t.Errorf("%q, %v", line, err)
	}
	if err := r.in.Close(); err != nil {
		r.t.Error(err)
	}
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("%v: %s", err, r.err.String())
	}
}

// audit compares the store with the log.
func audit(t *testing.T, f files) {
	t.Helper()
	if n := segments(t, f.wal); n != 0 {
		t.Errorf("%d segments remain", n)
	}
	if b, err := os.ReadFile(f.clash); err != nil || len(b) > 0 {
		t.Errorf("rows came as two: %v\n%s", err, b)
	}
	got := map[string]string{}
	for _, line := range lines(t, f.store) {
		id, what, ok := strings.Cut(line, " ")
		if _, twice := got[id]; ok && twice {
			t.Errorf("%s is there twice", id)
		}
		got[id] = what
	}
	unknown, sealed := 0, 0
	sent := map[string]bool{}
	for _, line := range lines(t, f.log) {
		what, id, ok := strings.Cut(line, " ")
		row, err := ledger.ParseID(id)
		if !ok || err != nil {
			continue // the line that was being written
		}
		sent[id] = true
		complete := fmt.Sprintf("complete %d", chargeOf(row))
		switch is := got[id]; {
		case is == complete:
			sealed++
		case what == "sent" && (is == "unknown 1000" || is == "unknown 31000"):
			unknown++
		default:
			t.Errorf("%s was %s, and is %q in the store", id, what, is)
		}
	}
	for id, is := range got { // intended, but killed before it was logged
		if id != "commit" && !sent[id] && is != "unknown 1000" {
			t.Errorf("%s was never sent, and is %q in the store", id, is)
		}
	}
	if unknown == 0 || sealed == 0 {
		t.Errorf("%d unknown, %d sealed: nothing was tested", unknown, sealed)
	}
	t.Logf("%d rows, %d of them unknown", len(got)-1, unknown)
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}
