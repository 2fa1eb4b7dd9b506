package fleet

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluice-ai/sluice/gateway/internal/servers"
)

const (
	prompt   = "CANARY-prompt-61d0"
	ownKey   = "CANARY-own-key-c41b"
	otherKey = "CANARY-other-key-07aa"
	wrongKey = "CANARY-wrong-key-e5d2"
	opsToken = "CANARY-ops-token-a80f"
	webhook  = "whsec_Q0FOQVJZLXdlYmhvb2stc2VjcmV0LWJlZWYtMDE="
	password = "CANARY-password-33f7"
)

// TestCanaries sows secrets wherever they go in, has everything succeed and fail, and looks for them wherever something comes
// out or is kept.
func TestCanaries(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		s := newSite(t)
		s.sow(func(*hunt) {})
	})
	t.Run("postgres", func(t *testing.T) {
		s := newSite(t)
		s.database()
		s.ledger = strings.Replace(s.ledger, "sluice@", "sluice:"+password+"@", 1)
		r := servers.StartRedis(t)
		s.shared = "redis://" + r.Addr()
		s.sow(func(h *hunt) {
			h.database(s)
			h.redis(r)
		})
	})
}

// sow does everything at one node.
func (s *site) sow(look func(*hunt)) {
	t := s.t
	s.more = "retries: {max: 0}\nadmin: {tokens: [{name: ops, role: admin, digest: \"" + digest(opsToken) + "\"}]}\n" +
		"plugins: {auth: {pepper: " + pepper + ", failures: {burst: 100000}}, quota: {alerts: {url: \"" + s.provider.URL + "/hook\", secret: " + webhook + "}}}\n"
	s.tenant("acme", keyOf("ci", callerKey)+"limits: {requests_per_minute: 1000}\nbudgets: [{usd: 30, per: day, mode: metered, warn_at: [1%]}]\n")
	s.tenant("bolt", keyOf("ci", otherKey)+"credentials: [{provider: mock, key: "+ownKey+"}]\n")
	n := s.start("n1")
	s.warm([]*node{n}, callerKey)
	h := &hunt{t: t, needles: []string{
		callerKey, otherKey, wrongKey, opsToken, pepper, providerKey, ownKey, headerValue, webhook, password, prompt, said,
	}}
	credentials := []string{callerKey, otherKey, wrongKey}
	for _, key := range []string{callerKey, otherKey} {
		access, refresh := n.tokens(key, "ann")
		h.needles = append(h.needles, access, refresh)
		credentials = append(credentials, access, access[:len(access)-2]+"AA")
		for _, token := range []string{refresh, refresh[:len(refresh)-2] + "aa", wrongKey} {
			_, body := n.post("/oauth/token", "", "application/x-www-form-urlencoded", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}.Encode())
			h.needles = append(h.needles, tokensIn(body)...)
		}
	}
	ask := func() {
		for _, c := range credentials {
			for _, body := range []string{
				chat(prompt), stream(prompt), chat("refuse 400 " + prompt), chat("refuse 401 " + prompt), chat("refuse 500 " + prompt), stream("refuse 429 " + prompt),
				`{"model":"m","messages":` + prompt + `}`, `{"model":"none","user":"` + prompt + `","messages":[]}`, `{"` + prompt,
			} {
				a := n.ask(t.Context(), c, body)
				h.answer(a.body)
			}
			for _, path := range []string{"/v1/messages", "/v1/responses", "/v1/files/file-x~mock", "/v1/nothing?key=" + c} {
				_, body := n.post(path, c, "application/json", `{"model":"m","max_tokens":16,"input":"`+prompt+`","messages":[{"role":"user","content":"`+prompt+`"}]}`)
				h.answer(body)
			}
		}
	}
	ask()
	s.tenant("coil", "credentials: [{provider: mock, key: "+ownKey+", bse_url: x}]\nkeys: ["+otherKey+"]\n")
	n.says("coil.yaml")
	n.Kill()
	s.must(os.Remove(filepath.Join(s.dir, "tenants", "coil.yaml")))
	n.Restart()
	s.warm([]*node{n}, callerKey)
	ask()
	s.write("n1/sluice.yaml", "version: 1\nproviders: [{name: x, type: sim, kyes: "+providerKey+"}]\nadmin: {token: "+opsToken+"}\n")
	n.says("the configuration is broken")
	h.operator(n)
	h.told(s.provider)
	look(h)
	h.files(n.dir) // while it runs
	n.Stop()
	h.files(n.dir)
	h.end()
}

// tokensIn are the tokens of an answer of /oauth/token.
func tokensIn(body string) (tokens []string) {
	for word := range strings.SplitSeq(body, `"`) {
		if strings.HasPrefix(word, "slr_") || strings.HasPrefix(word, "eyJ") {
			tokens = append(tokens, word)
		}
	}
	return tokens
}

func (n *node) post(path, key, kind, text string) (status int, body string) {
	q, err := http.NewRequestWithContext(n.s.t.Context(), http.MethodPost, n.url+path, strings.NewReader(text))
	n.s.must(err)
	q.Header.Set("Content-Type", kind)
	if key != "" {
		q.Header.Set("X-Api-Key", key)
	}
	status, body, err = do(q)
	n.s.must(err)
	return status, body
}

