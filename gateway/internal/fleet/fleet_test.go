package fleet

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
	"github.com/sluice-ai/sluice/gateway/store/postgres"
)

// binary is the gateway that is tested.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if binary = os.Getenv("SLUICE_BINARY"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "sluice-fleet-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "sluice")
	if out, err := exec.Command("go", "build", "-o", binary, "../../../cmd/sluice").CombinedOutput(); err != nil {
		_, _ = os.Stderr.Write(out)
		return 1
	}
	return m.Run()
}

// Secrets of the tests. None of them may turn up anywhere but where it belongs.
const (
	providerKey = "CANARY-provider-key-5f1c"
	headerValue = "CANARY-header-1199"
	pepper      = "CANARY-pepper-77aa0b1c9d"
)

// site is a fleet with one provider. All nodes read the same tenants.
type site struct {
	t        *testing.T
	dir      string
	provider *provider
	ledger   string // stores.ledger
	shared   string // stores.shared
	more     string // of the gateway's file
	db       *pgx.Conn
}

func newSite(t *testing.T) *site {
	return &site{t: t, dir: t.TempDir(), provider: startProvider(t), ledger: "sqlite:ledger.db", shared: "none"}
}

// database starts a PostgreSQL for the site, with the schema.
func (s *site) database() *servers.Postgres {
	s.t.Helper()
	p := servers.StartPostgres(s.t)
	ctx := s.t.Context()
	c, err := pgx.Connect(ctx, p.URL("sluice", "postgres"))
	s.must(err)
	_, err = c.Exec(ctx, "CREATE DATABASE ledger")
	s.must(err)
	s.must(c.Close(ctx))
	s.ledger = p.URL("sluice", "ledger")
	store, err := postgres.Open(s.ledger)
	s.must(err)
	s.must(store.Migrate(ctx, 0))
	s.must(store.Close())
	s.connect(p)
	return p
}

// connect has the test look into the database, past its walls.
func (s *site) connect(p *servers.Postgres) {
	s.t.Helper()
	var err error
	s.db, err = pgx.Connect(s.t.Context(), p.URL("postgres", "ledger"))
	s.must(err)
	s.t.Cleanup(func() { _ = s.db.Close(context.Background()) })
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// tenant writes a tenant's file, as editors do.
func (s *site) tenant(id, text string) {
	s.write("tenants/"+id+".yaml", "version: 1\nid: "+id+"\n"+text)
}

func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.MkdirAll(filepath.Dir(path), 0o700))
	s.must(os.WriteFile(path+".new", []byte(text), 0o600))
	s.must(os.Rename(path+".new", path))
}

// keyOf is the line of a tenant's file for its keys.
func keyOf(name, key string) string {
	return "keys: [{name: " + name + ", digest: \"" + digest(key) + "\"}]\n"
}

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// node is a gateway.
type node struct {
	*servers.Process
	s         *site
	name, dir string
	url, ops  string // of the API, and of the admin listener
}

// start starts a node and waits until it is ready.
func (s *site) start(name string) *node {
	s.t.Helper()
	n := &node{s: s, name: name, dir: filepath.Join(s.dir, name)}
	listen, ops := servers.Local(servers.FreePort(s.t)), servers.Local(servers.FreePort(s.t))
	n.url, n.ops = "http://"+listen, "http://"+ops
	s.write(name+"/sluice.yaml", fmt.Sprintf(`version: 1
server: {listen: "%s", admin_listen: "%s", drain_timeout: 5s}
providers:
  - {name: mock, type: openai-compatible, base_url: "%s/v1", keys: [{name: main, key: %s}], headers: [{name: X-Extra, value: %s}], endpoints: [chat.completions, files.create, files.list, files.retrieve, files.delete]}
models:
  - {name: m, targets: [{provider: mock}]}
catalog:
  - {provider: mock, model: m, context: 10000, output: 1000, prices: [{input: 1000, output: 1000}]}
stores: {ledger: "%s", shared: "%s", node: %s, wal: {dir: wal, segment: 1MiB, max_size: 64MiB}}
tenants: {dir: ../tenants}
telemetry: {log: {level: debug, format: json}}
%s`, listen, ops, s.provider.URL, providerKey, headerValue, s.ledger, s.shared, name, s.more))
	n.Process = servers.Start(s.t, servers.Command{
		Path: binary, Args: []string{"serve", "--config", filepath.Join(n.dir, "sluice.yaml")}, Dir: n.dir,
		Up: func(ctx context.Context) error {
			status, body, err := get(ctx, n.ops+"/readyz", "")
			if err == nil && status != http.StatusOK {
				err = errors.New(body)
			}
			return err
		},
	})
	return n
}

// nodes starts several.
func (s *site) nodes(names ...string) (all []*node) {
	for _, name := range names {
		all = append(all, s.start(name))
	}
	return all
}

var client = &http.Client{
	Transport: &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true}, Timeout: servers.Patience,
}

