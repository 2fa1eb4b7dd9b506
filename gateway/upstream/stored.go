package upstream

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/tenant"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Stored keeps the answers of the Responses API for providers that have no such API, so that a later request can go on
// from one of them; of the other providers' answers it only knows who keeps them. It belongs to the process and is bounded:
// the tenant that holds most gives first, what it did not use for longest, and everything goes with a restart.
//
// A nil *Stored keeps nothing and knows nothing.
type Stored struct {
	mu      sync.Mutex
	most    int64 // bytes of answers; 0: none are kept
	life    time.Duration
	bytes   int64
	tenants map[tenant.ID]*shelf
	notes   *simplelru.LRU[string, note] // of the answers that providers keep, by their ids
}

// shelf is what one tenant holds: nobody reaches another tenant's answers, whatever id is asked for.
type shelf struct {
	bytes   int64
	answers *simplelru.LRU[string, *answer]
}

// answer is one stored response.
type answer struct {
	provider string // that made it
	made     gateway.Instant
	size     int64
	body     []byte            // the response object
	input    []json.RawMessage // the items of the request that it answers
	turns    []chat.Message    // the whole conversation up to and with the answer
}

// note says who keeps an answer, and whose it is.
type note struct {
	whose    tenant.ID
	provider string
}

var _ gateway.Holders = (*Stored)(nil)

const (
	mostNotes   = 100_000 // of some 200 bytes each
	mostAnswers = 1 << 20 // the bound is in bytes, and an answer has 200 and more
)

// NewStored makes a store of so many bytes, in which answers live for so long. With 0 bytes there are no answers in it.
func NewStored(most int64, life time.Duration) *Stored {
	s := &Stored{most: most, life: life, tenants: map[tenant.ID]*shelf{}}
	s.notes, _ = simplelru.NewLRU[string, note](mostNotes, nil) // only a size that is not positive is an error
	return s
}

// Limit changes how many bytes of answers there may be, and how long they live, also of those that are there.
func (s *Stored) Limit(most int64, life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most, s.life = most, life
	s.makeRoom()
}

// Keeps says whether answers are kept at all.
func (s *Stored) Keeps() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most > 0
}

// put stores an answer. One that is larger than an eighth of the store is not kept.
func (s *Stored) put(whose tenant.ID, id string, a *answer) {
	if s == nil || id == "" {
		return
	}
	a.made = gateway.Now()
	a.size = 200 + int64(len(whose)+len(id)+len(a.body)) + chat.SizeOf(a.turns)
	for _, item := range a.input {
		a.size += int64(len(item))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.size > s.most/8 {
		return
	}
	t := s.tenants[whose]
	if t == nil {
		t = &shelf{}
		t.answers, _ = simplelru.NewLRU(mostAnswers, func(_ string, a *answer) {
			t.bytes -= a.size
			s.bytes -= a.size
		})
		s.tenants[whose] = t
	}
	t.answers.Remove(id)
	t.answers.Add(id, a)
	t.bytes += a.size
	s.bytes += a.size
	s.makeRoom()
}

// makeRoom takes the oldest answer of the tenant that holds most until there is not too much.
func (s *Stored) makeRoom() {
	for s.bytes > s.most {
		var fullest tenant.ID
		for whose, t := range s.tenants {
			if f := s.tenants[fullest]; f == nil || t.bytes > f.bytes {
				fullest = whose
			}
		}
		t := s.tenants[fullest]
		t.answers.RemoveOldest()
		if t.answers.Len() == 0 {
			delete(s.tenants, fullest)
		}
	}
}

// Note remembers that a provider keeps an answer of its own, for [Stored.Holder].
func (s *Stored) Note(whose tenant.ID, id, provider string) {
	if s == nil || id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes.Add(id, note{whose, provider})
}

// noted finds whose an answer is that a provider keeps; false if nobody knows.
func (s *Stored) noted(id string) (whose tenant.ID, provider string, ok bool) {
	if s == nil {
		return "", "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.notes.Get(id)
	return n.whose, n.provider, ok
}

// get finds an answer; nil if there is none, or not any more.
func (s *Stored) get(whose tenant.ID, id string) *answer {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[whose]
	if t == nil {
		return nil
	}
	a, ok := t.answers.Get(id)
	if ok && gateway.Since(a.made) >= s.life {
		t.answers.Remove(id)
		return nil
	}
	return a
}

func (s *Stored) remove(whose tenant.ID, id string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tenants[whose]; t != nil {
		t.answers.Remove(id)
	}
}

// Holder implements gateway.Holders.
func (s *Stored) Holder(whose tenant.ID, id string) (provider string, kept bool) {
	if a := s.get(whose, id); a != nil {
		return a.provider, true
	}
	if owner, provider, ok := s.noted(id); ok && owner == whose {
		return provider, false
	}
	return "", false
}