// says waits until something is in the log of a node.
func (n *node) says(text string) {
	n.s.t.Helper()
	servers.Await(n.s.t, n.name+" says "+text, func(context.Context) error {
		b, err := os.ReadFile(filepath.Join(n.dir, "output.log"))
		if err == nil && !bytes.Contains(b, []byte(text)) {
			err = errors.New("not yet")
		}
		return err
	})
}

// hunt looks for secrets.
type hunt struct {
	t       *testing.T
	needles []string
	looked  map[string]int // bytes by place
}

// in says that none of the secrets is in some text, neither as it is nor in the usual codes.
func (h *hunt) in(place string, text []byte, but ...string) {
	h.t.Helper()
	if h.looked == nil {
		h.looked = map[string]int{}
	}
	h.looked[place] += len(text)
	for _, secret := range h.needles {
		if slices.Contains(but, secret) {
			continue
		}
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret)} {
			if at := bytes.Index(text, []byte(form)); at >= 0 {
				h.t.Errorf("%s: %s is in it: %.300q", place, secret, text[max(0, at-150):])
			}
		}
	}
}

// answer is what a caller is told, which may be what the caller said, or what was asked for.
func (h *hunt) answer(body string) {
	h.t.Helper()
	h.in("answers", []byte(body), prompt, said)
}

// told waits until somebody was told of a budget.
func (h *hunt) told(p *provider) {
	h.t.Helper()
	servers.Await(h.t, "the webhook is called", func(context.Context) error {
		if !slices.ContainsFunc(p.log(), func(l line) bool { return l.path == "POST /hook" }) {
			return errors.New("not yet")
		}
		return nil
	})
}

// operator asks for everything that an operator may read.
func (h *hunt) operator(n *node) {
	h.t.Helper()
	for _, path := range []string{
		"/metrics", "/livez", "/readyz?verbose", "/admin/v1/targets", "/admin/v1/tenants", "/admin/v1/tenants/acme", "/admin/v1/tenants/bolt",
		"/admin/v1/tenants/bolt/keys", "/admin/v1/tenants/acme/limits", "/admin/v1/tenants/acme/budgets", "/admin/v1/usage", "/admin/v1/ledger?limit=1000",
		"/admin/v1/ledger.csv", "/admin/v1/ledger/verify", "/admin/v1/audit", "/admin/v1/stores", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2",
	} {
		status, body, err := get(h.t.Context(), n.ops+path, opsToken)
		if err != nil || status != http.StatusOK {
			h.t.Errorf("%s: %d %s %v", path, status, body, err)
		}
		h.in(path, []byte(body))
		for _, wrong := range []string{"", wrongKey, callerKey} {
			_, body, err := get(h.t.Context(), n.ops+path, wrong)
			n.s.must(err)
			h.in(path+" without a right", []byte(body))
		}
	}
}

// files reads all that a node has written: its log, its journal, its database.
func (h *hunt) files(dir string) {
	h.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "sluice.yaml" {
			return err
		}
		b, err := os.ReadFile(path)
		h.in(filepath.Ext(path), b)
		return err
	})
	if err != nil {
		h.t.Error(err)
	}
}

// database reads every table.
func (h *hunt) database(s *site) {
	h.t.Helper()
	ctx := h.t.Context()
	list, err := s.db.Query(ctx, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	s.must(err)
	tables, err := pgx.CollectRows(list, pgx.RowTo[string])
	s.must(err)
	servers.Await(h.t, "rows are there", func(ctx context.Context) error {
		var n int
		return s.db.QueryRow(ctx, "SELECT 1 FROM ledger, tokens LIMIT 1").Scan(&n)
	})
	for _, table := range tables {
		list, err := s.db.Query(ctx, "SELECT t::text FROM "+pgx.Identifier{table}.Sanitize()+" t")
		s.must(err)
		rows, err := pgx.CollectRows(list, pgx.RowTo[string])
		s.must(err)
		h.in("table "+table, []byte(strings.Join(rows, "\n")))
	}
}

// redis reads every key.
func (h *hunt) redis(r *servers.Redis) {
	for key := range strings.FieldsSeq(r.Do("KEYS", "*")) {
		value := ""
		switch kind := r.Do("TYPE", key); kind {
		case "hash":
			value = r.Do("HGETALL", key)
		case "zset":
			value = r.Do("ZRANGE", key, "0", "-1")
		case "string":
			value = r.Do("GET", key)
		default:
			h.t.Errorf("%s is a %s", key, kind)
		}
		h.in("redis", []byte(key+"\n"+value))
	}
}

// end says that something was looked at.
func (h *hunt) end() {
	h.t.Helper()
	all := 0
	for _, n := range h.looked {
		all += n
	}
	h.t.Logf("%d secrets, none of them in %d bytes of %d kinds", len(h.needles), all, len(h.looked))
	for _, place := range []string{"answers", "/metrics", ".log", ".wal", "/admin/v1/ledger?limit=1000"} {
		if h.looked[place] == 0 {
			h.t.Errorf("nothing was looked at: %s", place)
		}
	}
}
