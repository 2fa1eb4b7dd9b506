package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
)

const defaultURL = "http://127.0.0.1:8080/v1"

// localURL is where the API of a gateway on this machine begins that has this environment.
func localURL() string {
	address := os.Getenv(config.EnvName("server.listen"))
	if _, port, err := net.SplitHostPort(address); err != nil || port == "0" {
		return defaultURL
	}
	return "http://" + reachable(address) + "/v1"
}

// client calls a gateway as its users do.
type client struct {
	base string // where the API begins: http://127.0.0.1:8080/v1
	key  string // "" for anonymous callers
}

// newClient makes a client of what the flags --url and --key say.
func newClient(base, key string) (*client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, wrongUse("--url: %q is not where an API begins; write it as %s", base, defaultURL)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1"
	}
	return &client{strings.TrimRight(u.String(), "/"), apiKey(key)}, nil
}

func keyFlag(c *cobra.Command, key *string) {
	c.Flags().StringVar(key, "key", "", "API `key` (default $SLUICE_API_KEY, which other users of the machine do not see)")
}

// message is one turn of a conversation.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// question is the body of a chat completion.
type question struct {
	Model         string         `json:"model"`
	Messages      []message      `json:"messages"`
	Stream        bool           `json:"stream,omitempty"`
	StreamOptions *streamOptions `json:"stream_options,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// ask sends a question and returns the reply, whose body is to be closed. Any status but 200 is an error.
func (c *client) ask(ctx context.Context, q *question) (*http.Response, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, http.MethodPost, "/chat/completions", bytes.NewReader(body))
}

// listed is one of the models that the API lists.
type listed struct {
	ID      string `json:"id"`
	OwnedBy string `json:"owned_by"`
}

// models lists what the key may use.
func (c *client) models(ctx context.Context) ([]listed, error) {
	reply, err := c.do(ctx, http.MethodGet, "/models", nil)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	var list struct{ Data []listed }
	if err := json.NewDecoder(reply.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("%s/models is not a list of models: %w", c.base, err)
	}
	return list.Data, nil
}

func (c *client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "sluice/"+buildVersion())
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	reply, err := http.DefaultClient.Do(request)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("nothing answers at %s; start the gateway with: sluice serve", c.base)
	case err != nil:
		return nil, err
	case reply.StatusCode != http.StatusOK:
		return nil, refusal(reply)
	}
	return reply, nil
}

// refusal is what an error reply says, in one line.
func refusal(reply *http.Response) error {
	defer reply.Body.Close()
	body, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	if err != nil {
		return err
	}
	text := reply.Status
	if e, ok := openai.DecodeError(body); ok {
		text += ": " + e.Error()
	}
	if id := reply.Header.Get("X-Request-Id"); id != "" {
		text += " (request " + id + ")"
	}
	return errors.New(visible(text))
}

// visible is text without what a terminal would obey: control characters other than tabs and new lines.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}
