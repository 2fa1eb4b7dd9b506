package admin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/admin"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// memory remembers exchanges that have ended.
type memory struct {
	mu   sync.Mutex
	list []gateway.Ended
	news chan struct{}
}

func (m *memory) add(id tenant.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seq := uint64(len(m.list) + 1)
	m.list = append(m.list, gateway.Ended{Seq: seq, Tenant: id, Line: fmt.Appendf(nil, `{"id":"req_%d","tenant":%q}`, seq, id)})
	close(m.news)
	m.news = make(chan struct{})
}

func (m *memory) Recent(after uint64) ([]gateway.Ended, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list[min(after, uint64(len(m.list))):], m.news
}

func remembering(t *testing.T) (*office, *memory) {
	t.Helper()
	m := &memory{news: make(chan struct{})}
	for _, id := range []tenant.ID{"acme", "bolt", "", "acme"} {
		m.add(id)
	}
	return open(t, func(o *admin.Options) { o.Recent = func() gateway.Recent { return m } }), m
}

func TestExchanges(t *testing.T) {
	o, m := remembering(t)
	f := func(who, query, want string) (next string) {
		t.Helper()
		a := o.from(who, "GET", "/admin/v1/exchanges"+query, "")
		var got admin.Latest
		if err := json.Unmarshal([]byte(a.body), &got); a.status != 200 || err != nil {
			t.Fatalf("%d %s", a.status, a.body)
		}
		var ids []string
		for _, e := range got.Exchanges {
			ids = append(ids, strings.TrimPrefix(e.ID, "req_"))
		}
		if all := strings.Join(ids, " "); all != want {
			t.Errorf("%s sees %q of %s, want %q", who, all, query, want)
		}
		return got.Next
	}
	f("viewer", "", "1 2 3 4")
	f("viewer", "?limit=2", "3 4")
	f("viewer", "?tenant=bolt", "2")
	f("two", "", "1 2 4")
	next := f("viewer-acme", "", "1 4")
	m.add("bolt")
	m.add("acme")
	f("viewer-acme", "?after="+next, "6")
	f("viewer", "?after="+next, "5 6")
	f("viewer", "?after=3.of-another-process", "1 2 3 4 5 6")
	if a := o.from("viewer-acme", "GET", "/admin/v1/exchanges?tenant=bolt", ""); a.status != 404 {
		t.Errorf("another tenant's: %d %s", a.status, a.body)
	}
	o.fails(400, "invalid_query", "GET", "exchanges?limit=0", "")
	o.fails(400, "invalid_query", "GET", "exchanges?of=acme", "")
	open(t, func(o *admin.Options) { o.Recent = nil }).fails(503, "exchanges_unavailable", "GET", "exchanges", "")
}

func TestExchangesAsAStream(t *testing.T) {
	o, m := remembering(t)
	server := httptest.NewServer(o.server)
	defer server.Close()
	follow := func(last string, n int, also func()) (ids []string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/admin/v1/exchanges", http.NoBody)
		o.must(err)
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Authorization", "Bearer "+secretOf("viewer-acme"))
		r.Header.Set("Last-Event-ID", last)
		reply, err := server.Client().Do(r)
		o.must(err)
		defer reply.Body.Close()
		also()
		for lines := bufio.NewScanner(reply.Body); len(ids) < n && lines.Scan(); {
			if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				ids = append(ids, id)
			}
			if strings.Contains(lines.Text(), "bolt") {
				t.Errorf("another tenant's: %s", lines.Text())
			}
		}
		return ids
	}
	first := follow("", 3, func() { m.add("bolt"); m.add("acme") })
	if len(first) != 3 || !strings.HasPrefix(first[0], "1.") || !strings.HasPrefix(first[2], "6.") {
		t.Fatalf("%v", first)
	}
	if rest := follow(first[1], 1, func() {}); rest[0] != first[2] {
		t.Errorf("after %s comes %v", first[1], rest)
	}
}
