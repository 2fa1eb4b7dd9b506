package upstream

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
)

// Stored keeps the answers of the Responses API for providers that have no such API, so that a later request can go on
// from one of them; of the other providers' answers it only knows who keeps them. It belongs to the process and is bounded:
// what was not used for longest goes first, and everything goes with a restart.
type Stored struct {
	most int64 // bytes
	life time.Duration

	mu    sync.Mutex
	bytes int64
	lru   *simplelru.LRU[storedKey, *answer]
}

var _ gateway.Holders = (*Stored)(nil)

// storedKey has the tenant in it: nobody reaches another tenant's answers, whatever id is asked for.
type storedKey struct{ tenant, id string }

// answer is one stored response.
type answer struct {
	provider string // that made it
	expires  gateway.Instant
	size     int64

	// The rest is empty if the provider keeps the answer itself.
	body  []byte            // the response object
	input []json.RawMessage // the items of the request that it answers
	turns []chat.Message    // the whole conversation up to and with the answer
}

// NewStored makes a store of so many bytes, in which answers live for so long.
func NewStored(most int64, life time.Duration) *Stored {
	s := &Stored{most: most, life: life}
	const entries = 1 << 20 // the bound is in bytes; an entry has 200 and more
	s.lru, _ = simplelru.NewLRU(entries, func(_ storedKey, a *answer) { s.bytes -= a.size })
	return s
}

// put stores an answer. One that is larger than an eighth of the store is not kept.
func (s *Stored) put(tenant, id string, a *answer) {
	a.expires = gateway.Now().Add(s.life)
	a.size = 200 + int64(len(tenant)+len(id)+len(a.body)) + sizeOf(a.turns)
	for _, item := range a.input {
		a.size += int64(len(item))
	}
	if id == "" || a.size > s.most/8 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := storedKey{tenant, id}
	s.lru.Remove(k)
	s.lru.Add(k, a)
	for s.bytes += a.size; s.bytes > s.most; {
		s.lru.RemoveOldest()
	}
}

// Note remembers that a provider keeps an answer of its own, for [Stored.Holder].
func (s *Stored) Note(tenant, id, provider string) { s.put(tenant, id, &answer{provider: provider}) }

// get finds an answer; nil if there is none, or not any more.
func (s *Stored) get(tenant, id string) *answer {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := storedKey{tenant, id}
	a, ok := s.lru.Get(k)
	if ok && gateway.Now() >= a.expires {
		s.lru.Remove(k)
		return nil
	}
	return a
}

func (s *Stored) remove(tenant, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Remove(storedKey{tenant, id})
}

// Holder implements gateway.Holders.
func (s *Stored) Holder(tenant, id string) string {
	if a := s.get(tenant, id); a != nil {
		return a.provider
	}
	return ""
}

// sizeOf is about how many bytes a conversation holds.
func sizeOf(turns []chat.Message) int64 {
	var n int64
	for i := range turns {
		n += 100
		for k := range turns[i].Parts {
			p := &turns[i].Parts[k]
			n += 200 + int64(len(p.Text)+len(p.Signature)+len(p.Raw)+len(p.Logprobs))
			if p.Media != nil {
				n += int64(len(p.Media.Data) + len(p.Media.URL))
			}
			if p.Call != nil {
				n += int64(len(p.Call.Arguments))
			}
		}
	}
	return n
}
