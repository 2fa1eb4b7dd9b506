package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluice-ai/sluice/gateway"
)

// send makes a request at any path.
func (s *site) send(c *http.Client, method, path, body string, header ...string) answer {
	s.t.Helper()
	q, err := http.NewRequest(method, "http://"+s.Address().String()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+testKey)
	q.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	return do(c, q)
}

// want checks an answer: its status, and what is in its body.
func (a answer) want(t *testing.T, status int, parts ...string) {
	t.Helper()
	if a.err != nil || a.status != status {
		t.Fatalf("%v, %d %s, want %d", a.err, a.status, a.body, status)
	}
	for _, part := range parts {
		if !strings.Contains(a.body, part) {
			t.Errorf("%s is not in %s", part, a.body)
		}
	}
}

// id is that of the object in an answer.
func (a answer) id(t *testing.T) string {
	t.Helper()
	var one struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &one); err != nil || one.ID == "" {
		t.Fatalf("%v in %s", err, a.body)
	}
	return one.ID
}

// How responses are kept follows the file, and what the gateway made is never looked for elsewhere.
func TestStoredResponses(t *testing.T) {
	_, up := simulate(t, fast())
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	file := gatewayFile("ordered", up) + "  - name: native\n    targets: [{provider: native}]\n"
	file = strings.Replace(file, "providers:\n", "providers:\n  - {name: native, type: openai, base_url: \""+other.URL+"/v1\", keys: [{name: k, key: provider-secret}]}\n", 1)
	s := start(t, file)
	defer s.stop()
	c := client(t)
	create := func(model, more string) answer {
		return s.send(c, "POST", "/v1/responses", `{"model":"`+model+`","input":"hello"`+more+`}`)
	}
	goOn := func(model, id string) answer { return create(model, `,"previous_response_id":"`+id+`"`) }

	first := create("sim-chat", "")
	first.want(t, 200, `"store":true`)
	id := first.id(t)
	if a := s.send(c, "GET", "/v1/responses/"+id, ""); a.status != 200 || a.body != first.body {
		t.Errorf("%+v", a)
	}
	s.send(c, "GET", "/v1/responses/"+id+"/input_items", "").want(t, 200, `"hello"`)
	goOn("sim-chat", id).want(t, 200, `"previous_response_id":"`+id+`"`)
	s.send(c, "DELETE", "/v1/responses/"+id, "").want(t, 200, `"deleted":true`)
	s.send(c, "GET", "/v1/responses/"+id, "").want(t, 404, `"code":"not_found"`, `"type":"invalid_request_error"`)
	goOn("sim-chat", id).want(t, 400, `"code":"previous_response_not_found"`)
	goOn("native", id).want(t, 400, `"code":"previous_response_not_found"`)

	lost := create("sim-chat", "").id(t)
	s.write("sluice.yaml", file+"responses: {memory: 0}\n")
	s.reload()
	const why = `\"responses.memory\" is 0`
	second := create("sim-chat", "")
	second.want(t, 200, `"store":false`)
	for _, id := range []string{lost, second.id(t)} {
		s.send(c, "GET", "/v1/responses/"+id, "").want(t, 400, why, `"code":"unsupported_value"`)
		s.send(c, "DELETE", "/v1/responses/"+id, "").want(t, 400, why)
		s.send(c, "GET", "/v1/responses/"+id+"/input_items", "").want(t, 400, why)
		goOn("sim-chat", id).want(t, 400, why, `"param":"previous_response_id"`)
		goOn("native", id).want(t, 400, why)
	}

	s.write("sluice.yaml", file+"responses: {memory: 2MiB, keep: 1h}\n")
	s.reload()
	s.send(c, "GET", "/v1/responses/"+lost, "").want(t, 404)
	id = create("sim-chat", "").id(t)
	s.send(c, "GET", "/v1/responses/"+id, "").want(t, 200)
	if n := asked.Load(); n != 0 {
		t.Errorf("another provider was asked %d times", n)
	}
}