func get(ctx context.Context, url, token string) (status int, body string, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	return do(q)
}

// read reads the answer of a stream as it comes, and takes one from made for each word.
func (n *node) read(ctx context.Context, key, body string, made <-chan struct{}) error {
	q, err := n.question(ctx, key, body)
	if err != nil {
		return err
	}
	r, err := client.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"`+word+`"`) {
			<-made
		}
	}
	return lines.Err()
}

func do(q *http.Request) (status int, body string, err error) {
	r, err := client.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), err
}

// answer is what a caller got.
type answer struct {
	status int
	body   string
	err    error // of the connection: nothing, or not all came
	took   time.Duration
}

// whole says whether all of an answer came.
func (a *answer) whole() bool {
	return a.err == nil && a.status == http.StatusOK && (strings.Contains(a.body, `"finish_reason":"stop"`) || strings.Contains(a.body, `"finish_reason":"length"`)) &&
		!strings.Contains(a.body, `{"error":`)
}

// code is that of the error.
func (a *answer) code() string {
	var e struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(a.body), &e) != nil {
		return ""
	}
	return e.Error.Code
}

// ask sends one request to a node.
func (n *node) ask(ctx context.Context, key, body string) (a answer) {
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	q, err := n.question(ctx, key, body)
	if err != nil {
		return answer{err: err}
	}
	status, text, err := do(q)
	return answer{status: status, body: text, err: err}
}

func (n *node) question(ctx context.Context, key, body string) (*http.Request, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Authorization", "Bearer "+key)
	q.Header.Set("Content-Type", "application/json")
	return q, nil
}

// chat asks for an answer of at most 16 tokens.
func chat(content string) string {
	return `{"model":"m","max_completion_tokens":16,"messages":[{"role":"user","content":"` + content + `"}]}`
}

// stream asks for an answer in pieces.
func stream(content string) string {
	return `{"model":"m","stream":true,"messages":[{"role":"user","content":"` + content + `"}]}`
}

// row is what the ledger says.
type row struct {
	Request, Outcome, Provenance, Node string
	Input, Output, Charge, Reserved    int64
	Tenant                             string
	Cost                               int64 // -1 if it is not known
}

const rowColumns = "request, outcome, COALESCE(rest->>'provenance', 'unknown'), rest->>'node', COALESCE(CAST(rest->>'input' AS BIGINT), 0), " +
	"COALESCE(CAST(rest->>'output' AS BIGINT), 0), charge, COALESCE(CAST(rest->>'reserved' AS BIGINT), 0), tenant, COALESCE(cost, -1)"

// rows reads the ledger in PostgreSQL.
func (s *site) rows() []row {
	s.t.Helper()
	list, err := s.db.Query(s.t.Context(), "SELECT "+rowColumns+" FROM ledger")
	s.must(err)
	all, err := pgx.CollectRows(list, pgx.RowToStructByPos[row])
	s.must(err)
	return all
}

// settled waits until the ledger has a row for each line of the provider's log, and holds them against each other: nothing
// is lost, nothing is there twice, and what was reported is written. It returns the rows.
func (s *site) settled(read func() []row) []row {
	s.t.Helper()
	var all []row
	servers.Await(s.t, "the ledger has all that the provider has", func(context.Context) error {
		all = read()
		if lines := s.provider.log(); len(all) < len(lines) {
			return fmt.Errorf("%d rows, %d lines", len(all), len(lines))
		}
		return nil
	})
	compare(s.t, s.provider.log(), all)
	return all
}

// compare holds rows against lines.
func compare(t *testing.T, lines []line, all []row) {
	t.Helper()
	of := map[string][]row{}
	for _, r := range all {
		of[r.Request] = append(of[r.Request], r)
	}
	lost, twice := 0, 0
	for i := range lines {
		l := &lines[i]
		rows := of[l.id]
		delete(of, l.id)
		switch {
		case len(rows) == 0:
			lost++
		case len(rows) > 1:
			twice++
		case rows[0].Outcome == "complete" && (rows[0].Input != l.input || rows[0].Output != l.output || rows[0].Provenance != "reported"):
			t.Errorf("the provider has %+v, the ledger %+v", l, rows[0])
		}
	}
	if lost+twice > 0 {
		t.Errorf("of %d lines, %d have no row and %d several", len(lines), lost, twice)
	}
	for _, rows := range of {
		for _, r := range rows {
			if r.Outcome != "unsent" && r.Outcome != "unknown" {
				t.Errorf("nothing reached the provider, the ledger has %+v", r)
			}
		}
	}
}

func charges(all []row) (sum int64) {
	for i := range all {
		sum += all[i].Charge
	}
	return sum
}

// usd is an amount of the tests' money.
func usd(pd int64) string { return fmt.Sprintf("%.3f USD", float64(pd)/1e12) }

// quantile is the q-th of durations.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[int(q*float64(len(all)-1))]
}
