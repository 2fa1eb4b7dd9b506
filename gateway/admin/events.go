package admin

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/gateway/health"
)

const (
	// beat is how often a silent stream of events gets a comment, so that proxies keep it open.
	beat = 15 * time.Second
	// slowest is how long one write to a stream of events may take.
	slowest = 10 * time.Second
)

// Events is the answer to GET /admin/v1/events.
type Events struct {
	Events []health.Event `json:"events"`
	Next   string         `json:"next"`             // what ?after= is next time, for what has come until then
	Missed uint64         `json:"missed,omitempty"` // how many came before these, and are no longer kept
}

// Feed wakes those who follow events. The zero Feed is ready.
type Feed struct {
	mu   sync.Mutex
	news chan struct{} // closed at the next event; nil if nobody waits
}

// Tell says that there is another event; it does not block.
func (f *Feed) Tell(health.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.news != nil {
		close(f.news)
		f.news = nil
	}
}

// next is closed at the next event.
func (f *Feed) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.news == nil {
		f.news = make(chan struct{})
	}
	return f.news
}

// events answers GET /admin/v1/events: the latest events as a list, or those and all that follow as a stream, if the client
// accepts text/event-stream. Of the list, ?after= leaves out those up to a number (or an id), and of a stream Last-Event-ID
// does. Numbers begin anew with the process, so an id has a mark of that: who comes back after a restart gets all there are.
func (c *call) events() error {
	s := c.s
	if accepts(c.r.Header.Get("Accept")) {
		s.follow(c.w, c.r)
		return nil
	}
	after := uint64(0)
	if text := c.query.Get("after"); text != "" {
		number, mark, marked := strings.Cut(text, ".")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return &apiError{http.StatusBadRequest, "invalid_query", "after is the number (seq) of an event, or what next was in the last answer."}
		}
		if !marked || mark == s.mark {
			after = n
		}
	}
	list, missed, last := s.since(after)
	return c.json(http.StatusOK, Events{Events: append([]health.Event{}, list...), Next: s.id(last), Missed: missed})
}

// since are the events after one, how many of them are no longer kept, and the number of the last. A number that there is not
// yet is of another process: then it is all there are.
func (s *Server) since(after uint64) (list []health.Event, missed, last uint64) {
	list = s.o.Targets.Events(0)
	if len(list) == 0 {
		return nil, 0, 0
	}
	first, last := list[0].Seq, list[len(list)-1].Seq
	switch {
	case after > last:
		after = 0
		fallthrough
	case after < first:
		return list, first - 1 - after, last
	default:
		return list[after-first+1:], 0, last
	}
}

func (s *Server) id(seq uint64) string { return strconv.FormatUint(seq, 10) + "." + s.mark }

func accepts(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		if kind, _, err := mime.ParseMediaType(part); err == nil && kind == "text/event-stream" {
			return true
		}
	}
	return false
}

// follow streams events until the client or the server leaves. An event "missed" says how many were too many to be kept until
// the client was ready for them.
func (s *Server) follow(w http.ResponseWriter, r *http.Request) {
	after := s.lastOf(r.Header.Get("Last-Event-ID"))
	s.pour(w, r, func() (text []byte, news <-chan struct{}) {
		news = s.o.Feed.next() // before looking: what comes in between is not missed
		list, missed, _ := s.since(after)
		if missed > 0 {
			text = fmt.Appendf(text, "event: missed\ndata: {\"missed\":%d}\n\n", missed)
		}
		for _, e := range list {
			data, err := json.Marshal(e)
			if err != nil {
				continue // times and words: it does not happen
			}
			text = fmt.Appendf(text, "id: %s\nevent: target\ndata: %s\n\n", s.id(e.Seq), data)
			after = e.Seq
		}
		return text, news
	})
}

// lastOf is the number in an id that this process has given; 0, before everything, if it is none.
func (s *Server) lastOf(id string) uint64 {
	number, mark, ok := strings.Cut(id, ".")
	if !ok || mark != s.mark {
		return 0
	}
	seq, _ := strconv.ParseUint(number, 10, 64)
	return seq
}

// pour answers with a stream of server-sent events: what look gives, again whenever its news are closed.
func (s *Server) pour(w http.ResponseWriter, r *http.Request, look func() (text []byte, news <-chan struct{})) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for silent := true; ; {
		text, news := look()
		if len(text) == 0 && silent {
			text = []byte(": still here\n\n")
		}
		if len(text) > 0 {
			if control.SetWriteDeadline(time.Now().Add(slowest)) != nil {
				return
			}
			if _, err := w.Write(text); err != nil || control.Flush() != nil {
				return
			}
		}
		silent = false
		select {
		case <-news:
		case <-ticker.C:
			silent = true
		case <-r.Context().Done():
			return
		case <-s.closed:
			return
		}
	}
}
