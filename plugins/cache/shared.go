package cache

import (
	"encoding/json"
	"maps"
	"math"

	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/answer"
	"github.com/sluice-ai/sluice/plugins/cache/fleet"
	"github.com/sluice-ai/sluice/plugins/cache/index"
	"github.com/sluice-ai/sluice/plugins/cache/partition"
	"github.com/sluice-ai/sluice/plugins/cache/policy"
	"github.com/sluice-ai/sluice/plugins/cache/semantic"
)

// newFleet joins the other nodes; nil if there are none.
func (p *Plugin) newFleet(c fleet.Client) *fleet.Fleet {
	if c == nil || !p.c.Shared {
		return nil
	}
	return fleet.New(fleet.Options{
		Client: c, Secret: p.c.Secret.Reveal(), Node: member{p}, Wait: p.c.SharedWait, Log: p.log, Dropped: func() { p.metrics.unshared.Inc() },
	})
}

// valueOf is what Redis keeps of an answer: its exact key, by which it is known to be the one that was looked for, and its bytes.
func valueOf(k *kept, data []byte) []byte {
	return append(k.key[:len(k.key):len(k.key)], data...)
}

// take reads a value of Redis, and keeps it here; nil if it is no answer to this tenant's request.
func (l *lookup) take(value []byte) (*kept, *chat.Reply) {
	h := l.h
	if len(value) < len(partition.Key{}) {
		return nil, nil
	}
	k, data := partition.Key(value[:len(partition.Key{})]), value[len(partition.Key{}):]
	a, err := answer.Decode(data)
	now := h.now()
	if err != nil || a.Tenant != l.x.Caller.Tenant.ID || !h.store.lasts(a, now) || h.purges.covers(a) {
		h.fleet.Drop(fleet.ID(k))
		return nil, nil
	}
	of := h.store.put(k, a, data)
	if h.meaning != nil {
		h.store.link(of)
	}
	if !l.takes(of) {
		return nil, nil
	}
	return of, &a.Reply
}

// fetch looks for an answer in Redis. known says that Redis has answered.
func (l *lookup) fetch(id uint64) (of *kept, r *chat.Reply, known bool) {
	if l.h.fleet == nil {
		return nil, nil, true
	}
	value, known := l.h.fleet.Fetch(l.x.Context(), id)
	if value != nil {
		of, r = l.take(value)
	}
	return of, r, known
}

// fetchExact gives what another node has kept; false if nothing is there, or if whoever claims the question will be told.
func (l *lookup) fetchExact() (bool, error) {
	if l.h.fleet == nil || l.h.c.Coalesce && shares(l.x) && !l.control.onlyCached && !l.comparable(l.parsed) {
		return false, nil
	}
	of, r, _ := l.fetch(fleet.ID(l.exact))
	if of == nil || of.key != l.exact {
		return false, nil
	}
	return true, l.giveExact(of, r)
}

// member is the plugin as the fleet knows it.
type member struct{ *Plugin }

var _ fleet.Node = member{}

// Agree implements fleet.Node. With another secret nothing is found any more that was kept before.
func (m member) Agree(secret [32]byte) {
	m.keys.Store(partition.New(secret))
	m.disk.agree(secret)
	m.purges.mu.Lock()
	known := maps.Clone(m.purges.at)
	m.purges.mu.Unlock()
	for w, at := range known { // Redis may have forgotten them
		m.tell(w, at)
	}
}

// entry is one of the fleet's log.
type entry struct {
	Purge  *purge  `json:"purge,omitempty"`
	Change *change `json:"change,omitempty"`
}

type purge struct {
	What gateway.CachePurge
	At   uint64
}

// change is a [semantic.Change], with its vector in eight bits, as the index keeps it.
type change struct {
	Kind      semantic.Kind
	Partition []byte         `json:",omitempty"`
	Entry     index.Entry    `json:",omitzero"`
	Vector    []byte         `json:",omitempty"`
	Sample    *policy.Sample `json:",omitempty"`
	Question  uint64         `json:",omitempty"`
}

// Heard implements fleet.Node.
func (m member) Heard(text []byte) {
	var e entry
	if json.Unmarshal(text, &e) != nil {
		return // of another version
	}
	if w := e.Purge; w != nil && w.What.Tenant != "" && m.purges.learn(w.What, w.At) {
		m.drop(w.What)
		m.disk.purged()
	}
	if e.Change != nil {
		m.hear(e.Change)
	}
}

// hear makes a change of another node, or of an earlier process; false if it does not matter any more.
func (p *Plugin) hear(c *change) bool {
	if p.meaning == nil || len(c.Partition) > len(index.Key{}) || c.Entry.Expires != 0 && c.Entry.Expires <= p.now().Unix() {
		return false
	}
	made := semantic.Change{Kind: c.Kind, Entry: c.Entry, Question: c.Question, Vector: unquantised(c.Vector)}
	copy(made.Partition[:], c.Partition)
	if c.Sample != nil {
		made.Sample = *c.Sample
	}
	p.metrics.crowded.Add(float64(len(p.meaning.Apply(made))))
	return true
}

// changed tells other nodes of a change.
func (p *Plugin) changed(c semantic.Change) {
	p.disk.changed()
	if p.fleet == nil {
		return
	}
	if text, err := json.Marshal(entry{Change: changeOf(c)}); err == nil { // numbers that are none
		p.fleet.Append(text)
	}
}

// changeOf is how a change is written down.
func changeOf(c semantic.Change) *change {
	t := &change{Kind: c.Kind, Partition: c.Partition[:], Entry: c.Entry, Vector: quantised(c.Vector), Question: c.Question}
	t.Entry.Words = nil
	if c.Kind == semantic.Judged {
		t.Sample = &c.Sample
	}
	return t
}

// quantised is a vector in eight bits a number; its length does not matter.
func quantised(v []float32) []byte {
	var top float64
	for _, x := range v {
		top = max(top, math.Abs(float64(x)))
	}
	if top == 0 {
		return nil
	}
	b := make([]byte, len(v))
	for i, x := range v {
		b[i] = byte(int8(math.RoundToEven(float64(x) / top * 127))) //nolint:gosec // the same bits
	}
	return b
}

func unquantised(b []byte) []float32 {
	v := make([]float32, len(b))
	for i, x := range b {
		v[i] = float32(int8(x)) //nolint:gosec // the same bits
	}
	return v
}
