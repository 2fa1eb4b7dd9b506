package cache

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/cache/partition"
)

// kept is what is known of an answer that is in memory, without what was said.
type kept struct {
	answer.Answer        // its Reply is empty
	id            uint64 // what its ID says
	usage         chat.Usage
	tier          string
	key           partition.Key
	stored        bool        // it was one to keep
	dropped       atomic.Bool // it was taken out: what was made of it is no answer either
}

func newKept(k partition.Key, a *answer.Answer) *kept {
	return &kept{Answer: *a, id: fleet.ID(k), usage: a.Reply.Usage, tier: a.Reply.ServiceTier, key: k}
}

// item is what stands under one key: an answer, or one that was rendered for a request.
type item struct {
	of     *kept
	data   []byte          // of an answer: its bytes, see package answer
	body   []byte          // of a whole reply
	events []gateway.Event // of a stream
}

// perItem is about what an item takes beside its bytes.
const perItem = 512

// size is what an item counts for, in bytes.
func (i *item) size() uint32 {
	n := perItem + len(i.data) + len(i.body)
	for k := range i.events {
		n += len(i.events[k].Data) + 40
	}
	return uint32(min(n, 1<<31))
}

// store holds answers under their exact keys, and what was rendered of them under those of the requests' bytes. What is rarely
// used makes room for what is used often (W-TinyLFU).
type store struct {
	items *otter.Cache[partition.Key, *item]
	ttl   time.Duration // of most answers
	stale time.Duration // past that, in which they may be given
	now   func() time.Time
}

func newStore(of *Config, now func() time.Time) (*store, error) {
	c, err := otter.New(&otter.Options[partition.Key, *item]{
		MaximumWeight: uint64(of.Exact.MaxSize), //nolint:gosec // validated
		Weigher:       func(_ partition.Key, i *item) uint32 { return i.size() },
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &store{items: c, ttl: of.ttl(), stale: of.Exact.Stale, now: now}, nil
}

// ownerOf is whose alone an answer is: of an end user as the credential names them, and as the request does.
func ownerOf(caller, named string) string {
	if caller == "" && named == "" {
		return ""
	}
	return caller + "\n" + named
}

// isOf says whether an answer may be given to a caller with that user. What the request says of its user is in the key.
func (k *kept) isOf(caller string) bool {
	owner, _, _ := strings.Cut(k.User, "\n")
	return k.User == "" || owner == caller
}

// gives says whether an answer may be given to a caller who takes nothing older than most; negative: any age.
func (s *store) gives(of *kept, caller string, most time.Duration) bool {
	now := s.now()
	return of.isOf(caller) && s.lasts(&of.Answer, now) && (most < 0 || of.Age(now) <= most)
}

// lasts says whether an answer may still be given.
func (s *store) lasts(a *answer.Answer, now time.Time) bool { return now.Before(s.until(a)) }

// until is when an answer may be given no more, which may be past its time. What is kept shortly is out of date soon, and never
// given after that.
func (s *store) until(a *answer.Answer) time.Time {
	if a.Expires.Sub(a.At) < s.ttl.Truncate(time.Millisecond) {
		return a.Expires
	}
	return a.Expires.Add(s.stale)
}

// find finds what stands under a key, whoever's it is. What may not be given any more is taken out.
func (s *store) find(k partition.Key) *item {
	i, ok := s.items.GetIfPresent(k)
	if !ok {
		return nil
	}
	if i.of.dropped.Load() || !s.lasts(&i.of.Answer, s.now()) {
		s.items.Invalidate(k)
		return nil
	}
	return i
}

// byID is get for an answer by its id.
func (s *store) byID(id uint64, caller string, most time.Duration) *item {
	link, ok := s.items.GetIfPresent(linkKey(id))
	if !ok {
		return nil
	}
	if i := s.find(link.of.key); i != nil && i.of == link.of && s.gives(i.of, caller, most) {
		return i
	}
	return nil
}

// put keeps an answer, of which data are the bytes, under its exact key. What was there before is dropped with all that was rendered
// of it.
func (s *store) put(k partition.Key, a *answer.Answer, data []byte) *kept {
	i := &item{of: newKept(k, a), data: data}
	i.of.stored, i.of.Reply = true, chat.Reply{}
	if before, ok := s.items.Set(k, i); !ok && before != nil {
		before.of.dropped.Store(true)
	}
	return i.of
}

// read is the answer of an item; nil if its bytes are damaged: then it is taken out.
func (s *store) read(k partition.Key, i *item) *answer.Answer {
	a, err := answer.Decode(i.data)
	if err != nil {
		s.drop(k, i)
		return nil
	}
	return a
}

func (s *store) drop(k partition.Key, i *item) {
	i.of.dropped.Store(true)
	s.items.Invalidate(k)
}

// each calls f with every answer, and takes out those for which it is true.
func (s *store) each(f func(*kept) bool) (taken int) {
	for k, i := range s.items.All() {
		switch {
		case i.data == nil:
			if i.of.dropped.Load() {
				s.items.Invalidate(k)
			}
		case f(i.of):
			s.drop(k, i)
			taken++
		}
	}
	return taken
}

func (s *store) close() { s.items.StopAllGoroutines() }
