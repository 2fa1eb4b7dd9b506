package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/sluice-ai/sluice/plugins/cache/policy"
)

// recall keeps what was judged in a file, over restarts: it was paid for. Stored answers are not in it.
type recall struct {
	path     string
	versions string
	policy   *policy.Policy
	log      *zap.Logger
	written  []byte
}

// recallEvery is how much at most is lost with the process.
const recallEvery = time.Minute

// judgements is the file.
type judgements struct {
	Versions string          `json:"versions"` // of what was judged: with others it is worth nothing
	Policy   json.RawMessage `json:"policy"`
}

// newRecall fills a policy from the folder's file; nil if there is no folder.
func newRecall(folder, versions string, p *policy.Policy, log *zap.Logger) *recall {
	if folder == "" {
		return nil
	}
	r := &recall{path: filepath.Join(folder, "cache-judgements.json"), versions: versions, policy: p, log: log}
	if err := r.read(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("what was judged before cannot be read: the bound begins anew", zap.Error(err))
	}
	return r
}

func (r *recall) read() error {
	data, err := os.ReadFile(r.path)
	if err != nil {
		return err
	}
	var f judgements
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	if f.Versions != r.versions {
		r.log.Info("judgements of another version of embedder, guards or verifier are left")
		return nil
	}
	return r.policy.Import(f.Policy)
}

// run writes the file from time to time, and at last.
func (r *recall) run(ctx context.Context) {
	t := time.NewTicker(recallEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.write()
		case <-ctx.Done():
			r.write()
			return
		}
	}
}

// write replaces the file, if there is news.
func (r *recall) write() {
	state, err := r.policy.Export()
	if err == nil && bytes.Equal(state, r.written) {
		return
	}
	if err == nil {
		err = r.replace(state)
	}
	if err != nil {
		r.log.Warn("what was judged cannot be written down", zap.Error(err))
		return
	}
	r.written = state
}

func (r *recall) replace(state []byte) error {
	data, err := json.Marshal(judgements{r.versions, state})
	if err != nil {
		return err
	}
	next := r.path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, r.path)
}
