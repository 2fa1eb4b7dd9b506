package sim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// archive keeps the last files and batches, oldest first. The zero value is empty.
type archive struct {
	mu      sync.Mutex
	files   []*file
	batches []*batch
}

type file struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Bytes    int    `json:"bytes"`
	Created  int64  `json:"created_at"`
	Filename string `json:"filename"`
	Purpose  string `json:"purpose"`
	Status   string `json:"status"`

	owner   string // the tenant
	content []byte
}

// batch is done at once, when it is made.
type batch struct {
	ID         string          `json:"id"`
	Object     string          `json:"object"`
	Endpoint   string          `json:"endpoint"`
	Input      string          `json:"input_file_id"`
	Window     string          `json:"completion_window"`
	Status     string          `json:"status"`
	Output     string          `json:"output_file_id,omitempty"`
	Created    int64           `json:"created_at"`
	InProgress int64           `json:"in_progress_at"`
	Finalizing int64           `json:"finalizing_at"`
	Completed  int64           `json:"completed_at"`
	Metadata   json.RawMessage `json:"metadata"`
	Counts     struct {
		Total     int `json:"total"`
		Completed int `json:"completed"`
		Failed    int `json:"failed"`
	} `json:"request_counts"`

	owner string
}

// maxLines is how many requests a batch may have.
const maxLines = 10_000

// add keeps a file, under an id that tells it from all others.
func (a *archive) add(f *file) *file {
	a.mu.Lock()
	defer a.mu.Unlock()
	f.Object, f.Bytes, f.Created, f.Status = "file", len(f.content), now(), "processed"
	if a.files = append(a.files, f); len(a.files) > maxShelf {
		a.files = a.files[1:]
	}
	return f
}

// file is one of the caller's, or nil.
func (c *call) file(id string) *file {
	a := &c.engine.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.files {
		if same(f.ID, id) && f.owner == c.tenant {
			return f
		}
	}
	return nil
}

// add keeps a file of the caller's.
func (c *call) add(name, purpose string, content []byte) *file {
	return c.engine.archive.add(&file{ID: c.newID("file-"), Filename: name, Purpose: purpose, owner: c.tenant, content: content})
}

// newID is an id that tells what it is of from all others, and who holds that.
func (c *call) newID(prefix string) string {
	id := prefix + c.serial(24)
	if c.holder != "" {
		id = gateway.HeldID(id, c.holder)
	}
	return id
}

// same says whether two ids mean the same, though only one of them may say who holds it.
func same(a, b string) bool {
	a, _ = gateway.SplitID(a)
	b, _ = gateway.SplitID(b)
	return a == b
}

func (c *call) createFile() answer {
	f, content, name, bad := c.form()
	switch {
	case bad != nil:
		return *bad
	case content == nil:
		return c.wrong("file", "is required")
	case f["purpose"] == "" && c.dialect != wire.Anthropic: // whose clients do not say it
		return c.wrong("purpose", "is required")
	}
	return c.described(c.add(name, f["purpose"], content))
}

// described answers with what is known of a file.
func (c *call) described(f *file) answer {
	if c.dialect != wire.Anthropic {
		return c.json(f)
	}
	d := f.forClaude()
	return answer{status: 200, contentType: applicationJSON, body: anthropic.AppendFile(nil, &d)}
}

func (f *file) forClaude() anthropic.File {
	return anthropic.File{ID: f.ID, Name: f.Filename, Bytes: int64(f.Bytes), Created: f.Created}
}

func (c *call) listFiles() answer {
	a := &c.engine.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	list := page(a.files, func(f *file) (id, owner string) { return f.ID, f.owner }, c.tenant)
	if c.dialect != wire.Anthropic {
		return c.json(list)
	}
	described := make([]anthropic.File, len(list.Data))
	for i, f := range list.Data {
		described[i] = f.forClaude()
	}
	return answer{status: 200, contentType: applicationJSON, body: anthropic.AppendFiles(nil, described, list.More)}
}

func (c *call) retrieveFile() answer {
	if f := c.file(c.id); f != nil {
		return c.described(f)
	}
	return c.missing("file")
}

func (c *call) fileContent() answer {
	if f := c.file(c.id); f != nil {
		return answer{status: 200, contentType: "application/octet-stream", body: f.content}
	}
	return c.missing("file")
}

func (c *call) deleteFile() answer {
	a := &c.engine.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, f := range a.files {
		if same(f.ID, c.id) && f.owner == c.tenant {
			a.files = append(a.files[:i:i], a.files[i+1:]...)
			if c.dialect == wire.Anthropic {
				return answer{status: 200, contentType: applicationJSON, body: anthropic.AppendDeleted(nil, c.id)}
			}
			return c.json(deleted{c.id, "file", true})
		}
	}
	return c.missing("file")
}

type deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// list is a page of all that there is, newest first.
type list[T any] struct {
	Object string `json:"object"`
	Data   []T    `json:"data"`
	First  string `json:"first_id"`
	Last   string `json:"last_id"`
	More   bool   `json:"has_more"`
}

func page[T any](all []T, describe func(T) (id, owner string), tenant string) list[T] {
	l := list[T]{Object: "list", Data: []T{}}
	for _, v := range slices.Backward(all) {
		id, owner := describe(v)
		if owner != tenant {
			continue
		}
		if len(l.Data) == 0 {
			l.First = id
		}
		l.Data, l.Last = append(l.Data, v), id
	}
	return l
}

func (c *call) createBatch() answer {
	var q struct {
		Input    string `json:"input_file_id"`
		Endpoint string
		Window   string `json:"completion_window"`
		Metadata json.RawMessage
	}
	if bad := c.read(&q); bad != nil {
		return *bad
	}
	b := &batch{
		ID: c.newID("batch_"), owner: c.tenant, Object: "batch", Status: "completed", Created: now(),
		Input: q.Input, Endpoint: q.Endpoint, Window: q.Window, Metadata: q.Metadata,
	}
	in := c.file(b.Input)
	switch {
	case in == nil:
		c.id = b.Input
		return c.missing("file")
	case b.Window != "24h":
		return c.wrong("completion_window", "must be 24h")
	case !strings.HasPrefix(b.Endpoint, "/v1/") || b.Endpoint == "/v1/batches" || b.Endpoint == "/v1/files":
		return c.wrong("endpoint", "is none that batches are for")
	}
	b.Input = in.ID // which says who holds it, as the request's need not
	out := c.run(b, bytes.Split(bytes.TrimSpace(in.content), []byte("\n")))
	b.Output = c.add(b.ID+"_output.jsonl", "batch_output", out).ID
	b.InProgress, b.Finalizing, b.Completed = now(), now(), now()
	a := &c.engine.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.batches = append(a.batches, b); len(a.batches) > maxShelf {
		a.batches = a.batches[1:]
	}
	return c.json(b)
}

// run answers each line, as its endpoint would.
func (c *call) run(b *batch, lines [][]byte) []byte {
	var out []byte
	for i, line := range lines[:min(len(lines), maxLines)] {
		var q struct {
			ID     string `json:"custom_id"`
			Method string
			URL    string
			Body   json.RawMessage
		}
		a := c.wrong("line "+strconv.Itoa(i+1), "is no request for "+b.Endpoint)
		if json.Unmarshal(line, &q) == nil && q.URL == b.Endpoint && q.Method == "POST" {
			a = c.perform(q.URL, q.Body)
		}
		if b.Counts.Total++; a.status == 200 {
			b.Counts.Completed++
		} else {
			b.Counts.Failed++
		}
		body := json.RawMessage(a.body)
		if !json.Valid(body) {
			body = json.RawMessage(`null`)
		}
		type reply struct {
			Status int             `json:"status_code"`
			ID     string          `json:"request_id"`
			Body   json.RawMessage `json:"body"`
		}
		done, err := json.Marshal(struct {
			ID       string `json:"id"`
			Custom   string `json:"custom_id"`
			Response reply  `json:"response"`
			Error    any    `json:"error"`
		}{"batch_req_" + c.serial(24), q.ID, reply{a.status, "req_" + c.serial(32), body}, nil})
		if err == nil {
			out = append(append(out, done...), '\n')
		}
	}
	return out
}

// perform answers a line of a batch. Faults that need a connection are errors here.
func (c *call) perform(path string, body []byte) answer {
	if d := talks(strings.TrimPrefix(path, "/v1")); d != nil {
		x := c.engine.script(asked{dialect: d, body: body, tenant: c.tenant})
		if b := x.body(); len(b) > 0 && min(x.cut, x.stall) == never && !x.stream {
			return answer{status: x.status, contentType: x.contentType(), body: b}
		}
		return answer{status: 502, contentType: applicationJSON, body: d.AppendError(nil, broken())}
	}
	one := call{
		engine: c.engine, tenant: c.tenant, holder: c.holder,
		method: "POST", path: path, contentType: applicationJSON, body: body, dialect: wire.OpenAI,
	}
	return one.answer()
}

func (c *call) listBatches() answer {
	a := &c.engine.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	return c.json(page(a.batches, func(b *batch) (id, owner string) { return b.ID, b.owner }, c.tenant))
}

func (c *call) retrieveBatch() answer {
	a := &c.engine.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.batches {
		if same(b.ID, c.id) && b.owner == c.tenant {
			return c.json(b)
		}
	}
	return c.missing("batch")
}

// cancelBatch comes too late, for a batch is complete at once.
func (c *call) cancelBatch() answer {
	if a := c.retrieveBatch(); a.status != 200 {
		return a
	}
	return c.refuse(409, chat.Error{Type: "invalid_request_error", Message: "The batch is complete already."})
}
