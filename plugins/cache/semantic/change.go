package semantic

import (
	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/policy"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// Kind is what a Change changes.
type Kind uint8

// The kinds of changes, and the fields of Change that they use.
const (
	Stored    Kind = iota + 1 // a wording was stored: Partition, Entry (Words may be left out), Vector
	Aliased                   // a wording leads to another answer: Entry.ID, Entry.Answer, Entry.Expires
	Judged                    // a judge has spoken: Sample
	Pinned                    // an answer does not serve a question: Question, Entry.Answer
	Rejected                  // a user has complained about an answer: Entry.Answer
	Forgotten                 // an answer is gone: Partition, Entry.Answer
	Purged                    // a partition is gone: Partition
	Renewed                   // an answer lasts longer: Partition, Entry.Answer, Entry.Expires
)

// Change is one step in the life of the cache, for other nodes to follow. Nodes that apply the same changes, in whatever
// order, come to about the same decisions.
type Change struct {
	Kind      Kind
	Partition index.Key
	Entry     index.Entry
	Vector    []float32
	Sample    policy.Sample
	Question  uint64
}

// Apply makes a change that another node made. A change that does not fit (an entry that was evicted here, a vector of
// another embedder) is dropped. It returns the entries that had to make room.
func (s *Semantic) Apply(c Change) []index.Gone {
	switch c.Kind {
	case Stored:
		if c.Entry.Words == nil {
			c.Entry.Words = wordsOf(text.Parse(c.Entry.Text))
		}
		gone, _ := s.c.Index.Put(c.Partition, c.Entry, c.Vector)
		return gone
	case Aliased:
		s.c.Index.Relabel(c.Entry.ID, c.Entry.Answer, c.Entry.Expires)
	case Judged:
		s.c.Policy.Observe(c.Sample)
	case Pinned:
		s.c.Policy.Pin(c.Question, c.Entry.Answer)
	case Rejected:
		s.c.Policy.Reject(c.Entry.Answer)
	case Forgotten:
		s.forget(c.Partition, c.Entry.Answer)
	case Renewed:
		s.c.Index.Extend(c.Partition, c.Entry.Answer, c.Entry.Expires)
	case Purged:
		s.c.Index.DeletePartition(c.Partition)
	}
	return nil
}

// Snapshot calls f with the changes that make an empty node's index like this one's, until f returns false. Vectors are
// f's only until it returns. What the policy knows is not among them: see policy.Policy.Export.
func (s *Semantic) Snapshot(f func(Change) bool) {
	s.c.Index.Each(func(k index.Key, e index.Entry, vector []float32) bool {
		return f(Change{Kind: Stored, Partition: k, Entry: e, Vector: vector})
	})
}
