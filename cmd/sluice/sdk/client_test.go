package sdk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// client is one SDK. It does one thing at a time.
type client interface {
	// ask does what a question says. When the context ends, it abandons what it has begun.
	ask(ctx context.Context, q question) seen
}

// question is what a client is to do.
type question struct {
	Do         string `json:"do"` // what the client has a function for
	Model      string `json:"model"`
	Prompt     string `json:"prompt"`
	Usage      bool   `json:"usage,omitempty"`       // ask for the usage of a stream
	LeaveAfter int    `json:"leave_after,omitempty"` // so many pieces of text of a stream
	Stream     bool   `json:"stream"`                // what to abandon, or to ask for in a loop
	Key        string `json:"key,omitempty"`         // not that of the environment
	Retries    *int   `json:"retries,omitempty"`     // not the client's default
	Image      bool   `json:"image,omitempty"`       // with one beside the prompt
	Effort     string `json:"effort,omitempty"`      // of reasoning
	Provider   string `json:"provider,omitempty"`    // where no model names one
	Refer      bool   `json:"refer"`                 // leave thoughts with the other side, and refer to them

	exchanges int // that the gateway will see; 0: one
}

// seen is what a client saw.
type seen struct {
	ID        string   `json:"id"`
	IDs       []string `json:"ids"` // of a stream's chunks, each once
	Model     string   `json:"model"`
	RequestID string   `json:"request_id"`
	Text      string   `json:"text"`
	Finish    string   `json:"finish"`
	Left      bool     `json:"left"` // it went before the end, as it was told
	Error     *failure `json:"error"`

	Pieces    int      `json:"pieces"`     // of a stream, with text
	Usage     *usage   `json:"usage"`      // nil if there was none
	Usages    int      `json:"usages"`     // chunks with usage
	UsageLast bool     `json:"usage_last"` // the last chunk had usage and no choices
	Calls     []call   `json:"calls"`      // of tools
	Finishes  []string `json:"finishes"`   // of the answer with the calls, and of that to their results
	Fragments int      `json:"fragments"`  // of the calls' arguments
	Parsed    *city    `json:"parsed"`     // what the client has made of a text that follows a schema
	Models    []string `json:"models"`     // the list
	Owner     string   `json:"owner"`      // of the model that was retrieved
	Thought   string   `json:"thought"`    // before the answer, or before the calls
	Unordered bool     `json:"unordered"`  // a stream's events do not have the numbers 0, 1, 2 …
	Count     int64    `json:"count"`      // of tokens

	Vectors [][]float64 `json:"vectors"` // embeddings
	Said    []string    `json:"said"`    // by other endpoints, in order
}

// failure is an exception.
type failure struct {
	Class   string `json:"class"`
	Status  int    `json:"status"` // 0 if it came inside a stream
	Code    string `json:"code"`
	Type    string `json:"type"`
	Message string `json:"message"`
}

type usage struct {
	Input  int64 `json:"input"`
	Output int64 `json:"output"`
	Total  int64 `json:"total"`
}

type call struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// pixel is a PNG of one pixel, as the scripts send it too.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// city is the schema for structured answers.
type city struct {
	Name       string `json:"name"`
	Country    string `json:"country"`
	Population int64  `json:"population"`
}

// script is a client in another language: a process that reads questions and writes what it saw.
type script struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// python is a client for Python.
func python(arguments ...string) func(*testing.T, *site) client {
	return func(t *testing.T, s *site) client {
		script := filepath.Join("testdata", "python", arguments[0])
		return run(t, s, exec.Command(installed(t, "SLUICE_SDK_PYTHON"), append([]string{"-B", "-W", "ignore::DeprecationWarning", script}, arguments[1:]...)...))
	}
}

// node is a client for Node, in the Node that is installed with it.
func node(arguments ...string) func(*testing.T, *site) client {
	return func(t *testing.T, s *site) client {
		return run(t, s, nodeCommand(t, arguments...))
	}
}

func nodeCommand(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	modules := filepath.Join(installed(t, "SLUICE_SDK_NODE"), "node_modules")
	c := exec.Command(filepath.Join(modules, ".bin", "node"), slices.Concat([]string{filepath.Join("testdata", "node", arguments[0])}, arguments[1:])...)
	c.Env = append(os.Environ(), "NODE_PATH="+modules)
	return c
}

// installed is what the Makefile says of a client.
func installed(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: `make test-sdk` installs the clients and runs these tests; `make sdk` only installs them, in bin/.sdk", variable)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v: run `make sdk`", variable, err)
	}
	return path
}

// run starts a script with the environment in which a user would have it.
func run(t *testing.T, s *site, c *exec.Cmd) *script {
	t.Helper()
	c.Env = append(c.Environ(), "OPENAI_BASE_URL="+s.baseURL, "OPENAI_API_KEY="+key, "ANTHROPIC_BASE_URL="+s.host, "ANTHROPIC_API_KEY="+key,
		"NO_PROXY=*")
	var complaints bytes.Buffer
	c.Stderr = &complaints
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatalf("%v: run `make sdk`", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := c.Wait(); err != nil || complaints.Len() > 0 {
			t.Errorf("the client ended with %v and said\n%s", err, &complaints)
		}
	})
	return &script{t: t, in: in, out: bufio.NewReader(out)}
}

func (s *script) ask(ctx context.Context, q question) (a seen) {
	line, err := json.Marshal(q)
	if err != nil {
		s.t.Error(err)
		return seen{}
	}
	var mu sync.Mutex
	say := func(line []byte) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = s.in.Write(append(line, '\n')) // if it is not read, nothing comes back either
	}
	say(line)
	stop := context.AfterFunc(ctx, func() { say([]byte("{}")) })
	defer stop()
	answer, err := s.out.ReadBytes('\n')
	if err != nil {
		s.t.Errorf("the client has ended instead of answering %s: %v", line, err)
		return seen{}
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		s.t.Errorf("%v: %s", err, answer)
	}
	return a
}
