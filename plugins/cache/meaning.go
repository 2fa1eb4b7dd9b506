package cache

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/ledger"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/embed"
	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/partition"
	"github.com/sluice-ai/sluice/plugins/cache/policy"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// longest is how many bytes a question may have that is compared to others: what is longer is rather a document.
const longest = 2 << 10

// newMeaning makes what finds questions that mean the same, with what was judged before; nil if that is off.
func (p *Plugin) newMeaning(dir string) (*semantic.Semantic, error) {
	s := &p.c.Semantic
	if s.Mode == modeOff {
		return nil, nil //nolint:nilnil // it is off
	}
	wrong := float64(s.MaxWrong)
	bound, err := policy.New(policy.Config{Bound: policy.Bound{MaxWrong: wrong, Offline: policy.Offline(wrong), Judged: s.Judge.Model != ""}})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if r := newRecall(dir, p.versions, bound, p.log); r != nil {
		p.host.Go(r.run)
	}
	return semantic.New(semantic.Config{
		Embedder: p.embedder, Index: index.New(index.Config{MaxBytes: int64(s.MaxSize), MaxShare: tenantShare}), Policy: bound,
		Shadow: s.Mode == modeShadow, Now: p.now, Changed: p.changed,
	}), nil
}

// tenantShare is how much of the index one tenant may have.
const tenantShare = 0.5

// newEmbedder makes what the configuration names.
func (p *Plugin) newEmbedder() (embed.Embedder, error) {
	name := p.c.Semantic.Embedder
	if name == embedderBuiltin {
		return embed.Builtin{}, nil
	}
	return embed.NewRemote(embed.RemoteConfig{
		Model: name, Timeout: embedTime, MaxBytes: mostVectors, Now: p.now,
		Ask: func(ctx context.Context, body []byte) ([]byte, error) {
			c, _ := ctx.Value(callerKey{}).(gateway.Caller)
			return p.host.Ask(ctx, "embeddings", c, apart(), body)
		},
		Owner: func(ctx context.Context) string {
			c, _ := ctx.Value(callerKey{}).(gateway.Caller)
			return fmt.Sprintf("%q %q %q", c.Tenant.ID, c.Key, c.User)
		},
	})
}

const (
	embedTime   = time.Second // for a request
	mostVectors = 32 << 20    // bytes of those that are remembered
)

// callerKey is where an embedder finds who pays.
type callerKey struct{}

// comparable says whether a question may be answered with the answer to another that means the same.
func (l *lookup) comparable(t *text.Text) bool {
	return l.h.meaning != nil && !l.x.Caller.Tenant.Cache.Exact && !l.control.exact && l.single && t != nil && len(l.text) <= longest &&
		!t.Fresh && !t.Personal && (first(l.q) || t.SelfContained)
}

// first says whether nothing was said before the last message, but for instructions.
func first(q *chat.Request) bool {
	for i := range q.Messages[:len(q.Messages)-1] {
		if r := q.Messages[i].Role; r != chat.RoleSystem && r != chat.RoleDeveloper {
			return false
		}
	}
	return true
}

// similar gives the answer to a question that means the same; false if there is none.
func (l *lookup) similar() (bool, error) {
	h, x := l.h, l.x
	if !l.comparable(l.parsed) {
		return false, nil
	}
	d := h.meaning.Lookup(l.embedding(), l.question())
	h.metrics.decided(d)
	l.decision = d
	id, why := d.Hit.Answer, ""
	if !d.Serve() {
		if id, why = l.settle(d), whyJudged; id == 0 {
			return false, nil
		}
	}
	of, reply := l.byID(id)
	if of == nil {
		return false, nil
	}
	if err := l.give(l.rendered(of, reply), ledger.Semantic); err != nil {
		return true, err
	}
	l.note(words[ledger.Semantic], why, of)
	x.Reply.Header = append(x.Reply.Header, gateway.Field{Name: "x-sluice-cache-score", Value: strconv.FormatFloat(d.Hit.Score, 'f', 3, 64)})
	if l.settled {
		_, _ = h.meaning.Learn(d, semantic.Answer{ID: id, Expires: of.Expires}) // a wording that finds no room is no loss
	}
	l.consult(d)
	return true, nil
}

// embedding is the context in which an embedder is asked.
func (l *lookup) embedding() context.Context {
	if l.h.c.Semantic.Embedder == embedderBuiltin {
		return l.x.Context()
	}
	return context.WithValue(l.x.Context(), callerKey{}, l.x.Caller)
}

// question is what is compared to others.
func (l *lookup) question() semantic.Question {
	return semantic.Question{
		Partition: index.Key(l.partition), Class: l.setting.Model, Tenant: string(l.x.Caller.Tenant.ID), Text: l.text, Parsed: l.parsed,
	}
}

// whyJudged is the reason of a hit that the judge has allowed.
const whyJudged = "judged"

// byID finds an answer by its id. One that is gone is removed from the index; other nodes find that out themselves.
func (l *lookup) byID(id uint64) (*kept, *chat.Reply) {
	h, user := l.h, l.x.Caller.User
	if i := h.store.byID(id, user, l.control.most); i != nil && i.of.Fresh(h.now(), -1) {
		if a := h.store.read(i.of.key, i); a != nil {
			return i.of, &a.Reply
		}
	}
	of, reply, known := l.fetch(id)
	if of != nil && !of.Fresh(h.now(), -1) {
		return nil, nil
	}
	if of == nil && known && h.store.byID(id, user, -1) == nil { // and not only too old for this caller
		h.meaning.Apply(semantic.Change{Kind: semantic.Forgotten, Partition: index.Key(l.partition), Entry: index.Entry{Answer: id}})
	}
	return of, reply
}

// learn stores a question that was not answered from the cache, with the answer that it got. One whose answer was to be had anew
// leads to it again, and with it all that lead there still.
func (l *lookup) learn(k *kept) {
	h, d := l.h, l.decision
	r := gateway.Replay{Provider: k.Provider, Name: k.Name, Usage: k.usage}
	saved := h.saved(l.x, &r, k.tier, k.At)
	a := semantic.Answer{ID: k.id, Saved: float64(saved.Picodollars) / 1e12, Expires: k.Expires}
	switch {
	case d == nil && l.control.refresh && l.comparable(l.parsed):
		gone, _ := h.meaning.Renew(l.embedding(), l.question(), a)
		h.metrics.crowded.Add(float64(len(gone)))
	case d != nil && !d.Serve():
		gone, err := h.meaning.Learn(d, a)
		if err != nil {
			return
		}
		h.metrics.crowded.Add(float64(len(gone)))
		l.consult(d)
	}
}

// linkKey is where an answer stands by its id: no hash looks like it.
func linkKey(id uint64) (k partition.Key) {
	copy(k[:], "answer")
	binary.BigEndian.PutUint64(k[len(k)-8:], id)
	return k
}

// link lets an answer be found by its id.
func (s *store) link(k *kept) { s.items.Set(linkKey(k.id), &item{of: k}) }
