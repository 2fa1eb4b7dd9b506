package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/internal/watch"
	"github.com/sluice-ai/sluice/gateway/serve"
	"github.com/sluice-ai/sluice/gateway/upstream"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/responses"
)

// What Sluice renders itself at endpoints other than conversations, held against OpenAI's schemas. Conversations are
// checked wherever a dialogue is played.

func TestModelsSchema(t *testing.T) {
	list := []chat.Model{{ID: "gpt-5.5", OwnedBy: "openai", Created: 1763900000}, {ID: `a/"b"`, OwnedBy: "sluice"}}
	fits(t, "ListModelsResponse", openai.AppendModels(nil, list))
	fits(t, "ListModelsResponse", openai.AppendModels(nil, nil))
	fits(t, "Model", openai.AppendModel(nil, list[0]))
	fits(t, "TokenCountsResource", responses.AppendInputTokens(nil, 7))
}

// The errors that serve's tests hold as recorded.
func TestErrorsSchema(t *testing.T) {
	a, err := txtar.ParseFile(filepath.Join("..", "serve", "testdata", "errors.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range a.Files {
		_, body, found := strings.Cut(string(f.Data), "{")
		if !strings.HasSuffix(f.Name, "/response") || !found || strings.Contains(string(f.Data), "\nRequest-Id") {
			continue // what Anthropic's clients get
		}
		seen++
		fits(t, "ErrorResponse", []byte("{"+body))
	}
	if seen < 3 {
		t.Errorf("%d errors", seen)
	}
}

func TestMergedEmbeddingsSchema(t *testing.T) {
	var asked atomic.Int64
	p := providerAt(t, "openai", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var ask struct{ Input []any }
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		list := make([]string, len(ask.Input))
		for i := range list {
			list[i] = fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":[0.5,-%d]}`, i, i)
		}
		_, _ = fmt.Fprintf(w, `{"object":"list","data":[%s],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}`, strings.Join(list, ","))
	}, func(c *upstream.Config) { c.Merge = upstream.Merge{Window: time.Minute, Inputs: 4} })
	var all sync.WaitGroup
	for _, input := range []string{`["a","b"]`, `["c","d"]`} {
		all.Go(func() {
			fits(t, "CreateEmbeddingResponse", ask(t, p, "embeddings", `{"model":"e","input":`+input+`}`, ""))
		})
	}
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests: they were not merged", n)
	}
}

// A response that Sluice keeps for a provider without Responses, and what can be asked about it.
func TestStoredResponseSchema(t *testing.T) {
	p := providerAt(t, "anthropic", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"thinking","thinking":"Hm.","signature":"s"},
			{"type":"text","text":"a"},{"type":"tool_use","id":"toolu_1","name":"patch","input":{"input":"x"}}],
			"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}`)
	}, func(c *upstream.Config) { c.Stored = upstream.NewStored(1<<20, time.Hour) })
	made := ask(t, p, "responses.create", `{"model":"c","instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"x"},
		{"type":"input_image","image_url":"https://example.com/a.png","detail":"auto"}]},
		{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":"1"}],
		"tools":[{"type":"custom","name":"patch"},{"type":"function","name":"f","parameters":{"type":"object"},"strict":true}],"metadata":{"k":"v"}}`, "")
	fits(t, "Response", made)
	var response struct{ ID string }
	if err := json.Unmarshal(made, &response); err != nil {
		t.Fatal(err)
	}
	if kept := ask(t, p, "responses.retrieve", "", response.ID); !bytes.Equal(kept, made) {
		t.Errorf("%s was kept as %s", made, kept)
	}
	fits(t, "ResponseItemList", ask(t, p, "responses.input_items", "", response.ID))
	var deleted struct {
		ID, Object string
		Deleted    bool
	}
	if err := json.Unmarshal(ask(t, p, "responses.delete", "", response.ID), &deleted); err != nil {
		t.Fatal(err)
	}
	if deleted.ID != response.ID || deleted.Object != "response" || !deleted.Deleted {
		t.Errorf("%+v", deleted)
	}
}

// providerAt is a provider of a kind that f plays.
func providerAt(t *testing.T, kind string, f http.HandlerFunc, change func(*upstream.Config)) gateway.Sender {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	base, err := url.Parse(s.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	w, err := watch.New()
	if err != nil {
		t.Fatal(err)
	}
	const patience = 10 * time.Second
	c := upstream.Config{
		Name: "p", BaseURL: base, Endpoints: serve.Endpoints(), MaxIdle: 4, IdleTimeout: time.Minute, MaxBody: 1 << 20, MaxEvent: 1 << 20,
		Budget: upstream.NewBudget(1 << 30), Watch: w, UserAgent: "sluice/test",
		Timeouts: upstream.Timeouts{
			Connect: patience, Headers: patience, FirstEvent: patience, Idle: patience, Answer: patience, Total: time.Minute,
		},
	}
	c.Kind, _ = upstream.KindOf(kind)
	change(&c)
	p, err := upstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Close()
		_ = w.Close()
	})
	return p.WithKey("k")
}

type noHeader struct{}

func (noHeader) Get(string) []byte { return nil }

type body []byte

func (b body) Load() ([]byte, error) { return b, nil }
func (b body) Free()                 {}

// exchangeAt is a request at an endpoint; id is the one in its path, "" for none.
func exchangeAt(t *testing.T, endpoint, request, id string) *gateway.Exchange {
	t.Helper()
	x := &gateway.Exchange{}
	for _, e := range serve.Endpoints() {
		if e.Name != endpoint {
			continue
		}
		var b gateway.Body
		if request != "" {
			b = body(request)
		}
		x.Init("req_test", &e, noHeader{}, b)
	}
	x.Request.Param = id
	if err := x.Request.Open(); err != nil {
		t.Errorf("%s: %v", request, err)
	}
	x.Caller.Tenant = &gateway.Tenant{ID: "t"}
	x.Plan.Model = x.Request.Model()
	return x
}

// ask is the whole reply to such a request.
func ask(t *testing.T, p gateway.Sender, endpoint, request, id string) []byte {
	t.Helper()
	x := exchangeAt(t, endpoint, request, id)
	defer x.End(nil)
	target := &gateway.Target{Provider: "p", Model: "m", Via: p}
	reply, err := target.Via.Send(x, target, x.Attempting(target))
	if err != nil {
		t.Error(err)
		return nil
	}
	defer reply.Stream.Close()
	var all []byte
	for {
		ev, err := reply.Stream.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Error(err)
			return nil
		}
		all = append(all, ev.Data...)
	}
}
