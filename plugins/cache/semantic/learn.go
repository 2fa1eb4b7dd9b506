package semantic

import (
	"context"
	"errors"

	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// ErrNoVector refuses to learn a question that could not be embedded.
var ErrNoVector = errors.New("semantic: the question has no vector")

// aliasBelow is the cosine above which a wording adds nothing to the one that was found.
const aliasBelow = 0.98

// Learn stores the answer that upstream gave to a question that was not served. It returns the entries that had to make
// room: where they were an answer's last, its value is not reachable any more.
func (s *Semantic) Learn(d *Decision, a Answer) ([]index.Gone, error) {
	if d.Reason == ReasonText || d.Reason == ReasonEmbedder {
		return nil, ErrNoVector
	}
	e := index.Entry{
		ID: s.c.NewID(), Answer: a.ID, Text: d.Question.Text, Tenant: d.Question.Tenant, Saved: a.Saved, Size: a.Size, Expires: expires(a),
	}
	d.mu.Lock()
	d.entry, d.stored = e.ID, true
	if d.serves.Answer != 0 {
		e.Answer, e.Expires = d.serves.Answer, d.serves.Expires
	}
	d.mu.Unlock()
	return s.put(d, e)
}

// Store stores an answer to a question that was not looked up before: to warm a cache.
func (s *Semantic) Store(ctx context.Context, q Question, a Answer) ([]index.Gone, error) {
	d := &Decision{Question: q}
	if q.Parsed == nil {
		d.Question.Parsed = text.Parse(q.Text)
	}
	d.Reason = s.embed(ctx, d)
	return s.Learn(d, a)
}

// Renew lets all wordings that lead to an answer last as long as it does now, and stores the question if there are none.
func (s *Semantic) Renew(ctx context.Context, q Question, a Answer) ([]index.Gone, error) {
	c := Change{Kind: Renewed, Partition: q.Partition, Entry: index.Entry{Answer: a.ID, Expires: expires(a)}}
	if s.c.Index.Extend(c.Partition, a.ID, c.Entry.Expires) == 0 {
		return s.Store(ctx, q, a)
	}
	s.c.Changed(c)
	return nil, nil
}

// expires is when an answer does, as the index writes it.
func expires(a Answer) int64 {
	if a.Expires.IsZero() {
		return 0
	}
	return a.Expires.Unix()
}

// Judge learns which of the stored answers that the judge was asked about (d.Asked) serves the question: 0 is none. It
// may come before Learn or after it, once.
func (s *Semantic) Judge(d *Decision, answer uint64) {
	d.sample.Same = answer == d.Hit.Answer
	s.c.Policy.Observe(d.sample)
	s.c.Changed(Change{Kind: Judged, Sample: d.sample})
	var serves Candidate
	for _, c := range d.Asked() {
		if c.Answer == answer {
			serves = c
			break
		}
		s.pin(d.Question.Text, c.Answer)
	}
	if serves.Answer == 0 {
		return
	}
	d.mu.Lock()
	d.serves = serves
	stored, entry := d.stored, d.entry
	d.mu.Unlock()
	alias := index.Entry{ID: entry, Answer: serves.Answer, Expires: serves.Expires}
	switch {
	case stored:
		s.apply(Change{Kind: Aliased, Partition: d.Question.Partition, Entry: alias})
	case d.Serve() && serves.Cosine < aliasBelow:
		alias.ID, alias.Text, alias.Tenant = s.c.NewID(), d.Question.Text, d.Question.Tenant
		_, _ = s.put(d, alias) // an alias that finds no room is no loss
	}
}

// Reject takes a user's word that an answer does not serve a question: the pair is pinned, and the answer must be more
// certain from now on wherever else it is found.
func (s *Semantic) Reject(question string, answer uint64) {
	s.c.Policy.Reject(answer)
	s.c.Changed(Change{Kind: Rejected, Entry: index.Entry{Answer: answer}})
	s.pin(question, answer)
}

// Forget removes an answer that is gone, with all wordings that lead to it, and returns how many there were.
func (s *Semantic) Forget(partition index.Key, answer uint64) int {
	s.c.Changed(Change{Kind: Forgotten, Partition: partition, Entry: index.Entry{Answer: answer}})
	return s.forget(partition, answer)
}

// Purge removes everything that is stored in a partition and returns how many wordings that were.
func (s *Semantic) Purge(partition index.Key) int {
	s.c.Changed(Change{Kind: Purged, Partition: partition})
	return s.c.Index.DeletePartition(partition)
}

func (s *Semantic) forget(partition index.Key, answer uint64) int {
	s.c.Policy.Forget(answer)
	return s.c.Index.DeleteAnswer(partition, answer)
}

func (s *Semantic) put(d *Decision, e index.Entry) ([]index.Gone, error) {
	e.Words = wordsOf(d.Question.Parsed)
	gone, err := s.c.Index.Put(d.Question.Partition, e, d.vector)
	if err != nil {
		return nil, err
	}
	s.c.Changed(Change{Kind: Stored, Partition: d.Question.Partition, Entry: e, Vector: d.vector})
	return gone, nil
}

func (s *Semantic) pin(question string, answer uint64) {
	s.apply(Change{Kind: Pinned, Question: hash(question), Entry: index.Entry{Answer: answer}})
}

// apply makes a change here and tells others.
func (s *Semantic) apply(c Change) {
	s.Apply(c)
	s.c.Changed(c)
}
