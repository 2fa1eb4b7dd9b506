package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
)

// Warmed says what became of the lines of a body that warms a tenant's cache.
type Warmed struct {
	Kept    int           `json:"kept"`              // answers that were given
	Asked   int           `json:"asked"`             // of providers
	Held    int           `json:"held"`              // that were there
	Refused []RefusedLine `json:"refused,omitempty"` // in their order
}

// RefusedLine is a line without an answer in the cache.
type RefusedLine struct {
	Line int    `json:"line"` // of the body, from 1
	Why  string `json:"why"`
}

// Bounds of what warms a cache.
const (
	mostWarmBytes = 8 << 20
	mostWarmLines = 1000
	warming       = 4 // at a time
)

// warmLine is a line of the body.
type warmLine struct {
	Endpoint string          `json:"endpoint"` // left out: chat.completions
	Request  json.RawMessage `json:"request"`
	Answer   json.RawMessage `json:"answer"` // a text, or a whole reply; left out: it is asked for
	User     string          `json:"user"`
	Tags     []string        `json:"tags"`
}

// warmCache takes a body of JSON lines. Each stands for itself: what is wrong with one does not keep others out.
func (c *call) warmCache() error {
	if _, err := c.cache(); err != nil {
		return err
	}
	text, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, mostWarmBytes))
	if err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte{'\n'})
	if len(lines) > mostWarmLines {
		return &apiError{http.StatusRequestEntityTooLarge, "too_many_lines", "These are " + strconv.Itoa(len(lines)) + " lines; " + strconv.Itoa(mostWarmLines) + " may come at once."}
	}
	w := c.warm(lines)
	c.noteCache(strconv.Itoa(len(lines))+" lines", fmt.Sprintf("%d kept, %d asked, %d held, %d refused", w.Kept, w.Asked, w.Held, len(w.Refused)))
	return c.json(http.StatusOK, Answer[Warmed]{Data: w})
}

// warm takes several lines at a time: most of what is asked for is waited for.
func (c *call) warm(lines [][]byte) (w Warmed) {
	how, why := make([]string, len(lines)), make([]error, len(lines))
	next := make(chan int)
	var work sync.WaitGroup
	for range min(warming, len(lines)) {
		work.Go(func() {
			for i := range next {
				how[i], why[i] = warmed(c.r.Context(), c.s.o.Warm, c.tenant(), lines[i])
			}
		})
	}
	for i := range lines {
		if len(bytes.TrimSpace(lines[i])) > 0 {
			next <- i
		}
	}
	close(next)
	work.Wait()
	for i := range lines {
		switch {
		case why[i] != nil:
			w.Refused = append(w.Refused, RefusedLine{i + 1, why[i].Error()})
		case how[i] == gateway.WarmKept:
			w.Kept++
		case how[i] == gateway.WarmAsked:
			w.Asked++
		case how[i] == gateway.WarmHeld:
			w.Held++
		}
	}
	return w
}

// warmed has the answer to a line in the cache.
func warmed(ctx context.Context, warm Warm, of tenant.ID, line []byte) (string, error) {
	l := warmLine{Endpoint: "chat.completions"}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	err := d.Decode(&l)
	if err == nil && d.More() {
		err = errMoreValues
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("it is not what is expected: %w", err)
	case len(l.Request) == 0 || l.Request[0] != '{':
		return "", errNoRequest
	case string(l.Answer) == "null":
		l.Answer = nil
	case len(l.Answer) > 0 && l.Answer[0] != '"' && l.Answer[0] != '{':
		return "", errNoAnswer
	}
	return warm(ctx, of, &gateway.CacheWarm{
		Endpoint: l.Endpoint, Request: l.Request, Answer: l.Answer, User: l.User, Tags: strings.Join(l.Tags, ","),
	})
}

var (
	errMoreValues = errors.New("there is more than one value")
	errNoRequest  = errors.New("request is not the body of a request")
	errNoAnswer   = errors.New("answer is neither a text nor a whole reply")
)

// Warm has the answer to a tenant's request in the cache, and says how it came there: see [gateway.CacheWarm].
type Warm func(ctx context.Context, of tenant.ID, w *gateway.CacheWarm) (how string, err error)
