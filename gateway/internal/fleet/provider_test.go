package fleet

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// provider answers like OpenAI, and writes down each request that came whole before it does. It lives in the test, which
// nobody kills: what is written down is the truth.
type provider struct {
	*httptest.Server
	mu      sync.Mutex
	lines   []line
	readers []chan struct{}
}

// line is one request.
type line struct {
	id            string // of the exchange at the gateway
	path          string
	key           string
	content       string // of its last message
	input, output int64  // tokens that it is charged for, if all of the answer is read
	made          *atomic.Int64
}

// price is what a token costs, in picodollars: 1000 USD for a million.
const price = 1_000_000_000

func startProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// log is what was written down so far.
func (p *provider) log() []line {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// said is a token of every answer, and word of those for readers.
const (
	said = "CANARY-answer-2b9e"
	word = "word"
)

// ahead is how many words are made for a reader that were not read.
const ahead = 8

// reader asks for words that are made as they are read: the content of the question, and what is to be taken from for each word.
func (p *provider) reader(words int) (content string, made <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readers = append(p.readers, make(chan struct{}, ahead))
	return fmt.Sprintf("%d words for %d", words, len(p.readers)-1), p.readers[len(p.readers)-1]
}

// question is what the provider understands of a request. Its user says how long the answer would be: "40 tokens, 2ms each".
type question struct {
	Model     string `json:"model"`
	Stream    bool   `json:"stream"`
	MaxTokens int64  `json:"max_completion_tokens"`
	Limit     int64  `json:"max_tokens"`
	Messages  []struct {
		Content string `json:"content"`
	} `json:"messages"`
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it did not come whole
	}
	l := line{id: r.Header.Get("X-Client-Request-Id"), path: r.Method + " " + r.URL.Path, key: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	var q question
	if strings.HasSuffix(r.URL.Path, "/chat/completions") {
		if err := json.Unmarshal(body, &q); err != nil || len(q.Messages) == 0 {
			http.Error(w, `{"error":{"message":"no"}}`, http.StatusBadRequest)
			return
		}
		l.content, l.input, l.output = q.Messages[len(q.Messages)-1].Content, 40, 16
	}
	var each time.Duration
	reader := -1
	_, _ = fmt.Sscanf(l.content, "%d tokens, %v each", &l.output, &each) // or as it is
	_, _ = fmt.Sscanf(l.content, "%d words for %d", &l.output, &reader)
	l.made = new(atomic.Int64)
	status := http.StatusOK
	_, _ = fmt.Sscanf(l.content, "refuse %d", &status)
	for _, most := range []int64{q.MaxTokens, q.Limit} {
		if most > 0 {
			l.output = min(l.output, most)
		}
	}
	p.mu.Lock()
	p.lines = append(p.lines, l)
	var words chan<- struct{}
	if reader >= 0 {
		words = p.readers[reader]
	}
	p.mu.Unlock()
	switch {
	case status != http.StatusOK: // and tell everything; what callers have to mend themselves is told to them as it is
		if status == http.StatusBadRequest {
			l.key = ""
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":"Incorrect API key provided: %s. The prompt was: %s","type":"invalid_request_error","code":"invalid_api_key"}}`, l.key, l.content)
	case l.content == "":
		p.thing(w, r, l.key)
	case q.Stream:
		l.stream(w, r, each, words)
	default:
		if !wait(r, each*time.Duration(l.output)) {
			return
		}
		l.made.Store(l.output)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":%q,"choices":[{"index":0,"message":{"role":"assistant","content":"`+said+`"},"finish_reason":"stop"}],"usage":%s}`, q.Model, l.usage())
	}
}

// thing answers about files and responses: there is one of each id, for every key another.
func (*provider) thing(w http.ResponseWriter, r *http.Request, key string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":"file-same","object":"file","bytes":1,"created_at":1,"filename":"of-%s","purpose":"batch","path":%q}`, key, r.URL.Path)
}

func (l *line) usage() string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, l.input, l.output, l.input+l.output)
}

func (l *line) stream(w http.ResponseWriter, r *http.Request, each time.Duration, words chan<- struct{}) {
	text := said
	if words != nil {
		text = word
	}
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(choices, more string) {
		fmt.Fprintf(w, "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[%s]%s}\n\n", choices, more)
		_ = http.NewResponseController(w).Flush() // whoever has left is noticed below
	}
	for range l.output {
		if words != nil {
			select {
			case words <- struct{}{}:
			case <-r.Context().Done():
				return
			}
		}
		l.made.Add(1)
		event(`{"index":0,"delta":{"content":"`+text+`"},"finish_reason":null}`, "")
		if !wait(r, each) {
			return
		}
	}
	event(`{"index":0,"delta":{},"finish_reason":"stop"}`, "")
	event("", `,"usage":`+l.usage())
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}

// wait lets time pass, unless who asked leaves.
func wait(r *http.Request, d time.Duration) bool {
	if d == 0 {
		return r.Context().Err() == nil
	}
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(d):
		return true
	}
}
