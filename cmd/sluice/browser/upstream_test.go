//go:build !race

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// beat is between two pieces of what the model "slow" says.
const beat = 20 * time.Millisecond

// upstream starts a provider that says again what it was told: hostile answers are asked for by saying them. It tells rate
// limits, and fails whoever asks for the model "shaky". The model "slow" takes its time and counts: "0 1 2 …" to 99.
func upstream(t *testing.T) (url string) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question struct {
			Model    string `json:"model"`
			Stream   bool   `json:"stream"`
			Messages []struct {
				Content string `json:"content"`
			} `json:"messages"`
		}
		if err := json.NewDecoder(r.Body).Decode(&question); err != nil || len(question.Messages) == 0 {
			http.Error(w, `{"error":{"message":"what?","type":"invalid_request_error"}}`, http.StatusBadRequest)
			return
		}
		h := w.Header()
		h.Set("X-Ratelimit-Limit-Requests", "5000")
		h.Set("X-Ratelimit-Remaining-Requests", fmt.Sprint(max(5000-asked.Add(1), 0)))
		h.Set("X-Ratelimit-Reset-Requests", "60s")
		h.Set("X-Ratelimit-Limit-Tokens", "2000000")
		h.Set("X-Ratelimit-Remaining-Tokens", fmt.Sprint(max(2000000-400*asked.Load(), 0)))
		h.Set("X-Ratelimit-Reset-Tokens", "60s")
		if question.Model == "shaky" {
			h.Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"error":{"message":"overloaded <img src=x onerror=alert(1)>","type":"server_error"}}`))
			return
		}
		say(w, r, question.Model, question.Stream, question.Messages[len(question.Messages)-1].Content)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// say answers.
func say(w http.ResponseWriter, r *http.Request, model string, stream bool, text string) {
	pause := time.Duration(0)
	pieces := strings.SplitAfter(text, " ")
	if model == "slow" {
		pause = beat
		pieces = nil
		for i := range 100 {
			pieces = append(pieces, fmt.Sprintf("%d ", i))
		}
	}
	usage := map[string]int{"prompt_tokens": len(text)/4 + 1, "completion_tokens": len(pieces), "total_tokens": len(text)/4 + 1 + len(pieces)}
	base := map[string]any{"id": "chatcmpl-1", "created": 1767225600, "model": model}
	answer := func(kind, member string, value map[string]any, finish any, counts any) []byte {
		base["object"], base["usage"] = kind, counts
		base["choices"] = []any{map[string]any{"index": 0, member: value, "finish_reason": finish}}
		b, _ := json.Marshal(base)
		return b
	}
	if !stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer("chat.completion", "message", map[string]any{"role": "assistant", "content": strings.Join(pieces, "")}, "stop", usage))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(b []byte) {
		_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
		_ = http.NewResponseController(w).Flush()
	}
	for _, piece := range pieces {
		send(answer("chat.completion.chunk", "delta", map[string]any{"role": "assistant", "content": piece}, nil, nil))
		if pause == 0 {
			continue
		}
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return
		}
	}
	send(answer("chat.completion.chunk", "delta", map[string]any{}, "stop", usage))
	_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
}
