package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/gateway/admin"
)

// What is sent at once.
const (
	warmLines = 100
	warmBytes = 4 << 20
)

func newCacheWarm() *cobra.Command {
	var f adminFlags
	c := &cobra.Command{
		Use:   "warm TENANT FILE",
		Short: "Put answers into a tenant's cache before anybody asks",
		Long: `Put answers into a tenant's cache before anybody asks. Each line of the file is a JSON object: "request" is the
body of a request as a caller would send it; "answer" what is said to it, a text or a whole reply. Without an
answer the gateway asks a provider, at the tenant's cost, unless there is one in the cache. "endpoint" is
chat.completions if it is left out, else responses.create or messages; "tags" are for sluice cache purge; "user"
is for tenants whose users share nothing. Answers last as long as any. A line that is refused does not keep others
out; the file - is the standard input.
` + cacheHelp,
		Example: `  sluice cache warm acme faq.jsonl
  jq -c '{request: ., answer: "Hello!"}' request.json | sluice cache warm acme -`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := opened(c, args[1])
			if err != nil {
				return err
			}
			defer in.Close()
			w := warmer{c: c, f: &f, tenant: args[0], file: args[1]}
			return w.all(in)
		},
	}
	f.add(c)
	return c
}

// opened is a file, or the standard input.
func opened(c *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(c.InOrStdin()), nil
	}
	return os.Open(name) //nolint:gosec // whoever gives the command names it
}

// warmer sends a file part by part.
type warmer struct {
	c            *cobra.Command
	f            *adminFlags
	tenant, file string
	part         []byte
	lines, sent  int // of the part, and before it
	sum          admin.Warmed
}

func (w *warmer) all(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, warmBytes)
	for lines.Scan() {
		if w.lines == warmLines || len(w.part)+len(lines.Bytes()) >= warmBytes {
			if err := w.send(); err != nil {
				return err
			}
		}
		w.part = append(append(w.part, lines.Bytes()...), '\n')
		w.lines++
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", w.file, w.sent+w.lines+1, err)
	}
	if err := w.send(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w.c.OutOrStdout(), "%d kept, %d asked, %d held\n", w.sum.Kept, w.sum.Asked, w.sum.Held); err != nil {
		return err
	}
	if len(w.sum.Refused) > 0 {
		return fmt.Errorf("%d lines are refused", len(w.sum.Refused))
	}
	return nil
}

// send sends the part, and says at once which of its lines are refused.
func (w *warmer) send() error {
	if w.lines == 0 {
		return nil
	}
	got, err := askCache[admin.Warmed](w.c, w.f, errand{method: http.MethodPost, path: ofCache(w.tenant, "warm"), body: w.part})
	if err != nil {
		return err
	}
	for _, r := range got.Refused {
		if _, err := fmt.Fprintf(w.c.ErrOrStderr(), "%s:%d: %s\n", visible(w.file), w.sent+r.Line, visible(r.Why)); err != nil {
			return err
		}
	}
	w.sum.Kept, w.sum.Asked, w.sum.Held = w.sum.Kept+got.Kept, w.sum.Asked+got.Asked, w.sum.Held+got.Held
	w.sum.Refused = append(w.sum.Refused, got.Refused...)
	w.sent, w.lines, w.part = w.sent+w.lines, 0, w.part[:0]
	return nil
}
