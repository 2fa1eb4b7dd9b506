package embed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// RemoteConfig makes a Remote.
type RemoteConfig struct {
	Model string // as whoever is asked calls it

	// Ask sends the body of a request to an API with OpenAI's /v1/embeddings and returns the body of its answer.
	Ask func(ctx context.Context, body []byte) ([]byte, error)

	// Owner says for whom texts are embedded. Those of different owners are neither sent together nor remembered together: one
	// would pay for the other, and could find out what the other has asked.
	Owner func(context.Context) string

	Timeout  time.Duration // for a request
	MaxBytes int64         // of vectors that are remembered
	Now      func() time.Time
}

// Remote is an Embedder that asks a model elsewhere. Texts that come while a request is under way go together in the next. After
// a failure an owner's texts fail at once for a while, so that a model that is away keeps nobody waiting.
type Remote struct {
	c      RemoteConfig
	known  *otter.Cache[wished, []float32]
	length atomic.Int64

	mu     sync.Mutex
	queues map[string]*queue
}

var _ Embedder = (*Remote)(nil)

// wished is a text and whose it is.
type wished struct{ owner, text string }

// queue is what an owner waits for.
type queue struct {
	running bool
	waiting []*wish
	rests   time.Time // until when nothing is asked, after a failure
}

// wish is a text that somebody waits for.
type wish struct {
	text   string
	done   chan struct{}
	vector []float32
	err    error
}

const (
	mostTogether = 64              // texts in a request
	rest         = 5 * time.Second // after a failure
)

// Why there are no vectors.
var (
	ErrAway   = errors.New("embed: the model failed a moment ago")
	ErrAnswer = errors.New("embed: the answer has no vectors of these texts")
)

// NewRemote makes a Remote.
func NewRemote(c RemoteConfig) (*Remote, error) {
	known, err := otter.New(&otter.Options[wished, []float32]{
		MaximumWeight: uint64(max(c.MaxBytes, 0)),
		Weigher: func(k wished, v []float32) uint32 {
			return uint32(len(k.owner) + len(k.text) + 4*len(v) + 128) //nolint:gosec // below a gigabyte
		},
	})
	if err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	return &Remote{c: c, known: known, queues: map[string]*queue{}}, nil
}

// ID implements Embedder.
func (r *Remote) ID() string { return "remote-" + r.c.Model }

// Dim is the length of the last vectors that came; 0 if none have.
func (r *Remote) Dim() int { return int(r.length.Load()) }

// Close stops what remembers.
func (r *Remote) Close() { r.known.StopAllGoroutines() }

// Embed implements Embedder.
func (r *Remote) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	owner := r.c.Owner(ctx)
	out := make([][]float32, len(texts))
	wishes := make([]*wish, len(texts))
	for i, text := range texts {
		if v, ok := r.known.GetIfPresent(wished{owner, text}); ok {
			out[i] = append([]float32(nil), v...)
			continue
		}
		w, err := r.wish(ctx, owner, text)
		if err != nil {
			return nil, err
		}
		wishes[i] = w
	}
	for i, w := range wishes {
		if w == nil {
			continue
		}
		select {
		case <-w.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if w.err != nil {
			return nil, w.err
		}
		out[i] = append([]float32(nil), w.vector...)
	}
	return out, nil
}

// wish queues a text.
func (r *Remote) wish(ctx context.Context, owner, text string) (*wish, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queues[owner]
	if q == nil {
		q = &queue{}
		r.queues[owner] = q
	}
	if r.c.Now().Before(q.rests) {
		return nil, ErrAway
	}
	for _, w := range q.waiting {
		if w.text == text {
			return w, nil
		}
	}
	w := &wish{text: text, done: make(chan struct{})}
	q.waiting = append(q.waiting, w)
	if !q.running {
		q.running = true
		go r.run(context.WithoutCancel(ctx), owner, q) // who asked first may leave; others wait, too
	}
	return w, nil
}

// run asks until nobody waits.
func (r *Remote) run(ctx context.Context, owner string, q *queue) {
	for {
		r.mu.Lock()
		now := q.waiting[:min(len(q.waiting), mostTogether)]
		q.waiting = q.waiting[len(now):]
		if len(now) == 0 {
			q.running = false
			r.mu.Unlock()
			if r.c.Now().Before(q.rests) {
				time.AfterFunc(rest, func() { r.remove(owner, q) })
			} else {
				r.remove(owner, q)
			}
			return
		}
		r.mu.Unlock()
		err := r.fulfil(ctx, now)
		if err != nil {
			r.mu.Lock()
			now = append(now, q.waiting...)
			q.waiting, q.rests = nil, r.c.Now().Add(rest)
			r.mu.Unlock()
		}
		for _, w := range now {
			if w.err = err; err == nil {
				r.known.Set(wished{owner, w.text}, w.vector)
			}
			close(w.done)
		}
	}
}

// remove forgets a queue of which nothing is left to know.
func (r *Remote) remove(owner string, q *queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queues[owner] == q && !q.running {
		delete(r.queues, owner)
	}
}

// fulfil asks for the vectors of some texts.
func (r *Remote) fulfil(ctx context.Context, of []*wish) error {
	request := struct {
		Model  string   `json:"model"`
		Input  []string `json:"input"`
		Format string   `json:"encoding_format"`
	}{Model: r.c.Model, Format: "float"}
	for _, w := range of {
		request.Input = append(request.Input, w.text)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.c.Timeout)
	defer cancel()
	reply, err := r.c.Ask(ctx, body)
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	var answer struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
	}
	if err := json.Unmarshal(reply, &answer); err != nil || len(answer.Data) != len(of) {
		return ErrAnswer
	}
	for _, d := range answer.Data {
		if d.Index < 0 || d.Index >= len(of) || len(d.Embedding) == 0 || of[d.Index].vector != nil {
			return ErrAnswer
		}
		normalise(d.Embedding)
		of[d.Index].vector = d.Embedding
	}
	r.length.Store(int64(len(answer.Data[0].Embedding)))
	return nil
}