// organizations is a provider whose keys belong to two organizations, of which none sees what the other has.
func organizations(t *testing.T) *httptest.Server {
	t.Helper()
	var count atomic.Int64
	reference := regexp.MustCompile(`"(?:file_id|previous_response_id)":"([^"]*)"`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		organization := r.Header.Get("Authorization")[len("Bearer sk-"):][:1]
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		ids := reference.FindAllStringSubmatch(string(body), -1)
		if _, id, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), "/"); ok && id != "completions" {
			ids = append(ids, []string{"", id})
		}
		for _, id := range ids {
			if !strings.HasSuffix(id[1], "_of_"+organization) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = fmt.Fprintf(w, `{"error":{"message":"organization %s has no %s","type":"invalid_request_error"}}`, organization, id[1])
				return
			}
		}
		id := fmt.Sprintf("%d_of_%s", count.Add(1), organization)
		switch {
		case r.URL.Path == "/v1/files":
			_, _ = fmt.Fprintf(w, `{"id":"file-%s","object":"file"}`, id)
		case r.URL.Path == "/v1/responses":
			_, _ = fmt.Fprintf(w, `{"id":"resp_%s","object":"response","status":"completed","output":[]}`, id)
		case r.URL.Path == "/v1/chat/completions":
			_, _ = fmt.Fprintf(w, `{"id":"%s","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`, id)
		default:
			_, _ = fmt.Fprintf(w, `{"id":"%s","object":"thing"}`, ids[0][1])
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// What one of a provider's keys has made is asked of that key, also after a new secret, and in another order.
func TestKeysOfOrganizations(t *testing.T) {
	up := organizations(t)
	file := func(keys string) string {
		return "version: 1\nserver: {listen: \"127.0.0.1:0\", admin_listen: \"127.0.0.1:0\"}\nproviders:\n  - {name: account, type: openai, base_url: \"" +
			up.URL + "/v1\", keys: [" + keys + "]}\nmodels:\n  - {name: m, targets: [{provider: account}]}\n"
	}
	s := start(t, file("{name: one, key: sk-1}, {name: two, key: sk-2}"))
	defer s.stop()
	c := client(t)
	var responses, files []string
	for range 8 { // the key is drawn
		responses = append(responses, s.send(c, "POST", "/v1/responses", `{"model":"m","input":"hello"}`).id(t))
	}
	for _, key := range []string{"one", "two"} {
		a := s.send(c, "POST", "/v1/files", `{"purpose":"user_data"}`, "x-sluice-provider", gateway.Holder("account", key))
		if files = append(files, a.id(t)); !strings.HasSuffix(a.id(t), "~"+gateway.Holder("account", key)) {
			t.Errorf("a file of %s is called %s", key, a.id(t))
		}
	}
	found := func() {
		t.Helper()
		for _, id := range responses {
			s.send(c, "GET", "/v1/responses/"+id, "").want(t, 200, `"id":"`+id+`"`)
			s.send(c, "POST", "/v1/responses", `{"model":"m","input":"more","previous_response_id":"`+id+`"}`).want(t, 200)
		}
		for _, id := range files {
			s.send(c, "GET", "/v1/files/"+id, "").want(t, 200, `"id":"`+id+`"`)
			for range 4 {
				s.send(c, "POST", "/v1/chat/completions",
					`{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"`+id+`"}}]}]}`).want(t, 200)
			}
		}
	}
	found()
	s.send(c, "POST", "/v1/chat/completions", `{"model":"m","a":{"file_id":"`+files[0]+`"},"b":{"file_id":"`+files[1]+`"}}`).
		want(t, 400, `"code":"wrong_provider"`, `"param":"b.file_id"`)
	s.write("sluice.yaml", file("{name: three, key: sk-3}, {name: two, key: sk-2-new}, {name: one, key: sk-1-new}"))
	s.reload()
	found()
}
